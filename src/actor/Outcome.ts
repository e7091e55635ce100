/**
 * What a handler hands back, apart from a plain next state.
 *
 * Floor 1; made by `Actor.reply` and `Actor.noReply`, read by the turn.
 * A `Reply` is a fresh object each time: a shared one would be overwritten while a suspended handler still holds it.
 */
import type { Effect, Stream } from "effect"
import type { Rpc, RpcSchema } from "effect/rpc"

/** An answer, with the next state where there is one. */
export class Reply<A, S> {
  /** Told apart by the compiler: a Reply has all that a NoReply has. */
  declare readonly "~kind": "Reply"
  readonly value: A
  readonly state: S | undefined
  readonly changes: boolean
  constructor(value: A, state: S | undefined, changes: boolean) {
    this.value = value
    this.state = state
    this.changes = changes
  }
}

/** No answer from this handler: it deferred, forwarded or stashed the message. */
export class NoReply<S> {
  declare readonly "~kind": "NoReply"
  readonly state: S | undefined
  readonly changes: boolean
  constructor(state: S | undefined, changes: boolean) {
    this.state = state
    this.changes = changes
  }
}

/** What a handler of `Q` may hand back: a plain state only where the answer is void, a Stream where it is streamed. */
export type Outcome<S, Q extends Rpc.Any> =
  | NoReply<S>
  | (Q extends { readonly successSchema: RpcSchema.Stream<infer A, infer E> }
      ? StreamOutcome<S, Stream.Stream<A["Type"], E["Type"], unknown>>
      : Reply<Rpc.Success<Q>, S> | ([undefined] extends [Rpc.Success<Q>] ? S : never))

type StreamOutcome<S, A> = A | Reply<A, S>

type Failure<Q extends Rpc.Any> = Q extends { readonly successSchema: RpcSchema.Stream<infer _A, infer E> }
  ? E["Type"] | Rpc.Error<Q>
  : Rpc.Error<Q>

/** What a handler of `Q` may return: an outcome, an Effect of one, or (a generator function) a generator of one. */
export type Handled<S, Q extends Rpc.Any> =
  | Outcome<S, Q>
  | Effect.Effect<Outcome<S, Q>, Failure<Q>, unknown>
  | Generator<Effect.Effect<unknown, Failure<Q>, unknown>, Outcome<S, Q>, never>
