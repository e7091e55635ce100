/**
 * A request as `authenticate` sees it: a small plain value, and the tokens apart: its own, and that of its session.
 *
 *   token from   Authorization: Bearer <token>   |   subprotocol bearer.<token>   |   ?token=<token>      the first there is
 *
 * Floor 3; pure. A browser cannot set headers on a WebSocket, so it offers subprotocols; a query is for what can do neither, and
 * lands in the logs of proxies. The token is taken out of url, query, headers and protocols, and is `Redacted`; so is
 * `?session=`, for who has the token of a session has the session: a handshake that is printed shows neither.
 * Subprotocols: who offers some and is answered none must go on by RFC 6455, 4.1, but fails by the WHATWG's standard, and so in
 * every browser and in `ws`. The token itself is not answered: headers of answers are logged by proxies, too. So a browser offers
 * `["troupe", "bearer.<token>"]` and is answered `troupe`, which means plain JSON-RPC, or the same with `effect-rpc`; a token
 * alone is refused by name.
 */
import { Redacted } from "effect"
import type { IncomingMessage } from "node:http"
import * as Dialect from "./Dialect.ts"

/** A request before it is let in. */
export interface Handshake {
  /** Path and query, without the tokens. */
  readonly url: string
  readonly path: string
  /** The last of each name, without the tokens. */
  readonly query: Readonly<Record<string, string>>
  /** As Node has them, lower-case; without what bears the token. */
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** Subprotocols offered, without the token. */
  readonly protocols: ReadonlyArray<string>
  /** The peer's, or as the trusted proxy says. */
  readonly address: string
  readonly token: Redacted.Redacted<string> | undefined
  /** Of the session that it would come back to. */
  readonly session: Redacted.Redacted<string> | undefined
}

const prefix = "bearer."
const scheme = /^Bearer +([^ ]+) *$/i

const offered = (request: IncomingMessage): ReadonlyArray<string> =>
  (request.headers["sec-websocket-protocol"] ?? "").split(",").flatMap((item) => item.trim() || [])

/** What is wrong with a request that Node and `ws` let pass: RFC 9112, 3.2; RFC 6455, 4.2.1. */
export const faultOf = ({ rawHeaders, httpVersion, headers }: IncomingMessage): string | undefined => {
  let hosts = 0
  for (let n = 0; n < rawHeaders.length; n += 2) if (rawHeaders[n]!.toLowerCase() === "host") hosts++
  if (hosts !== 1 && (hosts > 1 || httpVersion !== "1.0")) return "a request names one Host"
  return httpVersion === "1.0" && headers.upgrade !== undefined ? "an upgrade wants HTTP/1.1" : undefined
}

/** Whether it offers a token and nothing that could be answered. */
export const isMute = (request: IncomingMessage): boolean => {
  const items = offered(request)
  return items.some((item) => item.startsWith(prefix)) && Dialect.agree(items) === false
}

/** A name that is written in escapes is the same name. */
const isToken = (pair: string): boolean => {
  const named = new URLSearchParams(pair)
  return named.has("token") || named.has("session")
}

const redacted = (text: string | undefined, label: string): Redacted.Redacted<string> | undefined =>
  text === undefined || text === "" ? undefined : Redacted.make(text, { label })

const withoutTokens = (path: string, query: string): string => {
  const kept = query.split("&").filter((pair) => pair !== "" && !isToken(pair))
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`
}

export const read = (request: IncomingMessage, address: string): Handshake => {
  const { authorization, "sec-websocket-protocol": _, ...headers } = request.headers
  const url = request.url ?? "/"
  const path = url.split("?", 1)[0]!
  const items = offered(request)
  const query: Record<string, string> = Object.create(null) as Record<string, string>
  const search = url.slice(path.length + 1)
  for (const [name, value] of new URLSearchParams(search)) query[name] = value
  const { token: inQuery, session, ...others } = query
  const bearer = scheme.exec(authorization ?? "")?.[1]
  const inProtocol = items.find((item) => item.startsWith(prefix))?.slice(prefix.length)
  const token = bearer ?? inProtocol ?? inQuery
  return {
    url: withoutTokens(path, search),
    path,
    query: Object.assign(Object.create(null) as Record<string, string>, others),
    headers: bearer === undefined && authorization !== undefined ? { ...headers, authorization } : headers,
    protocols: items.filter((item) => !item.startsWith(prefix)),
    address,
    token: redacted(token, "token"),
    session: session === "new" ? undefined : redacted(session, "session")
  }
}

/** The same with a newer token. */
export const renewed = (handshake: Handshake, token: string): Handshake => ({
  ...handshake,
  token: Redacted.make(token, { label: "token" })
})

/** A text of a log without the tokens. */
export const hush = (text: string, { token, session }: Handshake): string =>
  without(without(text, token, "<token>"), session, "<session>")

const without = (text: string, secret: Redacted.Redacted<string> | undefined, instead: string): string => {
  if (secret === undefined) return text
  const value = Redacted.value(secret)
  // half a surrogate pair has no escape
  return text.replaceAll(value, instead).replaceAll(encodeURIComponent(value.toWellFormed()), instead)
}
