import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { type ActorRef, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type P, run, scripted, send } from "../actor/Scripted.ts"

describe("Law 10, death watch", () => {
  it.effect("exactly one Terminated a watcher, whichever way the life ends; restart is not death", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const watchers = ["x", "y"].map((type) => scripted({ type: type.toUpperCase() }))
      const refs: Array<ActorRef<P>> = []
      for (const watcher of watchers) refs.push(yield* ActorSystem.spawn(watcher.behavior, "w"))
      const backoff = { min: "1 millis", jitter: false } as const
      const { behavior } = scripted({ supervision: { backoff, intensity: { restarts: 1 } } })
      const a = yield* ActorSystem.spawn(behavior, "a")
      for (const ref of refs) yield* run(ref, (self) => self.watch(a))
      const fail = () => {
        throw new Error("down")
      }
      send(a, fail)
      yield* TestClock.adjust(1)
      expect(host.state(a)).toBe("active")
      expect(watchers.map((w) => w.log)).toEqual([[], []])
      const outside = yield* Effect.forkChild(a.watch(), { startImmediately: true })
      send(a, fail)
      yield* waitUntil(() => watchers.every((w) => w.log.length > 0), "both were told")
      expect(watchers.map((w) => w.log)).toEqual([["S/a failed"], ["S/a failed"]])
      expect((yield* Fiber.join(outside))._tag).toBe("failed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("unwatch removes one that waits in the mailbox: a dead letter, unwatched", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const watcher = scripted({ type: "W", held: 1 })
      const w = yield* ActorSystem.spawn(watcher.behavior, "w")
      const [a, b] = [
        yield* ActorSystem.spawn(scripted().behavior, "a"),
        yield* ActorSystem.spawn(scripted().behavior, "b")
      ]
      yield* run(w, (self) => self.watch(a))
      send(w, (self) =>
        Effect.andThen(
          Effect.sleep(5),
          Effect.sync(() => self.unwatch(a))
        )
      )
      yield* waitUntil(() => host.snapshot().running === 1, "the watcher is busy")
      yield* a.stop()
      yield* waitUntil(() => host.snapshot().queued === 1, "the news waits")
      yield* TestClock.adjust(10)
      expect(watcher.log).toEqual([])
      expect(host.snapshot().deadLetters).toEqual({ unwatched: 1 })
      // and leaves room for another
      yield* run(w, (self) => self.watch(b))
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect.each(["stop", "watch"] as const)("%s hears of an end that comes between two steps of its fiber", (how) =>
    Effect.gen(function* () {
      // so many steps, then others run: at one of them the actor has been found, and is not waited for yet
      for (let steps = 3; steps < 8; steps++) {
        const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
        const ends: Effect.Effect<unknown> = how === "stop" ? ref.stop() : ref.watch()
        const outside = Effect.provideService(ends, Scheduler.MaxOpsBeforeYield, steps)
        const fiber = yield* Effect.forkChild(outside, { startImmediately: true })
        yield* ref.stop({ mode: "kill" })
        yield* waitUntil(() => fiber.pollUnsafe() !== undefined, `it was told, making room every ${steps} steps`)
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a full mailbox never refuses a Terminated", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const watcher = scripted({ type: "W", mailbox: { capacity: 1 } })
      const w = yield* ActorSystem.spawn(watcher.behavior, "w")
      const targets: Array<ActorRef<P>> = []
      for (let i = 0; i < 5; i++) targets.push(yield* ActorSystem.spawn(scripted().behavior, `t${i}`))
      yield* run(w, (self) => {
        for (const target of targets) self.watch(target)
      })
      send(w, () => Effect.sleep(10))
      yield* waitUntil(() => host.snapshot().running === 1, "the watcher is busy")
      yield* w.tell("Note", "full now")
      for (const target of targets) yield* target.stop()
      yield* TestClock.adjust(10)
      expect(watcher.log).toEqual(["full now", ...targets.map((_, i) => `S/t${i} normal`)])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
