/**
 * JSON-RPC 2.0 on the wire: one message or one batch a text frame.
 *
 * Floor 3; used by Connection; pure, knows no socket and no actor.
 * Source: the JSON-RPC 2.0 specification. Law 12: bad input is refused by name; internals never cross the wire.
 *
 *   -32700  parse error            the frame is no JSON
 *   -32600  invalid request        JSON, but no request; an empty or too long batch; nested too deep; an id in use
 *   -32601  method not found       also for what only actors may send
 *   -32602  invalid params         refused by the payload's Schema: `data` says where and what
 *   -32603  internal error         the handler failed: `data.incident` names the report in the log
 *   -32000  application error      the method's own typed error, encoded in `data`
 *   -32001  busy                   the agent's mailbox is full; try again
 *   -32002  unavailable            the agent has stopped, is stopping, or is quarantined
 *   -32003  timeout                no answer in time; whether it was handled is unknown when `data.started`
 *   -32004  cancelled              by `$/cancel`
 *   -32005  outcome lost           a request sent again under its `requestKey` was handled; what came of it is not kept any more
 */
import * as Depth from "./Depth.ts"

export type Id = string | number | null

/** The method that cancels a request: `$/cancel { id }`. */
export const CANCEL = "$/cancel"
/** The one that renews the principal: `$/auth { token }`. */
export const AUTH = "$/auth"

/** A request, or without an id a notification. */
export interface Call {
  readonly id: Id | undefined
  readonly method: string
  readonly params: unknown
  /** Made by the client: the same request sent again bears the same. */
  readonly requestKey: string | undefined
}

/** What is wrong with a message, as its sender is told. */
export interface Failure {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

/** A message that is no call: `id` as far as it can be told. */
export interface Invalid {
  readonly id: Id
  readonly error: Failure
}

export interface Frame {
  /** Answered as an array. */
  readonly batch: boolean
  readonly messages: ReadonlyArray<Call | Invalid>
}

const parseError: Failure = { code: -32700, message: "Parse error" }
export const invalidRequest = (why: string): Failure => ({ code: -32600, message: "Invalid Request", data: why })
export const methodNotFound = (method: string): Failure => ({
  code: -32601,
  message: "Method not found",
  data: method.slice(0, 100)
})
export const invalidParams = (why: string): Failure => ({ code: -32602, message: "Invalid params", data: why })
export const internalError = (incident: string | undefined): Failure => ({
  code: -32603,
  message: "Internal error",
  ...(incident !== undefined && { data: { incident } })
})
export const applicationError = (message: string, data: unknown): Failure => ({ code: -32000, message, data })
export const busy: Failure = { code: -32001, message: "Busy", data: { retryable: true } }
export const unavailable: Failure = { code: -32002, message: "Unavailable" }
export const cancelled: Failure = { code: -32004, message: "Cancelled" }
export const outcomeLost: Failure = { code: -32005, message: "Outcome lost" }

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

/** A number past 2^53 would be answered with another one: JSON.parse has rounded it. */
const isExact = (n: number): boolean => Math.abs(n) <= Number.MAX_SAFE_INTEGER

export const isId = (u: unknown): u is Id =>
  typeof u === "string" || u === null || (typeof u === "number" && isExact(u))

const maxRequestKeyLength = 128

const isRequestKey = (u: unknown): u is string =>
  typeof u === "string" && u.length > 0 && u.length <= maxRequestKeyLength

const invalid = (id: unknown, why: string): Invalid => ({ id: isId(id) ? id : null, error: invalidRequest(why) })

const message = (u: unknown): Call | Invalid => {
  if (!isRecord(u)) return invalid(null, "a message is an object")
  const { id, method, params } = u
  if (u["jsonrpc"] !== "2.0") return invalid(id, 'jsonrpc is not "2.0"')
  if (typeof method !== "string") return invalid(id, "method is not a string")
  if (id !== undefined && !isId(id)) return invalid(null, "id is not a string, a number up to 2^53 or null")
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    return invalid(id, "params is not an object or an array")
  }
  const { requestKey } = u
  if (requestKey !== undefined) {
    if (id === undefined) return invalid(null, "a requestKey, but no id")
    if (!isRequestKey(requestKey))
      return invalid(id, `requestKey is not text of 1 to ${maxRequestKeyLength} UTF-16 units`)
  }
  return { id, method, params, requestKey }
}

/** Reads one frame. At the most: `maxBatch` messages in a batch; lists and records `maxDepth` in each other. */
export const parse = (text: string, maxBatch: number, maxDepth: number): Frame => {
  if (Depth.over(text, maxDepth)) {
    return { batch: false, messages: [invalid(null, `lists and records over ${maxDepth} deep`)] }
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return { batch: false, messages: [{ id: null, error: parseError }] }
  }
  if (!Array.isArray(json)) return { batch: false, messages: [message(json)] }
  if (json.length === 0) return { batch: false, messages: [invalid(null, "an empty batch")] }
  if (json.length > maxBatch) return { batch: false, messages: [invalid(null, `a batch of over ${maxBatch} messages`)] }
  return { batch: true, messages: json.map(message) }
}

export const isCall = (m: Call | Invalid): m is Call => "method" in m

/** How a request ended, as a member of its answer; `value` is JSON already, undefined for void. */
export const resultOf = (value: unknown): string => `"result":${value === undefined ? "null" : JSON.stringify(value)}`

export const errorOf = (failure: Failure): string => `"error":${JSON.stringify(failure)}`

/** The answer to a request that ended so. */
export const answer = (id: Id, outcome: string): string => `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${outcome}}`

export const result = (id: Id, value: unknown): string => answer(id, resultOf(value))

export const error = (id: Id, failure: Failure): string => answer(id, errorOf(failure))

/** Elements of a stream that answers the request `id`; `values` is JSON already. */
export const chunk = (id: Id, values: ReadonlyArray<unknown>): string =>
  `{"jsonrpc":"2.0","method":"$/chunk","params":{"id":${JSON.stringify(id)},"values":${JSON.stringify(values)}}}`

/** An event: a notification of the server's. */
export const notification = (method: string, params: unknown): string =>
  params === undefined || params === null
    ? `{"jsonrpc":"2.0","method":${JSON.stringify(method)}}`
    : `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`
