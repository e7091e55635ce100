import {
  type ClientOptions,
  Closed,
  connect,
  Disconnected,
  FrameTooLarge,
  InvalidOption,
  QueueFull,
  RpcCode,
  RpcError,
  type Status,
  TimedOut
} from "troupe/client"
import { describe, expect, it } from "vitest"
import { outcome, World } from "./World.ts"

const url = "ws://host/agents/Lab/a"

const opened = (options: ClientOptions = {}) => {
  const world = new World()
  const client = connect(url, world.options(options))
  world.socket.open()
  return { world, client, socket: world.socket }
}

describe("ask", () => {
  it("resolves with the answer to its own request, whatever the order of answers", async () => {
    const { client, socket } = opened()
    const first = client.ask("Add", { by: 1 })
    const second = client.ask("Read")
    expect(socket.sent).toEqual([
      { jsonrpc: "2.0", id: 1, method: "Add", params: { by: 1 } },
      { jsonrpc: "2.0", id: 2, method: "Read" }
    ])
    socket.receive([
      { jsonrpc: "2.0", id: 2, result: "two" },
      { jsonrpc: "2.0", id: 1, result: "one" }
    ])
    expect(await Promise.all([first, second])).toEqual(["one", "two"])
  })

  it("rejects with the server's error: code, message, data, and the tag of an application's", async () => {
    const { client, socket } = opened()
    const typed = outcome(client.ask("Add", { by: 1 }))
    socket.refuse(1, { code: -32000, message: "OutOfRange", data: { _tag: "OutOfRange", count: 5 } })
    const error = (await typed) as RpcError<{ count: number }>
    expect(error).toBeInstanceOf(RpcError)
    expect(error).toMatchObject({ method: "Add", code: RpcCode.application, message: "OutOfRange", tag: "OutOfRange" })
    expect(error.data.count).toBe(5)
    expect(client.failed("Add", error)).toBe(true)
    expect(client.failed("Read", error)).toBe(false)

    const busy = outcome(client.ask("Add", { by: 1 }))
    socket.refuse(2, { code: -32001, message: "Busy", data: { retryable: true } })
    const refused = (await busy) as RpcError
    expect(refused).toMatchObject({ code: RpcCode.busy, tag: undefined, data: { retryable: true } })
    expect(client.failed("Add", refused)).toBe(false)
  })

  it("given up by its signal, rejects with its reason and tells the server", async () => {
    const { client, socket } = opened()
    const controller = new AbortController()
    const answer = outcome(client.ask("Slow", {}, { signal: controller.signal }))
    const reason = new Error("changed my mind")
    controller.abort(reason)
    expect(await answer).toBe(reason)
    expect(socket.sent.at(-1)).toEqual({ jsonrpc: "2.0", method: "$/cancel", params: { id: 1 } })
    socket.refuse(1, { code: -32004, message: "Cancelled" })
    expect(client.status.state).toBe("open")
  })

  it("with a signal that has fired is never sent", async () => {
    const { client, socket } = opened()
    const answer = await outcome(client.ask("Slow", {}, { signal: AbortSignal.abort("no") }))
    expect(answer).toBe("no")
    expect(socket.sent).toEqual([])
  })

  it("times out after 35 s, tells the server, and says that it was sent", async () => {
    const { world, client, socket } = opened({ heartbeatMillis: Infinity })
    const answer = outcome(client.ask("Slow"))
    world.advance(34_999)
    expect(socket.methods).toEqual(["Slow"])
    world.advance(1)
    expect(await answer).toMatchObject({ _tag: "TimedOut", method: "Slow", millis: 35_000, sent: true })
    expect(socket.methods).toEqual(["Slow", "$/cancel"])
  })

  it("leaves no timer and no listener behind, however it ends", async () => {
    const { world, client, socket } = opened({ heartbeatMillis: Infinity })
    const { signal } = new AbortController()
    const removed: Array<string> = []
    signal.removeEventListener = (name: string) => void removed.push(name)
    const answers = [1, 2, 3].map(() => outcome(client.ask("Read", undefined, { signal, timeoutMillis: 50 })))
    expect(world.pending).toBe(3)
    socket.answer(1, null)
    socket.refuse(2, { code: -32603, message: "Internal error" })
    socket.end(4000)
    await Promise.all(answers)
    expect(world.pending).toBe(0)
    expect(removed).toEqual(["abort", "abort", "abort"])
  })

  it("refuses params that JSON-RPC has not, options it does not know, and a message over maxFrameBytes", async () => {
    const { client, socket } = opened({ maxFrameBytes: 100 })
    expect(await outcome(client.ask("A", 5))).toBeInstanceOf(InvalidOption)
    expect(await outcome(client.ask("A", {}, { timeout: 5 } as never))).toBeInstanceOf(InvalidOption)
    expect(await outcome(client.ask("A", {}, { timeoutMillis: 0 }))).toBeInstanceOf(InvalidOption)
    expect(await outcome(client.ask("A", { n: 5n }))).toBeInstanceOf(TypeError)
    const tooLarge = await outcome(client.ask("A", { text: "ü".repeat(50) }))
    expect(tooLarge).toBeInstanceOf(FrameTooLarge)
    expect(tooLarge).toMatchObject({ maxBytes: 100 })
    expect(socket.sent).toEqual([])
  })
})

