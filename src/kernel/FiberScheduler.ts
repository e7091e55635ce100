/**
 * Effect's `Scheduler` service for the fibers of actors: they run from the actors' run queue, on the actors' budget.
 *
 * Floor 0; given in the context of every handler and fork; knows of an actor only that it owns fibers (`Owner`).
 * Law 6: an effectful handler that never suspends is cut like any other. Effect's own scheduler queues a dispatcher a
 * fiber, outside every priority of ours: twenty busy handlers held the loop for 380 ms under it, for 0.9 ms under this.
 * Law 1: a fiber that a timer, a promise or another actor's turn resumes goes through the run queue first, so handler code
 * runs only inside its own actor's turns.
 *
 * Whose fiber it is, is settled when the scheduler first sees it, and kept in the fiber's dispatcher: the strand that is being
 * started (`begin`), else the one whose task runs, else that of the context it was started with. Later changes of its context
 * do not move it: `acquireRelease` runs finalizers in the context of where they were made, users carry contexts about, and a
 * fiber judged by the context of the moment yielded for ever, or took on another actor's identity. A fiber that outlives its
 * handler acts for itself, never into another message's outputs.
 * Checks are counted, not `fiber.currentOpCount`: Effect runs up to 32 steps inline, so "every 32nd operation" would be
 * skipped over. Not cut: `while (true) yield* Effect.void`. Effect consumes those exits in place and asks no scheduler
 * (`CutLoops`, in the handlers' generators, does that), nor a plain synchronous loop, which is reported afterwards.
 */
import { Context, Effect } from "effect"
import type { Fiber, Scheduler as EffectScheduler } from "effect"
import type { Owner, Runnable, Scheduler } from "./Scheduler.ts"

/** Fibers that belong together: those of one message's handler, or the forks of an incarnation. */
export class Strand {
  readonly owner: Owner
  /** Of a handler: what its fibers do through `self` is staged. */
  readonly handling: boolean
  /** Of a handler: a message is being handled. */
  active = false
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

  get owner(): Owner | undefined {
    return this.#strand?.owner
  }

  run(): void {
    this.#fibers.runTask(this.#strand, this.#task)
  }
}

/** One a fiber: tells whose it is. */
class Dispatcher implements EffectScheduler.SchedulerDispatcher {
  readonly #fibers: FiberScheduler
  /** None: a fiber from outside that evaluates an effect which carries an actor's context. */
  readonly strand: Strand | undefined

  constructor(fibers: FiberScheduler, strand: Strand | undefined) {
    this.#fibers = fibers
    this.strand = strand
  }

  scheduleTask(task: () => void): void {
    this.#fibers.append(this.strand, task)
  }

  flush(): void {}
}

export class FiberScheduler implements EffectScheduler.Scheduler {
  readonly executionMode = "async"
  readonly #scheduler: Scheduler
  /** Whose fibers may run on the stack as it is: those of the task under way, or of the handler that its turn has begun. */
  #strand: Strand | undefined = undefined
  #inTask = false
  /** Of the fiber that is started next. */
  #starting: Strand | undefined = undefined
  /** The fiber that was last found to be one of them, and whose code was on the stack then. */
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #owner: Owner | undefined = undefined
  /** The fiber that a dispatcher is made for. */
  #seen: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    const scheduler = this.#scheduler
    if (fiber !== this.#fiber || scheduler.current !== this.#owner) {
      if (!this.#owns(fiber)) return true
      this.#fiber = fiber
      this.#owner = scheduler.current
    }
    return --scheduler.credit <= 0 && scheduler.fiberSpent()
  }

  /** Whether the fiber may go on with the stack as it is; else it goes through the run queue. */
  #owns(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    this.#seen = fiber
    const { strand } = fiber.currentDispatcher as Dispatcher
    this.#seen = undefined
    if (!this.#open || strand !== this.#strand) return false
    if (strand === undefined) return true
    if (strand.root === undefined) strand.root = fiber
    else if (strand.root !== fiber) strand.spread = true
    return true
  }

  get #open(): boolean {
    const strand = this.#strand
    return (this.#inTask || strand?.active === true) && strand?.owner === this.#scheduler.current
  }

  makeDispatcher(): EffectScheduler.SchedulerDispatcher {
    return new Dispatcher(this, this.#strandOf(this.#seen))
  }

  /** Of a fiber that is seen for the first time. */
  #strandOf(fiber: Fiber.Fiber<unknown, unknown> | undefined): Strand | undefined {
    const starting = this.#starting
    this.#starting = undefined
    if (starting !== undefined) return starting
    if (this.#open) return this.#strand
    // from outside of turns: new in the context of an actor, or in the midst of something else
    if (fiber === undefined || fiber.currentOpCount > 1) return undefined
    const strand = fiber.getRef(CurrentStrand)
    return strand?.handling === true && !strand.active ? new Strand(strand.owner, false) : strand
  }

  append(strand: Strand | undefined, task: () => void): void {
    if (strand !== undefined) strand.queued++
    this.#scheduler.append(new FiberTask(this, strand, task))
  }

  /** Reads the clock: whether what runs now has used its time. */
  overBudget(): boolean {
    return this.#scheduler.fiberSpent()
  }

  /** Starts a fiber of that strand. A handler's runs at once, in its actor's turn; a fork's goes through the run queue. */
  start<A, E>(
    strand: Strand,
    context: Context.Context<never>,
    effect: Effect.Effect<A, E, unknown>
  ): Fiber.Fiber<A, E> {
    if (strand.handling) {
      this.#strand = strand
      this.#fiber = undefined
      strand.root = undefined
      strand.active = true
    }
    this.#starting = strand
    const fiber = Effect.runForkWith(context)(effect as Effect.Effect<A, E>)
    this.#starting = undefined
    return fiber
  }

  /** What a fiber goes on with, in a task of its own. */
  runTask(strand: Strand | undefined, task: () => void): void {
    const owner = strand?.owner
    if (strand !== undefined) strand.queued--
    this.#strand = strand
    this.#inTask = true
    this.#fiber = undefined
    this.#scheduler.beginTask(owner, strand !== undefined && strand.handling && !strand.over)
    try {
      task()
    } finally {
      // first: who goes on behind it may bring about a turn on this stack, whose forks are no part of this task
      this.#inTask = false
      this.#fiber = undefined
      owner?.settle()
      this.#scheduler.endTurn()
      this.#fiber = undefined
    }
  }
}
