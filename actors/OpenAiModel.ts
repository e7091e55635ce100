/**
 * A model behind an OpenAI-compatible HTTP endpoint, as `LanguageModel` of effect/ai: a thin client on effect/http.
 *
 *   LanguageModel.streamText -> POST {baseUrl}/chat/completions -> Sse.decode -> OpenAiAnswer -> parts; one HTTP call a run
 *
 * Law: the body is read as fast as the parts are taken, no faster: who takes none holds up the endpoint's socket (TCP), not this
 * process's memory; who leaves aborts the call at once, before the response and in the midst of it.
 * Bounds: one event of the stream `maxEventBytes`, the text of an error 8 KiB; `generateText` keeps a whole answer, which only
 * `parameters` such as `max_completion_tokens` bound. Cost: a Schema's check a chunk.
 * Fails with `AiError`: see OpenAiError for what the endpoint refuses; `NetworkError` where it is not reached, or breaks off;
 * `InternalProviderError` for an error in mid stream; `InvalidResponseError` for what is not this protocol. It tries once:
 * LlmProvider retries. No provider package of Effect 4.1 is stable; when one is, it can stand in the place of this layer, for
 * LlmAgent asks for `LanguageModel`. Considered: `HttpClient.retryTransient` and `withRateLimiter`; they see the headers alone, not
 * the first token.
 */
import { Config, Deferred, Effect, Layer, Option, Redacted, Schema, Stream } from "effect"
import { AiError, LanguageModel, OpenAiStructuredOutput, type Response } from "effect/ai"
import { Sse } from "effect/encoding"
import { HttpClient, type HttpClientError, HttpClientRequest, type HttpClientResponse } from "effect/http"
import { InvalidOption, Options } from "troupe"
import { Answer, Chunk } from "./OpenAiAnswer.ts"
import { failed, invalid, refused } from "./OpenAiError.ts"
import * as Request from "./OpenAiRequest.ts"

/** Checked when the layer is built: `InvalidOption` by field, value and range. */
export interface OpenAiModelOptions {
  readonly model: string
  /** Default https://api.openai.com/v1 */
  readonly baseUrl?: string
  readonly apiKey?: Redacted.Redacted | undefined
  /** Further fields of the request, such as `{ max_completion_tokens: 500, temperature: 0 }`. */
  readonly parameters?: Readonly<Record<string, Schema.Json>>
  /** One event of the stream, and all arguments of tools of an answer: 1 KiB - 64 MiB, default 1 MiB. */
  readonly maxEventBytes?: number
}

type Parts = Stream.Stream<Response.StreamPartEncoded, AiError.AiError>

/** Of a URL with a password in it fetch makes no request, and its errors show it; a query would swallow the path. */
const isPlain = (url: string): boolean => {
  if (!URL.canParse(url)) return false
  const { hash, password, protocol, search, username } = new URL(url)
  return /^https?:$/.test(protocol) && [hash, password, search, username].every((part) => part === "")
}
const decodeChunk = Schema.decodeUnknownEffect(Schema.fromJsonString(Chunk))

const check = (options: OpenAiModelOptions) => {
  Options.known("openAiModel", options, ["model", "baseUrl", "apiKey", "parameters", "maxEventBytes"])
  const { model, baseUrl = "https://api.openai.com/v1", apiKey } = options
  const refuse = (field: string, value: string, range: string): never => {
    throw new InvalidOption({ field: `openAiModel.${field}`, value, range })
  }
  if (typeof model !== "string" || model === "") refuse("model", JSON.stringify(model), "the name of a model")
  if (!isPlain(baseUrl)) refuse("baseUrl", "what was given", "an http or https URL without user, query and fragment")
  if (apiKey !== undefined && !Redacted.isRedacted(apiKey)) refuse("apiKey", "what was given", "a Redacted")
  const maxEventSize = Options.integer("openAiModel.maxEventBytes", options.maxEventBytes, 1_048_576, 1024, 67_108_864)
  return { url: `${baseUrl.replace(/\/+$/, "")}/chat/completions`, maxEventSize }
}

