// @effect-diagnostics missingEffectError:off missingEffectContext:off -- what is wrong here is wrong on purpose
import { Context, Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem, Agent, type Behavior, Lifecycle } from "troupe"
import { describe, expectTypeOf, it } from "vitest"

class Muted extends Schema.TaggedError<Muted>()("Muted", {}) {}
class Store extends Context.Service<Store, { readonly load: Effect.Effect<number> }>()("test/Store") {}

const Counter = Actor.make("Counter", {
  state: Schema.Struct({ count: Schema.Int }),
  protocol: [
    Rpc.make("Increment", { payload: { by: Schema.Int } }),
    Rpc.make("Read", { success: Schema.Int, error: Muted })
  ]
})
const on = {
  Increment: (state: { readonly count: number }) => state,
  Read: () => Actor.reply(1)
}
const counter = Counter.behavior({ initial: { count: 0 }, on })

/** Checked by the compiler, never run. */
const never = (_: () => unknown): void => {}

describe("types", () => {
  it("a ref takes the messages of its protocol, with their payloads", () => {
    never(() => {
      const ref = Counter.at("a")
      // @ts-expect-error an unknown tag
      void ref.tell("Decrement", { by: 1 })
      // @ts-expect-error a payload of another shape
      void ref.tell("Increment", { by: "1" })
      // @ts-expect-error a payload that is missing
      void ref.tell("Increment")
      // @ts-expect-error a payload where there is none
      void ref.ask("Read", { by: 1 })
      // @ts-expect-error the same for the twin without an Effect
      ref.tellUnsafe("Increment", {})
      return ref.ask("Read", undefined, { timeout: "1 second" })
    })
  })

  it("an ask has the answer's type, and the Rpc's error among its own", () => {
    never(() => {
      const answer = Counter.at("a").ask("Read")
      expectTypeOf<Effect.Success<typeof answer>>().toEqualTypeOf<number>()
      expectTypeOf<Muted>().toExtend<Effect.Error<typeof answer>>()
      expectTypeOf<Effect.Services<typeof answer>>().toEqualTypeOf<never>()
      return answer
    })
  })

  it("a behaviour handles every message, with the right state, payload and reply", () => {
    never(() => {
      // @ts-expect-error a missing handler
      Counter.behavior({ initial: { count: 0 }, on: { Increment: on.Increment } })
      // @ts-expect-error a reply of another type
      Counter.behavior({ initial: { count: 0 }, on: { ...on, Read: () => Actor.reply("one") } })
      // @ts-expect-error a plain state where an answer is due
      Counter.behavior({ initial: { count: 0 }, on: { ...on, Read: (state: { readonly count: number }) => state } })
      // @ts-expect-error a next state of another shape
      Counter.behavior({ initial: { count: 0 }, on: { ...on, Increment: () => ({ total: 1 }) } })
      // @ts-expect-error an initial state of another shape
      Counter.behavior({ initial: { total: 0 }, on })
      // @ts-expect-error a handler of no message
      Counter.behavior({ initial: { count: 0 }, on: { ...on, Bogus: () => ({ count: 1 }) } })
      // @ts-expect-error an option that there is not
      Counter.behavior({ initial: { count: 0 }, on, idleAfer: "1 second" })
      const mute = () => Effect.fail(new Muted())
      // @ts-expect-error an error that the Rpc does not have
      Counter.behavior({ initial: { count: 0 }, on: { ...on, Increment: mute } })
      return Counter.behavior({ initial: { count: 0 }, on: { ...on, Read: () => Effect.fail(new Muted()) } })
    })
  })

  it("the services that handlers need are inferred and asked for at spawn", () => {
    never(() => {
      const needy = Counter.behavior({
        initial: Effect.map(
          Effect.flatMap(Store, (store) => store.load),
          (count) => ({ count })
        ),
        on: {
          ...on,
          *Increment(state, { by }) {
            const store = yield* Store
            return { count: state.count + by + (yield* store.load) }
          }
        }
      })
      const spawned = ActorSystem.spawn(needy, "a")
      expectTypeOf<Effect.Services<typeof spawned>>().toEqualTypeOf<ActorSystem | Store>()
      const provided = spawned.pipe(Effect.provide(ActorSystem.layer))
      // @ts-expect-error the service is missing
      const complete: Effect.Effect<unknown, unknown> = provided
      void complete
      const free = ActorSystem.spawn(counter, "a")
      expectTypeOf<Effect.Services<typeof free>>().toEqualTypeOf<ActorSystem>()
      return Effect.runPromise(free.pipe(Effect.provide(ActorSystem.layer)))
    })
  })

  it("so are those of its hooks", () => {
    never(() => {
      const loads = Effect.asVoid(Effect.flatMap(Store, (store) => store.load))
      for (const hook of [
        Counter.behavior({ initial: { count: 0 }, on, onTerminated: () => loads }),
        Counter.behavior({ initial: { count: 0 }, on, onConnect: () => loads }),
        Counter.behavior({ initial: { count: 0 }, on, onDisconnect: () => loads }),
        Counter.behavior({ initial: { count: 0 }, on, onStop: () => loads })
      ]) {
        const spawned = ActorSystem.spawn(hook, "a")
        expectTypeOf<Effect.Services<typeof spawned>>().toEqualTypeOf<ActorSystem | Store>()
      }
      return undefined
    })
  })

  it("an input that initial takes is required at spawn", () => {
    never(() => {
      const seeded = Counter.behavior({ initial: (_key, _self, input: number) => ({ count: input }), on })
      // @ts-expect-error the input is missing
      void ActorSystem.spawn(seeded, "a")
      // @ts-expect-error an input of another type
      void ActorSystem.spawn(seeded, "a", { input: "1" })
      return ActorSystem.spawn(seeded, "a", { input: 1 })
    })
  })

  it("a ref of a wider protocol serves where a narrower one is asked for, and not the other way round", () => {
    never(() => {
      const Increment = Rpc.make("Increment", { payload: { by: Schema.Int } })
      const narrow = Actor.make("Narrow", { state: Schema.Int, protocol: [Increment] })
      const wide = Actor.make("Wide", { state: Schema.Int, protocol: [Increment, Rpc.make("Extra")] })
      const takesNarrow = (_: ActorRef<typeof Increment>): void => {}
      takesNarrow(wide.at("a"))
      const takesWideBehavior = (_: Behavior<(typeof wide.protocol.rpcs)[number] | typeof Increment, never>): void => {}
      // @ts-expect-error a behaviour understands its own protocol, no wider one
      takesWideBehavior(narrow.behavior({ initial: 0, on: { Increment: (n) => n } }))
      const takesExtra = (ref: ReturnType<typeof wide.at>) => ref.tellUnsafe("Extra")
      // @ts-expect-error it does not understand Extra
      return takesExtra(narrow.at("a"))
    })
  })

  it("a machine's events are messages, also where one event has several names", () => {
    never(() => {
      const life = Actor.fromMachine("Life", Lifecycle.machine)
      type Messages = typeof life extends Behavior<infer P, infer _R, infer _In> ? P["_tag"] : never
      expectTypeOf<Messages>().toEqualTypeOf<(typeof Lifecycle.events)[number]>()
      return life
    })
  })

  it("an agent sends its clients the events it declares", () => {
    never(() => {
      const Room = Agent.make("Room", {
        state: Schema.Int,
        clients: [Rpc.make("Say", { payload: { text: Schema.String } })],
        events: [Rpc.make("Said", { payload: { text: Schema.String } })]
      })
      return Room.behavior({
        initial: 0,
        on: {
          Say: (state, { text }, self) => {
            self.broadcast("Said", { text }, { except: self.client })
            // @ts-expect-error an event that is not declared
            self.broadcast("Heard", { text })
            // @ts-expect-error a payload of another shape
            self.broadcast("Said", { line: text })
            return state
          }
        }
      })
    })
  })
})
