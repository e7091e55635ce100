/**
 * Who is given up because nothing goes on, and who is not: under a clock that the test moves.
 */
import { TestClock } from "effect/testing"
import { afterEach, describe, expect, it } from "vitest"
import { Gate, type LabOptions, type Live, open, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

const lab = async (options: LabOptions): Promise<void> => {
  gate = new Gate()
  live = await open(gate, { requestTimeout: "1 hour", ...options }, {}, TestClock.layer())
}
const stats = () => live!.gateway.stats()

/** Seconds pass; `heard`: what this one has answered by then, pings among it, has been read. */
const seconds = async (n: number, heard?: Raw): Promise<void> => {
  for (let passed = 0; passed < n; passed++) {
    await live!.run(TestClock.adjust(1000))
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (heard === undefined) continue
    const answered = new Promise((resolve) => heard.socket.once("pong", resolve))
    heard.socket.ping()
    await answered
  }
}

afterEach(async () => {
  gate.stayOpen()
  let closed = false
  const closing = live?.close().finally(() => void (closed = true))
  while (closing !== undefined && !closed) await seconds(1)
  await closing
  live = undefined
})

describe("a client", () => {
  it("of which something finishes now and then is not stalled, and misses no ping while it is not read", async () => {
    await lab({ heartbeat: 10_000, stallTimeout: 60_000, maxUnfinished: 1 })
    const raw = await Raw.open(`${live!.url}/a`)
    // more than is looked through behind a full window
    for (let n = 1; n <= 5; n++) raw.send(call(n, "Hold", { n, padding: "x".repeat(2000) }))
    for (let n = 1; n <= 5; n++) {
      await until(`${n} is begun`, () => gate.held.length === n)
      await seconds(50)
      gate.open()
    }
    expect((await raw.answer(5)).result).toBe(5)
    expect(stats()).toMatchObject({ connections: 1, closed: {} })
  })

  it("that is slowed is not stalled by that", async () => {
    await lab({ heartbeat: 2000, stallTimeout: 5000, maxMessageRate: 1, floodTimeout: "1 hour" })
    const raw = await Raw.open(`${live!.url}/a`)
    raw.send(Array.from({ length: 30 }, (_, n) => call(n, "Kept")))
    raw.send(call("waits", "Kept"))
    await until("both were read", () => stats().framesIn === 2)
    await seconds(20)
    expect(stats()).toMatchObject({ connections: 1, slowed: 1, closed: {} })
    await seconds(20)
    expect((await raw.answer("waits")).result).toBe(0)
  })

  it("whose window was full for long is stalled from when something waits, not from when it was full", async () => {
    await lab({ heartbeat: 10_000, stallTimeout: 60_000, maxUnfinished: 1 })
    const raw = await Raw.open(`${live!.url}/a`)
    raw.send(call(1, "Count", { to: 1, end: "never" }))
    await raw.frame(({ method }) => method === "$/chunk")
    await seconds(100, raw)
    raw.send(call(2, "Kept"))
    await until("it waits", () => stats().framesIn === 2)
    await seconds(50, raw)
    expect(stats()).toMatchObject({ connections: 1, closed: {} })
    await seconds(30)
    expect(await raw.closed).toBe(1013)
  })

  it("is cut when it has answered neither of two pings", async () => {
    await lab({ heartbeat: 10_000 })
    const raw = await Raw.open(`${live!.url}/a`, { autoPong: false })
    let pings = 0
    raw.socket.on("ping", () => pings++)
    for (let n = 0; n < 100 && stats().connections > 0; n++) await seconds(1)
    expect([await raw.closed, pings]).toEqual([1006, 2])
  })
})
