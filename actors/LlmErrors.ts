/**
 * How a prompt fails, by name: what crosses the wire to the client that asked.
 *
 *   refused   BudgetSpent, PromptTooLong, TurnUnderWay, LimitReached (a line is full, too many rounds of tools)
 *   ended     TurnCancelled (a `Cancel`, or a newer prompt), TurnTimeout
 *   failed    ModelFailed (the provider), ToolFailed (a tool of failureMode "error")
 *
 * Law: each says what happened, the limit, and the option to change, and nothing of what is inside: no URL, no text of the
 * provider, no key; those stand in the log. A prompt that fails leaves the history as it was; the tokens it has used are counted.
 */
import { Schema } from "effect"
import { LimitReached } from "troupe"

/** The agent has used all its tokens. */
export class BudgetSpent extends Schema.TaggedError<BudgetSpent>()("BudgetSpent", {
  spent: Schema.Int,
  budget: Schema.Int
}) {
  override get message(): string {
    return `this chat has used ${this.spent} tokens of its budget of ${this.budget}, and asks the model no more (option budget)`
  }
}

/** The prompt, with what belongs to it (the system prompt, tools asked for it), leaves no room in the context. */
export class PromptTooLong extends Schema.TaggedError<PromptTooLong>()("PromptTooLong", {
  tokens: Schema.Int,
  maxContext: Schema.Int
}) {
  override get message(): string {
    const whole = "with the system prompt, the tools and what they told"
    return `the prompt takes ${this.tokens} tokens ${whole}, at most ${this.maxContext} may be sent: shorten it (option maxContext)`
  }
}

/** Another prompt is being answered. */
export class TurnUnderWay extends Schema.TaggedError<TurnUnderWay>()("TurnUnderWay", {}) {
  override get message(): string {
    return 'another prompt is being answered, this one was not begun (option whenBusy: "wait" waits, "replace" ends the other)'
  }
}

/** Ended by `Cancel`, or by a prompt that took its place. */
export class TurnCancelled extends Schema.TaggedError<TurnCancelled>()("TurnCancelled", {
  by: Schema.Literals(["cancel", "prompt"])
}) {
  override get message(): string {
    const by = this.by === "cancel" ? "Cancel" : 'a newer prompt (option whenBusy: "replace")'
    return `ended by ${by} before its answer was whole; nothing of it is remembered`
  }
}

/** Not answered in time, tools and a slow reader included. */
export class TurnTimeout extends Schema.TaggedError<TurnTimeout>()("TurnTimeout", { millis: Schema.Finite }) {
  override get message(): string {
    return `not answered within ${this.millis} ms, tools and a slow reader included: ended (option turnTimeout)`
  }
}

/** The provider failed: `reason` is that of effect/ai's AiError; the rest of it is in the agent's log. */
export class ModelFailed extends Schema.TaggedError<ModelFailed>()("ModelFailed", {
  reason: Schema.String,
  /** Whether asking again may help; where the provider said when, after how long. */
  retryable: Schema.Boolean,
  retryAfterMillis: Schema.optional(Schema.Finite)
}) {
  override get message(): string {
    const when = this.retryAfterMillis === undefined ? "later" : `in ${this.retryAfterMillis} ms`
    const again = this.retryable ? `ask again ${when}` : "asking again will not help"
    return `the model's provider failed: ${this.reason}; ${again} (the agent's log has its words)`
  }
}

/** A tool whose failureMode is "error" failed; its error is in the agent's log. */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", { tool: Schema.String }) {
  override get message(): string {
    return `tool "${this.tool}" failed and ended the prompt; the agent's log has why (failureMode: "return" tells the model instead)`
  }
}

export const Refusal = Schema.Union([
  BudgetSpent,
  PromptTooLong,
  TurnUnderWay,
  TurnCancelled,
  TurnTimeout,
  ModelFailed,
  ToolFailed,
  LimitReached
])
export type Refusal = typeof Refusal.Type
