import { Cause, Effect, Exit, Fiber, Layer, Schedule, Stream } from "effect"
import { RpcClient, RpcClientError, RpcSerialization } from "effect/rpc"
import { Socket } from "effect/socket"
import { Agent } from "troupe"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Gate, Lab, type Live, Muted, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, { drainTimeout: 200, ...options }, limits)
  return live
}

afterEach(async () => {
  gate.stayOpen()
  sockets.length = 0
  await live?.close()
  live = undefined
})

/** The sockets that Effect's client has opened. */
const sockets: Array<WebSocket> = []

const overWs = Layer.succeed(Socket.WebSocketConstructor)((url, options) => {
  const socket = new WebSocket(url, options as Array<string>)
  sockets.push(socket)
  return socket as unknown as Socket.WebSocketLike
})

const protocol = (key: string, constructor = overWs): Layer.Layer<RpcClient.Protocol> =>
  RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced(5), retryTransientErrors: true }).pipe(
    Layer.provide(Socket.layerWebSocket(`${live!.url}/${key}`, { protocols: ["effect-rpc"] })),
    Layer.provide([constructor, RpcSerialization.layerJsonRpc()])
  )

const connected = RpcClient.make(Agent.group(Lab))
type Client = Effect.Success<typeof connected>

/** Runs with Effect's own client of the agent `key`. */
const run = <A, E>(
  key: string,
  use: (client: Client) => Effect.Effect<A, E>,
  constructor?: Layer.Layer<Socket.WebSocketConstructor>
): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.provide(Effect.flatMap(connected, use), protocol(key, constructor))))

const fact = (what: string, holds: () => boolean): Effect.Effect<void> => Effect.promise(() => until(what, holds))

/** The Error that stands for what may not be told. */
const defectOf = (exit: Exit.Exit<unknown, unknown>): Error & { readonly cause: { readonly code: number } } => {
  if (Exit.isSuccess(exit)) throw new Error("it succeeded")
  const defect = exit.cause.reasons.find(Cause.isDieReason)?.defect
  expect(defect).toBeInstanceOf(Error)
  return defect as Error & { readonly cause: { readonly code: number } }
}

