/**
 * The inside of a host: a room that writes to inboxes nobody has opened yet, and a supervised worker that both may ask.
 *
 * `protocol` is what only actors may send, `clients` what connections may call. A name is enough to send to a hosted agent:
 * its first message brings it to life, as a connection does.
 *
 * Run: npx tsx examples/52-inside.ts
 *
 * Expected output:
 *   heard lunch?
 *   6 characters
 *   bob has 1: lunch?
 *   a client may not deliver: -32601
 */
import { Effect, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem, Agent, Supervisor } from "troupe"
import { connect, RpcError } from "troupe/client"
import { Gateway } from "troupe/gateway"

const Measure = Rpc.make("Measure", { payload: { text: Schema.String }, success: Schema.Int })
const Worker = Actor.make("Worker", { state: Schema.Void, protocol: [Measure] })
const worker = Worker.behavior({ initial: undefined, on: { Measure: (_, { text }) => Actor.reply(text.length) } })
const workers = Supervisor.make("Workers", { strategy: "one_for_one", children: [{ id: "one", behavior: worker }] })

const Inbox = Agent.make("Inbox", {
  state: Schema.Array(Schema.String),
  clients: [Rpc.make("Read", { success: Schema.Array(Schema.String) })],
  protocol: [Rpc.make("Deliver", { payload: { text: Schema.String } })]
})
const inbox = Inbox.behavior({
  initial: [],
  on: { Read: (letters) => Actor.reply(letters), Deliver: (letters, { text }) => [...letters.slice(-99), text] }
})

const Room = Agent.make("Room", {
  state: Schema.Void,
  clients: [Rpc.make("Say", { payload: { text: Schema.String, to: Schema.String }, success: Schema.Int })],
  events: [Rpc.make("Said", { payload: { text: Schema.String } })]
})
const room = (measures: ActorRef<typeof Measure>) =>
  Room.behavior({
    initial: undefined,
    on: {
      *Say(_, { text, to }, self) {
        self.broadcast("Said", { text })
        self.send(Inbox.at(to), "Deliver", { text })
        return Actor.reply(yield* Effect.orDie(self.ask(measures, "Measure", { text })))
      }
    }
  })

const gateway = Layer.unwrap(
  Effect.gen(function* () {
    const root = yield* ActorSystem.spawn(workers, "main")
    return Gateway.layer({ port: 0, agents: [inbox, room(Worker.at("one", root))] })
  })
)
const program = Effect.gen(function* () {
  const { url } = yield* Gateway
  const lobby = connect<typeof Room>(`${url}/agents/Room/lobby`)
  lobby.on("Said", ({ text }) => console.log(`heard ${text}`))
  console.log(`${yield* Effect.promise(() => lobby.ask("Say", { text: "lunch?", to: "bob" }))} characters`)
  const bob = connect<typeof Inbox>(`${url}/agents/Inbox/bob`)
  const letters = yield* Effect.promise(() => bob.ask("Read"))
  console.log(`bob has ${letters.length}: ${letters[0]}`)
  const told = yield* Effect.promise(() => bob.ask("Deliver" as never).catch((error: unknown) => error))
  if (told instanceof RpcError) console.log(`a client may not deliver: ${told.code}`)
  for (const client of [lobby, bob]) client.close()
})

await Effect.runPromise(Effect.provide(program, gateway.pipe(Layer.provide(ActorSystem.layer))))
