/**
 * Echo: one agent a device. Greets, reports on itself, answers what it is sent, hangs up when asked.
 *
 * Hosted by examples/host.ts at ws://127.0.0.1:4000/agents/Echo/{key}.
 */
import { Clock, Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"

const Status = Schema.Struct({ uptimeMillis: Schema.Finite, messages: Schema.Int, state: Schema.String })

const Echo = Agent.make("Echo", {
  state: Schema.Struct({ since: Schema.Finite, messages: Schema.Int }),
  clients: [
    Rpc.make("Hi", { success: Schema.String }),
    Rpc.make("Status", { success: Status }),
    Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.Struct({ text: Schema.String }) }),
    Rpc.make("Disconnect")
  ]
})

type State = typeof Echo.state.Type
const counted = (state: State): State => ({ ...state, messages: state.messages + 1 })

export const echo = Echo.behavior({
  initial: () => Effect.map(Clock.currentTimeMillis, (since) => ({ since, messages: 0 })),
  idleAfter: "1 minute",
  on: {
    Hi: (state, _, self) => Actor.reply(`hi, this is ${self.key}`, counted(state)),
    Status: Effect.fnUntraced(function* (state: State, _: void, self) {
      const now = yield* Clock.currentTimeMillis
      const next = counted(state)
      const lifecycle = (yield* ActorSystem).state(self.ref)
      return Actor.reply({ uptimeMillis: now - state.since, messages: next.messages, state: lifecycle }, next)
    }),
    Echo: (state, { text }) => Actor.reply({ text }, counted(state)),
    Disconnect: (state, _, self) => {
      if (self.client !== undefined) self.close(self.client, 1000, "bye")
      return counted(state)
    }
  }
})
