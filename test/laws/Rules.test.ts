import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type Me, run, scripted, send } from "../actor/Scripted.ts"

describe("Rule: errors", () => {
  it.effect("a typed error is an answer, never a crash; on a tell it is counted as unheard", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted({ initial: "before" }).behavior, "a")
      expect(yield* Effect.flip(run(ref, () => Effect.fail("no")))).toBe("no")
      send(ref, () => Effect.fail("unheard"))
      expect(yield* run(ref, (_, state) => Actor.reply(state))).toBe("before")
      expect(host.snapshot()).toMatchObject({ failed: 0, unheardErrors: 1, restarts: 0, finished: 3 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("anything else is a failure: the asker gets CalleeFailed without its text, supervision the cause", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const reports: Array<string> = []
      host.system.onFailure.add(({ decision, error }) => void reports.push(`${error.tag} ${decision}`))
      const { behavior } = scripted({ supervision: { backoff: { min: 5, jitter: false } } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const error = yield* Effect.flip(run(ref, () => Effect.die(new Error("secret"))))
      expect(error).toMatchObject({ _tag: "CalleeFailed", address: "S/a" })
      expect(JSON.stringify(error)).not.toContain("secret")
      expect(reports).toEqual(["Run restarts in 5 ms"])
      yield* TestClock.adjust(5)
      expect(host.snapshot()).toMatchObject({ failed: 1, restarts: 1, finished: 1, queued: 0 })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Rule: a turn is atomic in what goes through self", () => {
  for (const startImmediately of [false, true]) {
    it.effect(
      `a fiber that outlives its handler (forkDetach, startImmediately ${startImmediately}) acts for itself, never into a later message's outputs`,
      () =>
        Effect.gen(function* () {
          const { behavior, log } = scripted()
          const ref = yield* ActorSystem.spawn(behavior, "a")
          const go = yield* Deferred.make<void>()
          yield* run(ref, (self) =>
            Effect.forkDetach(
              Effect.andThen(
                Deferred.await(go),
                Effect.sync(() => self.send(ref, "Note", "daemon"))
              ),
              { startImmediately }
            ).pipe(Effect.asVoid)
          )
          // a later handler fails, suspended, while the daemon sends
          const failed = yield* Effect.forkChild(
            Effect.flip(
              run(ref, () =>
                Effect.andThen(Deferred.succeed(go, undefined), Effect.andThen(Effect.sleep(5), Effect.fail("no")))
              )
            )
          )
          yield* TestClock.adjust(10)
          expect(yield* Fiber.join(failed)).toBe("no")
          yield* run(ref, () => undefined)
          expect(log).toEqual(["daemon"])
        }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

describe("Rule: addresses", () => {
  it.effect("a ref to an unhosted, unspawned key is a dead letter noSuchActor when a handler sends to it", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const Nobody = Actor.make("Nobody", {
        state: Schema.Int,
        protocol: [Rpc.make("Note", { payload: Schema.String })]
      })
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      yield* run(ref, (self) => self.send(Nobody.at("ghost"), "Note", "hello?"))
      expect(host.snapshot().deadLetters).toEqual({ noSuchActor: 1 })
      expect(host.deadLetters()).toMatchObject([{ address: "Nobody/ghost", tag: "Note", reason: "noSuchActor" }])
      expect(yield* Effect.flip(Nobody.at("ghost").tell("Note", "?"))).toMatchObject({ _tag: "NoSuchActor" })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child lives under its parent's path; its name is free again when it has ended", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const child = scripted({ type: "C" }).behavior
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const paths: Array<string> = []
      yield* run(ref, (self) => void paths.push(self.spawn(child, "c").address, self.spawn(child).address))
      expect(paths).toEqual(["S/a/C/c", "S/a/C/~1"])
      expect(yield* Effect.flip(run(ref, (self) => void self.spawn(child, "c")))).toMatchObject({
        _tag: "CalleeFailed"
      })
      yield* waitUntil(() => host.snapshot().actors === 1, "the failed parent's children have ended")
      yield* TestClock.adjust(200)
      yield* run(ref, (self) => void self.spawn(child, "c"))
      expect(host.snapshot().actors).toBe(2)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 3, bounded", () => {
  for (const [what, hold] of [
    ["timers", "timers"],
    ["forks", "forks"],
    ["deferred asks", "deferred"]
  ] as const) {
    it.effect(
      `${what} are bounded by held, those of one handler too: one more is refused, by name, and the actor goes on`,
      () =>
        Effect.gen(function* () {
          const host = yield* ActorSystem
          const ref = yield* ActorSystem.spawn(scripted({ held: 2 }).behavior, "a")
          const one = (n: number) =>
            Effect.exit(
              ref.ask("Run", (self: Me) => {
                if (hold === "timers") self.timers.once(`t${n}`, 1000, "Note", "")
                else if (hold === "forks") self.fork(Effect.never)
                else {
                  self.defer()
                  return Actor.noReply()
                }
                return undefined
              })
            )
          const fibers = []
          for (let n = 0; n < 3; n++) fibers.push(yield* Effect.forkChild(one(n), { startImmediately: true }))
          expect(String(yield* Fiber.join(fibers[2]!))).toContain("LimitReached")
          if (hold === "timers") {
            const many = (self: Me) => {
              self.timers.once("t0", 1000, "Note", "the same key counts once")
              for (let n = 10; n < 20; n++) self.timers.once(`t${n}`, 1000, "Note", "")
            }
            expect(yield* Effect.flip(run(ref, many))).toMatchObject({ _tag: "LimitReached" })
          }
          expect(host.state(ref)).toBe("active")
          expect(host.snapshot()).toMatchObject({ failed: 0, restarts: 0 })
          yield* ref.stop()
          for (const fiber of fibers) yield* Fiber.join(fiber)
        }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

describe("Law 8, cancellation arrives", () => {
  it.effect(
    "the handler of an ask whose asker has gone is interrupted, its finalizer runs once, nothing is committed",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = yield* ActorSystem.spawn(scripted({ initial: "before" }).behavior, "a")
        let finalized = 0
        const begun = Deferred.makeUnsafe<void>()
        const asking = run(ref, (self) => {
          self.send(self.ref, "Note", "never")
          Deferred.doneUnsafe(begun, Effect.void)
          return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void finalized++))
        })
        const asker = yield* Effect.forkChild(asking, { startImmediately: true })
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(asker)
        yield* waitUntil(() => host.quiet, "the handler has ended")
        expect(finalized).toBe(1)
        expect(host.snapshot()).toMatchObject({ cancelled: 1, accepted: 1, finished: 1 })
        expect(yield* run(ref, (_, state) => Actor.reply(state))).toBe("before")
      }).pipe(Effect.provide(TestSystem.layer))
  )

  for (const what of ["defer", "forward", "stash"] as const) {
    it.effect(`an ask given up after self.${what} in a suspended handler still interrupts it: not committed yet`, () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
        const other = yield* ActorSystem.spawn(scripted().behavior, "b")
        let ended = 0
        const asking = yield* Effect.forkChild(
          run(ref, (self) =>
            Effect.gen(function* () {
              if (what === "defer") self.defer()
              else if (what === "forward") self.forward(other, "Run", () => undefined)
              else self.stash()
              return yield* Effect.never
            }).pipe(Effect.onInterrupt(() => Effect.sync(() => void ended++)))
          )
        )
        yield* waitUntil(() => host.snapshot().running === 1, "it is suspended")
        yield* Fiber.interrupt(asking)
        yield* waitUntil(() => host.snapshot().running === 0, "its handler has ended")
        expect(ended).toBe(1)
        expect(host.snapshot()).toMatchObject({ accepted: 1, finished: 1, cancelled: 1, queued: 0 })
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }

  it.effect("a deferred ask hears that its asker has left", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      let left = 0
      const asking = ref.ask(
        "Run",
        (self: Me) => {
          self.defer().onCancel(() => void left++)
          return Actor.noReply()
        },
        { timeout: 10 }
      )
      const asker = yield* Effect.forkChild(Effect.flip(asking), { startImmediately: true })
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(asker)).toMatchObject({ _tag: "AskTimeout", started: true })
      expect(left).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
