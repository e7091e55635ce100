/**
 * How an actor is supervised: data, checked when the behaviour is made. The decision is `supervision/Strategy`.
 *
 * Floor 1, because a behaviour carries its default; a spawn may give another.
 * Law 9. Defaults are those for pools of agents: backoff 100 ms x2 up to 10 s with full jitter, 10 restarts in 60 s, and a
 * clean slate after 60 s without failure.
 */
import type { Cause, Duration } from "effect"
import * as Options from "../kernel/Options.ts"

/** What to do about a failure. `resume` keeps the state; `escalate` makes it the parent's failure. */
export type Directive = "restart" | "resume" | "stop" | "escalate"

export interface PolicyOptions {
  /**
   * OTP's restart types. permanent: also after a normal stop of its own; transient (default): after a failure only;
   * temporary: never.
   */
  readonly restart?: "permanent" | "transient" | "temporary"
  /** Chooses by cause; default: `restart`. Not asked for temporary actors, which always stop. */
  readonly directive?: (cause: Cause.Cause<unknown>) => Directive
  /** Wait before restart n: min(max, min x factor^(n-1)), times a random number in 0..1 unless `jitter` is false. */
  readonly backoff?: {
    readonly min?: Duration.Input
    readonly max?: Duration.Input
    readonly factor?: number
    readonly jitter?: boolean
  }
  /** At most `restarts` within `within`; one more is out of budget. Defaults 10 in 60 seconds. */
  readonly intensity?: { readonly restarts?: number; readonly within?: Duration.Input }
  /** Without failure for so long, the next backoff starts at `min` again. Default 60 seconds. */
  readonly resetAfter?: Duration.Input
  /** Out of budget: `stop` the actor, or make it the parent's failure. Default `stop`; a virtual one is quarantined. */
  readonly exhausted?: "stop" | "escalate"
}

export interface Policy {
  readonly restart: "permanent" | "transient" | "temporary"
  readonly directive: (cause: Cause.Cause<unknown>) => Directive
  readonly minMillis: number
  readonly maxMillis: number
  readonly factor: number
  readonly jitter: boolean
  readonly restarts: number
  readonly withinMillis: number
  readonly resetMillis: number
  readonly exhausted: "stop" | "escalate"
}

const always = (): Directive => "restart"

export const make = (field: string, options: PolicyOptions = {}): Policy => {
  const { backoff, intensity } = options
  Options.known(field, options, ["restart", "directive", "backoff", "intensity", "resetAfter", "exhausted"])
  Options.known(`${field}.backoff`, backoff, ["min", "max", "factor", "jitter"])
  Options.known(`${field}.intensity`, intensity, ["restarts", "within"])
  return {
    restart: Options.oneOf(`${field}.restart`, options.restart, "transient", ["permanent", "transient", "temporary"]),
    directive: options.directive ?? always,
    minMillis: Options.millis(`${field}.backoff.min`, backoff?.min, 100),
    maxMillis: Options.millis(`${field}.backoff.max`, backoff?.max, 10_000),
    factor: Options.number(`${field}.backoff.factor`, backoff?.factor, 2, 1, 1000),
    jitter: backoff?.jitter ?? true,
    restarts: Options.integer(`${field}.intensity.restarts`, intensity?.restarts, 10, 0, 1_000_000),
    withinMillis: Options.millis(`${field}.intensity.within`, intensity?.within, 60_000),
    resetMillis: Options.millis(`${field}.resetAfter`, options.resetAfter, 60_000),
    exhausted: Options.oneOf(`${field}.exhausted`, options.exhausted, "stop", ["stop", "escalate"])
  }
}
