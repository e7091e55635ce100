/**
 * What an actor understands: its Rpcs, each with a position, so that a message is a small integer in the mailbox.
 *
 * Floor 1; made by `Actor.make`, used by refs (tag to position, in the sender) and behaviours (position to handler).
 * An unknown tag is refused in the sender, by name (law 12); payloads are not validated here but where trust ends.
 * Cost: `index` is one Map lookup, or none when the same tag comes again.
 */
import { Context, type Effect, type Schema, SchemaAST, type Stream } from "effect"
import { Rpc, RpcSchema } from "effect/rpc"
import * as Address from "../kernel/Address.ts"
import { type AskError, InvalidOption, InvalidUse } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { type EventOverflow, policyOf } from "./EventOverflow.ts"

/** Annotates an Rpc whose handler, once started, runs to its end though its asker has gone (law 8). */
export const Committed: Context.Reference<boolean> = Context.Reference<boolean>("troupe/Actor/Committed", {
  defaultValue: () => false
})

/** The payload argument of a message: absent where the Rpc has none. */
export type PayloadArgs<Q extends Rpc.Any> = [Rpc.PayloadConstructor<Q>] extends [void]
  ? [payload?: Rpc.PayloadConstructor<Q>]
  : [payload: Rpc.PayloadConstructor<Q>]

/** The same, with options behind it. */
export type PayloadThen<Q extends Rpc.Any, O> = [Rpc.PayloadConstructor<Q>] extends [void]
  ? [payload?: Rpc.PayloadConstructor<Q>, options?: O]
  : [payload: Rpc.PayloadConstructor<Q>, options?: O]

/** The Rpc of a protocol with a given tag. */
export type WithTag<P extends Rpc.Any, T extends P["_tag"]> = P extends { readonly _tag: infer U }
  ? U extends T
    ? P
    : T extends U // a machine whose events are only known to be text
      ? P
      : never
  : never

type Streamed<Q> = Q extends { readonly successSchema: RpcSchema.Stream<infer A, infer E> }
  ? Stream.Stream<A["Type"], E["Type"] | AskError>
  : never

type Once<Q> = Q extends { readonly successSchema: RpcSchema.Stream<infer _A, infer _E> } ? never : Q

/** What an ask of `Q` is: an Effect of its answer; where the Rpc has `stream: true`, a Stream of its elements. */
export type Asked<Q extends Rpc.Any> =
  | Streamed<Q>
  | ([Once<Q>] extends [never] ? never : Effect.Effect<Rpc.Success<Once<Q>>, Rpc.Error<Once<Q>> | AskError>)

/** A message of a protocol as a value: `["Increment", { by: 1 }]`. */
export type Message<P extends Rpc.Any> = P extends Rpc.Any
  ? readonly [tag: P["_tag"], ...payload: PayloadArgs<P>]
  : never

const isConstructed = (ast: SchemaAST.AST): boolean => {
  if (ast.context?.constructorDefault !== undefined) return true
  if (SchemaAST.isDeclaration(ast)) return ast.typeParameters.length > 0
  if (SchemaAST.isObjects(ast)) return ast.propertySignatures.some((p) => isConstructed(p.type))
  return false
}

export class Protocol {
  readonly type: string
  readonly rpcs: ReadonlyArray<Rpc.AnyWithProps>
  /** Positions whose handlers are not interrupted once started. */
  readonly committed: ReadonlyArray<boolean>
  /** Positions with a typed error: a failure with one is an answer. */
  readonly errs: ReadonlyArray<boolean>
  /** Positions that are answered by a Stream. */
  readonly streams: ReadonlyArray<boolean>
  readonly #positions = new Map<string, number>()
  readonly #makers: ReadonlyArray<((payload: unknown) => unknown) | undefined>
  #lastTag = ""
  #last = -1

  /** Positions that clients may call; empty for an actor that is no agent. */
  readonly clients: ReadonlySet<number>
  /** What clients are sent, by tag. */
  readonly events: ReadonlyMap<string, Rpc.AnyWithProps>
  /** Of these, what may be dropped for a client that is too slow; the others close it. */
  readonly lossy: ReadonlyMap<string, EventOverflow>
  /** What connections may name; any text without one. */
  readonly key: Schema.Codec<unknown, string> | undefined

  constructor(
    type: string,
    rpcs: ReadonlyArray<Rpc.Any>,
    clients: ReadonlySet<number> = new Set(),
    events: ReadonlyArray<Rpc.Any> = [],
    key?: Schema.Codec<unknown, string>
  ) {
    this.key = key
    this.clients = clients
    this.events = new Map(events.map((event) => [event._tag, event as Rpc.AnyWithProps]))
    const policies = [...this.events].map(([tag, event]) => [tag, policyOf(type, event)] as const)
    this.lossy = new Map(policies.filter(([, policy]) => policy !== "close"))
    this.type = Address.checkType(type)
    // every Rpc made by `Rpc.make` has these properties; `Rpc.Any` only hides them
    this.rpcs = Options.list(`${type}.protocol`, rpcs, "Rpcs") as ReadonlyArray<Rpc.AnyWithProps>
    this.rpcs.forEach((rpc, i) => {
      if (!Rpc.isRpc(rpc)) {
        throw new InvalidOption({ field: `${type}.protocol[${i}]`, value: typeof rpc, range: "made by Rpc.make" })
      }
      if (this.#positions.has(rpc._tag)) {
        throw new InvalidOption({
          field: `${type}.protocol`,
          value: `"${rpc._tag}" twice`,
          range: "a list of different tags"
        })
      }
      this.#positions.set(rpc._tag, i)
    })
    this.committed = this.rpcs.map((rpc) => Context.get(rpc.annotations, Committed))
    this.streams = this.rpcs.map((rpc) => RpcSchema.isStreamSchema(rpc.successSchema))
    this.errs = this.rpcs.map(({ errorSchema, successSchema }) => {
      const error = RpcSchema.isStreamSchema(successSchema) ? successSchema.error : errorSchema
      return !SchemaAST.isNever(error.ast)
    })
    this.#makers = this.rpcs.map((rpc) => {
      const schema = rpc.payloadSchema
      return isConstructed(schema.ast) ? (payload) => schema.make(payload, { disableChecks: true }) : undefined
    })
  }

  /** The position of a tag, or -1. */
  index(tag: string): number {
    if (tag === this.#lastTag) return this.#last
    const position = this.#positions.get(tag)
    if (position === undefined) return -1
    this.#lastTag = tag
    this.#last = position
    return position
  }

  /** The position of a tag; an unknown one is refused by name. */
  position(tag: string): number {
    const at = this.index(tag)
    if (at >= 0) return at
    const reason = `unknown message "${tag}" (it understands ${this.rpcs.map((rpc) => rpc._tag).join(", ")})`
    throw new InvalidUse({ address: this.type, reason })
  }

  tag(position: number): string {
    return this.rpcs[position]?._tag ?? "?"
  }

  /** Applies constructor defaults and classes of a payload's schema, where it has any. */
  construct(position: number, payload: unknown): unknown {
    const make = this.#makers[position]
    return make === undefined ? payload : make(payload)
  }
}
