import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Duration, Effect, Exit, Fiber, Layer, Logger, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { type ActorRef, ActorSystem, type Behavior } from "troupe"
import { WorkPool } from "troupe/actors"
import { TestSystem, waitUntil } from "troupe/testkit"

class Broken extends Schema.TaggedError<Broken>()("Broken", { why: Schema.String }) {}

/** What a task of the tests does. */
const Task = Schema.Struct({
  name: Schema.String,
  millis: Schema.optional(Schema.Int),
  /** So many attempts fail. */
  fails: Schema.optional(Schema.Int),
  dies: Schema.optional(Schema.Boolean)
})
type Task = typeof Task.Type

/** A pool whose tasks leave notes: `a+0` begun by worker 0, `a-` ended, `a!` interrupted. */
const noting = (options: Partial<Parameters<typeof pool>[0]> = {}) => {
  const notes: Array<string> = []
  const work = ({ dies, fails = 0, millis = 10, name }: Task, { attempt, index }: WorkPool.Worker) =>
    Effect.gen(function* () {
      notes.push(`${name}+${index}`)
      yield* Effect.sleep(millis)
      if (dies === true) throw new Error("a fault")
      if (attempt <= fails) return yield* new Broken({ why: `${name} ${attempt}` })
      notes.push(`${name}-`)
      return `${name} by ${index}`
    }).pipe(Effect.onInterrupt(() => Effect.sync(() => void notes.push(`${name}!`))))
  return { notes, ...pool({ work, workers: 2, ...options }) }
}

type Work = (task: Task, worker: WorkPool.Worker) => Effect.Effect<string, Broken>
const pool = (options: {
  readonly work: Work
  readonly workers: number
  readonly maxQueued?: number
  readonly overflow?: "fail" | "suspend"
  readonly maxWaiting?: number
  readonly retry?: Schedule.Schedule<unknown, Broken>
}) => WorkPool.make("Pool", { task: Task, result: Schema.String, error: Broken, ...options })

type Ref = ReturnType<typeof noting>["behavior"] extends Behavior<infer P, infer _R> ? ActorRef<P> : never

const forked = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(Effect.exit(effect), { startImmediately: true })
const run = (ref: Ref, ...tasks: ReadonlyArray<Task | string>) =>
  Effect.forEach(tasks, (task) => forked(ref.ask("Run", typeof task === "string" ? { name: task } : task)))
/** Lets what is ready go on, without time. */
const settle = TestClock.adjust(0)
const errorOf = <A, E>(fiber: Fiber.Fiber<Exit.Exit<A, E>>) =>
  Effect.flatMap(Fiber.join(fiber), (exit) => Effect.flip(exit))
/** Looks until it is so. */
const until = Effect.fnUntraced(function* (ref: Ref, fact: (stats: typeof WorkPool.Stats.Type) => boolean) {
  for (let looks = 0; looks < 1000; looks++) {
    if (fact(yield* ref.ask("Stats"))) return
    yield* Effect.yieldNow
  }
  return yield* Effect.die(yield* ref.ask("Stats"))
})
const logged: Array<string> = []
const listening = Logger.layer([
  Logger.make(({ cause, message }) => void logged.push(`${String(message)} ${Cause.pretty(cause)}`.trim()))
])
const layer = Layer.provideMerge(TestSystem.layer, listening)

describe("WorkPool", () => {
  it.effect("a worker takes the next task the moment it is free: one ten times as fast does ten times as many", () =>
    Effect.gen(function* () {
      const { behavior } = pool({
        workers: 2,
        work: ({ name }, { index }) => Effect.as(Effect.sleep(index === 0 ? 100 : 10), name)
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, ...Array.from({ length: 22 }, (_, i) => `${i}`))
      yield* TestClock.adjust(200)
      const { workers, ...stats } = yield* ref.ask("Stats")
      expect([stats.done, workers.map(({ busyMillis, done }) => [done, busyMillis])]).toEqual([
        22,
        [
          [2, 200],
          [20, 200]
        ]
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("begins tasks in the order they came, as many at once as there are workers", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a] = yield* run(ref, { name: "a", millis: 30 }, "b", "c", "d")
      yield* TestClock.adjust(20)
      expect(notes).toEqual(["a+0", "b+1", "b-", "c+1", "c-", "d+1"])
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(a!)).toEqual(Exit.succeed("a by 0"))
    }).pipe(Effect.provide(layer))
  )

  it.effect("works where it is hosted: the first task makes it", () =>
    Effect.gen(function* () {
      const { behavior, definition } = noting()
      yield* ActorSystem.host(behavior)
      const [a] = yield* run(definition.at("nightly"), "a")
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(a!)).toEqual(Exit.succeed("a by 0"))
    }).pipe(Effect.provide(layer))
  )

  it.effect("needs what its work needs, and closes the scope of each task with it", () =>
    Effect.gen(function* () {
      class Tax extends Context.Service<Tax, { readonly rate: number }>()("Tax") {}
      const closed: Array<number> = []
      const { behavior } = WorkPool.make("Taxed", {
        task: Schema.Int,
        result: Schema.Int,
        workers: 1,
        work: (net) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => Effect.sync(() => void closed.push(net)))
            return net * (yield* Tax).rate
          })
      })
      type Needed = typeof behavior extends Behavior<infer _P, infer R> ? R : never
      const isTax: [Needed, Tax] extends [Tax, Needed] ? true : false = true
      const ref = yield* ActorSystem.spawn(behavior, "a").pipe(Effect.provideService(Tax, Tax.of({ rate: 2 })))
      expect([yield* ref.ask("Run", 21), closed, isTax]).toEqual([42, [21], true])
    }).pipe(Effect.provide(layer))
  )
})

