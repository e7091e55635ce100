import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FiberSet, Schema, Scope as ScopeOf, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type Host, type Self } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"

/** What happened in a row: how often each thing began and ended. */
class World {
  began = 0
  finalized = 0
  handled = 0
  stops = 0

  /** Work that is under way until it is interrupted, or `millis` have passed. */
  work(millis: number): Effect.Effect<void> {
    return Effect.acquireUseRelease(
      Effect.sync(() => void this.began++),
      () => Effect.sleep(millis),
      () => Effect.sync(() => void this.finalized++)
    )
  }
}

type Script = (self: Me, state: number, world: World) => unknown
const Run = Rpc.make("Run", { payload: Schema.Any, success: Schema.Any })
const Kept = Rpc.make("Kept", { payload: Schema.Any, success: Schema.Any }).annotate(Actor.Committed, true)
const Tail = Rpc.make("Tail", { payload: Schema.Any, success: Schema.Any, stream: true })
const Note = Rpc.make("Note")
type P = typeof Run | typeof Kept | typeof Tail | typeof Note
type Me = Self<P>

const Desk = Actor.make("Desk", { state: Schema.Int, protocol: [Run, Kept, Tail, Note] })

interface Options {
  readonly initial?: (self: Me) => Effect.Effect<number, unknown> | number
  readonly onStop?: Effect.Effect<unknown>
  readonly capacity?: number
}

const desk = (world: World, { initial = () => 0, onStop = Effect.void, capacity = 1024 }: Options = {}) => {
  const script = (state: number, run: Script, self: Me) => run(self, state, world) as never
  return Desk.behavior({
    initial: (_, self) => initial(self),
    mailbox: { capacity, overflow: "suspend" },
    shutdown: 1000,
    supervision: { backoff: { min: 100, jitter: false } },
    on: {
      Run: script,
      Kept: script,
      Tail: script,
      Note: (state) => {
        world.handled++
        return state
      }
    },
    onStop: () =>
      Effect.andThen(
        Effect.sync(() => void world.stops++),
        onStop
      )
  })
}

const answer = (value: unknown, next: number): unknown => Actor.reply(value, next)
const working =
  (millis = 100): Script =>
  (_, state, world) =>
    Effect.as(world.work(millis), answer("done", state + 1))
const stubborn: Script = (_, state, world) =>
  Effect.as(Effect.uninterruptible(world.work(100)), answer("done", state + 1))
const blocks: Script = (_, state) => Effect.as(Effect.sleep(50), answer("blocked", state))

// ---- asks that are given up

interface AskRow {
  readonly while: string
  readonly script: Script
  readonly tag?: "Run" | "Kept"
  /** A message in front of it: how long it keeps the actor. */
  readonly behind?: Script
  readonly capacity?: number
  readonly started: boolean
  readonly state: number
  readonly finalized: number
  readonly cancelled: number
  readonly dead?: Record<string, number>
}

const gone = (how: "timedOut" | "cancelled"): Record<string, number> => ({ [how]: 1 })

