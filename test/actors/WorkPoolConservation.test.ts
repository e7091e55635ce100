/**
 * Conservation of a WorkPool over random runs in virtual time: submitted = done + failed + cancelled + refused + queued +
 * running, at every look; and the same counted by those outside: what was begun, what succeeded, what askers were told.
 *
 * Tasks succeed, fail, are retried, die and interrupt themselves; askers give up; workers come and go; some pools drain. In the
 * second test the pool itself fails in its handlers, and is stopped and killed.
 */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schedule, Schema } from "effect"
import { type ActorRef, ActorSystem, type Behavior } from "troupe"
import { WorkPool } from "troupe/actors"
import { Simulation } from "troupe/testkit"

class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
const Task = Schema.Struct({
  id: Schema.Int,
  millis: Schema.Int,
  fate: Schema.Literals(["done", "fails", "flaky", "dies", "leaves"])
})
let lastId = 0

interface Seen {
  /** At work now, by worker. */
  readonly busy: Map<number, number>
  /** When the asker of a task gave it up. */
  readonly left: Map<number, number>
  /** How long after that it was tried again, at the most. */
  late: number
  succeeded: number
  mostAtOnce: number
}

const poolOf = (sim: Simulation.Sim, seen: Seen) => {
  const { chance } = sim
  const workers = chance.below(4)
  const maxQueued = chance.below(5)
  const overflow = chance.pick(["fail", "suspend"] as const)
  const retry = chance.pick([Schedule.recurs(1), Schedule.spaced(30).pipe(Schedule.upTo({ times: 2 }))])
  const pool = WorkPool.make("Pool", {
    task: Task,
    result: Schema.Int,
    error: Broken,
    workers,
    maxQueued,
    overflow,
    maxWaiting: 3,
    retry,
    work: ({ fate, id, millis }, { attempt, index }) =>
      Effect.gen(function* () {
        seen.late = Math.max(seen.late, sim.now - (seen.left.get(id) ?? sim.now))
        seen.busy.set(index, (seen.busy.get(index) ?? 0) + 1)
        seen.mostAtOnce = Math.max(
          seen.mostAtOnce,
          [...seen.busy.values()].reduce((a, b) => a + b, 0)
        )
        if (millis > 0) yield* Effect.sleep(millis)
        if (fate === "fails" || (fate === "flaky" && attempt === 1)) return yield* new Broken()
        if (fate === "dies") throw new Error("told to")
        if (fate === "leaves") return yield* Effect.interrupt
        seen.succeeded++
        return millis
      }).pipe(Effect.ensuring(Effect.sync(() => void seen.busy.set(index, seen.busy.get(index)! - 1))))
  })
  return { pool, maxQueued, workers }
}

type Ref = ReturnType<typeof poolOf>["pool"]["behavior"] extends Behavior<infer P, infer _R> ? ActorRef<P> : never
type Stats = typeof WorkPool.Stats.Type

const sum = (stats: Stats) => stats.done + stats.failed + stats.cancelled + stats.refused + stats.queued + stats.running

const taskOf = (chance: Simulation.Chance): typeof Task.Type => ({
  id: ++lastId,
  // those that end as askers leave, at the very moment, are the interesting ones
  millis: 5 * chance.below(8),
  fate: chance.pick(["done", "done", "done", "fails", "flaky", "dies", "leaves"] as const)
})

