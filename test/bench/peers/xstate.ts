/**
 * Peer `xstate`: an actor of XState each, from a transition function, the leanest logic that it has; the scenario's callback is its context.
 *
 * XState's mailboxes have no bound and it delivers on the sender's stack, so that an actor that sends to itself holds the event loop for as long as
 * it does so. It has no ask: the question carries where the answer goes.
 */
import { type ActorRef, createActor, type EventObject, fromTransition, type Snapshot } from "xstate"
import type { Handler, Peer, Ref } from "../Peer.ts"

interface Message extends EventObject {
  readonly type: "M"
  readonly message: unknown
}
type Target = ActorRef<Snapshot<unknown>, Message> & { readonly stop: () => unknown }

interface Context {
  readonly handler: Handler
}

const callback = fromTransition(
  (state: Context, event: Message, { self }) => {
    if (event.type === "M") state.handler(event.message, self) // not so: XState's own, when it stops
    return state
  },
  ({ input }: { input: Context }) => input
)

const spawn = (handler: Handler, number?: number): Ref =>
  createActor(callback, { input: { handler }, ...(number !== undefined && { id: "a" + number }) }).start()

const tell = (to: Ref, message: unknown) => (to as Target).send({ type: "M", message })

export const peer: Peer = {
  name: "xstate",
  spawn,
  tell,
  stop: (self) => (self as Target).stop(),
  server: (answer) => spawn((message) => message.reply(answer(message.question))),
  client: async (server, questions) => {
    let right = 0
    for (let i = 0; i < questions; i++) {
      const answer = await new Promise((reply) => tell(server, { question: i, reply }))
      if (answer === i + 1) right++
    }
    return right
  }
}
