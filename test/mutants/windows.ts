/**
 * Faults in what bounds a client: windows, rates, sips, stalls, the rooms of the budget, the keys of requests.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const windows: ReadonlyArray<Fault> = [
  one(
    "window-batch-piecemeal",
    "3: a batch passes the window by its own messages, and nothing behind it",
    "gateway/Connection.ts",
    "if (this.#unfinished >= limits.maxUnfinished ||",
    "if (this.#unfinished >= limits.maxUnfinished + limits.maxBatch ||"
  ),
  one(
    "window-batch-waits",
    "a batch begins where there is room for one message",
    "gateway/Connection.ts",
    "if (this.#unfinished >= limits.maxUnfinished ||",
    "if (this.#unfinished + limits.maxBatch > limits.maxUnfinished ||"
  ),
  one(
    "window-batch-one-token",
    "a batch counts as its messages against the rate",
    "gateway/Connection.ts",
    "this.bucket.left -= messages.length",
    "this.bucket.left -= 1"
  ),
  one(
    "window-ack-costs",
    "an acknowledgement that was asked for costs nothing",
    "gateway/Connection.ts",
    "    this.bucket.left++\n",
    ""
  ),
  one(
    "window-controls-read-on",
    "who is slowed for pings is not read",
    "gateway/Connection.ts",
    "    if (this.#stuffed) this.#pause(this.#clogged)\n  }\n",
    "  }\n"
  ),
  one("window-brake-left", "who has gone is no more slowed", "gateway/Connection.ts", "    brake.delete(this)\n", ""),
  one(
    "window-spent-reads",
    "where all bytes are used each reads one message",
    "gateway/Connection.ts",
    " || (this.#unfinished > 0 && this.#house.budget.spent)",
    ""
  ),
  one(
    "window-backlog-leaks",
    "what waited is held no more when its socket has gone",
    "gateway/Connection.ts",
    "    this.weigh(-this.#backlogBytes)\n",
    ""
  ),
  one(
    "sip-of-a-mib",
    "6: a socket is read 64 KiB a turn",
    "gateway/Sips.ts",
    "const sipBytes = 65_536",
    "const sipBytes = 16 * 65_536"
  ),
  one(
    "sip-wakes-the-paused",
    "a rest ends only where its window has room",
    "gateway/Sips.ts",
    "      if (reader.isPaused) heed(raw)\n      else raw.resume()\n",
    "      raw.resume()\n"
  ),
  one(
    "sip-first-only",
    "all that rest go on",
    "gateway/Sips.ts",
    "  for (const raw of rested) {",
    "  for (const raw of rested.slice(0, 1)) {"
  ),
  one(
    "stall-of-the-patient",
    "a window full of streams that wait for their producers is no stall",
    "gateway/Connection.ts",
    "const since = this.#waits ? this.pausedSince : undefined",
    "const since = this.pausedSince"
  ),
  one(
    "stall-from-the-beginning",
    "it is one from when something waits behind it",
    "gateway/Connection.ts",
    "    if (!this.#waits) this.pausedSince = this.#house.now()\n",
    ""
  ),
  one(
    "stall-of-the-slowed",
    "who is slowed is not stalled by that",
    "gateway/Connection.ts",
    "    if (this.pausedSince !== undefined) this.pausedSince = now\n",
    "    void now\n"
  ),
  one(
    "stall-though-going-on",
    "what finishes begins it anew",
    "gateway/Connection.ts",
    "    if (this.#backlog !== undefined || this.#stuffed) this.pausedSince = this.#house.now()\n    else {",
    "    if (this.#backlog === undefined && !this.#stuffed) {"
  ),
  one(
    "stall-misses-pings",
    "one that is not read misses no ping",
    "gateway/Connection.ts",
    "if (!this.#socket.isPaused && this.missed++ >= 2)",
    "if (this.missed++ >= 2)"
  ),
  one(
    "stall-hides-the-dead",
    "one that is read and answers no ping is cut, however full its window",
    "gateway/Connection.ts",
    "if (!this.#socket.isPaused && this.missed++ >= 2)",
    "if (this.pausedSince === undefined && this.missed++ >= 2)"
  ),
  one(
    "stall-last-ping",
    "it has two pings to answer",
    "gateway/Connection.ts",
    "this.missed++ >= 2)",
    "this.missed++ >= 1)"
  ),
  one(
    "pong-unasked-proves",
    "a pong nobody asked for proves nothing",
    "gateway/Connection.ts",
    "pingedAt > this.#receivedBefore && pingedAt <= this.#pingedAt",
    "pingedAt > this.#receivedBefore"
  ),
  one(
    "pong-proves-what-waits",
    "a pong proves nothing of what still waits here",
    "gateway/Connection.ts",
    "const proves = !this.outbox.behind",
    "const proves = true"
  ),
  one(
    "pong-goes-back",
    "what has arrived stays arrived",
    "gateway/Session.ts",
    "this.receivedBefore = Math.max(this.receivedBefore, receivedBefore)",
    "this.receivedBefore = receivedBefore"
  ),
  one(
    "ring-one-reader-suffices",
    "a broadcast is kept until the slowest has it",
    "gateway/Feed.ts",
    "for (const { receivedBefore } of this.readers) before = Math.min(before, receivedBefore)",
    "for (const { receivedBefore } of this.readers) before = Math.max(before, receivedBefore)"
  ),
  one(
    "room-frames-take-keys",
    "frames have a quarter, and keys have another",
    "gateway/Budget.ts",
    "this.keys = new Room(this, keysOfAll,",
    "this.keys = new Room(this, framesOfAll,"
  ),
  one(
    "room-own-only",
    "3: one sum for all gateways of the process",
    "gateway/Budget.ts",
    "return this.#ofAll.bytes > this.#max",
    "return this.bytes > this.#max"
  ),
  one(
    "room-unheld",
    "what is kept is held",
    "gateway/Budget.ts",
    "    this.#budget.hold(bytes)\n    this.bytes += bytes\n",
    "    this.bytes += bytes\n"
  ),
  one(
    "room-first-comer-pays",
    "who keeps most may let nothing go: then others do",
    "gateway/Budget.ts",
    "(looks < this.#holders.size ? this.#even : 0)",
    "this.#even"
  ),
  one(
    "room-of-the-gone",
    "who has left keeps nothing that could be let go",
    "gateway/Budget.ts",
    "  leave(holder: Holder): void {\n    this.#holders.delete(holder)\n",
    "  leave(_: Holder): void {\n"
  ),
  one(
    "underway-first-only",
    "8: every request of a client that goes is cancelled",
    "gateway/UnderWay.ts",
    "return this.#request === undefined ? others : [this.#request, ...others]",
    "return this.#request === undefined ? others : [this.#request]"
  ),
  one(
    "underway-id-lasts",
    "the id of a request that has ended is free again",
    "gateway/UnderWay.ts",
    "    if (this.#request !== undefined && this.#id === id) this.#request = undefined\n",
    "    if (this.#request !== undefined && this.#id === id) this.#id = null\n"
  ),
  one(
    "underway-others-last",
    "the id of a request that has ended is free again",
    "gateway/UnderWay.ts",
    "    else this.#others?.delete(id)\n",
    ""
  ),
  one(
    "room-frames-unfitted",
    "3: frames of all sessions are bounded",
    "gateway/Ring.ts",
    "    budget.frames.fit(this)\n",
    ""
  ),
  one(
    "room-outcomes-unfitted",
    "3: outcomes of all sessions are",
    "gateway/RequestKeys.ts",
    "    if (this.#bytes > this.#house.limits.maxReplayBytes) this.#lighten()\n    this.#house.budget.keys.fit(this)\n",
    "    if (this.#bytes > this.#house.limits.maxReplayBytes) this.#lighten()\n"
  ),
  one(
    "room-keys-unfitted",
    "3: and their keys",
    "gateway/RequestKeys.ts",
    "    this.#keep(bytes)\n    this.#house.budget.keys.fit(this)\n",
    "    this.#keep(bytes)\n"
  ),
  one(
    "room-running-forgotten",
    "a request under way is not forgotten",
    "gateway/RequestKeys.ts",
    "  #forgetOldest(): boolean {\n    for (const { key } of this.#sent) {",
    "  #forgetOldest(): boolean {\n    for (const { key } of this.#keys.values()) {"
  ),
  one(
    "key-kept-when-refused",
    "the key of a request that could not be begun is free again",
    "gateway/Session.ts",
    "    this.#free(call.requestKey, failure)\n    super.refuse(call, failure, pending)",
    "    super.refuse(call, failure, pending)"
  ),
  one(
    "key-kept-by-streams",
    "that of a stream that was not taken, too",
    "gateway/Conversation.ts",
    `        this.#requests.delete(id)
        if (untaken && this.listening) return this.untaken(call, pending, Answer.failureOfExit(exit))
`,
    "        this.#requests.delete(id)\n"
  ),
  one(
    "key-free-though-passed-on",
    "what was passed on has counted, though its next dropped it",
    "actor/Ask.ts",
    "this.untaken = !this.passedOn\n    this.settle",
    "this.untaken = true\n    this.settle"
  ),
  one(
    "key-free-though-stashed",
    "and though it timed out there",
    "actor/Ask.ts",
    "this.untaken = !started && !this.passedOn",
    "this.untaken = !started"
  ),
  one(
    "key-free-though-begun",
    "what its handler began is not as if never sent",
    "actor/Ask.ts",
    "this.untaken = !started && !this.passedOn",
    "this.untaken = !this.passedOn"
  ),
  one(
    "key-busy-for-repeats",
    "a repeat that waited for one that was not taken is answered as that was",
    "gateway/Session.ts",
    "for (const repeat of this.#keys.forget(key)) this.finish(repeat.pending, JsonRpc.error(repeat.id, failure))",
    "this.#keys.forget(key)"
  ),
  one(
    "key-repeats-uncounted",
    "a repeat that was answered waits no more",
    "gateway/RequestKeys.ts",
    "    this.#repeating -= repeats.length\n",
    ""
  ),
  one(
    "key-outcome-of-another-seq",
    "a repeat on a connection that lost the answer is answered",
    "gateway/Session.ts",
    "this.#sentAfter = Math.max(seq, this.missed)",
    "this.#sentAfter = seq"
  ),
  one(
    "client-streams-take-all",
    "streams take three quarters of the window",
    "client/Calls.ts",
    "const streamShare = 0.75",
    "const streamShare = 1"
  ),
  one(
    "client-streams-never",
    "but one at least",
    "client/Calls.ts",
    "Math.max(1, Math.floor(this.#settings.maxInFlight * streamShare))",
    "Math.floor(this.#settings.maxInFlight * streamShare)"
  ),
  one(
    "client-streams-hold-asks",
    "a stream that waits for streams is overtaken",
    "client/Calls.ts",
    "      if (this.#overtaken(call)) continue\n",
    "      if (this.#overtaken(call)) break\n"
  ),
  one(
    "client-streams-hold-offers",
    "also by what comes when only streams wait",
    "client/Calls.ts",
    "    if (this.#timer === undefined) this.flush()\n",
    ""
  ),
  one(
    "client-streams-counted-again",
    "one that is sent again has one place",
    "client/Calls.ts",
    "if (call.stream && !this.#sent.has(call.id)) this.#streams++",
    "if (call.stream) this.#streams++"
  )
]
