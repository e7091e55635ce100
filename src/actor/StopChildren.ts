/**
 * How an actor that ends takes its children along.
 *
 * Floor 1; the part of Teardown that looks downward. Law 9: from right to left, each within its own grace or its
 * supervisor's for it; a dynamic supervisor's all at once, in batches, so that a hundred thousand do not hold the loop.
 * One absolute deadline passes down: a child has no more than what remains, minus 10 %, `infinity` included; when the
 * parent's stop gets harder or its time shorter, children that stop already are told.
 */
import type { Runnable } from "../kernel/Scheduler.ts"
import type { Cell } from "./Cell.ts"
import * as ExitReason from "./ExitReason.ts"
import { killOrder, type Order } from "./StopOrder.ts"
import type { Teardown } from "./Teardown.ts"

/** Stops the children, last started first. False while one of them still stops. */
export const children = (cell: Cell, teardown: Teardown): boolean => {
  if (cell.extra?.children === undefined && teardown.children === undefined) return true
  teardown.children ??= [...(cell.extra?.children ?? [])]
  const parallel = cell.extra?.overseer?.parallel === true
  // whoever else goes on with the teardown meanwhile must not overtake the child that still stops
  if (!parallel && teardown.stopping > 0) return false
  let stopped = 0
  for (let child = teardown.children.at(-1); child !== undefined; child = teardown.children.at(-1)) {
    teardown.children.pop()
    if (!child.alive) continue
    // one that stops already too: it may have been given more time
    child.stop(orderOf(cell, child, teardown))
    if (child.alive) {
      teardown.stopping++
      ;(child.extra!.teardown!.listeners ??= []).push(() => {
        teardown.stopping--
        cell.advance()
      })
      if (!parallel) return false
    }
    if (parallel && ++stopped === BATCH && teardown.children.length > 0) {
      cell.program.runtime.scheduler.append(new Onwards(cell, teardown))
      teardown.batched = true
      return false
    }
  }
  return teardown.stopping === 0
}

/** A child stops within its own grace, or its supervisor's for it, and never later than its parent would allow. */
const orderOf = (cell: Cell, child: Cell, teardown: Teardown): Order => {
  const grace = cell.extra?.overseer?.graceMillis(child) ?? child.program.plan.shutdownMillis
  if (grace === 0) return killOrder
  const left = teardown.expiresAt - cell.program.runtime.timers.now()
  const mode = teardown.mode === "drain" ? "drain" : "now"
  return { mode, millis: Math.min(grace, Math.max(1, left * 0.9)), reason: ExitReason.shutdown }
}

/** So many children of a dynamic supervisor are told to stop in one go; then others get the loop. */
const BATCH = 512

class Onwards implements Runnable {
  next: Runnable | undefined = undefined
  readonly priority: number
  readonly #cell: Cell
  readonly #teardown: Teardown
  constructor(cell: Cell, teardown: Teardown) {
    this.#cell = cell
    this.#teardown = teardown
    this.priority = cell.priority
  }
  run(): void {
    this.#teardown.batched = false
    if (this.#cell.extra?.teardown === this.#teardown) this.#cell.advance()
  }
}

/** Children that stop already are held to the mode and deadline that their parent has now. */
export const press = (cell: Cell, teardown: Teardown): void => {
  if (teardown.mode === "kill") return
  for (const child of [...(cell.extra?.children ?? [])].toReversed()) {
    if (child.extra?.teardown?.goal === "stop") child.stop(orderOf(cell, child, teardown))
  }
}
