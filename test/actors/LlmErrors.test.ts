import { LlmAgent } from "troupe/actors"
import { describe, expect, it } from "vitest"

const again = "ended by Cancel before its answer was whole; nothing of it is remembered"

describe("LlmErrors", () => {
  it.each([
    [
      new LlmAgent.BudgetSpent({ spent: 12, budget: 5 }),
      "this chat has used 12 tokens of its budget of 5, and asks the model no more (option budget)"
    ],
    [
      new LlmAgent.PromptTooLong({ tokens: 29, maxContext: 16 }),
      "the prompt takes 29 tokens with the system prompt, the tools and what they told, at most 16 may be sent: shorten it (option maxContext)"
    ],
    [
      new LlmAgent.TurnUnderWay({}),
      'another prompt is being answered, this one was not begun (option whenBusy: "wait" waits, "replace" ends the other)'
    ],
    [new LlmAgent.TurnCancelled({ by: "cancel" }), again],
    [
      new LlmAgent.TurnCancelled({ by: "prompt" }),
      again.replace("Cancel", 'a newer prompt (option whenBusy: "replace")')
    ],
    [
      new LlmAgent.TurnTimeout({ millis: 5 }),
      "not answered within 5 ms, tools and a slow reader included: ended (option turnTimeout)"
    ],
    [
      new LlmAgent.ModelFailed({ reason: "RateLimitError", retryable: true, retryAfterMillis: 3 }),
      "the model's provider failed: RateLimitError; ask again in 3 ms (the agent's log has its words)"
    ],
    [
      new LlmAgent.ModelFailed({ reason: "NetworkError", retryable: true }),
      "the model's provider failed: NetworkError; ask again later (the agent's log has its words)"
    ],
    [
      new LlmAgent.ModelFailed({ reason: "AuthenticationError", retryable: false }),
      "the model's provider failed: AuthenticationError; asking again will not help (the agent's log has its words)"
    ],
    [
      new LlmAgent.ToolFailed({ tool: "Add" }),
      'tool "Add" failed and ended the prompt; the agent\'s log has why (failureMode: "return" tells the model instead)'
    ]
  ])("$_tag says what happened, the limit, and the option to change", (error, message) => {
    expect(error.message).toBe(message)
  })
})
