/**
 * Peer `troupe-fn`: this project, with handlers that are an `Effect.fnUntraced` made once, the documented form; the work is one `yield*` in it.
 */
import { Effect } from "effect"
import { Actor } from "troupe"
import type { Handler } from "../Peer.ts"
import {
  type Answer,
  Callback,
  callbackOptions,
  make,
  type MessageSelf,
  run,
  Server,
  serverOptions
} from "./TroupePeer.ts"

export const peer = await make(
  "troupe-fn",
  Callback.behavior({
    ...callbackOptions,
    on: {
      M: Effect.fnUntraced(function* (state: Handler, message: unknown, self: MessageSelf) {
        yield* Effect.sync(() => run(state, message, self))
        return state
      })
    }
  }),
  Server.behavior({
    ...serverOptions,
    on: {
      Ask: Effect.fnUntraced(function* (state: Answer, question: number) {
        const answer = yield* Effect.sync(() => state(question))
        return Actor.reply(answer)
      })
    }
  })
)
