/**
 * What all calls of one provider of models share in a process: how many at once, how many in a while, what is tried again.
 *
 *   call -> line (at most `maxQueued` wait) -> one of `concurrency` places -> rate -> the call
 *             429, 5xx, not reached, silent for `stallTimeout`, before the first token: back to rate after a pause, in its place
 *             the first token has been told, or no retry is left: it fails with what it failed of
 *
 * One layer a provider, given to all agents that use it; the model itself is `LanguageModel`'s. Law: what was told is never told
 * twice: a call is tried again only before its first token. Who leaves the line, a pause or a call gives its place back at once.
 * A place is held through the pauses, so an endpoint that is in trouble is asked less, not more; each try counts for the rate. A
 * slow reader holds its place, too: LlmAgent's `turnTimeout` bounds that.
 * Pauses: see LlmRetry. Order: first come, first served. Cost: a fiber none, a few closures a call.
 * Fails: `LimitReached` when the line is full; the call's own `AiError` else.
 * Effect's `RateLimiter` counts the rate: the one in the context, such as Redis' for several hosts, or one in memory.
 * Considered: `HttpClient.retryTransient`; rejected, it sees an answer's headers, not whether a token has been told.
 */
import { Clock, Context, Effect, Layer, Option, Random, Semaphore, Stream } from "effect"
import type { Duration } from "effect"
import { AiError, type Response, type Tool } from "effect/ai"
import { RateLimiter } from "effect/persistence"
import { InvalidOption, LimitReached, Options } from "troupe"
import * as LlmRetry from "./LlmRetry.ts"

/** Each is checked when the layer is built: `InvalidOption` by field, value and range. */
export interface LlmProviderOptions {
  /** What the rate is counted by where hosts share a `RateLimiter`. Default "llm". */
  readonly name?: string
  /** Calls at once. 1-10,000, default 8. */
  readonly concurrency?: number
  /** Calls that wait for a place. 0-1,000,000, default 1,024. */
  readonly maxQueued?: number
  /** Calls in a window; who is over it waits in its place. Default no limit; `limit` 1-1,000,000. */
  readonly rate?: { readonly limit: number; readonly window: Duration.Input }
  /** Further tries of a call. 0-20, default 3. */
  readonly retries?: number
  /** The first pause. Default 500 ms. */
  readonly backoff?: Duration.Input
  /** The longest pause. Default 30 s. */
  readonly maxDelay?: Duration.Input
  /** How long nothing may come of a call while more is asked of it. Default 60 s. */
  readonly stallTimeout?: Duration.Input | "infinity"
}

export interface LlmProviderStats {
  /** Calls that have a place, and those in the line. */
  readonly running: number
  readonly queued: number
  /** Tries so far, those that were tries again, and calls that found the line full. */
  readonly tries: number
  readonly retries: number
  readonly refused: number
}

/** What a model answers, part by part, whatever its tools. */
type Part = Response.StreamPart<Record<string, Tool.Any>, "deferred">
type Call<R> = Stream.Stream<Part, AiError.AiError, R>
type Answer<R> = Stream.Stream<Part, AiError.AiError | LimitReached, R>

interface Service {
  /** The call within what the provider allows. */
  readonly within: <R>(call: Call<R>) => Answer<R>
  readonly stats: () => LlmProviderStats
}

const names = ["name", "concurrency", "maxQueued", "rate", "retries", "backoff", "maxDelay", "stallTimeout"]
const tokens: ReadonlyArray<string> = ["text-delta", "reasoning-delta", "tool-params-delta", "tool-call"]

const failed = (description: string): AiError.AiError => {
  const reason = new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "", description })
  return AiError.make({ module: "LlmProvider", method: "within", reason })
}