/** Sends tasks for a while, and gives some of them up. Counts what it was told. */
const submitter = (sim: Simulation.Sim, ref: Ref, name: string, { left }: Seen, told: Map<string, number>) =>
  Effect.gen(function* () {
    const chance = sim.chanceOf(name)
    const asked: Array<Fiber.Fiber<unknown>> = []
    const tell = (what: string) => void told.set(what, (told.get(what) ?? 0) + 1)
    for (let n = chance.below(12); n > 0; n--) {
      const task = taskOf(chance)
      const timeout = chance.oneIn(3) ? 5 * (1 + chance.below(12)) : ("infinity" as const)
      const run = Effect.as(ref.ask("Run", task, { timeout }), "done").pipe(
        Effect.tapCause(() => Effect.sync(() => void left.set(task.id, sim.now))),
        Effect.onInterrupt(() => Effect.sync(() => void left.set(task.id, sim.now)))
      )
      const ask = chance.oneIn(4) ? Effect.as(ref.ask("Submit", task, { timeout }), "taken on") : run
      const heard = Effect.tap(Effect.exit(ask), (exit) => Effect.sync(() => Exit.isSuccess(exit) && tell(exit.value)))
      asked.push(yield* Effect.forkChild(heard))
      if (chance.oneIn(5)) yield* Effect.exit(ref.tell("Run", taskOf(chance)))
      if (chance.oneIn(2)) yield* Effect.sleep(1 + chance.below(30))
      if (chance.oneIn(5)) yield* Fiber.interrupt(asked[chance.below(asked.length)]!)
    }
    yield* Effect.forEach(asked, Fiber.await)
  })

const look = (sim: Simulation.Sim, stats: Stats, most: number) => {
  sim.check(sum(stats) === stats.submitted, `the books do not balance: ${JSON.stringify(stats)}`)
  for (const name of ["done", "failed", "retried", "busyMillis"] as const) {
    const rows = stats.workers.reduce((all, row) => all + row[name], stats.gone[name])
    sim.check(rows === stats[name], `the rows' ${name} are not the pool's: ${JSON.stringify(stats)}`)
  }
  sim.check(stats.running === stats.workers.filter(({ busy }) => busy).length, "the busy are not those that run")
  sim.check(stats.queued + stats.running <= most, `holds more than ${most}: ${JSON.stringify(stats)}`)
}

const boss = (sim: Simulation.Sim, ref: Ref, maxQueued: number, top: { workers: number }) =>
  Effect.gen(function* () {
    const chance = sim.chanceOf("boss")
    for (let n = chance.below(10); n > 0; n--) {
      const workers = chance.below(5)
      if (chance.oneIn(2)) {
        top.workers = Math.max(top.workers, workers)
        yield* Effect.exit(ref.ask("Resize", { workers }))
      }
      if (chance.oneIn(4)) yield* Effect.exit(ref.ask("Join", undefined, { timeout: 50 }))
      if (chance.oneIn(12)) yield* Effect.exit(ref.ask("Drain", { within: Duration.millis(1 + chance.below(100)) }))
      yield* Effect.sleep(1 + chance.below(40))
      const stats = yield* Effect.exit(ref.ask("Stats"))
      if (Exit.isSuccess(stats)) look(sim, stats.value, maxQueued + top.workers)
    }
  })

/** One run: four who submit, one who resizes and drains. */
const bustle = Effect.fnUntraced(function* (
  sim: Simulation.Sim,
  ref: Ref,
  maxQueued: number,
  workers: number,
  seen: Seen
) {
  const told = new Map<string, number>()
  const top = { workers }
  const fibers = [yield* Effect.forkChild(boss(sim, ref, maxQueued, top))]
  for (const name of ["ann", "bob", "cat", "dan"]) {
    fibers.push(yield* Effect.forkChild(submitter(sim, ref, name, seen, told)))
  }
  // paused pools, too, come to an end: by the drain
  yield* Effect.sleep("2 seconds")
  yield* Effect.exit(ref.ask("Drain", { within: Duration.seconds(1) }))
  yield* Effect.forEach(fibers, Fiber.await)
  return { told, top }
})

const seenNothing = (): Seen => ({ busy: new Map(), left: new Map(), late: 0, succeeded: 0, mostAtOnce: 0 })

