/** The agents that clients reach, long-lived and mostly asleep, and one that computes without end, to see what that does to them. */
import { Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, Agent } from "troupe"

const State = Schema.Struct({ name: Schema.String, handled: Schema.Int })

export const Assistant = Agent.make("Assistant", {
  state: State,
  clients: [
    Rpc.make("Hi", { payload: { name: Schema.String }, success: Schema.String }),
    Rpc.make("Status", { success: State }),
    Rpc.make("Echo", { payload: { text: Schema.String }, success: Schema.String }),
    Rpc.make("Disconnect")
  ]
})

const counted = (state: typeof State.Type, name = state.name) => ({ name, handled: state.handled + 1 })

export const assistant = Assistant.behavior({
  initial: { name: "nobody", handled: 0 },
  idleAfter: "500 millis",
  on: {
    Hi: (state, { name }, self) => Actor.reply(`hi ${name}, this is ${self.key}`, counted(state, name)),
    Status: (state) => Actor.reply(counted(state), counted(state)),
    Echo: (state, { text }) => Actor.reply(text, counted(state)),
    Disconnect: (state, _, self) => {
      if (self.client !== undefined) self.close(self.client, 1000, "bye")
      self.stop()
      return counted(state)
    }
  }
})

/** How long the busy one holds the loop with each message. */
export const busyMicros = 50

const Busy = Actor.make("Busy", {
  state: Schema.Struct({ computed: Schema.Int, enough: Schema.Boolean }),
  protocol: [Rpc.make("Compute"), Rpc.make("Enough", { success: Schema.Int })]
})

/** What it is sent goes round and round, so that its mailbox is never empty, until it is told that it is enough. */
export const busy = Busy.behavior({
  initial: { computed: 0, enough: false },
  on: {
    Compute: (state, _, self) => {
      if (state.enough) return state
      const until = performance.now() + busyMicros / 1000
      while (performance.now() < until);
      self.send(self.ref, "Compute")
      return { ...state, computed: state.computed + 1 }
    },
    Enough: (state) => Actor.reply(state.computed, { ...state, enough: true })
  }
})
