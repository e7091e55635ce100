/**
 * Which requests are sent again, after what, and when.
 *
 * Used by HttpPool. A request is sent again if it may be (`may`), what came of it is transient, and the wait is bearable:
 *
 *   transient: no answer (refused, reset, timed out, no way there), or 408, 429, 500, 502, 503, 504; not a certificate's fault,
 *     nor what the pool refused, or what timed out in its line: one that is too busy is not helped by being asked again
 *   wait: what `schedule` says, and at least `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3); over `maxRetryAfter` it
 *     is not sent again: the answer goes to the asker, who may know better
 *   may: by default the idempotent methods (RFC 9110, 9.2.2, and QUERY), and no body that is a stream: it may not come twice
 *
 * The last answer is the request's, an error status too; while it waits, an answer that was not read to its end is cut.
 * Law 3: the default schedule ends after three. Randomness and time are Effect's.
 */
import { Clock, Duration, Effect, Result, Schedule } from "effect"
import { Headers, HttpClient, type HttpClientError, type HttpClientRequest, type HttpClientResponse } from "effect/http"
import { InvalidOption, Options } from "troupe"
import { HttpTimeout } from "./HttpErrors.ts"
import type { Received } from "./HttpExchange.ts"

type Failed = HttpClientError.HttpClientError
type Request = HttpClientRequest.HttpClientRequest

export interface HttpRetryOptions {
  /** Default: three times, after 100, 200, 400 ms, jittered. It sees the error, or the transient answer. */
  readonly schedule?: Schedule.Schedule<unknown, Failed | HttpClientResponse.HttpClientResponse>
  /** Whether a request may be sent twice. Default: by its method, and its body. */
  readonly may?: (request: HttpClientRequest.HttpClientRequest) => boolean
  /** The longest `Retry-After` that is waited for. Default 30 s. */
  readonly maxRetryAfter?: Duration.Input
}

const idempotent: ReadonlyArray<string> = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"]
const isIdempotent = ({ body, method }: Request): boolean => idempotent.includes(method) && body._tag !== "Stream"

/** A transient answer on its way through Effect.retry. */
class Transient {
  readonly received: Received
  constructor(received: Received) {
    this.received = received
  }
}

const retryAfterMillis = (failed: Failed | Transient, now: number): number => {
  const header = failed instanceof Transient ? failed.received.response.headers["retry-after"] : undefined
  const parsed = header === undefined ? undefined : Headers.parseRetryAfter(header)
  if (parsed === undefined || Result.isFailure(parsed)) return 0
  return Duration.toMillis(Headers.retryAfterDelay(parsed.success, now))
}

/** Of Node and undici: the way there, or the other side, not what was sent. */
const transient = /^(ECONN|EPIPE$|ETIMEDOUT$|EAI_AGAIN$|EHOSTUNREACH$|ENETUNREACH$|UND_ERR_(SOCKET|CONNECT_TIMEOUT)$)/
const isTransient = (failed: Failed | Transient): boolean => {
  if (failed instanceof Transient) return true
  const { cause } = failed.reason
  if (cause instanceof HttpTimeout) return cause.phase === "headers"
  return cause instanceof Error && "code" in cause && transient.test(String(cause.code))
}

type Attempt = Effect.Effect<Received, Failed>

/** Checks the options; then, of a request and one attempt of it, all attempts. */
export const make = (options: HttpRetryOptions | false = {}): ((request: Request, attempt: Attempt) => Attempt) => {
  if (options === false) return (_, attempt) => attempt
  Options.known("HttpPool.retry", options, ["schedule", "may", "maxRetryAfter"])
  const { may = isIdempotent } = options
  const is = (field: string, value: unknown, fits: boolean, range: string): void => {
    if (!fits) throw new InvalidOption({ field: `HttpPool.retry.${field}`, value: typeof value, range })
  }
  is("may", may, typeof may === "function", "a function")
  is(
    "schedule",
    options.schedule,
    options.schedule === undefined || Schedule.isSchedule(options.schedule),
    "a Schedule"
  )
  const most = Options.millis("HttpPool.retry.maxRetryAfter", options.maxRetryAfter, 30_000)
  const own = options.schedule ?? Schedule.exponential(100).pipe(Schedule.jittered, Schedule.upTo({ times: 3 }))
  const schedule = Schedule.fromStep(
    Effect.map(Schedule.toStep(own), (step) => (now: number, failed: Failed | Transient) => {
      const stepped = step(now, failed instanceof Transient ? failed.received.response : failed)
      const least = Duration.millis(retryAfterMillis(failed, now))
      return Effect.map(stepped, ([output, delay]): [unknown, Duration.Duration] => [
        output,
        Duration.max(delay, least)
      ])
    })
  )
  const again = (failed: Failed | Transient): Effect.Effect<boolean> =>
    Effect.map(Clock.currentTimeMillis, (now) => isTransient(failed) && retryAfterMillis(failed, now) <= most)

  return (request, attempt) =>
    Effect.suspend(() => {
      if (!may(request)) return attempt
      let last: Received | undefined
      const cut = Effect.sync(() => last?.cut())
      const once = Effect.flatMap(attempt, (received) => {
        if (!HttpClient.isTransientResponse(received.response)) return Effect.succeed(received)
        last = received
        return Effect.fail(new Transient(received))
      })
      return Effect.andThen(cut, once).pipe(
        Effect.retry({ schedule, while: again }),
        Effect.onInterrupt(() => cut),
        Effect.catchIf(
          (failed) => failed instanceof Transient,
          ({ received }) => Effect.succeed(received)
        )
      )
    })
}
