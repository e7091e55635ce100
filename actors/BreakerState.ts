/**
 * What a Breaker knows, and what it tells of it: Schemas, so that a store could keep it and a client read it.
 *
 * Used by Breaker and its machine. The state is that of the machine without what XState adds: its value and its context, from which
 * `resolveState` makes the rest. Times are milliseconds of the epoch, by Effect's clock, so that they mean the same after a restart.
 * Law 3: `recent` holds the window, no more.
 * Considered the machine's snapshot itself as the state: rejected, it holds the machine, and no Schema says what is in it.
 */
import { Schema } from "effect"

/** How a call ended; one that was cancelled is ignored. */
export const Outcome = Schema.Literals(["ok", "failed", "ignored"])
export type Outcome = typeof Outcome.Type

export const StateName = Schema.Literals(["closed", "open", "halfOpen"])

export const Context = Schema.Struct({
  /** Rises with each change of state; each life of an actor begins at another. */
  epoch: Schema.Int,
  /** Calls let in, ever. */
  calls: Schema.Int,
  recent: Schema.Array(Schema.Struct({ at: Schema.Finite, failed: Schema.Boolean })),
  /** Of how many calls how many had failed when it opened; while it is open. */
  opened: Schema.Struct({ counted: Schema.Int, failures: Schema.Int }),
  /** Opened so often since it was closed. */
  openings: Schema.Int,
  /** Probes under way, and those that have succeeded. */
  probing: Schema.Int,
  passed: Schema.Int,
  /** When something happens by itself: it tries again, or gives its probes up. */
  due: Schema.UndefinedOr(Schema.Finite)
})
export type Context = typeof Context.Type

export const State = Schema.Struct({ value: StateName, context: Context })
export type State = typeof State.Type

/**
 * How it stands: `calls` let in, ever, and `due` of the context; `failures` of the `counted` that ended,
 * - closed: the last ones, of the window
 * - open: those that opened it: of the window, or its probes, where one that did not end in time is a failure
 * - halfOpen: its probes; the first failure opens it, so there is none yet
 */
export const Status = Schema.Struct({
  state: StateName,
  calls: Schema.Int,
  counted: Schema.Int,
  failures: Schema.Int,
  due: Schema.UndefinedOr(Schema.Finite)
})
export type Status = typeof Status.Type

/** What happens. */
export type Event =
  | { readonly type: "CALL" }
  | { readonly type: "DUE" }
  | { readonly type: "ENDED"; readonly epoch: number; readonly outcome: Outcome }

/** Of a state that has just begun. */
export const nothing = { recent: [], opened: { counted: 0, failures: 0 }, probing: 0, passed: 0 }
/** Closed, and nothing known. */
export const initial: Context = { ...nothing, epoch: 0, calls: 0, openings: 0, due: undefined }

/** Of so many outcomes, so many are failures. */
export const count = (recent: Context["recent"]): Context["opened"] => ({
  counted: recent.length,
  failures: recent.filter(({ failed }) => failed).length
})

export const statusOf = ({ context: { calls, due, opened, passed, recent }, value: state }: State): Status => {
  const counts = { closed: count(recent), open: opened, halfOpen: { counted: passed, failures: 0 } }
  return { state, calls, ...counts[state], due }
}
