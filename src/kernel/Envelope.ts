/**
 * What lies in a mailbox: three words a message, and the meaning of the first.
 *
 *   tag      0 .. 65535          a message of the protocol, by its position there
 *            + RESERVED          the same, in a slot reserved beforehand: a timer's firing, the end of a `pipe`
 *            SIGNAL ..           `Terminated`, `onConnect`, `onDisconnect`: reserved too, and no message of the protocol
 *   payload  the message, or what the signal is about
 *   origin   nothing (a tell), `SENT` (a tell of a plain handler), an `Ask`, the client that sent it, or the `Ticket` of a
 *            reserved slot
 *
 * Floor 0; used by Mailbox, Cell, ActorRef; knows none of them.
 * Three words in one flat array, not an envelope object: the same speed as an object a message in a ring, without the
 * garbage; linked envelopes cost half the throughput.
 */

/** Added to a tag whose slot was reserved. */
export const RESERVED = 0x1_0000
/** Signals start here; all of them are reserved. */
export const SIGNAL = 0x2_0000
export const TERMINATED = SIGNAL + 0
export const CONNECTED = SIGNAL + 1
export const DISCONNECTED = SIGNAL + 2
/** A client's session has lost its socket, or has one again. */
export const PRESENCE = SIGNAL + 3

/** The origin of what a handler has sent: it lies there before that handler commits, and is found again if it fails. */
export const SENT = 1

/** What became of an offered message. Only "accepted" moves it out of the sender's hands. */
export type Offer = "accepted" | "full" | "closed"

/** Why an accepted message never reached a handler, or why mail found no receiver. */
export type DeadReason =
  | "noSuchActor" // nobody lives there and the type is not hosted
  | "stopped" // the receiver had stopped, or stopped with it still queued
  | "draining" // the receiver takes no new mail
  | "mailboxFull" // a send of a handler that was refused: nobody is left to hand it back to
  | "dropNewest"
  | "dropOldest"
  | "cancelled" // an ask withdrawn by its asker before its handler began
  | "timedOut" // an ask whose deadline passed before its handler began
  | "stale" // a timer or pipe of an earlier incarnation, or replaced
  | "unwatched" // a Terminated withdrawn by `unwatch`
  | "quarantined"
  | "senderStopped" // a committed send still waiting for room when its sender was killed
  | "disconnected" // a client's message whose connection the host gave up

/** The overflow policy of a mailbox (law 5). */
export type Overflow = "fail" | "suspend" | "dropNewest" | "dropOldest" | "stop"

/** Weights 8:4:2:1 in the run queue (law 6). */
export type Priority = "critical" | "high" | "normal" | "low"
export const priorities: ReadonlyArray<Priority> = ["critical", "high", "normal", "low"]
