/**
 * What is known of a failure: the record, and its text for the log.
 *
 * Floor 2; made by the system for every failure it hears of; `host.failures` carries all of them, the log as many as the
 * FloodGate lets through. Pure: reads the cell, changes nothing.
 * An asker learns only the incident id (`CalleeFailed`); this is where the id leads to. The payload stands in it only
 * where the behaviour says `reportPayload`: it may hold what no log should.
 * Law 3: 8 steps, 1,024 characters of payload, 16,384 of cause. Cost: the steps are kept by actors that have an `Extra`
 * anyway, without those between active and idle and without the first one to active, so an actor that never failed nor
 * stopped keeps none. A text is made only for what is logged.
 */
import { Cause } from "effect"
import type { Cell } from "../actor/Cell.ts"
import type { Extra } from "../actor/Extra.ts"
import type { Failure } from "../actor/Runtime.ts"
import { ActorFailed } from "../kernel/Errors.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import { excerpt } from "./Excerpt.ts"

/** Steps of its lifecycle that an actor keeps for its reports. */
export const maxSteps = 8
/** UTF-16 units of a payload, and of a pretty-printed cause. */
const maxPayloadChars = 1024
export const maxCauseChars = 16_384

/** A failure, what was known then, and what was decided about it. */
export interface CrashReport {
  /** Where and what: address, incarnation, tag, incident and cause. */
  readonly error: ActorFailed
  readonly decision: string
  /** The type of the actor. */
  readonly type: string
  /** Its lifecycle state when it failed. */
  readonly state: Lifecycle.State
  /** How often this life was restarted before. */
  readonly restarts: number
  /** The message, printed; undefined unless the behaviour says `reportPayload`, and for what is no message. */
  readonly payload: string | undefined
  /** Its last steps before the failure, oldest first. */
  readonly steps: ReadonlyArray<Lifecycle.Step>
  /** The system clock's time, in ms, as in the steps. */
  readonly at: number
  /** The same moment in ms since 1970. */
  readonly time: number
}

export const make = (cell: Cell, failure: Failure, decision: string, at: number, time: number): CrashReport => {
  const { incident, tag, cause } = failure
  const { address, incarnation } = cell
  return {
    error: new ActorFailed({ address, incarnation, tag, incident, cause }),
    decision,
    type: cell.program.plan.protocol.type,
    state: Lifecycle.states[cell.lifecycle]!,
    restarts: incarnation - 1,
    payload: "payload" in failure ? excerpt(failure.payload, maxPayloadChars) : undefined,
    steps: [...(cell.extra?.steps ?? [])],
    at,
    time
  }
}

/** Whether a step says more than that there was mail, or none, or that the actor began or has ended. */
export const isWorthKeeping = (from: number, to: number, incarnation: number): boolean =>
  to !== Lifecycle.IDLE &&
  to !== Lifecycle.STOPPED &&
  (to !== Lifecycle.ACTIVE || (from === Lifecycle.CONNECTING && incarnation > 1))

/** Keeps a step for the actor's next report; the oldest is let go. */
export const remember = (extra: Extra, step: Lifecycle.Step): void => {
  if (extra.steps === undefined) extra.steps = [step]
  else if (extra.steps.push(step) > maxSteps) extra.steps.shift()
}

/** For the log: one entry of several lines. */
export const text = (report: CrashReport): string => {
  const { error, decision, state, restarts, payload, steps, at, time } = report
  const lines = [
    `${error.message}: ${decision}`,
    `  at ${new Date(time).toISOString()}, ${state}, ${restarts === 1 ? "1 restart" : `${restarts} restarts`} so far`
  ]
  if (payload !== undefined) lines.push(`  payload: ${payload}`)
  for (const step of steps) {
    lines.push(`  ${Math.round(at - step.at)} ms before: ${step.from} -> ${step.to} (${step.why})`)
  }
  lines.push(pretty(error.cause as Cause.Cause<unknown>))
  return lines.join("\n")
}

const pretty = (cause: Cause.Cause<unknown>): string => {
  let all: string
  try {
    all = Cause.pretty(cause)
  } catch (defect) {
    // what was thrown need not be a well-behaved Error
    all = `a cause that cannot be printed: ${excerpt(defect, maxPayloadChars)}`
  }
  if (all === "") return "(an empty cause)"
  return all.length <= maxCauseChars
    ? all
    : `${all.slice(0, maxCauseChars)}... (${all.length} characters)`.toWellFormed()
}
