/**
 * How a call on a worker thread fails, by name.
 *
 * Floor 3; made by Offload and Threads. Law 12: what cannot be called or copied is refused by name. The function's own error is
 * `cause` of `OffloadFailed`; the others are not its fault, or not its doing. `LimitReached` and `Dropped` are those of mailboxes:
 * too many calls wait.
 */
import { Schema } from "effect"
import type { Dropped, LimitReached } from "../kernel/Errors.ts"

/** The module has no such function, or what would go to or from it cannot be copied to another thread. */
export class OffloadUnfit extends Schema.TaggedError<OffloadUnfit>()("OffloadUnfit", {
  module: Schema.String,
  fn: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `"${this.fn}" of ${this.module}: ${this.why}`
  }
}

/** The function threw or rejected, with `cause`: a copy of it, or its text where it cannot be copied. */
export class OffloadFailed extends Schema.TaggedError<OffloadFailed>()("OffloadFailed", {
  module: Schema.String,
  fn: Schema.String,
  cause: Schema.Unknown
}) {
  override get message(): string {
    return `"${this.fn}" of ${this.module} failed: ${String(this.cause)}`
  }
}

/** The thread ended under the call: it exited, ran out of memory, or something else on it threw. */
export class OffloadCrashed extends Schema.TaggedError<OffloadCrashed>()("OffloadCrashed", {
  module: Schema.String,
  fn: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `"${this.fn}" of ${this.module}: its thread ended: ${this.why}`
  }
}

/** On its thread for too long; the thread has been ended. */
export class OffloadTimeout extends Schema.TaggedError<OffloadTimeout>()("OffloadTimeout", {
  module: Schema.String,
  fn: Schema.String,
  millis: Schema.Finite
}) {
  override get message(): string {
    return `"${this.fn}" of ${this.module}: not done within ${this.millis} ms (option timeout)`
  }
}

export type OffloadError = OffloadUnfit | OffloadFailed | OffloadCrashed | OffloadTimeout | LimitReached | Dropped
