import { afterEach, describe, expect, it } from "vitest"
import { Gate, type Live, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, { drainTimeout: 200, ...options }, limits)
  return live
}
const client = (key: string): Promise<Raw> => Raw.open(`${live!.url}/${key}`)

/** What came of the stream `id`, in order. */
const values = (raw: Raw, id: number): ReadonlyArray<unknown> =>
  (raw.frames.flat() as ReadonlyArray<Frame>).flatMap((frame) => {
    const params = (
      frame as unknown as { readonly params?: { readonly id: number; readonly values: ReadonlyArray<unknown> } }
    ).params
    return params?.id === id ? params.values : []
  })

const ended = (raw: Raw, id: number): Promise<Frame> => raw.frame((frame) => frame.id === id)

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

describe("a stream that answers a request", () => {
  it("comes as $/chunk notifications, in order, then the ordinary result; the agent is free meanwhile", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 50 }))
    raw.send(call(2, "Count", { to: 3, end: "never" }))
    raw.send(call(3, "Kept"))
    expect(await ended(raw, 1)).toEqual({ jsonrpc: "2.0", id: 1, result: null })
    expect(values(raw, 1)).toEqual(Array.from({ length: 50 }, (_, i) => i))
    expect(await ended(raw, 3)).toMatchObject({ result: 2 })
    await until("all of the second came", () => values(raw, 2).length === 3)
    raw.socket.close()
  })

  it.each([
    ["typed", -32000],
    ["dies", -32603],
    ["unfit", -32603]
  ])("ends with its error: %s is %i", async (end, code) => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 5, end }))
    const frame = await ended(raw, 1)
    expect(frame.error?.code).toBe(code)
    expect(values(raw, 1)).toEqual([0, 1, 2, 3, 4])
    expect(JSON.stringify(frame)).not.toContain("secret")
    expect(gate.streamsEnded).toBe(1)
  })

  it("$/cancel ends it: its producer is interrupted, its finalizer runs once, the answer is -32004", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 3, end: "never" }))
    await until("it came", () => values(raw, 1).length === 3)
    raw.send(notice("$/cancel", { id: 1 }))
    expect((await ended(raw, 1)).error?.code).toBe(-32004)
    await until("its finalizer has run", () => gate.streamsEnded === 1)
    raw.send(call(1, "Kept"))
    expect(await raw.frame((frame) => "result" in frame)).toMatchObject({ id: 1, result: 1 })
  })

  it("a socket that goes ends it too", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 3, end: "never" }))
    await until("it came", () => values(raw, 1).length === 3)
    raw.socket.terminate()
    await until("its finalizer has run", () => gate.streamsEnded === 1)
    await until("nothing is held", () => live!.gateway.stats().heldBytes === 0)
  })

  it("without a first element within requestTimeout it is answered -32003; with one it may take its time", async () => {
    await lab({ requestTimeout: 50 })
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 0, end: "never" }))
    raw.send(call(2, "Count", { to: 1, end: "never" }))
    expect((await ended(raw, 1)).error?.code).toBe(-32003)
    expect(values(raw, 2)).toEqual([0])
    raw.send(call(3, "Kept"))
    await ended(raw, 3)
    expect(raw.frames.flat().some((frame) => (frame as Frame).id === 2)).toBe(false)
    raw.socket.close()
  })

  it("a client that does not read holds the producer up; when it reads, it gets all of it", async () => {
    await lab({ maxOutboxBytes: 65_536 })
    const raw = await client("a")
    raw.socket.pause()
    raw.send(call(1, "Count", { to: 4000, bytes: 4096 }))
    let last = -1
    await until("the producer waits", () => {
      const still = gate.produced > 0 && gate.produced === last && live!.gateway.stats().queuedBytes > 0
      last = gate.produced
      return still
    })
    expect(gate.produced).toBeLessThan(4000)
    raw.socket.resume()
    expect(await ended(raw, 1)).toMatchObject({ result: null })
    expect(values(raw, 1)).toHaveLength(4000)
  })

  it("is ended with -32002 by a drain, when it does not end by itself in half of drainTimeout", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "Count", { to: 1, end: "never" }))
    await until("it came", () => values(raw, 1).length === 1)
    const closing = live!.close()
    expect((await ended(raw, 1)).error?.code).toBe(-32002)
    expect(await raw.closed).toBe(1012)
    await closing
    expect(gate.streamsEnded).toBe(1)
    live = undefined
  })

  it("counts as one unfinished message until it ends", async () => {
    await lab({ maxUnfinished: 2 })
    const raw = await client("a")
    for (const id of [1, 2]) raw.send(call(id, "Count", { to: 1, end: "never" }))
    raw.send(call(3, "Kept"))
    await until("both have begun", () => values(raw, 1).length + values(raw, 2).length === 2)
    expect(live!.gateway.stats().paused).toBe(1)
    raw.socket.close()
  })
})
