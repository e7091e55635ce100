/**
 * An agent: an actor that clients reach over a WebSocket.
 *
 * ```ts
 * const Room = Agent.make("Room", {
 *   state: Schema.Struct({ lines: Schema.Array(Line) }),
 *   clients: [Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int })], // callable by clients
 *   events: [Rpc.make("Said", { payload: Line })], // pushed to clients
 *   protocol: [Rpc.make("Tick")] // inside only
 * })
 * ```
 *
 * Floor 1; served by `Gateway`, spawned or hosted like any actor. Nothing is callable from outside unless it stands in
 * `clients`. Many clients may share one agent (a room); one client may be the agent (a device): same API.
 */
import type { Schema } from "effect"
import { type Rpc, RpcGroup } from "effect/rpc"
import * as Options from "../kernel/Options.ts"
import { Definition } from "./Actor.ts"
import type { Protocol } from "./Protocol.ts"

export { coalesce, type EventOverflow, Overflow } from "./EventOverflow.ts"

export interface MakeOptions<
  S extends Schema.Codec<unknown, unknown>,
  C extends ReadonlyArray<Rpc.Any>,
  E extends ReadonlyArray<Rpc.Any>,
  P extends ReadonlyArray<Rpc.Any>
> {
  readonly state: S
  /** What clients may call. Their payloads, answers and errors cross the wire through their Schemas. */
  readonly clients: C
  /** What clients are sent: JSON-RPC notifications. */
  readonly events?: E
  /** What only actors may send. */
  readonly protocol?: P
}

export const make = <
  S extends Schema.Codec<unknown, unknown>,
  const C extends ReadonlyArray<Rpc.Any>,
  const E extends ReadonlyArray<Rpc.Any> = readonly [],
  const P extends ReadonlyArray<Rpc.Any> = readonly []
>(
  type: string,
  options: MakeOptions<S, C, E, P>
): Definition<S["Type"], C[number] | P[number], E[number], C[number]> => {
  Options.known(type, options, ["state", "clients", "events", "protocol"])
  return new Definition<S["Type"], C[number] | P[number], E[number], C[number]>(
    type,
    options.state,
    [...Options.list(`${type}.clients`, options.clients, "Rpcs"), ...(options.protocol ?? [])],
    new Set(options.clients.keys()),
    options.events ?? []
  )
}

/** What clients may call, as Effect's own `RpcClient.make` takes it: `yield* RpcClient.make(Agent.group(Room))`. */
export const group = <C extends Rpc.Any>(agent: {
  readonly protocol: Protocol
  readonly "~wire"?: (clients: C, events: never) => void
}): RpcGroup.RpcGroup<C> => {
  const { rpcs, clients } = agent.protocol
  return RpcGroup.make(
    ...(rpcs.filter((_, position) => clients.has(position)) as ReadonlyArray<Rpc.Any> as ReadonlyArray<C>)
  )
}