const make = Effect.fnUntraced(function* (options: LlmProviderOptions) {
  Options.known("llmProvider", options, names)
  const concurrency = Options.integer("llmProvider.concurrency", options.concurrency, 8, 1, 10_000)
  const maxQueued = Options.integer("llmProvider.maxQueued", options.maxQueued, 1024, 0, 1_000_000)
  const retrying: LlmRetry.Retrying = {
    retries: Options.integer("llmProvider.retries", options.retries, 3, 0, 20),
    backoffMillis: Options.millis("llmProvider.backoff", options.backoff, 500),
    maxDelayMillis: Options.millis("llmProvider.maxDelay", options.maxDelay, 30_000)
  }
  const stall = Options.millis("llmProvider.stallTimeout", options.stallTimeout, 60_000)
  const { name = "llm", rate } = options
  if (typeof name !== "string")
    throw new InvalidOption({ field: "llmProvider.name", value: typeof name, range: "text" })
  Options.known("llmProvider.rate", rate, ["limit", "window"])
  const limit = Options.integer("llmProvider.rate.limit", rate?.limit, 1, 1, 1_000_000)
  const window = Options.millis("llmProvider.rate.window", rate?.window, 1000)
  const found = yield* Effect.serviceOption(RateLimiter.RateLimiter)
  const memory = Effect.provide(RateLimiter.make, RateLimiter.layerStoreMemory, { local: true })
  const limiter = Option.isSome(found) ? found.value : yield* memory

  const places = yield* Semaphore.make(concurrency)
  const count = { running: 0, queued: 0, tries: 0, retries: 0, refused: 0 }

  const left = Effect.sync(() => count.queued--)
  const place = Effect.gen(function* () {
    if (count.running + count.queued >= concurrency + maxQueued) {
      count.refused++
      return yield* new LimitReached({ what: "LlmProvider: the line", limit: maxQueued, option: "option maxQueued" })
    }
    count.queued++
    yield* Effect.ensuring(places.takeScoped(1), left)
    return yield* Effect.acquireRelease(
      Effect.sync(() => count.running++),
      () => Effect.sync(() => count.running--)
    )
  })
  const turnstile =
    rate === undefined
      ? Effect.void
      : limiter.consume({ key: name, limit, window, algorithm: "token-bucket", onExceeded: "delay" }).pipe(
          Effect.mapError((error) => failed(error.message)),
          Effect.flatMap(({ delay }) => Effect.sleep(delay))
        )

  /** In its place. */
  const trying = <R>(call: Call<R>): Call<R> => {
    let told = false
    const silent = Stream.suspend(() => Stream.fail(failed(`nothing came for ${stall} ms (option stallTimeout)`)))
    const timed = Stream.timeoutOrElse(call, { duration: stall, orElse: () => silent })
    const noted = Stream.tap(timed, (part) => Effect.sync(() => (told ||= tokens.includes(part.type))))
    const attempt = (tried: number): Call<R> => {
      const again = Effect.fnUntraced(function* (error: AiError.AiError) {
        const now = yield* Clock.currentTimeMillis
        const pause = told ? undefined : LlmRetry.pause(error, tried, retrying, now, yield* Random.next)
        if (pause === undefined) return Stream.fail(error)
        yield* Effect.sleep(pause)
        count.retries++
        return attempt(tried + 1)
      })
      const begun = Effect.tap(turnstile, () => Effect.sync(() => count.tries++))
      return Stream.unwrap(Effect.as(begun, noted)).pipe(Stream.catch((error) => Stream.unwrap(again(error))))
    }
    return attempt(1)
  }
  const within = <R>(call: Call<R>): Answer<R> => Stream.unwrap(Effect.map(place, () => trying(call)))
  return LlmProvider.of({ within, stats: () => ({ ...count }) })
})

export class LlmProvider extends Context.Service<LlmProvider, Service>()("troupe/LlmProvider") {
  static layer(options: LlmProviderOptions = {}): Layer.Layer<LlmProvider> {
    return Layer.effect(LlmProvider, make(options))
  }
}
