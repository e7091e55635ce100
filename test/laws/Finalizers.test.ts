/**
 * Finalizers that suspend, fail or hang: each x whose they are x what ends the incarnation, as one table.
 *
 * Each row asserts when the life ends or the next incarnation begins (virtual time), why, which zombies are listed and for
 * how long, what was reported, that every finalizer was begun once, and conservation (TestSystem). The expectation follows
 * from the rules of stopping: a stop and a restart wait for finalizers, for their grace at most; a kill does not wait; what
 * JavaScript cannot end is a zombie; failures meanwhile are reported, never supervised.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import * as StopOrder from "../../src/actor/StopOrder.ts"
import { type Me, run, scripted, send } from "../actor/Scripted.ts"
import { Tally, settled, uncut } from "./Tally.ts"

/** Milliseconds: a finalizer that suspends takes SLOW; the grace of actor and child, the wait before a restart. */
const [SLOW, GRACE, BACKOFF] = [20, 100, 1] as const

const whose = [
  "`initial`",
  "a handler",
  "what a handler acquired",
  "a fork",
  "a pipe",
  "the scope",
  "onStop",
  "a child's onStop"
] as const
const ways = ["suspends", "fails", "hangs"] as const
const ends = ["now", "drain", "kill", "restart"] as const

interface Row {
  readonly of: (typeof whose)[number]
  readonly way: (typeof ways)[number]
  readonly end: (typeof ends)[number]
}

interface Expected {
  /** When the life ends, or the next incarnation begins. */
  readonly at: number
  readonly reason: string
  readonly zombies: ReadonlyArray<string>
}

const zombieOf: Record<Row["of"], string> = {
  "`initial`": "S/a: handler of initial",
  "a handler": "S/a: handler of Run",
  "what a handler acquired": "S/a: handler of Run",
  "a fork": "S/a: fork",
  "a pipe": "S/a: fork",
  "the scope": "S/a: finalizer",
  onStop: "S/a: finalizer",
  "a child's onStop": "S/a/C/c: finalizer"
}

const model = ({ of, way, end }: Row): Expected => {
  // a killed handler is gone before what it acquired is released
  const zombies = [of === "what a handler acquired" && end === "kill" ? "S/a: finalizer" : zombieOf[of]]
  const reason = { now: "normal", drain: "drained", kill: "killed", restart: "none" }[end]
  if (end === "kill") return { at: 0, reason, zombies: way === "fails" ? [] : zombies }
  const wait = end === "restart" ? BACKOFF : 0
  if (way === "fails") return { at: wait, reason, zombies: [] }
  if (way === "suspends") return { at: SLOW + wait, reason, zombies: [] }
  // a child is killed first, within what its parent leaves it, so its parent need not be
  if (of === "a child's onStop") return { at: GRACE * 0.9 + wait, reason, zombies }
  return { at: GRACE + wait, reason: end === "restart" ? reason : "killed", zombies }
}

const finalizers: Record<Row["way"], Effect.Effect<unknown>> = {
  suspends: Effect.sleep(SLOW),
  fails: Effect.die("the finalizer failed"),
  hangs: Effect.never
}