describe("Resize", () => {
  it.effect("to more: they begin at once", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a", "b", "c", "d")
      yield* settle
      expect(notes).toEqual(["a+0"])
      yield* ref.ask("Resize", { workers: 3 })
      yield* settle
      expect(notes).toEqual(["a+0", "b+1", "c+2"])
      yield* TestClock.adjust(10)
    }).pipe(Effect.provide(layer))
  )

  it.effect("to fewer: free workers go at once, the others when their task is done", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 4 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, { name: "a", millis: 30 }, "b", "c")
      yield* ref.ask("Resize", { workers: 1 })
      expect((yield* ref.ask("Stats")).workers.map(({ index }) => index)).toEqual([0, 1, 2])
      yield* run(ref, "d")
      yield* TestClock.adjust(10)
      expect(notes).toEqual(["a+0", "b+1", "c+2", "b-", "c-"])
      expect((yield* ref.ask("Stats")).workers.map(({ index }) => index)).toEqual([0])
      yield* TestClock.adjust(20)
      expect(notes.slice(5)).toEqual(["a-", "d+0"])
      yield* TestClock.adjust(10)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps what those had done that are gone: the rows and `gone` add up to the pool", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ workers: 3 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a", { name: "b", fails: 1 }, { name: "c", millis: 30 })
      yield* TestClock.adjust(10)
      // two are free and go, the third with its task
      yield* ref.ask("Resize", { workers: 0 })
      expect(yield* ref.ask("Stats")).toMatchObject({ busyMillis: 30, gone: { workers: 2, done: 1, failed: 1 } })
      yield* TestClock.adjust(20)
      const gone = { workers: 3, done: 2, failed: 1, retried: 0, busyMillis: 50 }
      expect(yield* ref.ask("Stats")).toMatchObject({ done: 2, failed: 1, busyMillis: 50, workers: [], gone })
      yield* ref.ask("Resize", { workers: 1 })
      yield* run(ref, "d")
      yield* TestClock.adjust(10)
      const rows = [{ index: 0, busy: false, done: 1, failed: 0, retried: 0, busyMillis: 10 }]
      expect(yield* ref.ask("Stats")).toMatchObject({ done: 3, busyMillis: 60, workers: rows, gone })
    }).pipe(Effect.provide(layer))
  )

  it.effect("to none and back: a pause, and the numbers of workers are used again", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Resize", { workers: 0 })
      yield* run(ref, "a")
      yield* TestClock.adjust("4 seconds")
      expect(notes).toEqual([])
      yield* ref.ask("Resize", { workers: 2 })
      yield* TestClock.adjust(10)
      expect(notes).toEqual(["a+0", "a-"])
    }).pipe(Effect.provide(layer))
  )
})

