/**
 * Room: what one client says, the others are told; the last hundred lines are kept.
 *
 * Hosted by examples/host.ts at ws://127.0.0.1:4000/agents/Room/{key}.
 */
import { Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, Agent } from "troupe"

const Line = Schema.Struct({ from: Schema.String, text: Schema.String })

const Room = Agent.make("Room", {
  state: Schema.Struct({ said: Schema.Int, lines: Schema.Array(Line) }),
  clients: [Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int })],
  events: [Rpc.make("Said", { payload: Line })]
})

const kept = 100

export const room = Room.behavior({
  initial: { said: 0, lines: [] },
  idleAfter: "1 minute",
  on: {
    Say: (state, { text }, self) => {
      const line = { from: self.client?.id ?? "inside", text }
      self.broadcast("Said", line, { except: self.client })
      const said = state.said + 1
      return Actor.reply(said, { said, lines: [...state.lines, line].slice(-kept) })
    }
  }
})