describe("the window", () => {
  it("holds 24 requests without an answer, and lets the next go with each answer, in order", () => {
    const { client, socket } = opened()
    for (let n = 0; n < 30; n++) void outcome(client.ask("Slow"))
    client.notify("Note")
    expect(socket.sent.length).toBe(24)
    for (let id = 1; id <= 6; id++) socket.answer(id, null)
    expect(socket.ids.slice(24)).toEqual([25, 26, 27, 28, 29, 30, undefined])
  })

  it("keeps the place of a request that was given up until its answer has come", async () => {
    const { client, socket } = opened({ maxInFlight: 1 })
    const controller = new AbortController()
    const given = outcome(client.ask("Slow", {}, { signal: controller.signal }))
    const next = client.ask("Next")
    controller.abort()
    await given
    expect(socket.methods).toEqual(["Slow", "$/cancel"])
    socket.refuse(1, { code: -32004, message: "Cancelled" })
    expect(socket.methods).toEqual(["Slow", "$/cancel", "Next"])
    socket.answer(2, 7)
    expect(await next).toBe(7)
  })

  it("writes no more while the socket buffers over 64 KiB, and looks again every 20 ms", () => {
    const { world, client, socket } = opened()
    socket.bufferedAmount = 65_537
    client.notify("A")
    client.notify("B")
    expect(socket.sent).toEqual([])
    world.advance(20)
    expect(socket.sent).toEqual([])
    socket.bufferedAmount = 0
    client.notify("C")
    expect(socket.sent).toEqual([])
    world.advance(20)
    expect(socket.methods).toEqual(["A", "B", "C"])
  })
})

describe("the queue", () => {
  it("keeps what is asked without a connection, and sends it in order once there is one", async () => {
    const world = new World()
    const client = connect(url, world.options())
    const answer = client.ask("First")
    client.notify("Second")
    void outcome(client.ask("Third"))
    expect(world.socket.sent).toEqual([])
    world.socket.open()
    expect(world.socket.methods).toEqual(["First", "Second", "Third"])
    world.socket.answer(1, "hello")
    expect(await answer).toBe("hello")
  })

  it("refuses at once, by name, what is over its count or its bytes", async () => {
    const world = new World()
    const client = connect(url, world.options({ maxQueued: 2, maxQueuedBytes: 200 }))
    client.notify("A")
    expect(await outcome(client.ask("B", { text: "x".repeat(200) }))).toBeInstanceOf(QueueFull)
    client.notify("C")
    expect(await outcome(client.ask("D"))).toMatchObject({ _tag: "QueueFull", method: "D", queued: 2 })
    expect(() => client.notify("E")).toThrow(QueueFull)
    world.socket.open()
    expect(world.socket.methods).toEqual(["A", "C"])
  })

  it("gives up a request that waits without a word to the server, and has its room again", async () => {
    const world = new World()
    const client = connect(url, world.options({ maxQueued: 1, timeoutMillis: 10, connectTimeoutMillis: 1000 }))
    const late = outcome(client.ask("A"))
    world.advance(10)
    expect(await late).toMatchObject({ _tag: "TimedOut", sent: false })
    const controller = new AbortController()
    const aborted = outcome(client.ask("B", {}, { signal: controller.signal }))
    controller.abort("enough")
    expect(await aborted).toBe("enough")
    client.notify("C")
    world.socket.open()
    expect(world.socket.methods).toEqual(["C"])
  })
})

