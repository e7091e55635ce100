/**
 * A peer out of Troupe's public API, every actor named, supervised and bounded as a user's are; the form of the handlers is the caller's.
 *
 * One behaviour serves all actors; the scenario's callback is its state. Inside a handler a send goes through `self`, so it is staged; outside it is
 * `tellUnsafe`, and a refusal throws. What a handler sends to a full mailbox is a dead letter, which the scenario's count gives away.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem, type Behavior, type Self } from "troupe"
import type { Handler, Peer, Ref } from "../Peer.ts"

const Message = Rpc.make("M", { payload: Schema.Unknown })
const Question = Rpc.make("Ask", { payload: Schema.Number, success: Schema.Number })

type Client = ActorRef<typeof Message>
export type MessageSelf = Self<typeof Message>
export type Answer = (question: number) => number

export const Callback = Actor.make("A", {
  state: Schema.declare((u: unknown): u is Handler => typeof u === "function"),
  protocol: [Message]
})

export const Server = Actor.make("Server", {
  state: Schema.declare((u: unknown): u is Answer => typeof u === "function"),
  protocol: [Question]
})

/** Whose handler is on the stack, if any. */
let current: MessageSelf | undefined

/** Runs the scenario's callback, from inside a handler. */
export const run = (handler: Handler, message: unknown, self: MessageSelf) => {
  current = self
  handler(message, self.ref)
  current = undefined
}

const mailbox = { capacity: 1024, overflow: "fail" } as const

export const callbackOptions = { initial: (_key: string, _self: unknown, input: Handler) => input, mailbox }
export const serverOptions = { initial: (_key: string, _self: unknown, input: Answer) => input, mailbox }

export const make = async (
  name: string,
  callback: Behavior<typeof Message, never, Handler, Handler>,
  server: Behavior<typeof Question, never, Answer, Answer>
): Promise<Peer> => {
  const runtime = ManagedRuntime.make(ActorSystem.layer)
  const system = await runtime.runPromise(
    Effect.gen(function* () {
      return yield* ActorSystem
    })
  )
  return {
    name,
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
}