const askRows = (how: "timedOut" | "cancelled"): ReadonlyArray<AskRow> => [
  {
    while: "queued",
    behind: blocks,
    script: working(),
    started: false,
    state: 0,
    finalized: 0,
    cancelled: 0,
    dead: gone(how)
  },
  {
    while: "waiting for room",
    behind: blocks,
    capacity: 1,
    script: working(),
    started: false,
    state: 0,
    finalized: 0,
    cancelled: 0
  },
  { while: "suspended", script: working(), started: true, state: 0, finalized: 1, cancelled: 1 },
  { while: "suspended, uninterruptible", script: stubborn, started: true, state: 0, finalized: 1, cancelled: 1 },
  {
    while: "suspended, Committed",
    tag: "Kept",
    script: working(),
    started: true,
    state: 1,
    finalized: 1,
    cancelled: 0
  },
  {
    while: "suspended in Effect.all",
    script: (_, state, world) =>
      Effect.as(
        Effect.all([world.work(100), world.work(200), world.work(300)], { concurrency: 3 }),
        answer(0, state + 1)
      ),
    started: true,
    state: 0,
    finalized: 3,
    cancelled: 1
  },
  {
    while: "suspended in Effect.race",
    script: (_, state, world) => Effect.as(Effect.race(world.work(100), world.work(200)), answer(0, state + 1)),
    started: true,
    state: 0,
    finalized: 2,
    cancelled: 1
  },
  {
    while: "suspended beside a FiberSet",
    script: (_, state, world) =>
      Effect.gen(function* () {
        const set = yield* FiberSet.make()
        yield* FiberSet.run(set, world.work(100))
        yield* FiberSet.run(set, world.work(200))
        yield* FiberSet.awaitEmpty(set)
        return answer(0, state + 1)
      }),
    started: true,
    state: 0,
    finalized: 2,
    cancelled: 1
  },
  {
    while: "deferred",
    script: (self, state) => {
      self.defer()
      return Actor.noReply(state + 1)
    },
    started: true,
    state: 1,
    finalized: 0,
    cancelled: 0
  },
  {
    while: "stashed",
    script: (self) => {
      self.stash()
      return Actor.noReply()
    },
    started: false,
    state: 0,
    finalized: 0,
    cancelled: 0,
    dead: gone(how)
  },
  {
    while: "deferred, its work in a fork that goes on",
    script: (self, state, world) => {
      const later = self.defer<string>()
      self.fork(
        Effect.andThen(
          world.work(100),
          Effect.sync(() => void later.succeed("late"))
        )
      )
      return Actor.noReply(state + 1)
    },
    started: true,
    state: 1,
    finalized: 1,
    cancelled: 0
  }
]

const exitOf = (fiber: Fiber.Fiber<unknown, unknown>): string => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return "none"
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly started?: boolean }
  return error.started === undefined ? error._tag : `${error._tag} started ${error.started}`
}

