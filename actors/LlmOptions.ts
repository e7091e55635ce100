/**
 * What an LlmAgent can be told, and what it may be.
 *
 *   tokens   maxContext, maxAnswer, budget, estimate      time   toolTimeout, turnTimeout
 *   tools    toolkit, maxToolRounds                       turns  whenBusy, maxWaiting
 *
 * Used by LlmAgent. Law: an option outside its range, misspelt, or that would leave no room to answer is refused when the behavior
 * is made, as `InvalidOption` with field, value and range; so is a tool that needs approval: there is nobody to ask.
 * Defaults suit a small model and a chat; `budget` has none, for only its user knows what a token costs.
 */
import type { Duration, Effect } from "effect"
import { type LanguageModel, Prompt, type Tool, Toolkit } from "effect/ai"
import { InvalidOption, type Limits, Options } from "troupe"
import * as History from "./LlmHistory.ts"
import { policies, type WhenBusy } from "./LlmLine.ts"
import type { LlmProvider } from "./LlmProvider.ts"
import type { Tools as AnyTools } from "./LlmTool.ts"

/** Checked when the behavior is made: `InvalidOption` by field, value and range. */
export interface LlmAgentOptions<Tools extends Record<string, Tool.Any> = {}> {
  /** The system prompt: it stays when turns leave. */
  readonly system?: string
  /** What the model may use. Tools that need approval are refused: there is nobody to ask. */
  readonly toolkit?: Toolkit.Toolkit<Tools>
  /** Tokens sent at the most: system prompt, tools' definitions, history, prompt. 16-100,000,000, default 8,192. */
  readonly maxContext?: number
  /** Tokens of an answer of the model, by estimate. 1-100,000,000, default 4,096. */
  readonly maxAnswer?: number
  /** Tokens, input and output, that this agent may use. Default no limit; from 0. */
  readonly budget?: number
  /** How often results of tools are told to the model in a turn. 0-1,000, default 8. */
  readonly maxToolRounds?: number
  /** Default 30 s. */
  readonly toolTimeout?: Duration.Input | "infinity"
  /** A whole turn, tools and a slow reader included. Default 5 minutes. */
  readonly turnTimeout?: Duration.Input | "infinity"
  /** What happens to a prompt while another is answered. Default `refuse`. */
  readonly whenBusy?: WhenBusy
  /** Prompts that wait at the most, of `wait` and `replace`. 0-1,024, default 8. */
  readonly maxWaiting?: number
  /** Of the actor: its mailbox, supervision, `idleAfter` and the like. */
  readonly limits?: Limits
  /** Tokens of a text, where the endpoint does not tell. Default a token for 4 bytes. */
  readonly estimate?: (text: string) => number
}

/** The services that a chat with these tools needs. */
export type Needed<Tools extends Record<string, Tool.Any>> =
  | LanguageModel.LanguageModel
  | LlmProvider
  | Tool.HandlersFor<Tools>
  | Tool.HandlerServices<Tools[keyof Tools]>

const tokens = ["system", "maxContext", "maxAnswer", "budget", "estimate"]
const names = [...tokens, "limits", "toolkit", "maxToolRounds", "toolTimeout", "turnTimeout", "whenBusy", "maxWaiting"]
const most = 100_000_000

/** The options as numbers, checked. */
export const check = <Tools extends Record<string, Tool.Any>>(type: string, options: LlmAgentOptions<Tools>) => {
  Options.known(type, options, names)
  const integer = (
    name: "maxContext" | "maxAnswer" | "maxToolRounds" | "maxWaiting",
    or: number,
    min: number,
    max: number
  ) => Options.integer(`${type}.${name}`, options[name], or, min, max)
  const refuse = (field: string, value: string, range: string): never => {
    throw new InvalidOption({ field: `${type}.${field}`, value, range })
  }
  const { system = "", estimate = History.byBytes, budget, toolkit } = options
  if (typeof system !== "string") refuse("system", typeof system, "text")
  if (typeof estimate !== "function") refuse("estimate", typeof estimate, "a function of a text")
  const maxContext = integer("maxContext", 8192, 16, most)
  const messages = system === "" ? [] : [Prompt.systemMessage({ content: system })]
  const tools = Object.values<Tool.Any>(toolkit?.tools ?? {})
  const rules: History.Rules = { maxContext, estimate, system: messages, tools: History.weighTools(tools, estimate) }
  const taken = History.weigh(messages, rules)
  const shorter = `shorter than maxContext, ${maxContext} tokens`
  if (taken >= maxContext) refuse("system", `text of ${taken} tokens`, shorter)
  const all = History.standing(rules)
  if (all >= maxContext) refuse("toolkit", `of ${rules.tools} tokens, ${all} with the system prompt, it`, shorter)
  for (const tool of tools) {
    if (tool.needsApproval !== undefined && tool.needsApproval !== false) {
      refuse(`toolkit.${tool.name}.needsApproval`, "set", "false: there is nobody to ask")
    }
  }
  return {
    rules,
    toolkit: (toolkit ?? Toolkit.empty) as unknown as Effect.Effect<AnyTools, never, Needed<Tools>>,
    budget:
      budget === undefined
        ? Number.POSITIVE_INFINITY
        : Options.integer(`${type}.budget`, budget, 0, 0, Number.MAX_SAFE_INTEGER),
    maxAnswer: integer("maxAnswer", 4096, 1, most),
    maxToolRounds: integer("maxToolRounds", 8, 0, 1000),
    maxWaiting: integer("maxWaiting", 8, 0, 1024),
    toolMillis: Options.millis(`${type}.toolTimeout`, options.toolTimeout, 30_000),
    turnMillis: Options.millis(`${type}.turnTimeout`, options.turnTimeout, 300_000),
    whenBusy: Options.oneOf<WhenBusy>(`${type}.whenBusy`, options.whenBusy, "refuse", policies)
  }
}
