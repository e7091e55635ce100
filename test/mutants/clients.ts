/**
 * Faults in the client: what it keeps, sends again, gives up, and when it comes back.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import type { Fault } from "./Fault.ts"

export const clients: ReadonlyArray<Fault> = [
  {
    id: "client-resend-any",
    law: "a request whose fate is unknown is sent again after any close",
    edits: [["client/Calls.ts", "if (code === RESTART && !begun) {", "if (!begun) {"]]
  },
  {
    id: "client-resend-none",
    law: "after 1012 a request that was never taken is given up",
    edits: [["client/Calls.ts", "if (code === RESTART && !begun) {", "if (code === 0) {"]]
  },
  {
    id: "client-resend-behind",
    law: "after 1012 the older requests go behind the younger",
    edits: [["client/Calls.ts", "new Set([...untaken, ...this.#queue])", "new Set([...this.#queue, ...untaken])"]]
  },
  {
    id: "client-resend-abandoned",
    law: "after 1012 a request that nobody waits for is sent again",
    edits: [["client/Calls.ts", "if (asker !== undefined) untaken.push(call)", "untaken.push(call)"]]
  },
  {
    id: "client-queue-overtaken",
    law: "a message overtakes those that wait",
    edits: [["client/Calls.ts", "if (this.#queue.size === 0 && this.#mayWrite(call)) {", "if (this.#mayWrite(call)) {"]]
  },
  {
    id: "client-queue-bytes-leak",
    law: "a request given up leaves its bytes in the queue's books",
    edits: [
      [
        "client/Calls.ts",
        "if (this.#queue.delete(call)) {\n      this.#queuedBytes -= call.bytes",
        "if (this.#queue.delete(call)) {"
      ]
    ]
  },
  {
    id: "client-queue-bytes-drift",
    law: "what was sent stays in the queue's books",
    edits: [
      [
        "client/Calls.ts",
        "this.#queue.delete(call)\n      this.#queuedBytes -= call.bytes\n      this.#write(call)",
        "this.#queue.delete(call)\n      this.#write(call)"
      ]
    ]
  },
  {
    id: "client-window-freed-early",
    law: "a request given up frees its place before its answer",
    edits: [
      [
        "client/Calls.ts",
        "if (written) this.#link.send(cancel(call.id))",
        "if (written) (this.#link.send(cancel(call.id)), this.#sent.delete(call.id!))"
      ]
    ]
  },
  {
    id: "client-cancel-untold",
    law: "the server is not told of a request given up",
    edits: [["client/Calls.ts", "if (written) this.#link.send(cancel(call.id))", "void written"]]
  },
  {
    id: "client-buffer-unbounded",
    law: "frames are written however much the socket holds back",
    edits: [["client/Calls.ts", " && this.#link.bufferedBytes <= maxBufferedBytes\n", "\n"]]
  },
  {
    id: "client-buffer-stuck",
    law: "nobody looks whether the socket has room again",
    edits: [["client/Calls.ts", "if (this.#link.bufferedBytes <= maxBufferedBytes) return\n", "return\n"]]
  },
  {
    id: "client-late-socket",
    law: "a socket that was given up is still heard",
    edits: [["client/Link.ts", "socket.onopen = socket.onmessage = socket.onclose = null", "socket.onopen = null"]]
  },
  {
    id: "client-unstable-reset",
    law: "any connection that opened begins the delays anew",
    edits: [["client/Link.ts", "clock.now() - this.#openedAt >= stableMillis", "clock.now() >= 0"]]
  },
  {
    id: "client-connect-forever",
    law: "a socket that never opens is waited for",
    edits: [["client/Link.ts", "clock.setTimeout(() => this.drop(this.#fault), connectTimeoutMillis)", "clock"]]
  },
  {
    id: "client-later-counts",
    law: "a 1013 counts for five attempts",
    edits: [
      [
        "client/Link.ts",
        "++this.#attempt < maxAttempts",
        '(this.#attempt += verdict === "later" ? 5 : 1) < maxAttempts'
      ]
    ]
  },
  {
    id: "client-heartbeat-impatient",
    law: "a busy gateway gets no longer than an idle one",
    edits: [["client/Heartbeat.ts", "this.#unread ? patientMillis : promptMillis", "promptMillis"]]
  },
  {
    id: "client-heartbeat-too-patient",
    law: "a gateway that owes nothing gets as long as a busy one",
    edits: [["client/Heartbeat.ts", "this.#unread ? patientMillis : promptMillis", "patientMillis"]]
  },
  {
    id: "client-heartbeat-trusts",
    law: "a probe answered before the last message counts for it",
    edits: [["client/Heartbeat.ts", "if (this.#last) this.#unread", "this.#unread"]]
  },
  {
    id: "client-heartbeat-notice-forgotten",
    law: "a notification counts as done when the requests are",
    edits: [["client/Heartbeat.ts", "this.#unread = this.#noticed\n", "this.#unread = false\n"]]
  },
  {
    id: "client-heartbeat-late-kills",
    law: "a check that comes late gives the server up",
    edits: [["client/Heartbeat.ts", "this.#again || now - this.#due < lateMillis", "now > 0"]]
  },
  {
    id: "client-heartbeat-late-forever",
    law: "a timer that is always late never finds a dead server",
    edits: [["client/Heartbeat.ts", "if (this.#probing) this.#again = true", "if (this.#probing) this.#again = false"]]
  },
  {
    id: "client-ask-timer-left",
    law: "an answered request leaves its timer behind",
    edits: [["client/Client.ts", "      clock.clearTimeout(timer)\n", ""]]
  },
  {
    id: "client-ask-signal-left",
    law: "an answered request leaves its listener on the signal",
    edits: [["client/Client.ts", '      signal?.removeEventListener("abort", aborted)\n', ""]]
  },
  {
    id: "client-batch-after-close",
    law: "messages of a frame are told after one of them closed the client",
    edits: [["client/Client.ts", "if (this.#closed !== undefined) return\n", ""]]
  },
  {
    id: "client-listener-kills",
    law: "a listener that throws costs the others the event",
    edits: [["client/Listeners.ts", "        this.#report(error)\n", "        this.#report(error)\n        return\n"]]
  },
  {
    id: "client-reader-unbounded",
    law: "a reader's buffer has no bound",
    edits: [
      ["client/Events.ts", "if (this.#events.length < this.#buffer) return", "if (this.#events.length >= 0) return"]
    ]
  },
  {
    id: "client-reader-leaks",
    law: "a reader that was left is still sent events",
    edits: [["client/Events.ts", "      off()\n      this.#readers", "      this.#readers"]]
  },
  {
    id: "client-needs-node",
    law: "the client uses what a browser has not",
    edits: [["client/Calls.ts", "encoder.encode(frame).length", "Buffer.byteLength(frame)"]]
  }
]
