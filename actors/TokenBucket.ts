/**
 * The bucket of a Throttle: its options, and how tokens are taken from it.
 *
 * Used by Throttle alone. The arithmetic and the keeping are those of effect/persistence's RateLimiter, over whatever store its layer
 * has: `rate` tokens come back each `per`, at most `burst` lie there (Turner's leaky bucket as a meter, 1986).
 * Law 12: options are refused by field, value and range. Law 11: time is the limiter's, which is Effect's clock.
 * Takes what is there or nothing, never books ahead: what is waited for is taken when its turn has come, so that giving up costs nothing.
 * Fails: RateLimiterError when the store does not answer. Cost: what the store costs; the one in memory answers at once.
 */
import { Duration, Effect } from "effect"
import { RateLimiter } from "effect/persistence"
import { InvalidOption, Options } from "troupe"

/** Checked when a throttle is made. */
export interface BucketOptions {
  /** Tokens that come back each `per`. 1-1,000,000. */
  readonly rate: number
  /** Default 1 second. */
  readonly per?: Duration.Input
  /** Tokens that lie there at the most: so many at once after a rest. 1-1,000,000 and no less than come in a millisecond; default 1. */
  readonly burst?: number
}

/** The buckets of that type, one a key; `others`: options that are not the bucket's, and checked elsewhere. */
export const make = (type: string, options: BucketOptions, others: ReadonlyArray<string>) => {
  Options.known(type, options, ["rate", "per", "burst", ...others])
  const rate = Options.integer(`${type}.rate`, options.rate ?? "nothing", 1, 1, 1_000_000)
  const burst = Options.integer(`${type}.burst`, options.burst, 1, 1, 1_000_000)
  const window = (Options.millis(`${type}.per`, options.per, 1000) / rate) * burst
  // the limiter fills a bucket in a millisecond at the least: below that fewer would come through than was said
  const range = `what ${type}.rate brings in a millisecond, or more`
  if (!(window >= 1 && Number.isFinite(window))) {
    throw new InvalidOption({ field: `${type}.burst`, value: String(burst), range })
  }
  /** Takes tokens: 0 when they were there, else the milliseconds until they are. */
  const take = (
    key: string,
    tokens: number
  ): Effect.Effect<number, RateLimiter.RateLimiterError, RateLimiter.RateLimiter> =>
    Effect.flatMap(RateLimiter.RateLimiter, (limiter) =>
      limiter.consume({ algorithm: "token-bucket", key: `${type}/${key}`, limit: burst, tokens, window })
    ).pipe(
      Effect.as(0),
      Effect.catchReason("RateLimiterError", "RateLimitExceeded", ({ retryAfter }) =>
        Effect.succeed(Math.max(1, Math.ceil(Duration.toMillis(retryAfter))))
      )
    )
  return { burst, take, window }
}
