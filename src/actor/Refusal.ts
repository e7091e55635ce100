/**
 * Why a message was refused: a word for the dead letters, an error for whoever is there to be told.
 *
 * Floor 1; used by Tell, Ask, Outputs, the turn and the teardown. On the hot path a refusal is a literal, and where nobody is told, no error is made: a
 * handler that sends to a full mailbox paid 8 us for an error of which only the name was read. An error carries no stack: it would list the
 * runtime's own frames, and recording them is four fifths of its price (4.4 -> 0.9 us).
 * Law 12: a refusal says by name what refused it and which option to change.
 */
import {
  ActorStopped,
  AskTimeout,
  CalleeFailed,
  Dropped,
  MailboxFull,
  NoSuchActor,
  Quarantined
} from "../kernel/Errors.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Cell } from "./Cell.ts"
import type { Runtime } from "./Runtime.ts"

const stackless = <E>(make: () => E): E => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

const homeOf = (ref: ActorRef<never>, runtime: Runtime | undefined) => ref.cell?.program.runtime ?? runtime

/** Why a ref that answered "closed" did so, in the word of its dead letters. */
export const reason = (ref: ActorRef<never>, runtime: Runtime | undefined): DeadReason => {
  const home = homeOf(ref, runtime)
  if (home !== undefined && home.quarantined(ref) > 0) return "quarantined"
  if (home?.locate(ref, false) !== undefined) return "draining"
  return ref.cell === undefined ? "noSuchActor" : "stopped"
}

/** The same for its sender. */
export const closed = (ref: ActorRef<never>, runtime: Runtime | undefined): ActorStopped | NoSuchActor | Quarantined =>
  stackless(() => {
    const { address } = ref
    switch (reason(ref, runtime)) {
      case "quarantined":
        return new Quarantined({ address, remainingMillis: homeOf(ref, runtime)!.quarantined(ref) })
      case "noSuchActor":
        return new NoSuchActor({ address })
      case "draining":
        return new ActorStopped({ address, draining: true })
      default:
        return new ActorStopped({ address, draining: false })
    }
  })

/** The mailbox refused the message: it is the sender's again. */
export const full = (cell: Cell, tag: number, payload: unknown): MailboxFull =>
  stackless(
    () =>
      new MailboxFull({ address: cell.address, tag: cell.tagName(tag), capacity: cell.program.plan.capacity, payload })
  )

/** An ask that the mailbox's policy dropped. */
export const dropped = (cell: Cell, policy: "dropNewest" | "dropOldest"): Dropped =>
  stackless(() => new Dropped({ address: cell.address, policy }))

/** An ask whose deadline has passed. */
export const late = (ref: ActorRef<never>, cell: Cell, tag: number, millis: number, started: boolean): AskTimeout =>
  stackless(() => new AskTimeout({ address: ref.address, tag: cell.tagName(tag), millis, started }))

/** The handler failed. */
export const failed = (cell: Cell, incident: string): CalleeFailed =>
  stackless(() => new CalleeFailed({ address: cell.address, incident }))

/** Its handler was overtaken by a stop, or by the failure behind a restart. */
export const overtaken = (cell: Cell): ActorStopped | CalleeFailed => {
  const incident = cell.extra?.teardown?.incident
  if (incident !== undefined) return failed(cell, incident)
  return stopped(cell)
}

/** It has come to its end. */
export const stopped = (cell: Cell): ActorStopped =>
  stackless(() => new ActorStopped({ address: cell.address, draining: false }))
