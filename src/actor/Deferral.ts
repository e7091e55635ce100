/**
 * An answer that comes later: the handle that `self.defer()` gives.
 *
 * Floor 1; made by Context. Law 8: the handle lives as long as its asker and the incarnation; completing a dead one
 * answers false. `onCancel` tells that the asker has left. Law 3: at most `held` an actor.
 */
import { Exit } from "effect"
import { type Ask, TAKEN } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import { checkHeld } from "./Forks.ts"

export class Deferral<A, E> {
  readonly #ask: Ask | undefined
  readonly #settle: ((exit: Exit.Exit<unknown, unknown>) => boolean) | undefined

  constructor(ask: Ask | undefined, settle: ((exit: Exit.Exit<unknown, unknown>) => boolean) | undefined) {
    this.#ask = ask
    this.#settle = settle
  }

  /** Whether somebody still waits. */
  get waiting(): boolean {
    return this.#ask !== undefined && this.#ask.exit === undefined
  }

  /** Answers; false when nobody waits any more. */
  succeed(value: A): boolean {
    return this.waiting && this.#settle!(Exit.succeed(value))
  }

  /** Answers with a typed error of the Rpc; false when nobody waits any more. */
  fail(error: E): boolean {
    return this.waiting && this.#settle!(Exit.fail(error))
  }

  /** Calls back once if the asker gives up first. */
  onCancel(callback: () => void): void {
    if (this.#ask !== undefined && this.waiting) this.#ask.onCancel = callback
  }
}

export const make = <A, E>(
  cell: Cell,
  ask: Ask,
  settle: (exit: Exit.Exit<unknown, unknown>) => boolean
): Deferral<A, E> => {
  const deferred = (cell.record().deferred ??= new Set())
  checkHeld(cell, deferred.size, "deferred asks")
  deferred.add(ask)
  ask.phase = TAKEN
  return new Deferral<A, E>(ask, settle)
}
