import { once } from "node:events"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { LlmAgent, LlmProvider, OpenAiModel } from "troupe/actors"
import { Gateway } from "troupe/gateway"
import { TestSystem } from "troupe/testkit"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { start } from "../../examples/llm-chat/provider.ts"
import { heldUp } from "../actors/Chats.ts"
import { until } from "./Lab.ts"

const Chat = LlmAgent.make("Chat")
const closing: Array<() => Promise<unknown>> = []

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** A socket to a room whose model behaves by `rule`, and what the model's server has seen. */
const join = async (rule: string, options: LlmAgent.LlmAgentOptions = {}) => {
  const local = await start()
  closing.push(local.close)
  const model = OpenAiModel.layer({ model: `local?${rule}`, baseUrl: local.url })
  const layer = Gateway.layer({ port: 0, agents: [LlmAgent.behavior(Chat, options)] }).pipe(
    Layer.provide([LlmProvider.layer(), Layer.provide(model, FetchHttpClient.layer)]),
    Layer.provideMerge(TestSystem.layer)
  )
  const scope = Scope.makeUnsafe()
  closing.push(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const { url } = Context.get(context, Gateway)
  const room = Chat.at("lobby")
  /** A message that its handler cannot even read. */
  const crash = (): Promise<void> => Effect.runPromise(Effect.provide(room.tell("Finish", undefined as never), context))
  const stop = (): Promise<void> => Effect.runPromise(Effect.provide(room.stop(), context))
  const socket = new WebSocket(`${url}/agents/Chat/lobby`)
  await once(socket, "open")
  const frames: Array<{
    readonly id?: number
    readonly method?: string
    readonly params?: unknown
    readonly error?: { readonly data?: unknown }
  }> = []
  socket.on("message", (data: Buffer) => frames.push(JSON.parse(data.toString())))
  const send = (message: object): void => socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }))
  const ask = (id: number, text: string): void => send({ id, method: "Prompt", params: { text } })
  const another = async (): Promise<ReadonlyArray<string>> => {
    const heard: Array<string> = []
    const listener = new WebSocket(`${url}/agents/Chat/lobby`)
    await once(listener, "open")
    listener.on("message", (data: Buffer) => {
      const { method, params } = JSON.parse(data.toString()) as {
        method: string
        params: { turn: number; why?: string }
      }
      if (method !== "Delta") heard.push(`${method} ${params.turn} ${params.why ?? ""}`.trim())
    })
    return heard
  }
  return { socket, frames, send, ask, another, local, seen: local.seen, crash, stop }
}
const chunks = (frames: ReadonlyArray<{ readonly method?: string }>): number =>
  frames.filter(({ method }) => method === "$/chunk").length

describe("a chat over a WebSocket", () => {
  it("slows the reading of the HTTP body while its client does not read, and goes on when it does", async () => {
    const { socket, frames, ask, local, seen } = await join("words=100000&size=16384", { maxAnswer: 100_000_000 })
    ask(1, "tell me everything")
    await until("it is answered", () => chunks(frames) > 1)
    socket.pause()
    await until("the server is held up", heldUp(local, 50))
    const written = seen.written
    // 1.6 GB are to be said: the sockets of this machine, and 1 MiB of the gateway's, hold what has been
    expect(written).toBeLessThan(32_000_000)
    socket.resume()
    await until("it goes on", () => seen.written > written + 16_000_000)
    socket.terminate()
    await until("the server has seen the end", () => seen.aborted === 1 && seen.open === 0)
  })

  it("aborts the HTTP call when its client closes, gives the request up, or says Cancel", async () => {
    const { socket, frames, ask, send, another, seen } = await join("words=1000000&delay=1")
    const heard = await another()
    ask(1, "one")
    await until("it is answered", () => chunks(frames) > 1)
    send({ method: "$/cancel", params: { id: 1 } })
    await until("the server has seen it", () => seen.aborted === 1)
    await until("its client was told", () => frames.some(({ id }) => id === 1))
    ask(2, "two")
    await until("it is asked", () => seen.open === 1)
    send({ id: 3, method: "Cancel" })
    await until("the server has seen it", () => seen.aborted === 2)
    await until("its client was told", () => frames.some(({ id }) => id === 2))
    expect(frames.find(({ id }) => id === 2)!.error!.data).toEqual({ _tag: "TurnCancelled", by: "cancel" })
    ask(4, "four")
    await until("it is asked", () => seen.open === 1)
    socket.close()
    await until("the server has seen it", () => seen.aborted === 3 && seen.open === 0)
    await until("the others have heard it", () => heard.length === 6)
    expect(heard).toEqual([
      "Asked 1",
      "Unanswered 1 Left",
      "Asked 2",
      "Unanswered 2 TurnCancelled",
      "Asked 3",
      "Unanswered 3 Left"
    ])
  })

  it("tells its clients of one end for each Asked, though it fails in the midst of an answer, or is stopped", async () => {
    const { frames, ask, another, crash, stop, seen } = await join("words=1000000&delay=1")
    const heard = await another()
    ask(1, "one")
    await until("it is answered", () => chunks(frames) > 1)
    await crash()
    await until("the server has seen it", () => seen.aborted === 1)
    await until("the others have heard it", () => heard.length === 2)
    await until("its client was told", () => frames.some(({ id }) => id === 1))
    // what asks with nobody's turn open, and another failure, tell nothing twice
    await crash()
    const told = chunks(frames)
    ask(2, "two")
    await until("it is answered", () => chunks(frames) > told + 1)
    await stop()
    await until("the server has seen it", () => seen.aborted === 2 && seen.open === 0)
    await until("the others have heard it", () => heard.length === 4)
    expect(heard).toEqual(["Asked 1", "Unanswered 1 Restarted", "Asked 2", "Unanswered 2 Stopped"])
    const own = frames.flatMap(({ method, params }) => (method === "Unanswered" ? [params] : []))
    expect(own).toEqual([
      { turn: 1, why: "Restarted" },
      { turn: 2, why: "Stopped" }
    ])
  })
})