describe("a task that fails", () => {
  it.effect("is told to its asker, and touches no other", () =>
    Effect.gen(function* () {
      logged.length = 0
      const { behavior } = noting()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a, b, c] = yield* run(ref, { name: "a", fails: 9 }, { name: "b", millis: 20 }, { name: "c", dies: true })
      yield* TestClock.adjust(30)
      expect(yield* errorOf(a!)).toEqual(new Broken({ why: "a 1" }))
      expect(yield* Fiber.join(b!)).toEqual(Exit.succeed("b by 1"))
      const died = yield* errorOf(c!)
      expect([died._tag, died.message]).toEqual([
        "TaskDied",
        "Pool/a: task 3 died on worker 0, and is not tried again: only what fails with `error` is (option retry); the log has why, under its number"
      ])
      expect(logged).toEqual([
        expect.stringMatching(/^Pool\/a: task 3 died on worker 0: {"name":"c","dies":true} .*a fault/s)
      ])
      expect(yield* ref.ask("Stats")).toMatchObject({ done: 1, failed: 2, running: 0 })
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([
    [
      "throws before it is an Effect",
      () => {
        throw new Error("no Effect")
      },
      false
    ],
    ["dies", () => Effect.die("dead"), false],
    ["interrupts itself", () => Effect.interrupt, true]
  ] as ReadonlyArray<readonly [string, () => Effect.Effect<string>, boolean]>)(
    "that %s is TaskDied, and is not retried",
    ([, work, interrupted]) =>
      Effect.gen(function* () {
        const { behavior } = pool({ work, workers: 1, retry: Schedule.recurs(3) })
        const ref = yield* ActorSystem.spawn(behavior, "a")
        const error = yield* Effect.flip(ref.ask("Run", { name: "a" }))
        expect(error).toMatchObject({ _tag: "TaskDied", id: 1, worker: 0, interrupted })
        expect(yield* ref.ask("Stats")).toMatchObject({ failed: 1, retried: 0, running: 0 })
      }).pipe(Effect.provide(layer))
  )

  it.effect("of whatever it died, the schedule's defect too, the log has why", () =>
    Effect.gen(function* () {
      logged.length = 0
      const bad = Schedule.recurs(3).pipe(
        Schedule.while(() => {
          throw new Error("a bad schedule")
        })
      )
      const { behavior } = noting({ workers: 1, retry: bad })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a] = yield* run(ref, { name: "a", fails: 1 })
      yield* TestClock.adjust(10)
      expect(yield* errorOf(a!)).toMatchObject({ _tag: "TaskDied", interrupted: false })
      expect(logged).toEqual([expect.stringMatching(/^Pool\/a: task 1 died on worker 0: .* Error: a bad schedule/)])
    }).pipe(Effect.provide(layer))
  )

  it.effect("is retried by the schedule, while its worker takes another", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({
        workers: 1,
        retry: Schedule.exponential(100).pipe(Schedule.upTo({ times: 2 }))
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a, , c] = yield* run(ref, { name: "a", fails: 2 }, "b", { name: "c", fails: 3 })
      yield* TestClock.adjust(30)
      expect(notes).toEqual(["a+0", "b+0", "b-", "c+0"])
      expect(yield* ref.ask("Stats")).toMatchObject({ retried: 2, queued: 2, retrying: 2, running: 0 })
      yield* TestClock.adjust(79)
      expect(notes.length).toBe(4)
      yield* TestClock.adjust(1)
      expect(notes.slice(4)).toEqual(["a+0"])
      // both wait 200 ms more
      yield* TestClock.adjust(229)
      expect(notes.slice(4)).toEqual(["a+0", "c+0", "a+0", "a-"])
      yield* TestClock.adjust(20)
      expect(yield* Fiber.join(a!)).toEqual(Exit.succeed("a by 0"))
      expect(yield* errorOf(c!)).toEqual(new Broken({ why: "c 3" }))
      const { workers, ...stats } = yield* ref.ask("Stats")
      expect(stats).toMatchObject({ done: 2, failed: 1, retried: 4 })
      expect(workers).toEqual([{ index: 0, busy: false, done: 2, failed: 1, retried: 4, busyMillis: 70 }])
    }).pipe(Effect.provide(layer))
  )

  it.effect("without delay goes to the end of the queue", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, retry: Schedule.recurs(1) })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, { name: "a", fails: 1 }, "b")
      yield* TestClock.adjust(30)
      expect(notes).toEqual(["a+0", "b+0", "b-", "a+0", "a-"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("unheard is logged: nobody waits for the result of a Submit, or of what was told", () =>
    Effect.gen(function* () {
      logged.length = 0
      const { behavior } = noting({ retry: Schedule.recurs(1) })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Submit", { name: "a", fails: 2 })
      yield* ref.tell("Run", { name: "b", fails: 2 })
      yield* TestClock.adjust(20)
      expect(logged).toEqual([
        expect.stringMatching(/^Pool\/a: task 1 failed on worker 0, after 2 attempts: {"name":"a","fails":2} Broken/),
        expect.stringMatching(/^Pool\/a: task 2 failed on worker 1, after 2 attempts: {"name":"b","fails":2} Broken/)
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("unheard is logged where it interrupted itself, too; not where it was given up", () =>
    Effect.gen(function* () {
      logged.length = 0
      const { behavior } = noting({
        work: ({ name }) => (name === "self" ? Effect.interrupt : Effect.never),
        workers: 2
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Submit", { name: "self" })
      const [heard, given] = yield* run(ref, "self", "given up")
      expect(yield* errorOf(heard!)).toMatchObject({ _tag: "TaskDied", interrupted: true })
      yield* Fiber.interrupt(given!)
      yield* ref.ask("Join")
      expect(logged).toEqual(['Pool/a: task 1 interrupted itself on worker 0: {"name":"self"}'])
    }).pipe(Effect.provide(layer))
  )
})

describe("a full queue", () => {
  it.effect("hands the fourth task back while one runs and two wait", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ workers: 1, maxQueued: 2 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a", "b", "c")
      const error = yield* Effect.flip(ref.ask("Run", { name: "d" }))
      expect(error).toMatchObject({ _tag: "PoolFull", option: "maxQueued", limit: 2, task: { name: "d" } })
      expect((yield* Effect.flip(ref.ask("Submit", { name: "e" })))._tag).toBe("PoolFull")
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 5, refused: 2, queued: 2, running: 1 })
      yield* TestClock.adjust(30)
      yield* run(ref, "f")
      yield* TestClock.adjust(10)
      expect((yield* ref.ask("Stats")).done).toBe(4)
    }).pipe(Effect.provide(layer))
  )

  it.effect("has places for tasks that wait for their retry, too", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ workers: 1, maxQueued: 0, retry: Schedule.spaced("1 minute") })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a] = yield* run(ref, { name: "a", fails: 1 })
      yield* TestClock.adjust(10)
      expect((yield* Effect.flip(ref.ask("Run", { name: "b" })))._tag).toBe("PoolFull")
      yield* Fiber.interrupt(a!)
    }).pipe(Effect.provide(layer))
  )

  it.effect("told, is counted by the system: its sender hears of nothing", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = noting({ workers: 0, maxQueued: 0 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.tell("Run", { name: "a" })
      yield* waitUntil(() => host.snapshot().unheardErrors === 1, "it was refused")
    }).pipe(Effect.provide(layer))
  )

  it.effect("suspends its submitters: each comes in with the next place, in order", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 1, overflow: "suspend" })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a", "b")
      const submits = yield* Effect.forEach(["c", "d", "e"], (name) => forked(ref.ask("Submit", { name })))
      yield* settle
      const taken = () => submits.map((fiber) => fiber.pollUnsafe() !== undefined)
      expect([taken(), (yield* ref.ask("Stats")).submitted]).toEqual([[false, false, false], 2])
      yield* TestClock.adjust(10)
      expect(taken()).toEqual([true, false, false])
      yield* run(ref, "f")
      yield* TestClock.adjust(40)
      expect([taken(), notes.filter((note) => note.endsWith("-"))]).toEqual([
        [true, true, true],
        ["a-", "b-", "c-", "d-", "e-"]
      ])
      yield* TestClock.adjust(10)
    }).pipe(Effect.provide(layer))
  )

  it.effect("suspends its submitters: in order too when there is room for many at once", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 0, overflow: "suspend" })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a", "b", "c", "d", "e", "f")
      yield* settle
      yield* ref.ask("Resize", { workers: 4 })
      yield* TestClock.adjust(30)
      expect(notes.filter((note) => note.includes("+"))).toEqual(["a+0", "b+1", "c+2", "d+3", "e+0", "f+1"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("suspends its submitters: one that gives up when it is called leaves its place to the next", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 0, overflow: "suspend" })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const wait = { timeout: "infinity" } as const
      const [a, b] = yield* Effect.forEach(["a", "b", "c"], (name) => forked(ref.ask("Run", { name }, wait)))
      // as in a race of the two: between the turn that calls b and b's own
      a!.addObserver(() => b!.interruptUnsafe())
      yield* TestClock.adjust(20)
      expect(notes).toEqual(["a+0", "a-", "c+0", "c-"])
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 2, done: 2 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("suspends so many, and hands back one more; who gives up has not submitted", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 0, overflow: "suspend", maxWaiting: 2 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [, b] = yield* run(ref, "a", "b", "c")
      const error = yield* Effect.flip(ref.ask("Run", { name: "d" }))
      expect(error).toMatchObject({ _tag: "PoolFull", option: "maxWaiting", limit: 2 })
      yield* Fiber.interrupt(b!)
      yield* TestClock.adjust(20)
      expect(notes).toEqual(["a+0", "a-", "c+0", "c-"])
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 3, done: 2, refused: 1, cancelled: 0 })
    }).pipe(Effect.provide(layer))
  )
})