describe("Effect's own RpcClient", () => {
  it.each([
    ["ws", overWs],
    ["the global WebSocket", Socket.layerWebSocketConstructorGlobal]
  ])("asks an agent, over %s", async (_, constructor) => {
    await lab()
    const answers = run(
      "a",
      (client) =>
        Effect.all([client.Note({ n: 1 }), client.Kept(), client.Deep({ value: { a: [null, "ü"] } }), client.Kept()]),
      constructor
    )
    expect(await answers).toEqual([undefined, 1, { a: [null, "ü"] }, 1])
  })

  it("gets a typed error, decoded by the Rpc's Schema", async () => {
    await lab()
    expect(await run("a", (client) => Effect.flip(client.Mute()))).toEqual(new Muted({ until: new Date(0) }))
  })

  it.each(["Fail", "Liar", "Odd"] as const)(
    "gets of %s an incident and nothing else; its other calls go on",
    async (method) => {
      await lab()
      const exits = await run("a", (client) =>
        Effect.gen(function* () {
          const other = yield* Effect.forkChild(client.Hold({ n: 7 }))
          yield* fact("the handler waits", () => gate.held.length === 1)
          const failed = yield* Effect.forkChild(Effect.exit(client[method]()))
          gate.open()
          return { failed: yield* Fiber.join(failed), other: yield* Fiber.join(other) }
        })
      )
      expect(exits.other).toBe(7)
      const defect = defectOf(exits.failed)
      expect(defect).toMatchObject({
        name: "JsonRpcError",
        cause: { code: -32603, data: { incident: expect.any(String) } }
      })
      expect(String(defect.stack) + Cause.pretty((exits.failed as Exit.Failure<unknown, unknown>).cause)).not.toMatch(
        /secret|src\/|Lab\.ts/
      )
    }
  )

  it("interrupted, has its handler interrupted: law 8", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        const held = yield* Effect.forkChild(client.Hold({ n: 1 }))
        yield* fact("the handler waits", () => gate.held.length === 1)
        yield* Fiber.interrupt(held)
        yield* fact("it is interrupted", () => gate.interrupted.length === 1)
        expect(yield* client.Kept()).toBe(0)
      })
    )
    expect(live!.gateway.stats().invalid).toBe(0)
  })

  it("has a hundred requests at once, past the window, each with its own answer", async () => {
    await lab({}, { mailbox: { capacity: 1000 } })
    const numbers = Array.from({ length: 100 }, (_, n) => n)
    const answers = await run("a", (client) =>
      Effect.gen(function* () {
        const all = yield* Effect.forkChild(
          Effect.forEach(numbers, (n) => client.Hold({ n }), { concurrency: "unbounded" })
        )
        yield* fact("the window is full", () => live!.gateway.stats().paused === 1)
        expect(live!.host.snapshot().queued + live!.host.snapshot().running).toBe(32)
        gate.stayOpen()
        return yield* Fiber.join(all)
      })
    )
    expect(answers).toEqual(numbers)
    expect(gate.held).toEqual(numbers)
  })

  it("with discard goes on when the agent has taken the call, and hears when it has not", async () => {
    await lab({}, { mailbox: { capacity: 1 } })
    await run("a", (client) =>
      Effect.gen(function* () {
        yield* client.Hold({ n: 1 }, { discard: true })
        yield* fact("the handler waits", () => gate.held.length === 1)
        yield* client.Note({ n: 2 }, { discard: true })
        const refused = yield* Effect.exit(client.Note({ n: 3 }, { discard: true }))
        expect(defectOf(refused).cause).toEqual({ code: -32001, data: { retryable: true } })
        gate.stayOpen()
        yield* fact("it is handled", () => gate.noted.length === 1)
        expect(live!.host.deadLetters()).toEqual([])
      })
    )
  })

  it("hears that the time of a call is over, and whether its handler had begun", async () => {
    await lab({ requestTimeout: 20 })
    await run("a", (client) =>
      Effect.gen(function* () {
        expect(defectOf(yield* Effect.exit(client.Hold({ n: 1 }))).cause).toEqual({
          code: -32003,
          data: { started: true }
        })
      })
    )
  })

  it("takes no notice of events; a Protocol in between hears them", async () => {
    await lab()
    const events: Array<unknown> = []
    const listening = Layer.effect(RpcClient.Protocol)(
      Effect.map(RpcClient.Protocol, (protocol) =>
        RpcClient.Protocol.of({
          ...protocol,
          run: (clientId, f) =>
            protocol.run(clientId, (message) => {
              if (message._tag === "Request") events.push([message.tag, message.payload])
              return f(message)
            })
        })
      )
    )
    const use = Effect.gen(function* () {
      const client = yield* connected
      yield* client.Flood({ frames: 3, bytes: 2 })
      return yield* client.Kept()
    })
    const heard = Effect.provide(Effect.scoped(use), Layer.provide(listening, protocol("a")))
    expect(await Effect.runPromise(heard)).toBe(0)
    expect(events).toEqual(Array.from({ length: 3 }, () => ["Filler", { text: "xx" }]))
    expect(await run("a", (client) => Effect.andThen(client.Flood({ frames: 3, bytes: 2 }), client.Kept()))).toBe(0)
  })

  it("comes back after a cut: what was under way fails, what comes then is answered", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        const held = yield* Effect.forkChild(Effect.flip(client.Hold({ n: 1 })))
        yield* fact("the handler waits", () => gate.held.length === 1)
        sockets[0]!.terminate()
        expect(yield* Fiber.join(held)).toBeInstanceOf(RpcClientError.RpcClientError)
        yield* fact("its handler is interrupted", () => gate.interrupted.length === 1)
        expect(yield* Effect.retry(client.Kept(), Schedule.spaced(1))).toBe(0)
        expect(sockets.length).toBeGreaterThan(1)
      })
    )
  })

  it("is answered what was read when the host drains, then closed 1012", async () => {
    await lab()
    const closed: Array<number> = []
    await run("a", (client) =>
      Effect.gen(function* () {
        const held = yield* Effect.forkChild(client.Hold({ n: 1 }))
        const behind = yield* Effect.forkChild(client.Kept())
        yield* fact("both were read", () => live!.gateway.stats().framesIn === 2)
        sockets[0]!.once("close", (code) => closed.push(code))
        const closing = live!.close()
        live = undefined
        gate.stayOpen()
        expect([yield* Fiber.join(held), yield* Fiber.join(behind)]).toEqual([1, 0])
        yield* Effect.promise(() => closing)
        yield* fact("it is closed", () => closed.length === 1)
        expect(yield* Effect.flip(client.Kept())).toBeInstanceOf(RpcClientError.RpcClientError)
      })
    )
    expect(closed).toEqual([1012])
  })
})

