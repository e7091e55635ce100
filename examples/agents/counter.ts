/**
 * Counter: many clients share one agent; each change is told to all of them.
 *
 * Hosted by examples/host.ts at ws://127.0.0.1:4000/agents/Counter/{key}.
 */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, Agent } from "troupe"

/** The count would leave the integers that JSON carries without loss. */
class OutOfRange extends Schema.TaggedError<OutOfRange>()("OutOfRange", { count: Schema.Int }) {}

const Counter = Agent.make("Counter", {
  state: Schema.Struct({ count: Schema.Int }),
  clients: [
    Rpc.make("Increment", { payload: { by: Schema.Int }, success: Schema.Int, error: OutOfRange }),
    Rpc.make("Read", { success: Schema.Int })
  ],
  events: [Rpc.make("Changed", { payload: { count: Schema.Int } })]
})

export const counter = Counter.behavior({
  initial: { count: 0 },
  idleAfter: "1 minute",
  on: {
    Increment: (state, { by }, self) => {
      const count = state.count + by
      if (!Number.isSafeInteger(count)) return Effect.fail(new OutOfRange({ count: state.count }))
      self.broadcast("Changed", { count })
      return Actor.reply(count, { count })
    },
    Read: (state) => Actor.reply(state.count)
  }
})
