/**
 * Peer `troupe`: this project through its public API, every actor named, supervised and bounded as a user's are.
 *
 * One behaviour serves all actors; the scenario's callback is its state. Inside a handler a send goes through `self`, so it is staged; outside it is
 * `tellUnsafe`, and a refusal throws. What a handler sends to a full mailbox is a dead letter, which the scenario's count gives away.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem, type Self } from "troupe"
import type { Handler, Peer, Ref } from "../Peer.ts"

const Message = Rpc.make("M", { payload: Schema.Unknown })
const Question = Rpc.make("Ask", { payload: Schema.Number, success: Schema.Number })

type Answer = (question: number) => number

type Client = ActorRef<typeof Message>

/** Whose handler is on the stack, if any. */
let current: Self<typeof Message> | undefined

const mailbox = { capacity: 1024, overflow: "fail" } as const

const callback = Actor.make("A", {
  state: Schema.declare((u: unknown): u is Handler => typeof u === "function"),
  protocol: [Message]
}).behavior({
  initial: (_key, _self, input: Handler) => input,
  mailbox,
  on: {
    M: (state, message, self) => {
      current = self
      state(message, self.ref)
      current = undefined
      return state
    }
  }
})

const server = Actor.make("Server", {
  state: Schema.declare((u: unknown): u is Answer => typeof u === "function"),
  protocol: [Question]
}).behavior({
  initial: (_key, _self, input: Answer) => input,
  mailbox,
  on: { Ask: (state, question) => Actor.reply(state(question)) }
})

const runtime = ManagedRuntime.make(ActorSystem.layer)
const system = await runtime.runPromise(
  Effect.gen(function* () {
    return yield* ActorSystem
  })
)

export const peer: Peer = {
  name: "troupe",
  spawn: (handler, number) =>
    system.spawnUnsafe(callback, number === undefined ? undefined : "a" + number, { input: handler }),
  tell: (to: Ref, message: unknown) => {
    if (current !== undefined) return current.send(to as Client, "M", message)
    const offer = (to as Client).tellUnsafe("M", message)
    if (offer !== "accepted") throw new Error(`a message was refused: ${offer}`)
  },
  stop: () => current?.stop(),
  server: (answer) => system.spawnUnsafe(server, undefined, { input: answer }),
  client: (to, questions) =>
    runtime.runPromise(
      Effect.gen(function* () {
        const ref = to as ActorRef<typeof Question>
        let right = 0
        for (let i = 0; i < questions; i++) if ((yield* ref.ask("Ask", i)) === i + 1) right++
        return right
      })
    )
}
