/**
 * What a request over an HttpPool fails with: the pool's own errors, and how one of the way there is told.
 *
 * Used by HttpPool, HttpExchange and HttpRetry. All are HttpClient's `TransportError`, so that who knows HttpClient knows
 * them; what it was is its `cause`, and its message says so:
 *
 *   Transport: shop.example:443: ECONNREFUSED, nobody listens there (GET https://shop.example/shoes)
 *
 * Host and port, the cause's code (its class, where it has none), and in words what is known of that code. Never the cause's own
 * message: those of headers that fetch refuses have the header in them, and it may be a secret.
 */
import { Schema } from "effect"
import { HttpClientError, type HttpClientRequest } from "effect/http"
import type { LimitReached } from "troupe"

/** Too long in the line or without headers (option timeout), or no byte of the body moved (option bodyTimeout). */
export class HttpTimeout extends Schema.TaggedError<HttpTimeout>()("HttpTimeout", {
  phase: Schema.Literals(["line", "headers", "body"]),
  millis: Schema.Finite
}) {
  override get message(): string {
    if (this.phase === "body") return `no byte of the body moved for ${this.millis} ms (option bodyTimeout)`
    const where = this.phase === "line" ? "it still waited for a connection" : "it was sent"
    return `no answer within ${this.millis} ms, ${where} (option timeout)`
  }
}

/** The pool's scope has closed. */
export class HttpPoolClosed extends Schema.TaggedError<HttpPoolClosed>()("HttpPoolClosed", {}) {
  override get message(): string {
    return "the pool has closed with its scope"
  }
}

const transport = (request: HttpClientRequest.HttpClientRequest, cause: unknown, description: string) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, cause, description })
  })

/** What the pool itself refuses. */
export const refused = (
  request: HttpClientRequest.HttpClientRequest,
  cause: LimitReached | HttpTimeout | HttpPoolClosed
): HttpClientError.HttpClientError => transport(request, cause, cause.message)

/** Of Node, OpenSSL and undici. */
const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/^ECONNREFUSED$/, "nobody listens there"],
  [/^ENOTFOUND$/, "there is no host of that name"],
  [/^EAI_/, "its name could not be looked up"],
  [/^(EHOSTUNREACH|ENETUNREACH)$/, "there is no way there"],
  [/^(ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, "no connection in time (option connectTimeout)"],
  [/^(ECONNRESET|ECONNABORTED|EPIPE|UND_ERR_SOCKET)$/, "the connection was lost before the answer"],
  [/CERT|LEAF_SIGNATURE/, "its certificate was refused (option tls)"],
  [/^(ERR_(SSL|TLS|OSSL)_|EPROTO$)/, "no TLS with it (option tls)"],
  [/^HPE_/, "what it answers is no HTTP"],
  // what fetch itself does not take: a port, credentials in the URL, a header
  [/^(Error|TypeError)$/, "see error.reason.cause"]
]

/** Says where it was to go, and why it did not get there or had no answer. */
export const located = (error: HttpClientError.HttpClientError, origin: string): HttpClientError.HttpClientError => {
  const { reason } = error
  if (reason._tag !== "TransportError" || reason.description !== undefined) return error
  const { cause, request } = reason
  if (cause instanceof HttpPoolClosed || cause instanceof HttpTimeout) return refused(request, cause)
  if (!(cause instanceof Error)) return error
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : cause.name
  const known = words.find(([codes]) => codes.test(code))
  const { hostname, port, protocol } = new URL(origin)
  const place = `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`
  return transport(request, cause, `${place}: ${code}${known === undefined ? "" : `, ${known[1]}`}`)
}
