/**
 * The error for a refused message, made only when somebody asks for it, and for an ask whose handler was overtaken.
 *
 * Floor 1; used by Tell, Ask, the turn and the teardown. On the hot path a refusal is a literal, so shedding load stays cheap.
 * Law 12: a refusal says by name what refused it and which option to change.
 */
import { ActorStopped, CalleeFailed, MailboxFull, NoSuchActor, Quarantined } from "../kernel/Errors.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Cell } from "./Cell.ts"
import type { Runtime } from "./Runtime.ts"

/** Why a ref that answered "closed" did so. */
export const closed = (
  ref: ActorRef<never>,
  runtime: Runtime | undefined
): ActorStopped | NoSuchActor | Quarantined => {
  const { address, cell } = ref
  const home = cell === undefined ? runtime : cell.program.runtime
  const remainingMillis = home === undefined ? 0 : home.quarantined(ref)
  if (remainingMillis > 0) return new Quarantined({ address, remainingMillis })
  const living = home?.locate(ref, false)
  if (living !== undefined) return new ActorStopped({ address, draining: true })
  return cell === undefined ? new NoSuchActor({ address }) : new ActorStopped({ address, draining: false })
}

/** The mailbox refused the message: it is the sender's again. */
export const full = (cell: Cell, tag: number, payload: unknown): MailboxFull =>
  new MailboxFull({
    address: cell.address,
    tag: cell.tagName(tag),
    capacity: cell.program.plan.capacity,
    payload
  })

/** Its handler was overtaken by a stop, or by the failure behind a restart. */
export const overtaken = (cell: Cell): ActorStopped | CalleeFailed => {
  const { address } = cell
  const incident = cell.extra?.teardown?.incident
  return incident === undefined
    ? new ActorStopped({ address, draining: false })
    : new CalleeFailed({ address, incident })
}
