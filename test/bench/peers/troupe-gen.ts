/**
 * Peer `troupe-gen`: this project, with handlers that return a fresh `Effect.gen` a message; the work is one `yield*` in it.
 */
import { Effect } from "effect"
import { Actor } from "troupe"
import { Callback, callbackOptions, make, run, Server, serverOptions } from "./TroupePeer.ts"

export const peer = await make(
  "troupe-gen",
  Callback.behavior({
    ...callbackOptions,
    on: {
      M: (state, message, self) =>
        Effect.gen(function* () {
          yield* Effect.sync(() => run(state, message, self))
          return state
        })
    }
  }),
  Server.behavior({
    ...serverOptions,
    on: {
      Ask: (state, question) =>
        Effect.gen(function* () {
          const answer = yield* Effect.sync(() => state(question))
          return Actor.reply(answer)
        })
    }
  })
)