describe("Law 8, cancellation arrives", () => {
  for (const how of ["timedOut", "cancelled"] as const) {
    for (const row of askRows(how)) {
      it.effect(`an ask ${how === "timedOut" ? "timed out" : "interrupted"} while ${row.while}`, () =>
        Effect.gen(function* () {
          const world = new World()
          const host = yield* ActorSystem
          const behavior = desk(world, row.capacity === undefined ? {} : { capacity: row.capacity })
          const ref = yield* ActorSystem.spawn(behavior, "a")
          if (row.behind !== undefined) {
            ref.tellUnsafe("Run", row.behind)
            yield* waitUntil(() => host.snapshot().running === 1, "the one in front is handled")
            if (row.capacity !== undefined) ref.tellUnsafe("Note")
          }
          const asks = ref.ask(row.tag ?? "Run", row.script, { timeout: how === "timedOut" ? 20 : 1000 })
          const asking = yield* Effect.forkChild(asks, { startImmediately: true })
          yield* TestClock.adjust(20)
          if (how === "cancelled") asking.interruptUnsafe()
          yield* TestClock.adjust(1)
          const expected = how === "timedOut" ? `AskTimeout started ${row.started}` : "interrupted"
          expect(exitOf(asking)).toBe(expected)
          yield* TestClock.adjust(500)
          const state = yield* ref.ask("Run", (_: Me, n: number) => Actor.reply(n))
          const { cancelled, deadLetters, queued, running } = host.snapshot()
          expect({
            state,
            finalized: world.finalized,
            began: world.began,
            cancelled,
            deadLetters,
            queued,
            running
          }).toEqual({
            state: row.state,
            finalized: row.finalized,
            began: row.finalized,
            cancelled: row.cancelled,
            deadLetters: row.dead ?? {},
            queued: 0,
            running: 0
          })
        }).pipe(Effect.provide(TestSystem.layer))
      )
    }

    for (const where of ["queued", "suspended"] as const) {
      it.effect(`a forwarded ask ${how === "timedOut" ? "timed out" : "interrupted"} while ${where} there`, () =>
        Effect.gen(function* () {
          const [first, world] = [new World(), new World()]
          const host = yield* ActorSystem
          const there = yield* ActorSystem.spawn(desk(world), "there")
          const ref = yield* ActorSystem.spawn(desk(first), "a")
          if (where === "queued") {
            there.tellUnsafe("Run", blocks)
            yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
          }
          const passing: Script = (self) => {
            self.forward(there, "Run", working())
            return Actor.noReply()
          }
          const asks = ref.ask("Run", passing, { timeout: how === "timedOut" ? 20 : 1000 })
          const asking = yield* Effect.forkChild(asks, { startImmediately: true })
          yield* TestClock.adjust(20)
          if (how === "cancelled") asking.interruptUnsafe()
          yield* TestClock.adjust(500)
          const started = where === "suspended"
          expect(exitOf(asking)).toBe(how === "timedOut" ? `AskTimeout started ${started}` : "interrupted")
          expect(yield* there.ask("Run", (_: Me, n: number) => Actor.reply(n))).toBe(0)
          expect([world.began, world.finalized]).toEqual(started ? [1, 1] : [0, 0])
          expect(host.snapshot().deadLetters).toEqual(started ? {} : gone(how))
        }).pipe(Effect.provide(TestSystem.layer))
      )
    }
  }

  for (const elements of [0, 3]) {
    it.effect(`a stream interrupted after ${elements} elements: its producer ends, its finalizer runs once`, () =>
      Effect.gen(function* () {
        const world = new World()
        const ref = yield* ActorSystem.spawn(desk(world), "a")
        const source = Stream.unwrap(
          Effect.as(
            Effect.acquireRelease(
              Effect.sync(() => void world.began++),
              () => Effect.sync(() => void world.finalized++)
            ),
            Stream.concat(Stream.fromIterable(Array.from({ length: elements }, (_, i) => i)), Stream.never)
          )
        )
        const script: Script = (_, state) => Actor.reply(source, state + 1)
        const seen: Array<unknown> = []
        const tail = Stream.runForEach(ref.ask("Tail", script), (n) => Effect.sync(() => void seen.push(n)))
        const asking = yield* Effect.forkChild(tail, { startImmediately: true })
        yield* TestClock.adjust(10)
        yield* Fiber.interrupt(asking)
        yield* TestClock.adjust(10)
        expect(seen).toHaveLength(elements)
        expect([world.began, world.finalized]).toEqual([1, 1])
        expect(yield* ref.ask("Run", (_: Me, n: number) => Actor.reply(n))).toBe(1)
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

// ---- stops: in each mode, whatever the actor is at, whatever belongs to it

const modes = ["now", "drain", "kill"] as const
type Mode = (typeof modes)[number]

const attachments = ["nothing", "a fork", "a pipe", "a fork that takes its time to end"] as const
type Attachment = (typeof attachments)[number]

const attach = (self: Me, what: Attachment, world: World): void => {
  if (what === "a fork") self.fork(world.work(10_000))
  else if (what === "a pipe") self.pipe(world.work(10_000), () => ["Note"])
  else if (what !== "nothing") self.fork(Effect.onInterrupt(world.work(10_000), () => Effect.sleep(5)))
}

interface Situation {
  readonly name: string
  readonly options?: (world: World, attachment: Attachment) => Options
  /** Brings the actor there. */
  readonly arrange: (ref: ActorRef<P>, world: World, host: Host) => Effect.Effect<unknown, unknown, ActorSystem>
  /** Whether it has a state, so that it can drain, and run `onStop`. */
  readonly stateful: boolean
  /** Work of its own besides the attachment. */
  readonly own: number
  /** Whether `kill` leaves something that only time can end. */
  readonly zombies: number
}

const busy = (host: Host) => waitUntil(() => host.snapshot().running === 1, "its handler is suspended")

const situations: ReadonlyArray<Situation> = [
  { name: "at rest", arrange: () => Effect.void, stateful: true, own: 0, zombies: 0 },
  {
    name: "connecting",
    options: (world, attachment) => ({
      initial: (self) => (attach(self, attachment, world), Effect.as(world.work(300), 0))
    }),
    arrange: (_, world) => waitUntil(() => world.began > 0, "initial runs"),
    stateful: true,
    own: 1,
    zombies: 0
  },
  {
    name: "connecting, uninterruptible",
    options: (world, attachment) => ({
      initial: (self) => (attach(self, attachment, world), Effect.as(Effect.uninterruptible(world.work(300)), 0))
    }),
    arrange: (_, world) => waitUntil(() => world.began > 0, "initial runs"),
    stateful: true,
    own: 1,
    zombies: 1
  },
  {
    name: "in a suspended handler",
    arrange: (ref, _, host) => (ref.tellUnsafe("Run", working(300)), busy(host)),
    stateful: true,
    own: 1,
    zombies: 0
  },
  {
    name: "in an uninterruptible handler",
    arrange: (ref, _, host) => (ref.tellUnsafe("Run", stubborn), busy(host)),
    stateful: true,
    own: 1,
    zombies: 1
  },
  {
    name: "in a Committed handler",
    arrange: (ref, _, host) => (ref.tellUnsafe("Kept", working(300)), busy(host)),
    stateful: true,
    own: 1,
    zombies: 0
  },
  {
    name: "in its backoff",
    arrange: (ref, _, host) => {
      ref.tellUnsafe("Run", () => {
        throw new Error("down")
      })
      return waitUntil(() => host.state(ref as ActorRef) === "connecting", "it has failed")
    },
    stateful: false,
    own: 0,
    zombies: 0
  }
]

const start = (situation: Situation, attachment: Attachment, world: World) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const ref = yield* ActorSystem.spawn(desk(world, situation.options?.(world, attachment)), "a")
    const early = situation.options !== undefined
    if (!early) {
      yield* ref.ask("Run", (self: Me, n: number) => (attach(self, attachment, world), Actor.reply(n)))
      yield* waitUntil(() => attachment === "nothing" || world.began === 1, "what belongs to it has begun")
    }
    yield* Effect.orDie(situation.arrange(ref, world, host))
    yield* waitUntil(() => world.began === situation.own + (attachment === "nothing" ? 0 : 1), "all has begun")
    for (let i = 0; i < 2; i++) ref.tellUnsafe("Note")
    return ref
  })

describe("stop", () => {
  for (const situation of situations) {
    for (const mode of modes) {
      it.effect(`${mode}, ${situation.name}, with ${attachments.join(", ")}`, () =>
        Effect.gen(function* () {
          for (const attachment of situation.name === "in its backoff" ? (["nothing"] as const) : attachments) {
            yield* Effect.gen(function* () {
              const world = new World()
              const host = yield* ActorSystem
              const ref = yield* start(situation, attachment, world)
              const stopping = yield* Effect.forkChild(ref.stop({ mode }), { startImmediately: true })
              yield* Effect.yieldNow
              if (mode === "kill") {
                yield* waitUntil(() => host.state(ref as ActorRef) === "stopped", "a kill waits for nothing")
                yield* TestClock.adjust(6)
                expect(host.snapshot().zombies).toHaveLength(situation.zombies)
              }
              yield* TestClock.adjust(900)
              yield* Fiber.join(stopping)
              const reason = yield* ref.watch()
              const drains = mode === "drain" && situation.stateful
              const expected = {
                reason: mode === "kill" ? "killed" : drains ? "drained" : "normal",
                handled: drains ? 2 : 0,
                dead: drains ? {} : { stopped: 2 },
                ends: world.began,
                stops: situation.name.startsWith("connecting") ? (drains ? 1 : 0) : situation.stateful ? 1 : 0,
                zombies: 0
              }
              const { deadLetters, zombies } = host.snapshot()
              const found = {
                reason: reason._tag,
                handled: world.handled,
                dead: deadLetters,
                ends: world.finalized,
                stops: world.stops,
                zombies: zombies.length
              }
              expect({ attachment, ...found }).toEqual({ attachment, ...expected })
            }).pipe(Effect.provide(TestSystem.layer, { local: true }))
          }
        })
      )
    }
  }

  const harder: Record<Mode, number> = { drain: 0, now: 1, kill: 2 }
  for (const first of modes) {
    for (const second of modes) {
      it.effect(`${second} during ${first}: the harder of the two counts, and both are told of the end`, () =>
        Effect.gen(function* () {
          const world = new World()
          const host = yield* ActorSystem
          const ref = yield* start(situations[4]!, "a fork", world)
          const stops = [yield* Effect.forkChild(ref.stop({ mode: first }), { startImmediately: true })]
          yield* TestClock.adjust(10)
          stops.push(yield* Effect.forkChild(ref.stop({ mode: second }), { startImmediately: true }))
          yield* TestClock.adjust(500)
          for (const fiber of stops) yield* Fiber.join(fiber)
          const mode = harder[second] > harder[first] ? second : first
          expect((yield* ref.watch())._tag).toBe({ drain: "drained", now: "normal", kill: "killed" }[mode])
          expect(world.handled).toBe(mode === "drain" ? 2 : 0)
          expect([world.began, world.finalized, world.stops]).toEqual([2, 2, 1])
          expect(host.snapshot().zombies).toEqual([])
        }).pipe(Effect.provide(TestSystem.layer))
      )
    }
  }

  for (const mode of modes) {
    it.effect(`${mode} while a restart waits for a finalizer of the last incarnation`, () =>
      Effect.gen(function* () {
        const world = new World()
        const ref = yield* ActorSystem.spawn(desk(world), "a")
        const slow = Effect.onInterrupt(world.work(10_000), () => Effect.sleep(50))
        yield* ref.ask("Run", (self: Me, n: number) => (void self.fork(slow), Actor.reply(n)))
        yield* waitUntil(() => world.began === 1, "its fork has begun")
        ref.tellUnsafe("Run", () => {
          throw new Error("down")
        })
        ref.tellUnsafe("Note")
        yield* TestClock.adjust(5)
        const stopping = yield* Effect.forkChild(ref.stop({ mode }), { startImmediately: true })
        yield* TestClock.adjust(200)
        yield* Fiber.join(stopping)
        expect((yield* ref.watch())._tag).toBe(mode === "kill" ? "killed" : "normal")
        expect([world.began, world.finalized, world.handled, world.stops]).toEqual([1, 1, 0, 0])
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

// ---- finalizers that suspend, fail, or hang

const ways = {
  suspends: Effect.sleep(50),
  fails: Effect.die("in its finalizer"),
  hangs: Effect.uninterruptible(Effect.sleep(10_000))
}

const places: Record<
  string,
  (ref: ActorRef<P>, finalizer: Effect.Effect<unknown>) => Effect.Effect<unknown, unknown, ActorSystem>
> = {
  "a suspended handler": (ref, finalizer) => {
    ref.tellUnsafe("Run", () => Effect.onInterrupt(Effect.never, () => finalizer))
    return Effect.flatMap(ActorSystem, busy)
  },
  "what a handler acquired": (ref, finalizer) => {
    ref.tellUnsafe("Run", () =>
      Effect.andThen(
        Effect.acquireRelease(Effect.void, () => finalizer),
        Effect.never
      )
    )
    return Effect.flatMap(ActorSystem, busy)
  },
  "a fork": (ref, finalizer) =>
    ref.ask("Run", (self: Me, n: number) => {
      self.fork(Effect.onInterrupt(Effect.never, () => finalizer))
      return Actor.reply(n)
    }),
  "the incarnation's scope": (ref, finalizer) =>
    ref.ask("Run", (self: Me, n: number) =>
      Effect.as(
        Effect.addFinalizer(() => finalizer).pipe(Effect.provideService(ScopeOf.Scope, self.scope)),
        Actor.reply(n)
      )
    )
}

describe("a finalizer", () => {
  for (const [place, arrange] of Object.entries(places)) {
    for (const way of ["suspends", "fails", "hangs"] as const) {
      it.effect(`of ${place} that ${way}`, () =>
        Effect.gen(function* () {
          const world = new World()
          const host = yield* ActorSystem
          const reports: Array<string> = []
          host.system.onFailure.add(({ decision }) => void reports.push(decision))
          const ref = yield* ActorSystem.spawn(desk(world), "a")
          const finalizer = Effect.andThen(
            Effect.sync(() => void world.finalized++),
            ways[way]
          )
          yield* Effect.orDie(arrange(ref, finalizer))
          yield* TestClock.adjust(1)
          const stopping = yield* Effect.forkChild(ref.stop(), { startImmediately: true })
          yield* TestClock.adjust(49)
          expect(stopping.pollUnsafe() === undefined).toBe(way !== "fails")
          yield* TestClock.adjust(960)
          yield* Fiber.join(stopping)
          expect(world.finalized).toBe(1)
          expect((yield* ref.watch())._tag).toBe(way === "hangs" ? "killed" : "normal")
          expect(reports).toHaveLength(way === "fails" ? 1 : 0)
          expect(host.snapshot().zombies).toHaveLength(way === "hangs" ? 1 : 0)
          yield* TestClock.adjust(10_000)
          expect(host.snapshot().zombies).toEqual([])
        }).pipe(Effect.provide(TestSystem.layer))
      )
    }
  }
})