describe("a task that is given up", () => {
  it.effect("leaves the queue, or is interrupted, or waits for its retry no more", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, retry: Schedule.spaced("1 minute") })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a, b, c] = yield* run(ref, { name: "a", fails: 9 }, { name: "b", millis: 50 }, "c", "d")
      yield* TestClock.adjust(20)
      expect(yield* ref.ask("Stats")).toMatchObject({ retrying: 1, running: 1, queued: 3 })
      yield* Effect.forEach([a!, b!, c!], Fiber.interrupt)
      yield* TestClock.adjust("2 minutes")
      expect(notes).toEqual(["a+0", "b+0", "b!", "d+0", "d-"])
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 4, cancelled: 3, done: 1, queued: 0, retrying: 0 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("by its time-out is interrupted, and its worker free when its finalizers are through", () =>
    Effect.gen(function* () {
      const notes: Array<string> = []
      const { behavior } = pool({
        workers: 1,
        work: ({ name }) =>
          Effect.suspend(() => {
            notes.push(name)
            return Effect.onInterrupt(Effect.never, () =>
              Effect.andThen(
                Effect.sleep(40),
                Effect.sync(() => void notes.push("closed"))
              )
            )
          })
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const late = yield* forked(ref.ask("Run", { name: "a" }, { timeout: 10 }))
      const [next] = yield* run(ref, "b")
      yield* TestClock.adjust(10)
      expect(yield* errorOf(late)).toMatchObject({ _tag: "AskTimeout", started: true })
      expect([notes, (yield* ref.ask("Stats")).running]).toEqual([["a"], 1])
      yield* TestClock.adjust(40)
      expect(notes).toEqual(["a", "closed", "b"])
      yield* Fiber.interrupt(next!)
      yield* TestClock.adjust(40)
      expect(yield* ref.ask("Stats")).toMatchObject({ cancelled: 2, running: 0 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("is heard of though the mailbox is full", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 2000 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const asked = yield* run(ref, ...Array.from({ length: 100 }, () => ({ name: "a", millis: 1000 })))
      yield* until(ref, ({ submitted }) => submitted === 100)
      while (ref.tellUnsafe("Stats") === "accepted");
      expect((yield* Effect.flip(ref.tell("Join")))._tag).toBe("MailboxFull")
      yield* Effect.forEach(asked, Fiber.interrupt)
      yield* settle
      yield* until(ref, ({ cancelled }) => cancelled === 100)
      expect(yield* ref.ask("Stats")).toMatchObject({ queued: 0, running: 0 })
      expect(notes).toEqual(["a+0", "a!"])
    }).pipe(Effect.provide(layer))
  )
})

describe("Join", () => {
  it.effect("is refused beyond 1,024, and takes no task's place", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ work: () => Effect.never, workers: 1, maxQueued: 1 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Submit", { name: "a" })
      const wait = { timeout: "infinity" } as const
      const join = forked(ref.ask("Join", undefined, wait))
      const joins: Array<Effect.Success<typeof join>> = []
      for (let n = 0; n < 6000; n += 500) {
        joins.push(...(yield* Effect.replicateEffect(join, 500)))
        yield* settle
        yield* ref.ask("Stats") // behind them all
        yield* settle
      }
      const refused = joins.filter((fiber) => fiber.pollUnsafe() !== undefined)
      expect(refused.length).toBe(6000 - 1024)
      expect(yield* errorOf(refused[0]!)).toMatchObject({ _tag: "LimitReached", what: "Pool/a: joins", limit: 1024 })
      yield* forked(ref.ask("Run", { name: "b" }, wait))
      yield* settle
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 2, queued: 1, running: 1 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("is answered when all tasks before it have ended, however, and waits for none behind it", () =>
    Effect.gen(function* () {
      const { behavior } = noting()
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Join")
      const [, , c] = yield* run(ref, { name: "a", fails: 9 }, { name: "b", dies: true }, { name: "c", millis: 500 })
      const join = yield* forked(ref.ask("Join", undefined, { timeout: "infinity" }))
      yield* run(ref, "late", { name: "later", millis: 4000 })
      yield* TestClock.adjust(100)
      expect(join.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(c!)
      expect(yield* Fiber.join(join)).toEqual(Exit.void)
      expect((yield* ref.ask("Stats")).running).toBe(1)
      yield* TestClock.adjust(4000)
    }).pipe(Effect.provide(layer))
  )
})

describe("Drain", () => {
  it.effect("takes nothing on any more, and ends with what it had", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, maxQueued: 1, overflow: "suspend", retry: Schedule.spaced(100) })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [, , suspended] = yield* run(ref, { name: "a", fails: 1 }, "b", "c")
      const drain = yield* forked(ref.ask("Drain", { within: Duration.seconds(1) }))
      yield* settle
      expect(yield* errorOf(suspended!)).toMatchObject({ _tag: "PoolDraining", begun: false, task: { name: "c" } })
      expect((yield* Effect.flip(ref.ask("Submit", { name: "d" })))._tag).toBe("PoolDraining")
      yield* TestClock.adjust(200)
      expect(yield* Fiber.join(drain)).toEqual(Exit.succeed(0))
      expect(notes).toEqual(["a+0", "b+0", "b-", "a+0", "a-"])
      expect(yield* ref.ask("Drain", { within: Duration.infinity })).toBe(0)
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([
    ["milliseconds", 1000],
    ["text", "1 second"],
    ["a Duration", Duration.seconds(1)],
    ["parts", { seconds: 1 }]
  ] as ReadonlyArray<readonly [string, Duration.Input]>)("takes its deadline as %s", ([, within]) =>
    Effect.gen(function* () {
      const { behavior } = noting({ work: () => Effect.never })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, "a")
      const drain = yield* forked(ref.ask("Drain", { within }))
      yield* TestClock.adjust(999)
      expect(drain.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(drain)).toEqual(Exit.succeed(1))
    }).pipe(Effect.provide(layer))
  )

  it.effect(
    "has its deadline in JSON as milliseconds or text, and what is no duration is refused there by its name",
    () =>
      Effect.gen(function* () {
        const { definition } = noting()
        const { payloadSchema } = definition.protocol.rpcs.find(({ _tag }) => _tag === "Drain")!
        const codec = Schema.toCodecJson(payloadSchema as Schema.Codec<{ readonly within: Duration.Input }>)
        const through = (within: unknown) =>
          Effect.flatMap(Schema.encodeUnknownEffect(codec)({ within }), (json) =>
            Effect.map(Schema.decodeUnknownEffect(codec)(JSON.parse(JSON.stringify(json))), (back) => back.within)
          )
        const given = [1500, "10 millis", { seconds: 2 }, Duration.seconds(1), Duration.infinity, "infinity"]
        expect(yield* Effect.forEach(given, through)).toEqual([1500, 10, 2000, 1000, "Infinity", "Infinity"])
        expect(yield* Schema.decodeUnknownEffect(codec)({ within: "5 seconds" })).toEqual({ within: "5 seconds" })
        for (const within of ["soon", null, true, {}]) {
          const error = yield* Effect.flip(Schema.decodeUnknownEffect(codec)({ within }))
          expect(error.message).toMatch(/within/)
        }
      })
  )

  it.effect("a later one sets the deadline anew", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* run(ref, { name: "a", millis: 300 })
      const drain = (within: Duration.Duration) => forked(ref.ask("Drain", { within }))
      const drains = [yield* drain(Duration.millis(100)), yield* drain(Duration.infinity)]
      yield* TestClock.adjust(300)
      expect(yield* Effect.forEach(drains, Fiber.join)).toEqual([Exit.succeed(0), Exit.succeed(0)])
      expect(notes).toEqual(["a+0", "a-"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("at its deadline cancels the rest, tells its askers so, and answers how many", () =>
    Effect.gen(function* () {
      const { behavior, notes } = noting({ workers: 1, retry: Schedule.spaced("1 hour") })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const asked = yield* run(ref, { name: "a", fails: 1 }, { name: "b", millis: 4000 }, "c")
      const drain = yield* forked(ref.ask("Drain", { within: Duration.seconds(1) }))
      const join = yield* forked(ref.ask("Join"))
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(drain)).toEqual(Exit.succeed(3))
      const errors = yield* Effect.forEach(asked, errorOf)
      expect(
        errors.map((error) => (error._tag === "PoolDraining" ? [(error.task as Task).name, error.begun] : error))
      ).toEqual([
        ["a", true],
        ["b", true],
        ["c", false]
      ])
      expect(yield* Fiber.join(join)).toEqual(Exit.void)
      yield* TestClock.adjust("2 hours")
      expect(notes).toEqual(["a+0", "b+0", "b!"])
      expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 3, cancelled: 3, queued: 0, running: 0 })
    }).pipe(Effect.provide(layer))
  )
})

describe("a task that nobody waits for", () => {
  it.effect("and that Drain's deadline cuts off is told to the log by what it was, before Drain is answered", () =>
    Effect.gen(function* () {
      logged.length = 0
      const { behavior } = noting({ workers: 1, retry: Schedule.spaced("1 hour") })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ref.ask("Submit", { name: "a", fails: 1 })
      yield* ref.ask("Submit", { name: "b", millis: 4000 })
      const [c, given] = yield* run(ref, "c", "given up")
      yield* ref.tell("Run", { name: "d".repeat(300) })
      yield* TestClock.adjust(20)
      yield* Fiber.interrupt(given!)
      const drain = yield* forked(ref.ask("Drain", { within: "1 second" }))
      let toldFirst = 0
      drain.addObserver(() => (toldFirst = logged.length))
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(drain)).toEqual(Exit.succeed(4))
      expect((yield* errorOf(c!))._tag).toBe("PoolDraining")
      expect([toldFirst, logged]).toEqual([
        3,
        [
          `Pool/a: task 1 is cut off by Drain's deadline, 1000 ms, begun: {"name":"a","fails":1}`,
          `Pool/a: task 2 is cut off by Drain's deadline, 1000 ms, begun: {"name":"b","millis":4000}`,
          `Pool/a: task 5 is cut off by Drain's deadline, 1000 ms, not begun: {"name":"${"d".repeat(191)}...`
        ]
      ])
      yield* ref.stop()
      expect(logged.length).toBe(3)
    }).pipe(Effect.provide(layer))
  )

  it.effect("has a line of its own with 99 others; one says how many more there are", () =>
    Effect.gen(function* () {
      logged.length = 0
      const { behavior } = noting({ workers: 0 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      for (let n = 1; n <= 130; n++) yield* ref.ask("Submit", { name: `${n}` })
      const drain = yield* forked(ref.ask("Drain", { within: 1000 }))
      yield* TestClock.adjust(1000)
      expect(yield* Fiber.join(drain)).toEqual(Exit.succeed(130))
      expect(logged.length).toBe(101)
      expect(logged.slice(-2)).toEqual([
        `Pool/a: task 100 is cut off by Drain's deadline, 1000 ms, not begun: {"name":"100"}`,
        "Pool/a: so it is with 30 more tasks that nobody waits for"
      ])
    }).pipe(Effect.provide(layer))
  )
})

describe("errors", () => {
  it.effect("say what happened, how many, the limit, and what to do", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ workers: 1, maxQueued: 1, work: () => Effect.never })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const [a, b] = yield* run(ref, "a", "b")
      expect((yield* Effect.flip(ref.ask("Run", { name: "c" }))).message).toBe(
        'Pool/a: full, 1 tasks wait for a worker, as many as may: this one was not taken on, come again later (option maxQueued; overflow: "suspend" waits for room)'
      )
      yield* forked(ref.ask("Drain", { within: 1000 }))
      expect((yield* Effect.flip(ref.ask("Run", { name: "d" }))).message).toBe(
        "Pool/a: drains and takes nothing on any more; 2 tasks that it had are unfinished. This one was not begun: give it to another pool, or to this one when it is started anew"
      )
      yield* TestClock.adjust(1000)
      const cut = "Pool/a: drained for 1000 ms, and cancels the 2 tasks still unfinished. This one"
      const then = "give it to another pool, or drain for longer (Drain, within)"
      expect([(yield* errorOf(a!)).message, (yield* errorOf(b!)).message]).toEqual([
        `${cut} had begun, and may have had effects: ${then}`,
        `${cut} had not begun: ${then}`
      ])
    }).pipe(Effect.provide(layer))
  )

  it.effect("say of a full line, too, which option it is", () =>
    Effect.gen(function* () {
      const { behavior } = noting({ workers: 1, maxQueued: 0, overflow: "suspend", maxWaiting: 1 })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const asked = yield* run(ref, "a", "b")
      expect((yield* Effect.flip(ref.ask("Run", { name: "c" }))).message).toBe(
        "Pool/a: full, 1 submitters wait for room, as many as may: this one was not taken on, come again later (option maxWaiting)"
      )
      yield* Effect.forEach(asked, Fiber.interrupt)
    }).pipe(Effect.provide(layer))
  )
})

