/**
 * Faults in subprotocol `effect-rpc`: what crosses the wire of a failure, and how a stream is held up.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const effectRpc: ReadonlyArray<Fault> = [
  one(
    "effect-typed-error-dies",
    "a typed error reaches Effect's client as a defect",
    "gateway/EffectRpc.ts",
    "if (failure.code === JsonRpc.APPLICATION_ERROR) return",
    "if (failure.code === 0) return"
  ),
  one(
    "effect-defect-of-all",
    "a failed request fails the client's others",
    "gateway/EffectRpc.ts",
    "if (id !== null) return JsonRpc.answer(id, errorOf(failure))",
    ""
  ),
  one(
    "effect-no-acknowledgement",
    "3: a stream does not wait for its acknowledgements",
    "gateway/EffectRpc.ts",
    "acknowledges: true",
    "acknowledges: false"
  ),
  one(
    "effect-acknowledgement-paid",
    "a client that reads a fast stream is slowed by its acknowledgements",
    "gateway/Conversation.ts",
    "if (request instanceof StreamReply && request.acknowledge()) pending.connection.solicited()",
    "if (request instanceof StreamReply) request.acknowledge()"
  ),
  one(
    "effect-unheard",
    "a stream waits for an acknowledgement that is not read",
    "gateway/Connection.ts",
    "    this.#conversation.unheard()\n",
    ""
  ),
  one(
    "effect-deaf-window",
    "a full window hears no Ping and no Ack",
    "gateway/EffectRpc.ts",
    "const overlook = 65_536",
    "const overlook = 1024"
  ),
  one(
    "effect-interrupt-ignored",
    "8: an Interrupt reaches no handler",
    "gateway/EffectRpc.ts",
    "return isId(requestId) ? { cancels: requestId }",
    "return isId(requestId) ? {}"
  ),
  one(
    "effect-discard-waits",
    "a call with discard is answered before it is taken",
    "gateway/Conversation.ts",
    "if (refused !== undefined) return this.#refused(call, pending, Answer.failureOf(refused))\n    taken",
    "taken"
  ),
  one(
    "effect-sessions",
    "a session is begun for a client that cannot resume it",
    "gateway/EffectRpc.ts",
    "sessions: false",
    "sessions: true"
  )
]
