/**
 * How an actor behaves: typed handlers over its protocol, its initial state, its hooks and limits.
 *
 * Floor 1; made by `Counter.behavior({...})`; the untyped, checked form of it is `Plan`.
 * Handlers are mapped over the union of Rpcs, so a missing handler, a wrong tag, payload or reply is a compile error, and
 * the services that handlers need are inferred as a union and asked for once, at `spawn` or `host`.
 */
import type { Effect, Scope, Stream } from "effect"
import type { Rpc } from "effect/rpc"
import { InvalidOption } from "../kernel/Errors.ts"
import type { Client, ConnectReason, Disconnected } from "./Client.ts"
import type { ActorContext } from "./Context.ts"
import type { ExitReason, Terminated } from "./ExitReason.ts"
import type { Handled, Reply } from "./Outcome.ts"
import { type Limits, Plan } from "./Plan.ts"
import type { Protocol } from "./Protocol.ts"

/**
 * A behaviour of protocol `P` whose handlers need the services `R`, whose `initial` needs the input `In`, and whose state is
 * an `S`, which only tests ask for.
 */
export class Behavior<in out P extends Rpc.Any, out R, in In = void, out S = unknown> {
  readonly plan: Plan
  declare readonly "~P": (_: P) => P
  declare readonly "~R": R
  declare readonly "~In": (_: In) => void
  declare readonly "~S": S
  constructor(plan: Plan) {
    this.plan = plan
  }
}

/** A behaviour of whatever protocol: one that understands less is none that understands more, so there is no widest. */
export interface AnyBehavior<out R, in In = void> {
  readonly plan: Plan
  readonly "~R": R
  readonly "~In": (_: In) => void
}

/** One handler a message: `(state, payload, self) => next state | Actor.reply(...) | Effect of either`. */
export type Handlers<S, P extends Rpc.Any, E extends Rpc.Any> = {
  readonly [Q in P as Q["_tag"]]: (state: S, payload: Rpc.Payload<Q>, self: ActorContext<P, E>) => Handled<S, Q>
}

type HookResult<S, R> = S | void | Effect.Effect<S | void, never, R>

/** A behaviour's options, besides its limits. RT, RC, RD, RS: what each hook needs (TypeScript unites no candidates of one parameter). */
export interface Options<
  S,
  P extends Rpc.Any,
  E extends Rpc.Any,
  H,
  I,
  In,
  RT = never,
  RC = never,
  RD = never,
  RA = never,
  RB = never,
  RS = never
> extends Limits {
  /** The first state of each incarnation: a value, a function of the key, or an Effect (in the incarnation's scope). */
  readonly initial:
    | S
    | Effect.Effect<S, unknown, I>
    | ((key: string, self: ActorContext<P, E>, input: In) => S | Effect.Effect<S, unknown, I>)
  readonly on: H & Handlers<S, P, E> & { readonly [K in Exclude<keyof H, P["_tag"]>]: never }
  /** Something watched has ended. Nothing returned: state unchanged. */
  readonly onTerminated?: (state: S, died: Terminated, self: ActorContext<P, E>) => HookResult<S, RT>
  /** A client has connected, or this is a new incarnation and it is still there. */
  readonly onConnect?: (state: S, client: Client, self: ActorContext<P, E>, why: ConnectReason) => HookResult<S, RC>
  readonly onDisconnect?: (state: S, client: Client, why: Disconnected, self: ActorContext<P, E>) => HookResult<S, RD>
  /** A client's session has lost its socket: what it is sent waits for it, until it is back or `sessionGrace` is over. */
  readonly onAway?: (state: S, client: Client, self: ActorContext<P, E>) => HookResult<S, RA>
  readonly onBack?: (state: S, client: Client, self: ActorContext<P, E>) => HookResult<S, RB>
  /** The last thing of a life, within its grace. Once, in any mode; not when no state was reached. A kill does not wait for it. */
  readonly onStop?: (state: S, why: ExitReason, self: ActorContext<P, E>) => void | Effect.Effect<unknown, never, RS>
}

/** What a Stream needs, by itself or in a Reply. The first line keeps states of type `any` out. */
type ServicesOfStream<X> = 0 extends 1 & X
  ? never
  : X extends Stream.Stream<infer _A, infer _E, infer R>
    ? R
    : X extends Reply<Stream.Stream<infer _A, infer _E, infer R>, infer _S>
      ? R
      : never

type ServicesOfReturn<X> =
  X extends Effect.Effect<infer A, infer _E, infer R>
    ? R | ServicesOfStream<A>
    : X extends Generator<infer Y, infer B, infer _C>
      ? (Y extends Effect.Effect<infer _A, infer _E, infer R> ? R : never) | ServicesOfStream<B>
      : ServicesOfStream<X>

/** The services that handlers `H` need. */
export type Services<H> = {
  [K in keyof H]: H[K] extends (...args: infer _Args) => infer X ? ServicesOfReturn<X> : never
}[keyof H]

export const make = <
  S,
  P extends Rpc.Any,
  E extends Rpc.Any,
  H,
  I,
  In,
  RT = never,
  RC = never,
  RD = never,
  RA = never,
  RB = never,
  RS = never
>(
  protocol: Protocol,
  options: Options<S, P, E, H, I, In, RT, RC, RD, RA, RB, RS>
): Behavior<P, Exclude<Services<H> | I | RT | RC | RD | RA | RB | RS, Scope.Scope>, In, S> => {
  if (!("initial" in options)) {
    throw new InvalidOption({ field: `${protocol.type}.initial`, value: "nothing", range: "a first state" })
  }
  const { initial, on, onTerminated, onConnect, onDisconnect, onAway, onBack, onStop, ...limits } = options
  const hooks = { onTerminated, onConnect, onDisconnect, onAway, onBack, onStop }
  return new Behavior(new Plan(protocol, initial, on as Readonly<Record<string, unknown>>, hooks, limits))
}
