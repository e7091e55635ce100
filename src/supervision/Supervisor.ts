/**
 * Acts on failures: restart with backoff, resume, stop, escalate, quarantine.
 *
 * Floor 2; called by the system for every failure of a handler, of `initial`, of a fork. The decision is Strategy's.
 * Law 9. A failure is reported once, by name, incident and cause; the asker has been told by then (`CalleeFailed`).
 * Failures of an actor that is being stopped are reported and not supervised. Escalation makes the failure the parent's,
 * which ends its children and starts over; a root has no parent: it stops, and a hosted one is quarantined.
 */
import { Cause } from "effect"
import type { Cell } from "../actor/Cell.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import type { Failure } from "../actor/Runtime.ts"
import type { Order } from "../actor/StopOrder.ts"
import * as Teardown from "../actor/Teardown.ts"
import * as Strategy from "./Strategy.ts"

export interface Surroundings {
  readonly now: () => number
  readonly random: () => number
  readonly report: (cell: Cell, failure: Failure, decision: string) => void
  /** The actor is out of budget: true when its key is set aside for a while (virtual actors). */
  readonly quarantine: (cell: Cell) => boolean
}

const historyOf = (cell: Cell): Strategy.History =>
  (cell.extra?.history as Strategy.History | undefined) ?? Strategy.empty

export const failed = (cell: Cell, failure: Failure, around: Surroundings): void => {
  const extra = cell.record()
  if (!cell.alive || extra.teardown !== undefined || extra.delay !== undefined) {
    return around.report(cell, failure, "ignored: it is stopping")
  }
  const policy = extra.policy ?? cell.program.plan.policy
  const event = { at: around.now(), cause: failure.cause, random: around.random() }
  let decision: Strategy.Decision
  try {
    decision = Strategy.decide(policy, historyOf(cell), event)
  } catch (defect) {
    around.report(
      cell,
      { ...failure, cause: Cause.combine(failure.cause, Cause.die(defect)) },
      "its directive threw, stopped"
    )
    return stop(cell, failure)
  }
  switch (decision._tag) {
    case "resume":
      return around.report(cell, failure, "resumed")
    case "restart":
      extra.history = decision.history
      around.report(cell, failure, `restarts in ${Math.round(decision.delayMillis)} ms`)
      return Teardown.restart(cell, failure.incident, decision.delayMillis)
    case "escalate":
      return escalate(cell, failure, around, "escalated")
    case "exhausted":
      if (decision.instead === "escalate") return escalate(cell, failure, around, "out of restarts, escalated")
      around.report(
        cell,
        failure,
        around.quarantine(cell) ? "out of restarts, quarantined" : "out of restarts, stopped"
      )
      return stop(cell, failure)
    default:
      around.report(cell, failure, "stopped")
      return stop(cell, failure)
  }
}

/** An actor stops itself. OTP's permanent ones come back, within their budget. */
export const exits = (cell: Cell, order: Order, around: Surroundings): void => {
  const extra = cell.record()
  const policy = extra.policy ?? cell.program.plan.policy
  if (policy.restart !== "permanent" || order.mode === "kill" || extra.teardown !== undefined) {
    return void Teardown.stop(cell, order, undefined)
  }
  const decision = Strategy.again(policy, historyOf(cell), { at: around.now(), random: around.random() })
  if (decision._tag !== "restart") return void Teardown.stop(cell, order, undefined)
  extra.history = decision.history
  Teardown.restart(cell, "stopped itself, permanent", decision.delayMillis)
}

const stop = (cell: Cell, failure: Failure): void => {
  Teardown.stop(cell, { mode: "now", millis: undefined, reason: ExitReason.failed(failure.incident) }, undefined)
}

const escalate = (cell: Cell, failure: Failure, around: Surroundings, what: string): void => {
  const { parent } = cell
  if (parent === undefined) {
    around.report(cell, failure, `${what}: it has no parent, stopped`)
    around.quarantine(cell)
    return stop(cell, failure)
  }
  around.report(cell, failure, `${what} to ${parent.address}`)
  stop(cell, failure)
  failed(parent, { ...failure, tag: `child ${cell.address}` }, around)
}
