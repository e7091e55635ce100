/**
 * The definition of a kind of actor: what it understands and the shape of its state.
 *
 * ```ts
 * const Counter = Actor.make("Counter", {
 *   state: Schema.Struct({ count: Schema.Int }),
 *   protocol: [
 *     Rpc.make("Increment", { payload: { by: Schema.Int } }), // a tell, or an ask that answers void
 *     Rpc.make("Read", { success: Schema.Int }) // an ask
 *   ]
 * })
 * const counter = Counter.behavior({
 *   initial: { count: 0 },
 *   on: {
 *     Increment: (state, { by }) => ({ count: state.count + by }),
 *     Read: (state) => Actor.reply(state.count)
 *   }
 * })
 * ```
 *
 * Floor 1; the module users import as `Actor`. A definition is a value without a system: refs and behaviours come from it.
 * Payloads are checked by their Schema where trust ends (sockets, nodes, stores), not between local actors.
 */
import { Effect, Schema, SchemaIssue, type Scope, SchemaTransformation } from "effect"
import type { Rpc } from "effect/rpc"
import * as Address from "../kernel/Address.ts"
import { ActorRef, fromAddress } from "./ActorRef.ts"
import * as Options from "../kernel/Options.ts"
import * as Behavior from "./Behavior.ts"
import { NoReply, Reply } from "./Outcome.ts"
import { Protocol } from "./Protocol.ts"

export { type Local, local } from "./Local.ts"
export { fromMachine } from "./Machine.ts"
export { Committed } from "./Protocol.ts"

/** A kind of actor: state `S`, protocol `P`, and (for agents) the events `E` that its clients get, the calls `C` they may make. */
export class Definition<S, in out P extends Rpc.Any, E extends Rpc.Any = never, C extends Rpc.Any = never> {
  /** For the types of `troupe/client`; there is no such field at run time. */
  declare readonly "~wire"?: (clients: C, events: E) => void
  readonly type: string
  readonly protocol: Protocol
  readonly state: Schema.Codec<S, unknown>
  /** A Schema of refs to this kind, written as their address. */
  readonly ref: Schema.Codec<ActorRef<P>, string>
  constructor(
    type: string,
    state: Schema.Codec<S, unknown>,
    rpcs: ReadonlyArray<Rpc.Any>,
    clients: ReadonlySet<number>,
    events: ReadonlyArray<Rpc.Any>,
    key?: Schema.Codec<unknown, string>
  ) {
    this.type = type
    this.protocol = new Protocol(type, rpcs, clients, events, key)
    this.state = state
    this.ref = refSchema<P>(this.protocol)
  }

  /** How actors of this kind behave. Options are checked here: `InvalidOption` with field, value and range. */
  behavior<H, I = never, In = void, RT = never, RC = never, RD = never, RA = never, RB = never, RS = never>(
    options: Behavior.Options<S, P, E, H, I, In, RT, RC, RD, RA, RB, RS>
  ): Behavior.Behavior<P, Exclude<Behavior.Services<H> | I | RT | RC | RD | RA | RB | RS, Scope.Scope>, In, S> {
    return Behavior.make<S, P, E, H, I, In, RT, RC, RD, RA, RB, RS>(this.protocol, options)
  }

  /** The ref of a hosted actor: it need not live yet, the first message makes it. With a parent: of its child, by name. */
  at(key: string, parent?: ActorRef): ActorRef<P> {
    return new ActorRef<P>(this.protocol, Address.checkKey(key), parent?.address)
  }
}

const refSchema = <P extends Rpc.Any>(protocol: Protocol): Schema.Codec<ActorRef<P>, string> =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.declare((u): u is ActorRef<P> => u instanceof ActorRef && u.protocol.type === protocol.type),
      SchemaTransformation.transformEffect({
        decode: (address: string) =>
          Effect.try({
            try: () => fromAddress(protocol, address) as ActorRef<P>,
            catch: (error) =>
              new SchemaIssue.InvalidValue({ message: error instanceof Error ? error.message : String(error) })
          }),
        encode: (ref: ActorRef<P>) => Effect.succeed(ref.address)
      })
    )
  )

export interface MakeOptions<S extends Schema.Codec<unknown, unknown>, P extends ReadonlyArray<Rpc.Any>> {
  /** The state's shape: what a store would keep. */
  readonly state: S
  /** What it understands. */
  readonly protocol: P
}

/** Defines a kind of actor. `type` is the first segment of its address: a letter, then letters, digits, `_ . -`. */
export const make = <S extends Schema.Codec<unknown, unknown>, const P extends ReadonlyArray<Rpc.Any>>(
  type: string,
  options: MakeOptions<S, P>
): Definition<S["Type"], P[number]> => {
  Options.known(type, options, ["state", "protocol"])
  return new Definition(type, options.state, options.protocol, new Set(), [])
}

/** Answers the asker; with a second argument also the next state. */
export function reply<A>(value: A): Reply<A, never>
export function reply<A, S>(value: A, next: S): Reply<A, S>
export function reply<A, S>(...args: [value: A, next?: S]): Reply<A, S> {
  return new Reply<A, S>(args[0], args[1], args.length > 1)
}

/** Leaves the asker without an answer for now: after `self.defer`, `self.forward` or `self.stash`. */
export function noReply(): NoReply<never>
export function noReply<S>(next: S): NoReply<S>
export function noReply<S>(...args: [next?: S]): NoReply<S> {
  return new NoReply<S>(args[0], args.length > 0)
}
