/**
 * The options of a WorkPool, and their check: when the pool is made, by field, value and range (`InvalidOption`).
 *
 * Nothing in a pool is without a bound: `workers` run, `maxQueued` wait, `maxWaiting` submitters are suspended, and its mailbox,
 * as long as its queue, refuses or suspends who is beyond that. What is too low refuses work that the pool could have done; too
 * high, and what waits is stale when its turn comes: a queue adds (tasks in it) x (time of one) / (workers) to each.
 */
import { type Effect, Schedule, Schema } from "effect"
import { InvalidOption, Options } from "troupe"
import type { Retry, Work, Worker } from "./WorkAttempt.ts"
import type { Codec } from "./WorkProtocol.ts"

/** Checked when the pool is made. */
export interface PoolOptions<T extends Codec, A extends Codec, E extends Codec, R, S> {
  readonly task: T
  readonly result: A
  /** What `work` fails with, and the asker of `Run` after it. Default never. */
  readonly error?: E
  readonly work: (task: T["Type"], worker: Worker) => Effect.Effect<A["Type"], E["Type"], R>
  /** At first; see `Resize`. 0-1,024. */
  readonly workers: number
  /** Tasks taken on beyond one a worker. 0-500,000, default 1,024. */
  readonly maxQueued?: number
  /** What happens to one more: default `fail`; `suspend` lets its submitter wait for room. */
  readonly overflow?: "fail" | "suspend"
  /** Submitters suspended so; one more fails. 1-500,000, default 1,024. */
  readonly maxWaiting?: number
  /** When an error is tried again; each task begins it anew. Default never. */
  readonly retry?: Schedule.Schedule<unknown, E["Type"], never, S>
}

/** The same, checked, without the types that only the compiler knows. */
export interface Rules {
  readonly work: Work
  readonly retry: Retry | undefined
  readonly workers: number
  readonly maxQueued: number
  readonly maxWaiting: number
  readonly overflow: "fail" | "suspend"
}

export const maxWorkers = 1024
const names: ReadonlyArray<keyof AnyOptions> = [
  "task",
  "result",
  "error",
  "work",
  "workers",
  "maxQueued",
  "overflow",
  "maxWaiting",
  "retry"
]
type AnyOptions = PoolOptions<Codec, Codec, Codec, never, never>

const is = (field: string, value: unknown, fits: boolean, range: string): void => {
  if (!fits) throw new InvalidOption({ field, value: value === undefined ? "nothing" : typeof value, range })
}

export const check = (type: string, given: object): Rules => {
  Options.known(type, given, names)
  const {
    error = Schema.Never,
    maxQueued,
    maxWaiting,
    overflow,
    result,
    retry,
    task,
    work,
    workers
  } = given as AnyOptions
  for (const [name, schema] of Object.entries({ task, result, error })) {
    is(`${type}.${name}`, schema, Schema.isSchema(schema), "a Schema")
  }
  is(`${type}.work`, work, typeof work === "function", "a function")
  is(`${type}.retry`, retry, retry === undefined || Schedule.isSchedule(retry), "a Schedule")
  is(`${type}.workers`, workers, workers !== undefined, `a whole number from 0 to ${maxWorkers}`)
  return {
    work: work as Work,
    retry: retry as Retry | undefined,
    workers: Options.integer(`${type}.workers`, workers, 0, 0, maxWorkers),
    maxQueued: Options.integer(`${type}.maxQueued`, maxQueued, 1024, 0, 500_000),
    maxWaiting: Options.integer(`${type}.maxWaiting`, maxWaiting, 1024, 1, 500_000),
    overflow: Options.oneOf(`${type}.overflow`, overflow, "fail", ["fail", "suspend"])
  }
}
