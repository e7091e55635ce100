/**
 * What a WorkPool understands, and how it refuses: by name, with the task handed back.
 *
 * `Run` and `Submit` take the task itself as payload. `Run` is answered with its result or error; `Submit` when the pool has
 * taken the task on, for producers that must not outrun the pool and wait for no result. Law 8: who gives up a `Run` has taken
 * its task out of the queue, or interrupted it; who gives up a `Submit` that still waits for room has not submitted it.
 * Told instead of asked they have nobody to hear of an end: a refusal then counts among the system's `unheardErrors`, as that of
 * any told message does, and a failure, or a task that is cut off, is logged (WorkUnheard).
 */
import { Duration, Option, Schema, SchemaTransformation } from "effect"
import { Rpc } from "effect/rpc"
import { InvalidOption, type Self } from "troupe"
import { Stats } from "./WorkStats.ts"

/** As many tasks wait as may; this one is its sender's again. Come back later, or let the pool suspend you. */
export class PoolFull extends Schema.TaggedError<PoolFull>()("PoolFull", {
  address: Schema.String,
  option: Schema.Literals(["maxQueued", "maxWaiting"]),
  limit: Schema.Int,
  task: Schema.Unknown
}) {
  override get message(): string {
    const isQueue = this.option === "maxQueued"
    const full = `${this.limit} ${isQueue ? "tasks wait for a worker" : "submitters wait for room"}, as many as may`
    const waits = isQueue ? '; overflow: "suspend" waits for room' : ""
    return `${this.address}: full, ${full}: this one was not taken on, come again later (option ${this.option}${waits})`
  }
}

/** The pool drains: the task came too late, or was not done by the deadline. `begun`: it was tried, and may have had effects. */
export class PoolDraining extends Schema.TaggedError<PoolDraining>()("PoolDraining", {
  address: Schema.String,
  begun: Schema.Boolean,
  task: Schema.Unknown,
  /** Tasks that had been taken on and were not done, then. */
  unfinished: Schema.Int,
  /** Until the deadline that cut it off; none where it came too late. */
  withinMillis: Schema.optional(Schema.Finite)
}) {
  override get message(): string {
    const { address, begun, unfinished, withinMillis } = this
    if (withinMillis === undefined) {
      const why = `drains and takes nothing on any more; ${unfinished} tasks that it had are unfinished`
      return `${address}: ${why}. This one was not begun: give it to another pool, or to this one when it is started anew`
    }
    const why = `drained for ${withinMillis} ms, and cancels the ${unfinished} tasks still unfinished`
    const what = begun ? "had begun, and may have had effects" : "had not begun"
    return `${address}: ${why}. This one ${what}: give it to another pool, or drain for longer (Drain, within)`
  }
}

/** `work` threw, died or interrupted itself. A defect's Cause is in the log, under the number of the task. */
export class TaskDied extends Schema.TaggedError<TaskDied>()("TaskDied", {
  address: Schema.String,
  id: Schema.Int,
  worker: Schema.Int,
  interrupted: Schema.Boolean
}) {
  override get message(): string {
    const how = this.interrupted ? "interrupted itself" : "died"
    const why = this.interrupted ? "" : "; the log has why, under its number"
    return `${this.address}: task ${this.id} ${how} on worker ${this.worker}, and is not tried again: only what fails with \`error\` is (option retry)${why}`
  }
}

type Input = Duration.Input | "infinity"
const isInput = (it: unknown): it is Input =>
  it === "infinity" || Option.isSome(Duration.fromInput(it as Duration.Input))
const toJson = (it: Input): number | string => {
  const millis = it === "infinity" ? Number.POSITIVE_INFINITY : Duration.toMillis(it)
  return Number.isFinite(millis) ? millis : String(millis)
}
/** Any `Duration.Input`: milliseconds, "10 millis", a Duration; "infinity" too. In JSON a number of milliseconds, or a text. */
export const Within = Schema.declare<Input>(isInput, {
  expected: 'a duration above zero, such as "5 seconds"',
  toCodecJson: () =>
    Schema.link<Input>()(
      Schema.Union([Schema.Finite, Schema.String]),
      SchemaTransformation.transform({ decode: (told) => told as Input, encode: toJson })
    )
})

/** A Schema without services. */
export type Codec = Schema.Codec<unknown, unknown>

export const messages = <T extends Codec, A extends Codec, E extends Codec>(task: T, result: A, error: E) =>
  [
    Rpc.make("Run", {
      payload: task,
      success: result,
      error: Schema.Union([error, TaskDied, PoolFull, PoolDraining])
    }),
    Rpc.make("Submit", { payload: task, error: Schema.Union([PoolFull, PoolDraining]) }),
    /** Answered when every task that was taken on before has come to an end, however. */
    Rpc.make("Join"),
    /**
     * From now on nothing is taken on. Answered when all that was taken on has come to an end, with 0; or after `within`, with
     * how many had not: these are cancelled. A later one sets the deadline anew. `within` is milliseconds, "10 millis", a Duration.
     */
    Rpc.make("Drain", { payload: { within: Within }, success: Schema.Int, error: InvalidOption }),
    /** 0-1,024. More begin at once; fewer let what runs come to its end; none is a pause. */
    Rpc.make("Resize", { payload: { workers: Schema.Int }, error: InvalidOption }),
    Rpc.make("Stats", { success: Stats })
  ] as const

/** What the pool sends itself. */
export const own = [
  Rpc.make("Ended", { payload: { worker: Schema.Int, id: Schema.Int, exit: Schema.Unknown } }),
  Rpc.make("Due", { payload: { id: Schema.Int } }),
  Rpc.make("Look"),
  Rpc.make("Cut")
] as const

export type Messages<T extends Codec, A extends Codec, E extends Codec> = ReturnType<typeof messages<T, A, E>>[number]

/** A pool's `self`, of whatever task. */
export type Me = Self<Messages<Codec, Codec, Codec> | (typeof own)[number]>
