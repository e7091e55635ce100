/**
 * Chat rooms with a language model: agents over WebSockets, answers that stream, a tool that is another actor.
 *
 * Run: npx tsx examples/llm-chat/main.ts             a scripted chat and its figures (demo.ts); ends by itself
 *      npx tsx examples/llm-chat/main.ts --serve     a page to chat on, until Ctrl-C; PORT (default 4000) for the page, the next for agents
 *
 * With OPENAI_BASE_URL or OPENAI_API_KEY set a real endpoint answers (OPENAI_MODEL, default gpt-4o-mini), else the local model, a
 * server of this process that speaks the same protocol (provider.ts). The scripted chat prints what is said; then, as measured by
 * itself:
 *   tokens in and out, the time to the first token, prompts answered, refused and ended, and, of the local model, what its side has seen:
 *   calls, those that were aborted, the most at once.
 */
import { Effect } from "effect"
import { Gateway } from "troupe/gateway"
import { type Endpoint, rooms } from "./chat.ts"
import { demo } from "./demo.ts"
import { start } from "./provider.ts"
import { serve } from "./site.ts"

const isReal = process.env["OPENAI_BASE_URL"] !== undefined || process.env["OPENAI_API_KEY"] !== undefined

/** The local model, as long as the scope; undefined where a real one is named. */
const local = isReal
  ? Effect.undefined
  : Effect.acquireRelease(
      Effect.promise(() => start()),
      ({ close }) => Effect.promise(close)
    )

const program = Effect.gen(function* () {
  const model = yield* local
  const endpoint: Endpoint =
    model === undefined
      ? { baseUrl: "https://api.openai.com/v1", model: "gpt-4o-mini" }
      : { baseUrl: model.url, model: "local?delay=20" }
  console.log(`the model: ${isReal ? (process.env["OPENAI_BASE_URL"] ?? endpoint.baseUrl) : "local"}`)
  if (process.argv.includes("--serve")) return yield* serve((port, origins) => rooms(endpoint, port, origins))
  const chatting = Effect.gen(function* () {
    const { url } = yield* Gateway
    yield* demo(url, model?.seen)
  })
  return yield* Effect.provide(chatting, rooms(endpoint, 0, []))
}).pipe(Effect.scoped)

const fiber = Effect.runFork(program)
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  const ended = exit._tag === "Success" || exit.cause.reasons.every((reason) => reason._tag === "Interrupt")
  if (!ended) console.error(String(exit.cause))
  process.exitCode = ended ? 0 : 1
})
