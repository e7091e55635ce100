/**
 * What a topic and those who subscribe say to each other, apart from the values.
 *
 * Used by Topic, and by subscribers that want to hear that they were let go. Law 5: whoever misses something is told so, by name: each
 * value says how many were missed before it, `Lost` and `Lagged` which one was the first that is not coming.
 * A subscription is not for the wire: it holds a ref of a kind that the topic need not know.
 * Considered Terminated as the word for it: rejected, the topic lives, and a watch on it should say when it does not.
 */
import { Schema } from "effect"
import type { Rpc } from "effect/rpc"
import { ActorRef } from "troupe"

/** What a Stream fails with that had no room for a value and wanted to miss none. */
export class Lagged extends Schema.TaggedError<Lagged>()("Lagged", { address: Schema.String, seq: Schema.Int }) {
  override get message(): string {
    return `${this.address}: no room for value ${this.seq} nor those after it (options buffer, overflow)`
  }
}
/** What an actor is told of the same kind: the topic, and the first value that it was not told. */
export const Lost = Schema.Struct({ address: Schema.String, seq: Schema.Int })

/** Checked when the topic is made. */
export interface TopicOptions {
  /** Values kept for those who subscribe later. 0-1,000, default 0. */
  readonly retain?: number
  /** Actors and Streams at a time. 1-1,000,000, default 1,024. */
  readonly maxSubscribers?: number
}

/** Of a Stream. */
export interface StreamOptions {
  /** Values that wait for it, besides some 50 that are on their way. At least `retain`, to 1,000,000; default 64. */
  readonly buffer?: number
  /** With a full buffer: `miss` values (default), or `fail` with Lagged. */
  readonly overflow?: "miss" | "fail"
}

/** What the compiler says of a tag whose message takes something else than an `M`. */
export interface PayloadIsNot<M> {
  readonly "~payload": M
}

/** A tag of `P` that takes an `M`. */
export type Taking<P extends Rpc.Any, T extends P["_tag"], M> = [M] extends [
  Rpc.PayloadConstructor<Rpc.ExtractTag<P, T>>
]
  ? T
  : PayloadIsNot<M>
/** Who subscribes, and by which of its messages it wants to be told. */
export const Subscription = Schema.Struct({
  ref: Schema.instanceOf(ActorRef<never>),
  tag: Schema.String,
  lagged: Schema.UndefinedOr(Schema.String)
})
