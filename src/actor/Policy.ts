/**
 * How an actor is supervised: data, checked when the behaviour is made. The decision is `supervision/Strategy`.
 *
 * Floor 1, because a behaviour carries its default; a spawn may give another.
 * Law 9. Defaults are those for pools of agents: backoff 100 ms x2 up to 10 s with full jitter, 10 restarts in 60 s, and a
 * clean slate after 60 s without failure.
 */
import { type Cause, type Duration, Schedule } from "effect"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"

/** What to do about a failure. `resume` keeps the state; `escalate` makes it the parent's failure. */
export type Directive = "restart" | "resume" | "stop" | "escalate"

/** OTP's restart types. permanent: also after a normal stop of its own; transient: after a failure only; temporary: never. */
export type RestartType = "permanent" | "transient" | "temporary"

/** Between a failure and the next incarnation. */
export interface Backoff {
  readonly min?: Duration.Input
  readonly max?: Duration.Input
  readonly factor?: number
  readonly jitter?: boolean
}

export interface PolicyOptions {
  /** Default `transient`. */
  readonly restart?: RestartType
  /** Chooses by cause; default: `restart`. Not asked for temporary actors, which always stop. */
  readonly directive?: (cause: Cause.Cause<unknown>) => Directive
  /**
   * Wait before restart n: min(max, min x factor^(n-1)), times a random number in 0..1 unless `jitter` is false. Or any
   * Schedule, given the Cause: its delays, one a failure; when it is done the actor is out of budget.
   */
  readonly backoff?: Backoff | Schedule.Schedule<unknown, Cause.Cause<unknown>>
  /** At most `restarts` within `within`; one more is out of budget. Defaults 10 in 60 seconds. */
  readonly intensity?: { readonly restarts?: number; readonly within?: Duration.Input }
  /** Without failure for so long, the next backoff starts at `min` again. Default 60 seconds. */
  readonly resetAfter?: Duration.Input
  /** Out of budget: `stop` the actor, or make it the parent's failure. Default `stop`; a virtual one is quarantined. */
  readonly exhausted?: "stop" | "escalate"
}

export interface Policy {
  readonly restart: RestartType
  readonly directive: (cause: Cause.Cause<unknown>) => Directive
  readonly minMillis: number
  readonly maxMillis: number
  readonly factor: number
  readonly jitter: boolean
  /** Instead of the four above. */
  readonly schedule: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined
  readonly restarts: number
  readonly withinMillis: number
  readonly resetMillis: number
  readonly exhausted: "stop" | "escalate"
}

/** What applies where an option is not given. */
export interface Defaults {
  readonly restart: RestartType
  readonly minMillis: number
  readonly maxMillis: number
  readonly restarts: number
  readonly withinMillis: number
  readonly exhausted: "stop" | "escalate"
  readonly directive: (cause: Cause.Cause<unknown>) => Directive
}

/** For agents: many of a kind, each with a budget of its own. */
export const agents: Defaults = {
  restart: "transient",
  minMillis: 100,
  maxMillis: 10_000,
  restarts: 10,
  withinMillis: 60_000,
  exhausted: "stop",
  directive: () => "restart"
}

export const make = (field: string, options: PolicyOptions = {}, defaults: Defaults = agents): Policy => {
  const { intensity } = options
  Options.known(field, options, ["restart", "directive", "backoff", "intensity", "resetAfter", "exhausted"])
  Options.known(`${field}.intensity`, intensity, ["restarts", "within"])
  const schedule = Schedule.isSchedule(options.backoff)
    ? (options.backoff as Schedule.Schedule<unknown, Cause.Cause<unknown>>)
    : undefined
  const backoff = schedule === undefined ? (options.backoff as Backoff | undefined) : undefined
  Options.known(`${field}.backoff`, backoff, ["min", "max", "factor", "jitter"])
  if (options.directive !== undefined && typeof options.directive !== "function") {
    throw new InvalidOption({ field: `${field}.directive`, value: typeof options.directive, range: "a function" })
  }
  const minMillis = Options.millis(`${field}.backoff.min`, backoff?.min, defaults.minMillis)
  const maxMillis = Options.millis(`${field}.backoff.max`, backoff?.max, Math.max(defaults.maxMillis, minMillis))
  if (maxMillis < minMillis) {
    throw new InvalidOption({
      field: `${field}.backoff.max`,
      value: `${maxMillis} ms`,
      range: `min (${minMillis} ms) or more`
    })
  }
  return {
    restart: Options.oneOf(`${field}.restart`, options.restart, defaults.restart, [
      "permanent",
      "transient",
      "temporary"
    ]),
    directive: options.directive ?? defaults.directive,
    minMillis,
    maxMillis,
    factor: Options.number(`${field}.backoff.factor`, backoff?.factor, 2, 1, 1000),
    jitter: Options.flag(`${field}.backoff.jitter`, backoff?.jitter, true),
    schedule,
    restarts: Options.integer(`${field}.intensity.restarts`, intensity?.restarts, defaults.restarts, 0, 1_000_000),
    withinMillis: Options.millis(`${field}.intensity.within`, intensity?.within, defaults.withinMillis),
    resetMillis: Options.millis(`${field}.resetAfter`, options.resetAfter, 60_000),
    exhausted: Options.oneOf(`${field}.exhausted`, options.exhausted, defaults.exhausted, ["stop", "escalate"])
  }
}
