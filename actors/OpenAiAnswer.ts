/**
 * What an OpenAI-compatible endpoint answers: the chunks of a streamed completion, into parts of effect/ai.
 *
 *   chunk { delta.content }      -> text-start once, text-delta
 *   chunk { delta.tool_calls }   -> fragments, collected by index: tool-params-delta
 *   chunk { finish_reason }      -> noted; usage may come behind it
 *   end                          -> text-end, tool-call with all its arguments, finish with the usage
 *
 * Used by OpenAiModel; knows no socket. Law: an answer is whole or it fails: without a `finish_reason` it broke off, however its
 * body ended; a tool's call is handed on when all its fragments are there. Each chunk is checked by Schema; fields that nobody
 * reads may be anything, for each compatible server has some of its own.
 * Bounds: the names and arguments of tools, `maxBytes` in all; text is handed on as it comes, and kept by nobody here.
 * Sources: OpenAI's API reference, streaming; and what compatible servers send: no index, `null` for what is absent, no `[DONE]`.
 */
import { Schema } from "effect"
import { AiError, type Response, Tool } from "effect/ai"

const maybe = <S extends Schema.Top>(schema: S) => Schema.optional(Schema.NullOr(schema))

const Fragment = Schema.Struct({
  index: maybe(Schema.Int),
  id: maybe(Schema.String),
  function: maybe(Schema.Struct({ name: maybe(Schema.String), arguments: maybe(Schema.String) }))
})
const Delta = Schema.Struct({
  content: maybe(Schema.String),
  reasoning_content: maybe(Schema.String),
  tool_calls: maybe(Schema.Array(Fragment))
})
const Usage = Schema.Struct({
  prompt_tokens: Schema.Int,
  completion_tokens: Schema.Int,
  prompt_tokens_details: maybe(Schema.Struct({ cached_tokens: maybe(Schema.Int) })),
  completion_tokens_details: maybe(Schema.Struct({ reasoning_tokens: maybe(Schema.Int) }))
})

/** One event of the stream. */
export const Chunk = Schema.Struct({
  choices: maybe(Schema.Array(Schema.Struct({ delta: maybe(Delta), finish_reason: maybe(Schema.String) }))),
  usage: maybe(Usage),
  error: Schema.optional(Schema.Unknown)
})

type Part = Response.StreamPartEncoded
type Kind = "text" | "reasoning"

const reasons: ReadonlyMap<string, Response.FinishReason> = new Map([
  ["stop", "stop"],
  ["length", "length"],
  ["content_filter", "content-filter"],
  ["tool_calls", "tool-calls"],
  ["function_call", "tool-calls"]
])

/** Arguments of a tool: JSON, or the text as it came, which the tool's Schema then refuses. */
const parameters = (text: string): unknown => {
  try {
    return text.trim() === "" ? {} : Tool.unsafeSecureJsonParse(text)
  } catch {
    return text
  }
}

/** One answer as it comes. A fresh one each call. */
export class Answer {
  readonly #calls = new Map<number, { readonly id: string; readonly name: string; text: string }>()
  readonly #open = new Set<Kind>()
  readonly #maxBytes: number
  #bytes = 0
  #finish: string | undefined = undefined
  #usage: typeof Usage.Type | undefined = undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Adds the parts of one chunk; answers with why it cannot go on. */
  take(chunk: typeof Chunk.Type, parts: Array<Part>): AiError.AiErrorReason | undefined {
    if (chunk.error != null) {
      const description = `an error in mid stream: ${(JSON.stringify(chunk.error) ?? "").slice(0, 200)}`
      return new AiError.InternalProviderError({ description })
    }
    if (chunk.usage != null) this.#usage = chunk.usage
    const choice = chunk.choices?.[0]
    if (choice?.finish_reason != null) this.#finish = choice.finish_reason
    const { content, reasoning_content: reasoning, tool_calls: fragments } = choice?.delta ?? {}
    if (reasoning) this.#say("reasoning", reasoning, parts)
    if (content) this.#say("text", content, parts)
    for (const [place, fragment] of (fragments ?? []).entries()) this.#collect(fragment, place, parts)
    if (this.#bytes <= this.#maxBytes) return undefined
    const description = `over ${this.#maxBytes} bytes of arguments of tools (option maxEventBytes)`
    return new AiError.InvalidResponseError({ description })
  }

  #say(kind: Kind, delta: string, parts: Array<Part>): void {
    if (!this.#open.has(kind)) parts.push({ type: `${kind}-start`, id: kind })
    this.#open.add(kind)
    parts.push({ type: `${kind}-delta`, id: kind, delta })
  }

  #collect(fragment: typeof Fragment.Type, place: number, parts: Array<Part>): void {
    const at = fragment.index ?? place
    let call = this.#calls.get(at)
    if (call === undefined) {
      call = { id: fragment.id ?? `call-${at}`, name: fragment.function?.name ?? "", text: "" }
      this.#calls.set(at, call)
      this.#bytes += call.id.length + call.name.length
      parts.push({ type: "tool-params-start", id: call.id, name: call.name })
    }
    const delta = fragment.function?.arguments ?? ""
    call.text += delta
    this.#bytes += delta.length + 64
    if (delta !== "") parts.push({ type: "tool-params-delta", id: call.id, delta })
  }

  /** The body has ended: the rest of the answer; undefined where it was not whole. */
  end(): ReadonlyArray<Part> | undefined {
    if (this.#finish === undefined) return undefined
    const parts: Array<Part> = [...this.#open].map((kind) => ({ type: `${kind}-end` as const, id: kind }))
    for (const { id, name, text } of this.#calls.values()) {
      parts.push({ type: "tool-params-end", id }, { type: "tool-call", id, name, params: parameters(text) })
    }
    const { prompt_tokens: input, completion_tokens: output } = this.#usage ?? {}
    const cacheRead = this.#usage?.prompt_tokens_details?.cached_tokens ?? undefined
    const reasoning = this.#usage?.completion_tokens_details?.reasoning_tokens ?? undefined
    const usage = {
      inputTokens: { total: input, cacheRead, uncached: undefined, cacheWrite: undefined },
      outputTokens: { total: output, reasoning, text: undefined }
    }
    return [...parts, { type: "finish", reason: reasons.get(this.#finish) ?? "other", usage }]
  }
}
