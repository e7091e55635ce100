/**
 * Peer `nact`: an actor of nact each, its handler's state the scenario's callback.
 *
 * nact's mailboxes have no bound. Its refs are what travels in messages; every message waits for a `setImmediate`, by nact's design.
 */
/** @import { Peer, Ref } from "../Peer.ts" */
/** @import { ActorRef } from "nact" */
import { dispatch, query, spawn, start, stop } from "nact"

const system = start()

/** @type {Peer} */
export const peer = {
  name: "nact",
  spawn: (handler, number) =>
    spawn(
      system,
      (state, message, context) => {
        state(message, context.self)
        return state
      },
      number === undefined ? undefined : "a" + number,
      { initialState: handler }
    ),
  tell: (to, message) => dispatch(/** @type {ActorRef} */ (to), message),
  stop: (self) => stop(/** @type {ActorRef} */ (self)),
  server: (answer) =>
    spawn(
      system,
      (state, { from, question }) => {
        dispatch(from, state(question))
        return state
      },
      undefined,
      { initialState: answer }
    ),
  client: async (server, questions) => {
    const to = /** @type {ActorRef} */ (server)
    let right = 0
    for (let i = 0; i < questions; i++) {
      if ((await query(to, (from) => ({ from, question: i }), 60_000)) === i + 1) right++
    }
    return right
  }
}
