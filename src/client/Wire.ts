/**
 * The types of what crosses the wire: the encoded side of an agent's Schemas, as JSON has it.
 *
 * Types only; used by Client. The client has no Schema at run time, so a `Date` is the text that it travels as. The agent's
 * definition is named by its type alone (`connect<typeof Room>`), and a bundle gets nothing of it.
 *
 *   Date, bigint, URL, Uint8Array, symbol   string (ISO 8601, decimal, the URL, base64, its description)
 *   ReadonlyMap, ReadonlySet                arrays of pairs, of members
 *   void, undefined                         null, or an absent field
 *   Option, Duration, ... (`pipe`), RegExp  `Json`: some JSON
 * A `Schema.Number` that is not finite travels as text ("Infinity"), which its type does not tell: use `Schema.Finite`.
 * An Rpc with `stream: true` is a `StreamMethod`: `stream` calls it, `ask` does not.
 */
import type { Rpc, RpcSchema } from "effect/rpc"

export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

type AsText = Date | bigint | symbol | URL | Uint8Array

/** The JSON of an encoded value. */
export type Wire<T> = unknown extends T
  ? unknown
  : T extends string | number | boolean | null
    ? T
    : T extends undefined | void
      ? null
      : T extends AsText
        ? string
        : T extends ReadonlyMap<infer K, infer V>
          ? ReadonlyArray<readonly [Wire<K>, Wire<V>]>
          : T extends ReadonlySet<infer A>
            ? ReadonlyArray<Wire<A>>
            : T extends { readonly pipe: unknown } | RegExp
              ? Json
              : { readonly [K in keyof T]: Wire<Required<T>[K]> }

/** The definition of any agent: what `Agent.make` returns. */
export interface AnyAgent {
  readonly "~wire"?: (clients: never, events: never) => void
}

/** A client that knows nothing of its agent's types. */
export interface Untyped {
  readonly "~wire"?: (clients: Rpc.Any, events: Rpc.Any) => void
}

type Once<Q> = Q extends { readonly successSchema: RpcSchema.Stream<infer _A, infer _E> } ? never : Q

type StreamOf<Q> = Q extends { readonly successSchema: RpcSchema.Stream<infer A, infer E> }
  ? { readonly of: Q; readonly element: A; readonly failure: E }
  : never

type ClientsOf<D> = D extends { readonly "~wire"?: (clients: infer C, events: infer _E) => void } ? C : never
type CallsOf<D> = Once<ClientsOf<D>>
type EventsOf<D> = D extends { readonly "~wire"?: (clients: infer _C, events: infer E) => void } ? E : never

type TagOf<Q> = Q extends { readonly _tag: infer T extends string } ? T : never

/** The methods that clients of `D` may call. */
export type Method<D> = TagOf<CallsOf<D>>

/** The methods of `D` that a stream answers; of a client without types, any. */
export type StreamMethod<D> = Untyped extends D ? string : TagOf<StreamOf<ClientsOf<D>>["of"]>

/** The events that clients of `D` are sent. */
export type EventName<D> = TagOf<EventsOf<D>>

type Named<Q, T extends string> = Q extends { readonly _tag: infer U } ? (T extends U ? Q : never) : never

type Encoded<Q, K extends string> = Q extends { readonly [P in K]: infer S }
  ? S extends { readonly Encoded: infer A }
    ? A
    : unknown
  : unknown

/** The params of a method. */
export type Params<D, T extends Method<D>> = Wire<Encoded<Named<CallsOf<D>, T>, "payloadSchema">>

/** The answer to a method; null for one that answers nothing. */
export type Answer<D, T extends Method<D>> = Wire<Encoded<Named<CallsOf<D>, T>, "successSchema">>

/** The typed errors of a method, encoded. */
export type Failure<D, T extends Method<D> | StreamMethod<D>> = [StreamNamed<D, T>] extends [never]
  ? Wire<Encoded<Named<CallsOf<D>, T>, "errorSchema">>
  : Wire<Encoded<{ readonly of: StreamNamed<D, T>["failure"] }, "of">>

type StreamNamed<D, T extends string> = StreamOf<Named<ClientsOf<D>, T>>

/** The params of a method that a stream answers. */
export type StreamParams<D, T extends StreamMethod<D>> = Wire<Encoded<Named<ClientsOf<D>, T>, "payloadSchema">>

/** An element of the stream that answers a method. */
export type Element<D, T extends StreamMethod<D>> = Untyped extends D
  ? unknown
  : Wire<Encoded<{ readonly of: StreamNamed<D, T>["element"] }, "of">>

/** The payload of an event. */
export type Payload<D, T extends EventName<D>> = Wire<Encoded<Named<EventsOf<D>, T>, "payloadSchema">>

/** The arguments behind a method's name: params where it takes some, then options. */
export type Args<P, O extends ReadonlyArray<unknown>> = unknown extends P
  ? [params?: unknown, ...options: O]
  : [P] extends [null]
    ? [params?: undefined, ...options: O]
    : [params: P, ...options: O]
