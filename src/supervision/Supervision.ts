/**
 * Acts on failures and exits: restart with backoff, resume, stop, escalate, quarantine.
 *
 *   failure -> whose policy: the supervisor's for this child, the spawn's, the behaviour's
 *           -> Strategy.decide -> in place, alone or with siblings (Children) | stopped | the parent's failure
 *
 * Floor 2; called by the system for every failure of a handler, of `initial`, of a fork, and for every stop of its own.
 * Law 9. A failure is reported once, by name, incident and cause; the asker has been told by then (`CalleeFailed`).
 * Failures of an actor that is being stopped are reported and not supervised, so are those of one that goes down with its
 * siblings; of one whose parent is being stopped, end it. Escalation makes the failure the parent's,
 * which ends its children and starts over; a root has no parent: it stops, and a hosted one is quarantined.
 * Out of budget, what goes upward is `RestartsExhausted`, with the last failure's cause behind it.
 */
import { Cause, Duration, Effect, Exit, Pull, Schedule } from "effect"
import type { Context } from "effect"
import type { Cell } from "../actor/Cell.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import { above } from "../actor/Overseer.ts"
import type { Policy } from "../actor/Policy.ts"
import type { Failure } from "../actor/Runtime.ts"
import type { Order } from "../actor/StopOrder.ts"
import { NO_STATE, STARTING, UNBORN } from "../actor/Status.ts"
import * as Teardown from "../actor/Teardown.ts"
import { RestartsExhausted } from "../kernel/Errors.ts"
import type { Children } from "./Children.ts"
import * as Links from "./Links.ts"
import * as Strategy from "./Strategy.ts"

export interface Surroundings {
  readonly now: () => number
  readonly random: () => number
  readonly services: () => Context.Context<never>
  readonly incident: () => string
  readonly report: (cell: Cell, failure: Failure, decision: string) => void
  /** The same of what is no failure, so not for the log. */
  readonly tell: (cell: Cell, failure: Failure, decision: string) => void
  /** The actor is out of budget: true when its key is set aside for a while (virtual actors). */
  readonly quarantine: (cell: Cell) => boolean
}

/** What is kept of an actor that has failed. */
interface Memory {
  history: Strategy.History
  /** Of a policy with a Schedule: where it stands. */
  step: ((now: number, cause: Cause.Cause<unknown>) => Effect.Effect<unknown, unknown>) | undefined
}

const memoryOf = (cell: Cell): Memory =>
  ((cell.record().history as Memory | undefined) ??= { history: Strategy.empty, step: undefined })

const supervisorOf = (cell: Cell): Children | undefined => above(cell) as Children | undefined

const policyOf = (cell: Cell): Policy =>
  cell.extra?.policy ?? supervisorOf(cell)?.policyOf(cell) ?? cell.program.plan.policy

/** The next delay of the policy's Schedule, in ms; undefined when it is done. */
const scheduled = (memory: Memory, policy: Policy, around: Surroundings, cause: Cause.Cause<unknown>) => {
  const { schedule } = policy
  if (schedule === undefined) return undefined
  return (first: boolean): number | undefined => {
    const now = around.now()
    if (first || memory.step === undefined) {
      memory.step = Effect.runSyncWith(around.services())(Schedule.toStep(schedule)) as NonNullable<Memory["step"]>
    }
    const exit = Effect.runSyncExitWith(around.services())(memory.step(now, cause))
    if (Exit.isSuccess(exit)) return Duration.toMillis((exit.value as readonly [unknown, Duration.Duration])[1])
    // a Schedule that is done ends its step with a value of its own; whatever else ended it is a defect of the policy
    if (Pull.isDoneCause(exit.cause)) return undefined
    throw Cause.squash(exit.cause)
  }
}

const eventOf = (cell: Cell, memory: Memory, policy: Policy, around: Surroundings, cause: Cause.Cause<unknown>) => ({
  at: around.now(),
  random: around.random(),
  schedule: scheduled(memory, policy, around, cause),
  cause
})

