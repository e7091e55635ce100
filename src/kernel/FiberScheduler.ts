/**
 * Effect's `Scheduler` service for the fibers of actors: they run from the actors' run queue, on the actors' budget.
 *
 * Floor 0; given in the context of every handler and fork; knows of an actor only that it owns fibers (`Owner`).
 * Law 6: an effectful handler that never suspends is cut like any other. Effect's own scheduler queues a dispatcher a
 * fiber, outside every priority of ours: twenty busy handlers held the loop for 380 ms under it, for 0.9 ms under this.
 * Law 1: a fiber that a timer, a promise or another actor's turn resumes goes through the run queue first, so handler code
 * runs only inside its own actor's turns.
 *
 * The context's `Strand` tells whose fiber it is, so the fibers it forks are known too. Checks are counted, not
 * `fiber.currentOpCount`: Effect runs up to 32 steps inline, so "every 32nd operation" would be skipped over.
 * Not cut: `while (true) yield* Effect.void`. Effect consumes those exits in place and asks no scheduler (`CutLoops`, in
 * the handlers' generators, does that), nor a plain synchronous loop, which is reported afterwards.
 */
import { Context } from "effect"
import type { Fiber, Scheduler as EffectScheduler } from "effect"
import type { Owner, Runnable, Scheduler } from "./Scheduler.ts"

/** Which actor a fiber belongs to, and whether as (part of) its handler or as a fork. */
export interface Strand {
  readonly owner: Owner
  readonly handling: boolean
}

export const CurrentStrand: Context.Reference<Strand | undefined> = Context.Reference<Strand | undefined>(
  "troupe/kernel/CurrentStrand",
  { defaultValue: () => undefined }
)

class FiberTask implements Runnable {
  next: Runnable | undefined = undefined
  readonly priority: number
  readonly #scheduler: Scheduler
  readonly #strand: Strand | undefined
  readonly #task: () => void

  constructor(scheduler: Scheduler, strand: Strand | undefined, task: () => void) {
    this.#scheduler = scheduler
    this.#strand = strand
    this.#task = task
    this.priority = strand === undefined ? 2 : strand.owner.priority
  }

  run(): void {
    const owner = this.#strand?.owner
    this.#scheduler.beginTask(owner, this.#strand !== undefined && this.#strand.handling)
    try {
      this.#task()
    } finally {
      owner?.settle()
      this.#scheduler.endTurn()
    }
  }
}

export class FiberScheduler implements EffectScheduler.Scheduler {
  readonly executionMode = "async"
  readonly #scheduler: Scheduler
  /** The fiber that was last seen, and whose turn it was found to belong to. */
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #owner: Owner | undefined = undefined
  #handling = false

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const scheduler = this.#scheduler
    const current = scheduler.current
    if (current === undefined) {
      this.#fiber = fiber
      this.#owner = undefined
      return true
    }
    if (fiber !== this.#fiber || current !== this.#owner || scheduler.handling !== this.#handling) {
      const strand = fiber.getRef(CurrentStrand)
      const own = strand !== undefined && strand.owner === current && strand.handling === scheduler.handling
      this.#fiber = fiber
      this.#owner = own ? current : undefined
      this.#handling = scheduler.handling
      if (!own) return true
    }
    return --scheduler.credit <= 0 && scheduler.fiberSpent()
  }

  /** Effect asks for a dispatcher a fiber, right after `shouldYield` has seen that fiber. */
  makeDispatcher(): EffectScheduler.SchedulerDispatcher {
    const scheduler = this.#scheduler
    const strand = this.#fiber?.getRef(CurrentStrand)
    return {
      scheduleTask: (task) => scheduler.append(new FiberTask(scheduler, strand, task)),
      flush: () => {}
    }
  }

  /** Reads the clock: whether what runs now has used its time. */
  overBudget(): boolean {
    return this.#scheduler.fiberSpent()
  }

  /** A new turn: the fiber seen last may belong to a former one. */
  forget(): void {
    this.#fiber = undefined
  }
}
