/**
 * What an answer other than 200 of an OpenAI-compatible endpoint means: an `AiError`.
 *
 *   400 InvalidRequestError   401, 403 AuthenticationError   5xx InternalProviderError   other UnknownError
 *   429 RateLimitError with `retryAfter`; QuotaExhaustedError where its code is `insufficient_quota`: waiting does not help there
 *
 * Used by OpenAiModel. Law: of the endpoint's answer its status, its message and the headers `retry-after` and `x-request-id` are
 * kept, no more: other headers may hold what belongs in no log. Bounds: 8 KiB of the body are read, however long it is.
 * Sources: OpenAI's list of error codes; RFC 9110.
 */
import { Clock, Duration, Effect, Option, Schema, Stream } from "effect"
import { AiError } from "effect/ai"
import type { HttpClientResponse } from "effect/http"
import { retryAfterMillis } from "./LlmRetry.ts"

const maxBytes = 8192
const Body = Schema.Struct({
  error: Schema.Struct({
    message: Schema.optional(Schema.NullOr(Schema.String)),
    code: Schema.optional(Schema.Unknown)
  })
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Body))

export const failed = (reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "OpenAiModel", method: "streamText", reason })

/** What this protocol does not know. */
export const invalid = (error: { readonly message: string }): AiError.AiError =>
  failed(new AiError.InvalidResponseError({ description: error.message.slice(0, 200) }))

/** Reads the body, up to its limit, and tells what the answer means. */
export const refused = Effect.fnUntraced(function* (response: HttpClientResponse.HttpClientResponse) {
  const { status } = response
  const body = yield* response.stream.pipe(
    Stream.decodeText(),
    Stream.scan(
      () => "",
      (text, more) => text + more
    ),
    Stream.takeUntil((text) => text.length >= maxBytes),
    Stream.runLast,
    Effect.orElseSucceed(() => Option.none<string>())
  )
  const told = Option.getOrUndefined(Option.flatMap(body, decode))?.error
  const headers: Record<string, string> = {}
  for (const name of ["retry-after", "x-request-id"]) {
    const value = response.headers[name]
    if (value !== undefined) headers[name] = value
  }
  const http = { response: { status, headers } }
  const description = `HTTP ${status}${told?.message == null ? "" : `: ${told.message}`}`
  if (status !== 429) return failed(AiError.reasonFromHttpStatus({ status, http, description }))
  if (told?.code === "insufficient_quota") return failed(new AiError.QuotaExhaustedError({ http }))
  const millis = retryAfterMillis(headers["retry-after"], yield* Clock.currentTimeMillis)
  const retryAfter = millis === undefined ? {} : { retryAfter: Duration.millis(millis) }
  return failed(new AiError.RateLimitError({ http, ...retryAfter }))
})
