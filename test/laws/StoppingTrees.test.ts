/**
 * Stops of trees: deadlines that nest, orders that press on, children that fail while their parent stops.
 *
 * The rules: one absolute deadline passes down, each level has min(its own, what remains minus 10 %), "infinity" included,
 * so who hangs is killed before who waits for it; a later, sooner or harder order reaches those who stop already; a failure
 * below somebody who is stopping is reported and never supervised. Conservation is TestSystem's.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ActorRef, ActorSystem, type Behavior, type Host, Supervisor } from "troupe"
import { TestSystem } from "troupe/testkit"
import { type Me, type Options, type P, run, scripted, send } from "../actor/Scripted.ts"
import { settled, uncut } from "./Tally.ts"

const silent = Logger.layer([])
const provide = (zombies: number) =>
  Effect.provide(Layer.provideMerge(TestSystem.layerOf({ ...uncut, zombies }), silent))

type Log = Array<string>

/** Writes the virtual time of each end into `log`, as `address reason @ms`. */
const listen = (host: Host, log: Log): void => {
  const startedAt = host.system.timers.now()
  host.system.onChange.add(({ ref, to, why }) => {
    if (to === "stopped") log.push(`${ref.address} ${why} @${host.system.timers.now() - startedAt}`)
  })
}

/** A behaviour whose only work is one child: an actor, or a supervisor. */
type Level = (child: Behavior<never, never> | Behavior<P, never>, n: number) => Behavior<never, never>

const actorLevel =
  (shutdown: Options["shutdown"]): Level =>
  (child, n) =>
    scripted({
      type: `L${n}`,
      shutdown: shutdown!,
      initial: (_: string, self: { spawn: (b: unknown, key: string) => unknown }) => {
        self.spawn(child, "c")
        return 0
      }
    }).behavior as unknown as Behavior<never, never>

const supervisorLevel =
  (strategy: "one_for_one" | "one_for_all" | "rest_for_one"): Level =>
  (child, n) =>
    Supervisor.make(`L${n}`, {
      strategy,
      children: [{ id: "c", behavior: child as unknown as Behavior<P, never>, shutdown: "infinity" }]
    }) as unknown as Behavior<never, never>

const dynamicLevel: Level = (child, n) =>
  Supervisor.make(`L${n}`, {
    strategy: "dynamic",
    child: { behavior: child as unknown as Behavior<P, never>, shutdown: "infinity" }
  }) as unknown as Behavior<never, never>

const levels: Record<string, Level> = {
  "actors with an hour each": actorLevel("1 hour"),
  "actors with infinity": actorLevel("infinity"),
  "one_for_one supervisors with infinity": supervisorLevel("one_for_one"),
  "one_for_all supervisors with infinity": supervisorLevel("one_for_all"),
  "rest_for_one supervisors with infinity": supervisorLevel("rest_for_one"),
  "dynamic supervisors with infinity": dynamicLevel
}

/** Three levels above an actor that never ends by itself. */
const tower = (level: Level, leaf: Behavior<P, never>) => level(level(level(leaf, 3) as never, 2) as never, 1)

/** Brings up what `tower` describes; dynamic supervisors are told to start their children. */
const raise = (behavior: Behavior<never, never>, dynamic: boolean) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const root = host.spawnUnsafe(behavior, "r")
    yield* settled(host)
    let at: ActorRef<never> = root
    for (let n = 0; dynamic && n < 3; n++) {
      at = yield* Effect.orDie(
        (at as ActorRef<Supervisor.DynamicMessages<never, void>>).ask("StartChild", { key: "c" })
      )
    }
    yield* settled(host)
    expect(host.snapshot().actors).toBe(4)
    return root as ActorRef<never>
  })

const hanging = (options: Options = {}) =>
  scripted({ ...options, type: "Leaf", shutdown: "infinity", onStop: () => Effect.uninterruptible(Effect.never) })

