/**
 * The payloads of one kind of agent on the wire: decoders and encoders, compiled once.
 *
 * Floor 3; one a protocol, shared by all its connections. Only Rpcs that stand in `clients` have one: nothing else is
 * callable. Types that JSON lacks (dates, maps, big integers) travel by their Schema's JSON codec.
 * Law 12: a payload that its Schema refuses is refused by name, with the path; the text is cut at 500 characters. A Schema
 * that throws, or suspends, is a defect of the agent's: it is told apart, and never thrown on.
 * Cost: a closure call a payload; no Schema is walked a message.
 */
import { Cause, Result, Schema, SchemaAST } from "effect"
import { type Rpc, RpcSchema } from "effect/rpc"
import type { Protocol } from "../actor/Protocol.ts"

/** `defect`: the Schema itself threw, which is no fault of the sender's; `why` is not for the wire then. */
export type Decoded =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: string; readonly defect?: boolean }

type Coder = (value: unknown) => Decoded

const maxReasonLength = 500

/** Effect wraps what a Schema threw in an Error whose cause is an Effect Cause. */
const describe = (error: unknown): string =>
  error instanceof Error && Cause.isCause(error.cause) ? Cause.pretty(error.cause) : String(error)

/** No params, `{}`, and null where a dialect lets it pass. */
const nothing: Coder = (value) =>
  value === undefined || (typeof value === "object" && Object.keys(value ?? {}).length === 0)
    ? { ok: true, value: undefined }
    : { ok: false, why: "takes no params" }

const coder = <E extends { readonly message: string }>(code: (value: unknown) => Result.Result<unknown, E>): Coder => {
  return (value) => {
    try {
      const result = code(value)
      if (Result.isSuccess(result)) return { ok: true, value: result.success }
      return { ok: false, why: result.failure.message.slice(0, maxReasonLength) }
    } catch (error) {
      // a filter that throws, or a Schema that suspends: it must cost a request its answer, not everybody the process
      return { ok: false, why: describe(error), defect: true }
    }
  }
}

type Plain = Schema.Codec<unknown, unknown>

const decoder = (schema: Schema.Top): Coder =>
  SchemaAST.isVoid(schema.ast)
    ? nothing
    : coder(Schema.decodeUnknownResult(Schema.toCodecJson(schema) as unknown as Plain))

const encoder = (schema: Schema.Top): Coder =>
  SchemaAST.isVoid(schema.ast)
    ? () => ({ ok: true, value: undefined })
    : coder(Schema.encodeUnknownResult(Schema.toCodecJson(schema) as unknown as Plain))

interface Method {
  readonly params: Coder
  readonly success: Coder
  readonly error: Coder | undefined
}

export class Codec {
  readonly protocol: Protocol
  readonly #methods: ReadonlyMap<number, Method>
  readonly #events: ReadonlyMap<string, Coder>

  constructor(protocol: Protocol) {
    this.protocol = protocol
    this.#methods = new Map(
      [...protocol.clients].map((position) => {
        const rpc = protocol.rpcs[position]!
        const { successSchema } = rpc
        const streams = RpcSchema.isStreamSchema(successSchema)
        // of a stream: an element, and the error that it may end with
        const success = encoder(streams ? successSchema.success : successSchema)
        const failure = streams ? successSchema.error : rpc.errorSchema
        const error = protocol.errs[position] ? encoder(failure) : undefined
        return [position, { params: decoder(rpc.payloadSchema), success, error }]
      })
    )
    this.#events = new Map(
      [...protocol.events].map(([tag, event]: [string, Rpc.AnyWithProps]) => [tag, encoder(event.payloadSchema)])
    )
  }

  /** The position of a method that clients may call, or -1. */
  position(method: string): number {
    const at = this.protocol.index(method)
    return this.protocol.clients.has(at) ? at : -1
  }

  params(position: number, params: unknown): Decoded {
    return this.#methods.get(position)!.params(params)
  }

  /** The answer of a method; of one that answers with a stream, an element. */
  success(position: number, value: unknown): Decoded {
    return this.#methods.get(position)!.success(value)
  }

  /** A typed error of the method; undefined when it has none, or this is not one of them. */
  error(position: number, error: unknown): Decoded | undefined {
    return this.#methods.get(position)!.error?.(error)
  }

  event(tag: string, payload: unknown): Decoded {
    return this.#events.get(tag)?.(payload) ?? { ok: false, why: `no event "${tag}" in the agent's definition` }
  }
}

const codecs = new WeakMap<Protocol, Codec>()

/** The codec of a protocol, compiled at the first call. */
export const of = (protocol: Protocol): Codec => {
  const known = codecs.get(protocol)
  if (known !== undefined) return known
  const codec = new Codec(protocol)
  codecs.set(protocol, codec)
  return codec
}
