/**
 * Whether a call of a model is worth another try, and after what pause.
 *
 *   429, 5xx, not reached or broken off   another try: after what `Retry-After` says, else `backoff`, doubled each time
 *   told to wait for over `maxDelay`      none: whoever asked hears for how long
 *   400, 401, 403, quota spent, unfit     none: it would end the same
 *
 * A pure rule, used by LlmProvider and OpenAiModel. Law: a pause is never shorter than the endpoint has said. Where it has said
 * nothing the pause is between half and all of the doubled one, by chance, so that those who were refused together do not come back
 * together.
 * Sources: RFC 9110, 10.2.3 (Retry-After: seconds or a date); "Exponential backoff and jitter" (AWS), its equal jitter.
 */
import { Duration } from "effect"
import type { AiError } from "effect/ai"

export interface Retrying {
  readonly retries: number
  readonly backoffMillis: number
  readonly maxDelayMillis: number
}

const passing: ReadonlyArray<AiError.AiErrorReason["_tag"]> = [
  "RateLimitError",
  "InternalProviderError",
  "NetworkError"
]

/** What `Retry-After` says, in milliseconds from `now`; undefined for what is neither seconds nor a date. */
export const retryAfterMillis = (header: unknown, now: number): number | undefined => {
  if (typeof header !== "string" || header.trim() === "") return undefined
  const seconds = Number(header)
  const millis = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000
  return Number.isFinite(millis) ? Math.max(0, millis) : undefined
}

/** When the endpoint has said to come again: of 429 effect/ai has a field, of 5xx the header. */
export const toldToWait = (error: AiError.AiError, now: number): number | undefined => {
  if (error.retryAfter !== undefined) return Duration.toMillis(error.retryAfter)
  const http = "http" in error.reason ? error.reason.http : undefined
  return retryAfterMillis(http?.response?.headers["retry-after"], now)
}

/** Whether such an error may pass by itself. */
export const passes = ({ reason }: AiError.AiError): boolean =>
  passing.includes(reason._tag) && (reason._tag !== "NetworkError" || reason.isRetryable)

/** The pause before try `tried + 1`, in milliseconds; undefined for none. `chance`: 0 to 1. */
export const pause = (
  error: AiError.AiError,
  tried: number,
  { retries, backoffMillis, maxDelayMillis }: Retrying,
  now: number,
  chance: number
): number | undefined => {
  if (tried > retries || !passes(error)) return undefined
  const told = toldToWait(error, now)
  if (told !== undefined) return told <= maxDelayMillis ? told : undefined
  return Math.min(maxDelayMillis, backoffMillis * 2 ** (tried - 1)) * (0.5 + chance / 2)
}