describe("the queue's books", () => {
  it("give back the bytes of what was given up, and of what was sent", async () => {
    const world = new World()
    const text = "x".repeat(100)
    const client = connect(url, world.options({ maxQueuedBytes: 200, heartbeatMillis: Infinity }))
    for (let n = 0; n < 3; n++) {
      const controller = new AbortController()
      const aborted = outcome(client.ask("A", { text }, { signal: controller.signal }))
      controller.abort("enough")
      expect(await aborted).toBe("enough")
    }
    for (let n = 0; n < 3; n++) {
      client.notify("A", { text })
      expect(() => client.notify("A", { text })).toThrow(QueueFull)
      world.socket.open()
      expect(world.socket.methods).toEqual(["A"])
      world.socket.end(1006)
      world.advance(world.next!)
    }
  })

  it("take in what was never taken, though it is over the bounds", async () => {
    const { world, client, socket } = opened({ maxQueued: 1 })
    const answers = [client.ask("A"), client.ask("B")]
    socket.end(1012)
    expect(() => client.notify("C")).toThrow(QueueFull)
    world.advance(50)
    world.socket.open()
    world.socket.answer(1, "a")
    world.socket.answer(2, "b")
    expect(await Promise.all(answers)).toEqual(["a", "b"])
  })
})

describe("a lost connection", () => {
  it.each([1001, 1006, 1011, 1013])("by %i fails written requests as unknown, and keeps the others", async (code) => {
    const { world, client, socket } = opened({ maxInFlight: 1 })
    const written = outcome(client.ask("Written"))
    const waiting = client.ask("Waiting")
    socket.end(code, "why")
    expect(await written).toMatchObject({ _tag: "Disconnected", unknown: true, method: "Written", code, reason: "why" })
    world.advance(30_000)
    world.socket.open()
    expect(world.socket.methods).toEqual(["Waiting"])
    world.socket.answer(2, "here")
    expect(await waiting).toBe("here")
  })

  it("by 1012 comes back no earlier than its reason says, and no later than any other delay allows", () => {
    const { client, socket } = opened({ minDelayMillis: 50, maxDelayMillis: 30_000 })
    socket.end(1012, "service restart; retry after 4000 ms")
    const { status } = client
    expect(status).toMatchObject({ state: "waiting" })
    const { delayMillis } = status as { readonly delayMillis: number }
    expect(delayMillis).toBeGreaterThanOrEqual(4000)
    expect(delayMillis).toBeLessThanOrEqual(4050)
    const other = opened({ minDelayMillis: 50, maxDelayMillis: 1000 })
    other.socket.end(1012, "service restart; retry after 4000000 ms")
    expect((other.client.status as { readonly delayMillis: number }).delayMillis).toBeLessThanOrEqual(1050)
    for (const each of [client, other.client]) each.close()
  })

  it("by 1012 sends again what has no answer, first and in order: it was never taken", async () => {
    const { world, client, socket } = opened({ maxInFlight: 2 })
    const answers = ["A", "B", "C", "D"].map((method) => client.ask(method))
    client.notify("E")
    socket.answer(1, "a")
    expect(socket.methods).toEqual(["A", "B", "C"])
    socket.end(1012, "service restart")
    world.advance(50)
    world.socket.open()
    expect(world.socket.ids).toEqual([2, 3])
    for (const id of [2, 3, 4]) world.socket.answer(id, id)
    expect(world.socket.ids).toEqual([2, 3, 4, undefined])
    expect(await Promise.all(answers)).toEqual(["a", 2, 3, 4])
  })

  it("by 1012 does not send again what nobody waits for", async () => {
    const { world, client, socket } = opened()
    const controller = new AbortController()
    const given = outcome(client.ask("A", {}, { signal: controller.signal }))
    controller.abort("no")
    await given
    client.notify("B")
    socket.end(1012)
    world.advance(50)
    world.socket.open()
    expect(world.socket.sent).toEqual([])
  })

  it("a request under way at 1012 still times out by its own clock", async () => {
    const { world, client, socket } = opened({ timeoutMillis: 100 })
    const answer = outcome(client.ask("A"))
    world.advance(90)
    socket.end(1012)
    world.advance(10)
    expect(await answer).toMatchObject({ _tag: "TimedOut", sent: false })
    world.advance(40)
    world.socket.open()
    expect(world.socket.sent).toEqual([])
  })

  it("hands over nothing of a socket that was given up", async () => {
    const { world, client, socket } = opened()
    const heard: Array<unknown> = []
    client.on("Said", (payload) => heard.push(payload))
    const { onmessage, onclose } = socket
    socket.end(1006)
    expect(socket.onmessage).toBeNull()
    expect([onmessage, onclose]).not.toContain(null)
    world.advance(50)
    world.socket.open()
    socket.event("Said", { text: "late" })
    socket.end(4000)
    expect(heard).toEqual([])
    expect(client.status.state).toBe("open")
  })
})

