import { Effect } from "effect"
import { connect as netConnect, type Socket } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Gate, Lab, type Live, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, options, limits)
  return live
}
const client = (key: string, options = {}): Promise<Raw> => Raw.open(`${live!.url}/${key}`, options)

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

describe("drain", () => {
  it("answers the request under way and those queued behind it, then closes 1012, last", async () => {
    await lab()
    const raw = await client("a")
    for (const n of [1, 2, 3]) raw.send(call(n, "Hold", { n }))
    await until("the first handler waits", () => gate.held.length === 1)
    await until("all three were read", () => live!.gateway.stats().framesIn === 3)
    const closing = live!.close()
    gate.stayOpen()
    expect(await raw.closed).toBe(1012)
    expect(raw.frames).toEqual([1, 2, 3].map((n) => ({ jsonrpc: "2.0", id: n, result: n })))
    await closing
    expect(gate.hooks.at(-1)).toMatch(/left 1012$/)
    live = undefined
  })

  it("refuses new connections while it waits, and cuts what is not answered within drainTimeout", async () => {
    await lab({ drainTimeout: 50 })
    const raw = await client("a")
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const closing = live!.close()
    await expect(client("b")).rejects.toThrow("503")
    expect(await raw.closed).toBe(1006)
    gate.open()
    await closing
    live = undefined
  })
})

