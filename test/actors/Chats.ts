/**
 * A chat in the test's process, its model behind a real HTTP server on this machine, its books checked when the test ends.
 */
import { Effect, Exit, Fiber, Layer, Logger, Schema, Stream } from "effect"
import { type LanguageModel, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { ActorSystem } from "troupe"
import { LlmAgent, LlmProvider, type LlmProviderOptions, OpenAiModel } from "troupe/actors"
import { TestSystem } from "troupe/testkit"
import { start } from "../../examples/llm-chat/provider.ts"

export type Local = Awaited<ReturnType<typeof start>>
export const Chat = LlmAgent.make("Chat")
export type Room = ReturnType<typeof Chat.at>
type Part = typeof LlmAgent.Part.Type

export class Sour extends Schema.TaggedError<Sour>()("Sour", {}) {}

/** How often each tool has been called, how often left unfinished. */
export const used = { add: 0, begun: 0, left: 0 }

const by = { by: Schema.Int }
const tools = Toolkit.make(
  Tool.make("Add", { parameters: Schema.Struct(by), success: Schema.Int }),
  Tool.make("Spill", { parameters: Schema.Struct(by), failure: Sour, failureMode: "return" }),
  Tool.make("Break", { parameters: Schema.Struct(by), failure: Sour }),
  Tool.make("Crash", { parameters: Schema.Struct(by) }),
  Tool.make("Wait", { parameters: Schema.Struct(by) })
)
export const toolkit = tools

const handlers = tools.toLayer({
  Add: ({ by }) => Effect.sync(() => (used.add += by)),
  Spill: () => Effect.fail(new Sour()),
  Break: () => Effect.fail(new Sour()),
  Crash: () => Effect.die(new Error("secret")),
  Wait: () => {
    used.begun++
    return Effect.onInterrupt(Effect.never, () => Effect.sync(() => used.left++))
  }
})

export interface World {
  readonly room: Room
  readonly local: Local
  readonly logged: Array<string>
  readonly stats: LlmProvider["Service"]["stats"]
}

/** The model's name after `local?` says how the server behaves. */
export const chatting = async <A, E>(
  options: {
    readonly rule?: string
    readonly agent?: LlmAgent.LlmAgentOptions<Toolkit.Tools<typeof tools>>
    readonly provider?: LlmProviderOptions
    readonly baseUrl?: string
    readonly apiKey?: string
  },
  test: (
    world: World
  ) => Effect.Effect<A, E, ActorSystem | LlmProvider | LanguageModel.LanguageModel | Layer.Success<typeof handlers>>
): Promise<A> => {
  const local = await start(options.apiKey)
  const logged: Array<string> = []
  const logger = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])
  const model = OpenAiModel.layer({ model: `local?${options.rule ?? ""}`, baseUrl: options.baseUrl ?? local.url })
  const layers = Layer.mergeAll(
    Layer.provide(TestSystem.layer, logger),
    LlmProvider.layer({ backoff: 1, ...options.provider }),
    model.pipe(Layer.provide(FetchHttpClient.layer)),
    handlers,
    logger
  )
  const program = Effect.gen(function* () {
    const { stats } = yield* LlmProvider
    const room = yield* ActorSystem.spawn(LlmAgent.behavior(Chat, options.agent ?? {}), "room")
    return yield* test({ room, local, logged, stats })
  })
  try {
    return await Effect.runPromise(Effect.provide(program, layers))
  } finally {
    await local.close()
  }
}

/** A fact: the server waits for its reader, and has for so many looks. */
export const heldUp = ({ seen }: Local, looks: number): (() => boolean) => {
  let last = -1
  let same = 0
  return () => {
    same = seen.heldUp > 0 && seen.written === last ? same + 1 : 0
    last = seen.written
    return same > looks
  }
}

/** All of an answer. */
export const prompt = (room: Room, text: string) => Stream.runCollect(room.ask("Prompt", { text }))

export const textOf = (parts: ReadonlyArray<Part>): string =>
  parts.map((part) => (part._tag === "Text" ? part.text : "")).join("")

/** What a prompt fails with. */
export const refusal = (room: Room, text: string) => Effect.flip(prompt(room, text))

/** A prompt under way: what it has told so far. */
export const asking = (room: Room, text: string) =>
  Effect.gen(function* () {
    const told: Array<Part> = []
    const patient = room.ask("Prompt", { text }, { timeout: "infinity" })
    const all = Stream.runForEach(patient, (part) => Effect.sync(() => told.push(part)))
    const fiber = yield* Effect.forkChild(all)
    const ended = Effect.map(Fiber.await(fiber), (exit) =>
      Exit.isSuccess(exit) ? "Done" : ((exit.cause.reasons[0] as { error?: { _tag?: string } }).error?._tag ?? "Left")
    )
    return { told, fiber, ended }
  })
