/**
 * Effect's `HttpClient` over bounded connections: limits in all and per host, a bounded line, retries, time-outs.
 *
 *   request -> its host's line (`maxQueued` in all) -> a connection (`maxConnections`, `maxPerHost`) -> headers -> body -> idle
 *     interrupted or timed out: it leaves the line, or its connection is closed at once: the server sees it
 *     no answer, 408, 429, 5xx: sent again where it may be (HttpRetry), by a Schedule, not before `Retry-After`
 *
 * A Layer of the standard client: HttpClient's own API, HttpApiClient and whoever else asks for an HttpClient are bounded without
 * knowing it. No actor: a request is no message, and its answer, a stream perhaps, no state. Made of Effect's FetchHttpClient
 * with undici's fetch (gzip, streams, forms) by HttpExchange, and connections by HttpHosts. Considered: undici's `request`,
 * rejected: it decodes nothing, and Effect's client for it is in a package of its own, without limits;
 * HttpClient.retryTransient, rejected: it sends a POST again, and waits for a day where Retry-After says so.
 * A redirect is an answer, for it may lead to another host; `HttpClient.followRedirects` follows it, through the pool.
 * Law 3: connections, the line, waits, bytes of a body on the wire are bounded (what gzip makes of them is not). Law 8:
 * interruption arrives. Law 11: it dies with `RealIoInSimulation` in a seeded system; time is Effect's Clock, but that of dials
 * and idle connections, which is undici's. Law 12: options are checked when the layer is built. It closes with its scope, and
 * that ends with its last socket. A body that nobody reads has its connection until `bodyTimeout`: read it, or `withScope`.
 * Errors are HttpClient's (HttpErrors): the message says host, port and code; `error.reason.cause` is a `LimitReached`,
 * `HttpTimeout`, `HttpPoolClosed`, or undici's, by its `code`.
 */
