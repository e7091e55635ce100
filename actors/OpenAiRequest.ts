/**
 * What an OpenAI-compatible endpoint is asked: the body of `POST /chat/completions`.
 *
 *   Prompt -> messages    tools -> functions with a JSON Schema    responseFormat -> json_schema    always `stream: true`
 *
 * Used by OpenAiModel; knows no socket. Law: what this client does not carry (files, approvals) is refused by name, not left out:
 * the model would answer another question. Reasoning is left out: it is not sent back in this protocol.
 * Pure; cost: the length of the prompt, once a call.
 * Fails: `InvalidUserInputError` of effect/ai. Sources: OpenAI's API reference, chat completions; vLLM, llama.cpp and Ollama take
 * the same.
 * Considered: the `responses` API; rejected, few compatible servers speak it.
 */
import { Result } from "effect"
import type { Schema } from "effect"
import { AiError, type LanguageModel, OpenAiStructuredOutput, Prompt, Tool } from "effect/ai"

const json = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? "null"))

const textOf = (parts: ReadonlyArray<Prompt.Part>): string =>
  parts.map((part) => (part.type === "text" ? part.text : "")).join("")

/** What of a message this client does not carry. */
const foreign = (message: Prompt.Message): string | undefined => {
  if (message.role === "system") return undefined
  const carried = message.role === "tool" ? ["tool-result"] : ["text", "reasoning", "tool-call"]
  return message.content.find((part) => !carried.includes(part.type))?.type
}

const said = (message: Prompt.Message): ReadonlyArray<object> => {
  if (message.role === "system") return [{ role: "system", content: message.content }]
  if (message.role === "user") return [{ role: "user", content: textOf(message.content) }]
  if (message.role === "assistant") {
    const calls = message.content.flatMap((part) =>
      part.type === "tool-call"
        ? [{ id: part.id, type: "function", function: { name: part.name, arguments: json(part.params) } }]
        : []
    )
    const content = textOf(message.content)
    return [{ role: "assistant", content, ...(calls.length > 0 ? { tool_calls: calls } : {}) }]
  }
  return message.content.flatMap((part) => {
    if (part.type !== "tool-result") return []
    const content = part.modelOutput === undefined ? json(part.result) : Prompt.toolModelOutputToText(part.modelOutput)
    return [{ role: "tool", tool_call_id: part.id, content }]
  })
}

const functionOf = (tool: Tool.Any): object => ({
  type: "function",
  function: { name: tool.name, description: Tool.getDescription(tool), parameters: Tool.getJsonSchema(tool) }
})

const choiceOf = (choice: LanguageModel.ToolChoice<string>): unknown => {
  if (typeof choice === "string") return choice
  return "tool" in choice ? { type: "function", function: { name: choice.tool } } : (choice.mode ?? "auto")
}

const transformer = OpenAiStructuredOutput.toCodecOpenAI
const formatOf = (name: string, schema: Schema.Top): object => ({
  type: "json_schema",
  json_schema: { name, strict: true, schema: Tool.getJsonSchemaFromSchema(schema, { transformer }) }
})

/** The body of a call; `fixed` is what is the same for all calls: the model, and what its user has set. */
export const body = (
  asked: LanguageModel.ProviderOptions,
  fixed: Readonly<Record<string, unknown>>
): Result.Result<object, AiError.AiErrorReason> => {
  const { prompt, tools, toolChoice, responseFormat } = asked
  const odd = prompt.content.map(foreign).find((type) => type !== undefined)
  if (odd !== undefined) {
    const description = `the prompt holds a part of type ${odd}: this client carries text and tools`
    return Result.fail(new AiError.InvalidUserInputError({ description }))
  }
  return Result.succeed({
    ...fixed,
    messages: prompt.content.flatMap(said),
    stream: true,
    stream_options: { include_usage: true },
    ...(tools.length > 0 ? { tools: tools.map(functionOf), tool_choice: choiceOf(toolChoice) } : {}),
    ...(responseFormat.type === "json"
      ? { response_format: formatOf(responseFormat.objectName, responseFormat.schema) }
      : {})
  })
}