describe("the end of a pool", () => {
  it.effect.each(["now", "drain"] as const)(
    "by stop, mode %s: what runs is interrupted, askers hear of it, the log how many",
    (mode) =>
      Effect.gen(function* () {
        logged.length = 0
        const { behavior, notes } = noting({ workers: 1 })
        const ref = yield* ActorSystem.spawn(behavior, "a")
        const [a, b] = yield* run(ref, "a", "b")
        yield* ref.tell("Run", { name: "c" })
        yield* settle
        yield* ref.stop({ mode })
        expect([(yield* errorOf(a!))._tag, (yield* errorOf(b!))._tag]).toEqual(["ActorStopped", "ActorStopped"])
        expect(notes).toEqual(["a+0", "a!"])
        expect(logged).toEqual([
          expect.stringMatching(/^Pool\/a ended \(\w+\) with 3 tasks unfinished$/),
          'Pool/a: task 3 is lost with its pool, not begun: {"name":"c"}'
        ])
      }).pipe(Effect.provide(layer))
  )

  it.effect(
    "by a failure of its own, too: a task that nobody waits for is told to the log, its asker hears of another",
    () =>
      Effect.gen(function* () {
        logged.length = 0
        const { behavior } = noting({ workers: 1, work: () => Effect.never })
        const ref = yield* ActorSystem.spawn(behavior, "a")
        yield* ref.ask("Submit", { name: "a" })
        const [b] = yield* run(ref, "b")
        yield* ref.ask("Submit", { name: "c" })
        const forge = ref as unknown as { tellUnsafe(tag: string, payload?: unknown): string }
        forge.tellUnsafe("Ended")
        expect((yield* errorOf(b!))._tag).toBe("CalleeFailed")
        yield* TestClock.adjust("1 minute")
        expect(yield* ref.ask("Stats")).toMatchObject({ submitted: 0 })
        expect(logged.filter((line) => line.includes("task"))).toEqual([
          'Pool/a: task 1 is lost with its pool, begun: {"name":"a"}',
          'Pool/a: task 3 is lost with its pool, not begun: {"name":"c"}'
        ])
      }).pipe(Effect.provide(layer))
  )
})

