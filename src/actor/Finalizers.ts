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
import type { Hooks } from "./Plan.ts"
import { NO_STATE } from "./Status.ts"
import type { Teardown } from "./Teardown.ts"

/** Begins them; `teardown.finalizer` is their fiber until they have ended. */
export const begin = (cell: Cell, teardown: Teardown): void => {
  teardown.finalized = true
  const effect = finalizers(cell, teardown)
  if (effect === undefined) return
  const fiber = Forks.start(cell, Forks.forking(cell), effect)
  teardown.finalizer = fiber
  fiber.addObserver((exit) => {
    teardown.finalizer = undefined
    Forks.late(cell, "onStop", exit)
  })
}

const finalizers = (cell: Cell, teardown: Teardown): Effect.Effect<unknown, unknown> | undefined => {
  const { onStop } = cell.program.plan.hooks
  const hooked = teardown.goal !== "restart" && cell.state !== NO_STATE ? onStop : undefined
  if (hooked === undefined && teardown.scope === undefined && cell.extra?.scope === undefined) return undefined
  return hookThenClose(cell, teardown, hooked)
}

const hookThenClose = (cell: Cell, teardown: Teardown, onStop: Hooks["onStop"]): Effect.Effect<unknown, unknown> => {
  const { state } = cell
  const close = Effect.suspend(() => {
    const scope = teardown.scope ?? cell.extra?.scope
    return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
  })
  const hook = Effect.suspend(() => {
    // not before what closes the scope is in its place: from here on a kill interrupts it
    teardown.finalizing = true
    const out = onStop?.(state, teardown.reason, cell.context())
    return Effect.isEffect(out) ? (out as Effect.Effect<unknown, unknown>) : Effect.void
  })
  return Effect.ensuring(hook, close)
}