describe("Law 8: a deadline passes down", () => {
  const rows = Object.keys(levels).flatMap((above) => (["now", "drain"] as const).map((mode) => ({ above, mode })))

  it.effect.each(rows)(
    "through $above, at $mode: the one that hangs is killed at 0.9 x 0.9 x 0.9 of it",
    ({ above, mode }) =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const root = yield* raise(tower(levels[above]!, hanging().behavior), above.startsWith("dynamic"))
        const log: Log = []
        listen(host, log)
        yield* Effect.forkChild(root.stop({ mode, within: 1000 }), { startImmediately: true })
        yield* TestClock.adjust(728)
        expect(log).toEqual([])
        yield* TestClock.adjust(1)
        yield* settled(host)
        const why = mode === "drain" ? "drained" : "normal"
        expect(log.map((line) => line.split(" ").slice(1).join(" "))).toEqual([
          "killed @729",
          "shutdown @729",
          "shutdown @729",
          `${why} @729`
        ])
        expect(host.snapshot().zombies).toMatchObject([{ what: "finalizer" }])
      }).pipe(provide(1))
  )

  it.effect.each(rows)(
    "through $above, at $mode: an order that comes later and leaves less time reaches those who stop",
    ({ above, mode }) =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const root = yield* raise(tower(levels[above]!, hanging().behavior), above.startsWith("dynamic"))
        const log: Log = []
        listen(host, log)
        yield* Effect.forkChild(root.stop({ mode, within: "infinity" }), { startImmediately: true })
        yield* TestClock.adjust("30 minutes")
        expect(log).toEqual([])
        log.length = 0
        host.system.onChange.clear()
        listen(host, log)
        yield* Effect.forkChild(root.stop({ mode, within: 1000 }), { startImmediately: true })
        yield* TestClock.adjust(729)
        yield* settled(host)
        expect(log.map((line) => line.split(" ").slice(1).join(" "))).toEqual([
          "killed @729",
          "shutdown @729",
          "shutdown @729",
          `${mode === "drain" ? "drained" : "normal"} @729`
        ])
      }).pipe(provide(1))
  )

  it.effect.each(Object.keys(levels).map((above) => ({ above })))(
    "through $above: now reaches those who drain still",
    ({ above }) =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const leaf = scripted({ type: "Leaf", shutdown: "infinity", initial: 0 })
        const root = yield* raise(tower(levels[above]!, leaf.behavior), above.startsWith("dynamic"))
        const cell = [...host.system.cells()].find((c) => c.address.includes("Leaf"))!
        send(cell.ref as unknown as ActorRef<P>, () => Effect.never)
        yield* settled(host)
        const log: Log = []
        listen(host, log)
        yield* Effect.forkChild(root.stop({ mode: "drain", within: "infinity" }), { startImmediately: true })
        yield* TestClock.adjust("30 minutes")
        expect(log).toEqual([])
        yield* root.stop({ within: "infinity" })
        expect(log).toHaveLength(4)
        expect(host.snapshot()).toMatchObject({ actors: 0, cancelled: 1, zombies: [] })
      }).pipe(provide(0))
  )

  it.effect("a child that was told to stop before, with more time than its parent has, is held to its parent's", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const root = yield* raise(tower(levels["actors with infinity"]!, hanging().behavior), false)
      const cell = [...host.system.cells()].find((c) => c.address.includes("Leaf"))!
      yield* Effect.forkChild(cell.ref.stop({ within: "infinity" }), { startImmediately: true })
      yield* TestClock.adjust(1)
      const log: Log = []
      listen(host, log)
      yield* Effect.forkChild(root.stop({ within: 1000 }), { startImmediately: true })
      yield* TestClock.adjust(729)
      yield* settled(host)
      expect(log[0]).toMatch(/Leaf\/c killed @729/)
      expect(log).toHaveLength(4)
    }).pipe(provide(1))
  )
})

const parents = ["an actor", "one_for_one", "one_for_all", "rest_for_one", "dynamic"] as const
const failures = ["its handler dies", "its fork dies", "it stops itself", "its `initial` dies"] as const