/** A handler, `initial` or a fork has failed. */
export const failed = (cell: Cell, failure: Failure, around: Surroundings): void => {
  const extra = cell.record()
  if (!cell.alive || extra.teardown !== undefined || extra.delay !== undefined) {
    return around.report(cell, failure, "ignored: it is stopping")
  }
  // one that a handler has made and not committed yet may be linked to already: nothing of it has begun that could end
  if ((cell.status & UNBORN) !== 0) return around.report(cell, failure, "ignored: it has not started")
  if (cell.parent !== undefined && Teardown.isEnding(cell.parent)) {
    around.report(cell, failure, "stopped: its parent is stopping")
    return stop(cell, failure)
  }
  const supervisor = supervisorOf(cell)
  if (supervisor?.startFailed(cell, failure) === true) {
    around.report(cell, failure, "did not start")
    return stop(cell, failure)
  }
  if (supervisor?.waits(cell) === true) {
    around.report(cell, failure, "goes down with its siblings")
    return supervisor.lower(cell, failure)
  }
  const policy = policyOf(cell)
  const memory = memoryOf(cell)
  let decision: Strategy.Decision
  try {
    const event = { ...eventOf(cell, memory, policy, around, failure.cause), stateless: hasNoState(cell) }
    decision = Strategy.decide(policy, memory.history, event, supervisor?.sharedBy(cell))
  } catch (defect) {
    return threw(cell, failure, defect, around)
  }
  switch (decision._tag) {
    case "resume":
      return around.report(cell, failure, "resumed")
    case "restart":
      around.report(cell, failure, `restarts in ${Math.round(decision.delayMillis)} ms`)
      return restart(cell, memory, decision, failure.incident)
    case "escalate":
      return escalate(cell, failure, failure.cause, around, "escalated")
    case "exhausted":
      return exhausted(cell, policy, decision.instead, failure, around)
    default:
      supervisor?.leave(cell, true)
      around.report(cell, failure, "stopped")
      return stop(cell, failure)
  }
}

/** Its start has failed: there is nothing that `resume` could keep. */
const hasNoState = (cell: Cell): boolean =>
  cell.state === NO_STATE && cell.extra?.running === undefined && (cell.status & STARTING) === 0

const defective = (failure: Failure, defect: unknown): Failure => ({
  ...failure,
  cause: Cause.combine(failure.cause, Cause.die(defect))
})

/** What it was to be supervised by is broken itself. */
const threw = (cell: Cell, failure: Failure, defect: unknown, around: Surroundings): void => {
  around.report(cell, defective(failure, defect), broken)
  supervisorOf(cell)?.leave(cell, true)
  stop(cell, failure)
}

const broken = "its directive or backoff threw, stopped"

const restart = (
  cell: Cell,
  memory: Memory,
  decision: Strategy.Decision & { readonly _tag: "restart" },
  incident: string
): void => {
  const supervisor = supervisorOf(cell)
  memory.history = decision.history
  if (supervisor === undefined) return Teardown.restart(cell, incident, decision.delayMillis)
  supervisor.spend(supervisor.sharedBy(cell), decision.spent)
  supervisor.restart(cell, incident, decision.delayMillis)
}

const exhausted = (
  cell: Cell,
  policy: Policy,
  instead: "stop" | "escalate",
  failure: Failure,
  around: Surroundings
): void => {
  if (instead === "escalate") {
    const { restarts, withinMillis } = supervisorOf(cell)?.rules.budget ?? policy
    const out = Cause.fail(new RestartsExhausted({ address: cell.address, restarts, withinMillis }))
    return escalate(cell, failure, Cause.combine(out, failure.cause), around, "out of restarts, escalated")
  }
  supervisorOf(cell)?.leave(cell, true)
  around.report(cell, failure, around.quarantine(cell) ? "out of restarts, quarantined" : "out of restarts, stopped")
  stop(cell, failure)
}

const stop = (cell: Cell, failure: Failure): void => {
  Teardown.stop(
    cell,
    { mode: "now", millis: undefined, reason: ExitReason.failed(failure.incident, failure.cause) },
    undefined
  )
}

