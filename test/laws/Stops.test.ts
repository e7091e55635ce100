/**
 * Cancellation by stops: every mode x what the actor is doing x what hangs on it, as one table.
 *
 * Each row stops an actor that has two messages waiting, and asserts when its life ends (virtual time), why, what both
 * askers hear, what became of the mail, which finalizers ran, what was left as a zombie, and conservation (TestSystem).
 * What is expected comes from `model`, written from the rules of stopping, not from the code:
 * `drain` lets the handler finish and handles the mail; `now` interrupts the handler, then waits for forks, then finalizers;
 * `kill` waits for nothing and lists what goes on. Without a state, and no `initial` under way, nobody can drain.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import { type Me, type P, run, scripted, send } from "../actor/Scripted.ts"
import { Tally, settled, uncut } from "./Tally.ts"

const modes = ["drain", "now", "kill"] as const
type Mode = (typeof modes)[number]

/** What hangs on the incarnation besides its handler. */
const extras = ["nothing", "a fork", "a pipe", "a fork with a slow finalizer"] as const
type Extra = (typeof extras)[number]

/** Milliseconds: a handler or `initial` takes WORK, a slow finalizer of a fork SLOW, one of the scope CLOSE. */
const [WORK, SLOW, CLOSE, BACKOFF, GRACE] = [30, 10, 20, 100, 1000] as const

/** What the actor does when the stop comes, as far as the rules of stopping care. */
interface Facts {
  /** It has a state; "soon": it is getting one. */
  readonly state: "yes" | "no" | "soon"
  /** What is suspended, and how it takes an interruption. */
  readonly busy?: "interruptible" | "uninterruptible"
  /** The failed incarnation's scope is being closed. */
  readonly closing?: true
  /** Forks live. */
  readonly forks: boolean
  /** What the handler's asker hears if it is left alone. */
  readonly asker?: "done" | "CalleeFailed"
}

const situations = {
  "connecting, before `initial` runs": { state: "soon", forks: false },
  "connecting, `initial` suspended": { state: "soon", busy: "interruptible", forks: true },
  "connecting, `initial` suspended uninterruptibly": { state: "soon", busy: "uninterruptible", forks: true },
  "idle for want of mail": { state: "yes", forks: true },
  "a handler that stops it by self.stop": { state: "yes", forks: true, asker: "done" },
  "a handler that waits for its own stop": {
    state: "yes",
    busy: "interruptible",
    forks: true,
    asker: "done"
  },
  "a suspended handler": { state: "yes", busy: "interruptible", forks: true, asker: "done" },
  "a handler suspended uninterruptibly": { state: "yes", busy: "uninterruptible", forks: true, asker: "done" },
  "a suspended Committed handler": { state: "yes", busy: "interruptible", forks: true, asker: "done" },
  "a restart that waits for a finalizer": { state: "no", closing: true, forks: true, asker: "CalleeFailed" },
  "a backoff": { state: "no", forks: false, asker: "CalleeFailed" }
} as const satisfies Record<string, Facts>
type Situation = keyof typeof situations

interface Row {
  readonly mode: Mode
  readonly situation: Situation
  readonly extra: Extra
  /** A stop before this one, so many milliseconds earlier. */
  readonly before?: { readonly mode: Mode; readonly millis: number }
}

interface Expected {
  readonly endsAt: number
  readonly reason: string
  readonly asker: string | undefined
  /** What the waiting ask hears. */
  readonly waiting: string
  readonly notes: number
  readonly deadLetters: Readonly<Record<string, number>>
  readonly cancelled: number
  readonly onStop: number
  readonly zombies: ReadonlyArray<string>
}

