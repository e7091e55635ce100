/**
 * Peer `troupe-sync`: this project, with handlers that return an `Effect.sync` made anew for each message.
 */
import { Effect } from "effect"
import { Actor } from "troupe"
import { Callback, callbackOptions, make, run, Server, serverOptions } from "./TroupePeer.ts"

export const peer = await make(
  "troupe-sync",
  Callback.behavior({
    ...callbackOptions,
    on: {
      M: (state, message, self) =>
        Effect.sync(() => {
          run(state, message, self)
          return state
        })
    }
  }),
  Server.behavior({
    ...serverOptions,
    on: { Ask: (state, question) => Effect.sync(() => Actor.reply(state(question))) }
  })
)