describe("coming back", () => {
  const states = (status: ReadonlyArray<Status>) => status.map(({ state }) => state)

  it("waits a random part of 50 ms, doubling while attempts are vain, and begins anew after 10 s of connection", () => {
    const world = new World()
    world.random = 1
    connect(url, world.options({ heartbeatMillis: Infinity }))
    const delays: Array<number | undefined> = []
    const fail = () => {
      world.socket.end(1006)
      delays.push(world.next)
      world.advance(world.next!)
    }
    for (let n = 0; n < 4; n++) fail()
    world.socket.open()
    world.advance(9999)
    fail()
    world.socket.open()
    world.advance(10_000)
    fail()
    world.random = 0.25
    fail()
    expect(delays).toEqual([50, 100, 200, 400, 800, 50, 25])
  })

  it("backs off from 1.6 s after 1013", () => {
    const { world, socket, client } = opened()
    world.advance(20_000)
    world.random = 1
    socket.end(1013, "stalled")
    expect(client.status).toMatchObject({ state: "waiting", delayMillis: 1600, code: 1013, reason: "stalled" })
  })

  it.each([1000, 1003, 1007, 1008, 1009, 3000, 4401])("does not, after %i: says so, and refuses", async (code) => {
    const { world, client, socket } = opened()
    const seen: Array<Status> = []
    client.onStatus((status) => seen.push(status))
    const written = outcome(client.ask("A"))
    socket.end(code, "why")
    expect(await written).toBeInstanceOf(Disconnected)
    expect(seen).toEqual([{ state: "closed", code, reason: "why", local: false }])
    expect(await outcome(client.ask("B"))).toMatchObject({ _tag: "Closed", code, reason: "why", local: false })
    expect(() => client.notify("B")).toThrow(Closed)
    expect(world.pending).toBe(0)
    expect(world.sockets.length).toBe(1)
  })

  it("gives up a connection that does not open within 10 s", () => {
    const world = new World()
    const client = connect(url, world.options())
    const first = world.socket
    world.advance(10_000)
    expect(first.closedBy).toBeDefined()
    expect(client.status).toMatchObject({ state: "waiting", code: 1006, reason: "no connection within 10000 ms" })
    world.advance(50)
    expect(world.sockets.length).toBe(2)
  })

  it("stops after maxAttempts vain ones, 1013 or not, with the socket's own words", async () => {
    const world = new World()
    const client = connect(url, world.options({ maxAttempts: 3 }))
    const answer = outcome(client.ask("A"))
    for (const code of [1006, 1013, 1006]) {
      expect(client.status.state).toBe("connecting")
      world.socket.error("Unexpected server response: 404")
      world.socket.end(code)
      world.advance(2000)
    }
    expect(client.status).toEqual({
      state: "closed",
      code: 1006,
      reason: "Unexpected server response: 404",
      local: false
    })
    expect(await answer).toMatchObject({ _tag: "Closed", unsent: 1 })
    expect(world.sockets.length).toBe(3)
  })

  it("closes for good where the platform refuses the address", async () => {
    class Refused {
      constructor() {
        throw new Error("insecure")
      }
    }
    const world = new World()
    const client = connect(url, world.options({ WebSocket: Refused as never }))
    expect(client.status).toMatchObject({ state: "closed", code: 1006, reason: "Error: insecure" })
    expect(await outcome(client.ask("A"))).toBeInstanceOf(Closed)
  })

  it("tells each step to its listeners, until they leave; one that throws is reported", () => {
    const { world, client, socket } = opened()
    const seen: Array<Status> = []
    const off = client.onStatus((status) => seen.push(status))
    client.onStatus(() => {
      throw new Error("a listener's")
    })
    socket.end(1006)
    world.advance(50)
    world.socket.open()
    expect(states(seen)).toEqual(["waiting", "connecting", "open"])
    expect(world.reported.map(String)).toEqual(Array(3).fill("Error: a listener's"))
    off()
    world.socket.end(1006)
    expect(seen.length).toBe(3)
  })

  it("a listener of the status may close the client at any step", () => {
    for (const at of ["waiting", "connecting", "open"]) {
      const { world, client, socket } = opened()
      client.onStatus(({ state }) => {
        if (state === at) client.close()
      })
      socket.end(1006)
      world.advance(50)
      if (client.status.state !== "closed") world.socket.open()
      expect(client.status).toEqual({ state: "closed", code: 1000, reason: "", local: true })
      expect(world.pending).toBe(0)
    }
  })
})

