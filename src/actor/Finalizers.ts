/**
 * The last of an incarnation: `onStop`, then its scope is closed.
 *
 * Floor 1; begun by Teardown, when nothing else of the incarnation runs, or by a kill, which does not wait for it.
 * Law 8: finalizers run once, however the incarnation ends: what was begun may be interrupted by a kill, but what has only
 * been forked is let begin. `onStop` is of lives that reached a state; a restart closes the scope only.
 * A failure here is reported, never supervised. The scope is looked up when `onStop` has ended: it may have added to it.
 */
import { Effect, Exit, Scope } from "effect"
import type { Cell } from "./Cell.ts"
import * as Forks from "./Forks.ts"
import { NO_STATE } from "./Status.ts"
import type { Teardown } from "./Teardown.ts"

/** Begins them; `teardown.finalizer` is their fiber until they have ended. */
export const begin = (cell: Cell, teardown: Teardown): void => {
  teardown.finalized = true
  const effect = finalizers(cell, teardown)
  if (effect === undefined) return
  const begun = Effect.suspend(() => {
    teardown.finalizing = true
    return effect
  })
  const fiber = Forks.start(cell, Forks.forking(cell), begun)
  teardown.finalizer = fiber
  fiber.addObserver((exit) => {
    teardown.finalizer = undefined
    Forks.late(cell, "onStop", exit)
  })
}

const finalizers = (cell: Cell, teardown: Teardown): Effect.Effect<unknown, unknown> | undefined => {
  const { onStop } = cell.program.plan.hooks
  const { state } = cell
  const close = Effect.suspend(() => {
    const scope = teardown.scope ?? cell.extra?.scope
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  const hook =
    onStop === undefined || teardown.goal === "restart" || state === NO_STATE
      ? undefined
      : Effect.suspend(() => {
          const out = onStop(state, teardown.reason, cell.context())
          return Effect.isEffect(out) ? (out as Effect.Effect<unknown, unknown>) : Effect.void
        })
  if (hook !== undefined) return Effect.ensuring(hook, close)
  return teardown.scope === undefined && cell.extra?.scope === undefined ? undefined : close
}
