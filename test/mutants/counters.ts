/**
 * Faults in what is counted and told of a gateway, and in what strangers and the log get to see of it.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofGateway as one } from "./Fault.ts"

export const counters: ReadonlyArray<Fault> = [
  one(
    "count-codes-of-strangers",
    "codes that clients choose are one",
    "Connection.ts",
    'this.closeCode === undefined && !usual.has(heard) ? "client" : code',
    "code"
  ),
  one(
    "count-usual-codes-as-any",
    "goodbyes have codes of their own",
    "Connection.ts",
    "new Set([NORMAL, GOING_AWAY, NO_STATUS, ABNORMAL])",
    "new Set([NORMAL, GOING_AWAY, NO_STATUS])"
  ),
  one(
    "count-first-code-lost",
    "a connection counts by what it was closed for first",
    "Connection.ts",
    "connectionOf(this).closeCode ??= ofViolation(code)",
    "connectionOf(this).closeCode = ofViolation(code)"
  ),
  one(
    "count-frames-unsent",
    "frames are counted as sent when they are",
    "Outbox.ts",
    "    if (!this.#owner.writable) return this.#took(bytes, frames.length)\n    this.#owner.sent(frames.length)\n",
    "    this.#owner.sent(frames.length)\n    if (!this.#owner.writable) return this.#took(bytes, frames.length)\n"
  ),
  one(
    "count-taken-unasked",
    "3: what a socket keeps back counts until it has taken it",
    "Outbox.ts",
    "    if (raw.writableLength === 0) return this.#took(bytes, frames.length)\n",
    "    if (raw.writableLength >= 0) return this.#took(bytes, frames.length)\n"
  ),
  one("count-taken-twice", "3: what a socket has taken is counted off once", "Outbox.ts", "      counted = true\n", ""),
  one(
    "count-refused-twice",
    "a POST that may make no agent is counted once",
    "Http.ts",
    "statusCode >= 400 && statusCode !== 429 && statusCode !== 503",
    "statusCode >= 400"
  ),
  one(
    "count-refused-post-never",
    "and it is counted",
    "Admission.ts",
    "    if (refusal !== undefined) this.#count(refusal)\n",
    ""
  ),
  one(
    "count-bodies-never",
    "a body that is refused is counted",
    "Http.ts",
    "        if (headersSent && statusCode >= 400",
    "        if (!headersSent && statusCode >= 400"
  ),
  one(
    "count-door-forgotten",
    "sockets cut at the door are counted",
    "Listen.ts",
    '      refused("door")\n      return',
    "      return"
  ),
  one(
    "count-drop-forgotten",
    "those that the server drops, too",
    "Listen.ts",
    '  server.on("drop", () => refused("door"))\n',
    ""
  ),
  one(
    "count-by-last-refuser",
    "one number a status, whoever refused",
    "Http.ts",
    "all[how] = (all[how] ?? 0) + times",
    "all[how] = times"
  ),
  one(
    "count-in-place",
    "what was read of the counters stays as it was",
    "Gateway.ts",
    "      closed: { ...this.#tally.closed }\n",
    "      closed: this.#tally.closed\n"
  ),
  one(
    "count-late-unqueued",
    "bytes that wait behind a full outbox are queued",
    "Outbox.ts",
    "return this.bytes + (this.#late?.bytes ?? 0)",
    "return this.bytes"
  ),
  one(
    "health-tells-keys",
    "strangers hear how many would not end, and not which",
    "Http.ts",
    "isPublic ? this.#publicHealthz() : this.#healthz()",
    "this.#healthz()"
  ),
  one(
    "health-keeps-from-admin",
    "who looks after the host hears which",
    "Http.ts",
    "return found(request, response, agents)",
    "return found(request, response, admin)"
  ),
  one(
    "log-port-of-the-wish",
    "the log names a gateway by the port that it has",
    "Gateway.ts",
    "      this.#place = { ...this.#place, port }\n",
    ""
  ),
  one(
    "metrics-new-codes-untold",
    "a code that comes up later is shown, too",
    "Metrics.ts",
    "      for (const value of Object.keys(of(look))) {\n",
    "      for (const value of this.#seen.size > 0 ? [] : Object.keys(of(look))) {\n"
  ),
  one(
    "log-shows-session",
    "the token of a session is not for the log",
    "Handshake.ts",
    'without(without(text, token, "<token>"), session, "<session>")',
    'without(text, token, "<token>")'
  ),
  one(
    "handshake-shows-session",
    "authenticate sees no token of a session in the URL",
    "Handshake.ts",
    ' || named.has("session")',
    ""
  )
]
