/**
 * Faults in HTTP over bounded connections: limits, the line, what is cut and when, what is sent again.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors } from "./Fault.ts"

export const httpPools: ReadonlyArray<Fault> = [
  ofActors(
    "http-host-endless",
    "3: connections a host are bounded",
    "HttpHosts.ts",
    "const hasRoom = host.inFlight < this.#options.maxPerHost",
    "const hasRoom = host.inFlight <= this.#options.maxPerHost"
  ),
  ofActors(
    "http-all-endless",
    "3: connections in all are bounded",
    "HttpHosts.ts",
    "while (this.inFlight < this.#options.maxConnections)",
    "while (this.inFlight <= this.#options.maxConnections)"
  ),
  ofActors(
    "http-idle-stays",
    "3: idle connections make room",
    "HttpHosts.ts",
    "&& longest !== undefined) this.#drop(longest)",
    "&& longest !== undefined) this.#options"
  ),
  ofActors(
    "http-not-in-turn",
    "hosts are served in turn",
    "HttpHosts.ts",
    "      // behind the others, if it is ready still\n      this.#ready.delete(host)\n",
    ""
  ),
  ofActors(
    "http-line-endless",
    "3: the line is bounded",
    "HttpHosts.ts",
    "this.queued >= this.#options.maxQueued",
    "this.queued > this.#options.maxQueued"
  ),
  ofActors(
    "http-hosts-kept",
    "3: hosts without connections are forgotten",
    "HttpHosts.ts",
    "=== 0) this.#hosts.delete(host.origin)",
    "=== -1) this.#hosts.delete(host.origin)"
  ),
  ofActors(
    "http-never-reused",
    "a connection is used again",
    "HttpHosts.ts",
    "        host.idle.push(connection)\n",
    ""
  ),
  ofActors(
    "http-dial-goes-on",
    "8: a dial ends with its request",
    "HttpConnection.ts",
    "else if (!this.isOpen) this.#socket.destroy(why)",
    ""
  ),
  ofActors(
    "http-closed-idle",
    "a connection that its server closed is not idle",
    "HttpConnection.ts",
    "if (this.#closed === undefined) this.#lost()\n    else this.#closed()",
    "this.#closed?.()"
  ),
  ofActors(
    "http-scope-open",
    "it closes with its scope",
    "HttpPool.ts",
    "  yield* Effect.addFinalizer(() => Effect.promise(() => hosts.close(new HttpPoolClosed({}))))\n",
    ""
  ),
  ofActors(
    "http-cut-not",
    "8: interruption reaches the server",
    "HttpPool.ts",
    'else exchange.end(new Error("given up"))',
    "else void exchange"
  ),
  ofActors(
    "http-body-free",
    "a connection is in use until its body's end",
    "HttpPool.ts",
    "if (Exit.isSuccess(exit)) exchange.watch(bodyTimeout, run)",
    'if (Exit.isSuccess(exit)) exchange.end("complete")'
  ),
  ofActors("http-body-stands", "a body that stands still is cut", "HttpExchange.ts", "      this.#stands = true\n", ""),
  ofActors("http-body-moves", "a body that moves is not cut", "HttpExchange.ts", "        this.#stands = false\n", ""),
  ofActors(
    "http-form-text",
    "a form is sent as a form",
    "HttpExchange.ts",
    "body instanceof FormData ? new Response(body)",
    'body instanceof FormData && body.has("") ? new Response(body)'
  ),
  ofActors(
    "http-post-again",
    "a POST is not sent again",
    "HttpRetry.ts",
    '"DELETE", "QUERY"]',
    '"DELETE", "QUERY", "POST"]'
  ),
  ofActors(
    "http-after-unheard",
    "Retry-After is waited for",
    "HttpRetry.ts",
    "Duration.max(delay, least)",
    "Duration.max(delay, Duration.zero)"
  ),
  ofActors(
    "http-after-endless",
    "no longer Retry-After than its bound",
    "HttpRetry.ts",
    "&& retryAfterMillis(failed, now) <= most",
    "&& most > 0"
  ),
  ofActors(
    "http-unread-kept",
    "an unread answer is cut before it is sent again",
    "HttpRetry.ts",
    "Effect.andThen(cut, once)",
    "Effect.andThen(Effect.void, once)"
  ),
  ofActors(
    "http-full-again",
    "what the pool refused is not sent again",
    "HttpRetry.ts",
    'return cause instanceof Error && "code" in cause && transient.test(String(cause.code))',
    "return cause instanceof Error"
  ),
  ofActors(
    "http-refused-untold",
    "an error says where it was to go, and its cause's code",
    "HttpPool.ts",
    "        Effect.mapError((error) => located(error, origin)),\n",
    ""
  ),
  ofActors(
    "http-secret-told",
    "an error's message shows no header",
    "HttpErrors.ts",
    ": cause.name",
    ": cause.message"
  ),
  ofActors(
    "http-tls-any-text",
    "12: what is no PEM is refused by name",
    "HttpTls.ts",
    'typeof value !== "string" || !kind.test(value)',
    'typeof value !== "string"'
  ),
  ofActors(
    "http-tls-key-shown",
    "a key that is refused is not shown",
    "HttpTls.ts",
    '"a string" : String(typeof value)',
    "value : String(typeof value)"
  ),
  ofActors(
    "http-real-in-seeded",
    "11: no real requests in a seeded system",
    "HttpPool.ts",
    "ActorSystem.realIo(`HttpPool ${request.method} ${url.origin}`)",
    "Effect.void"
  )
]
