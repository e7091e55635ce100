/**
 * A way to write down what a client and its agent say to each other, chosen at upgrade by subprotocol.
 *
 *   none offered, or troupe    plain JSON-RPC 2.0    `JsonRpc.ts`
 *   effect-rpc                 Effect's own client   `EffectRpc.ts`
 *
 * Floor 3; used by Conversation (what is said), Connection (frames), StreamReply (chunks). A dialect is a record of pure
 * functions, one a process; it knows no socket and no actor. What differs stands here; what does not is JSON-RPC in both: a
 * successful answer, an array for a batch, an event (so that a broadcast is encoded once for clients of either).
 * Law 12: each says by its own means what is wrong, under the same codes.
 * Considered: a Conversation a dialect; rejected because a Session is one already, and would be needed twice.
 */
import * as EffectRpc from "./EffectRpc.ts"
import * as JsonRpc from "./JsonRpc.ts"

/** What a client asks of its connection, not of the agent. */
export interface Control {
  /** Gives up the request with this id. */
  readonly cancels?: JsonRpc.Id
  /** Has taken the last chunk of the stream that answers the request with this id. */
  readonly acknowledges?: JsonRpc.Id
  /** Brings a newer token of the principal's. */
  readonly renews?: boolean
  /** What it is answered. */
  readonly answer?: string | undefined
}

export interface Dialect {
  /** Methods that begin with it are for the connection: they never reach an agent. */
  readonly prefix: string
  /** Stands in every frame that may be heard before those that wait for room. */
  readonly urgent: string
  /** So many bytes behind a full window are read, for what is urgent among them. */
  readonly overlook: number
  /** Whether a client says that it has taken a chunk, and gets the next one only then. */
  readonly acknowledges: boolean
  /** Whether `?session=` may be asked for. */
  readonly sessions: boolean
  /** Reads one frame. At the most: `maxBatch` messages in a batch; lists and records `maxDepth` in each other. */
  readonly parse: (text: string, maxBatch: number, maxDepth: number) => JsonRpc.Frame
  /** What a call of a method with the prefix asks for. */
  readonly control: (call: JsonRpc.Call) => Control | JsonRpc.Failure
  /** A failure as a member of the answer to a request. */
  readonly errorOf: (failure: JsonRpc.Failure) => string
  /** A failure as a whole answer; `id` is null where the request cannot be told. */
  readonly error: (id: JsonRpc.Id, failure: JsonRpc.Failure) => string
  /** Elements of a stream that answers the request `id`; `values` is JSON already. */
  readonly chunk: (id: JsonRpc.Id, values: ReadonlyArray<unknown>) => string
}

/** The one that is spoken when none is agreed to. */
export const plain: Dialect = JsonRpc.dialect

/** Why a connection that asks for a session is refused. */
export const noSessions = "no sessions under this subprotocol: its client cannot resume one"

/** By the subprotocol's name. A browser that offers a token has to offer one of them beside it. */
const named: ReadonlyMap<string, Dialect> = new Map([
  [JsonRpc.name, plain],
  [EffectRpc.name, EffectRpc.dialect]
])

/** The first subprotocol that is known here, of those that a client offers; false for none: to agree to one is to speak it. */
export const agree = (offered: Iterable<string>): string | false => {
  for (const name of offered) if (named.has(name)) return name
  return false
}

/** What will be spoken with a client that offers `header` (`Sec-WebSocket-Protocol`). */
export const of = (header: string | undefined): Dialect => {
  if (header === undefined) return plain
  const name = agree(header.split(",").map((item) => item.trim()))
  return name === false ? plain : named.get(name)!
}