import { Context, type Duration, Effect, Exit, Layer, Option } from "effect"
import { FetchHttpClient, HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import { ActorSystem, LimitReached, Options } from "troupe"
import { HttpPoolClosed, HttpTimeout, located, refused } from "./HttpErrors.ts"
import { HttpExchange, type Received } from "./HttpExchange.ts"
import { HttpHosts } from "./HttpHosts.ts"
import { Place } from "./HttpPlace.ts"
import * as HttpRetry from "./HttpRetry.ts"
import * as HttpTls from "./HttpTls.ts"

export interface HttpPoolOptions {
  /** Connections in all: dialled, in use and idle; so also requests in flight. 1-65,536, default 64. */
  readonly maxConnections?: number
  /** Connections to one host (scheme, name and port) in use. 1-65,536, default 8. */
  readonly maxPerHost?: number
  /** Requests that wait for a connection, in all; one more fails with `LimitReached`. 0-1,000,000, default 1,024. */
  readonly maxQueued?: number
  /** How long an attempt may take until its headers are there, its time in the line included. Default 30 s. */
  readonly timeout?: Duration.Input | "infinity"
  /** How long a body may stand still, its server's or its reader's doing; it is cut before twice that. Default 30 s. */
  readonly bodyTimeout?: Duration.Input | "infinity"
  /** How long a dial may take, TLS included. Up to 10 minutes, default 10 s. */
  readonly connectTimeout?: Duration.Input
  /** How long an idle connection is kept. Up to 10 minutes, default 4 s. */
  readonly keepAlive?: Duration.Input
  /** Bytes of one body on the wire; more cut it. 1-2^40, default 64 MiB. */
  readonly maxBodyBytes?: number
  /** Certificates; default: those that Node trusts. */
  readonly tls?: HttpTls.HttpTlsOptions
  /** What is sent again; `false`: nothing. */
  readonly retry?: HttpRetry.HttpRetryOptions | false
}

export interface HttpPoolStats {
  /** Requests that have a connection; it is in use until the body's end. */
  readonly inFlight: number
  readonly queued: number
  /** Dialled, in use and idle. */
  readonly connections: number
  /** That have connections, or requests in their line. */
  readonly hosts: number
}

const names = "maxConnections maxPerHost maxQueued timeout bodyTimeout connectTimeout keepAlive maxBodyBytes tls retry"

const make = Effect.fnUntraced(function* (options: HttpPoolOptions) {
  Options.known("HttpPool", options, names.split(" "))
  const brief = (name: "connectTimeout" | "keepAlive", otherwise: number): number => {
    const millis = Options.millis(`HttpPool.${name}`, options[name], otherwise)
    return Options.atMost(`HttpPool.${name}`, millis, 600_000, "10 minutes")
  }
  const what = "HttpPool: the line"
  const maxQueued = Options.integer("HttpPool.maxQueued", options.maxQueued, 1024, 0, 1_000_000)
  const timeout = Options.millis("HttpPool.timeout", options.timeout, 30_000)
  const bodyTimeout = Options.millis("HttpPool.bodyTimeout", options.bodyTimeout, 30_000)
  const retried = HttpRetry.make(options.retry)
  const hosts = new HttpHosts({
    maxConnections: Options.integer("HttpPool.maxConnections", options.maxConnections, 64, 1, 65_536),
    maxPerHost: Options.integer("HttpPool.maxPerHost", options.maxPerHost, 8, 1, 65_536),
    maxQueued,
    tls: HttpTls.check(options.tls),
    connectMillis: brief("connectTimeout", 10_000),
    keepAliveMillis: brief("keepAlive", 4000),
    maxBodyBytes: Options.integer("HttpPool.maxBodyBytes", options.maxBodyBytes, 67_108_864, 1, 2 ** 40)
  })
  yield* Effect.addFinalizer(() => Effect.promise(() => hosts.close(new HttpPoolClosed({}))))
  const services = yield* Effect.context()
  const run = Effect.runForkWith(services)

  const attempt = (
    send: ReturnType<HttpClient.HttpClient["execute"]>,
    request: HttpClientRequest.HttpClientRequest,
    origin: string
  ): Effect.Effect<Received, HttpClientError.HttpClientError> =>
    Effect.suspend(() => {
      const failed = (cause: LimitReached | HttpTimeout | HttpPoolClosed) => Effect.fail(refused(request, cause))
      const place = new Place()
      const exchange = new HttpExchange(hosts, place)
      let phase: "line" | "headers" = "line"
      const line = Effect.callback<void, HttpClientError.HttpClientError>((resume) => {
        const told = (how: "taken" | "waits" | "full" | "closed"): void => {
          if (how === "taken") resume(Effect.void)
          if (how === "closed") resume(failed(new HttpPoolClosed({})))
          if (how === "full") resume(failed(new LimitReached({ what, limit: maxQueued, option: "option maxQueued" })))
        }
        told(hosts.enter(origin, place, (closed) => told(closed ?? "taken")))
      })
      const sent = Effect.suspend(() => {
        phase = "headers"
        return Effect.provideService(send, FetchHttpClient.Fetch, exchange.fetch)
      })
      return Effect.andThen(line, sent).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) exchange.watch(bodyTimeout, run)
            else exchange.end(new Error("given up"))
          })
        ),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => failed(new HttpTimeout({ phase, millis: timeout }))
        }),
        Effect.mapError((error) => located(error, origin)),
        Effect.map((response) => ({ response, cut: () => exchange.end(new Error("not read")) }))
      )
    })

  const fetching = yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
  const client = HttpClient.transform(fetching, (send, request) => {
    const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
    // no URL of a host: the client says so
    if (url === undefined || !/^https?:$/.test(url.protocol)) return send
    const received = retried(request, attempt(send, request, url.origin))
    return Effect.andThen(ActorSystem.realIo(`HttpPool ${request.method} ${url.origin}`), received).pipe(
      Effect.map(({ response }) => response)
    )
  })
  const stats = (): HttpPoolStats => ({ inFlight: hosts.inFlight, queued: hosts.queued, ...hosts.size })
  return Context.make(HttpClient.HttpClient, client).pipe(Context.add(HttpPool, { stats }))
})

export class HttpPool extends Context.Service<HttpPool, { readonly stats: () => HttpPoolStats }>()("troupe/HttpPool") {
  /** The client, and what its pool is doing. Dies with `InvalidOption`. In tests: `HttpClient.make` in its place. */
  static layer(options: HttpPoolOptions = {}): Layer.Layer<HttpClient.HttpClient | HttpPool> {
    return Layer.effectContext(make(options))
  }

  static readonly stats: Effect.Effect<HttpPoolStats, never, HttpPool> = Effect.map(HttpPool, (pool) => pool.stats())
}
