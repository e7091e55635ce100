/**
 * Faults in chats with language models: tokens, turns, tools, calls of the provider.
 *
 * Read by "run.ts", which tells how a fault is written.
 */
import { type Fault, ofActors } from "./Fault.ts"

export const llmAgents: ReadonlyArray<Fault> = [
  ofActors(
    "llm-cancel-in-vain",
    "Cancel ends the turn under way, its call aborted",
    "LlmLine.ts",
    "Effect.raceFirst(run, Deferred.await(end))",
    "run"
  ),
  ofActors(
    "llm-broke-off-is-whole",
    "an answer is whole or it fails",
    "OpenAiAnswer.ts",
    "if (this.#finish === undefined) return undefined",
    ""
  ),
  ofActors(
    "llm-told-twice",
    "what was told is never told twice",
    "LlmProvider.ts",
    "const pause = told ? undefined : ",
    "const pause = "
  ),
  ofActors(
    "llm-impatient",
    "a pause is never shorter than the endpoint has said",
    "LlmRetry.ts",
    "if (told !== undefined) return told <= maxDelayMillis ? told : undefined",
    "if (told !== undefined && told > maxDelayMillis) return undefined"
  ),
  ofActors(
    "llm-place-kept",
    "who leaves a call gives its place back",
    "LlmProvider.ts",
    "() => Effect.sync(() => count.running--)",
    "() => Effect.void"
  ),
  ofActors(
    "llm-line-endless",
    "3: calls that wait for a place are bounded",
    "LlmProvider.ts",
    "count.running + count.queued >= concurrency + maxQueued",
    "count.queued > 1e6"
  ),
  ofActors(
    "llm-rate-ignored",
    "so many calls in a while",
    "LlmProvider.ts",
    "Effect.flatMap(({ delay }) => Effect.sleep(delay))",
    "Effect.flatMap(() => Effect.void)"
  ),
  ofActors(
    "llm-turns-overlap",
    "one turn at a time",
    "LlmLine.ts",
    "Semaphore.makeUnsafe(1)",
    "Semaphore.makeUnsafe(2)"
  ),
  ofActors(
    "llm-forgets-the-newest",
    "the oldest turns leave first",
    "LlmHistory.ts",
    "return { ...state, fixed, turns: kept.slice(from)",
    "return { ...state, fixed, turns: kept.slice(0, kept.length - from)"
  ),
  ofActors(
    "llm-free-failures",
    "a prompt that fails: the tokens it has used are counted",
    "LlmAgent.ts",
    "return { ...state, spent: asked.spend(used(state, tally)) }",
    "return state"
  ),
  ofActors(
    "llm-reads-ahead",
    "who reads slowly slows the reading of the HTTP body",
    "LlmAgent.ts",
    "const ahead = 16",
    "const ahead = 1e6"
  ),
  ofActors(
    "llm-mistakes-fail",
    "a model's mistake is told to the model",
    "LlmTool.ts",
    '["ToolNotFoundError", "ToolParameterValidationError"]',
    "[]"
  ),
  ofActors(
    "llm-budget-rounds",
    "the budget is looked at before each call",
    "LlmTurn.ts",
    "if (spent >= budget) return",
    "if (spent > budget * 1e9) return"
  ),
  ofActors(
    "llm-done-and-ended",
    "a turn is done or ended, never both",
    "LlmAgent.ts",
    "whole() ? Effect.void : Effect.never",
    "Effect.void"
  ),
  ofActors(
    "llm-shut-out",
    "what was learnt refuses nobody",
    "LlmHistory.ts",
    "return Math.min(needed, always(null, rules) + prompt) > rules.maxContext ? needed : []",
    "return needed"
  ),
  ofActors(
    "llm-free-leavers",
    "who leaves before the first token has used what was sent",
    "LlmTurn.ts",
    "Stream.unwrap(Effect.as(sent, answer))",
    "answer"
  ),
  ofActors(
    "llm-budget-unlimited",
    "prompts are refused when the budget is spent",
    "LlmAgent.ts",
    "if (spent >= budget) return Effect.fail",
    "if (spent > budget * 1e9) return Effect.fail"
  ),
  ofActors(
    "llm-tools-weigh-nothing",
    "definitions of tools have their place in the context",
    "LlmHistory.ts",
    "weigh(rules.system, rules) + rules.tools",
    "weigh(rules.system, rules)"
  ),
  ofActors(
    "llm-tools-for-nothing",
    "definitions of tools are counted in what a turn has used",
    "LlmTurn.ts",
    "before.input + rules.tools + History",
    "before.input + History"
  ),
  ofActors(
    "llm-restart-in-silence",
    "one end for each Asked, where the agent fails in its midst, too",
    "LlmAgent.ts",
    'LlmAsked.close(self, "Restarted")',
    "LlmAsked.of(self)"
  ),
  ofActors(
    "llm-new-budget",
    "a failure gives no budget back",
    "LlmAgent.ts",
    "return { ...History.empty, begun, spent }",
    "return { ...History.empty, begun, spent: 0 * spent }"
  ),
  ofActors(
    "llm-stop-in-silence",
    "one end for each Asked, where the agent stops in its midst, too",
    "LlmAgent.ts",
    'void LlmAsked.close(self, "Stopped")',
    "void LlmAsked.of(self)"
  ),
  ofActors(
    "llm-answered-late",
    "one end for each Asked: what a restart has ended is not remembered as answered",
    "LlmAgent.ts",
    "const next = asked.isOpen(turn) ?",
    "const next = turn > 0 ?"
  ),
  ofActors(
    "llm-one-open",
    "one end for each Asked, also where the next begins before the last is abandoned",
    "LlmAsked.ts",
    "    this.#open.add(turn)",
    "    this.#open.clear()\n    this.#open.add(turn)"
  )
]
