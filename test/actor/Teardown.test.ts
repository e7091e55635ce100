import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type Me, run, scripted, send } from "./Scripted.ts"

const quick = { supervision: { backoff: { min: "1 millis", jitter: false } } } as const

describe("stop", () => {
  it.effect("now: ends the suspended handler, its asker hears ActorStopped, the rest is dead-lettered", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const asker = yield* Effect.forkChild(Effect.flip(run(ref, () => Effect.never)), { startImmediately: true })
      yield* ref.tell("Note", "late")
      yield* waitUntil(() => host.snapshot().running === 1, "the handler runs")
      yield* ref.stop()
      expect(yield* Fiber.join(asker)).toMatchObject({ _tag: "ActorStopped" })
      expect(log).toEqual(["stop normal"])
      expect(host.snapshot()).toMatchObject({ deadLetters: { stopped: 1 }, actors: 0 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("drain: refuses new mail and finishes what it accepted, the stash included", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let first = true
      send(ref, (self) => {
        if (!first) return void log.push("stashed one")
        first = false
        self.stash()
        return Actor.noReply()
      })
      send(ref, () => Effect.sleep(10))
      for (const text of ["1", "2", "3"]) yield* ref.tell("Note", text)
      yield* Effect.yieldNow
      const stopping = yield* Effect.forkChild(ref.stop({ mode: "drain" }), { startImmediately: true })
      expect(yield* Effect.flip(ref.tell("Note", "4"))).toMatchObject({ _tag: "ActorStopped", draining: true })
      yield* TestClock.adjust(10)
      yield* Fiber.join(stopping)
      expect(log).toEqual(["stashed one", "1", "2", "3", "stop drained"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("kill: waits for nothing; an uninterruptible handler is listed as a zombie until it ends", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      send(ref, () => Effect.uninterruptible(Effect.sleep(100)))
      yield* waitUntil(() => host.snapshot().running === 1, "the handler runs")
      yield* ref.stop({ mode: "kill" })
      expect(host.snapshot().actors).toBe(0)
      expect(host.snapshot().zombies.map((z) => `${z.address}: ${z.what}`)).toContain("S/a: handler of Run")
      yield* TestClock.adjust(100)
      expect(host.snapshot().zombies).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("now: past its grace it is killed", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const end = yield* Effect.forkChild(ref.watch(), { startImmediately: true })
      send(ref, () => Effect.uninterruptible(Effect.sleep(1000)))
      yield* Effect.yieldNow
      yield* Effect.forkChild(ref.stop({ within: 50 }), { startImmediately: true })
      yield* TestClock.adjust(50)
      expect(yield* Fiber.join(end)).toEqual({ _tag: "killed" })
      yield* TestClock.adjust(1000)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  for (const mode of ["now", "kill"] as const) {
    it.effect(`${mode}, asked for by the running handler itself: it ends at once, without its grace`, () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const { behavior } = scripted()
        const ref = yield* ActorSystem.spawn(behavior, "a")
        const end = yield* Effect.forkChild(ref.watch(), { startImmediately: true })
        send(ref, (self) => self.ref.stop({ mode }))
        yield* waitUntil(() => host.snapshot().actors === 0, "it has stopped, though no time has passed")
        expect(yield* Fiber.join(end)).toEqual({ _tag: mode === "kill" ? "killed" : "normal" })
        expect(host.imbalances()).toEqual([])
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }

  it.effect("kill of its parent by a child's handler on the stack: both end and the books balance", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const parent = yield* ActorSystem.spawn(scripted().behavior, "p")
      const child = scripted({ type: "C" }).behavior
      send(parent, (self) => send(self.spawn(child, "c"), () => Effect.as(parent.stop({ mode: "kill" }), 1)))
      yield* waitUntil(() => host.snapshot().actors === 0, "both have ended")
      expect(host.imbalances()).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("drain while `initial` runs and fails: stops at once, its mail is dead-lettered", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({ initial: () => Effect.andThen(Effect.sleep(5), Effect.die("no state")) })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.tell("Note", "1")
      yield* waitUntil(() => host.snapshot().timers > 0, "initial sleeps")
      const stopping = yield* Effect.forkChild(ref.stop({ mode: "drain" }), { startImmediately: true })
      yield* TestClock.adjust(5)
      yield* Fiber.join(stopping)
      expect(host.snapshot().deadLetters).toEqual({ stopped: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a sender that waits for room when the stop comes gets its message back", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({ mailbox: { capacity: 1, overflow: "suspend" } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, () => Effect.never)
      yield* waitUntil(() => host.snapshot().running === 1, "the handler runs")
      yield* ref.tell("Note", "1")
      const waiting = yield* Effect.forkChild(Effect.flip(ref.tell("Note", "2")), { startImmediately: true })
      yield* ref.stop()
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "ActorStopped" })
      expect(host.snapshot().deadLetters).toEqual({ stopped: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("children end before their parent, the last started first", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const child = (key: string) =>
        scripted({ type: key, onStop: () => Effect.sync(() => void order.push(key)) }).behavior
      const parent = scripted({ onStop: () => Effect.sync(() => void order.push("parent")) }).behavior
      const ref = yield* ActorSystem.spawn(parent, "p")
      yield* run(ref, (self) => {
        for (const key of ["A", "B", "C"]) self.spawn(child(key))
      })
      yield* ref.stop()
      expect(order).toEqual(["C", "B", "A", "parent"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a fork that ends by itself meanwhile does not hurry it past a child that still stops", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const child = (key: string) =>
        scripted({
          type: key,
          onStop: () =>
            Effect.andThen(
              Effect.sleep(key === "B" ? 10 : 1),
              Effect.sync(() => void order.push(key))
            )
        }).behavior
      const parent = scripted({ onStop: () => Effect.sync(() => void order.push("parent")) }).behavior
      const ref = yield* ActorSystem.spawn(parent, "p")
      yield* run(ref, (self) => {
        for (const key of ["A", "B"]) self.spawn(child(key))
        self.fork(Effect.sleep(5))
      })
      const stopping = yield* Effect.forkChild(ref.stop())
      yield* TestClock.adjust(30)
      yield* Fiber.join(stopping)
      expect(order).toEqual(["B", "A", "parent"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("what dies meanwhile, in a handler's finalizer or a fork's, is reported and not supervised", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const reports: Array<string> = []
      host.system.onFailure.add(({ error, decision }) => void reports.push(`${error.tag} ${decision}`))
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const dying = Effect.onInterrupt(Effect.never, () => Effect.die("in its finalizer"))
      yield* run(ref, (self) => void self.fork(dying))
      send(ref, () => dying)
      yield* waitUntil(() => host.snapshot().running === 1, "it is suspended")
      yield* ref.stop()
      expect(reports).toEqual(["Run ignored: it is stopping", "fork reported"])
      expect(host.snapshot()).toMatchObject({ restarts: 0, actors: 0 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("during a backoff: ends at once", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      send(ref, () => {
        throw new Error("down")
      })
      yield* waitUntil(() => host.state(ref) === "connecting", "it backs off")
      yield* ref.tell("Note", "kept")
      yield* ref.stop({ mode: "drain" })
      expect(host.snapshot()).toMatchObject({ actors: 0, timers: 0, deadLetters: { stopped: 1 } })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

it.effect("a timer staged behind a kill is not armed, also where the sends before it had to wait for room", () =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const full = yield* ActorSystem.spawn(
      scripted({ type: "Full", mailbox: { capacity: 1, overflow: "suspend" } }).behavior,
      "full"
    )
    const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
    send(full, () => Effect.sleep(5))
    send(ref, (self) => {
      for (const text of ["1", "2", "3"]) self.send(full, "Note", text)
      self.stop({ mode: "kill" })
      self.timers.every("t", 10, "Note", "tick")
    })
    yield* TestClock.adjust(20)
    expect(host.state(ref)).toBe("stopped")
    expect(host.snapshot().timers).toBe(0)
  }).pipe(Effect.provide(TestSystem.layer))
)

it.effect("a stop that comes while a kill of its own waits behind a send for room ends the actor once", () =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const full = yield* ActorSystem.spawn(
      scripted({ type: "Full", mailbox: { capacity: 1, overflow: "suspend" } }).behavior,
      "full"
    )
    const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
    send(full, () => Effect.sleep(50))
    send(ref, (self) => {
      for (const text of ["1", "2", "3"]) self.send(full, "Note", text)
      self.stop({ mode: "kill" })
    })
    yield* TestClock.adjust(20)
    yield* ref.stop()
    expect(host.snapshot().byType).toMatchObject({ S: { living: 0, spawned: 1 }, Full: { living: 1 } })
  }).pipe(Effect.provide(TestSystem.layer))
)

describe("A restart", () => {
  it.effect("keeps the mail in order, the stash at its head, and has a new incarnation and state", () =>
    Effect.gen(function* () {
      const { behavior, log } = scripted(quick)
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let stashes = true
      send(ref, (self) => {
        if (!stashes) return void log.push(`stashed, incarnation ${self.incarnation}`)
        stashes = false
        self.stash()
        return Actor.noReply()
      })
      send(ref, () => {
        throw new Error("down")
      })
      yield* ref.tell("Note", "1")
      yield* ref.tell("Note", "2")
      yield* TestClock.adjust(1)
      expect(log).toEqual(["stashed, incarnation 2", "1", "2"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("waits for the finalizers of the old incarnation's forks, not for its grace", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted(quick)
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const done: Array<string> = []
      yield* run(ref, (self) => {
        for (const name of ["x", "y"]) {
          self.fork(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void done.push(name))))
        }
      })
      yield* Effect.yieldNow
      send(ref, () => {
        throw new Error("down")
      })
      yield* waitUntil(() => done.length === 2, "both forks have ended")
      yield* TestClock.adjust(1)
      expect(host.tree()).toMatchObject([{ state: "active", incarnation: 2 }])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("by a fork's failure: the asker of the interrupted handler hears CalleeFailed", () =>
    Effect.gen(function* () {
      const { behavior } = scripted(quick)
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const asker = yield* Effect.forkChild(
        Effect.flip(
          run(ref, (self) => {
            self.fork(Effect.andThen(Effect.sleep(1), Effect.die("fork")))
            return Effect.never
          })
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(asker)).toMatchObject({ _tag: "CalleeFailed" })
      yield* TestClock.adjust(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect.each(["restarted", "stopped"] as const)("when it has %s, the old self's scope is closed", (how) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({ supervision: { backoff: { min: 1, jitter: false } } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let old: Me | undefined
      yield* run(ref, (self) => void (old = self))
      if (how === "stopped") yield* ref.stop()
      else {
        send(ref, () => {
          throw new Error("down")
        })
        yield* TestClock.adjust(1)
        expect(host.state(ref)).toBe("active")
      }
      let finalized = 0
      const add = Effect.addFinalizer(() => Effect.sync(() => void finalized++))
      yield* Effect.provideService(add, Scope.Scope, old!.scope)
      yield* Effect.provideService(Effect.scoped(add), Scope.Scope, old!.scope)
      yield* Effect.provideService(Effect.forkScoped(Effect.never), Scope.Scope, old!.scope)
      expect(finalized).toBe(2)
      expect(old!.scope.state._tag).toBe("Closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("revokes the old self: what it spawns is nobody, and not another actor of that name", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted({ supervision: quick.supervision }).behavior, "a")
      const other = scripted({ type: "Other" })
      yield* ActorSystem.host(other.behavior)
      let old: Me | undefined
      yield* run(ref, (self) => void (old = self))
      send(ref, () => {
        throw new Error("down")
      })
      yield* TestClock.adjust(1)
      const nobody = old!.spawn(other.behavior, "x")
      expect(nobody.address).toBe("S/a/Other/x")
      expect(yield* Effect.flip(nobody.tell("Note", "hello"))).toMatchObject({ _tag: "NoSuchActor" })
      expect(host.snapshot().actors).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("revokes the old self: its calls do nothing and are counted; timers are dropped", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted(quick)
      const ref = yield* ActorSystem.spawn(behavior, "a")
      let old: { send: (text: string) => void } | undefined
      yield* run(ref, (self) => {
        old = { send: (text) => self.send(self.ref, "Note", text) }
        self.timers.every("tick", 10, "Note", "tick")
      })
      send(ref, () => {
        throw new Error("down")
      })
      yield* TestClock.adjust(1)
      old?.send("ghost")
      yield* TestClock.adjust(100)
      expect(log).toEqual([])
      expect(host.snapshot().revokedCalls).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("fails deferred asks with CalleeFailed; completing their handles answers false", () =>
    Effect.gen(function* () {
      const { behavior } = scripted(quick)
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const handle = yield* Deferred.make<() => boolean>()
      const asker = yield* Effect.forkChild(
        Effect.flip(
          run(ref, (self) => {
            const later = self.defer<number>()
            Deferred.doneUnsafe(
              handle,
              Effect.succeed(() => later.succeed(1))
            )
            return Actor.noReply()
          })
        ),
        { startImmediately: true }
      )
      const complete = yield* Deferred.await(handle)
      send(ref, () => {
        throw new Error("down")
      })
      expect(yield* Fiber.join(asker)).toMatchObject({ _tag: "CalleeFailed" })
      expect(complete()).toBe(false)
      yield* TestClock.adjust(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
