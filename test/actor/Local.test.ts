import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, InvalidOption, InvalidUse, type Self } from "troupe"
import { BehaviorStub, TestSystem } from "troupe/testkit"
import { expectTypeOf } from "vitest"

const Shelf = Actor.make("Shelf", {
  state: Schema.Void,
  protocol: [
    Rpc.make("Put", { payload: { item: Schema.String }, success: Schema.Array(Schema.String) }),
    Rpc.make("Break")
  ]
})
const putting = (held: Actor.Local<Array<string>>) => ({
  Put: (_: void, { item }: { readonly item: string }, self: Self<never>) => {
    held(self).push(item)
    return Actor.reply([...held(self)])
  },
  Break: () => {
    throw new Error("broken")
  }
})
const ask = (ref: ReturnType<typeof Shelf.at>, item: string) => ref.ask("Put", { item })

describe("Actor.local", () => {
  it.effect("is made when it is first asked for, of `self`, once an incarnation, each actor its own", () =>
    Effect.gen(function* () {
      const made: Array<string> = []
      const held = Actor.local((self: Self<never>) => {
        made.push(`${self.key} ${self.incarnation}`)
        return new Array<string>()
      })
      const behavior = Shelf.behavior({ initial: undefined, on: putting(held) })
      const [a, b] = [yield* ActorSystem.spawn(behavior, "a"), yield* ActorSystem.spawn(behavior, "b")]
      expect(made).toEqual([])
      yield* ask(a, "1")
      expect(yield* ask(a, "2")).toEqual(["1", "2"])
      expect(yield* ask(b, "3")).toEqual(["3"])
      yield* Effect.exit(a.ask("Break"))
      yield* TestClock.adjust("1 second")
      expect(yield* ask(a, "4")).toEqual(["4"])
      expect(made).toEqual(["a 1", "b 1", "a 2"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a failure that resumes keeps it; a turn that fails does not take it back", () =>
    Effect.gen(function* () {
      const held = Actor.local(() => new Array<string>())
      const on = {
        ...putting(held),
        Break: (_: void, __: void, self: Self<never>) => {
          held(self).push("half")
          throw new Error("broken")
        }
      }
      const behavior = Shelf.behavior({ initial: undefined, on, supervision: { directive: () => "resume" } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ask(ref, "1")
      yield* Effect.exit(ref.ask("Break"))
      expect(yield* ask(ref, "2")).toEqual(["1", "half", "2"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("takes what an Effect made in `initial`, of each incarnation; `onStop` finds it still", () =>
    Effect.gen(function* () {
      const held = Actor.local<Array<string>>()
      let last: ReadonlyArray<string> = []
      const behavior = Shelf.behavior({
        initial: (_key, self) => Effect.sync(() => held.set(self, [`life ${self.incarnation}`])),
        on: putting(held),
        onStop: (_state, _why, self) => Effect.sync(() => void (last = held(self)))
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      expect(yield* ask(ref, "1")).toEqual(["life 1", "1"])
      yield* Effect.exit(ref.ask("Break"))
      yield* TestClock.adjust("1 second")
      expect(yield* ask(ref, "2")).toEqual(["life 2", "2"])
      yield* ref.stop()
      expect(last).toEqual(["life 2", "2"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("keeps what it was given, `undefined` too, and makes it no second time", () => {
    let made = 0
    const held = Actor.local((): string | undefined => void made++)
    const definition = Actor.make("U", {
      state: Schema.Void,
      protocol: [Rpc.make("Set"), Rpc.make("Get", { success: Schema.UndefinedOr(Schema.String) })]
    })
    const on = {
      Set: (_: void, __: void, self: Self<never>) => held.set(self, "given"),
      Get: (_: void, __: void, self: Self<never>) => Actor.reply(held(self))
    }
    const stub = BehaviorStub.make(definition.behavior({ initial: undefined, on }))
    const none = Exit.succeed(undefined)
    expect([stub.send("Get"), stub.send("Get"), made]).toEqual([none, none, 1])
    stub.send("Set")
    expect([stub.send("Get"), made]).toEqual([Exit.succeed("given"), 1])
  })

  it.effect("asking for one that nobody has put in fails by name", () =>
    Effect.gen(function* () {
      const held = Actor.local<Array<string>>()
      let error: unknown
      const on = {
        ...putting(held),
        Break: (_: void, __: void, self: Self<never>) => {
          try {
            held(self)
          } catch (thrown) {
            error = thrown
          }
        }
      }
      const ref = yield* ActorSystem.spawn(Shelf.behavior({ initial: undefined, on }), "a")
      yield* ref.ask("Break")
      expect(error).toBeInstanceOf(InvalidUse)
      expect((error as InvalidUse).message).toContain("Shelf/a: asks for an Actor.local that was not set")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("refuses a make that is no function, by name", () => {
    expect(() => Actor.local(3 as never)).toThrow(InvalidOption)
    expect(() => Actor.local(3 as never)).toThrow("Actor.local.make")
  })

  it("says whose `self` it takes", () => {
    const mine = Actor.local((self: Self<Rpc.Rpc<"Tick">>) => () => self.timers.once("t", 1, "Tick"))
    expectTypeOf(mine).parameter(0).toEqualTypeOf<Self<Rpc.Rpc<"Tick">>>()
    expectTypeOf(Actor.local(() => 1))
      .parameter(0)
      .toEqualTypeOf<Self<never>>()
  })
})