describe("conservation", () => {
  it.effect("holds in a pool whose tasks fail and die, whose askers leave, whose workers come and go", () =>
    Effect.gen(function* () {
      const total: Record<string, number> = {}
      const program = (sim: Simulation.Sim) =>
        Effect.gen(function* () {
          const seen = seenNothing()
          const { maxQueued, pool, workers } = poolOf(sim, seen)
          const ref = yield* ActorSystem.spawn(pool.behavior, "main")
          const { told, top } = yield* bustle(sim, ref, maxQueued, workers, seen)
          const stats = yield* ref.ask("Stats")
          look(sim, stats, 0)
          sim.check(stats.done === seen.succeeded, `${stats.done} done, ${seen.succeeded} succeeded`)
          sim.check(stats.done >= (told.get("done") ?? 0), "more askers heard of a result than there were results")
          sim.check(seen.mostAtOnce <= top.workers, `${seen.mostAtOnce} at once, by ${top.workers} workers`)
          sim.check(seen.late === 0, `a task was tried ${seen.late} ms after its asker had left`)
          for (const [index, busy] of seen.busy) sim.check(busy === 0, `worker ${index} works on`)
          return stats
        })
      yield* Simulation.explore({
        runs: 400,
        program,
        onRun: ({ value }) => {
          for (const [name, n] of Object.entries(value ?? {}))
            if (typeof n === "number") total[name] = (total[name] ?? 0) + n
        }
      })
      // all that may become of a task did, and often
      const { cancelled, done, failed, refused, retried } = total
      expect(Object.entries({ cancelled, done, failed, refused, retried }).filter(([, n = 0]) => n < 100)).toEqual([])
    })
  )

  it.effect("holds in each life of a pool that fails itself, is stopped and killed", () =>
    Effect.gen(function* () {
      let looks = 0
      const program = (sim: Simulation.Sim) =>
        Effect.gen(function* () {
          const seen = seenNothing()
          const { maxQueued, pool, workers } = poolOf(sim, seen)
          yield* ActorSystem.host(sim.faulty(pool.behavior))
          yield* Effect.forkChild(sim.chaos({ every: "100 millis" }))
          const ref = pool.definition.at("main")
          const { top } = yield* bustle(sim, ref, maxQueued, workers, seen)
          const stats = yield* Effect.exit(ref.ask("Stats"))
          if (Exit.isFailure(stats)) return
          looks++
          look(sim, stats.value, maxQueued + top.workers)
        })
      yield* Simulation.explore({ runs: 200, program })
      expect(looks).toBeGreaterThan(100)
    })
  )

  it.effect(
    "a task that is given up is tried no more, in whatever order a busy pool hears of its failure and of that",
    () =>
      Effect.gen(function* () {
        const program = (sim: Simulation.Sim) =>
          Effect.gen(function* () {
            const { chance } = sim
            const pool = WorkPool.make("Pool", {
              task: Schema.Int,
              result: Schema.Void,
              error: Broken,
              workers: 2,
              retry: Schedule.spaced("1 hour"),
              work: (millis, { attempt }) => {
                sim.check(attempt === 1, "was tried again an hour after its asker had left")
                return Effect.andThen(Effect.sleep(millis), Effect.fail(new Broken()))
              }
            })
            const slow = sim.faulty(pool.behavior, { before: 0, after: 0, slow: 0, suspend: 0.5, maxMillis: 20 })
            const ref = yield* ActorSystem.spawn(slow, "main")
            const asks = Array.from({ length: 6 }, () => [5 + chance.below(15), 5 + chance.below(25)] as const)
            yield* Effect.forEach(asks, ([millis, timeout]) => Effect.exit(ref.ask("Run", millis, { timeout })), {
              concurrency: "unbounded",
              discard: true
            })
            yield* Effect.sleep("3 hours")
            const { cancelled, submitted } = yield* ref.ask("Stats")
            sim.check(cancelled === submitted, `of ${submitted} tasks ${cancelled} are cancelled`)
          })
        yield* Simulation.explore({ runs: 200, program })
      })
  )
})
