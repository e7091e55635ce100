import { TestClock } from "effect/testing"
import { afterEach, describe, expect, it } from "vitest"
import { Gate, type Live, open, until } from "./Lab.ts"
import { call, type Raw } from "./Raw.ts"
import { flat, keyed, pay, texts, type Visit } from "./Visit.ts"

let live: Live | undefined
let gate: Gate

/** A gateway whose time passes only when the test says so; its grace is a little more than a heartbeat. */
const lab = async (options: Parameters<typeof open>[1] = {}): Promise<void> => {
  gate = new Gate()
  live = await open(gate, { heartbeat: 25_000, sessionGrace: 30_000, ...options }, {}, TestClock.layer())
}
const begin = (): Promise<Visit> => pay(`${live!.url}/a?session=new`)
const back = ({ hello, cursor }: Visit): Promise<Visit> =>
  pay(`${live!.url}/a?session=${hello.token}&after=${cursor()}`)

let asked = 0

/** A second passes, and those who are there have answered what they were pinged. */
const second = async (...here: ReadonlyArray<Raw>): Promise<void> => {
  await live!.run(TestClock.adjust(1000))
  for (const raw of here) {
    const id = `probe ${++asked}`
    raw.send(call(id, "$/cancel", { id: 0 }))
    await raw.answer(id)
  }
  await new Promise((resolve) => setImmediate(resolve))
}
const seconds = async (n: number, ...here: ReadonlyArray<Raw>): Promise<void> => {
  for (let passed = 0; passed < n; passed++) await second(...here)
}

/** Until the gateway has cut one that answers no pings. */
const cutOff = async (...here: ReadonlyArray<Raw>): Promise<void> => {
  for (let passed = 0; passed < 100 && live!.gateway.stats().away === 0; passed++) await second(...here)
  expect(live!.gateway.stats().away).toBe(1)
}

afterEach(async () => {
  gate.stayOpen()
  let closed = false
  const closing = live?.close().finally(() => void (closed = true))
  while (closing !== undefined && !closed) await second()
  await closing
  live = undefined
})

describe("what may not have arrived", () => {
  it("is kept past the grace: a request whose socket was half-open is handled once, its answer replayed", async () => {
    await lab()
    const [one, other] = [await begin(), await begin()]
    gate.stayOpen()
    one.raw.socket.pause()
    one.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await until("it was handled", () => gate.held.length === 1)
    other.raw.send(call(1, "Flood", { frames: 1, bytes: 1 }))
    await other.raw.answer(1)
    await cutOff(other.raw)
    const again = await back(one)
    expect(again.hello).toMatchObject({ token: one.hello.token, gap: false, behind: 2 })
    expect((await again.raw.answer(1)).result).toBe(1)
    again.raw.send(keyed("k", 2, "Hold", { n: 1 }))
    expect((await again.raw.answer(2)).result).toBe(1)
    expect(texts(again.raw)).toEqual(["x"])
    expect(gate.held).toEqual([1])
    for (const { raw } of [one, other, again]) raw.socket.terminate()
  })

  it("is handled once though the ring has lost its answer", async () => {
    await lab({ maxReplay: 1 })
    const [one, other] = [await begin(), await begin()]
    gate.stayOpen()
    one.raw.socket.pause()
    for (const n of [1, 2]) one.raw.send(keyed(`k${n}`, n, "Hold", { n }))
    await until("both were handled", () => gate.held.length === 2)
    await cutOff(other.raw)
    const again = await back(one)
    expect(again.hello).toMatchObject({ token: one.hello.token, gap: true })
    again.raw.send(keyed("k1", 1, "Hold", { n: 1 }))
    expect((await again.raw.answer(1)).result).toBe(1)
    expect(gate.held).toEqual([1, 2])
    for (const { raw } of [one, other, again]) raw.socket.terminate()
  })

  it("of a batch is what waits for the slowest: the answer is sent when that is", async () => {
    await lab({ requestTimeout: 3_600_000 })
    const one = await begin()
    one.raw.send([keyed("fast", 1, "Note", { n: 1 }), keyed("slow", 2, "Hold", { n: 2 })])
    await until("the handler waits", () => gate.held.length === 1)
    await seconds(120, one.raw)
    one.raw.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    const again = await back(one)
    again.raw.send(keyed("fast", 3, "Note", { n: 1 }))
    await again.raw.answer(3)
    expect(gate.noted).toEqual([1])
    gate.open()
    expect((await again.raw.answer(2)).result).toBe(2)
    again.raw.socket.terminate()
  })

  it("is not proven by a pong that nobody asked for", async () => {
    await lab()
    const one = await begin()
    gate.stayOpen()
    one.raw.socket.pause()
    one.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await until("it was handled", () => gate.held.length === 1)
    for (let n = 0; n < 100; n++) {
      one.raw.socket.pong()
      one.raw.socket.pong("Infinity")
      await second()
    }
    expect(live!.gateway.stats()).toMatchObject({ away: 0, connections: 1 })
    one.raw.send(keyed("k", 2, "Hold", { n: 1 }))
    one.raw.socket.resume()
    expect((await one.raw.answer(2)).result).toBe(1)
    expect(gate.held).toEqual([1])
    one.raw.socket.terminate()
  })
})

describe("what has arrived", () => {
  it("is known by its key alone where it was long: a repeat is told -32005 and not handled again", async () => {
    await lab({ sessionGrace: 3_600_000, maxReplay: 1 })
    const one = await begin()
    gate.stayOpen()
    const value = "x".repeat(10_000)
    one.raw.send(keyed("long", 1, "Deep", { value }))
    one.raw.send(keyed("short", 2, "Hold", { n: 2 }))
    await one.raw.answer(2)
    one.raw.send(keyed("long", 3, "Deep", { value }))
    expect((await one.raw.answer(3)).result).toBe(value)
    await seconds(60, one.raw)
    one.raw.send(keyed("short", 4, "Hold", { n: 2 }))
    expect((await one.raw.answer(4)).result).toBe(2)
    expect(live!.gateway.stats().keptBytes).toBeLessThan(value.length)
    one.raw.send(keyed("long", 5, "Deep", { value }))
    expect((await one.raw.answer(5)).error?.code).toBe(-32005)
    expect(gate.held).toEqual([2])
    one.raw.socket.terminate()
  })

  it("is let go after the grace also while its client is away", async () => {
    await lab({ sessionGrace: 120_000 })
    const one = await begin()
    one.raw.send(call(1, "Kept"))
    await one.raw.answer(1)
    // two heartbeats: it has answered a ping behind it, and that was seen
    await seconds(62, one.raw)
    expect(live!.gateway.stats().keptBytes).toBeGreaterThan(0)
    one.raw.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    await seconds(62)
    expect(live!.gateway.stats()).toMatchObject({ away: 1, keptBytes: 0 })
  })

  it("is forgotten after the grace", async () => {
    await lab()
    const one = await begin()
    gate.stayOpen()
    one.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    one.raw.send([keyed("b", 2, "Hold", { n: 2 }), call(3, "Kept")])
    await one.raw.answer(3)
    const { keptBytes } = live!.gateway.stats()
    expect(keptBytes).toBeGreaterThan(0)
    await seconds(20, one.raw)
    expect(live!.gateway.stats().keptBytes).toBeGreaterThan(0)
    await seconds(100, one.raw)
    expect(live!.gateway.stats()).toMatchObject({ away: 0, keptBytes: 0 })
    expect(flat(one.raw).filter(({ seq }) => seq !== undefined)).toHaveLength(3)
    one.raw.socket.terminate()
  })
})
