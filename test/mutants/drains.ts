/**
 * Faults in letting clients go: in batches, with their answers and a hint, and counted.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import type { Fault } from "./Fault.ts"

const one = (id: string, law: string, text: string, instead: string): Fault => ({
  id,
  law,
  edits: [["gateway/Drain.ts", text, instead]]
})

export const drains: ReadonlyArray<Fault> = [
  one(
    "drain-all-at-once",
    "those whose batch has not come are served as ever",
    "beganAt + goesAt(turn) <= now()",
    "goesAt(turn) <= now()"
  ),
  one(
    "drain-back-early",
    "nobody is hinted to be back before the last batch has gone",
    "spread + (n / connections) * spread",
    "(n / connections) * spread"
  ),
  one(
    "drain-hint-from-the-past",
    "a hint counts from the close frame on",
    "Math.ceil(backAt - now)",
    "Math.ceil(backAt)"
  ),
  one("drain-loss-uncounted", "what was read and not answered is told", "lost += connection.owing", "lost += 0"),
  one(
    "drain-away-uncounted",
    "requests of sessions that are away are told",
    "0, 0, sessions.underwayAway + posts.size, 0",
    "0, 0, posts.size, 0"
  ),
  one("drain-unsent-uncounted", "bytes that were not taken are told", "unsentBytes += connection.outbox.unsent", ""),
  one("drain-never-cuts", "after drainTimeout the rest is cut", "now() < beganAt + drainMillis)", "now() < Infinity)"),
  one("drain-keeps-sessions", "sessions end with their host", 'sessions.endAll(RESTART, "service restart")', ""),
  {
    id: "drain-overtakes-answers",
    law: "what was read is answered before 1012",
    edits: [
      [
        "gateway/Connection.ts",
        "if (this.#unfinished > 0 || this.#backlog !== undefined || !this.#conversation.quiet) return",
        ""
      ]
    ]
  },
  {
    id: "heartbeat-in-step",
    law: "a round's length is left to chance",
    edits: [["gateway/Heartbeat.ts", "0.8 + 0.4 * random", "1 + 0 * random"]]
  },
  {
    id: "heartbeat-skips",
    law: "each connection is looked at once a round",
    edits: [["gateway/Heartbeat.ts", "Math.ceil(connections.size / slices)", "Math.floor(connections.size / slices)"]]
  },
  {
    id: "retry-hint-ignored",
    law: "a client comes back no earlier than it was told",
    edits: [["client/Link.ts", "const delayMillis = hint + ", "const delayMillis = "]]
  }
]