/** Of one stop, at time 0. */
const alone = ({ mode, situation, extra }: Row): Expected => {
  const facts: Facts = situations[situation]
  const handler = facts.busy !== undefined && facts.state === "yes"
  const slow = facts.forks && extra === "a fork with a slow finalizer"
  const stays = facts.busy === "uninterruptible" || facts.closing === true || slow
  const handled = { waiting: "answered", notes: 1, deadLetters: {} }
  const dead = { waiting: "ActorStopped", notes: 0, deadLetters: { stopped: 2 } }
  if (mode === "drain" && facts.state !== "no") {
    const endsAt = (facts.busy === undefined ? 0 : WORK) + (slow ? SLOW : 0)
    return { ...handled, endsAt, reason: "drained", asker: facts.asker, cancelled: 0, onStop: 1, zombies: [] }
  }
  const overtaken = {
    ...dead,
    asker: handler ? "ActorStopped" : facts.asker,
    cancelled: handler ? 1 : 0,
    onStop: facts.state === "yes" ? 1 : 0
  }
  if (mode === "kill") {
    const what = handler ? "handler of Run" : "handler of initial"
    const zombies = [
      ...(facts.busy === "uninterruptible" ? [what] : []),
      ...(slow ? ["fork"] : []),
      ...(facts.closing ? ["finalizer"] : [])
    ]
    return { ...overtaken, endsAt: 0, reason: "killed", zombies: stays ? zombies : [] }
  }
  const endsAt = (facts.busy === "uninterruptible" ? WORK : 0) + (slow ? SLOW : 0) + (facts.closing ? CLOSE : 0)
  return { ...overtaken, endsAt, reason: "normal", zombies: [] }
}

const ranks: Record<Mode, number> = { drain: 0, now: 1, kill: 2 }

/** With a stop before it: the harder counts; none is undone; who has ended has ended. */
const model = (row: Row): Expected => {
  const { before, mode } = row
  if (before === undefined) return alone(row)
  const first = alone({ ...row, mode: before.mode })
  if (first.endsAt < before.millis || ranks[mode] <= ranks[before.mode]) return first
  const facts: Facts = situations[row.situation]
  // what has been drained by then has been drained
  const { waiting, notes, deadLetters } =
    before.mode === "drain" && before.millis > 0 && facts.busy === undefined ? first : alone(row)
  const second = { ...alone(row), waiting, notes, deadLetters }
  if (mode === "kill") return { ...second, endsAt: before.millis }
  // what only waits for forks, or for a handler that cannot be interrupted, ends no sooner and no later
  return { ...second, endsAt: facts.busy === "interruptible" ? before.millis + second.endsAt : second.endsAt }
}

const layer = TestSystem.layerOf(uncut)

const heard = (exit: Exit.Exit<unknown, unknown> | undefined): string | undefined => {
  if (exit === undefined) return undefined
  if (Exit.isSuccess(exit)) return String(exit.value)
  const failure = exit.cause.reasons[0]
  return failure?._tag === "Fail" ? (failure.error as { readonly _tag: string })._tag : failure?._tag
}

const asking = (ref: ActorRef<P>, tag: "Run" | "Sure", script: (self: Me) => unknown) =>
  Effect.forkChild(Effect.exit(ref.ask(tag, script, { timeout: "infinity" })), { startImmediately: true })