/** What is said of the failure: by a child that has not been told to stop yet, or that has. */
const reported = (
  parent: (typeof parents)[number],
  failure: (typeof failures)[number],
  mode: "now" | "drain"
): ReadonlyArray<string> => {
  if (failure === "it stops itself") return []
  const waits = parent === "an actor" || parent === "one_for_one"
  const told = parent === "dynamic" || (failure === "its `initial` dies" && !waits)
  if (!told) return ["stopped: its parent is stopping"]
  // told to, it is interrupted where it can be, which is no failure
  if (failure === "its `initial` dies") return mode === "now" ? [] : ["ignored: it is stopping"]
  return [failure === "its fork dies" ? "reported" : "ignored: it is stopping"]
}

describe("A failure below somebody who is stopping is reported, never supervised", () => {
  const rows = parents.flatMap((parent) =>
    failures.flatMap((failure) => (["now", "drain"] as const).map((mode) => ({ parent, failure, mode })))
  )

  it.effect.each(rows)("$parent stops ($mode), and a child: $failure", ({ parent, failure, mode }) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const decisions: Array<string> = []
      host.system.onFailure.add(({ decision }) => void decisions.push(decision))
      const begun: Array<string> = []
      const supervision = { restart: "permanent", backoff: { min: 1, max: 1, jitter: false } } as const
      // stopped last to first: while `slow` ends, `first` is up still
      const first = scripted({
        type: "First",
        shutdown: "1 minute",
        supervision,
        initial: () => {
          begun.push("first")
          return failure === "its `initial` dies" && begun.length > 1
            ? Effect.andThen(Effect.sleep(20), Effect.die("down"))
            : 0
        }
      }).behavior
      const slow = scripted({
        type: "Slow",
        shutdown: "1 minute",
        supervision,
        initial: () => {
          begun.push("slow")
          return 0
        },
        onStop: () => Effect.sleep(50)
      }).behavior
      const intensity = { restarts: 5 }
      const root = yield* Effect.gen(function* () {
        if (parent === "an actor") {
          const root = yield* ActorSystem.spawn(scripted({ shutdown: "1 minute" }).behavior, "r")
          yield* run(root, (self) => void [self.spawn(first, "first"), self.spawn(slow, "slow")])
          return root
        }
        if (parent === "dynamic") {
          // its children stop together: the one that fails is busy for a while
          const child = { behavior: first, restart: "permanent", backoff: { min: 1, max: 1, jitter: false } } as const
          const pool = yield* ActorSystem.spawn(Supervisor.make("Pool", { strategy: "dynamic", intensity, child }), "r")
          yield* pool.ask("StartChild", { key: "first" })
          return pool as ActorRef<never>
        }
        const children = [
          { id: "first", behavior: first },
          { id: "slow", behavior: slow }
        ]
        return yield* ActorSystem.spawn(Supervisor.make("Tree", { strategy: parent, intensity, children }), "r")
      })
      yield* settled(host)
      const cell = [...host.system.cells()].find((c) => c.address.endsWith("First/first"))!
      const child = cell.ref as unknown as ActorRef<P>
      expect(host.state(child)).toBe("active")
      if (failure === "its handler dies") {
        send(child, () => Effect.uninterruptible(Effect.andThen(Effect.sleep(20), Effect.die("down"))))
      }
      if (failure === "its fork dies") {
        send(
          child,
          (self) => void self.fork(Effect.uninterruptible(Effect.andThen(Effect.sleep(20), Effect.die("down"))))
        )
      }
      if (failure === "it stops itself") {
        send(child, (self) =>
          Effect.uninterruptible(
            Effect.andThen(
              Effect.sleep(20),
              Effect.sync(() => self.stop())
            )
          )
        )
      }
      if (failure === "its `initial` dies") {
        send(child, () => {
          throw new Error("down")
        })
      }
      yield* settled(host)
      // a restart is under way by then, where there is one
      yield* TestClock.adjust(1)
      decisions.length = 0
      begun.length = 0
      const stopping = yield* Effect.forkChild(root.stop({ mode }), { startImmediately: true })
      yield* TestClock.adjust(70)
      yield* settled(host)
      yield* Fiber.join(stopping)
      expect(begun).toEqual([])
      expect(decisions).toEqual(reported(parent, failure, mode))
      expect(host.snapshot()).toMatchObject({ actors: 0, timers: 0, zombies: [] })
    }).pipe(provide(0))
  )
})

