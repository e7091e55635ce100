import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { setup } from "xstate"

const door = setup({ types: { events: {} as { readonly type: "OPEN" | "SHUT" | "BURN" } } }).createMachine({
  initial: "shut",
  states: {
    shut: { on: { OPEN: "open", BURN: "gone" } },
    open: { on: { SHUT: "shut" }, after: { 1000: "shut" } },
    gone: { type: "final" }
  }
})

describe("Actor.fromMachine", () => {
  it.effect("an event asked is answered with the state that follows; `after` runs on the system's clock", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(Actor.fromMachine("Door", door), "d")
      expect(yield* ref.ask("OPEN")).toBe("open")
      expect(host.snapshot().timers).toBe(1)
      yield* TestClock.adjust(999)
      expect(yield* ref.ask("OPEN")).toBe("open")
      yield* TestClock.adjust(1)
      expect(yield* ref.ask("SHUT")).toBe("shut")
      expect(host.snapshot().timers).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("leaving the state cancels its delay", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(Actor.fromMachine("Door", door), "d")
      yield* ref.ask("OPEN")
      yield* ref.ask("SHUT")
      expect(host.snapshot().timers).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a final state stops the actor", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(Actor.fromMachine("Door", door), "d")
      yield* ref.ask("BURN")
      yield* waitUntil(() => host.snapshot().actors === 0, "the door is gone")
      expect(yield* ref.watch()).toEqual({ _tag: "normal" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
