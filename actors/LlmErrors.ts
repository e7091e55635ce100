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
    return `${this.spent} tokens are used, of a budget of ${this.budget} (option budget)`
  }
}

/** The prompt, with what belongs to it (the system prompt, tools asked for it), leaves no room in the context. */
export class PromptTooLong extends Schema.TaggedError<PromptTooLong>()("PromptTooLong", {
  tokens: Schema.Int,
  maxContext: Schema.Int
}) {
  override get message(): string {
    return `the prompt takes ${this.tokens} tokens, at most ${this.maxContext} may be sent (option maxContext)`
  }
}

/** Another prompt is being answered. */
export class TurnUnderWay extends Schema.TaggedError<TurnUnderWay>()("TurnUnderWay", {}) {
  override get message(): string {
    return 'another prompt is being answered (option whenBusy: "wait" waits, "replace" ends the other)'
  }
}

/** Ended by `Cancel`, or by a prompt that took its place. */
export class TurnCancelled extends Schema.TaggedError<TurnCancelled>()("TurnCancelled", {
  by: Schema.Literals(["cancel", "prompt"])
}) {
  override get message(): string {
    return this.by === "cancel" ? "cancelled" : 'ended by a newer prompt (option whenBusy: "replace")'
  }
}

/** Not answered in time, tools and a slow reader included. */
export class TurnTimeout extends Schema.TaggedError<TurnTimeout>()("TurnTimeout", { millis: Schema.Finite }) {
  override get message(): string {
    return `not answered within ${this.millis} ms (option turnTimeout)`
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
    const again = this.retryAfterMillis === undefined ? "" : `, to be asked again in ${this.retryAfterMillis} ms`
    return `the model's provider failed: ${this.reason}${again}`
  }
}

/** A tool whose failureMode is "error" failed; its error is in the agent's log. */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", { tool: Schema.String }) {
  override get message(): string {
    return `tool "${this.tool}" failed (failureMode: "return" tells the model instead)`
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
