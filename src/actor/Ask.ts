/**
 * A question on its way: reply slot, deadline and cancel handle in one object.
 *
 *   WAITING (for room) -> QUEUED -> RUNNING -> TAKEN (deferred) -> DONE        any of them may go to DONE at once
 *
 * Floor 1; made by `ref.ask`, `self.forward` keeps it, the gateway makes one a request (`onExit` instead of a fiber).
 * Law 4: an accepted ask gets exactly one outcome: `settle` answers true once.
 * Law 8: withdrawn (timeout, interruption of the asker), a queued ask is removed and becomes a dead letter, a running
 * handler is interrupted (unless Committed), a deferred one hears `onCancel`.
 * Law 1: `asker` is the actor whose handler waits; the chain of askers is walked before an ask is sent, so one that would
 * reach an actor already waiting in it fails at once with `AskCycle`.
 * Order and cost: settled in the turn, delivered after it, so an asker's continuation never runs inside the callee's turn.
 * Law 6: an asker that is no actor's, when nothing is ready, is no reason to wait: the callee's turn runs on its stack, one deep,
 * with the budget of the sweep at hand. That saves the microtask and the suspended fiber: a quarter of an ask (515 -> 385 ns).
 * One object an ask; its deadline is a node in a list of its duration, O(1) (`Effect.timeout` around an ask costs ten times the ask).
 */
import { type Effect, Exit, type Fiber } from "effect"
import { type AskError, AskCycle, type TellError } from "../kernel/Errors.ts"
import * as PrivateFiber from "../kernel/Fiber.ts"
import { TimerNode } from "../kernel/Timers.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Cell } from "./Cell.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"
import { UNBORN } from "./Status.ts"
import { Suspended } from "./Suspended.ts"

const WAITING = 0
export const QUEUED = 1
export const RUNNING = 2
export const TAKEN = 3
const DONE = 4
/** Done because its asker gave it up. */
const WITHDRAWN = 5

