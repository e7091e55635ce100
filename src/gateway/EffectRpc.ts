/**
 * Subprotocol `effect-rpc`: the frames of Effect's own `RpcClient` over a socket with `RpcSerialization.layerJsonRpc()`.
 *
 *   in   { method, params, id, headers?, discard? }               a request; without an id a tell
 *        @effect/rpc/Interrupt { requestId }                      cancels it
 *        @effect/rpc/Ack { requestId }                            the chunk was taken: the next may come
 *        @effect/rpc/Ping, @effect/rpc/Eof                        a Pong; nothing, since the socket's end is the end
 *   out  { id, result } | { id, error: { _tag: "Cause", code, message, data: [reason] } }
 *        { chunk: true, id, result: [elements] }, then the answer
 *        { error: { _tag: "Defect", .. } }                        a frame that names no request: fails all of the client's
 *        { method, params }                                       an event, as in plain JSON-RPC
 *
 * Floor 3; pure. Law 12: of a failure crosses what the Rpc's error Schema encodes (`Fail`), that it was cancelled
 * (`Interrupt`), and for all else a `Die` with an Error of this module's making: the name, code and data that plain JSON-RPC
 * tells (an incident, never the defect itself, never a stack). It fails its own request, no others: that is why a defect of
 * a handler is not the frame `Defect` that Effect's server sends. An Rpc with a defect Schema of its own has to take it.
 * Law 3: one chunk of a stream is unacknowledged at a time; an acknowledgement that is due costs none of the rate. A connection
 * that is not read (window full, and `overlook` behind it; drain) cannot hear them, so there they are not waited for, and
 * the outbox's bounds hold alone: a stream never waits for what waits behind it.
 * `discard`: a tell that is answered when the agent's mailbox has taken it. `headers` and trace context are ignored.
 * `RpcClient` takes no notice of a notification with another method, so events do it no harm; a Protocol of one's own
 * between socket and client hears them (`_tag: "Request"`, `isNotification`). It asks for a Pong every 5 s, and hangs up
 * without any frame for 5 s more; behind `overlook` bytes of waiting requests its Ping is not read.
 * Source: effect 4.1, rpc/RpcSerialization.ts (jsonRpc), rpc/RpcClient.ts (makeProtocolSocket), rpc/RpcServer.ts.
 */
import type { Control, Dialect } from "./Dialect.ts"
import * as JsonRpc from "./JsonRpc.ts"

/** The subprotocol. */
export const name = "effect-rpc"

const prefix = "@effect/rpc/"

const pong = `{"jsonrpc":"2.0","method":"${prefix}Pong"}`

/** Nobody who uses Effect's client limits its requests: so much of them is looked through for what cannot wait. */
const overlook = 65_536

/** A request's id: null would be a control's. */
const isId = (u: unknown): u is string | number => u !== null && JsonRpc.isId(u)

const message = (u: unknown): JsonRpc.Call | JsonRpc.Invalid => {
  if (!JsonRpc.isRecord(u)) return JsonRpc.invalid(null, "a message is an object")
  const { method } = u
  // Effect's own reader takes both for no id
  const id = u["id"] === null && typeof method === "string" && method.startsWith(prefix) ? undefined : u["id"]
  if (u["jsonrpc"] !== "2.0") return JsonRpc.invalid(id, 'jsonrpc is not "2.0"')
  if (typeof method !== "string") return JsonRpc.invalid(id, "method is not a string")
  if (id !== undefined && !isId(id)) return JsonRpc.invalid(null, "id is not a string or a number")
  // the payload of an Rpc may be any JSON; null stands for none
  const call = { id, method, params: u["params"] ?? null, requestKey: undefined }
  return u["discard"] === true && id !== undefined ? { ...call, discard: true } : call
}

const parse = (text: string, maxBatch: number, maxDepth: number): JsonRpc.Frame =>
  JsonRpc.read(text, maxBatch, maxDepth, message)

const control = ({ id, method, params }: JsonRpc.Call): Control | JsonRpc.Failure => {
  // with an id it is a request, for a method of that name
  if (id !== undefined) return JsonRpc.methodNotFound(method)
  const requestId = JsonRpc.isRecord(params) ? params["requestId"] : undefined
  switch (method.slice(prefix.length)) {
    case "Ping":
      return { answer: pong }
    case "Eof":
      return {}
    case "Ack":
      return isId(requestId) ? { acknowledges: requestId } : JsonRpc.invalidParams("requestId of the chunk")
    case "Interrupt":
      return isId(requestId) ? { cancels: requestId } : JsonRpc.invalidParams("requestId of the request to interrupt")
    default:
      return JsonRpc.methodNotFound(method)
  }
}

/** What an `Error` is in JSON (`Schema.Defect`): the code and its data are the cause of the one that the client has. */
const defectOf = ({ code, message, data }: JsonRpc.Failure): unknown => ({
  name: "JsonRpcError",
  message: data === undefined ? message : `${message}: ${typeof data === "string" ? data : JSON.stringify(data)}`,
  cause: { code, ...(data !== undefined && { data }) }
})

const reasonOf = (failure: JsonRpc.Failure): unknown => {
  if (failure.code === JsonRpc.APPLICATION_ERROR) return { _tag: "Fail", error: failure.data ?? null }
  if (failure === JsonRpc.cancelled) return { _tag: "Interrupt", fiberId: null }
  return { _tag: "Die", defect: defectOf(failure) }
}

const errorOf = (failure: JsonRpc.Failure): string => {
  const { code, message } = failure
  return `"error":${JSON.stringify({ _tag: "Cause", code, message, data: [reasonOf(failure)] })}`
}

const error = (id: JsonRpc.Id, failure: JsonRpc.Failure): string => {
  if (id !== null) return JsonRpc.answer(id, errorOf(failure))
  const { code, message } = failure
  return JsonRpc.answer(null, `"error":${JSON.stringify({ _tag: "Defect", code, message, data: defectOf(failure) })}`)
}

const chunk = (id: JsonRpc.Id, values: ReadonlyArray<unknown>): string =>
  `{"jsonrpc":"2.0","chunk":true,"id":${JSON.stringify(id)},"result":${JSON.stringify(values)}}`

export const dialect: Dialect = {
  prefix,
  urgent: prefix,
  overlook,
  acknowledges: true,
  sessions: false,
  parse,
  control,
  errorOf,
  error,
  chunk
}