describe("the window", () => {
  it("holds 32 unfinished messages of a connection, stops reading, and goes on as they finish, in order", async () => {
    await lab({}, { mailbox: { capacity: 1000 } })
    const raw = await client("w")
    for (let n = 0; n < 200; n++) raw.send(call(n, "Hold", { n }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    const { queued, running } = live!.host.snapshot()
    expect(queued + running).toBe(32)
    gate.stayOpen()
    await raw.answer(199)
    expect(raw.frames.map((frame) => ("id" in frame ? frame.id : undefined))).toEqual([...Array(200).keys()])
    expect(live!.gateway.stats().paused).toBe(0)
  })

  it("is one a connection: another one of the same agent's is read", async () => {
    await lab({ maxUnfinished: 2 })
    const flooder = await client("w")
    for (let n = 0; n < 50; n++) flooder.send(call(n, "Hold", { n }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    const polite = await client("w")
    polite.send(call(1, "Kept"))
    await until("the polite one was read", () => live!.host.snapshot().queued >= 2)
    gate.stayOpen()
    expect((await polite.answer(1)).result).toBe(0)
    flooder.socket.terminate()
  })

  it("counts by bytes too", async () => {
    await lab({ maxUnfinishedBytes: 1000 })
    const raw = await client("w")
    for (let n = 0; n < 20; n++) raw.send(call(n, "Hold", { n, padding: "x".repeat(300) }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    const { queued, running } = live!.host.snapshot()
    expect(queued + running).toBeLessThanOrEqual(4)
    gate.stayOpen()
    await raw.answer(19)
  })

  it("takes any number of empty frames in one go without closing a connection that keeps within a chunk", async () => {
    await lab({ maxUnfinished: 1, maxInvalid: 1_000_000 })
    const raw = await client("w")
    raw.send(call(0, "Hold", { n: 0 }))
    for (let n = 1; n <= 2000; n++) raw.send(notice("Note", { n }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    gate.open()
    await until("all were handled", () => gate.noted.length === 2000)
    expect(gate.noted).toEqual(Array.from({ length: 2000 }, (_, i) => i + 1))
    expect(raw.socket.readyState).toBe(WebSocket.OPEN)
  })
})

describe("events for a client that is too slow", () => {
  /** A client that does not read, one that talks, and what the slow one is sent after the system's buffers are full. */
  const stalled = async (options: Parameters<typeof lab>[0] = {}): Promise<readonly [slow: Raw, other: Raw]> => {
    await lab({ maxOutboxFrames: 4, ...options })
    const slow = await client("s")
    const other = await client("s")
    slow.socket.pause()
    for (let n = 1; live!.gateway.stats().queuedBytes === 0; n++) {
      other.send(call(n, "Emit", { event: "Tick", who: "fill", from: n, to: n, bytes: 60_000 }))
      await other.answer(n)
    }
    return [slow, other]
  }
  const emit = async (other: Raw, id: string, event: string, who: string, to: number): Promise<void> => {
    other.send(call(id, "Emit", { event, who, from: 1, to, bytes: 1 }))
    await other.answer(id)
  }
  const heard = (raw: Raw, who: string): ReadonlyArray<unknown> =>
    (raw.frames as ReadonlyArray<Frame>)
      .map(({ params }) => params as { readonly who?: string; readonly n: number } | undefined)
      .filter((beat) => beat?.who === who)
      .map((beat) => beat?.n)

  it("dropOldest: it is sent the newest that fit, in order, and stays; what was dropped is counted", async () => {
    const [slow, other] = await stalled()
    await emit(other, "a", "Tick", "tick", 100)
    const dropped = live!.gateway.stats().droppedEvents
    expect(dropped).toBeGreaterThanOrEqual(92)
    slow.socket.resume()
    await until("the last has come", () => heard(slow, "tick").at(-1) === 100)
    const numbers = heard(slow, "tick")
    // the room that was left took the first
    expect(numbers.slice(-4)).toEqual([97, 98, 99, 100])
    expect(numbers).toEqual([...(numbers as ReadonlyArray<number>)].toSorted((a, b) => a - b))
    expect(numbers).toHaveLength(100 - dropped)
    slow.send(call("there", "Kept"))
    expect((await slow.answer("there")).result).toBe(0)
  })

  it("coalesce: it is sent the latest of each key, and stays; what was superseded is counted", async () => {
    const [slow, other] = await stalled()
    // one each to fill the room that may be left
    for (const who of ["x", "y"]) await emit(other, who, "Moved", who, 100)
    expect(live!.gateway.stats().coalescedEvents).toBeGreaterThanOrEqual(180)
    slow.socket.resume()
    await until("the last of both has come", () => heard(slow, "x").at(-1) === 100 && heard(slow, "y").at(-1) === 100)
    expect(heard(slow, "x").length + heard(slow, "y").length).toBeLessThanOrEqual(8)
    expect(live!.gateway.stats().closed[1013]).toBeUndefined()
  })

  it("counts frames as sent when they are: not what waits, nor, once more, what gave way; bytes that wait are queued", async () => {
    const [slow, other] = await stalled({ maxOutboxFrames: 1000, maxOutboxBytes: 65_536 })
    const frames = (): number => live!.gateway.stats().framesOut
    let sent = 0
    for (const [id, to, bytes] of [
      ["many", 300, 500],
      ["one", 1, 60_000]
    ] as const) {
      other.send(call(id, "Emit", { event: "Tick", who: "tick", from: 1, to, bytes }))
      await other.answer(id)
      expect(frames()).toBeGreaterThan(sent)
      sent = frames()
    }
    const { droppedEvents, queuedBytes, heldBytes } = live!.gateway.stats()
    expect(droppedEvents).toBeGreaterThan(200)
    expect(queuedBytes).toBe(heldBytes)
    slow.socket.resume()
    await until("the last has come", () => heard(slow, "tick").at(-1) === 1)
    expect(frames()).toBe(slow.frames.length + other.frames.length)
  })

  it("what waits goes out before the close frame of a drain", async () => {
    const [slow, other] = await stalled()
    await emit(other, "a", "Tick", "tick", 3)
    const closing = live!.close()
    slow.socket.resume()
    expect(await slow.closed).toBe(1012)
    expect(heard(slow, "tick")).toEqual([1, 2, 3])
    await closing
    live = undefined
  })
})

describe("a full mailbox", () => {
  it("answers a request -32001, retryable, and makes a notification a dead letter", async () => {
    await lab({}, { mailbox: { capacity: 1 } })
    const raw = await client("full")
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    raw.send(call(2, "Kept"))
    raw.send(call(3, "Kept"))
    expect((await raw.answer(3)).error).toMatchObject({ code: -32001, data: { retryable: true } })
    raw.send(notice("Note", { n: 4 }))
    await until("the notification is a dead letter", () => live!.host.deadLetters().length === 1)
    expect(live!.host.deadLetters()[0]).toMatchObject({ address: "Lab/full", tag: "Note", reason: "mailboxFull" })
    expect(live!.gateway.stats().refused).toBe(2)
    expect(live!.host.imbalances()).toEqual([])
    gate.open()
    expect((await raw.answer(2)).result).toBe(0)
  })
})

describe("how a request ends", () => {
  it("$/cancel interrupts its handler, answers it -32004 and frees its slot", async () => {
    await lab({ maxUnfinished: 2 })
    const raw = await client("c")
    raw.send(call(7, "Hold", { n: 7 }))
    await until("the handler waits", () => gate.held.length === 1)
    raw.send(notice("$/cancel", { id: 7 }))
    expect((await raw.answer(7)).error?.code).toBe(-32004)
    expect(gate.interrupted).toEqual([7])
    for (const n of [8, 9]) raw.send(call(n, "Kept"))
    expect((await raw.answer(9)).result).toBe(0)
  })

  it("$/cancel does not wait behind a full window, whatever waits there, and overtakes nothing else", async () => {
    await lab({ maxUnfinished: 2 })
    const raw = await client("c")
    for (const n of [1, 2, 3]) raw.send(call(n, "Hold", { n }))
    await until("the first handler waits", () => gate.held.length === 1)
    // of a request that waits itself: it keeps its place
    raw.send(notice("$/cancel", { id: 3 }))
    raw.send(notice("$/cancel", { id: 2 }))
    expect((await raw.answer(2)).error?.code).toBe(-32004)
    await until("the third is begun, and cancelled in its turn", () => raw.frames.length === 2)
    expect((await raw.answer(3)).error?.code).toBe(-32004)
    gate.stayOpen()
    expect((await raw.answer(1)).result).toBe(1)
    expect(gate.held).toEqual([1])
  })

  it("$/cancel without an id is refused, and cancels nothing", async () => {
    await lab()
    const raw = await client("c")
    raw.send(call(null, "Hold", { n: 0 }))
    await until("the handler waits", () => gate.held.length === 1)
    raw.send(call(1, "$/cancel", {}))
    expect((await raw.answer(1)).error?.code).toBe(-32602)
    raw.send(call(2, "$/cancel", [null]))
    expect((await raw.answer(2)).error?.code).toBe(-32602)
    gate.open()
    expect((await raw.answer(null)).result).toBe(0)
  })

  it("requestTimeout answers -32003 and says that the handler had begun", async () => {
    await lab({ requestTimeout: 20 })
    const raw = await client("t")
    raw.send(call(1, "Hold", { n: 1 }))
    expect((await raw.answer(1)).error).toEqual({ code: -32003, message: "Timeout", data: { started: true } })
  })

  it("a typed error is -32000 with its encoded value; the agent's state and life go on", async () => {
    await lab()
    const raw = await client("e")
    raw.send(call(1, "Mute"))
    expect((await raw.answer(1)).error).toEqual({
      code: -32000,
      message: "Muted",
      data: { _tag: "Muted", until: "1970-01-01T00:00:00.000Z" }
    })
    expect(live!.host.snapshot().restarts).toBe(0)
  })

  it.each(["Fail", "Liar", "Odd"])("%s is -32603 with an incident and nothing else", async (method) => {
    await lab()
    const raw = await client("f")
    raw.send(call(1, method))
    const { error } = await raw.answer(1)
    expect(error).toEqual({ code: -32603, message: "Internal error", data: { incident: expect.any(String) } })
    raw.send(call(2, "Kept"))
    expect((await raw.answer(2)).result).toBe(0)
  })

  it("a Schema that throws costs its sender an answer -32603, nobody a process", async () => {
    await lab()
    const raw = await client("s")
    raw.send(call(1, "Touch", { text: "boom" }))
    const { error } = await raw.answer(1)
    expect(error).toMatchObject({ code: -32603 })
    expect(JSON.stringify(error)).not.toContain("secret")
    raw.send(notice("Touch", { text: "boom" }))
    raw.send(call(2, "Touch", { text: "fine" }))
    expect((await raw.answer(2)).result).toBeNull()
  })

  it("a message nested over maxDepth is refused by name before it is parsed, and its connection goes on", async () => {
    await lab({ maxDepth: 10 })
    const raw = await client("deep")
    const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`
    const deep = (id: number, depth: number) =>
      raw.send(`{"jsonrpc":"2.0","id":${id},"method":"Deep","params":{"value":${nested(depth)}}}`)
    deep(1, 30_000)
    expect((await raw.answer(null)).error).toMatchObject({ code: -32600, data: "lists and records over 10 deep" })
    deep(2, 8)
    expect((await raw.answer(2)).error).toBeUndefined()
    deep(3, 9)
    await until("the third is refused", () => raw.frames.length === 3)
    expect(raw.frames[2]).toMatchObject({ id: null, error: { code: -32600 } })
  })

  it("an event that its Schema refuses is reported, and the connection goes on", async () => {
    await lab()
    const raw = await client("s")
    raw.send(call(1, "WrongEvent"))
    expect((await raw.answer(1)).result).toBeNull()
    raw.send(call(2, "Kept"))
    expect((await raw.answer(2)).result).toBe(0)
    expect(raw.frames).toHaveLength(2)
  })

  it("a batch is answered once, as one array, when its last request is", async () => {
    await lab()
    const raw = await client("b")
    raw.send([call(1, "Kept"), notice("Note", { n: 1 }), call(2, "Hold", { n: 2 }), call(3, "Kept")])
    await until("the handler waits", () => gate.held.length === 1)
    expect(raw.frames).toEqual([])
    gate.open()
    await raw.answer(3)
    expect(raw.frames.map((frame) => (Array.isArray(frame) ? frame.map((f) => f.id) : frame))).toEqual([[1, 2, 3]])
    raw.send([notice("Note", { n: 2 }), notice("Note", { n: 3 })])
    raw.send(call(4, "Kept"))
    expect((await raw.answer(4)).result).toBe(3)
    expect(raw.frames).toHaveLength(2)
  })
})

describe("a client", () => {
  it("that vanishes: its requests are cancelled, its agent hears it, once, and nothing is left", async () => {
    await lab()
    const raw = await client("v")
    for (const n of [1, 2, 3]) raw.send(call(n, "Hold", { n }))
    await until("the first handler waits", () => gate.held.length === 1)
    await until("all were read", () => live!.gateway.stats().framesIn === 3)
    raw.socket.terminate()
    await until("the agent hears it", () => gate.hooks.length === 2)
    expect(gate.hooks.map((hook) => hook.replace(/^c\d+ /, ""))).toEqual(["connected", "left 1006"])
    expect(gate.interrupted).toEqual([1])
    await until("the gateway lets it go", () => live!.gateway.stats().connections === 0)
    expect(live!.host.snapshot()).toMatchObject({ queued: 0, running: 0, deadLetters: { cancelled: 2 } })
  })

  it("that does not read is closed 1013 by its events; the others get theirs", async () => {
    await lab({ maxOutboxBytes: 65_536, maxOutboxFrames: 8 })
    const slow = await client("r")
    const quick = await client("r")
    slow.socket.pause()
    let heard = 0
    quick.socket.on("message", () => heard++)
    for (
      let n = 0;
      live!.gateway.stats().connections === 2 && slow.socket.readyState === WebSocket.OPEN && n < 400;
      n++
    ) {
      quick.send(call(n, "Flood", { frames: 1, bytes: 30_000 }))
      await quick.answer(n)
    }
    slow.socket.resume()
    expect(await slow.closed).toBe(1013)
    quick.send(call(1000, "Kept"))
    expect((await quick.answer(1000)).result).toBe(0)
    expect(quick.socket.readyState).toBe(WebSocket.OPEN)
  })

  it("that answers no ping is cut; one that does stays, however many there are", async () => {
    await lab({ heartbeat: 30 })
    const well = await Promise.all(Array.from({ length: 60 }, () => client("h")))
    const deaf = await Promise.all(Array.from({ length: 60 }, () => client("h", { autoPong: false })))
    expect(await Promise.all(deaf.map(({ closed }) => closed))).toEqual(deaf.map(() => 1006))
    for (const raw of well) raw.send(call(1, "Kept"))
    for (const raw of well) expect((await raw.answer(1)).result).toBe(0)
    expect(live!.gateway.stats().connections).toBe(60)
  })

  it("that vanishes while it is not read is found by the pings written to it", async () => {
    await lab({ heartbeat: 30, maxUnfinished: 1 })
    const raw = await client("h")
    for (let n = 0; n < 3000; n++) raw.send(call(n, "Hold", { n }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    raw.socket.terminate()
    await until("the gateway lets it go", () => live!.gateway.stats().connections === 0)
    expect(gate.interrupted).toEqual([0])
  })

  it("that does not answer its close frame is cut after handshakeTimeout", async () => {
    await lab({ handshakeTimeout: 50 })
    const raw = await client("h")
    raw.send(call(1, "HangUp", { code: 4000, reason: "bye" }))
    raw.socket.pause()
    await until("it is gone", () => live!.gateway.stats().closed[4000] === 1)
    raw.socket.terminate()
  })

  it("has a batch begun as a whole where there is room for one message, and nothing behind it", async () => {
    await lab({ maxUnfinished: 2, maxBatch: 3 }, { mailbox: { capacity: 100 } })
    const raw = await client("h")
    const hold = (n: number) => call(n, "Hold", { n })
    raw.send(hold(1))
    raw.send([hold(2), hold(3), hold(4)])
    raw.send(hold(5))
    await until("all have come", () => live!.gateway.stats().framesIn === 3)
    const { queued, running } = live!.host.snapshot()
    expect(queued + running).toBe(4)
    gate.stayOpen()
    expect((await raw.answer(5)).result).toBe(5)
    raw.socket.terminate()
  })

  it("of which nothing finishes for stallTimeout is closed 1013", async () => {
    await lab({ heartbeat: 30, stallTimeout: 60, maxUnfinished: 1 })
    const raw = await client("h")
    for (let n = 0; n < 3; n++) raw.send(call(n, "Hold", { n }))
    expect(await raw.closed).toBe(1013)
  })

  it("whose window is full of streams that wait for their producers is no stalled one: it is pinged, and heard", async () => {
    await lab({ heartbeat: 30, stallTimeout: 60, maxUnfinished: 2 })
    const raw = await client("h")
    let pings = 0
    raw.socket.on("ping", () => void pings++)
    for (const n of [1, 2]) raw.send(call(n, "Count", { to: 1, end: "never" }))
    await until("both have begun", () => raw.frames.length === 2)
    await until("many a heartbeat has passed", () => pings >= 20)
    expect(live!.gateway.stats().closed).toEqual({})
    raw.send(notice("$/cancel", { id: 1 }))
    raw.send(call(3, "Kept"))
    expect((await raw.answer(3)).result).toBe(2)
    raw.socket.terminate()
  })

  it("whose window is full of such streams is stalled from when something waits behind them, and gone when it answers no ping", async () => {
    await lab({ heartbeat: 30, stallTimeout: 60, maxUnfinished: 2 })
    const [waits, gone] = [await client("h"), await client("h")]
    for (const raw of [waits, gone]) {
      for (const n of [1, 2]) raw.send(call(n, "Count", { to: 1, end: "never" }))
      await until("both have begun", () => raw.frames.length === 2)
    }
    gone.socket.pause()
    waits.send(call(3, "Kept"))
    expect(await waits.closed).toBe(1013)
    await until("the other is cut", () => live!.gateway.stats().connections === 0)
    expect(live!.gateway.stats().closed).toEqual({ 1006: 1, 1013: 1 })
    gone.socket.terminate()
  })

  it("that sends more than its backlog while it is not read is closed 1008", async () => {
    await lab({ maxUnfinished: 1, maxBacklogBytes: 200 })
    const raw = await client("h")
    for (let n = 0; n < 100; n++) raw.send(call(n, "Hold", { n }))
    expect(await raw.closed).toBe(1008)
  })

  it.each([
    ["1002", "a frame that breaks the protocol", Buffer.from([0xff, 0x80, 0, 0, 0, 0])],
    ["1007", "text that is no UTF-8", Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0xff])]
  ])("is closed %s for %s", async (code, _name, bytes) => {
    await lab()
    const raw = await client("u")
    ;(raw.socket as unknown as { readonly _socket: Socket })._socket.write(bytes)
    expect(String(await raw.closed)).toBe(code)
    await until("it is counted", () => live!.gateway.stats().closed[Number(code)] === 1)
    await until("its agent hears it", () => gate.hooks.at(-1)?.endsWith(`left ${code}`) === true)
  })

  it("that closes with a code that is ours, or with any, is one of those that clients closed; the usual have their own", async () => {
    await lab()
    for (const code of [1012, 1008, 4401, 3000, 4999, 1000, 1001]) {
      const raw = await client("c")
      raw.socket.close(code)
      await raw.closed
    }
    await until("all are gone", () => live!.gateway.stats().connections === 0)
    expect(live!.gateway.stats().closed).toEqual({ client: 5, 1000: 1, 1001: 1 })
  })

  it("that sends a frame over the limit is told 1009, however much is still under way", async () => {
    await lab()
    const raw = await client("l")
    raw.send(JSON.stringify(call(1, "Note", { n: 1, padding: "x".repeat(4_000_000) })))
    expect(await raw.closed).toBe(1009)
    await until("it is counted", () => live!.gateway.stats().closed[1009] === 1)
  })

  it("keeps its connection over its agent's restart, which greets it before any mail", async () => {
    await lab()
    const raw = await client("k")
    raw.send(call(1, "Fail"))
    await raw.answer(1)
    raw.send(call(2, "Kept"))
    expect((await raw.answer(2)).result).toBe(0)
    expect(gate.hooks.map((hook) => hook.replace(/^c\d+ /, ""))).toEqual(["connected", "restarted"])
  })

  it("of an agent that stops is closed 1001", async () => {
    await lab()
    const raw = await client("k")
    raw.send(notice("Stop"))
    expect(await raw.closed).toBe(1001)
  })

  it("gets an answer to all that its agent had taken before it is closed 1001", async () => {
    await lab({}, { supervision: { restart: "temporary" } })
    const raw = await client("s")
    for (const id of [1, 2, 3]) raw.send(call(id, id === 1 ? "Fail" : "Kept"))
    expect(await raw.closed).toBe(1001)
    expect((raw.frames as ReadonlyArray<Frame>).map(({ id, error }) => `${String(id)}: ${error?.code}`)).toEqual([
      "1: -32603",
      "2: -32002",
      "3: -32002"
    ])
  })

  it("that its agent has not greeted yet is closed 1001 too when the agent stops", async () => {
    await lab()
    const first = await client("k")
    first.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const second = await client("k")
    await Effect.runPromise(live!.host.at(Lab, "k").stop())
    expect([await first.closed, await second.closed]).toEqual([1001, 1001])
    expect(gate.hooks.length).toBe(1)
  })

  it("gets the answer to the call that hangs up, then the close code of the agent's", async () => {
    await lab()
    const raw = await client("k")
    raw.send(call(1, "HangUp", { code: 4000, reason: "enough" }))
    expect(await raw.closed).toBe(4000)
    expect((await raw.answer(1)).result).toBeNull()
  })

  it.each([
    ["a code that no endpoint may send", { code: 1006, reason: "" }],
    ["1012, which says that nothing of it was taken", { code: 1012, reason: "" }],
    ["4001, which says that another has its session", { code: 4001, reason: "" }],
    ["4401, which says that its principal expired", { code: 4401, reason: "" }],
    ["a reason over 123 bytes", { code: 4000, reason: "ü".repeat(100) }]
  ])("is not held by %s", async (_name, params) => {
    await lab()
    const raw = await client("k")
    raw.send(call(1, "HangUp", params))
    expect((await raw.answer(1)).error?.code).toBe(-32603)
    raw.send(call(2, "Kept"))
    await Promise.race([raw.answer(2).catch(() => {}), raw.closed])
    const other = await client("k")
    other.send(call(1, "Kept"))
    expect((await other.answer(1)).result).toBe(0)
  })
})

describe("messages a second", () => {
  it("past maxMessageRate are not read until there are tokens again, and none is lost", async () => {
    await lab({ maxMessageRate: 100 })
    const raw = await client("fast")
    for (let n = 0; n < 260; n++) raw.send(call(n, "Kept"))
    await until("it is paused", () => live!.gateway.stats().slowed === 1)
    expect(live!.gateway.stats().paused).toBe(1)
    for (let n = 0; n < 260; n++) expect((await raw.answer(n)).error).toBeUndefined()
    await until("it reads again", () => live!.gateway.stats().paused + live!.gateway.stats().slowed === 0)
  })

  it("close 1008 who keeps pressing for floodTimeout", async () => {
    await lab({ maxMessageRate: 100, floodTimeout: 1 })
    const raw = await client("flood")
    for (let n = 0; n < 2000; n++) raw.send(notice("Note", { n }))
    expect(await raw.closed).toBe(1008)
    await until("it is gone", () => live!.gateway.stats().connections + live!.gateway.stats().slowed === 0)
  })
})

describe("the door", () => {
  it("holds maxConnections; one more gets HTTP 503", async () => {
    await lab({ maxConnections: 2 })
    await client("a")
    const second = await client("b")
    await expect(client("c")).rejects.toThrow("503")
    second.socket.close()
    await second.closed
    await until("there is room", () => live!.gateway.stats().connections === 1)
    expect((await client("c")).socket.readyState).toBe(WebSocket.OPEN)
  })

  it("has maxAgents made by connections; a new key then gets HTTP 503, one that lives does not", async () => {
    await lab({ maxAgents: 1 })
    const first = await client("a")
    await expect(client("b")).rejects.toThrow("503")
    const second = await client("a")
    second.send(call(1, "Kept"))
    expect(await second.frame(({ id }) => id === 1)).toMatchObject({ result: 0 })
    first.socket.close()
  })

  it("answers one plain HTTP request a socket, and says which paths are agents", async () => {
    await lab()
    const { hostname, port } = new URL(live!.url)
    const socket = netConnect(Number(port), hostname)
    let heard = ""
    socket.on("data", (chunk) => (heard += String(chunk)))
    socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100))
    await until("the server has hung up", () => socket.closed)
    expect(heard.match(/HTTP\/1.1 200/g)).toHaveLength(1)
    const http = live!.url.replace(/^ws/, "http")
    expect((await fetch(`${http}/a`)).status).toBe(426)
    expect((await fetch(http)).status).toBe(404)
  })

  it("lets nobody in while all connections together hold four fifths of their bytes, and each reads one message", async () => {
    await lab({ maxHeldBytes: 65_536, maxUnfinished: 1000 }, { mailbox: { capacity: 1000 } })
    const raw = await client("a")
    for (let n = 0; n < 20; n++) raw.send(call(n, "Hold", { n, padding: "x".repeat(6000) }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    const { queued, running } = live!.host.snapshot()
    expect(queued + running).toBe(11)
    await expect(client("b")).rejects.toThrow("503")
    gate.stayOpen()
    await raw.answer(19)
    await until("nothing is held", () => live!.gateway.stats().heldBytes === 0)
    expect((await client("b")).socket.readyState).toBe(WebSocket.OPEN)
  })

  it("closes a quarantined agent's client 1013, and survives what such a client sends", async () => {
    await lab({}, { supervision: { intensity: { restarts: 0 }, backoff: { min: 1, max: 1 } } })
    const raw = await client("q")
    raw.send(call(1, "Fail"))
    await raw.closed
    expect(await (await client("q")).closed).toBe(1013)
    const { gateway } = live!
    const hostile = netConnect({ port: gateway.port, host: gateway.host })
    hostile.on("error", () => {}).on("data", () => {})
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    hostile.write(`GET /agents/Lab/q HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Key: ${"A".repeat(22)}==\r\n\r\n`)
    hostile.write(Buffer.alloc(64, 0xff))
    hostile.end()
    await new Promise((resolve) => hostile.once("close", resolve))
    expect((await client("other")).socket.readyState).toBe(WebSocket.OPEN)
  })

  it("agrees to no subprotocol that it does not know", async () => {
    const { url } = await lab()
    const socket = new WebSocket(`${url}/a`, ["jsonrpc", "effect"])
    await expect(new Promise((_, reject) => socket.once("error", reject))).rejects.toThrow("no subprotocol")
  })

  it("closes 1008 on a frame sent in crumbs", async () => {
    await lab()
    const raw = await client("a")
    for (let i = 0; i < 5000; i++) raw.socket.send("x", { fin: false })
    expect(await raw.closed).toBe(1008)
    await until("it is counted", () => live!.gateway.stats().closed[1008] === 1)
  })

  it("lets go of a peer it refused that never hangs up itself", async () => {
    const { gateway } = await lab()
    const socket = netConnect({ port: gateway.port, host: gateway.host, allowHalfOpen: true })
    socket.on("error", () => {})
    socket.write("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    const answer = await new Promise<Buffer>((resolve) => socket.once("data", resolve))
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 404/)
    let gone = false
    socket.once("close", () => (gone = true))
    await until("the server has closed its side for good", () => {
      if (!gone) socket.write("x")
      return gone
    })
  })
})
