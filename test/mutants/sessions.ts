/**
 * Faults in sessions: what is kept for a client that is away, said of what is not, and handled once; in floods, and pages.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofGateway as one } from "./Fault.ts"

export const sessions: ReadonlyArray<Fault> = [
  one(
    "session-answer-not-kept",
    "an answer while the client is away is lost",
    "Session.ts",
    "if (!this.#ended) this.#send(this.feed.keep(frame, this))",
    "if (!this.away && !this.#ended) this.#send(this.feed.keep(frame, this))"
  ),
  one(
    "session-replays-all",
    "frames that were seen are replayed",
    "Ring.ts",
    "if (kept.seq > cursor) found.push(kept)",
    "found.push(kept)"
  ),
  one(
    "session-replays-others",
    "what one session asks for is kept apart from another's",
    "Feed.ts",
    "reader.own ??= new Ring(reader, this.#house)",
    "reader.own ??= [...this.readers].find(({ own }) => own)?.own ?? new Ring(reader, this.#house)"
  ),
  one(
    "session-replays-excepted",
    "a session is replayed a broadcast that left it out",
    "Feed.ts",
    "broadcasts.filter(({ except }) => !except.includes(reader))",
    "broadcasts"
  ),
  one(
    "session-replays-before",
    "a session is replayed what was broadcast before it joined",
    "Feed.ts",
    "after(Math.max(cursor, reader.joined))",
    "after(cursor)"
  ),
  one(
    "session-gap-unsaid",
    "a gap of broadcasts is not said",
    "Feed.ts",
    "return reader.joined !== undefined && this.#droppedOf(reader) > Math.max(cursor, reader.joined)",
    "return false"
  ),
  one(
    "session-gap-always",
    "what another session has lost is called a gap",
    "Session.ts",
    "    this.missed = seq\n",
    "    for (const reader of this.feed.readers) (reader as Session).missed = seq\n"
  ),
  one(
    "session-ring-unbounded",
    "3: a ring is bounded by count",
    "Ring.ts",
    '    while (this.size > limits.maxReplay) this.#evict("count")\n',
    ""
  ),
  one(
    "session-ring-bytes",
    "3: a ring is bounded by bytes",
    "Ring.ts",
    '    while (this.keptBytes > limits.maxReplayBytes) this.#evict("bytes")\n',
    ""
  ),
  one(
    "session-ring-ages",
    "3: what is older than the grace is kept",
    "Ring.ts",
    "while (this.oldestAt < before) this.#drop()",
    "while (this.oldestAt < 0) this.#drop()"
  ),
  one(
    "session-unread-ages",
    "what may not have arrived is kept past the grace",
    "Feed.ts",
    "before = Math.min(before, receivedBefore)",
    "void receivedBefore"
  ),
  one(
    "session-gap-for-spared",
    "a broadcast that left a session out makes no gap for it",
    "Feed.ts",
    "return this.#spared?.get(reader) ?? this.#dropped",
    "return this.#dropped"
  ),
  one(
    "session-gap-forgotten",
    "one that was left out has lost what went before",
    "Feed.ts",
    "[reader, this.#droppedOf(reader)]",
    "[reader, 0]"
  ),
  one(
    "session-replays-by-kind",
    "a replay is in the order in which it was sent",
    "Feed.ts",
    ".toSorted((one, other) => one.seq - other.seq)",
    ""
  ),
  one(
    "session-own-unread-ages",
    "what may not have arrived of a session's own is kept past the grace",
    "Feed.ts",
    "Math.min(old, reader.receivedBefore)",
    "old"
  ),
  one("session-leaves-frames", "what was kept for a session goes with it", "Feed.ts", "    reader.own?.clear()\n", ""),
  one(
    "session-idle-ring",
    "a session with nothing kept has no ring",
    "Feed.ts",
    ") === true) reader.own = undefined",
    ") === true) return"
  ),
  one(
    "session-others-pay",
    "who goes on asking pays for it",
    "Budget.ts",
    "    while (this.full && adder.keptBytes >= this.#even && adder.shed()) continue\n",
    ""
  ),
  one(
    "session-evicts-silently",
    "frames that go before their time are counted",
    "Ring.ts",
    "    this.#house.tally.evicted[why]++\n",
    ""
  ),
  one(
    "session-gap-uncounted",
    "clients that come back to a gap are counted",
    "Session.ts",
    "if (gap) this.house.tally.gaps.missed++",
    "if (gap) void gap"
  ),
  one(
    "session-outcome-unread-ages",
    "an outcome that may not have arrived is kept past the grace",
    "RequestKeys.ts",
    "Math.min(receivedBefore, old)",
    "old"
  ),
  one(
    "session-batch-unsent-ages",
    "an outcome that waits for others of its batch has not arrived",
    "RequestKeys.ts",
    "if (batch === undefined) this.#answered(keyed)",
    "if (batch === undefined || keyed.bytes > 0) this.#answered(keyed)"
  ),
  one(
    "session-key-forgotten",
    "a request sent again is handled again",
    "Session.ts",
    "if (known.outcome !== undefined) return",
    "if (known.outcome !== undefined && call.id === known.id) return this.take(call, pending)\n    if (known.outcome !== undefined) return"
  ),
  one(
    "session-answers-twice",
    "a repeat that crossed its answer is answered once more",
    "Session.ts",
    "same && known.seq > this.#sentAfter",
    "same && known.seq > Infinity"
  ),
  one(
    "session-answer-withheld",
    "a repeat on a new connection is taken for one that crossed its answer",
    "Session.ts",
    "same && known.seq > this.#sentAfter",
    "same && known.seq > 0"
  ),
  one(
    "session-key-any-content",
    "another request under a key gets the first one's outcome",
    "RequestKeys.ts",
    'return known.content === contentOf(call) ? known : "other"',
    "return known"
  ),
  one(
    "session-key-kept-when-busy",
    "the key of a request that was not taken is spent",
    "Session.ts",
    "    this.#free(call.requestKey, failure)\n    super.untaken(call, pending, failure)",
    "    super.untaken(call, pending, failure)"
  ),
  one(
    "session-keys-unbounded",
    "3: 1,024 keys a session",
    "RequestKeys.ts",
    "if (this.#keys.size >= maxKeys) this.#forgetOldest()",
    "if (this.#keys.size >= maxKeys * 2) this.#forgetOldest()"
  ),
  one(
    "session-keys-crowd-outcomes",
    "3: keys leave the outcomes their room",
    "RequestKeys.ts",
    "    })\n    this.#keep(bytes)\n",
    "    })\n    this.#weigh(bytes)\n"
  ),
  one(
    "session-outcomes-unbounded",
    "3: kept outcomes are bounded by bytes",
    "RequestKeys.ts",
    "if (this.#bytes > this.#house.limits.maxReplayBytes) this.#lighten()\n",
    ""
  ),
  one(
    "session-keys-starve-all",
    "3: what keys use is bounded for the whole gateway",
    "RequestKeys.ts",
    "    return this.#forgetOldest()\n",
    "    return false\n"
  ),
  one(
    "session-shed-from-anybody",
    "one that keeps much takes nobody's little",
    "Budget.ts",
    "holder.keptBytes >= (looks < this.#holders.size ? this.#even : 0) && ",
    ""
  ),
  one(
    "session-outcome-held",
    "of an outcome that has arrived, the key is enough",
    "RequestKeys.ts",
    "if (keyed.sentAt < receivedBefore) this.#letGo(keyed)",
    "if (keyed.sentAt < 0) this.#letGo(keyed)"
  ),
  one(
    "session-shared-once",
    "a broadcast lies once in the feed of each gateway",
    "Session.ts",
    "else if (feeds instanceof Map) feeds.set(this.feed, kept)",
    "else if (feeds instanceof Map) feeds.clear()"
  ),
  one(
    "session-two-sockets",
    "a session taken over keeps its first socket",
    "Session.ts",
    'former?.hangUp(TAKEN_OVER, "the session was taken over")',
    "former?.goOn()"
  ),
  one(
    "session-takeover-ends-it",
    "the first socket's end is the session's",
    "Session.ts",
    "if (connection !== this.connection) return false\n",
    ""
  ),
  one(
    "session-any-agent",
    "a token opens a session with another agent",
    "Session.ts",
    "return agent === this.agent && ",
    "return "
  ),
  one(
    "session-for-ever",
    "a session waits for ever",
    "Sessions.ts",
    "if (session.awaySince >= before) session.feed.expireOwn(session, before)",
    "if (session.awaySince >= 0) session.feed.expireOwn(session, before)"
  ),
  one(
    "session-away-ages-not",
    "3: what is older than the grace is kept while its client is away",
    "Sessions.ts",
    "if (session.awaySince >= before) session.feed.expireOwn(session, before)",
    "if (session.awaySince >= before) continue"
  ),
  one(
    "session-normal-close-stays",
    "a client that said goodbye is waited for",
    "Session.ts",
    "if (this.#closing || left || drained || !this.line.open)",
    "if (this.#closing || drained || !this.line.open)"
  ),
  one(
    "session-window-anew",
    "3: each new socket of a session has a window of its own",
    "Session.ts",
    "return this.underway + this.#keys.repeating >= this.house.limits.maxUnfinished",
    "return false"
  ),
  one(
    "session-stream-runs-on",
    "a stream goes on for a client that is away",
    "Session.ts",
    "return this.#ended || (this.connection !== undefined && super.flowing)",
    "return super.flowing"
  ),
  one(
    "session-away-uncounted",
    "3: sessions that are away are no connections",
    "Gateway.ts",
    "this.#connections.size + this.#sessions.away -",
    "this.#connections.size -"
  ),
  one("flood-controls-free", "pings and pongs count as messages do", "Connection.ts", "    this.bucket.left--\n", ""),
  one(
    "flood-fragments-free",
    "the fragments of a message are bounded by its bytes",
    "Gateway.ts",
    "Math.max(minFragments, this.#limits.maxFrameBytes / fragmentBytes)",
    "this.#limits.maxFrameBytes"
  ),
  one(
    "flood-crumbs-free",
    "the crumbs of a frame are bounded by its bytes",
    "Gateway.ts",
    "Math.max(minCrumbs, this.#limits.maxFrameBytes / crumbBytes)",
    "this.#limits.maxFrameBytes"
  ),
  one("flood-bodies-free", "the bytes of a body are held as they come", "Post.ts", "      hold(chunk.length)\n", ""),
  one(
    "flood-crumbs-lost",
    "a body in crumbs is put together",
    "Post.ts",
    "chunks.splice(0, chunks.length, Buffer.concat(chunks))",
    "chunks.splice(0, chunks.length, chunk)"
  ),
  one("flood-reads-on", "who sends without end takes turns", "Sips.ts", "  raw.pause()\n", ""),
  one(
    "flood-small-chunks-free",
    "a sip is a sip in chunks of any size",
    "Sips.ts",
    "raw.taken += bytes + chunkCost",
    "raw.taken = bytes + chunkCost"
  ),
  one(
    "flood-behind-close",
    "what follows a close frame is bounded",
    "Sips.ts",
    "++raw.wasted >= maxWastedSips",
    "raw.wasted > maxWastedSips"
  ),
  one(
    "flood-cuts-the-fast",
    "what follows a close frame is read for the peer's own",
    "Sips.ts",
    "const maxWastedSips = 16",
    "const maxWastedSips = 1"
  ),
  one(
    "flood-rests-for-good",
    "one that has left is read to its end though its window is full",
    "Sips.ts",
    "if (reader.readyState === reader.OPEN) {",
    "if (reader.readyState === reader.OPEN || reader.isPaused) {"
  ),
  one(
    "page-reads-all",
    "a page of another origin reads no answer",
    "Origin.ts",
    "return origins.includes(origin) ? origin : undefined",
    "return origin"
  ),
  one(
    "page-unasked",
    "a page of another origin is told that it may POST",
    "Http.ts",
    'if (request.method === "OPTIONS") return void response.writeHead(204, preflight).end()',
    ""
  )
]
