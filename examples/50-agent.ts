/**
 * An agent of your own on a WebSocket: a room, its host, and a client that calls it.
 *
 * Run: npx tsx examples/50-agent.ts
 *
 * Expected output:
 *   {"jsonrpc":"2.0","method":"Said","params":{"text":"hello"}}
 *   {"jsonrpc":"2.0","id":1,"result":1}
 */
import { Effect, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { Gateway } from "troupe/gateway"
import { WebSocket } from "ws"

const Room = Agent.make("Room", {
  state: Schema.Struct({ lines: Schema.Array(Schema.String) }),
  clients: [Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int })],
  events: [Rpc.make("Said", { payload: { text: Schema.String } })]
})

const room = Room.behavior({
  initial: { lines: [] },
  on: {
    Say: (state, { text }, self) => {
      self.broadcast("Said", { text })
      const lines = [...state.lines, text]
      return Actor.reply(lines.length, { lines })
    }
  }
})

const client = (url: string) =>
  Effect.callback<void>((resume) => {
    const ws = new WebSocket(`${url}/agents/Room/lobby`)
    ws.on("open", () => ws.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Say", params: { text: "hello" } })))
    ws.on("message", (frame: Buffer) => {
      console.log(frame.toString())
      if ("result" in JSON.parse(frame.toString())) ws.close()
    })
    ws.on("close", () => resume(Effect.void))
  })

const program = Effect.gen(function* () {
  const { url } = yield* Gateway // a host that serves for ever goes on with `return yield* Effect.never`
  yield* client(url)
})

const gateway = Gateway.layer({ port: 0, agents: [room] }) // 0: any free port
await Effect.runPromise(program.pipe(Effect.provide(gateway.pipe(Layer.provideMerge(ActorSystem.layer)))))
