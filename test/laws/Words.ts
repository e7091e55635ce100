/** What the actors of the random world understand, and are told in `World`. */
import { Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, type Self } from "troupe"
import type { Mail } from "./Ledger.ts"

export class Oops extends Schema.TaggedError<Oops>()("Oops", {}) {}

const payload = Schema.declare((mail: unknown): mail is Mail => typeof mail === "object")
export const Do = Rpc.make("Do", { payload })
export const Ask = Rpc.make("Ask", { payload, success: Schema.Int, error: Oops })
export const Sure = Rpc.make("Sure", { payload, success: Schema.Int }).annotate(Actor.Committed, true)
export const Tail = Rpc.make("Tail", { payload, success: Schema.Int, error: Oops, stream: true })
export const Said = Rpc.make("Said", { payload: Schema.Int })
export type P = typeof Do | typeof Ask | typeof Sure | typeof Tail
export type E = typeof Said
export interface State {
  readonly n: number
}
export type Me = Self<P, E>
export type Ref = ActorRef<P>

/** How an actor is stopped. */
export const modes = ["drain", "now", "kill"] as const
