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
import { Schema, SchemaAST } from "effect"
import { Rpc } from "effect/rpc"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { Definition } from "./Actor.ts"

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
  /** Keys that connections may name, where not any text will do: another gets HTTP 400, and makes no agent. */
  readonly key?: Schema.Codec<unknown, string>
}

/** The kinds of JSON that a Schema reads and JSON-RPC cannot carry: its params are an object or an array. */
const scalars = new Set([
  "String",
  "Number",
  "Boolean",
  "BigInt",
  "Symbol",
  "Literal",
  "Enum",
  "TemplateLiteral",
  "Null"
])

const isScalar = (ast: SchemaAST.AST): boolean =>
  SchemaAST.isUnion(ast) ? ast.types.length > 0 && ast.types.every(isScalar) : scalars.has(ast._tag)

const callable = (type: string, rpcs: ReadonlyArray<Rpc.Any>): void => {
  for (const rpc of rpcs) {
    if (!Rpc.isRpc(rpc)) continue
    // every Rpc made by `Rpc.make` has a payload; `Rpc.Any` only hides it
    const { payloadSchema } = rpc as Rpc.AnyWithProps
    // nothing at all is no scalar: the params are left out then
    if (SchemaAST.isVoid(payloadSchema.ast) || !isScalar(SchemaAST.toEncoded(Schema.toCodecJson(payloadSchema).ast))) {
      continue
    }
    throw new InvalidOption({
      field: `${type}.clients.${rpc._tag}.payload`,
      value: `the JSON of one ${payloadSchema.ast._tag}`,
      range: "an object or a list, as the params of JSON-RPC are: wrap it in a field"
    })
  }
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
  Options.known(type, options, ["state", "clients", "events", "protocol", "key"])
  const clients = Options.list(`${type}.clients`, options.clients, "Rpcs")
  callable(type, clients)
  if (options.key !== undefined && !Schema.isSchema(options.key)) {
    throw new InvalidOption({ field: `${type}.key`, value: typeof options.key, range: "a Schema" })
  }
  return new Definition<S["Type"], C[number] | P[number], E[number], C[number]>(
    type,
    options.state,
    [...clients, ...(options.protocol ?? [])],
    new Set(clients.keys()),
    options.events ?? [],
    options.key
  )
}
