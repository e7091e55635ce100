/**
 * Faults in chats with language models: tokens, turns, tools, calls of the provider.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

const actors = "../actors"

export const llmAgents: ReadonlyArray<Fault> = [
  one(
    "llm-cancel-in-vain",
    "Cancel ends the turn under way, its call aborted",
    `${actors}/LlmLine.ts`,
    "Effect.raceFirst(run, Deferred.await(end))",
    "run"
  ),
  one(
    "llm-broke-off-is-whole",
    "an answer is whole or it fails",
    `${actors}/OpenAiAnswer.ts`,
    "if (this.#finish === undefined) return undefined",
    ""
  ),
  one(
    "llm-told-twice",
    "what was told is never told twice",
    `${actors}/LlmProvider.ts`,
    "const pause = told ? undefined : ",
    "const pause = "
  ),
  one(
    "llm-impatient",
    "a pause is never shorter than the endpoint has said",
    `${actors}/LlmRetry.ts`,
    "if (told !== undefined) return told <= maxDelayMillis ? told : undefined",
    "if (told !== undefined && told > maxDelayMillis) return undefined"
  ),
  one(
    "llm-place-kept",
    "who leaves a call gives its place back",
    `${actors}/LlmProvider.ts`,
    "() => Effect.sync(() => count.running--)",
    "() => Effect.void"
  ),
  one(
    "llm-line-endless",
    "3: calls that wait for a place are bounded",
    `${actors}/LlmProvider.ts`,
    "count.running + count.queued >= concurrency + maxQueued",
    "count.queued > 1e6"
  ),
  one(
    "llm-rate-ignored",
    "so many calls in a while",
    `${actors}/LlmProvider.ts`,
    "Effect.flatMap(({ delay }) => Effect.sleep(delay))",
    "Effect.flatMap(() => Effect.void)"
  ),
  one(
    "llm-turns-overlap",
    "one turn at a time",
    `${actors}/LlmLine.ts`,
    "Semaphore.makeUnsafe(1)",
    "Semaphore.makeUnsafe(2)"
  ),
  one(
    "llm-forgets-the-newest",
    "the oldest turns leave first",
    `${actors}/LlmHistory.ts`,
    "return { ...state, fixed, turns: kept.slice(from)",
    "return { ...state, fixed, turns: kept.slice(0, kept.length - from)"
  ),
  one(
    "llm-free-failures",
    "a prompt that fails: the tokens it has used are counted",
    `${actors}/LlmAgent.ts`,
    "return { ...state, spent: used(state, tally) }",
    "return state"
  ),
  one(
    "llm-reads-ahead",
    "who reads slowly slows the reading of the HTTP body",
    `${actors}/LlmAgent.ts`,
    "const ahead = 16",
    "const ahead = 1e6"
  ),
  one(
    "llm-mistakes-fail",
    "a model's mistake is told to the model",
    `${actors}/LlmTool.ts`,
    '["ToolNotFoundError", "ToolParameterValidationError"]',
    "[]"
  ),
  one(
    "llm-budget-rounds",
    "the budget is looked at before each call",
    `${actors}/LlmTurn.ts`,
    "if (spent >= budget) return",
    "if (spent > budget * 1e9) return"
  ),
  one(
    "llm-budget-unlimited",
    "prompts are refused when the budget is spent",
    `${actors}/LlmAgent.ts`,
    "if (spent >= budget) return Effect.fail",
    "if (spent > budget * 1e9) return Effect.fail"
  )
]