export class Ask extends TimerNode {
  readonly ref: ActorRef<never>
  /** The actor that has it now; a forward changes it. */
  target: Cell
  tag: number
  readonly millis: number
  /** The actor whose handler waits for the answer. */
  readonly asker: Cell | undefined
  /** The client behind it, for `self.caller`. */
  readonly caller: unknown
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** Instead of a fiber: what to do with the outcome. */
  onExit: ((exit: Exit.Exit<unknown, unknown>, untaken: boolean) => void) | undefined = undefined
  exit: Exit.Exit<unknown, unknown> | undefined = undefined
  phase = WAITING
  /** A turn that had it has committed and left the answer to another: it forwarded, deferred or stashed it. */
  passedOn = false
  /** It ended as if it had never been sent: nothing of it has counted. */
  untaken = false
  /** Told when the asker gives up a deferred ask. */
  onCancel: (() => void) | undefined = undefined
  #waiter: Suspended | undefined = undefined
  /** The asker while its target's turn runs on its stack. */
  #below: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    ref: ActorRef<never>,
    target: Cell,
    tag: number,
    millis: number,
    asker: Cell | undefined,
    caller: unknown
  ) {
    super()
    this.ref = ref
    this.target = target
    this.tag = tag
    this.millis = millis
    this.asker = asker
    this.caller = caller
  }

  /** Offers itself to the target, its deadline running; answers with why not. */
  send(payload: unknown): TellError | AskCycle | undefined {
    const refused = this.offer(payload)
    if (refused === undefined) this.arm()
    return refused
  }

  private offer(payload: unknown): TellError | AskCycle | undefined {
    const target = this.target
    if (this.asker !== undefined) {
      const cycle = findCycle(this.asker, target)
      if (cycle !== undefined) return new AskCycle({ path: cycle })
    }
    const offer = target.offer(this.tag, payload, this)
    if (offer === "closed") return Refusal.closed(this.ref, target.program.runtime)
    if (offer === "full") {
      if (target.program.plan.overflow !== "suspend" || this.asker === target) {
        return Refusal.full(target, this.tag, payload)
      }
      this.wait(payload)
    } else if (this.phase === WAITING) this.phase = QUEUED
    return undefined
  }

  private arm(): void {
    if (this.exit === undefined && this.millis !== Number.POSITIVE_INFINITY) {
      this.target.program.runtime.timers.arm(this, this.millis)
    }
  }

  private wait(payload: unknown): void {
    const target = this.target
    const millis = this.asker === undefined ? Number.POSITIVE_INFINITY : this.asker.program.plan.offerMillis
    this.#waiter = new Suspended(target, this.tag, payload, this, millis, (admitted, expired) => {
      this.#waiter = undefined
      if (admitted) this.phase = QUEUED
      else if (expired) this.settle(Exit.fail(Refusal.full(target, this.tag, payload)))
      else this.settle(Exit.fail(Refusal.closed(this.ref, target.program.runtime)))
    })
  }

  /** Forwarded by an actor that waits, in the line of a full mailbox. */
  held(waiter: Suspended): void {
    this.#waiter = waiter
    this.phase = WAITING
  }

  /** Sends itself for `fiber`, which goes on with the outcome. */
  await(fiber: Fiber.Fiber<unknown, unknown>, payload: unknown): Effect.Effect<unknown, AskError> {
    const { asker } = this
    const refused = this.hand(fiber, payload)
    if (refused !== undefined) return Exit.fail(refused)
    if (this.exit !== undefined) return this.exit as Exit.Exit<unknown, AskError>
    this.arm()
    this.fiber = fiber
    if (asker !== undefined) asker.record().awaiting = this
    return PrivateFiber.suspend(fiber, () => this.resumed())
  }

  /** Where nobody is ready before it, the target's turn runs here and now. */
  private hand(fiber: Fiber.Fiber<unknown, unknown>, payload: unknown): TellError | AskCycle | undefined {
    const { deliveries, scheduler } = this.target.program.runtime
    if (deliveries.held || !scheduler.hold()) return this.offer(payload)
    this.#below = fiber
    try {
      return this.offer(payload)
    } finally {
      scheduler.release()
      this.#below = undefined
    }
  }

  /** What its asker waits for, in words; undefined when it waits no more. */
  get awaited(): string | undefined {
    return this.exit === undefined
      ? `the answer of ${this.target.address} to "${this.target.tagName(this.tag)}"`
      : undefined
  }

  /** Its asker has gone: until its turn commits, its handler counts for nothing. */
  get withdrawn(): boolean {
    const left = this.phase === WITHDRAWN || (this.#below !== undefined && PrivateFiber.isLeaving(this.#below))
    return left && !this.target.program.plan.protocol.committed[this.tag]
  }

  /** Its handler begins. */
  begin(): void {
    this.phase = RUNNING
  }

  /** Whether nobody needs to answer any more. */
  get answered(): boolean {
    return this.exit !== undefined
  }

  /** Its handler's turn has committed, with this answer. */
  answer(value: unknown): void {
    this.settle(Exit.succeed(value))
  }

  /** The outcome. False when it had one already. */
  settle(exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.exit !== undefined) return false
    this.exit = exit
    this.phase = DONE
    this.onCancel = undefined
    const { runtime } = this.target.program
    runtime.timers.cancel(this)
    this.target.extra?.deferred?.delete(this)
    Runtime.after(runtime, this)
    return true
  }

  /** The outcome of one that was not taken after all, unless a turn that had it has counted. */
  refuse(exit: Exit.Exit<unknown, unknown>): void {
    if (this.exit === undefined) this.untaken = !this.passedOn
    this.settle(exit)
  }

  deliver(): void {
    if (this.fiber !== undefined) PrivateFiber.resume(this.fiber, this.exit!)
    else this.onExit?.(this.exit!, this.untaken)
  }

  expired(): void {
    const started = this.phase === RUNNING || this.phase === TAKEN
    const error = Refusal.late(this.ref, this.target, this.tag, this.millis, started)
    this.untaken = !started && !this.passedOn
    this.withdraw("timedOut", Exit.fail(error))
  }

  /** The asker gives up. */
  cancel(): void {
    this.withdraw("cancelled", Exit.interrupt())
  }

  /** Its fiber is evaluated again: by the outcome, or because it was interrupted. */
  resumed(): void {
    // settled and interrupted in one turn: the outcome that is still to be delivered must find no fiber
    this.fiber = undefined
    if (this.exit === undefined) this.cancel()
  }

  private withdraw(reason: "timedOut" | "cancelled", exit: Exit.Exit<unknown, unknown>): void {
    if (this.exit !== undefined) return
    const { phase, target, onCancel } = this
    const waiter = phase === WAITING ? this.#waiter : undefined
    if (waiter !== undefined) target.withdraw(waiter)
    else if (phase === QUEUED) remove(this, reason)
    else if (!target.program.plan.protocol.committed[this.tag]) {
      // also one that has deferred or forwarded it and has not committed that yet
      const running = target.extra?.running
      if (running !== undefined && running.origin === this) {
        running.cancelled = true
        running.fiber.interruptUnsafe()
      }
    }
    this.settle(exit)
    this.phase = WITHDRAWN
    // behind its outcome: whoever forwarded it goes on then, with nothing to tell anybody
    waiter?.leave()
    if (phase !== TAKEN || onCancel === undefined) return
    try {
      onCancel()
    } catch (defect) {
      target.program.runtime.scheduler.onDefect(defect)
    }
  }
}