describe("a stream for Effect's own RpcClient", () => {
  it("comes whole and in order, then ends; its agent is free meanwhile", async () => {
    await lab()
    const all = await run("a", (client) => Stream.runCollect(client.Count({ to: 500 })))
    expect(all).toEqual(Array.from({ length: 500 }, (_, n) => n))
    expect(gate.streamsEnded).toBe(1)
  })

  it("may be empty", async () => {
    await lab()
    expect(await run("a", (client) => Stream.runCollect(client.Count({ to: 0 })))).toEqual([])
  })

  it("ends with its typed error behind its elements; of a defect or an unfit element an incident crosses", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const ends = (end: string) =>
          Effect.exit(Stream.runForEach(client.Count({ to: 5, end }), (n) => Effect.sync(() => void seen.push(n))))
        expect(yield* ends("typed")).toEqual(Exit.fail(new Muted({ until: new Date(0) })))
        expect(seen).toEqual([0, 1, 2, 3, 4])
        for (const end of ["dies", "unfit"]) {
          const defect = defectOf(yield* ends(end))
          expect(defect.cause.code).toBe(-32603)
          expect(defect.message).not.toContain("secret")
        }
      })
    )
  })

  it("that is left early ends its producer, once", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        const first = yield* Stream.runCollect(Stream.take(client.Count({ to: 3, end: "never" }), 2))
        expect(first).toEqual([0, 1])
        yield* fact("its finalizer has run", () => gate.streamsEnded === 1)
        expect(yield* client.Kept()).toBe(1)
      })
    )
    expect(gate.streamsEnded).toBe(1)
  })

  it("is held up by a consumer that takes nothing: no chunk is sent before the last is acknowledged", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        let seen = 0
        const slow = yield* Effect.forkChild(
          Stream.runForEach(client.Count({ to: 4000 }), () => (seen++ === 0 ? gate.wait(0) : Effect.void))
        )
        yield* fact("the first element came", () => gate.held.length === 1)
        let last = -1
        yield* fact("the producer waits", () => {
          const still = gate.produced === last
          last = gate.produced
          return still
        })
        expect(gate.produced).toBeLessThan(200)
        expect(live!.gateway.stats().queuedBytes).toBe(0)
        gate.stayOpen()
        yield* Fiber.join(slow)
        expect(seen).toBe(4000)
      })
    )
  })

  it("is one of a hundred, past the window, and of six hundred, past what is looked through behind it", async () => {
    await lab({}, { mailbox: { capacity: 1000 } })
    const counts = (of: number) =>
      run("a", (client) =>
        Effect.forEach(Array.from({ length: of }), () => Stream.runCount(client.Count({ to: 100 })), {
          concurrency: "unbounded"
        })
      )
    expect(await counts(100)).toEqual(Array.from({ length: 100 }, () => 100))
    expect(await counts(600)).toEqual(Array.from({ length: 600 }, () => 100))
    expect(gate.streamsEnded).toBe(700)
    expect(live!.gateway.stats().closed[1008]).toBeUndefined()
  })

  it("is ended by a drain when it does not end by itself", async () => {
    await lab()
    await run("a", (client) =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const endless = yield* Effect.forkChild(
          Effect.exit(
            Stream.runForEach(client.Count({ to: 1, end: "never" }), (n) => Effect.sync(() => void seen.push(n)))
          )
        )
        yield* fact("it has begun", () => seen.length === 1)
        const closing = live!.close()
        live = undefined
        expect(defectOf(yield* Fiber.join(endless)).cause).toEqual({ code: -32002 })
        yield* Effect.promise(() => closing)
      })
    )
    expect(gate.streamsEnded).toBe(1)
  })
})

