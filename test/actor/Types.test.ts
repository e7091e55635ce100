// @effect-diagnostics missingEffectError:off missingEffectContext:off -- what is wrong here is wrong on purpose
import { Context, Effect, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import {
  Actor,
  type ActorRef,
  ActorSystem,
  Agent,
  type AskTimeout,
  type Behavior,
  type CalleeFailed,
  Lifecycle
} from "troupe"
import { Topic } from "troupe/actors"
import { describe, expectTypeOf, it } from "vitest"
import { setup } from "xstate"

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

  it("an Rpc with stream: true is answered by a Stream of its elements and errors, whose services are asked for", () => {
    const Feed = Actor.make("Feed", {
      state: Schema.Struct({ n: Schema.Int }),
      protocol: [
        Rpc.make("Tail", { payload: { from: Schema.Int }, success: Schema.Int, error: Muted, stream: true }),
        Rpc.make("Read", { success: Schema.Int })
      ]
    })
    const Read = ({ n }: { readonly n: number }) => Actor.reply(n)
    const initial = { n: 0 }
    never(() => {
      Feed.behavior({ initial, on: { Read, Tail: (_, { from }) => Stream.make(from) } })
      Feed.behavior({ initial, on: { Read, Tail: (state, { from }) => Actor.reply(Stream.make(from), state) } })
      Feed.behavior({ initial, on: { Read, Tail: () => Effect.succeed(Stream.fail(new Muted())) } })
      Feed.behavior({ initial, on: { Read, Tail: () => Effect.fail(new Muted()) } })
      // @ts-expect-error an element of another type
      Feed.behavior({ initial, on: { Read, Tail: () => Stream.make("one") } })
      // @ts-expect-error the same in a reply
      Feed.behavior({ initial, on: { Read, Tail: () => Actor.reply(Stream.make("one")) } })
      // @ts-expect-error an error that the Rpc does not have
      Feed.behavior({ initial, on: { Read, Tail: () => Stream.fail("muted") } })
      // @ts-expect-error an answer that is no stream
      Feed.behavior({ initial, on: { Read, Tail: () => Actor.reply(1) } })
      // @ts-expect-error a plain state where a stream is due
      Feed.behavior({ initial, on: { Read, Tail: (state: { readonly n: number }) => state } })
      // @ts-expect-error a stream where one answer is due
      Feed.behavior({ initial, on: { Read: () => Stream.make(1), Tail: () => Stream.make(1) } })
    })
    never(() => {
      const load = Effect.flatMap(Store, (store) => store.load)
      const rows = Stream.fromEffect(load)
      const streams = [
        Feed.behavior({ initial, on: { Read, Tail: () => rows } }),
        Feed.behavior({ initial, on: { Read, Tail: () => Actor.reply(rows) } }),
        Feed.behavior({ initial, on: { Read, Tail: () => Effect.succeed(rows) } }),
        Feed.behavior({
          initial,
          on: {
            Read,
            *Tail() {
              yield* Effect.void
              return Actor.reply(rows)
            }
          }
        })
      ] as const
      type Needs<B> = B extends Behavior<infer _P, infer R, infer _In> ? R : never
      expectTypeOf<Needs<(typeof streams)[0]>>().toEqualTypeOf<Store>()
      expectTypeOf<Needs<(typeof streams)[1]>>().toEqualTypeOf<Store>()
      expectTypeOf<Needs<(typeof streams)[2]>>().toEqualTypeOf<Store>()
      expectTypeOf<Needs<(typeof streams)[3]>>().toEqualTypeOf<Store>()
      const free = Feed.behavior({ initial, on: { Read, Tail: () => Stream.make(1) } })
      expectTypeOf<Needs<typeof free>>().toEqualTypeOf<never>()
    })
    never(() => {
      const tail = Feed.at("a").ask("Tail", { from: 1 }, { timeout: "1 second" })
      expectTypeOf<Stream.Success<typeof tail>>().toEqualTypeOf<number>()
      expectTypeOf<Muted>().toExtend<Stream.Error<typeof tail>>()
      expectTypeOf<CalleeFailed | AskTimeout>().toExtend<Stream.Error<typeof tail>>()
      expectTypeOf<Stream.Services<typeof tail>>().toEqualTypeOf<never>()
      // @ts-expect-error a stream is no Effect
      void Effect.runPromise(tail)
      // @ts-expect-error nor is an answer a stream
      void Stream.runCollect(Feed.at("a").ask("Read"))
      // @ts-expect-error a payload of another shape
      void Feed.at("a").ask("Tail", { from: "1" })
      // the handler of another actor asks in the same words
      return Feed.behavior({
        initial,
        on: {
          Read: (_, __, self) => {
            const asked = self.ask(self.ref, "Tail", { from: 1 })
            expectTypeOf(asked).toEqualTypeOf(tail)
            // @ts-expect-error a stream is no Effect
            return Effect.map(asked, (n) => Actor.reply(n))
          },
          Tail: () => Stream.empty
        }
      })
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

  it("a machine has its input where its type says so, and what hears its events gives no Effect", () => {
    never(() => {
      const types = { input: {} as { readonly n: number }, context: {} as { readonly n: number } }
      const meter = setup({ types }).createMachine({ context: ({ input }) => input, on: { GO: {} } })
      // @ts-expect-error without its input
      Actor.fromMachine("Meter", meter)
      // @ts-expect-error without it beside other options
      Actor.fromMachine("Meter", meter, { onEmit: () => {} })
      // @ts-expect-error an Effect that nobody would run
      Actor.fromMachine("Meter", meter, { input: { n: 1 }, onEmit: () => Effect.void })
      return Actor.fromMachine("Meter", meter, { input: (key) => ({ n: Number(key) }), onEmit: () => {} })
    })
  })

  it("a topic says which payload a subscriber's message has to take", () => {
    never(() => {
      const topic = Topic.make("T", Schema.Int)
      type Nap = Rpc.Rpc<"Nap", Schema.Void, Schema.Void>
      type Tag = Parameters<typeof topic.subscribe<Nap, "Nap">>[2]
      expectTypeOf<Tag>().not.toBeNever()
      expectTypeOf<Tag>().toExtend<{ readonly "~payload": typeof topic.message.Type }>()
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
