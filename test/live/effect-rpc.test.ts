import { Effect, Layer, Schedule } from "effect"
import { RpcClient, RpcSerialization } from "effect/rpc"
import { Socket } from "effect/socket"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Agent } from "troupe"
import { Gate, Lab, type Live, Muted, open } from "./Lab.ts"

let live: Live | undefined
let gate: Gate

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, { drainTimeout: 200, ...options }, limits)
  return live
}

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

const constructors: ReadonlyArray<readonly [string, Layer.Layer<Socket.WebSocketConstructor>]> = [
  [
    "ws",
    Layer.succeed(Socket.WebSocketConstructor)((url, options) => {
      const socket = new WebSocket(url, options as Array<string>)
      return socket as unknown as Socket.WebSocketLike
    })
  ],
  ["the global WebSocket", Socket.layerWebSocketConstructorGlobal]
]

const protocol = (key: string, constructor = constructors[0]![1]): Layer.Layer<RpcClient.Protocol> =>
  RpcClient.layerProtocolSocket({ retryPolicy: Schedule.spaced(5), retryTransientErrors: true }).pipe(
    Layer.provide(Socket.layerWebSocket(`${live!.url}/${key}`, { protocols: ["effect-rpc"] })),
    Layer.provide([constructor, RpcSerialization.layerJsonRpc()])
  )

const connected = RpcClient.make(Agent.group(Lab))

/** Runs with Effect's own client of the agent `key`. */
const run = <A, E>(
  key: string,
  use: (client: Effect.Success<typeof connected>) => Effect.Effect<A, E>,
  constructor?: Layer.Layer<Socket.WebSocketConstructor>
): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.provide(Effect.flatMap(connected, use), protocol(key, constructor))))

describe("Effect's own RpcClient", () => {
  it.each(constructors)("asks an agent, over %s", async (_, constructor) => {
    await lab()
    const kept = run("a", (client) => Effect.andThen(client.Note({ n: 1 }), client.Kept()), constructor)
    expect(await kept).toBe(1)
  })

  it("gets a typed error, decoded by the Rpc's Schema", async () => {
    await lab()
    const error = await run("a", (client) => Effect.flip(client.Mute()))
    expect(error).toEqual(new Muted({ until: new Date(0) }))
  })
})
