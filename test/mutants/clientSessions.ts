/**
 * Faults in the client's session: what it sends again, reads twice, does not tell, and how its streams end.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const clientSessions: ReadonlyArray<Fault> = [
  one(
    "client-session-first",
    "something is sent before the session has begun",
    "client/Calls.ts",
    "return this.#open && this.#link.isOpen && ",
    "return this.#link.isOpen && "
  ),
  one(
    "client-session-keyless",
    "requests bear no key",
    "client/Calls.ts",
    "settings.session ? prefix(settings.random) : undefined",
    "undefined"
  ),
  one(
    "client-session-one-key",
    "all requests bear one key",
    "client/Calls.ts",
    "`${this.#prefix}-${id}`",
    "`${this.#prefix}`"
  ),
  one(
    "client-session-not-again",
    "a request without an answer is not sent again",
    "client/Calls.ts",
    "this.#again = new Set(this.#sent.values())",
    "this.#again = new Set()"
  ),
  one(
    "client-session-again-early",
    "what is unanswered is sent again before the replay",
    "client/Client.ts",
    "this.#established(!session.replaying)",
    "this.#established(true)"
  ),
  one(
    "client-session-again-overtaken",
    "what waited goes before what is sent again",
    "client/Calls.ts",
    " || this.#again.size > 0) return false",
    ") return false"
  ),
  one(
    "client-session-again-abandoned",
    "what nobody waits for is sent again",
    "client/Calls.ts",
    "if (call.asker !== undefined) this.#write(call)",
    "if (call.id !== undefined) this.#write(call)"
  ),
  one(
    "client-session-seen-twice",
    "a frame that was read is read again",
    "client/Session.ts",
    'if (seq <= this.#after) return "known"\n',
    ""
  ),
  one(
    "client-session-after-stale",
    "what was read is not noted",
    "client/Session.ts",
    "    this.#after = seq\n    return",
    "    return"
  ),
  one(
    "client-session-goes-back",
    "the server may set the cursor back",
    "client/Session.ts",
    "fresh ? seq : Math.max(this.#after, seq)",
    "seq"
  ),
  one(
    "client-session-fresh-after",
    "a fresh session goes on with the numbers of the old",
    "client/Session.ts",
    "fresh ? seq : Math.max(this.#after, seq)",
    "Math.max(this.#after, seq)"
  ),
  one(
    "client-session-gap-untold",
    "a gap is not told",
    "client/Client.ts",
    "if (gap && this.#closed === undefined) this.#gaps.tell({ fresh })",
    "void fresh"
  ),
  one(
    "client-session-gap-after-close",
    "a gap is told to a client that its status listener has closed",
    "client/Client.ts",
    "if (gap && this.#closed === undefined) this",
    "if (gap) this"
  ),
  one(
    "client-session-stream-unbroken",
    "a stream goes on over a gap",
    "client/Calls.ts",
    "const broken = asker?.elements !== undefined",
    "const broken = false"
  ),
  one(
    "client-session-stream-uncancelled",
    "a stream that broke runs on at the server",
    "client/Calls.ts",
    "if (fresh && call.asker === undefined) this.#forget(call)",
    "if (call.asker === undefined) this.#forget(call)"
  ),
  one(
    "client-session-stream-anew",
    "a stream of which elements came begins anew after 1012",
    "client/Calls.ts",
    "if (code === RESTART && !begun) {",
    "if (code === RESTART) {"
  ),
  one(
    "client-session-stream-runs-on",
    "a stream that was left runs on",
    "client/Client.ts",
    "      if (!ended) giveUp()\n",
    "      void ended\n"
  ),
  one(
    "client-session-resend-always",
    "resend: false is not heard",
    "client/Calls.ts",
    "const refused = fresh && !call.resend",
    "const refused = false"
  ),
  one(
    "client-session-resend-never",
    "a gap in the same session refuses what bears a key",
    "client/Calls.ts",
    "const refused = fresh && !call.resend",
    "const refused = !call.resend"
  ),
  one(
    "client-session-uncertain-none",
    "notifications of unknown fate are not counted",
    "client/Calls.ts",
    "this.uncertain += this.#notices - this.#noticed",
    "this.uncertain += 0"
  ),
  one(
    "client-session-uncertain-all",
    "a notification that was read counts as uncertain",
    "client/Calls.ts",
    "this.#noticed = Math.max(this.#noticed, call.notices)\n",
    "\n"
  ),
  one(
    "client-session-taken-over",
    "a take-over has no name",
    "client/Client.ts",
    "this.#session !== undefined ? TakenOver : Closed",
    "this.#session !== undefined ? Closed : Closed"
  ),
  one(
    "client-session-credential-once",
    "4401 ends a client that could get a new credential",
    "client/Link.ts",
    'typeof this.credential === "function")',
    "false)"
  ),
  one(
    "client-session-credential-late",
    "a credential that comes too late opens a second socket",
    "client/Link.ts",
    "if (this.#asking === asking) this.#dial(token)",
    "this.#dial(token)"
  ),
  one(
    "client-session-credential-logged",
    "a token goes into the URL",
    "client/Address.ts",
    "if (protocolPattern.test(token)) return",
    'if (token === "") return'
  ),
  one(
    "client-session-silent-server",
    "a server that never says $/session is waited for",
    "client/Link.ts",
    '      fault = "connection lost"\n',
    '      fault = "connection lost"\n      this.#settings.clock.clearTimeout(this.#timer)\n'
  )
]
