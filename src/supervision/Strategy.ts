/**
 * What to do about a failure: a pure function of policy, history and event.
 *
 * Floor 2; called by Supervisor, which acts on it; tested as a table without a system.
 * Law 9, OTP's supervision. `restarts` failures within `within` are restarted, one more is out of budget. Backoff of the
 * n-th failure in a row is min(max, min x factor^(n-1)), times the given random number where the policy has jitter; a row
 * ends after `resetAfter` without failure. Where Troupe departs from OTP: mail survives a restart, and `resume` keeps state.
 */
import type { Cause } from "effect"
import type { Policy } from "../actor/Policy.ts"

/** What is remembered of one actor's failures. */
export interface History {
  /** Times of the restarts within the intensity's period, oldest first: `restarts` of them at the most. */
  readonly restarts: ReadonlyArray<number>
  /** Failures in a row, for the backoff. */
  readonly streak: number
  readonly lastAt: number
}

export const empty: History = { restarts: [], streak: 0, lastAt: Number.NEGATIVE_INFINITY }

export interface Failed {
  readonly at: number
  readonly cause: Cause.Cause<unknown>
  /** 0 to 1, for the jitter. */
  readonly random: number
}

export type Decision =
  | { readonly _tag: "resume" }
  | { readonly _tag: "restart"; readonly delayMillis: number; readonly history: History }
  | { readonly _tag: "stop" }
  | { readonly _tag: "escalate" }
  | { readonly _tag: "exhausted"; readonly instead: "stop" | "escalate" }

export const decide = (policy: Policy, history: History, event: Failed): Decision => {
  if (policy.restart === "temporary") return { _tag: "stop" }
  const directive = policy.directive(event.cause)
  if (directive !== "restart") return { _tag: directive }
  return again(policy, history, event)
}

/** A restart, if the budget allows one. */
export const again = (policy: Policy, history: History, event: Omit<Failed, "cause">): Decision => {
  const recent = history.restarts.filter((at) => event.at - at < policy.withinMillis)
  if (recent.length >= policy.restarts) return { _tag: "exhausted", instead: policy.exhausted }
  const streak = event.at - history.lastAt >= policy.resetMillis ? 1 : history.streak + 1
  const full = Math.min(policy.maxMillis, policy.minMillis * policy.factor ** (streak - 1))
  return {
    _tag: "restart",
    delayMillis: policy.jitter ? full * event.random : full,
    history: { restarts: [...recent, event.at], streak, lastAt: event.at }
  }
}
