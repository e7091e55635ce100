/**
 * One turn of a conversation: the model is asked, the tools that it calls are run and told to it, until it has answered.
 *
 *   1. what fits is sent: system prompt, newest turns, this turn          PromptTooLong, BudgetSpent
 *   2. parts come: text and reasoning are offered on, calls of tools collected
 *   3. calls: 4 at a time, each within `toolTimeout`; results go back to the model: 1, at most `maxToolRounds` times
 *   4. none: the turn is whole
 *
 * Used by LlmAgent, in a fiber of the turn's own; it offers to a queue of a few elements, so a reader that is slow slows the
 * reading of the HTTP body. Law: what a turn has used is counted in `tally` as it goes, by the endpoint's `usage` where told:
 * interrupted anywhere, it is right to an estimate of the call under way.
 * Bounds: `maxAnswer` tokens of an answer by estimate, then the call is ended and what came is the answer (finish "length").
 * Why tools are not resolved by effect/ai's streamText itself: it reads the body into a queue without bounds, however slow its
 * reader is.
 */
import { Clock, Effect, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, type Response, type Tool } from "effect/ai"
import { LimitReached } from "troupe"
import { BudgetSpent, ModelFailed, PromptTooLong } from "./LlmErrors.ts"
import * as History from "./LlmHistory.ts"
import { LlmProvider } from "./LlmProvider.ts"
import { toldToWait } from "./LlmRetry.ts"
import * as LlmTool from "./LlmTool.ts"

/** What is told while a turn is under way: a token or some, of the answer or of what the model thinks; a tool that is used. */
export const Told = Schema.Union([
  Schema.TaggedStruct("Text", { text: Schema.String }),
  Schema.TaggedStruct("Reasoning", { text: Schema.String }),
  Schema.TaggedStruct("Tool", { name: Schema.String })
])

export interface Asked {
  readonly text: string
  readonly state: History.State
  readonly rules: History.Rules
  readonly toolkit: LlmTool.Tools
  readonly budget: number
  readonly maxAnswer: number
  readonly maxToolRounds: number
  readonly toolMillis: number
  /** Waits while the reader is behind. */
  readonly offer: (told: typeof Told.Type) => Effect.Effect<unknown>
}

/** What a turn has used so far; `told`: by the endpoint, all of it. */
export interface Tally {
  input: number
  output: number
  told: boolean
}

type Part = Response.StreamPart<Record<string, Tool.Any>, "deferred">

const complete: ReadonlyArray<Response.FinishReason> = ["stop", "tool-calls", "pause"]

const modelFailed = Effect.fnUntraced(function* (error: AiError.AiError | LimitReached) {
  if (error._tag === "LimitReached") return yield* error
  yield* Effect.logWarning(`the model's provider failed: ${error.message}`)
  const millis = toldToWait(error, yield* Clock.currentTimeMillis)
  const again = millis === undefined ? {} : { retryAfterMillis: millis }
  return yield* new ModelFailed({ reason: error.reason._tag, retryable: error.isRetryable, ...again })
})

/** Some models tell of a failure as a part of the answer. */
const broken = (error: unknown): AiError.AiError => {
  const reason = new AiError.InternalProviderError({ description: String(error) })
  return AiError.make({ module: "LlmAgent", method: "Prompt", reason })
}

/** One call of the model. */
const call = Effect.fnUntraced(function* (asked: Asked, prompt: Prompt.Prompt, tally: Tally) {
  const { maxAnswer, offer, rules, toolkit } = asked
  const before = { ...tally }
  const calls: Array<LlmTool.Call> = []
  let text = ""
  let finish: Response.FinishReason = "length"
  let told: History.Told | undefined
  const said = (delta: string): void => void (tally.output += rules.estimate(delta))
  let answered = false
  /** Counted when it is sent: who leaves before the first token has used it. */
  const sent = Effect.sync(() => {
    tally.input = before.input + rules.tools + History.weigh(prompt.content, rules)
    tally.told = false
  })
  const take = Effect.fnUntraced(function* (part: Part) {
    answered = true
    if (part.type === "text-delta" || part.type === "reasoning-delta") {
      said(part.delta)
      if (part.type === "text-delta") text += part.delta
      yield* offer({ _tag: part.type === "text-delta" ? "Text" : "Reasoning", text: part.delta })
    } else if (part.type === "tool-params-delta") said(part.delta)
    else if (part.type === "tool-call" && part.providerExecuted !== true) calls.push(part)
    else if (part.type === "error") return yield* broken(part.error)
    else if (part.type === "finish") {
      finish = part.reason
      const { inputTokens, outputTokens } = part.usage
      const [input = 0, output = -1] = [inputTokens.total, outputTokens.total]
      // a call takes some: zeros are what servers send that do not count
      if (!(input > 0 && output >= 0)) return
      told = { first: input, all: input + output }
      Object.assign(tally, { input: before.input + input, output: before.output + output })
      tally.told = before.told
    }
  })
  const options = { prompt, toolkit, disableToolCallResolution: true, toolCallValidation: "deferred" } as const
  // what its tools need is asked for by the behavior, for all of them
  const answer = LanguageModel.streamText(options) as Stream.Stream<Part, AiError.AiError, LanguageModel.LanguageModel>
  yield* (yield* LlmProvider).within(Stream.unwrap(Effect.as(sent, answer))).pipe(
    Stream.tap(take),
    Stream.takeUntil(() => tally.output - before.output > maxAnswer),
    Stream.runDrain,
    // of what was refused, or not reached, nothing is billed
    Effect.tapError(() => Effect.sync(() => answered || Object.assign(tally, before))),
    Effect.catch(modelFailed)
  )
  return { text, calls: complete.includes(finish) ? calls : [], finish, told }
})

/** Answers a prompt; what is to be remembered of it, and behind which turns it was sent. */
export const run = Effect.fnUntraced(function* (asked: Asked, tally: Tally) {
  const { budget, maxToolRounds, rules, state } = asked
  const own: Array<Prompt.Message> = [Prompt.userMessage({ content: [Prompt.textPart({ text: asked.text })] })]
  let text = ""
  let first: number | undefined
  for (let rounds = 0; ; rounds++) {
    const spent = state.spent + tally.input + tally.output
    if (spent >= budget) return yield* new BudgetSpent({ spent, budget })
    const turns = History.fit(state, own, rules)
    if (typeof turns === "number") return yield* new PromptTooLong({ tokens: turns, maxContext: rules.maxContext })
    const { calls, finish, told, ...said } = yield* call(asked, History.prompt(turns, own, rules), tally)
    text += said.text
    if (rounds === 0) first = told?.first
    const parts = calls.map(({ id, name, params }) =>
      Prompt.toolCallPart({ id, name, params, providerExecuted: false })
    )
    own.push(Prompt.assistantMessage({ content: [Prompt.textPart({ text: said.text }), ...parts] }))
    if (calls.length === 0) {
      const counted = told === undefined || first === undefined ? undefined : { first, all: told.all }
      return { sent: turns, messages: own, counted, text, finish }
    }
    if (rounds === maxToolRounds) {
      return yield* new LimitReached({ what: "rounds of tools", limit: maxToolRounds, option: "option maxToolRounds" })
    }
    const using = (each: LlmTool.Call) =>
      Effect.andThen(asked.offer({ _tag: "Tool", name: each.name }), LlmTool.use(asked, each))
    const results = yield* Effect.forEach(calls, using, { concurrency: 4 })
    own.push(Prompt.toolMessage({ content: results }))
  }
})
