import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import { run, scripted } from "./Scripted.ts"

const many = (n: number, step: () => void): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let i = 0; i < n; i++) yield* Effect.sync(step)
  })

describe("A fiber keeps who it is", () => {
  it.effect("finalizers of `initial` run to their end, however many steps they take", () =>
    Effect.gen(function* () {
      let steps = 0
      const initial = () => Effect.acquireRelease(Effect.succeed(0), () => many(500, () => steps++))
      const ref = yield* ActorSystem.spawn(scripted({ initial }).behavior, "a")
      yield* run(ref, () => undefined)
      const stopped = yield* Effect.forkChild(ref.stop())
      yield* TestClock.adjust(1)
      yield* Fiber.join(stopped)
      expect(steps).toBe(500)
      expect(yield* ref.watch()).toMatchObject({ _tag: "normal" })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a context captured in `initial` or a handler may be provided to a fork", () =>
    Effect.gen(function* () {
      let steps = 0
      let captured = Context.empty() as Context.Context<never>
      const initial = () => Effect.map(Effect.context<never>(), (context) => ((captured = context), 0))
      const ref = yield* ActorSystem.spawn(scripted({ initial }).behavior, "a")
      yield* run(
        ref,
        (self) =>
          void self.fork(
            Effect.provideContext(
              many(500, () => steps++),
              captured
            )
          )
      )
      yield* TestClock.adjust(1)
      expect(steps).toBe(500)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an effect that carries one actor's context is another's work where another runs it", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const [a, b] = [
        yield* ActorSystem.spawn(scripted().behavior, "a"),
        yield* ActorSystem.spawn(scripted({ type: "B" }).behavior, "b")
      ]
      let steps = 0
      const work = Effect.andThen(
        many(300, () => steps++),
        Effect.andThen(
          Effect.sleep(1),
          many(300, () => steps++)
        )
      )
      const held: Array<Effect.Effect<void>> = []
      yield* run(a, () =>
        Effect.map(Effect.context<never>(), (context) => void held.push(Effect.provideContext(work, context)))
      )
      const inside = yield* Effect.forkChild(run(b, () => held[0]!))
      yield* TestClock.adjust(2)
      yield* Fiber.join(inside)
      expect(steps).toBe(600)
      const outside = yield* Effect.forkChild(held[0]!)
      yield* TestClock.adjust(2)
      yield* Fiber.join(outside)
      expect(steps).toBe(1200)
      expect(host.imbalances()).toEqual([])
      expect(yield* run(a, () => undefined)).toBeUndefined()
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("What a handler acquires", () => {
  it.effect("is released when it ends, before its actor's next message; `self.scope` keeps what is to stay", () =>
    Effect.gen(function* () {
      const { behavior } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const log: Array<string> = []
      const acquire = (what: string) =>
        Effect.acquireRelease(Effect.succeed(what), () =>
          Effect.andThen(
            Effect.sleep(1),
            Effect.sync(() => void log.push(`-${what}`))
          )
        )
      for (let i = 0; i < 20; i++) ref.tellUnsafe("Run", () => Effect.asVoid(acquire(`m${i}`)))
      ref.tellUnsafe("Run", (self: { scope: never }) =>
        Effect.provideService(Effect.asVoid(acquire("kept")), Scope.Scope, self.scope)
      )
      ref.tellUnsafe("Run", () => void log.push("next"))
      yield* TestClock.adjust(100)
      expect(log).toEqual([...Array.from({ length: 20 }, (_, i) => `-m${i}`), "next"])
      const stopped = yield* Effect.forkChild(ref.stop())
      yield* TestClock.adjust(2)
      yield* Fiber.join(stopped)
      expect(log.slice(-1)).toEqual(["-kept"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("`Effect.forkScoped` in a cancelled handler is interrupted with it", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      let ticks = 0
      const ticking = Effect.forever(
        Effect.andThen(
          Effect.sync(() => ticks++),
          Effect.sleep(1)
        )
      )
      const asking = yield* Effect.forkChild(run(ref, () => Effect.andThen(Effect.forkScoped(ticking), Effect.never)))
      yield* TestClock.adjust(3)
      yield* Fiber.interrupt(asking)
      yield* TestClock.adjust(1)
      const until = ticks
      expect(until).toBeGreaterThan(0)
      yield* TestClock.adjust(10)
      expect(ticks).toBe(until)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
