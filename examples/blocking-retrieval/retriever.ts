/** An agent that answers questions from its passages by a model that blocks: the call runs on a worker thread, its turn waits. */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor } from "troupe"
import { Offload } from "troupe/compute"
import type * as Model from "./model.ts"

const model = Offload.module<typeof Model>(new URL("./model.ts", import.meta.url))

/** `began` and `ended`: when the model did, in epoch milliseconds. */
const Found = Schema.Struct({ passage: Schema.String, began: Schema.Finite, ended: Schema.Finite })
class NoModel extends Schema.TaggedError<NoModel>()("NoModel", { why: Schema.String }) {}

const Retriever = Actor.make("Retriever", {
  state: Schema.Struct({ passages: Schema.Array(Schema.String), answered: Schema.Int }),
  protocol: [
    Rpc.make("Retrieve", {
      payload: { question: Schema.String, millis: Schema.Finite },
      success: Found,
      error: NoModel
    })
  ]
})

export const retriever = (passages: ReadonlyArray<string>) =>
  Retriever.behavior({
    initial: { passages, answered: 0 },
    on: {
      *Retrieve(state, { millis, question }) {
        const found = yield* Offload.call(model, "best", [question, state.passages, millis]).pipe(
          Effect.mapError(({ message }) => new NoModel({ why: message }))
        )
        return Actor.reply(found, { ...state, answered: state.answered + 1 })
      }
    }
  })
