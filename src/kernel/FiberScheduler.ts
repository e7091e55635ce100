/**
 * Effect's `Scheduler` service for the fibers of actors: they run from the actors' run queue, on the actors' budget.
 *
 * Floor 0; given in the context of every handler and fork; knows of an actor only that it owns fibers (`Owner`).
 * Law 6: an effectful handler that never suspends is cut like any other. Effect's own scheduler queues a dispatcher a
 * fiber, outside every priority of ours: twenty busy handlers held the loop for 380 ms under it, for 0.9 ms under this.
 * Law 1: a fiber that a timer, a promise or another actor's turn resumes goes through the run queue first, so handler code
 * runs only inside its own actor's turns.
 *
 * The context's `Strand` tells whose fiber it is, so the fibers it forks are known too, also those that outlive the
 * handler: from then on they act for themselves, and never into another message's outputs. Checks are counted, not
 * `fiber.currentOpCount`: Effect runs up to 32 steps inline, so "every 32nd operation" would be skipped over.
 * Not cut: `while (true) yield* Effect.void`. Effect consumes those exits in place and asks no scheduler (`CutLoops`, in
 * the handlers' generators, does that), nor a plain synchronous loop, which is reported afterwards.
 */
import { Context } from "effect"
import type { Fiber, Scheduler as EffectScheduler } from "effect"
import type { Owner, Runnable, Scheduler } from "./Scheduler.ts"

/** Fibers that belong together: those of one message's handler, or the forks of an incarnation. */
export class Strand {
  readonly owner: Owner
  /** Of a handler: what its fibers do through `self` is staged. */
  readonly handling: boolean
  /** Its message has been handled: a fiber that outlived it (`Effect.forkDetach`) is no part of any handler. */
  over = false
  /** More than one fiber was seen: they cannot lend this strand to the next message. */
  spread = false
  /** Tasks of its fibers in the run queue. */
  queued = 0
  root: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(owner: Owner, handling: boolean) {
    this.owner = owner
    this.handling = handling
  }
}

export const CurrentStrand: Context.Reference<Strand | undefined> = Context.Reference<Strand | undefined>(
  "troupe/kernel/CurrentStrand",
  { defaultValue: () => undefined }
)

class FiberTask implements Runnable {
  next: Runnable | undefined = undefined
  readonly priority: number
  readonly #fibers: FiberScheduler
  readonly #strand: Strand | undefined
  readonly #task: () => void

  constructor(fibers: FiberScheduler, strand: Strand | undefined, task: () => void) {
    this.#fibers = fibers
    this.#strand = strand
    this.#task = task
    this.priority = strand === undefined ? 2 : strand.owner.priority
  }

  run(): void {
    this.#fibers.runTask(this.#strand, this.#task)
  }
}

export class FiberScheduler implements EffectScheduler.Scheduler {
  readonly executionMode = "async"
  readonly #scheduler: Scheduler
  /** Whose fibers may run on the stack as it is. */
  #strand: Strand | undefined = undefined
  /** The fiber that was last seen, and whether it was found to be one of them. */
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #owner: Owner | undefined = undefined

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
    if (fiber !== this.#fiber || current !== this.#owner) {
      const strand = fiber.getRef(CurrentStrand)
      const own = strand !== undefined && strand === this.#strand && strand.owner === current
      this.#fiber = fiber
      this.#owner = own ? current : undefined
      if (!own) return true
      if (strand.root === undefined) strand.root = fiber
      else if (strand.root !== fiber) strand.spread = true
    }
    return --scheduler.credit <= 0 && scheduler.fiberSpent()
  }

  /** Effect asks for a dispatcher a fiber, right after `shouldYield` has seen that fiber. */
  makeDispatcher(): EffectScheduler.SchedulerDispatcher {
    const strand = this.#fiber?.getRef(CurrentStrand)
    return {
      scheduleTask: (task) => {
        if (strand !== undefined) strand.queued++
        this.#scheduler.append(new FiberTask(this, strand, task))
      },
      flush: () => {}
    }
  }

  /** Reads the clock: whether what runs now has used its time. */
  overBudget(): boolean {
    return this.#scheduler.fiberSpent()
  }

  /** A handler begins, in its actor's turn: the fiber seen last may belong to a former one. */
  begin(strand: Strand): void {
    this.#strand = strand
    this.#fiber = undefined
    strand.root = undefined
  }

  /** What a fiber goes on with, in a task of its own. */
  runTask(strand: Strand | undefined, task: () => void): void {
    const owner = strand?.owner
    if (strand !== undefined) strand.queued--
    this.#strand = strand
    this.#fiber = undefined
    this.#scheduler.beginTask(owner, strand !== undefined && strand.handling && !strand.over)
    try {
      task()
    } finally {
      owner?.settle()
      this.#scheduler.endTurn()
    }
  }
}