const make = Effect.fnUntraced(function* (options: OpenAiModelOptions) {
  const { url, maxEventSize } = check(options)
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const { apiKey, model, parameters } = options
  const bare = HttpClientRequest.setHeader(HttpClientRequest.post(url), "accept", "text/event-stream")
  const post = apiKey === undefined ? bare : HttpClientRequest.bearerToken(bare, apiKey)
  /** Not reached, or no longer: worth another try where nothing has been told yet. */
  const lost = (description: string): AiError.AiError =>
    failed(new AiError.NetworkError({ reason: "TransportError", method: "POST", url, description }))
  const unreached = (error: HttpClientError.HttpClientError): AiError.AiError => lost(error.message)

  const parts = (response: HttpClientResponse.HttpClientResponse): Parts => {
    const answer = new Answer(maxEventSize)
    const said = Deferred.makeUnsafe<void>()
    const events: Array<Sse.Event> = []
    const parser = Sse.makeParser((event) => void (event._tag === "Event" && events.push(event)), { maxEventSize })
    const take = Effect.fnUntraced(function* (text: string) {
      const tooLarge = parser.feed(text)
      if (tooLarge !== undefined) return yield* Effect.fail(invalid(tooLarge))
      const told: Array<Response.StreamPartEncoded> = []
      for (const { data } of events.splice(0)) {
        if (data === "[DONE]") yield* Deferred.succeed(said, undefined)
        else {
          const reason = answer.take(yield* Effect.mapError(decodeChunk(data), invalid), told)
          if (reason !== undefined) return yield* Effect.fail(failed(reason))
        }
      }
      return told
    })
    const rest = Stream.suspend((): Parts => {
      const last = answer.end()
      return last === undefined ? Stream.fail(lost("the answer broke off")) : Stream.fromIterable(last)
    })
    return response.stream.pipe(
      Stream.mapError(unreached),
      Stream.decodeText(),
      Stream.mapEffect(take),
      Stream.flattenIterable,
      // the end of the body is waited for, so that its connection can be used again; not for long
      Stream.interruptWhen(Effect.andThen(Deferred.await(said), Effect.sleep("1 second"))),
      Stream.concat(rest)
    )
  }
  const streamText = (asked: LanguageModel.ProviderOptions): Parts =>
    Effect.gen(function* () {
      const body = yield* Effect.mapError(Effect.fromResult(Request.body(asked, { ...parameters, model })), failed)
      const response = yield* Effect.mapError(client.execute(HttpClientRequest.bodyJsonUnsafe(post, body)), unreached)
      if (response.status !== 200) return yield* Effect.flatMap(refused(response), Effect.fail)
      return parts(response)
    }).pipe(Stream.unwrap)
  const generateText = (asked: LanguageModel.ProviderOptions) =>
    Effect.map(Stream.runCollect(streamText(asked)), (all) => {
      const text = all.map((part) => (part.type === "text-delta" ? part.delta : "")).join("")
      const others = all.filter((part) => part.type === "tool-call" || part.type === "finish")
      return [{ type: "text" as const, text }, ...others]
    })
  const codecTransformer = OpenAiStructuredOutput.toCodecOpenAI
  return yield* LanguageModel.make({ streamText, generateText, codecTransformer })
})

/** The model, over the `HttpClient` beneath, such as `FetchHttpClient.layer`. */
export const layer = (
  options: OpenAiModelOptions
): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

/** The same by OPENAI_MODEL, OPENAI_BASE_URL and OPENAI_API_KEY of the environment; what is absent is as in `options`. */
export const layerConfig = (
  options: OpenAiModelOptions
): Layer.Layer<LanguageModel.LanguageModel, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.gen(function* () {
      const model = yield* Config.option(Config.String("OPENAI_MODEL"))
      const baseUrl = yield* Config.option(Config.String("OPENAI_BASE_URL"))
      const apiKey = yield* Config.option(Config.Redacted("OPENAI_API_KEY"))
      return yield* make({
        ...options,
        ...(Option.isSome(model) ? { model: model.value } : {}),
        ...(Option.isSome(baseUrl) ? { baseUrl: baseUrl.value } : {}),
        ...(Option.isSome(apiKey) ? { apiKey: apiKey.value } : {})
      })
    })
  )
