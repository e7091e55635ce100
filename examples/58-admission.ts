/**
 * Who may come in: a token is looked up before the upgrade, everybody reaches an inbox of his own, and what a token allows ends.
 *
 * `authenticate` and `authorize` are Effects with your services; over HTTP and WebSockets alike. When a principal expires, its
 * connections are closed 4401; a client with a `credential` fetches a new one and comes back, with its session.
 *
 * Run: npx tsx examples/58-admission.ts
 *
 * Expected output:
 *   nobody: 401
 *   ada at bob's: 403
 *   ada's inbox holds 1
 *   asked for a token 2 times
 *   ada's inbox holds 2
 */
import { Clock, Context, Effect, Layer, Redacted, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { connect } from "troupe/client"
import { Gateway, Unauthorized } from "troupe/gateway"

/** Tokens, and whose they are. */
class Tokens extends Context.Service<
  Tokens,
  {
    readonly issue: (id: string, millis: number) => Effect.Effect<string>
    readonly owner: (token: string) => Effect.Effect<{ readonly id: string; readonly expiresAt: number } | undefined>
  }
>()("Tokens") {}

const tokens = Layer.sync(Tokens, () => {
  const issued = new Map<string, { readonly id: string; readonly expiresAt: number }>()
  return Tokens.of({
    issue: (id, millis) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const token = crypto.randomUUID()
        issued.set(token, { id, expiresAt: now + millis })
        return token
      }),
    owner: (token) => Effect.sync(() => issued.get(token))
  })
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
    Effect.gen(function* () {
      const { owner } = yield* Tokens
      const known = token === undefined ? undefined : yield* owner(Redacted.value(token))
      return known ?? (yield* new Unauthorized({}))
    }),
  authorize: ({ id }, _type, key) => Effect.succeed(key === id)
})

const program = Effect.gen(function* () {
  const { url } = yield* Gateway
  const { issue } = yield* Tokens

  const post = (key: string, token?: string) =>
    Effect.promise(() =>
      fetch(`${url.replace("ws", "http")}/agents/Inbox/${key}`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(token !== undefined && { authorization: `Bearer ${token}` })
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Post", params: { text: "hi" } })
      })
    )
  console.log(`nobody: ${(yield* post("ada")).status}`)
  const token = yield* issue("ada", 60_000)
  console.log(`ada at bob's: ${(yield* post("bob", token)).status}`)

  let asked = 0
  // the first one is short
  const credential = () => Effect.runPromise(issue("ada", asked++ === 0 ? 300 : 60_000))
  const client = connect<typeof Inbox>({ url, type: "Inbox", key: "ada" }, { credential })
  console.log(yield* Effect.promise(() => client.ask("Post", { text: "one" })))
  const back = new Promise<void>((resolve) => {
    client.onStatus(({ state }) => state === "open" && asked > 1 && resolve())
  })
  yield* Effect.promise(() => back)
  console.log(`asked for a token ${asked} times`)
  console.log(yield* Effect.promise(() => client.ask("Post", { text: "two" })))
  client.close()
})

await Effect.runPromise(
  Effect.provide(program, gateway.pipe(Layer.provide(ActorSystem.layer), Layer.provideMerge(tokens)))
)
