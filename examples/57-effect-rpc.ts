/**
 * Effect's own `RpcClient` against an agent: subprotocol `effect-rpc`.
 *
 * What clients may call is an `RpcGroup`, so a program that is written in Effect needs no other client: answers are
 * decoded, typed errors are errors, streams are Streams, interruption reaches the handler.
 *
 * Run: npx tsx examples/57-effect-rpc.ts
 *
 * Expected output:
 *   line 1
 *   refused until 1970
 *   heard 3, 2, 1
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { Rpc, RpcClient, RpcSerialization } from "effect/rpc"
import { Socket } from "effect/socket"
import { Actor, ActorSystem, Agent } from "troupe"
import { Gateway } from "troupe/gateway"

class Silence extends Schema.TaggedError<Silence>()("Silence", { until: Schema.Date }) {}

const Room = Agent.make("Room", {
  state: Schema.Struct({ lines: Schema.Int }),
  clients: [
    Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int, error: Silence }),
    Rpc.make("Countdown", { payload: { from: Schema.Int }, success: Schema.Int, stream: true })
  ]
})

const room = Room.behavior({
  initial: { lines: 0 },
  on: {
    Say: (state, { text }) => {
      if (text === "noise") return Effect.fail(new Silence({ until: new Date(0) }))
      return Actor.reply(state.lines + 1, { lines: state.lines + 1 })
    },
    Countdown: (_, { from }) => Stream.map(Stream.range(1, from), (n) => from + 1 - n)
  }
})

const program = Effect.gen(function* () {
  const client = yield* RpcClient.make(Agent.group(Room))
  console.log(`line ${yield* client.Say({ text: "hello" })}`)
  const refused = yield* Effect.flip(client.Say({ text: "noise" }))
  if (refused._tag === "Silence") console.log(`refused until ${refused.until.getUTCFullYear()}`)
  const heard = yield* Stream.runCollect(client.Countdown({ from: 3 }))
  console.log(`heard ${heard.join(", ")}`)
})

const lobby = (url: string) =>
  RpcClient.layerProtocolSocket().pipe(
    Layer.provide(Socket.layerWebSocket(`${url}/agents/Room/lobby`, { protocols: "effect-rpc" })),
    Layer.provide([Socket.layerWebSocketConstructorGlobal, RpcSerialization.layerJsonRpc()])
  )

const both = Effect.gen(function* () {
  const { url } = yield* Gateway
  yield* Effect.scoped(Effect.provide(program, lobby(url)))
})

const host = Gateway.layer({ port: 0, agents: [room] }).pipe(Layer.provide(ActorSystem.layer))
await Effect.runPromise(Effect.provide(both, host))