describe("bad input", () => {
  const fine = { task: Task, result: Schema.String, error: Broken, workers: 1, work: () => Effect.succeed("") }
  it.each([
    [{ workers: undefined }, "Pool.workers: nothing is not a whole number from 0 to 1024"],
    [{ workers: 1025 }, "Pool.workers: 1025 is not a whole number from 0 to 1024"],
    [{ maxQueued: -1 }, "Pool.maxQueued: -1 is not a whole number from 0 to 500000"],
    [{ maxWaiting: 0 }, "Pool.maxWaiting: 0 is not a whole number from 1 to 500000"],
    [{ overflow: "dropOldest" }, 'Pool.overflow: "dropOldest" is not one of fail, suspend'],
    [{ retry: 3 }, "Pool.retry: number is not a Schedule"],
    [{ task: undefined }, "Pool.task: nothing is not a Schema"],
    [{ result: "text" }, "Pool.result: string is not a Schema"],
    [{ error: Error }, "Pool.error: function is not a Schema"],
    [{ work: undefined }, "Pool.work: nothing is not a function"],
    [
      { worker: 1 },
      "Pool.worker: unknown, it is not one of task, result, error, work, workers, maxQueued, overflow, maxWaiting, retry"
    ]
  ])("make refuses %j", (wrong, why) => {
    expect(() => WorkPool.make("Pool", { ...fine, ...wrong } as typeof fine)).toThrow(why)
  })

  it.effect("in a message is refused to its asker, and changes nothing", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(noting().behavior, "a")
      const messages = yield* Effect.forEach([-1, 1025, 1.5, Number.NaN], (workers) =>
        Effect.flip(ref.ask("Resize", { workers }))
      )
      expect(messages.map(({ message }) => message)).toEqual(
        ["-1", "1025", "1.5", "NaN"].map((it) => `Pool.Resize.workers: ${it} is not a whole number from 0 to 1024`)
      )
      for (const within of [Duration.zero, 0, -1, "soon" as "1 second", Number.NaN]) {
        expect((yield* Effect.flip(ref.ask("Drain", { within }))).message).toMatch(
          /^Pool.Drain.within: .* is not a duration/
        )
      }
      expect((yield* ref.ask("Stats")).workers.length).toBe(2)
      const [a] = yield* run(ref, "a")
      yield* TestClock.adjust(10)
      expect(Exit.isSuccess(yield* Fiber.join(a!))).toBe(true)
    }).pipe(Effect.provide(layer))
  )

  it.effect("that lacks its field is refused, too", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(noting().behavior, "a")
      const none = {} as never
      expect((yield* Effect.flip(ref.ask("Resize", none))).message).toMatch(/^Pool.Resize.workers: "nothing" is not/)
      expect((yield* Effect.flip(ref.ask("Drain", none))).message).toMatch(/^Pool.Drain.within: 0 is not/)
      expect(yield* ref.ask("Stats")).toMatchObject({ draining: false })
    }).pipe(Effect.provide(layer))
  )

  it.effect("of the pool's own messages by a stranger is nobody's", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(noting().behavior, "a")
      const [a] = yield* run(ref, { name: "a", millis: 50 })
      const forge = ref as unknown as { tellUnsafe(tag: string, payload?: unknown): string }
      for (const [worker, id] of [
        [0, 7],
        [1, 1],
        [9, 9]
      ]) {
        forge.tellUnsafe("Ended", { worker, id, exit: Exit.succeed({ how: "done", value: "forged" }) })
      }
      forge.tellUnsafe("Due", { id: 1 })
      forge.tellUnsafe("Look")
      forge.tellUnsafe("Cut")
      yield* TestClock.adjust(50)
      expect(yield* Fiber.join(a!)).toEqual(Exit.succeed("a by 0"))
    }).pipe(Effect.provide(layer))
  )
})