/** Where a group of siblings that go down and come back together is, when their supervisor is stopped. */
const phases = ["going down", "waiting for its backoff", "coming up", "coming up, uninterruptible"] as const
const WAIT = 20

describe("A supervisor that is stopped while a group of its children is brought down and up", () => {
  const rows = (["one_for_all", "rest_for_one"] as const).flatMap((strategy) =>
    phases.flatMap((phase) => (["now", "drain", "kill"] as const).map((mode) => ({ strategy, phase, mode })))
  )

  it.effect.each(rows)("$strategy $phase, at $mode: starts nobody any more", ({ strategy, phase, mode }) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const log: Log = []
      const child = (id: string) => {
        let runs = 0
        return scripted({
          type: "C",
          initial: (_: string, self: Me) => {
            log.push(`+${id}`)
            if (id !== "b") return 0
            if (phase === "going down") Effect.runSync(Scope.addFinalizer(self.scope, Effect.sleep(WAIT)))
            const slow = Effect.as(Effect.sleep(WAIT), 0)
            if (runs++ === 0 || !phase.startsWith("coming up")) return 0
            return phase === "coming up" ? slow : Effect.uninterruptible(slow)
          },
          onStop: () => Effect.sync(() => void log.push(`-${id}`))
        }).behavior
      }
      const waits = phase === "waiting for its backoff" ? { backoff: { min: WAIT, jitter: false } } : {}
      const children = ["a", "b", "c"].map((id) => ({ id, behavior: child(id), ...waits }))
      const root = yield* ActorSystem.spawn(Supervisor.make("Tree", { strategy, children }), "r")
      yield* settled(host)
      const a = [...host.system.cells()].find((c) => c.address.endsWith("C/a"))!
      log.length = 0
      send(a.ref as unknown as ActorRef<P>, () => {
        throw new Error("down")
      })
      yield* settled(host)
      // a restart runs no onStop; on the way up the second waits for its state, the third for the second
      const up = phase.startsWith("coming up")
      expect(log).toEqual(up ? ["+a", "+b"] : [])
      log.length = 0
      const startedAt = host.system.timers.now()
      const ended = yield* Effect.forkChild(
        Effect.map(root.watch(), ({ _tag }) => `${_tag} @${host.system.timers.now() - startedAt}`),
        { startImmediately: true }
      )
      yield* Effect.forkChild(root.stop({ mode }), { startImmediately: true })
      yield* settled(host)
      const held =
        phase === "going down" || phase === "coming up, uninterruptible" || (phase === "coming up" && mode === "drain")
      expect(host.snapshot().zombies).toHaveLength(mode === "kill" && held ? 1 : 0)
      yield* TestClock.adjust(2 * WAIT)
      const reason = { now: "normal", drain: "drained", kill: "killed" }[mode]
      expect(yield* Fiber.join(ended)).toBe(`${reason} @${held && mode !== "kill" ? WAIT : 0}`)
      // only who has a state has something to stop: not who failed; a drain lets `b` get its own first
      expect(log).toEqual(up ? (mode === "drain" ? ["-b", "-a"] : ["-a"]) : [])
      expect(host.snapshot()).toMatchObject({ actors: 0, timers: 0, zombies: [] })
    }).pipe(provide(0))
  )
})

describe("A supervisor that drains while its first child starts", () => {
  it.effect("ends when that child is killed: nobody is left to wait for", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const slow = scripted({ type: "C", initial: Effect.as(Effect.sleep(WAIT), 0) }).behavior
      const children = [{ id: "a", behavior: slow }]
      const root = yield* ActorSystem.spawn(Supervisor.make("Tree", { strategy: "one_for_one", children }), "r")
      yield* settled(host)
      const ended = yield* Effect.forkChild(root.watch(), { startImmediately: true })
      yield* Effect.forkChild(root.stop({ mode: "drain" }), { startImmediately: true })
      const child = [...host.system.cells()].find((c) => c.address.endsWith("C/a"))!
      yield* child.ref.stop({ mode: "kill" })
      yield* settled(host)
      expect(yield* Fiber.join(ended)).toEqual({ _tag: "normal" })
    }).pipe(provide(0))
  )
})
