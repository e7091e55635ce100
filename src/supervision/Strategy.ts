/**
 * What to do about a failure or an exit: pure functions of policy, history and event.
 *
 * Floor 2; called by Supervision and Children, which act on it; tested as a table without a system.
 * Law 9, OTP's supervision. `restarts` of them within `within` are granted, one more is out of budget; a restart exactly
 * `within` ago still counts, as in OTP. The budget is the actor's own, or its supervisor's (`Shared`).
 * Backoff of the n-th failure in a row is min(max, min x factor^(n-1)), times the given random number where the policy has
 * jitter, or what the policy's Schedule says next; a row ends after `resetAfter` without failure.
 * Where Troupe departs from OTP: mail survives a restart, there is a wait before it, and `resume` keeps state.
 */
import type { Cause } from "effect"
import type { ExitReason } from "../actor/ExitReason.ts"
import type { Directive, Policy, RestartType } from "../actor/Policy.ts"
import { InvalidOption } from "../kernel/Errors.ts"

/** Who is restarted with a child: it alone; all; it and those started after it. */
export type Kind = "one_for_one" | "one_for_all" | "rest_for_one" | "dynamic"

/** When a supervisor ends because significant children have: never; with the first; with the last of them. */
export type AutoShutdown = "never" | "any_significant" | "all_significant"

/** What is remembered of one actor's failures. */
export interface History {
  /** Times of the restarts within the intensity's period, oldest first: `restarts` of them at the most. */
  readonly restarts: ReadonlyArray<number>
  /** Failures in a row, for the backoff. */
  readonly streak: number
  readonly lastAt: number
}

export const empty: History = { restarts: [], streak: 0, lastAt: Number.NEGATIVE_INFINITY }

/** A supervisor's budget, shared by its children. */
export interface Shared {
  readonly restarts: number
  readonly withinMillis: number
  /** Times of the restarts within the period, oldest first. */
  readonly spent: ReadonlyArray<number>
}

export interface Ended {
  readonly at: number
  /** 0 to 1, for the jitter. */
  readonly random: number
  /** Of a policy with a Schedule: its next delay in ms; undefined when it is done. `first`: a new row of failures. */
  readonly schedule?: ((first: boolean) => number | undefined) | undefined
}

export interface Failed extends Ended {
  readonly cause: Cause.Cause<unknown>
  /** What failed was its start: there is no state that `resume` could keep. */
  readonly stateless?: boolean
}

export type Decision =
  | { readonly _tag: "resume" }
  | {
      readonly _tag: "restart"
      readonly delayMillis: number
      readonly history: History
      /** What the shared budget holds now, where there is one. */
      readonly spent: ReadonlyArray<number>
    }
  | { readonly _tag: "stop" }
  | { readonly _tag: "escalate" }
  | { readonly _tag: "exhausted"; readonly instead: "stop" | "escalate" }

const directives: ReadonlyArray<Directive> = ["restart", "resume", "stop", "escalate"]

/** A failure of a handler, of `initial`, of a fork. A directive that answers with something else throws. */
export const decide = (policy: Policy, history: History, event: Failed, shared?: Shared): Decision => {
  if (policy.restart === "temporary") return { _tag: "stop" }
  const directive = policy.directive(event.cause)
  if (!directives.includes(directive)) {
    const range = `one of ${directives.join(", ")}`
    throw new InvalidOption({ field: "directive", value: `its answer ${String(directive)}`, range })
  }
  if (directive !== "restart" && !(directive === "resume" && event.stateless === true)) return { _tag: directive }
  return again(policy, history, event, shared)
}

/** A restart, if the budget grants one. */
export const again = (policy: Policy, history: History, event: Ended, shared?: Shared): Decision => {
  const { restarts, withinMillis, spent } = shared ?? { ...policy, spent: history.restarts }
  const recent = spent.filter((at) => event.at - at <= withinMillis)
  if (recent.length >= restarts) return { _tag: "exhausted", instead: policy.exhausted }
  const streak = event.at - history.lastAt >= policy.resetMillis ? 1 : history.streak + 1
  const delayMillis = delay(policy, streak, event)
  if (delayMillis === undefined) return { _tag: "exhausted", instead: policy.exhausted }
  const now = [...recent, event.at]
  return {
    _tag: "restart",
    delayMillis,
    history: { restarts: shared === undefined ? now : [], streak, lastAt: event.at },
    spent: now
  }
}

const delay = (policy: Policy, streak: number, event: Ended): number | undefined => {
  if (event.schedule !== undefined) return event.schedule(streak === 1)
  const full = Math.min(policy.maxMillis, policy.minMillis * policy.factor ** (streak - 1))
  return policy.jitter ? full * event.random : full
}

/** OTP's word for an end that a transient child comes back from. */
const isAbnormal = (reason: ExitReason["_tag"]): boolean =>
  reason === "failed" || reason === "killed" || reason === "overflow"

/** Whether a child whose life ended so, not by its supervisor's doing, is started again. */
export const returns = (restart: RestartType, reason: ExitReason["_tag"]): boolean =>
  restart === "permanent" || (restart === "transient" && isAbnormal(reason))

/** Which of `count` children, in the order they were started, go down and come back with the one at `at`: [from, to). */
export const affected = (kind: Kind, count: number, at: number): readonly [from: number, to: number] => {
  if (kind === "one_for_all") return [0, count]
  return kind === "rest_for_one" ? [at, count] : [at, at + 1]
}

/** Whether the supervisor ends, now that a child has ended for good by itself. `others`: significant ones still there. */
export const shutsDown = (auto: AutoShutdown, significant: boolean, others: number): boolean =>
  significant && (auto === "any_significant" || (auto === "all_significant" && others === 0))