/** Takes a queued ask out of the mailbox or the stash. */
const remove = (ask: Ask, reason: "timedOut" | "cancelled"): void => {
  const { target } = ask
  const stash = target.extra?.stash
  let entry = target.mailbox?.remove((_tag, _payload, origin) => origin === ask)
  if (entry === undefined && stash !== undefined) {
    const at = stash.findIndex((stashed) => stashed[2] === ask)
    if (at >= 0) entry = stash.splice(at, 1)[0]
  }
  if (entry === undefined) return
  target.bury(ask.tag, entry[1], reason)
  target.admit()
}

/** The way from `target` through its askers back to it, when it waits for `asker`'s answer itself. */
export const findCycle = (asker: Cell, target: Cell): ReadonlyArray<string> | undefined => {
  // a child that its parent's handler has just made starts when that handler succeeds
  if ((target.status & UNBORN) !== 0 && target.parent === asker) return [asker.address, target.address, asker.address]
  const path: Array<string> = [target.address]
  for (let at: Cell | undefined = asker; at !== undefined;) {
    path.unshift(at.address)
    if (at === target) return path
    at = askerOf(at)
  }
  return undefined
}

/** The actor that waits for the handler of this one. */
const askerOf = (cell: Cell): Cell | undefined => {
  const { runtime } = cell.program
  const onStack = runtime.scheduler.current === cell ? runtime.origin : undefined
  const serving: unknown = cell.extra?.running === undefined ? onStack : cell.extra.running.origin
  // an asker that has given up waits no more
  return serving instanceof Ask && serving.exit === undefined ? serving.asker : undefined
}

/** Whether the handler that runs now is one that `cell`, or an actor below it, waits for: its own, or that of an asker. */
export const isAwaitedBy = (cell: Cell): boolean => {
  const { scheduler } = cell.program.runtime
  for (let at = scheduler.handling ? (scheduler.current as Cell | undefined) : undefined; at !== undefined;) {
    for (let above: Cell | undefined = at; above !== undefined; above = above.parent) if (above === cell) return true
    at = askerOf(at)
  }
  return false
}

/** Whether what runs now is the `onStop` of `cell`, or a finalizer of its scope. */
export const isEndedBy = (cell: Cell): boolean =>
  cell.extra?.teardown?.finalizer !== undefined && cell.program.runtime.scheduler.current === cell

/** `ref.ask` as an Effect. */
export class AskEffect extends PrivateFiber.Primitive<unknown, AskError> {
  readonly #ref: ActorRef<never>
  readonly #tag: number
  readonly #payload: unknown
  readonly #millis: number

  constructor(ref: ActorRef<never>, tag: number, payload: unknown, millis: number) {
    super()
    this.#ref = ref
    this.#tag = tag
    this.#payload = payload
    this.#millis = millis
  }

  run(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<unknown, AskError> {
    const runtime = Runtime.of(fiber)
    const cell = this.#ref.locate(runtime)
    if (cell === undefined) return Exit.fail(Refusal.closed(this.#ref, runtime()))
    const { scheduler } = cell.program.runtime
    const asker = scheduler.handling ? (scheduler.current as Cell) : undefined
    return this.make(this.#ref, cell, this.#tag, this.#millis, asker).await(fiber, this.#payload)
  }

  make(ref: ActorRef<never>, target: Cell, tag: number, millis: number, asker: Cell | undefined): Ask {
    return new Ask(ref, target, tag, millis, asker, asker?.ref)
  }
}
