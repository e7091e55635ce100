import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Gate, type Live, open, until } from "./Lab.ts"
import { call, notice, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

/** A gateway whose time passes only when the test says so. */
const lab = async (options: Parameters<typeof open>[1] = {}): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, options, {}, TestClock.layer())
  return live
}
const client = (key: string, query = ""): Promise<Raw> => Raw.open(`${live!.url}/${key}${query}`)
const pass = (millis: number): Promise<void> => live!.run(TestClock.adjust(millis))

/** Lets time pass, a millisecond at a time, until the fact holds. */
const passUntil = async (what: string, fact: () => boolean): Promise<void> => {
  for (let n = 0; n < 20_000 && !fact(); n++) {
    await pass(1)
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (!fact()) throw new Error(`time passed in vain until ${what}`)
}

/** How an upgrade is refused. */
const refused = (url: string) =>
  new Promise<{ readonly status: number | undefined; readonly again: string | null }>((resolve) => {
    const socket = new WebSocket(url)
    socket.on("error", () => {})
    socket.on("unexpected-response", (_, { statusCode, headers }) => {
      resolve({ status: statusCode, again: headers["retry-after"] ?? null })
      socket.terminate()
    })
  })

interface Closed {
  readonly code: number
  readonly reason: string
}

/** How each of these was closed, so far. */
const watch = (raws: ReadonlyArray<Raw>): ReadonlyArray<Closed> => {
  const closed: Array<Closed> = []
  for (const { socket } of raws) socket.on("close", (code, reason) => closed.push({ code, reason: reason.toString() }))
  return closed
}

const drained = async <A>(draining: Promise<A>): Promise<A> => {
  let done = false
  const ended = draining.finally(() => void (done = true))
  await passUntil("it is drained", () => done)
  return ended
}

afterEach(async () => {
  gate.stayOpen()
  const closing = live?.close()
  if (closing !== undefined) await drained(closing)
  live = undefined
})

describe("drain", () => {
  it("serves those whose batch has not come, and tells each when it may be back", async () => {
    await lab({ drainBatch: 1, drainSpread: 3000 })
    const raws = [await client("a"), await client("b"), await client("c")]
    const closed = watch(raws)
    // the clock of a host does not begin with its drain
    await pass(10_000)
    const draining = live!.run(live!.gateway.drain)
    await passUntil("the first is closed", () => closed.length === 1)
    expect(closed[0]).toMatchObject({
      code: 1012,
      reason: expect.stringMatching(/^service restart; retry after \d+ ms$/)
    })
    raws[2]!.send(call(1, "Kept"))
    expect((await raws[2]!.answer(1)).result).toBe(0)
    await passUntil("the second is closed", () => closed.length === 2)
    raws[2]!.send(call(2, "Kept"))
    expect((await raws[2]!.answer(2)).result).toBe(0)
    expect(await drained(draining)).toMatchObject({ closed: 3, cut: 0, left: 0, lost: 0 })
    const hints = closed.map(({ reason }) => Number(/\d+/.exec(reason)?.[0]))
    // they went 1,000 ms apart, and come back 1,000 ms apart: each is away for the spread
    for (const hint of hints) expect(Math.abs(hint - 3000)).toBeLessThan(100)
  })

  it("tells who comes meanwhile when the last may be back: upgrades, sessions that come back, and POSTs", async () => {
    await lab({ drainBatch: 1, drainSpread: 3000 })
    const raws = [await client("a", "?session=new"), await client("a", "?session=new")]
    const closed = watch(raws)
    const tokens: Array<string> = []
    for (const raw of raws) tokens.push(((await raw.frame(() => true)).params as { readonly token: string }).token)
    const draining = live!.run(live!.gateway.drain)
    await passUntil("the first is closed", () => closed.length === 1)
    const post = fetch(`${live!.url.replace("ws", "http")}/a`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(call(1, "Kept"))
    })
    const told: Array<unknown> = [[(await post).status, (await post).headers.get("retry-after")]]
    // the first session has ended, the other one is still served
    for (const query of ["", "?session=new", ...tokens.map((token) => `?session=${token}&after=0`)]) {
      const { status, again } = await refused(`${live!.url}/a${query}`)
      told.push([status, again])
    }
    expect(told).toEqual([503, 503, 503, 503, 503].map((status) => [status, "6"]))
    expect(await drained(draining)).toMatchObject({ closed: 2, lost: 0 })
  })

  it("reports what was finished: a request under way when its turn came, and those read behind it", async () => {
    await lab()
    const raw = await client("a")
    for (const n of [1, 2, 3]) raw.send(call(n, "Hold", { n }))
    await until("all were read", () => live!.gateway.stats().framesIn === 3)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    gate.stayOpen()
    expect(await drained(draining)).toMatchObject({ closed: 1, cut: 0, finished: 3, lost: 0, unsentBytes: 0 })
    expect(raw.frames).toHaveLength(3)
  })

  it("closes one that it slowed as soon as what waited is answered, be it the last of it at once", async () => {
    await lab({ drainTimeout: 3000, maxMessageRate: 20 })
    gate.stayOpen()
    const raw = await client("a")
    const closed = watch([raw])
    // two seconds' worth is 40: behind the 41st it waits
    for (let n = 1; n <= 41; n++) raw.send(call(n, "Kept"))
    raw.send(call("last", "NoSuchMethod"))
    await until("it is slowed", () => live!.gateway.stats().slowed === 1)
    await until("all were read", () => live!.gateway.stats().framesIn === 42)
    const report = await drained(live!.run(live!.gateway.drain))
    expect(report).toMatchObject({ closed: 1, cut: 0, lost: 0 })
    expect(await raw.answer("last")).toMatchObject({ error: { code: -32601 } })
    await raw.closed
    expect(closed).toMatchObject([{ code: 1012 }])
  })

  it("leaves the last word to an agent: one that it closes meanwhile gets its code, behind the answers", async () => {
    await lab()
    const raw = await client("a")
    const closed = watch([raw])
    raw.send(call(1, "Hold", { n: 1 }))
    raw.send(call(2, "HangUp", { code: 4403, reason: "out" }))
    await until("both were read", () => live!.gateway.stats().framesIn === 2)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    gate.stayOpen()
    expect(await drained(draining)).toMatchObject({ closed: 0, left: 1, cut: 0, finished: 2, lost: 0 })
    await raw.closed
    expect(closed).toMatchObject([{ code: 4403, reason: "out" }])
    expect(raw.frames).toHaveLength(2)
  })

  it("closes one whose last message waited and has no answer", async () => {
    await lab({ drainTimeout: 3000, maxUnfinished: 1 })
    const [other, raw] = [await client("a"), await client("a")]
    other.send(call(1, "Hold", { n: 1 }))
    await until("its agent is busy", () => gate.held.length === 1)
    for (const method of ["Note", "NoSuchMethod"]) raw.send(notice(method, { n: 2 }))
    await until("both were read", () => live!.gateway.stats().framesIn === 3)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    gate.stayOpen()
    expect(await drained(draining)).toMatchObject({ closed: 2, cut: 0, lost: 0 })
    expect(gate.noted).toEqual([2])
  })

  it("cuts after drainTimeout, and reports what was lost: requests, and sessions that were away", async () => {
    await lab({ drainTimeout: 50 })
    const [slow, away, idle] = [await client("a"), await client("b", "?session=new"), await client("c")]
    slow.send(call(1, "Hold", { n: 1 }))
    slow.send(call(2, "Kept"))
    away.send(call(3, "Hold", { n: 3 }))
    await until("all were read", () => live!.gateway.stats().framesIn === 3)
    away.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    const report = await drained(live!.run(live!.gateway.drain))
    expect(report).toMatchObject({ closed: 1, cut: 1, left: 0, away: 1, finished: 0, lost: 3, unsentBytes: 0 })
    expect(gate.logs.join()).toContain(`gateway on 127.0.0.1:${live!.gateway.port}: drained in `)
    expect(await slow.closed).toBe(1006)
    expect(await idle.closed).toBe(1012)
    expect(live!.gateway.stats()).toMatchObject({ connections: 0, sessions: 0, away: 0 })
  })

  it("waits for the requests of sessions that are away, and ends their streams: nobody comes back to hear them", async () => {
    await lab()
    const away = await client("a", "?session=new")
    away.send(call(1, "Count", { to: 1, end: "never" }))
    await until("it streams", () => gate.produced === 1)
    away.send(call(2, "Hold", { n: 2 }))
    await until("the handler waits", () => gate.held.length === 1)
    away.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    const draining = live!.run(live!.gateway.drain)
    // at once: no time has passed
    await until("its stream has ended", () => gate.streamsEnded === 1)
    expect(gate.interrupted).toEqual([])
    gate.stayOpen()
    expect(await drained(draining)).toMatchObject({ away: 1, finished: 2, lost: 0 })
    expect(gate.interrupted).toEqual([])
  })

  it("ends the streams of those whose turn has come after half of drainTimeout, be it later; the others stream on", async () => {
    await lab({ drainTimeout: 3000, drainBatch: 1, drainSpread: 3000 })
    const raws = [await client("a"), await client("b"), await client("c")]
    const closed = watch(raws)
    for (const raw of raws) raw.send(call(1, "Count", { to: 1, end: "never" }))
    await until("all stream", () => gate.produced === 3)
    const draining = live!.run(live!.gateway.drain)
    await pass(1400)
    expect([gate.streamsEnded, closed.length]).toEqual([0, 0])
    // of three turns the third comes at two thirds
    await passUntil("two are closed", () => closed.length === 2)
    await pass(100)
    expect(gate.streamsEnded).toBe(2)
    raws[2]!.send(call(2, "Kept"))
    expect((await raws[2]!.answer(2)).result).toBe(1)
    expect(await drained(draining)).toMatchObject({ closed: 3, cut: 0, finished: 3, lost: 0 })
    for (const raw of raws) expect((await raw.answer(1)).error?.code).toBe(-32002)
  })

  it("ends the streams of one that leaves before its turn: nobody comes back to hear them", async () => {
    await lab({ drainBatch: 1 })
    const raws = [await client("a"), await client("b", "?session=new")]
    raws[1]!.send(call(1, "Count", { to: 1, end: "never" }))
    await until("it streams", () => gate.produced === 1)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    raws[1]!.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    expect(await drained(draining)).toMatchObject({ closed: 1, cut: 0, left: 1, lost: 0 })
    expect(gate.streamsEnded).toBe(1)
  })

  it("begins nothing that it had not read when its turn came, though there is room again", async () => {
    await lab({ maxUnfinished: 2 })
    const raw = await client("a")
    for (const n of [1, 2]) raw.send(call(n, "Hold", { n }))
    // more than is looked through behind a full window: then it is not read
    raw.send(call(3, "Hold", { n: 3, padding: "x".repeat(2000) }))
    await until("all were read", () => live!.gateway.stats().framesIn === 3)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    raw.send(notice("Note", { n: 4 }))
    for (const n of [2, 3]) {
      gate.open()
      await until(`${n} is begun`, () => gate.held.length === n)
    }
    for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve))
    expect([live!.gateway.stats().framesIn, gate.noted]).toEqual([3, []])
    gate.stayOpen()
    expect(await drained(draining)).toMatchObject({ closed: 1, cut: 0, finished: 3, lost: 0 })
    expect(await raw.closed).toBe(1012)
    expect(raw.frames).toHaveLength(3)
  })

  it("cuts a client that does not read, and reports the bytes that it did not take", async () => {
    await lab({ drainTimeout: 50, maxOutboxBytes: 100_000_000 })
    const raw = await client("a")
    raw.socket.pause()
    raw.send(call(1, "Flood", { frames: 200, bytes: 100_000 }))
    await until("much waits", () => live!.gateway.stats().queuedBytes > 1_000_000)
    const report = await drained(live!.run(live!.gateway.drain))
    expect(report).toMatchObject({ closed: 0, cut: 1, lost: 0 })
    expect(report.unsentBytes).toBeGreaterThan(1_000_000)
    raw.socket.resume()
    expect(await raw.closed).toBe(1006)
  })

  it("reports bytes that waited behind those, too", async () => {
    await lab({ drainTimeout: 50, maxOutboxFrames: 1 })
    const [slow, other] = [await client("a"), await client("a")]
    slow.socket.pause()
    const { gateway } = live!
    for (let n = 1; gateway.stats().queuedBytes === 0; n++) {
      other.send(call(n, "Emit", { event: "Tick", who: "x", from: n, to: n, bytes: 60_000 }))
      await other.answer(n)
    }
    other.send(call("late", "Emit", { event: "Tick", who: "x", from: 1, to: 2, bytes: 60_000 }))
    await other.answer("late")
    expect(gateway.stats().droppedEvents).toBeGreaterThan(0)
    const { framesIn } = gateway.stats()
    slow.send(call("waits", "Kept"))
    await until("it was read", () => gateway.stats().framesIn === framesIn + 1)
    const { queuedBytes } = gateway.stats()
    expect(queuedBytes).toBeGreaterThan(120_000)
    const report = await drained(live!.run(gateway.drain))
    expect(report).toMatchObject({ closed: 1, cut: 1, lost: 1, unsentBytes: queuedBytes })
    slow.socket.resume()
    expect(await slow.closed).toBe(1006)
  })

  it("ends the session of one that it lets go: it is not among those that were away", async () => {
    await lab({ drainBatch: 1, drainSpread: 3000 })
    const raws = [await client("a", "?session=new"), await client("b", "?session=new")]
    const closed = watch(raws)
    const draining = live!.run(live!.gateway.drain)
    await passUntil("the first is closed", () => closed.length === 1)
    expect(live!.gateway.stats()).toMatchObject({ sessions: 1, away: 0 })
    expect(await drained(draining)).toMatchObject({ closed: 2, away: 0, lost: 0 })
  })

  it("counts one that leaves in the midst of it as gone by itself", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const draining = live!.run(live!.gateway.drain)
    await pass(1)
    raw.socket.terminate()
    expect(await drained(draining)).toMatchObject({ closed: 0, cut: 0, left: 1, finished: 0, lost: 0 })
  })

  it("is done once: its scope's end finds it done, and a second asker gets the same report", async () => {
    await lab()
    const raw = await client("a")
    const draining = live!.run(Effect.all([live!.gateway.drain, live!.gateway.drain], { concurrency: 2 }))
    const [one, two] = await drained(draining)
    expect(two).toBe(one)
    expect(await raw.closed).toBe(1012)
    await expect(client("b")).rejects.toThrow("ECONNREFUSED")
  })
})
