import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type Me, run, scripted, send } from "./Scripted.ts"

const note = (text: string) => ["Note", text] as const

describe("self.stash", () => {
  it.effect("puts only the message at hand aside, not the next ones", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, (self) => {
        self.stash()
        return Actor.noReply()
      })
      yield* ref.tell("Note", "1")
      yield* ref.tell("Note", "2")
      yield* waitUntil(() => log.length === 2, "both notes were handled")
      expect(host.snapshot().queued).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("takes a timer's firing too, and gives it back at the head of the mailbox", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let early = true
      const script = (self: Me) => {
        log.push(early ? "early" : "fired")
        if (!early) return
        self.stash()
        return Actor.noReply()
      }
      yield* run(ref, (self) => self.timers.once("t", 5, "Run", script))
      yield* TestClock.adjust(5)
      early = false
      yield* run(ref, (self) => self.unstash())
      yield* waitUntil(() => log.length === 2, "the firing came back")
      expect(log).toEqual(["early", "fired"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one too many is refused by name; the actor goes on", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted({ stash: 1 }).behavior, "a")
      const stash = (self: Me) => {
        self.stash()
        return Actor.noReply()
      }
      send(ref, stash)
      expect(yield* Effect.flip(run(ref, stash))).toMatchObject({ _tag: "LimitReached", limit: 1 })
      expect(host.snapshot()).toMatchObject({ failed: 0, restarts: 0, queued: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("self.timers", () => {
  it.effect("a re-set key replaces, every repeats, cancel ends", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, (self) => {
        self.timers.once("t", 5, ...note("old"))
        self.timers.once("t", 10, ...note("new"))
        self.timers.every("e", 4, ...note("tick"))
      })
      yield* TestClock.adjust(5)
      yield* TestClock.adjust(5)
      expect(log).toEqual(["tick", "tick", "new"])
      yield* run(ref, (self) => self.timers.cancel("e"))
      yield* TestClock.adjust(100)
      expect(log).toHaveLength(3)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("cancel reaches a firing that waits in the mailbox: a dead letter, stale", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, (self) => self.timers.once("t", 5, ...note("late")))
      send(ref, (self) => Effect.map(Effect.sleep(10), () => self.timers.cancel("t")))
      yield* TestClock.adjust(20)
      expect(log).toEqual([])
      expect(host.snapshot().deadLetters).toEqual({ stale: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("at most one firing waits, however late the actor is", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, (self) => self.timers.every("e", 1, ...note("tick")))
      send(ref, (self) => Effect.map(Effect.sleep(50), () => self.timers.cancel("none")))
      yield* TestClock.adjust(49)
      expect(log.length).toBeLessThanOrEqual(1)
      yield* TestClock.adjust(1)
      expect(log.length).toBeLessThanOrEqual(3)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("self", () => {
  it.effect("a failing handler's sends, timers, children and state are discarded as a whole", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted({ supervision: { directive: () => "resume" } })
      const other = scripted({ type: "Other" })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, (self) => {
        self.send(self.ref, "Note", "never")
        self.timers.once("t", 1, ...note("never"))
        self.spawn(other.behavior, "child")
        throw new Error("down")
      })
      yield* TestClock.adjust(10)
      expect(log).toEqual([])
      expect(host.snapshot()).toMatchObject({ actors: 1, timers: 0, failed: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("forward: the receiver answers the first asker", () =>
    Effect.gen(function* () {
      const { behavior } = scripted()
      const [a, b] = [yield* ActorSystem.spawn(behavior, "a"), yield* ActorSystem.spawn(behavior, "b")]
      const answer = yield* run(a, (self) => {
        self.forward(b, "Run", (inner: Me) => Actor.reply(`${inner.key} answers`))
        return Actor.noReply()
      })
      expect(answer).toBe("b answers")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("pipe: the turn is free meanwhile, the exit comes back as mail", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, (self) =>
        self.pipe(Effect.as(Effect.sleep(5), "done"), (exit) => note(exit._tag === "Success" ? exit.value : "failed"))
      )
      yield* ref.tell("Note", "meanwhile")
      yield* TestClock.adjust(5)
      expect(log).toEqual(["meanwhile", "done"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("pipe answers its fiber: what it does can be given up, and that comes back as mail too", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let piped: Fiber.Fiber<never> | undefined
      yield* run(ref, (self) => {
        piped = self.pipe(Effect.never, (exit) => note(Exit.hasInterrupts(exit) ? "given up" : "ended"))
      })
      yield* Fiber.interrupt(piped!)
      yield* waitUntil(() => log.length === 1, "its end was handled")
      expect(log).toEqual(["given up"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("pipes whose ends wait to be handled count as forks, so they are bounded like them", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted({ held: 2 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const pipe = (self: Me) => self.pipe(Effect.void, () => note("end"))
      const third = yield* Effect.forkChild(
        Effect.flip(
          run(ref, (self) => {
            pipe(self)
            pipe(self)
            return Effect.andThen(
              Effect.sleep(5),
              Effect.sync(() => pipe(self))
            )
          })
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust(5)
      expect(yield* Fiber.join(third)).toMatchObject({ _tag: "LimitReached", limit: 2 })
      yield* waitUntil(() => log.length === 2, "the first two were handled")
      yield* run(ref, pipe)
      yield* waitUntil(() => log.length === 3, "there is room again")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("defer holds nothing for an ask that has gone, nor for one that is forwarded", () =>
    Effect.gen(function* () {
      const a = yield* ActorSystem.spawn(scripted({ held: 1 }).behavior, "a")
      const b = yield* ActorSystem.spawn(scripted({ type: "B" }).behavior, "b")
      for (let n = 0; n < 3; n++) {
        let waits = true
        const late = (self: Me) =>
          Effect.map(Effect.sleep(10), () => {
            waits = self.defer().waiting
            return Actor.noReply()
          })
        const gone = yield* Effect.forkChild(Effect.flip(a.ask("Sure", late, { timeout: 5 })), {
          startImmediately: true
        })
        yield* TestClock.adjust(10)
        expect(yield* Fiber.join(gone)).toMatchObject({ _tag: "AskTimeout" })
        expect(waits).toBe(false)
        const forwarded = run(a, (self) => {
          self.defer()
          self.forward(b, "Run", () => Actor.reply(n))
          return Actor.noReply()
        })
        expect(yield* forwarded).toBe(n)
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("send, timers and pipe fill in the defaults of a payload's Schema alike", () =>
    Effect.gen(function* () {
      const heard: Array<unknown> = []
      const unit = Schema.String.pipe(Schema.withConstructorDefault(Effect.succeed("ms")))
      const Gauge = Actor.make("Gauge", {
        state: Schema.Null,
        protocol: [Rpc.make("Begin"), Rpc.make("Measured", { payload: { n: Schema.Int, unit } })]
      })
      const gauge = Gauge.behavior({
        initial: null,
        on: {
          Begin: (_, _payload, self) => {
            self.send(self.ref, "Measured", { n: 1 })
            self.timers.once("t", 1, "Measured", { n: 2 })
            self.pipe(Effect.sleep(2), () => ["Measured", { n: 3 }])
            return null
          },
          Measured: (_, payload) => {
            heard.push(payload)
            return null
          }
        }
      })
      const ref = yield* ActorSystem.spawn(gauge, "g")
      yield* ref.tell("Begin")
      yield* TestClock.adjust(2)
      yield* waitUntil(() => heard.length === 3, "all three came")
      expect(heard).toEqual([1, 2, 3].map((n) => ({ n, unit: "ms" })))
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("watch: one Terminated, behind what the dead actor had sent; unwatch withdraws it", () =>
    Effect.gen(function* () {
      const watcher = scripted({ type: "W" })
      const w = yield* ActorSystem.spawn(watcher.behavior, "w")
      const a = yield* ActorSystem.spawn(scripted().behavior, "a")
      const b = yield* ActorSystem.spawn(scripted().behavior, "b")
      yield* run(w, (self) => {
        self.watch(a)
        self.watch(a)
        self.watch(b)
      })
      yield* run(w, (self) => self.unwatch(b))
      send(a, (self) => {
        self.send(w, "Note", "last words")
        self.stop()
      })
      yield* b.stop()
      yield* waitUntil(() => watcher.log.length === 2, "the watcher heard of it")
      expect(watcher.log).toEqual(["last words", "S/a normal"])
      yield* run(w, (self) => self.watch(a))
      yield* waitUntil(() => watcher.log.length === 3, "the dead one is told at once")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "idleTimeout comes once the actor has had no mail for idleAfter; one that never had any goes idle too",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const { behavior, log } = scripted({ idleAfter: 20 })
        const fresh = yield* ActorSystem.spawn(behavior, "fresh")
        const ref = yield* ActorSystem.spawn(behavior, "a")
        yield* run(ref, (self) => self.idleTimeout(...note("idle")))
        yield* TestClock.adjust(20)
        expect(host.state(fresh)).toBe("idle")
        expect(log).toEqual(["idle"])
      }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("ask", () => {
  it.effect("one that would reach an actor waiting for it fails at once: AskCycle, with the path", () =>
    Effect.gen(function* () {
      const { behavior } = scripted()
      const [a, b] = [yield* ActorSystem.spawn(behavior, "a"), yield* ActorSystem.spawn(behavior, "b")]
      const answer = run(a, (self) =>
        Effect.map(
          self.ask(b, "Run", (inner: Me) =>
            Effect.map(Effect.flip(inner.ask(a, "Run", () => 1)), (e) => Actor.reply(e))
          ),
          (e) => Actor.reply(e)
        )
      )
      expect(yield* answer).toMatchObject({ _tag: "AskCycle", path: ["S/a", "S/b", "S/a"] })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("two that are answered in one turn may race: the loser is interrupted and woken once", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const late: Array<string> = []
      const asked = (n: number) =>
        Effect.onInterrupt(
          run(ref, () => Actor.reply(n)),
          () =>
            Effect.andThen(
              Effect.sleep(10),
              Effect.sync(() => void late.push("finalizer done"))
            )
        )
      const racing = yield* Effect.forkChild(Effect.raceFirst(asked(1), asked(2)), { startImmediately: true })
      for (let i = 0; i < 20; i++) yield* Effect.yieldNow
      expect(late).toEqual([])
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(racing)).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("hit by dropOldest, its asker may send again from where it was told", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted({ mailbox: { capacity: 1, overflow: "dropOldest" } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, () => Effect.sleep(5))
      yield* waitUntil(() => host.snapshot().running === 1, "the handler runs")
      const asker = yield* Effect.forkChild(
        Effect.catchTag(ref.ask("Note", "asked"), "Dropped", () => ref.tell("Note", "again")),
        { startImmediately: true }
      )
      yield* ref.tell("Note", "told")
      yield* Fiber.join(asker)
      yield* TestClock.adjust(5)
      expect(log).toEqual(["again"])
      expect(host.snapshot().deadLetters).toEqual({ dropOldest: 2 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("times out by its deadline, and is taken out of the mailbox", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, () => Effect.sleep(50))
      const asker = yield* Effect.forkChild(Effect.flip(ref.ask("Note", "1", { timeout: 10 })), {
        startImmediately: true
      })
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(asker)).toMatchObject({ _tag: "AskTimeout", millis: 10, started: false })
      yield* TestClock.adjust(40)
      expect(log).toEqual([])
      expect(host.snapshot().deadLetters).toEqual({ timedOut: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a handler that another actor's turn wakes goes on in its own turn, never inside that one", () =>
    Effect.gen(function* () {
      const { behavior } = scripted()
      const [a, b] = [yield* ActorSystem.spawn(behavior, "a"), yield* ActorSystem.spawn(behavior, "b")]
      const order: Array<string> = []
      const gate = Deferred.makeUnsafe<void>()
      const asked = yield* Effect.forkChild(
        run(a, () =>
          Effect.gen(function* () {
            yield* Effect.yieldNow
            yield* Deferred.await(gate)
            order.push("a goes on")
          })
        ),
        { startImmediately: true }
      )
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      yield* run(b, () => {
        order.push("b begins")
        Deferred.doneUnsafe(gate, Effect.void)
        order.push("b ends")
      })
      yield* Fiber.join(asked)
      expect(order).toEqual(["b begins", "b ends", "a goes on"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
