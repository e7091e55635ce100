/**
 * An event loop of its own: Effect's scheduler and clock for a simulated run, on one stack, without the real ones.
 *
 *   ready   [fiber] [fiber] [sweep of the actor system] ...      one is chosen and goes one step
 *   asleep  (12 ms) (12 ms) (40 ms) ...                          time jumps to the first when nothing is ready
 *
 * Floor 5; used by Simulation. Every fiber of the run, and every sweep of its system, is a task in `ready`; the tasks of one
 * fiber stay in order, whose task is next is free, and chosen. That is the freedom the laws leave to senders outside of
 * actors. Law 11: no promise, no real timer and no clock takes part; what waits for one is found out (`stuck`), because
 * nothing is left to do. So a run is a plain synchronous call, and nothing else of the process comes in between.
 * Fibers are cut after 2,048 operations, as by Effect's own scheduler: a count, not a time.
 * Cost: O(1) a task, O(sleepers) a sleep.
 */
import { type Clock, Duration, Effect, type Fiber, type Scheduler } from "effect"
import type { Chance } from "./Choices.ts"

/** The tasks of one fiber, in the order they were scheduled. */
class Dispatcher implements Scheduler.SchedulerDispatcher {
  readonly tasks: Array<() => void> = []
  readonly #ready: Array<Dispatcher>

  constructor(ready: Array<Dispatcher>) {
    this.#ready = ready
  }

  scheduleTask(task: () => void): void {
    if (this.tasks.push(task) === 1) this.#ready.push(this)
  }

  flush(): void {}
}

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

const nanos = (millis: number): bigint => BigInt(Math.round(millis * 1_000_000))

/** Virtual time; it has TestClock's `adjust` and `setTime` too, so that programs written for that go on to work. */
export interface VirtualClock extends Clock.Clock {
  adjust(duration: Duration.Input): Effect.Effect<void>
  setTime(timestamp: number): Effect.Effect<void>
}

/** How `drain` ended: as was asked, with nothing left to do, or out of steps. */
export type Drained = "done" | "stuck" | "endless"

export class EventLoop {
  readonly scheduler: Scheduler.Scheduler
  readonly clock: VirtualClock
  /** Milliseconds of virtual time. */
  now = 0
  /** Tasks that have run. */
  steps = 0
  readonly #chance: Chance
  readonly #ready: Array<Dispatcher> = []
  /** By due time, those of one time in the order they went to sleep; the first last. */
  readonly #asleep: Array<Sleeper> = []
  /** Wait until nothing is ready. */
  #settling: Array<() => void> = []

  constructor(chance: Chance) {
    this.#chance = chance
    const ready = this.#ready
    this.scheduler = {
      executionMode: "async",
      shouldYield: (fiber: Fiber.Fiber<unknown, unknown>) => fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield,
      makeDispatcher: () => new Dispatcher(ready)
    }
    const millis = (): number => this.now
    const sleep = (duration: Duration.Input): Effect.Effect<void> => this.#sleep(Duration.toMillis(duration))
    this.clock = {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: () => nanos(this.now),
      currentTimeNanos: Effect.sync(() => nanos(this.now)),
      monotonicTimeNanosUnsafe: () => nanos(this.now),
      monotonicTimeNanos: Effect.sync(() => nanos(this.now)),
      sleep,
      adjust: (duration) => Effect.andThen(sleep(duration), this.settled),
      setTime: (at) => Effect.suspend(() => Effect.andThen(sleep(at - this.now), this.settled))
    }
  }

  /** Waits until nothing can go on without time passing. */
  readonly settled: Effect.Effect<void> = Effect.callback<void>((resume) => {
    const wake = (): void => resume(Effect.void)
    this.#settling.push(wake)
    return Effect.sync(() => {
      this.#settling = this.#settling.filter((other) => other !== wake)
    })
  })

  #sleep(millis: number): Effect.Effect<void> {
    if (!(millis > 0)) return Effect.void
    return Effect.callback<void>((resume) => {
      if (millis === Number.POSITIVE_INFINITY) return
      const sleeper: Sleeper = { due: this.now + millis, wake: () => resume(Effect.void) }
      const asleep = this.#asleep
      let at = asleep.length
      while (at > 0 && asleep[at - 1]!.due <= sleeper.due) at--
      asleep.splice(at, 0, sleeper)
      return Effect.sync(() => {
        const found = asleep.indexOf(sleeper)
        if (found >= 0) asleep.splice(found, 1)
      })
    })
  }

  /** Runs tasks, and lets time pass between them, until `done`; for `limit` steps at the most. */
  drain(done: () => boolean, limit: number): Drained {
    const ready = this.#ready
    while (!done()) {
      if (this.steps >= limit) return "endless"
      this.steps++
      if (ready.length > 0) this.#step(this.#chance.below(ready.length))
      else if (this.#settling.length > 0) {
        const settling = this.#settling
        this.#settling = []
        for (const wake of settling) this.#schedule(wake)
      } else if (!this.#advance()) return "stuck"
    }
    return "done"
  }

  #step(at: number): void {
    const ready = this.#ready
    const dispatcher = ready[at]!
    const task = dispatcher.tasks.shift()!
    if (dispatcher.tasks.length === 0) {
      const last = ready.pop()!
      if (last !== dispatcher) ready[at] = last
    }
    task()
  }

  #schedule(task: () => void): void {
    this.scheduler.makeDispatcher().scheduleTask(task, 0)
  }

  /** Nothing is ready: it is the time of the next sleepers. */
  #advance(): boolean {
    const asleep = this.#asleep
    const first = asleep.at(-1)
    if (first === undefined) return false
    this.now = Math.max(this.now, first.due)
    while (asleep.length > 0 && asleep.at(-1)!.due <= this.now) this.#schedule(asleep.pop()!.wake)
    return true
  }
}
