/**
 * The chat: rooms that anybody may join, a model that may use another actor, and what their provider allows.
 */
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { LlmAgent, LlmProvider, OpenAiModel } from "troupe/actors"
import { Gateway } from "troupe/gateway"

export const Chat = LlmAgent.make("Chat")

// a tool that is an actor: one sum for all rooms
const Sum = Actor.make("Sum", {
  state: Schema.Int,
  protocol: [Rpc.make("Add", { payload: { number: Schema.Int }, success: Schema.Int })]
})
const sum = Sum.behavior({
  initial: 0,
  on: { Add: (state, { number }) => Actor.reply(state + number, state + number) }
})

const tools = Toolkit.make(
  Tool.make("Add", {
    description: "Adds a number to the sum that all rooms share, and tells the sum",
    parameters: Schema.Struct({ number: Schema.Int }),
    success: Schema.Int,
    failure: Schema.String,
    failureMode: "return" // the model is told
  })
)
const handlers = tools.toLayer(
  Effect.gen(function* () {
    const ref = yield* ActorSystem.spawn(sum, "all")
    return { Add: ({ number }) => Effect.mapError(ref.ask("Add", { number }), (error) => error.message) }
  })
)

const chat = LlmAgent.behavior(Chat, {
  system: "You are a guest in a chat room. Answer in plain text, in a few sentences.",
  toolkit: tools,
  maxContext: 4096,
  budget: 1_000_000
})

export interface Endpoint {
  readonly baseUrl: string
  readonly model: string
}

/** The rooms, at `port`; `origins`: whose pages may join. OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL go before `endpoint`. */
export const rooms = (endpoint: Endpoint, port: number, origins: ReadonlyArray<string>) =>
  Gateway.layer({ port, agents: [chat], ...(origins.length > 0 ? { origins } : {}) }).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(LlmProvider.layer({ concurrency: 8, rate: { limit: 600, window: "1 minute" } })),
    Layer.provide(Layer.provide(OpenAiModel.layerConfig(endpoint), FetchHttpClient.layer)),
    Layer.provideMerge(ActorSystem.layer)
  )
