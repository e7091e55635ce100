/**
 * Faults in letting clients go: in batches, with their answers and a hint, and counted.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofGateway as at } from "./Fault.ts"

const one = (id: string, law: string, text: string, instead: string): Fault => at(id, law, "Drain.ts", text, instead)

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
  one(
    "drain-forgets-posts",
    "a drain waits for POSTs",
    "connections.size + posts.size > 0 || sessions.underwayAway > 0",
    "connections.size > 0 || sessions.underwayAway > 0"
  ),
  one(
    "drain-forgets-away",
    "and for what sessions that are away asked for",
    "connections.size + posts.size > 0 || sessions.underwayAway > 0",
    "connections.size + posts.size > 0"
  ),
  one(
    "drain-streams-of-away",
    "streams that nobody comes back to hear end at once",
    "    // nobody comes back to hear them\n    sessions.endStreams()\n",
    ""
  ),
  one(
    "drain-streams-of-leavers",
    "nor is waited longer than half for those of one that leaves meanwhile",
    "      for (const { connection } of drained) connection.endStreams()\n      sessions.endStreams()\n",
    "      for (const { connection } of drained) connection.endStreams()\n"
  ),
  one(
    "drain-streams-for-ever",
    "streams end after half of drainTimeout",
    "      for (const { connection } of drained) connection.endStreams()\n",
    ""
  ),
  one(
    "drain-streams-of-late-batches",
    "also those whose turn comes later",
    "        if (impatient) connection.endStreams()\n",
    ""
  ),
  one(
    "drain-streams-of-all",
    "those whose turn has not come stream on",
    "      for (const { connection } of drained) connection.endStreams()\n",
    "      for (const connection of connections) connection.endStreams()\n"
  ),
  one(
    "drain-finished-away-uncounted",
    "what sessions that were away asked for has finished, too",
    "    finished += Math.max(0, owedAway - sessions.underwayAway)\n",
    ""
  ),
  one(
    "drain-cut-is-left",
    "who is cut has not left by itself",
    "left: queue.length - closed - cut,",
    "left: queue.length - closed,"
  ),
  one(
    "drain-away-after-end",
    "sessions are counted before they end",
    '    const { away } = sessions\n    for (let n = 0; n < looksAtCut && connections.size > 0; n++) yield* Effect.sleep(1)\n    sessions.endAll(RESTART, "service restart")\n',
    '    for (let n = 0; n < looksAtCut && connections.size > 0; n++) yield* Effect.sleep(1)\n    sessions.endAll(RESTART, "service restart")\n    const { away } = sessions\n'
  ),
  one(
    "drain-retry-too-early",
    "and not before its clients may",
    "String(Math.max(1, Math.ceil((backAt - now) / 1000)))",
    "String(Math.max(1, Math.floor((backAt - now) / 1000)))"
  ),
  at(
    "drain-retry-with-the-first",
    "who comes while it drains comes behind its last client",
    "Gateway.ts",
    "Drain.schedule(size, drainBatch, drainSpreadMillis).backAt(size)",
    "Drain.schedule(size, drainBatch, drainSpreadMillis).backAt(0)"
  ),
  at(
    "drain-retry-untold",
    "an upgrade is told when to come again",
    "Gateway.ts",
    "Listen.refuse(socket, verdict, this.#headers(verdict))",
    "Listen.refuse(socket, verdict, verdict.headers)"
  ),
  at(
    "drain-lets-in",
    "nobody comes in while it drains",
    "Gateway.ts",
    '    if (this.#draining) return "this host is closing"\n',
    '    if (this.#draining && !returns) return "this host is closing"\n'
  ),
  at(
    "drain-deaf-at-once",
    "it listens until it has drained",
    "Gateway.ts",
    "      this.#heartbeat.stop()\n",
    "      this.#heartbeat.stop()\n      this.#server.close()\n"
  ),
  at(
    "drain-hangs-when-slowed",
    "a connection that was slowed is closed with its last answer",
    "Connection.ts",
    "    if (this.#draining) this.#drained()\n    if (this.pausedSince === undefined) return\n",
    "    if (this.pausedSince === undefined) return\n    if (this.#draining) this.#drained()\n"
  ),
  {
    id: "drain-hangs-behind-last",
    law: "be it the last of its backlog, answered at once",
    edits: [
      [
        "gateway/Connection.ts",
        "    if (this.#draining) this.#drained()\n    if (this.pausedSince",
        "    if (this.pausedSince"
      ],
      [
        "gateway/Connection.ts",
        "    if (this.#resuming) return\n    if (this.#backlog !== undefined) {",
        "    if (this.#draining) this.#drained()\n    if (this.#resuming || this.#closing) return\n    if (this.#backlog !== undefined) {"
      ]
    ]
  },
  {
    id: "drain-reads-on",
    law: "what comes behind the drain is not begun, though there is room again",
    edits: [
      [
        "gateway/Connection.ts",
        "  receive(frame: Buffer, binary: boolean): void {\n    if (this.#closing || this.#draining) return\n",
        "  receive(frame: Buffer, binary: boolean): void {\n    if (this.#closing) return\n"
      ],
      ["gateway/Connection.ts", "      if (!this.#draining) this.#socket.resume()\n", "      this.#socket.resume()\n"]
    ]
  },
  at(
    "drain-leaver-finished",
    "what was cancelled because its client left has not finished",
    "Connection.ts",
    "    this.#owed = this.owing\n",
    ""
  ),
  at(
    "drain-session-waits",
    "the session of one that was let go ends with it",
    "Session.ts",
    "if (this.#closing || left || drained || !this.line.open)",
    "if (this.#closing || left || !this.line.open)"
  ),
  {
    id: "drain-untaken-after-cut",
    law: "a 1012 says nothing of what was written to a connection that was cut before",
    edits: [["client/Calls.ts", "const begun = call.begun || call.cut", "const begun = call.begun"]]
  },
  {
    id: "drain-cut-unnoted",
    law: "what was written to a connection that was cut may have been handled",
    edits: [["client/Calls.ts", "        call.cut = true\n", ""]]
  },
  {
    id: "drain-stream-goes-on",
    law: "a stream of which elements came has lost its rest by a 1012",
    edits: [["client/Calls.ts", " || (code === RESTART && call.begun)) {", ") {"]]
  },
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
    id: "heartbeat-twice",
    law: "no connection is looked at twice in a round",
    edits: [["gateway/Heartbeat.ts", "connection.round === this.#round || ", ""]]
  },
  {
    id: "heartbeat-keeps-the-gone",
    law: "a connection that is gone leaves nothing",
    edits: [
      ["gateway/Heartbeat.ts", "  #round = 0\n", "  #round = 0\n  #kept: unknown\n"],
      ["gateway/Heartbeat.ts", "    this.#round++\n", "    this.#round++\n    this.#kept = connections.values()\n"]
    ]
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
  },
  at(
    "drain-over-the-agent",
    "an agent that closes a client in its last answer has the last word",
    "Connection.ts",
    "    queueMicrotask(() => this.hangUp(RESTART, Drain.reason(this.#backAt, this.#house.now())))\n",
    "    this.hangUp(RESTART, Drain.reason(this.#backAt, this.#house.now()))\n"
  )
]
