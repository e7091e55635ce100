import { Context, Effect, Exit, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { Gateway, type ListenError } from "troupe/gateway"
import { describe, expect, expectTypeOf, it } from "vitest"

const Silent = Agent.make("Silent", { state: Schema.Struct({}), clients: [Rpc.make("Hush")] })
const silent = Silent.behavior({ initial: {}, on: { Hush: (state) => state } })
const Inner = Actor.make("Inner", { state: Schema.Struct({}), protocol: [Rpc.make("Hush")] })
const inner = Inner.behavior({ initial: {}, on: { Hush: (state) => state } })

class Greeting extends Context.Service<Greeting, { readonly text: string }>()("test/Greeting") {}
const Greeter = Agent.make("Greeter", {
  state: Schema.Struct({}),
  clients: [Rpc.make("Hi", { success: Schema.String })]
})
const greeter = Greeter.behavior({
  initial: {},
  on: {
    Hi: Effect.fnUntraced(function* () {
      return Actor.reply((yield* Greeting).text)
    })
  }
})

const opened = <A, E>(gateway: Layer.Layer<Gateway, A, ActorSystem>, then: Effect.Effect<E, never, Gateway>) =>
  Effect.runPromiseExit(then.pipe(Effect.provide(gateway.pipe(Layer.provide(ActorSystem.layer)))))

const cause = (exit: Exit.Exit<unknown, unknown>): string => (Exit.isFailure(exit) ? String(exit.cause) : "succeeded")

describe("Gateway.layer", () => {
  it.each([
    ["gateway.port", { port: 70_000 }],
    ["gateway.maxFrameBytes", { maxFrameBytes: 1 }],
    ["gateway.maxBatch", { maxBatch: 0 }],
    ["gateway.heartbeat", { heartbeat: 0 }],
    ["gateway.maxConnections", { maxConnections: 1.5 }],
    ["gateway.host", { host: "" }],
    ["gateway.drainBatch", { drainBatch: 0 }],
    ["gateway.drainSpread", { drainTimeout: "1 second", drainSpread: "2 seconds" }],
    ["gateway.maxFrames", { maxFrames: 10 } as object],
    ["gateway.maxConnectionsPerAddress", { maxConnectionsPerAddress: 0 }],
    ["gateway.maxConnectionsPerPrincipal", { maxConnectionsPerPrincipal: 0 }],
    ["gateway.maxAgentsPerPrincipal", { maxAgentsPerPrincipal: 0 }],
    ["gateway.maxAgentsPerAddress", { maxAgentsPerAddress: 1_000_001 }],
    ["gateway.maxMessageRate", { maxMessageRate: 0 }],
    ["gateway.floodTimeout", { floodTimeout: 0 }],
    ["gateway.maxDepth", { maxDepth: 1 }],
    ["gateway.trustProxy", { trustProxy: -1 }],
    ["gateway.handshakeTimeout", { handshakeTimeout: 0 }],
    ["gateway.handshakeTimeout", { handshakeTimeout: "Infinity" }],
    ["gateway.handshakeTimeout", { handshakeTimeout: "25 days" }],
    ["gateway.origins", { origins: ["*"] }],
    ["gateway.authenticate", { authenticate: "me" as unknown as () => Effect.Effect<{ id: string }> }],
    ["gateway.authorize", { authorize: () => Effect.succeed(true) }],
    ["gateway.tls", { tls: {} }],
    ["gateway.tls", { tls: { key: "x", cert: "y" } }],
    ["gateway.admin.port", { admin: { port: 70_000 } }],
    ["gateway.admin.path", { admin: { port: 0, path: "/" } as { port: number } }]
  ] as const)("refuses %s out of its range by name", async (field, options) => {
    const exit = await opened(Gateway.layer({ agents: [silent], port: 0, ...options }), Effect.void)
    expect(cause(exit)).toContain("InvalidOption")
    expect(cause(exit)).toContain(field)
  })

  it("refuses an actor that is no agent by name", async () => {
    const exit = await opened(Gateway.layer({ agents: [inner], port: 0 }), Effect.void)
    expect(cause(exit)).toContain("Agent.make")
  })

  it("refuses an agent whose type is hosted with another behaviour", async () => {
    const other = Silent.behavior({ initial: {}, on: { Hush: (state) => state } })
    const hosted = Effect.andThen(ActorSystem.host(other), Layer.build(Gateway.layer({ agents: [silent], port: 0 })))
    const exit = await Effect.runPromiseExit(hosted.pipe(Effect.scoped, Effect.provide(ActorSystem.layer)))
    expect(cause(exit)).toContain("gateway.agents: Silent is not the behavior that its type is hosted with")
  })

  it.each([
    ["an empty list", [], "an empty list"],
    ["an agent twice", [silent, silent], '"Silent" twice'],
    ["a definition in place of a behaviour", [Silent], "made by definition.behavior(...)"]
  ] as const)("refuses %s by name", async (_, agents, text) => {
    const exit = await opened(Gateway.layer({ agents: agents as unknown as [typeof silent], port: 0 }), Effect.void)
    expect(cause(exit)).toContain(`gateway.agents: `)
    expect(cause(exit)).toContain(text)
  })

  it("asks for the services of its agents' handlers, and takes them from the layer", async () => {
    const gateway = Gateway.layer({ agents: [silent, greeter], port: 0 })
    expectTypeOf(gateway).toEqualTypeOf<Layer.Layer<Gateway, ListenError, ActorSystem | Greeting>>()
    const greeting = Layer.succeed(Greeting, { text: "hello" })
    const ask = Effect.flatMap(Gateway, () => Effect.orDie(Greeter.at("g").ask("Hi")))
    const exit = await opened(gateway.pipe(Layer.provide(greeting)), ask)
    expect(exit).toEqual(Exit.succeed("hello"))
  })

  it("asks for the services of authenticate and authorize, and takes them from the layer", async () => {
    const gateway = Gateway.layer({
      agents: [silent],
      port: 0,
      authenticate: () => Effect.map(Greeting, ({ text }) => ({ id: text, admin: true })),
      authorize: (principal) => {
        expectTypeOf(principal).toEqualTypeOf<{ id: string; admin: boolean }>()
        return Effect.as(Greeting, principal.admin)
      }
    })
    expectTypeOf(gateway).toEqualTypeOf<Layer.Layer<Gateway, ListenError, ActorSystem | Greeting>>()
    const exit = await opened(gateway.pipe(Layer.provide(Layer.succeed(Greeting, { text: "ann" }))), Effect.void)
    expect(Exit.isSuccess(exit)).toBe(true)
  })

  it("fails with ListenError when the admin port is taken, and leaves the public one free", async () => {
    const program = Effect.gen(function* () {
      const { port } = yield* Gateway
      const second = Gateway.layer({ agents: [silent], port: 0, admin: { port } })
      return yield* Effect.promise(() => opened(second, Effect.void))
    })
    const exit = await opened(Gateway.layer({ agents: [silent], port: 0 }), program)
    expect(Exit.isSuccess(exit) && cause(exit.value)).toContain("ListenError")
  })

  it("fails with ListenError when the port is taken", async () => {
    const program = Effect.gen(function* () {
      const { port } = yield* Gateway
      const second = Gateway.layer({ agents: [silent], port })
      return yield* Effect.promise(() => opened(second, Effect.void))
    })
    const exit = await opened(Gateway.layer({ agents: [silent], port: 0 }), program)
    expect(Exit.isSuccess(exit) && cause(exit.value)).toContain("ListenError")
  })
})