const check = (row: Row) =>
  Effect.gen(function* () {
    const { mode, situation, extra, before } = row
    const facts: Facts = situations[situation]
    const host = yield* ActorSystem
    // the first sleep of Effect's TestClock ends at once in a finalizer of an interrupted fiber: let it not be one of those
    yield* Effect.forkChild(Effect.sleep(SLOW), { startImmediately: true })
    const tally = new Tally()
    let armed = true

    /** What hangs on the first incarnation; a later one, which no row should see, would show in the tally. */
    const equip = (self: Me): void => {
      const slow = extra === "a fork with a slow finalizer" ? Effect.sleep(SLOW) : undefined
      const work = tally.guard("fork", Effect.never, slow)
      if (extra === "a pipe") self.pipe(work, () => ["Note", "piped"])
      else if (extra !== "nothing") self.fork(work)
      tally.begin("scope")
      const close = situation === "a restart that waits for a finalizer" ? Effect.sleep(CLOSE) : undefined
      Effect.runSync(Scope.addFinalizer(self.scope, tally.finalizer("scope", close)))
    }
    const initial = (_key: string, self: Me) => {
      equip(self)
      if (situation === "connecting, before `initial` runs" || !situation.startsWith("connecting")) return 0
      const work = tally.guard("initial", Effect.as(Effect.sleep(WORK), 0))
      return facts.busy === "uninterruptible" ? Effect.uninterruptible(work) : work
    }
    const { behavior, log } = scripted({
      initial,
      shutdown: GRACE,
      supervision: { backoff: { min: BACKOFF, jitter: false } }
    })
    const ref = yield* ActorSystem.spawn(behavior, "a")
    const ended = yield* Effect.forkChild(
      Effect.gen(function* () {
        const reason = (yield* ref.watch())._tag
        return { reason, at: yield* Clock.currentTimeMillis, unfinished: tally.faults() }
      }),
      { startImmediately: true }
    )
    if (situation !== "connecting, before `initial` runs") yield* settled(host)

    const work = tally.guard("handler", Effect.as(Effect.sleep(WORK), Actor.reply("done")))
    const script = (self: Me): unknown => {
      switch (situation) {
        case "a handler that stops it by self.stop":
          self.stop({ mode })
          return Actor.reply("done")
        case "a handler that waits for its own stop":
          return tally.guard("handler", Effect.as(self.ref.stop({ mode }), Actor.reply("done")))
        case "a handler suspended uninterruptibly":
          return Effect.uninterruptible(work)
        case "a restart that waits for a finalizer":
        case "a backoff":
          if (armed) {
            armed = false
            throw new Error("down")
          }
          return "never"
        default:
          return work
      }
    }
    const selfish = situation.startsWith("a handler that")
    const committed = situation === "a suspended Committed handler"
    // so that the handler does not run on its asker's stack, before the stop
    if (selfish) send(yield* ActorSystem.spawn(scripted({ type: "Bystander" }).behavior), (self) => self.stop())
    const asker = facts.asker === undefined ? undefined : yield* asking(ref, committed ? "Sure" : "Run", script)
    if (!selfish && situation !== "connecting, before `initial` runs") yield* settled(host)
    if (facts.forks && extra !== "nothing" && !selfish) expect(tally.begun).toContain("fork")
    expect(host.state(ref)).toBe(facts.state === "yes" ? "active" : "connecting")

    yield* ref.tell("Note", "queued")
    const waiting = yield* asking(ref, "Run", () => Actor.reply("answered"))
    if (situation === "a backoff") yield* TestClock.adjust(SLOW)
    const startedAt = yield* Clock.currentTimeMillis
    const stop = (how: Mode) => Effect.forkChild(ref.stop({ mode: how }), { startImmediately: true })
    const stops = []
    if (before !== undefined) {
      stops.push(yield* stop(before.mode))
      if (before.millis > 0) yield* TestClock.adjust(before.millis)
    }
    if (!selfish) stops.push(yield* stop(mode))

    const expected = model(row)
    yield* settled(host)
    const already = (yield* Clock.currentTimeMillis) - startedAt
    for (let at = already; at < expected.endsAt; at += 5) yield* TestClock.adjust(Math.min(5, expected.endsAt - at))
    yield* settled(host)
    expect(host.state(ref)).toBe("stopped")
    for (const fiber of stops) yield* Fiber.join(fiber)
    const { reason, at, unfinished } = yield* Fiber.join(ended)
    const endsAt = at - startedAt
    const { deadLetters, cancelled, zombies, queued, running, actors } = host.snapshot()
    expect({
      endsAt,
      reason,
      asker: asker === undefined ? undefined : heard(yield* Fiber.join(asker)),
      waiting: heard(yield* Fiber.join(waiting)),
      notes: log.filter((line) => line === "queued").length,
      deadLetters,
      cancelled,
      onStop: log.filter((line) => line === `stop ${reason}`).length,
      zombies: zombies.map(({ what }) => what)
    }).toEqual(expected)
    expect({ queued, running, actors }).toEqual({ queued: 0, running: 0, actors: 0 })
    expect(log).not.toContain("piped")
    if (reason !== "killed") expect(unfinished).toEqual([])
    yield* TestClock.adjust(100)
    expect(host.snapshot()).toMatchObject({ zombies: [], timers: 0 })
    expect(host.imbalances()).toEqual([])
    expect(tally.faults()).toEqual([])
    expect(tally.times("scope")).toBe(tally.begun.includes("scope") ? 1 : 0)
  }).pipe(Effect.provide(layer))

const rows: ReadonlyArray<Row> = modes
  .flatMap((mode) =>
    (Object.keys(situations) as ReadonlyArray<Situation>).flatMap((situation) =>
      extras.map((extra) => ({ mode, situation, extra }))
    )
  )
  // a drain that its own handler waits for is refused: see below
  .filter(({ mode, situation }) => mode !== "drain" || situation !== "a handler that waits for its own stop")

