/**
 * What is left of a handler that does not count: it failed, was overtaken, or would have held more than it may.
 *
 *   crashed      outputs discarded, the asker told `CalleeFailed` at once, the rest is supervision's
 *   overloaded   `LimitReached` alone: the message is refused by it, and the actor goes on
 *   discard      overtaken by a stop, a kill or its asker: nothing of it counts
 *
 * Floor 1; used by Turn. Law 4: the message is finished in each case, once. Law 8: no output of it is seen.
 */
import { Cause, Exit } from "effect"
import { RESERVED, SIGNAL } from "../kernel/Envelope.ts"
import { LimitReached } from "../kernel/Errors.ts"
import { Ask } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import * as Outputs from "./Outputs.ts"
import * as Refusal from "./Refusal.ts"
import type { Staging } from "./Staging.ts"

/** Whether a handler of that message may answer with a typed error. */
export const answersErrors = (cell: Cell, tag: number): boolean =>
  tag < SIGNAL && cell.program.plan.protocol.errs[tag >= RESERVED ? tag - RESERVED : tag] === true

/** A typed error is an answer that nobody waits for, an interruption was asked for; a defect is a failure still. */
export const overtaken = (cell: Cell, tag: number, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit)) return
  const answers = answersErrors(cell, tag)
  if (!exit.cause.reasons.some((r) => Cause.isDieReason(r) || (Cause.isFailReason(r) && !answers))) return
  const { runtime } = cell.program
  runtime.counts.failed++
  runtime.failed(cell, { incident: runtime.incident(), tag: cell.tagName(tag), cause: exit.cause })
}

/** The handler was overtaken by a stop, a kill or its asker: nothing of it counts. */
export const discard = (cell: Cell, origin: unknown, staging: Staging): boolean => {
  cell.finished++
  Outputs.discard(cell, staging)
  if (origin instanceof Ask) origin.settle(Exit.fail(Refusal.overtaken(cell)))
  return false
}

/** It would have held more than it may: the message is refused, nothing of it counts, and the actor goes on. */
const overloaded = (cell: Cell, tag: number, origin: unknown, error: LimitReached, staging: Staging): void => {
  const { runtime } = cell.program
  cell.finished++
  Outputs.discard(cell, staging)
  if (origin instanceof Ask) origin.refuse(Exit.fail(error))
  else runtime.counts.unheardErrors++
  runtime.reported(cell, { incident: runtime.incident(), tag: cell.tagName(tag), cause: Cause.fail(error) })
}

/** The handler failed: outputs discarded, the asker told at once, the rest is supervision's. */
export const crashed = (
  cell: Cell,
  tag: number,
  payload: unknown,
  origin: unknown,
  cause: Cause.Cause<unknown>,
  staging: Staging
): void => {
  const { runtime, plan } = cell.program
  const [reason, ...others] = cause.reasons
  if (
    others.length === 0 &&
    reason !== undefined &&
    Cause.isDieReason(reason) &&
    reason.defect instanceof LimitReached
  ) {
    return overloaded(cell, tag, origin, reason.defect, staging)
  }
  const incident = runtime.incident()
  cell.finished++
  runtime.counts.failed++
  Outputs.discard(cell, staging)
  if (origin instanceof Ask) origin.settle(Exit.fail(Refusal.failed(cell, incident)))
  const failure = { incident, tag: cell.tagName(tag), cause }
  // a signal is no message of the protocol
  runtime.failed(cell, plan.reportPayload && tag < SIGNAL ? { ...failure, payload } : failure)
}