describe("close", () => {
  it("closes the socket, fails what is under way as unknown, and what waits as never sent", async () => {
    const { world, client, socket } = opened({ maxInFlight: 1 })
    const written = outcome(client.ask("A"))
    const waiting = outcome(client.ask("B"))
    client.notify("C")
    client.close(4000, "bye")
    expect(socket.closedBy).toEqual([4000, "bye"])
    expect(await written).toMatchObject({ _tag: "Disconnected", code: 4000 })
    expect(await waiting).toMatchObject({ _tag: "Closed", local: true, unsent: 2 })
    expect(world.pending).toBe(0)
    client.close()
    expect(client.status).toEqual({ state: "closed", code: 4000, reason: "bye", local: true })
  })

  it("by a listener ends the frame that it heard", () => {
    const { client, socket } = opened()
    let heard = 0
    client.on("Said", () => {
      heard++
      client.close()
    })
    socket.receive([1, 2].map((n) => ({ jsonrpc: "2.0", method: "Said", params: { n } })))
    expect(heard).toBe(1)
  })

  it("ends the wait for a reconnection", () => {
    const { world, client, socket } = opened()
    socket.end(1006)
    client.close()
    expect(world.pending).toBe(0)
    expect(world.sockets.length).toBe(1)
  })

  it("refuses codes and reasons that no page may send", () => {
    const { client } = opened()
    expect(() => client.close(1001)).toThrow(InvalidOption)
    expect(() => client.close(5000)).toThrow(InvalidOption)
    expect(() => client.close(4000, "ü".repeat(62))).toThrow(InvalidOption)
    expect(client.status.state).toBe("open")
  })
})

describe("a server that speaks otherwise", () => {
  it.each([
    ["no JSON", "{"],
    ["no message", 5],
    ["null", null],
    ["an answer to no request", { jsonrpc: "2.0", id: 99, result: 1 }],
    ["an error about nothing", { jsonrpc: "2.0", id: null, error: { code: -32700, message: "Parse error" } }]
  ])("is left, by name: %s", (_, frame) => {
    const { client, socket } = opened()
    socket.receive(frame)
    expect(client.status).toMatchObject({ state: "closed", code: 1002, local: false })
    expect(socket.closedBy?.[0]).toBe(1000)
  })

  it("is left when it sends a binary frame", () => {
    const { client, socket } = opened()
    socket.receiveBinary()
    expect(client.status).toMatchObject({ state: "closed", code: 1003 })
  })

  it("may send words of the protocol that this client does not know", () => {
    const { client, socket } = opened()
    socket.event("$/session", { token: "x" })
    expect(client.status.state).toBe("open")
  })
})

describe("options", () => {
  it.each([
    [{ timeoutMillis: 0 }],
    [{ timeoutMillis: 2 ** 31 }],
    [{ timeoutMillis: "5 seconds" }],
    [{ connectTimeoutMillis: Infinity }],
    [{ heartbeatMillis: -1 }],
    [{ maxDelayMillis: Number.NaN }],
    [{ maxAttempts: 0 }],
    [{ maxQueued: -1 }],
    [{ maxQueuedBytes: 1.5 }],
    [{ maxInFlight: 0 }],
    [{ maxFrameBytes: 1 }],
    [{ random: 5 }],
    [{ WebSocket: {} }],
    [{ timeOut: 5 }]
  ])("%j is refused by name", (options) => {
    const world = new World()
    expect(() => connect(url, world.options(options as unknown as ClientOptions))).toThrow(InvalidOption)
    expect(world.sockets.length).toBe(0)
  })

  it("Infinity stands for never", async () => {
    const { world, client } = opened({ timeoutMillis: Infinity, heartbeatMillis: Infinity })
    const answer = outcome(client.ask("A"))
    expect(world.pending).toBe(0)
    client.close()
    expect(await answer).not.toBeInstanceOf(TimedOut)
  })
})