/** The failure becomes the parent's, with `cause`. */
const escalate = (
  cell: Cell,
  failure: Failure,
  cause: Cause.Cause<unknown>,
  around: Surroundings,
  what: string
): void => {
  const { parent } = cell
  if (parent === undefined) {
    around.report(cell, failure, `${what}: it has no parent, stopped`)
    around.quarantine(cell)
    return stop(cell, failure)
  }
  around.report(cell, failure, `${what} to ${parent.address}`)
  supervisorOf(cell)?.leave(cell, false)
  stop(cell, failure)
  failed(parent, { ...failure, cause, tag: `child ${cell.address}` }, around)
}

const selfStop = Cause.empty

/** An actor stops itself. OTP's permanent ones come back, within their budget. */
export const exits = (cell: Cell, order: Order, around: Surroundings): void => {
  const extra = cell.record()
  const policy = policyOf(cell)
  const ending = extra.teardown !== undefined || (cell.parent !== undefined && Teardown.isEnding(cell.parent))
  const supervisor = supervisorOf(cell)
  // one whose start is waited for has not started then
  if (policy.restart !== "permanent" || order.mode === "kill" || ending || supervisor?.starts(cell) === true) {
    return void Teardown.stop(cell, order, undefined)
  }
  const memory = memoryOf(cell)
  const failure: Failure = { incident: around.incident(), tag: "stop", cause: Cause.die(new Error("stopped itself")) }
  if (supervisor?.waits(cell) === true) {
    around.tell(cell, failure, "stopped itself, goes down with its siblings")
    Links.dissolve(cell)
    return supervisor.lower(cell, failure)
  }
  let decision: Strategy.Decision
  try {
    const event = eventOf(cell, memory, policy, around, selfStop)
    decision = Strategy.again(policy, memory.history, event, supervisor?.sharedBy(cell))
  } catch (defect) {
    return threw(cell, failure, defect, around)
  }
  if (decision._tag === "restart") {
    around.tell(cell, failure, `stopped itself, restarts in ${Math.round(decision.delayMillis)} ms`)
    Links.dissolve(cell) // a normal end breaks nothing
    return restart(cell, memory, decision, "stopped itself, permanent")
  }
  if (supervisor === undefined) return void Teardown.stop(cell, order, undefined)
  exhausted(cell, policy, policy.exhausted, failure, around)
}

/** A child's life has ended by no doing of its supervisor, and it is to be made anew: when? Undefined: out of budget. */
export const again = (
  child: Cell,
  policy: Policy,
  shared: Strategy.Shared | undefined,
  around: Surroundings
): number | undefined => {
  const supervisor = supervisorOf(child)!
  const memory = memoryOf(child)
  const reason = child.extra!.exit!
  const incident = reason._tag === "failed" ? reason.incident : around.incident()
  const failure: Failure = { incident, tag: "stop", cause: Cause.die(new Error(`ended: ${reason._tag}`)) }
  let decision: Strategy.Decision
  try {
    const event = eventOf(child, memory, policy, around, failure.cause)
    decision = Strategy.again(policy, memory.history, event, shared)
  } catch (defect) {
    around.report(child, defective(failure, defect), broken)
    return undefined
  }
  if (decision._tag === "restart") {
    around.report(child, failure, `${reason._tag}, made anew in ${Math.round(decision.delayMillis)} ms`)
    memory.history = decision.history
    supervisor.spend(shared, decision.spent)
    return decision.delayMillis
  }
  const { parent } = child
  if (policy.exhausted === "stop" || parent === undefined) {
    around.report(child, failure, `${reason._tag}, out of restarts`)
    return undefined
  }
  const { restarts, withinMillis } = supervisor.rules.budget ?? policy
  const cause = Cause.fail(new RestartsExhausted({ address: child.address, restarts, withinMillis }))
  around.report(child, failure, `${reason._tag}, out of restarts, escalated to ${parent.address}`)
  failed(parent, { incident, tag: `child ${child.address}`, cause }, around)
  return undefined
}