const check = (row: Row) =>
  Effect.gen(function* () {
    const { of, way, end } = row
    const host = yield* ActorSystem
    const tally = new Tally()
    const reports: Array<string> = []
    host.system.onFailure.add(({ error, decision }) => {
      if (JSON.stringify(error.cause).includes("the finalizer failed")) reports.push(decision)
    })
    const finalizer = finalizers[way]
    const last = Effect.uninterruptible(tally.finalizer("it", finalizer))
    const initial = () => {
      if (of !== "`initial`" || tally.begun.length > 0) return 0
      return tally.guard("it", Effect.as(Effect.never, 0), finalizer)
    }
    const limits = { shutdown: GRACE, supervision: { backoff: { min: BACKOFF, jitter: false } } } as const
    const onStop = () => (of === "onStop" ? last : undefined)
    const child = scripted({ ...limits, type: "C", onStop: () => last }).behavior
    let began = -1
    let begins = 0
    const ref = yield* ActorSystem.spawn(
      scripted({
        ...limits,
        onStop,
        initial: () => {
          began = host.system.timers.now()
          begins++
          return initial()
        }
      }).behavior,
      "a"
    )
    const ended = yield* Effect.forkChild(
      Effect.map(ref.watch(), ({ _tag }) => ({ reason: _tag as string, at: host.system.timers.now() })),
      { startImmediately: true }
    )
    const fall = (self: Me) => self.fork(Effect.andThen(Effect.sleep(1), Effect.die("down")))
    if (of === "`initial`") yield* settled(host)
    else {
      yield* run(ref, (self) => {
        if (of === "a fork") self.fork(tally.guard("it", Effect.never, finalizer))
        if (of === "a pipe") self.pipe(tally.guard("it", Effect.never, finalizer), () => ["Note", "piped"])
        if (of === "a child's onStop") self.spawn(child, "c")
        if (of === "the scope") Effect.runSync(Scope.addFinalizer(self.scope, tally.finalizer("it", finalizer)))
        if (of !== "a fork" && of !== "a pipe") tally.begin(of.includes("a handler") ? "handler" : "it")
        if (end === "restart") fall(self)
      })
      if (of === "a handler") send(ref, () => tally.guard("it", Effect.never, finalizer))
      if (of === "what a handler acquired") {
        const begin = Effect.sync(() => tally.begin("it"))
        send(ref, () =>
          Effect.andThen(
            Effect.acquireRelease(begin, () => tally.finalizer("it", finalizer)),
            Effect.never
          )
        )
      }
      yield* settled(host)
    }
    if (end === "restart") yield* TestClock.adjust(1)
    const startedAt = host.system.timers.now()
    if (end !== "restart") yield* Effect.forkChild(ref.stop({ mode: end }), { startImmediately: true })

    const { at, reason, zombies } = model(row)
    yield* settled(host)
    if (at > 0) {
      yield* TestClock.adjust(at - 1)
      expect(end === "restart" ? host.state(ref) : host.snapshot().byType["S"]?.living).toBe(
        end === "restart" ? "connecting" : 1
      )
      yield* TestClock.adjust(1)
      yield* settled(host)
    }
    const { zombies: undead, restarts } = host.snapshot()
    expect(undead.map(({ address, what }) => `${address}: ${what}`)).toEqual(zombies)
    if (end === "restart") {
      expect({ state: host.state(ref), began: began - startedAt, begins, restarts }).toEqual({
        state: "active",
        began: at,
        begins: 2,
        restarts: 1
      })
      expect(yield* run(ref, () => Actor.reply("goes on"))).toBe("goes on")
    } else {
      const { reason: why, at: when } = yield* Fiber.join(ended)
      expect({ why, when: when - startedAt, restarts, begins }).toEqual({
        why: reason,
        when: at,
        restarts: 0,
        begins: 1
      })
    }
    expect(reports).toHaveLength(way === "fails" ? 1 : 0)
    for (const decision of reports) expect(decision).toMatch(/^(reported|ignored: it is stopping)$/)
    expect(tally.times("it")).toBe(1)
    expect(host.imbalances()).toEqual([])
    yield* TestClock.adjust(SLOW)
    expect(host.snapshot().zombies).toHaveLength(way === "hangs" ? 1 : 0)
    if (end === "restart") {
      yield* ref.stop()
      expect(tally.times("it")).toBe(1)
    }
  }).pipe(
    Effect.provide(
      Layer.provideMerge(TestSystem.layerOf({ ...uncut, zombies: row.way === "hangs" ? 1 : 0 }), Logger.layer([]))
    )
  )

const rows: ReadonlyArray<Row> = whose
  .flatMap((of) => ways.flatMap((way) => ends.map((end) => ({ of, way, end }))))
  .filter(({ of, end }) => {
    // a drain lets handlers and `initial` end by themselves; `initial` fails by itself only; a restart runs no onStop
    if (end === "drain") return !of.includes("a handler") && of !== "`initial`"
    if (end === "restart") return of !== "onStop" && of !== "`initial`"
    return true
  })

describe("Law 8: finalizers run exactly once", () => {
  it.effect.each(rows)("$of has a finalizer that $way, at $end", check)
})

describe("Law 8: onStop", () => {
  it.effect("may add to its incarnation's scope: what it added is finalized, once", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const tally = new Tally()
      const Leaver = Actor.make("Leaver", { state: Schema.Int, protocol: [] })
      const leaver = Leaver.behavior({
        initial: 0,
        on: {},
        onStop: (_, _why, self) => {
          tally.begin("added")
          return Scope.addFinalizer(self.scope, tally.finalizer("added", Effect.sleep(SLOW)))
        }
      })
      const ref = host.spawnUnsafe(leaver, "a")
      const stopping = yield* Effect.forkChild(ref.stop(), { startImmediately: true })
      yield* TestClock.adjust(SLOW)
      yield* Fiber.join(stopping)
      expect(tally.times("added")).toBe(1)
      expect(tally.faults()).toEqual([])
    }).pipe(Effect.provide(TestSystem.layerOf(uncut)))
  )
})

