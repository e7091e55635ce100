import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent, type Limits, type SystemOptions } from "troupe"
import { TestSystem } from "troupe/testkit"
import { createMachine } from "xstate"

const definition = Actor.make("T", { state: Schema.Int, protocol: [Rpc.make("Go")] })
const made = (limits: Limits) => definition.behavior({ ...limits, initial: 0, on: { Go: (n) => n } })

describe("Law 12, bad input is refused by name", () => {
  const limits: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
    ["T.mailbox.capacity", { mailbox: { capacity: 0 } }],
    ["T.mailbox.capacity", { mailbox: { capacity: 1.5 } }],
    ["T.mailbox.overflow", { mailbox: { overflow: "drop" } }],
    ["T.mailbox.size", { mailbox: { size: 1 } }],
    ["T.stash", { stash: -1 }],
    ["T.held", { held: 0 }],
    ["T.priority", { priority: "urgent" }],
    ["T.idleAfter", { idleAfter: -5 }],
    ["T.connectTimeout", { connectTimeout: "later" }],
    ["T.shutdown", { shutdown: 0 }],
    ["T.idleAfer", { idleAfer: "1 second" }],
    ["T.supervision.directive", { supervision: { directive: "restart" } }],
    ["T.supervision.restart", { supervision: { restart: "always" } }],
    ["T.supervision.backoff.factor", { supervision: { backoff: { factor: 0 } } }],
    ["T.supervision.intensity.restarts", { supervision: { intensity: { restarts: -1 } } }],
    ["T.reportPayload", { reportPayload: 1 }]
  ]
  it.each(limits)("behaviour option %s", (field, options) => {
    expect(() => made(options as Limits)).toThrow(expect.objectContaining({ _tag: "InvalidOption", field }))
  })

  const systems: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
    ["system.deadLetters", { deadLetters: -1 }],
    ["system.shutdown", { shutdown: 0 }],
    ["system.reports.inFull", { reports: { inFull: -1 } }],
    ["system.memberships", { memberships: -1 }],
    ["system.names", { names: 1.5 }],
    ["system.colour", { colour: "red" }],
    ["scheduler.turnMessages", { scheduler: { turnMessages: 0 } }],
    ["scheduler.sweepMillis", { scheduler: { sweepMillis: Number.NaN } }]
  ]
  for (const [field, options] of systems) {
    it.effect(`system option ${field}`, () =>
      Effect.gen(function* () {
        const layer = ActorSystem.layerOf(options as SystemOptions)
        const exit = yield* Effect.exit(Effect.provide(ActorSystem, layer))
        expect(JSON.stringify(exit)).toContain(field)
      })
    )
  }

  it("a protocol with one tag twice, a type that cannot stand in a path, a stream, a missing or unknown handler", () => {
    const twice = [Rpc.make("A"), Rpc.make("A")]
    expect(() => Actor.make("T", { state: Schema.Int, protocol: twice })).toThrow("T.protocol")
    expect(() => Actor.make("T/U", { state: Schema.Int, protocol: [] })).toThrow("type")
    expect(() => definition.behavior({ initial: 0, on: {} as never })).toThrow("T.on.Go")
    const extra = { Go: (n: number) => n, Gone: () => 0 }
    expect(() => definition.behavior({ initial: 0, on: extra as never })).toThrow("T.on.Gone")
    expect(() => definition.behavior({ on: {} } as never)).toThrow("T.initial")
    expect(() => definition.behavior({ initial: 0 } as never)).toThrow("T.on")
    expect(() => Actor.make("T", {} as never)).toThrow("T.protocol")
    expect(() => Actor.make("T", { state: Schema.Int, protocol: ["A"] as never })).toThrow("T.protocol[0]")
    expect(() => Agent.make("T", { state: Schema.Int } as never)).toThrow("T.clients")
    expect(() => definition.at("")).toThrow("key: empty text is not text of 1 to 256")
  })

  it("a machine that invokes actors of XState", () => {
    const machine = createMachine({ initial: "a", states: { a: { invoke: { src: "x" } } } })
    expect(() => Actor.fromMachine("M", machine)).toThrow("self.pipe")
  })

  it.effect("an unknown message is refused in the sender, with what is understood", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(made({}), "a")
      expect(() => ref.tellUnsafe("Nope" as "Go")).toThrow('unknown message "Nope" (it understands Go)')
      expect(() => ref.ask("Go", undefined, { timeout: -1 })).toThrow("ask.timeout")
      expect(() => ref.ask("Go", undefined, { timeot: 1 } as never)).toThrow("ask.timeot")
      const host = yield* ActorSystem
      expect(() => host.spawnUnsafe(definition as never)).toThrow("made by definition.behavior(...)")
      expect(() => host.spawnUnsafe(made({}), "b", { inptu: 1 } as never)).toThrow("spawn.inptu")
      expect(() => ref.stop({ mode: "gently" as "now" })).toThrow("stop.mode")
      expect(yield* Effect.flip(ActorSystem.spawn(made({}), "a"))).toMatchObject({ _tag: "NameTaken", address: "T/a" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
