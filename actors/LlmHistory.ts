/**
 * What an agent remembers of a conversation, and how much of it fits: whole turns, the newest that have room.
 *
 *   | system | turn | turn | turn | prompt ... rounds of tools |   <= maxContext tokens
 *              ^ the oldest leave first; the system prompt and the turn under way stay
 *
 * A pure rule; its state goes through `State`, a Schema. Law: a turn is remembered as a whole (prompt, calls of tools, their
 * results, answer) or not at all: a call without its result is an error to most endpoints.
 * Tokens are counted by what the endpoint tells (`usage`): what was sent and the answer take together what it has told, so their
 * sum is exact after each answer; what every call takes besides (system prompt, tools) is learnt: the least that a turn has shown,
 * for what the estimate of a prompt falls short of is in it. So prompts are refused by estimate, and one that would not fit only by
 * what was learnt is sent alone. Where nothing is told, `estimate` counts: a token for 4 bytes of UTF-8, rounded up, and 4 a
 * message; for other alphabets and for code that is too few: give your model's tokenizer. Definitions of tools are sent with every
 * call, and counted as the JSON that they are sent as.
 * Cost: O(turns) a prompt. Considered: summing up what leaves by another call of the model; rejected: it costs tokens nobody asked
 * for.
 */
import { Schema } from "effect"
import { Prompt, Tool } from "effect/ai"

/** One prompt and what came of it. */
export const Turn = Schema.Struct({ messages: Schema.Array(Prompt.Message), tokens: Schema.Int })
export type Turn = typeof Turn.Type

export const State = Schema.Struct({
  /** The oldest first. */
  turns: Schema.Array(Turn),
  /** Tokens that every call takes beside the turns; null until the endpoint has told. */
  fixed: Schema.NullOr(Schema.Int),
  /** Tokens used so far, as they are billed: input and output of every call. */
  spent: Schema.Int,
  /** Turns begun, and turns that have left for want of room. */
  begun: Schema.Int,
  forgotten: Schema.Int
})
export type State = typeof State.Type

export const empty: State = { turns: [], fixed: null, spent: 0, begun: 0, forgotten: 0 }

export interface Rules {
  readonly maxContext: number
  readonly estimate: (text: string) => number
  /** The system prompt; none where it is empty. */
  readonly system: ReadonlyArray<Prompt.Message>
  /** Tokens of the definitions of tools, by estimate. */
  readonly tools: number
}

/** A token for 4 bytes. */
export const byBytes = (text: string): number => Math.ceil(Buffer.byteLength(text) / 4)

const perMessage = 4

const textOf = (message: Prompt.Message): string => {
  if (message.role === "system") return message.content
  const texts = message.content.map((part) => {
    if (part.type === "text") return part.text
    if (part.type === "tool-call") return `${part.name}${JSON.stringify(part.params)}`
    return part.type === "tool-result" ? JSON.stringify(part.result) : ""
  })
  return texts.join("")
}

/** What messages take, as far as can be told without the endpoint. */
export const weigh = (messages: ReadonlyArray<Prompt.Message>, { estimate }: Rules): number =>
  messages.reduce((sum, message) => sum + perMessage + estimate(textOf(message)), 0)

/** What definitions of tools take, as they are sent: name, description, a JSON Schema of the parameters. */
export const weighTools = (tools: ReadonlyArray<Tool.Any>, estimate: Rules["estimate"]): number => {
  const functions = tools.map((tool) => ({
    type: "function",
    function: { name: tool.name, description: Tool.getDescription(tool), parameters: Tool.getJsonSchema(tool) }
  }))
  return functions.length === 0 ? 0 : estimate(JSON.stringify(functions))
}

/** What every call takes beside the turns, by estimate. */
export const standing = (rules: Rules): number => weigh(rules.system, rules) + rules.tools

const sum = (turns: ReadonlyArray<Turn>): number => turns.reduce((all, { tokens }) => all + tokens, 0)

/** The same as learnt, where it was. */
const always = (fixed: number | null, rules: Rules): number => fixed ?? standing(rules)

/** The newest turns that fit beside `own`, the messages of the turn under way; what that takes alone where it does not fit itself. */
export const fit = (
  { fixed, turns }: State,
  own: ReadonlyArray<Prompt.Message>,
  rules: Rules
): ReadonlyArray<Turn> | number => {
  const prompt = weigh(own, rules)
  const needed = always(fixed, rules) + prompt
  if (needed > rules.maxContext) {
    return Math.min(needed, always(null, rules) + prompt) > rules.maxContext ? needed : []
  }
  let from = 0
  let all = needed + sum(turns)
  while (all > rules.maxContext) all -= turns[from++]!.tokens
  return turns.slice(from)
}

/** What was said, without tools. */
export const lines = (turns: ReadonlyArray<Turn>) =>
  turns
    .flatMap(({ messages }) => messages)
    .flatMap((message) => {
      if (message.role !== "user" && message.role !== "assistant") return []
      const text = message.content.map((part) => (part.type === "text" ? part.text : "")).join("")
      return text === "" ? [] : [{ role: message.role, text }]
    })

/** All that is sent. */
export const prompt = (
  turns: ReadonlyArray<Turn>,
  own: ReadonlyArray<Prompt.Message>,
  { system }: Rules
): Prompt.Prompt => Prompt.fromMessages([...system, ...turns.flatMap(({ messages }) => messages), ...own])

/** What the endpoint has counted: input of the turn's first call; input and output of its last. */
export const Told = Schema.Struct({ first: Schema.Int, all: Schema.Int })
export type Told = typeof Told.Type

/** The state with one more turn, sent behind `sent`; the oldest leave while all take more than may be sent. */
export const remember = (
  state: State,
  sent: ReadonlyArray<Turn>,
  messages: ReadonlyArray<Prompt.Message>,
  told: Told | undefined,
  rules: Rules
): State => {
  const learnt = told === undefined ? null : Math.max(0, told.first - sum(sent) - weigh(messages.slice(0, 1), rules))
  const fixed = learnt === null ? state.fixed : Math.min(state.fixed ?? learnt, learnt)
  const others = (fixed ?? 0) + sum(sent)
  const tokens = told === undefined ? weigh(messages, rules) : Math.max(1, told.all - others)
  const kept = [...state.turns, { messages, tokens }]
  let all = always(fixed, rules) + sum(kept)
  let from = 0
  while (from < kept.length && all > rules.maxContext) all -= kept[from++]!.tokens
  return { ...state, fixed, turns: kept.slice(from), forgotten: state.forgotten + from }
}
