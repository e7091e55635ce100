import { ConfigProvider, Duration, Effect, Exit, Layer, Redacted, Schema, Stream } from "effect"
import { type AiError, LanguageModel, Prompt, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { OpenAiModel } from "troupe/actors"
import { describe, expect, it } from "vitest"
import { Answer, type Chunk } from "../../actors/OpenAiAnswer.ts"
import { start } from "../../examples/llm-chat/provider.ts"
import { chatting, prompt, refusal, textOf } from "./Chats.ts"

type Local = Awaited<ReturnType<typeof start>>

/** Runs with the model that the server is for `rule`. */
const asking = async <A, E>(
  rule: string,
  effect: (local: Local) => Effect.Effect<A, E, LanguageModel.LanguageModel>,
  options: Partial<OpenAiModel.OpenAiModelOptions> = {}
): Promise<A> => {
  const local = await start()
  const layer = OpenAiModel.layer({ model: `local?${rule}`, baseUrl: local.url, ...options })
  try {
    return await Effect.runPromise(Effect.provide(effect(local), Layer.provide(layer, FetchHttpClient.layer)))
  } finally {
    await local.close()
  }
}

const failing = (rule: string, options?: Partial<OpenAiModel.OpenAiModelOptions>): Promise<AiError.AiError> =>
  asking(rule, () => Effect.flip(Stream.runCollect(LanguageModel.streamText({ prompt: "hi" }))), options)

const add = Toolkit.make(Tool.make("Add", { parameters: Schema.Struct({ by: Schema.Int }), success: Schema.Int }))

describe("OpenAiModel", () => {
  it("streams text, and tells what was used", () =>
    asking("", () =>
      Effect.gen(function* () {
        const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt: "well then" }))
        expect(parts.map(({ type }) => type)).toEqual([
          "text-start",
          ...Array(4).fill("text-delta"),
          "text-end",
          "finish"
        ])
        const finish = parts.find((part) => part.type === "finish")!
        expect([finish.reason, finish.usage.inputTokens.total, finish.usage.outputTokens.total]).toEqual(["stop", 2, 4])
      })
    ))

  it("sends text of any length and alphabet as it is", () =>
    chatting({ rule: "words=1" }, ({ local }) =>
      Effect.gen(function* () {
        const prompt = "漢".repeat(200_000)
        yield* LanguageModel.generateText({ prompt })
        expect(local.seen.bodies[0]!.messages[0]!.content === prompt).toBe(true)
      })
    ))

  it("generates text, and objects by their Schema", () =>
    asking("", (local) =>
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateText({ prompt: "well" })
        expect([response.text, response.usage.outputTokens.total]).toEqual(["You said: well", 3])
        const schema = Schema.Struct({ age: Schema.Int })
        const exit = yield* Effect.exit(LanguageModel.generateObject({ prompt: "{}", schema, objectName: "person" }))
        expect(Exit.isFailure(exit)).toBe(true)
        expect(local.seen.bodies.at(-1)).toMatchObject({
          response_format: { type: "json_schema", json_schema: { name: "person", strict: true } }
        })
      })
    ))

  it("offers tools, and collects their calls from fragments", () =>
    asking("", (local) =>
      Effect.gen(function* () {
        const toolkit = yield* Effect.provide(add, add.toLayer({ Add: ({ by }) => Effect.succeed(by + 1) }))
        const response = yield* LanguageModel.generateText({ prompt: "add 3", toolkit })
        expect(response.toolCalls).toMatchObject([{ name: "Add", params: { by: 3 } }])
        expect(response.toolResults).toMatchObject([{ name: "Add", result: 4 }])
        expect(local.seen.bodies[0]).toMatchObject({
          tool_choice: "auto",
          tools: [{ type: "function", function: { name: "Add", parameters: { type: "object", required: ["by"] } } }]
        })
        yield* LanguageModel.generateText({ prompt: "hi", toolkit, toolChoice: { tool: "Add" } })
        expect(local.seen.bodies[1]).toMatchObject({ tool_choice: { type: "function", function: { name: "Add" } } })
      })
    ))

  it("sends what its user has set, and the key", async () => {
    const local = await start("sesame")
    const model = (apiKey: string) =>
      OpenAiModel.layer({
        model: "local",
        baseUrl: `${local.url}/`,
        apiKey: Redacted.make(apiKey),
        parameters: { temperature: 0 }
      }).pipe(Layer.provide(FetchHttpClient.layer))
    const ask = LanguageModel.generateText({ prompt: "hi" })
    try {
      expect((await Effect.runPromise(Effect.provide(ask, model("sesame")))).text).toBe("You said: hi")
      expect(local.seen.bodies[0]).toMatchObject({ temperature: 0, model: "local" })
      const refused = await Effect.runPromise(Effect.flip(Effect.provide(ask, model("wrong"))))
      expect(refused.reason).toMatchObject({ _tag: "AuthenticationError", kind: "InvalidKey" })
    } finally {
      await local.close()
    }
  })

  it("is configured by the environment", async () => {
    const local = await start("sesame")
    const env = { OPENAI_BASE_URL: local.url, OPENAI_API_KEY: "sesame", OPENAI_MODEL: "local?words=2" }
    const layer = OpenAiModel.layerConfig({ model: "none" }).pipe(Layer.provide(FetchHttpClient.layer))
    const ask = LanguageModel.generateText({ prompt: "hi" }).pipe(
      Effect.provide(layer),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
    )
    try {
      expect((await Effect.runPromise(ask)).text).toBe("xxxxxxxxxx")
    } finally {
      await local.close()
    }
  })

  it.each([
    ["status=400", "InvalidRequestError"],
    ["status=401", "AuthenticationError"],
    ["status=403", "AuthenticationError"],
    ["status=404", "UnknownError"],
    ["status=429", "RateLimitError"],
    ["status=429&code=insufficient_quota", "QuotaExhaustedError"],
    ["status=500", "InternalProviderError"],
    ["status=503", "InternalProviderError"],
    ["error=1", "InternalProviderError"],
    ["break=0", "NetworkError"],
    ["break=2", "NetworkError"]
  ])("%s is a failure of %s", async (rule, reason) => {
    const failed = await failing(rule)
    expect(failed.reason._tag).toBe(reason)
    expect(failed.message).not.toContain("authorization")
  })

  it("hears what the endpoint says of when to come again", async () => {
    const { retryAfter } = await failing("status=429&after=3")
    expect(retryAfter === undefined ? undefined : Duration.toMillis(retryAfter)).toBe(3000)
    const { reason } = await failing("status=503&after=3")
    expect(reason).toMatchObject({ http: { response: { status: 503, headers: { "retry-after": "3" } } } })
  })

  it("fails by name where nobody listens, and for an event too large", async () => {
    const local = await start()
    await local.close()
    expect((await failing("", { baseUrl: local.url })).reason).toMatchObject({ _tag: "NetworkError" })
    expect((await failing("words=1&size=1000000", { maxEventBytes: 1024 })).reason).toMatchObject({
      _tag: "InvalidResponseError",
      description: "Pending SSE event exceeded the maximum size of 1024"
    })
  })

  it("does not leave out what it cannot send", () =>
    asking("", (local) =>
      Effect.gen(function* () {
        const file = Prompt.filePart({ mediaType: "image/png", data: new URL("http://a.test/b.png") })
        const message = Prompt.userMessage({ content: [Prompt.textPart({ text: "look" }), file] })
        const failed = yield* Effect.flip(LanguageModel.generateText({ prompt: Prompt.fromMessages([message]) }))
        expect(failed.reason).toMatchObject({ _tag: "InvalidUserInputError" })
        expect(local.seen.calls).toBe(0)
      })
    ))

  it.each([
    ["model", { model: "" }],
    ["baseUrl", { model: "m", baseUrl: "localhost" }],
    ["baseUrl", { model: "m", baseUrl: "file:///etc" }],
    ["baseUrl", { model: "m", baseUrl: "http://me:secret@localhost/v1" }],
    ["baseUrl", { model: "m", baseUrl: "http://localhost/v1?version=2" }],
    ["apiKey", { model: "m", apiKey: "plain" }],
    ["maxEventBytes", { model: "m", maxEventBytes: 1 }],
    ["temperature", { model: "m", temperature: 1 }]
  ])("%s outside of its range is refused when the layer is built", async (field, options) => {
    const layer = Layer.provide(OpenAiModel.layer(options as never), FetchHttpClient.layer)
    const exit = await Effect.runPromiseExit(Effect.provide(LanguageModel.generateText({ prompt: "" }), layer))
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain(`openAiModel.${field}`)
    expect(String(exit)).not.toContain("secret")
  })
})

