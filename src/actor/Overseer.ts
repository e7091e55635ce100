/**
 * What a cell tells the supervisor above it, and asks of it.
 *
 * Floor 1, because a teardown stops children by their supervisor's order; implemented by `supervision/Children`, made when a
 * supervisor starts. An actor that is no supervisor has none: its children stop in reverse, each within its own grace, and
 * answer for their failures by their own policy.
 * Law 9. Cost: nothing for actors without a supervisor above them but a look at an absent field, and none a message.
 */
import type { Cell } from "./Cell.ts"
import type { ExitReason } from "./ExitReason.ts"

export interface Overseer {
  /** Its children are stopped all at once, not one after the other. */
  readonly parallel: boolean
  /** How a child is stopped: its grace in ms, Infinity for none, 0 for a kill at once. */
  graceMillis(child: Cell): number
  /** A child has its state. */
  ready(child: Cell): void
  /** A child that was to be restarted together with others is down, and waits to be started. */
  parked(child: Cell): void
  /** A child's life has ended. */
  ended(child: Cell, reason: ExitReason): void
  /** The supervisor's incarnation ends, or its life. */
  close(): void
}

/** The supervisor's side of a cell, where its parent is one. */
export const above = (cell: Cell): Overseer | undefined => cell.parent?.extra?.overseer
