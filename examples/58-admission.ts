/**
 * Who may come in: a token is looked up before the upgrade, everybody reaches his own inbox, and what a token allows ends.
 *
 * `authenticate` and `authorize` are Effects with services of yours; over HTTP and WebSockets alike. When a principal expires
 * its connections are closed 4401; a client with a `credential` fetches a new one and comes back.
 *
 * Run: npx tsx examples/58-admission.ts
 *
 * Expected output:
 *   nobody: 401
 *   ada at bob's: 403
 *   ada's inbox holds 1
 *   ada's inbox holds 2
 *   asked for a token 2 times
 */
import { Clock, Context, Effect, Layer, Redacted, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { connect } from "troupe/client"
import { Gateway, type Principal, Unauthorized } from "troupe/gateway"

class Tokens extends Context.Service<Tokens, Map<string, Principal>>()("Tokens") {}

const issue = Effect.fnUntraced(function* (id: string, millis: number) {
  const token = crypto.randomUUID()
  ;(yield* Tokens).set(token, { id, expiresAt: (yield* Clock.currentTimeMillis) + millis })
  return token
})

const Inbox = Agent.make("Inbox", {
  state: Schema.Struct({ letters: Schema.Int }),
  clients: [Rpc.make("Post", { payload: { text: Schema.String }, success: Schema.String })]
})

const inbox = Inbox.behavior({
  initial: { letters: 0 },
  on: {
    Post: ({ letters }, _, self) =>
      Actor.reply(`${self.client?.principal?.id}'s inbox holds ${letters + 1}`, { letters: letters + 1 })
  }
})

const gateway = Gateway.layer({
  port: 0,
  agents: [inbox],
  authenticate: ({ token }) =>
    Effect.flatMap(Tokens, (tokens) => {
      const known = token && tokens.get(Redacted.value(token))
      return known ? Effect.succeed(known) : Effect.fail(new Unauthorized({}))
    }),
  authorize: ({ id }, _type, key) => Effect.succeed(key === id)
})

const program = Effect.gen(function* () {
  const { url } = yield* Gateway
  const post = (key: string, token: string) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const http = `${url.replace("ws", "http")}/agents/Inbox/${key}`
    return Effect.promise(() => fetch(http, { method: "POST", headers, body: "{}" }))
  }
  console.log(`nobody: ${(yield* post("ada", "none")).status}`)
  console.log(`ada at bob's: ${(yield* post("bob", yield* issue("ada", 60_000))).status}`)

  const context = yield* Effect.context<Tokens>()
  let asked = 0
  // the first one is short
  const credential = () => Effect.runPromiseWith(context)(issue("ada", asked++ === 0 ? 300 : 60_000))
  const client = connect<typeof Inbox>({ url, type: "Inbox", key: "ada" }, { credential })
  const ask = (text: string) => Effect.promise(() => client.ask("Post", { text }))
  console.log(yield* ask("one"))
  yield* Effect.callback<void>((resume) => void client.onStatus(({ state }) => state === "open" && resume(Effect.void)))
  console.log(yield* ask("two"))
  console.log(`asked for a token ${asked} times`)
  client.close()
})

const both = gateway.pipe(Layer.provide(ActorSystem.layer), Layer.provideMerge(Layer.sync(Tokens, () => new Map())))
await Effect.runPromise(Effect.provide(program, both))
