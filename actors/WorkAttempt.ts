/**
 * One attempt of a WorkPool at one task, in a fiber and a scope of its own, so that it takes no other task along.
 *
 *   work -> a value: done
 *        -> its error: the schedule says when again (`retried`), or no more (`failed`)
 *        -> it throws, dies or interrupts itself: never retried, as in Effect, for that is a fault and no bad luck
 *
 * The schedule is stepped here and waited for elsewhere: a worker that slept through a backoff would be a worker less.
 * An error that nobody waits for is logged here; a defect, with its Cause, by WorkDesk.
 * Workers have no state that a crash could spoil: what outlives a task (a connection) is a service that `work` needs, such as
 * Effect's `Pool`, which makes anew what broke.
 */
import { Cause, Clock, Duration, Effect, Pull, Schedule } from "effect"
import { show } from "./WorkUnheard.ts"

/** Who works, as `work` is told. */
export interface Worker {
  /** The pool's address. */
  readonly pool: string
  /** From 0 on; a worker that is gone leaves its number to the next that comes. */
  readonly index: number
  /** The task's number. */
  readonly id: number
  /** 1, and one more each retry. */
  readonly attempt: number
}

/** How it came to its end. */
export type Ending =
  | { readonly how: "done"; readonly value: unknown }
  | { readonly how: "failed"; readonly error: unknown }
  | { readonly how: "retried"; readonly millis: number }

export type Work = (task: unknown, worker: Worker) => Effect.Effect<unknown, unknown>
export type Retry = Schedule.Schedule<unknown, unknown>

/** What is kept of a task between its attempts. */
export interface Course {
  /** Its place in the schedule. */
  step: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>> | undefined
  /** Whether somebody waits for the result. */
  readonly heard: boolean
}

/** Until its next attempt; undefined: there is none. */
const backoff = Effect.fnUntraced(function* (retry: Retry, course: Course, error: unknown) {
  course.step ??= yield* Schedule.toStep(retry)
  const step = course.step(yield* Clock.currentTimeMillis, error)
  const delay = Effect.map(step, ([, duration]) => duration)
  return yield* Pull.catchDone(delay, () => Effect.undefined)
})

/** It failed: again, or no more. */
const failed = Effect.fnUntraced(function* (
  retry: Retry | undefined,
  course: Course,
  error: unknown,
  { attempt, id, index, pool }: Worker,
  task: unknown
) {
  const delay = retry === undefined ? undefined : yield* backoff(retry, course, error)
  if (delay !== undefined) return { how: "retried", millis: Duration.toMillis(delay) } satisfies Ending
  if (!course.heard)
    yield* Effect.logWarning(
      `${pool}: task ${id} failed on worker ${index}, after ${attempt} attempts: ${show(task)}`,
      Cause.fail(error)
    )
  return { how: "failed", error } satisfies Ending
})

const done = (value: unknown): Ending => ({ how: "done", value })

/** Fails of what `work` dies of, or is interrupted by, alone. */
export const attempt = (work: Work, retry: Retry | undefined, task: unknown, worker: Worker, course: Course) =>
  Effect.suspend(() => work(task, worker)).pipe(
    Effect.scoped,
    Effect.map(done),
    Effect.catch((error) => failed(retry, course, error, worker, task))
  )