describe("A handler that has its own actor stopped and then dies, without suspending", () => {
  const deaths = {
    "by itself": Effect.die("down"),
    "in what it acquired": Effect.acquireRelease(Effect.void, () => Effect.die("down"))
  }
  const rows = (["now", "kill"] as const).flatMap((mode) =>
    (Object.keys(deaths) as ReadonlyArray<keyof typeof deaths>).map((where) => ({ mode, where }))
  )
  it.effect.each(rows)("($mode, $where) is reported once, not supervised", ({ mode, where }) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const decisions: Array<string> = []
      host.system.onFailure.add(({ decision }) => void decisions.push(decision))
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      send(ref, (self) =>
        Effect.andThen(
          Effect.sync(() => void Effect.runFork(self.ref.stop({ mode }))),
          deaths[where]
        )
      )
      yield* settled(host)
      expect(host.state(ref)).toBe("stopped")
      expect(decisions).toEqual(["ignored: it is stopping"])
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layerOf(uncut), Logger.layer([]))))
  )
})

describe("Law 8: a handler whose asker has gone", () => {
  it.effect("and whose finalizer then fails is a failure: reported and supervised, once", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const decisions: Array<string> = []
      host.system.onFailure.add(({ decision }) => void decisions.push(decision))
      const { behavior } = scripted({ supervision: { backoff: { min: BACKOFF, jitter: false } } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const tally = new Tally()
      const asking = ref.ask("Run", () => tally.guard("it", Effect.never, finalizers.fails), { timeout: 10 })
      const asker = yield* Effect.forkChild(Effect.exit(asking), { startImmediately: true })
      yield* TestClock.adjust(10)
      expect(Exit.isFailure(yield* Fiber.join(asker))).toBe(true)
      yield* TestClock.adjust(BACKOFF)
      expect(decisions).toEqual([`restarts in ${BACKOFF} ms`])
      expect(host.snapshot()).toMatchObject({ failed: 1, cancelled: 1, restarts: 1, accepted: 1, finished: 1 })
      expect(tally.faults()).toEqual([])
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layerOf(uncut), Logger.layer([]))))
  )

  it.effect("and which then ends with a typed error: an answer that nobody waits for", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const work = Effect.uninterruptible(Effect.andThen(Effect.sleep(20), Effect.fail("no")))
      const asker = yield* Effect.forkChild(Effect.exit(ref.ask("Run", () => work, { timeout: 10 })))
      yield* TestClock.adjust(20)
      expect(Exit.isFailure(yield* Fiber.join(asker))).toBe(true)
      expect(host.snapshot()).toMatchObject({ failed: 0, cancelled: 1, restarts: 0, unheardErrors: 0 })
    }).pipe(Effect.provide(TestSystem.layerOf(uncut)))
  )
})

describe("Law 8: a kill in the moment when the last of a life begins", () => {
  it.effect("leaves none of it out", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const told: Array<string> = []
      const scoped = Effect.acquireRelease(Effect.void, () => Effect.sync(() => told.push("closed")))
      const ref = yield* ActorSystem.spawn(
        scripted({ onStop: () => Effect.sync(() => told.push("onStop")) }).behavior,
        "a"
      )
      yield* run(ref, (self) => Effect.as(Effect.provideService(scoped, Scope.Scope, self.scope), undefined))
      yield* settled(host)
      const cell = ref.cell!
      cell.stop(StopOrder.check({ mode: "now" }))
      // its fiber has been forked, and takes its first step when it is let
      let finalizing = false
      Object.defineProperty(cell.extra!.teardown!, "finalizing", {
        get: () => finalizing,
        set: (value: boolean) => {
          finalizing = value
          cell.stop(StopOrder.check({ mode: "kill" }))
        }
      })
      yield* settled(host)
      expect([finalizing, told.filter((what) => what === "closed")]).toEqual([true, ["closed"]])
    }).pipe(Effect.provide(TestSystem.layerOf(uncut)))
  )
})
