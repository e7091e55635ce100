/**
 * A client of an agent's: calls typed by the definition, a typed error, events, and a host that restarts in between.
 *
 * In a browser it is the same, with `import type` of the definition: the bundle gets the client and nothing else.
 *
 * Run: npx tsx examples/55-client.ts
 *
 * Expected output:
 *   heard hello
 *   line 1
 *   refused: Silence, until 1970-01-01T00:00:01.000Z
 *   open, waiting, connecting, open
 *   line 1 of the next life
 */
import { Context, Effect, Exit, Layer, Schema, Scope } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { connect } from "troupe/client"
import { Gateway } from "troupe/gateway"

class Silence extends Schema.TaggedError<Silence>()("Silence", { until: Schema.Date }) {}

const Room = Agent.make("Room", {
  state: Schema.Struct({ lines: Schema.Int }),
  clients: [Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int, error: Silence })],
  events: [Rpc.make("Said", { payload: { text: Schema.String } })]
})

const room = Room.behavior({
  initial: { lines: 0 },
  on: {
    Say: (state, { text }, self) => {
      if (text === "noise") return Effect.fail(new Silence({ until: new Date(1000) }))
      self.broadcast("Said", { text })
      return Actor.reply(state.lines + 1, { lines: state.lines + 1 })
    }
  }
})

const host = async (port: number) => {
  const scope = Scope.makeUnsafe()
  const layer = Gateway.layer({ port, agents: [room] }).pipe(Layer.provideMerge(ActorSystem.layer))
  const { url, port: taken } = Context.get(await Effect.runPromise(Layer.buildWithScope(layer, scope)), Gateway)
  return { url, port: taken, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const first = await host(0)
const lobby = connect<typeof Room>({ url: first.url, type: "Room", key: "lobby" })
const states: Array<string> = []
lobby.onStatus(({ state }) => states.push(state))
const off = lobby.on("Said", ({ text }) => console.log(`heard ${text}`))

console.log(`line ${await lobby.ask("Say", { text: "hello" })}`)
off()
await lobby.ask("Say", { text: "noise" }).catch((error: unknown) => {
  if (!lobby.failed("Say", error)) throw error
  console.log(`refused: ${error.data._tag}, until ${error.data.until}`) // a Date travels as text
})

await first.stop() // closes 1012: the client comes back by itself, and what is asked meanwhile waits
const answer = lobby.ask("Say", { text: "anybody?" })
const second = await host(first.port)
const line = await answer
console.log(states.slice(0, 2).concat(states.slice(-2)).join(", "))
console.log(`line ${line} of the next life`)
lobby.close()
await second.stop()
