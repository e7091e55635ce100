/**
 * Peer `effect-queue`: what one writes by hand with Effect: an actor is a fiber that takes from a bounded Queue of its own.
 *
 * It takes all that is there at once, which is two to three times as fast as one by one. A send to a full queue suspends the sender after its
 * handler, so nothing is lost and a producer is held back. Fibers and queues share one dispatcher, as if one fiber had made them all: each with its own
 * would cost a `setImmediate` a hand-over (ping-pong 0.04 instead of 0.28 M/s).
 */
import { Context, Deferred, Effect, Queue, Scheduler } from "effect"
import type { Handler, Peer, Ref } from "../Peer.ts"

interface Actor {
  readonly queue: Queue.Queue<unknown>
  readonly handler: Handler
  alive: boolean
}

interface Question {
  readonly question: number
  readonly reply: Deferred.Deferred<number>
}

class OneDispatcher extends Scheduler.MixedScheduler {
  readonly #dispatcher = super.makeDispatcher()

  override makeDispatcher() {
    return this.#dispatcher
  }
}

const context = Context.make(Scheduler.Scheduler, new OneDispatcher())
const fork = Effect.runForkWith(context)
const capacity = 1024
const names = new Map<string, Actor>()

/** What the handler on the stack could not send at once; undefined outside of handlers. */
let held: Array<Effect.Effect<boolean>> | undefined
const none: Array<Effect.Effect<boolean>> = []

const loop = Effect.fnUntraced(function* (actor: Actor) {
  while (actor.alive) {
    for (const message of yield* Queue.takeAll(actor.queue)) {
      held = none
      actor.handler(message, actor)
      const waiting = held
      held = undefined
      if (waiting !== none) for (const offer of waiting) yield* offer
    }
  }
})

const tell = (to: Ref, message: unknown) => {
  const { queue } = to as Actor
  if (held !== undefined && held !== none) held.push(Queue.offer(queue, message))
  else if (Queue.offerUnsafe(queue, message)) return
  else if (held === none) held = [Queue.offer(queue, message)]
  else fork(Queue.offer(queue, message))
}

export const peer: Peer = {
  name: "effect-queue",
  spawn: (handler, number) => {
    const actor: Actor = { queue: Effect.runSyncWith(context)(Queue.bounded<unknown>(capacity)), handler, alive: true }
    if (number !== undefined) names.set("a" + number, actor)
    fork(loop(actor))
    return actor
  },
  tell,
  stop: (self) => {
    ;(self as Actor).alive = false
  },
  server: (answer) => {
    const queue = Effect.runSyncWith(context)(Queue.bounded<Question>(capacity))
    fork(
      Effect.gen(function* () {
        while (true) {
          for (const { question, reply } of yield* Queue.takeAll(queue))
            yield* Deferred.succeed(reply, answer(question))
        }
      })
    )
    return queue
  },
  client: (server, questions) =>
    Effect.runPromiseWith(context)(
      Effect.gen(function* () {
        const queue = server as Queue.Queue<Question>
        let right = 0
        for (let i = 0; i < questions; i++) {
          const reply = yield* Deferred.make<number>()
          yield* Queue.offer(queue, { question: i, reply })
          if ((yield* Deferred.await(reply)) === i + 1) right++
        }
        return right
      })
    )
}
