/**
 * A connection as an agent sees it: who it is, and a way to send it events.
 *
 * Floor 1, so that `self.caller` and `self.broadcast` need nothing of the gateway; the gateway implements it.
 * `send` inside a handler is staged with the handler's other outputs; `sendNow` is not. Neither ever suspends or fails: a
 * client past its outbound budget gets its event policy, which the gateway counts.
 */
import { InvalidOption } from "../kernel/Errors.ts"

/** Bytes that a close frame has left for its reason (RFC 6455, 5.5). */
const maxReasonBytes = 123

/**
 * Codes whose meaning the gateway vouches for: 1012 what has no answer was never taken, 4001 another socket has taken the
 * session over, 4401 the principal has expired. An agent that sent one would lie to its client.
 */
const gatewayCodes: ReadonlyArray<number> = [1012, 4001, 4401]

/** Refuses what an agent may not send: the gateway's own codes, and what `checkFrame` refuses. */
export const checkClose = (code: number, reason: string): void => {
  if (gatewayCodes.includes(code)) {
    const range = `a code of an agent's: ${gatewayCodes.join(", ")} are the gateway's alone`
    throw new InvalidOption({ field: "close.code", value: String(code), range })
  }
  checkFrame(code, reason)
}

/** Refuses what no endpoint may send in a close frame (RFC 6455, 7.4): reserved codes, a reason over 123 bytes. */
const checkFrame = (code: number, reason: string): void => {
  const registered = code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006
  if (!Number.isInteger(code) || !(registered || (code >= 3000 && code <= 4999))) {
    throw new InvalidOption({
      field: "close.code",
      value: String(code),
      range: "1000-1014 but 1004-1006, or 3000-4999"
    })
  }
  if (Buffer.byteLength(reason) > maxReasonBytes) {
    throw new InvalidOption({ field: "close.reason", value: reason, range: `text of up to ${maxReasonBytes} bytes` })
  }
}

/** An event, encoded once however many clients it goes to. The gateway decides what lies in `frame` and `kept`. */
export interface Encoded {
  frame: unknown
  /** The same, for clients with a session. */
  kept: unknown
  /** Of a broadcast: who is left out. Undefined for what goes to one client. */
  readonly except: ReadonlyArray<Client> | undefined
}

/** Who a client is, as the gateway's `authenticate` said; whatever else it said is there too. */
export interface Principal {
  /** The same for all connections of one; what its connections and agents are counted by. */
  readonly id: string
  /** Epoch milliseconds; then its connections are closed 4401, unless renewed by `$/auth`. */
  readonly expiresAt?: number | undefined
}

export interface Client {
  /** Unique in the process. */
  readonly id: string
  /** Who it is, as the gateway's `authenticate` said; undefined without one. */
  readonly principal: Principal | undefined
  /** Its session, where it asked for one. */
  readonly session: string | undefined
  /** Whether its session has no socket now: what is sent is kept for a while, and sent when it is back. */
  readonly away: boolean
  /** Sends an event now, not with the handler's outputs. False when the connection is gone. */
  sendNow(event: string, payload: unknown): boolean
  /** For broadcasts: `shared` keeps the encoded frame between clients. */
  sendShared(event: string, payload: unknown, shared: Encoded): boolean
  /** Closes the connection after what was sent to it. Throws `InvalidOption` for what `checkClose` refuses. */
  close(code: number, reason: string): void
}

/** The news that a session has lost its socket, or has one again: at most one of them on its way. */
export interface Presence {
  queued: boolean
}

/** Why a client is gone: the close code of RFC 6455 and its reason. */
export interface Disconnected {
  readonly code: number
  readonly reason: string
}

/** Why `onConnect` runs: a new connection, or a new incarnation of an agent that has connections. */
export type ConnectReason = "connected" | "restarted"