describe("an answer", () => {
  const take = (answer: Answer, ...chunks: ReadonlyArray<typeof Chunk.Type>) => {
    const parts: Array<unknown> = []
    const reasons = chunks.map((chunk) => answer.take(chunk, parts as never)?._tag)
    return { parts, reasons }
  }
  const delta = (each: object) => ({ choices: [{ delta: each }] })

  it("may be what compatible servers send: nulls, no index, thoughts, no usage", () => {
    const answer = new Answer(1000)
    const call = { id: null, index: null, function: { name: "Now", arguments: null } }
    const { parts } = take(
      answer,
      { choices: [{ delta: { content: null, tool_calls: null }, finish_reason: null }], usage: null },
      delta({ reasoning_content: "hm" }),
      delta({ tool_calls: [call] }),
      { choices: [{ delta: null, finish_reason: "tool_calls" }] }
    )
    expect(parts).toMatchObject([
      { type: "reasoning-start" },
      { delta: "hm" },
      { type: "tool-params-start", name: "Now" }
    ])
    expect(answer.end()).toMatchObject([
      { type: "reasoning-end" },
      { type: "tool-params-end" },
      { type: "tool-call", id: "call-0", name: "Now", params: {} },
      { type: "finish", reason: "tool-calls", usage: { inputTokens: { total: undefined } } }
    ])
  })

  it("that ends without its reason is not whole", () => {
    const answer = new Answer(1000)
    take(answer, delta({ content: "so" }))
    expect(answer.end()).toBe(undefined)
  })

  it("may end for a reason that nobody knows, also one that every object has", () => {
    const answer = new Answer(1000)
    take(answer, { choices: [{ delta: { content: "so" }, finish_reason: "constructor" }] })
    expect(answer.end()?.at(-1)).toMatchObject({ type: "finish", reason: "other" })
  })

  it("collects so many bytes of names of tools", () => {
    const call = (index: number) => delta({ tool_calls: [{ index, id: "x".repeat(400), function: { name: "Add" } }] })
    expect(take(new Answer(1000), call(0), call(1), call(2)).reasons).toEqual([
      undefined,
      undefined,
      "InvalidResponseError"
    ])
  })

  it("collects so many bytes of arguments of tools", () => {
    const fragment = (args: string) => delta({ tool_calls: [{ index: 0, function: { arguments: args } }] })
    const { reasons } = take(new Answer(1000), fragment("x".repeat(800)), fragment("x".repeat(200)))
    expect(reasons).toEqual([undefined, "InvalidResponseError"])
  })
})