describe("subprotocol effect-rpc", () => {
  const raw = (key: string, query = ""): Promise<Raw> => Raw.open(`${live!.url}/${key}${query}`, {}, ["effect-rpc"])
  const ping = notice("@effect/rpc/Ping")
  const pongs = (client: Raw): number =>
    client.frames.flat().filter((frame) => (frame as Frame).method === "@effect/rpc/Pong").length
  const chunks = (client: Raw, id: number): number =>
    client.frames.flat().filter((frame) => "chunk" in frame && (frame as Frame).id === id).length

  it("is agreed to, and answers a Ping", async () => {
    await lab()
    const client = await raw("a")
    expect(client.socket.protocol).toBe("effect-rpc")
    client.send(ping)
    await until("a Pong comes", () => pongs(client) === 1)
    client.send(notice("@effect/rpc/Eof"))
    client.send(call(1, "Kept", null))
    expect((await client.answer(1)).result).toBe(0)
  })

  it("stands beside a token, which is not answered", async () => {
    await lab()
    const client = await Raw.open(`${live!.url}/a`, {}, ["bearer.secret", "effect-rpc", "troupe"])
    expect(client.socket.protocol).toBe("effect-rpc")
    await expect(Raw.open(`${live!.url}/a`, {}, ["bearer.secret"])).rejects.toThrow("400")
  })

  it.each(["?session=new", `?session=${"A".repeat(43)}&after=0`])(
    "has no sessions: %s is refused 400",
    async (query) => {
      await lab()
      await expect(raw("a", query)).rejects.toThrow("400")
    }
  )

  it("answers a batch once, as one array, when its last request is", async () => {
    await lab()
    const client = await raw("a")
    client.send([call(1, "Kept"), notice("Note", { n: 1 }), call(2, "Hold", { n: 2 }), call(3, "Fail"), ping])
    await until("the handler waits", () => gate.held.length === 1)
    expect(client.frames).toEqual([])
    gate.open()
    await client.answer(3)
    expect(client.frames).toHaveLength(1)
    const [pong, ...answers] = client.frames[0] as ReadonlyArray<Frame>
    expect(pong).toMatchObject({ method: "@effect/rpc/Pong" })
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3])
  })

  it("sends no chunk without the acknowledgement of the last; an Interrupt ends it", async () => {
    await lab()
    const client = await raw("a")
    client.send(call(1, "Count", { to: 100 }))
    await until("the first chunk came", () => chunks(client, 1) === 1)
    for (let n = 1; n < 4; n++) {
      client.send(notice("@effect/rpc/Ack", { requestId: 1 }))
      await until("the next came", () => chunks(client, 1) === n + 1)
      client.send(call(100 + n, "Kept"))
      await client.answer(100 + n)
      expect(chunks(client, 1)).toBe(n + 1)
    }
    client.send(notice("@effect/rpc/Interrupt", { requestId: 1 }))
    expect((await client.frame((frame) => frame.error !== undefined)).error).toMatchObject({
      _tag: "Cause",
      data: [{ _tag: "Interrupt" }]
    })
    client.socket.close()
  })

  it("takes an acknowledgement for no message of the client's own: its rate does not slow a stream; one too many does", async () => {
    await lab({ maxMessageRate: 1 })
    const client = await raw("a")
    const ack = notice("@effect/rpc/Ack", { requestId: 1 })
    client.send(call(0, "Kept"))
    client.send(call(1, "Count", { to: 100, end: "never" }))
    for (let n = 1; n <= 7; n++) {
      await until("a chunk came", () => chunks(client, 1) === n)
      client.send(ack)
    }
    await until("all were read", () => live!.gateway.stats().framesIn === 9)
    expect(live!.gateway.stats()).toMatchObject({ slowed: 0, paused: 0 })
    for (let n = 0; n < 3; n++) client.send(ack)
    await until("it is slowed", () => live!.gateway.stats().slowed === 1)
    client.socket.close()
  })

  it("hears Ping, Ack and Interrupt behind a full window", async () => {
    await lab({ maxUnfinished: 2 })
    const client = await raw("a")
    client.send(call(1, "Count", { to: 100 }))
    await until("the first chunk came", () => chunks(client, 1) === 1)
    client.send(call(2, "Hold", { n: 2 }))
    for (let n = 0; n < 100; n++) client.send(call(10 + n, "Note", { n }))
    client.send(ping)
    client.send(notice("@effect/rpc/Ack", { requestId: 1 }))
    await until("the next chunk came", () => chunks(client, 1) === 2)
    expect(pongs(client)).toBe(1)
    expect(gate.noted).toEqual([])
    client.send(notice("@effect/rpc/Interrupt", { requestId: 2 }))
    await client.answer(109)
    expect(gate.interrupted).toEqual([2])
    expect(gate.noted).toEqual(Array.from({ length: 100 }, (_, n) => n))
    client.socket.close()
  })

  it("waits for no acknowledgement once it drains: the stream ends by itself, and is answered before 1012", async () => {
    await lab({ drainTimeout: 20_000 })
    const client = await raw("a")
    client.send(call(1, "Count", { to: 100 }))
    await until("the first chunk came", () => chunks(client, 1) === 1)
    const closing = live!.close()
    live = undefined
    expect(await client.closed).toBe(1012)
    await closing
    const values = (client.frames as ReadonlyArray<Frame>).flatMap(({ result }) => result ?? [])
    expect(values).toEqual(Array.from({ length: 100 }, (_, n) => n))
    expect(client.frames.at(-1)).toEqual({ jsonrpc: "2.0", id: 1, result: null })
  })

  it("closes 1008 on too many invalid messages, each refused by name, and says it of all where none is named", async () => {
    await lab({ maxInvalid: 3 })
    const client = await raw("a")
    client.send(call(1, "Nothing"))
    client.send(call(2, "Hold", { n: "x" }))
    client.send("{")
    client.send(notice("@effect/rpc/Ack"))
    expect(await client.closed).toBe(1008)
    expect((client.frames as ReadonlyArray<Frame>).map(({ id, error }) => [id, error?.code])).toEqual([
      [1, -32601],
      [2, -32602],
      [null, -32700]
    ])
    expect(client.frames[2]).toMatchObject({ error: { _tag: "Defect" } })
    expect(live!.gateway.stats().invalid).toBe(4)
  })

  it("and plain JSON-RPC get the same event of one broadcast", async () => {
    await lab()
    const effect = await raw("a")
    const plain = await Raw.open(`${live!.url}/a`)
    plain.send(call(1, "Flood", { frames: 1, bytes: 3 }))
    await plain.answer(1)
    const event = { jsonrpc: "2.0", method: "Filler", params: { text: "xxx" } }
    expect(await effect.frame(({ method }) => method === "Filler")).toEqual(event)
    expect(plain.frames).toContainEqual(event)
    plain.send(notice("@effect/rpc/Ping"))
    plain.send(call(2, "@effect/rpc/Ping"))
    expect((await plain.answer(2)).error?.code).toBe(-32601)
  })
})