describe("Law 8 and the stop modes: a stop", () => {
  it.effect.each(rows)("$mode meets $situation, with $extra", check)
})

const doubled: ReadonlyArray<Row> = modes.flatMap((first) =>
  modes.flatMap((mode) =>
    (["idle for want of mail", "a suspended handler", "a handler suspended uninterruptibly"] as const).flatMap(
      (situation) =>
        extras.flatMap((extra) => [0, 5].map((millis) => ({ mode, situation, extra, before: { mode: first, millis } })))
    )
  )
)

describe("Law 8 and the stop modes: a later, harder stop takes over, none is undone", () => {
  it.effect.each(doubled)("$before.mode, $before.millis ms later $mode, at $situation, with $extra", check)
})

/** A handler that waits for the end of an actor which waits for that handler. */
const circles: Record<string, (a: ActorRef<P>, b: ActorRef<P>, child: ActorRef<P>) => Effect.Effect<unknown, unknown>> =
  {
    "its own actor": (a) => run(a, (self) => self.ref.stop({ mode: "drain" })),
    "its own actor, in a fiber of the handler": (a) =>
      run(a, (self) => Effect.all([Effect.sleep(1), self.ref.stop({ mode: "drain" })], { concurrency: 2 })),
    "its parent": (a, _, child) => run(child, () => a.stop({ mode: "drain" })),
    "its asker": (a, b) => run(a, () => run(b, () => a.stop({ mode: "drain" }))),
    "the parent of its asker": (a, b, child) => run(child, () => run(b, () => a.stop({ mode: "drain" })))
  }

describe("Law 1: a handler must not wait for itself by a drain", () => {
  it.effect.each(Object.keys(circles).map((whose) => ({ whose })))("of $whose: refused by name, at once", ({ whose }) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const causes: Array<string> = []
      host.system.onFailure.add(({ error }) => void causes.push(Cause.pretty(error.cause as Cause.Cause<unknown>)))
      const [a, b] = [
        yield* ActorSystem.spawn(scripted().behavior, "a"),
        yield* ActorSystem.spawn(scripted().behavior, "b")
      ]
      const child = (yield* run(a, (self) =>
        Actor.reply(self.spawn(scripted({ type: "C" }).behavior, "c"))
      )) as ActorRef<P>
      const asker = yield* Effect.forkChild(Effect.exit(circles[whose]!(a, b, child)), { startImmediately: true })
      yield* settled(host)
      expect(heard(asker.pollUnsafe() === undefined ? undefined : yield* Fiber.join(asker))).toBe("CalleeFailed")
      expect(causes[0]).toContain("S/a: drains, and so waits for the handler that waits for its end: self.stop")
      yield* TestClock.adjust("1 minute")
      expect(host.state(a)).toBe("active")
    }).pipe(Effect.provide(Layer.provideMerge(layer, Logger.layer([]))))
  )

  it.effect.each(["drain", "now"] as const)("nor does onStop, for a stop (%s) of its own actor", (mode) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const causes: Array<string> = []
      host.system.onFailure.add(({ error }) => void causes.push(Cause.pretty(error.cause as Cause.Cause<unknown>)))
      const onStop = () => Effect.suspend(() => ref.stop({ mode }))
      const ref: ActorRef<P> = yield* ActorSystem.spawn(scripted({ onStop }).behavior, "a")
      const ended = yield* Effect.forkChild(ref.watch(), { startImmediately: true })
      yield* Effect.forkChild(ref.stop(), { startImmediately: true })
      yield* settled(host)
      expect(ended.pollUnsafe()).toEqual(Exit.succeed({ _tag: "normal" }))
      expect(causes).toHaveLength(1)
      expect(causes[0]).toContain("S/a: waits in its onStop for its own end")
    }).pipe(Effect.provide(Layer.provideMerge(layer, Logger.layer([]))))
  )

  it.effect("a fork may wait for it: it is interrupted when the mail has been handled", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const a = yield* ActorSystem.spawn(behavior, "a")
      yield* run(a, (self) => void self.fork(self.ref.stop({ mode: "drain" })))
      yield* settled(host)
      expect(log).toEqual(["stop drained"])
    }).pipe(Effect.provide(layer))
  )
})
