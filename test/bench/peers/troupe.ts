/**
 * Peer `troupe`: this project, with plain handlers.
 */
import { Actor } from "troupe"
import { Callback, callbackOptions, make, run, Server, serverOptions } from "./TroupePeer.ts"

export const peer = await make(
  "troupe",
  Callback.behavior({
    ...callbackOptions,
    on: {
      M: (state, message, self) => {
        run(state, message, self)
        return state
      }
    }
  }),
  Server.behavior({ ...serverOptions, on: { Ask: (state, question) => Actor.reply(state(question)) } })
)