describe("a provider in trouble", () => {
  it.each(["status=429&times=2&after=0", "status=503&times=2", "status=500&times=3"])("%s: is asked again", (rule) =>
    chatting({ rule }, ({ room, local, stats }) =>
      Effect.gen(function* () {
        expect(textOf(yield* prompt(room, "hi"))).toBe("You said: hi")
        expect(local.seen.calls).toBe(stats().retries + 1)
        expect(stats().retries).toBe(rule.includes("500") ? 3 : 2)
      })
    )
  )

  it.each([
    ["status=400&times=9", 1, "InvalidRequestError", false],
    ["status=503&times=9", 4, "InternalProviderError", true],
    // more than the sockets of this machine hold: some of it has been told
    ["words=800&size=16384&break=799", 1, "NetworkError", true],
    ["words=800&size=16384&error=799", 1, "InternalProviderError", true]
  ])("%s: after %i calls the prompt fails with %s, the history as it was", (rule, calls, reason, retryable) =>
    chatting({ rule, agent: { maxAnswer: 100_000_000 } }, ({ room, local, logged }) =>
      Effect.gen(function* () {
        expect(yield* refusal(room, "hi")).toMatchObject({ _tag: "ModelFailed", reason, retryable })
        expect(local.seen.calls).toBe(calls)
        expect((yield* room.ask("History")).lines).toEqual([])
        expect(logged.filter((line) => line.startsWith("the model's provider failed")).length).toBe(1)
      })
    )
  )

  it("is not waited for longer than it may: the asker hears when to come again, and no more", () =>
    chatting({ rule: "status=429&after=60", provider: { maxDelay: 1000 } }, ({ room, local }) =>
      Effect.gen(function* () {
        const refused = yield* refusal(room, "hi")
        expect(refused).toMatchObject({ _tag: "ModelFailed", reason: "RateLimitError", retryAfterMillis: 60_000 })
        expect(JSON.stringify(refused)).not.toContain("http")
        expect(local.seen.calls).toBe(1)
      })
    ))
})
