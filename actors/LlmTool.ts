/**
 * One call of a tool that a model has asked for: run through its Toolkit, and what the model is told of it.
 *
 *   its result                                                    the result
 *   an unknown tool, parameters its Schema refuses                a failed result that says why: the model may try again
 *   no result within `toolTimeout`; the handler is interrupted    a failed result
 *   its error, failureMode "return"                               a failed result, by the tool's Schema
 *   its error, failureMode "error" (effect/ai's default)          none: the turn fails with ToolFailed, the log has the error
 *   a defect                                                      none: the turn dies, its asker hears CalleeFailed
 *
 * Used by LlmTurn. A tool is an Effect: another actor is one that asks it (`counter.ask("Add", { by })`). Law: who gives the turn
 * up interrupts the handler. Bounds: results that are told on the way (`preliminary`) are 16 ahead, and dropped: the model takes
 * one.
 */
import { Effect, Option, Stream } from "effect"
import { AiError, Prompt, type Response, type Tool, Toolkit } from "effect/ai"
import { ToolFailed } from "./LlmErrors.ts"

export type Tools = Toolkit.WithHandler<Record<string, Tool.Any>>
export type Call = Response.ToolCallPart<string, unknown>

interface Using {
  readonly toolkit: Tools
  readonly toolMillis: number
}

const mistakes: ReadonlyArray<string> = ["ToolNotFoundError", "ToolParameterValidationError"]

/** Runs it; fails `ToolFailed`. */
export const use = Effect.fnUntraced(function* ({ toolkit, toolMillis }: Using, { id, name, params }: Call) {
  const told = (result: unknown, isFailure: boolean): Prompt.ToolResultPart =>
    Prompt.toolResultPart({ id, name, result, isFailure, providerExecuted: false })
  const handled = toolkit.handle(name, params, id) as Effect.Effect<
    Stream.Stream<Tool.HandlerResult<Tool.Any>, unknown>
  >
  return yield* Stream.unwrap(handled).pipe(
    Stream.filter(({ preliminary }) => !preliminary),
    Stream.runLast,
    Effect.map((last) => told(Option.getOrUndefined(last)?.encodedResult, Option.isSome(last) && last.value.isFailure)),
    Effect.provideService(Toolkit.PreliminaryBuffer, 16),
    Effect.timeoutOrElse({
      duration: toolMillis,
      orElse: () => Effect.succeed(told({ error: `no result within ${toolMillis} ms` }, true))
    }),
    Effect.catch((error) => {
      if (AiError.isAiError(error) && mistakes.includes(error.reason._tag)) {
        return Effect.succeed(told({ error: error.reason.message }, true))
      }
      return Effect.andThen(Effect.logWarning(`tool "${name}" failed`, error), new ToolFailed({ tool: name }))
    })
  )
})
