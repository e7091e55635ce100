/**
 * `self.timers`: messages that an actor sends itself later.
 *
 * Floor 1; kept in the actor's record, armed in the system's one timer list. Keyed: setting a key again replaces it.
 * Law 3: a timer has one reserved slot, so at most one undelivered firing, however late the actor is; `held` timers an actor.
 * Law 4: a firing counts as accepted; one that is overtaken (replaced, cancelled, or of a former incarnation) is a dead
 * letter `stale`. Staged: set and cancelled only when the handler succeeds. Volatile: a restart drops them all.
 */
import { RESERVED } from "../kernel/Envelope.ts"
import { TimerNode } from "../kernel/Timers.ts"
import type { Cell } from "./Cell.ts"
import type { Ticket } from "./Extra.ts"

export class ActorTimer extends TimerNode {
  readonly cell: Cell
  readonly key: string
  readonly tag: number
  readonly payload: unknown
  readonly millis: number
  readonly repeats: boolean
  /** The firing that lies in the mailbox. */
  pending: Ticket | undefined = undefined

  constructor(cell: Cell, key: string, tag: number, payload: unknown, millis: number, repeats: boolean) {
    super()
    this.cell = cell
    this.key = key
    this.tag = tag
    this.payload = payload
    this.millis = millis
    this.repeats = repeats
  }

  expired(): void {
    const { cell } = this
    const { timers } = cell.program.runtime
    if (this.repeats) timers.arm(this, this.millis)
    // while it drains, what has not fired is no accepted mail
    if (this.pending !== undefined || !cell.open) return
    const ticket: Ticket = { incarnation: cell.incarnation, timer: this, piped: false, valid: true }
    if (cell.deliver(this.tag + RESERVED, this.payload, ticket)) this.pending = ticket
  }
}

/** Its firing has left the mailbox. One that fires once stays under its key until then, so that it can be cancelled. */
export const delivered = (timer: ActorTimer): void => {
  timer.pending = undefined
  const timers = timer.cell.extra?.timers
  if (!timer.repeats && timers?.get(timer.key) === timer) timers.delete(timer.key)
}

/** Arms a timer under its key, in place of the one that was there. */
export const set = (timer: ActorTimer): void => {
  const { cell } = timer
  // staged behind a `stop({ mode: "kill" })`, and released after it, when the sends before it had to wait for room
  if (!cell.alive) return
  const timers = (cell.record().timers ??= new Map<string, ActorTimer>())
  cancel(cell, timer.key)
  timers.set(timer.key, timer)
  cell.program.runtime.timers.arm(timer, timer.millis)
}

export const cancel = (cell: Cell, key: string): void => {
  const timer = cell.extra?.timers?.get(key)
  if (timer === undefined) return
  cell.program.runtime.timers.cancel(timer)
  if (timer.pending !== undefined) timer.pending.valid = false
  cell.extra!.timers!.delete(key)
}

/** The incarnation ends. */
export const clear = (cell: Cell): void => {
  const timers = cell.extra?.timers
  if (timers === undefined) return
  for (const key of timers.keys()) cancel(cell, key)
}
