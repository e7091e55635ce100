/**
 * One actor, alive: thirteen words, a mailbox while it has mail, and a record of what only some actors have.
 *
 *   status   lifecycle (3 bits) | QUEUED | BUSY | HELD | HALTED | STARTING
 *   extra    incarnation, children, watchers, timers, stash, forks, clients ...: made when first needed
 *
 * Floor 1; made by floor 2 (`Runtime`), run by the scheduler, reached through refs. What an actor does by kind is in a file
 * of its own: `Turn` handles mail, `Teardown` stops and restarts, `Ask`, `Suspended`, `Forks`, `ActorTimers`.
 * Law 1: a cell stands in the run queue at most once, and not while BUSY (a handler is suspended) or HELD (no state yet).
 * Law 3: `offer` refuses, drops or lets wait by the behaviour's overflow policy; reserved slots are never refused.
 * Law 4: accepted = finished + dead + queued + running, by plain integers; the system adds up what died with a cell.
 * Law 7: idle, it holds no fiber, no timer and no mailbox: 130 B, its ref, its key.
 * Cost: offer O(1), no allocation. Here, in ActorRef, ActorContext, Mailbox and Ask methods are `private`, not `#`: V8 gives each object of a class with
 * `#methods` a word for their brand, 24 of 358 B an idle actor, and a ring of 100 actors ran 10 % slower.
 */
import * as Address from "../kernel/Address.ts"
import { type DeadReason, type Offer, RESERVED, SENT, SIGNAL } from "../kernel/Envelope.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import type { Owner, Runnable } from "../kernel/Scheduler.ts"
import { Exit } from "effect"
import { ActorRef } from "./ActorRef.ts"
import { Ask } from "./Ask.ts"
import { ActorContext } from "./Context.ts"
import * as ExitReason from "./ExitReason.ts"
import { Extra, INITIAL } from "./Extra.ts"
import * as Outputs from "./Outputs.ts"
import type { Program } from "./Plan.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"
import { BUSY, EVICTS, HELD, LIFECYCLE, NO_STATE, QUEUED } from "./Status.ts"
import type { Order } from "./StopOrder.ts"
import * as Startup from "./Startup.ts"
import type { Suspended } from "./Suspended.ts"
import * as Teardown from "./Teardown.ts"
import * as Turn from "./Turn.ts"

export class Cell implements Runnable, Owner {
  next: Runnable | undefined = undefined
  readonly program: Program
  readonly key: string | number
  readonly parent: Cell | undefined
  /** What `initial` is given. */
  input: unknown = undefined
  state: unknown = NO_STATE
  status = Lifecycle.CONNECTING | HELD
  mailbox: Mailbox.Mailbox | undefined = undefined
  accepted = 0
  finished = 0
  extra: Extra | undefined = undefined
  self: ActorContext<never> | undefined = undefined
  #ref: ActorRef<never> | undefined = undefined

  constructor(program: Program, key: string | number, parent: Cell | undefined) {
    this.program = program
    this.key = key
    this.parent = parent
    if (program.plan.overflow === "dropOldest") this.status |= EVICTS
  }

  get priority(): number {
    return this.program.plan.priority
  }

  get ref(): ActorRef<never> {
    return (this.#ref ??= new ActorRef<never>(this.program.plan.protocol, this.key, this))
  }

  get address(): Address.Address {
    return Address.child(this.parent?.address, this.program.plan.protocol.type, this.key)
  }

  get lifecycle(): number {
    return this.status & LIFECYCLE
  }

  get incarnation(): number {
    return this.extra === undefined ? 1 : this.extra.incarnation
  }

  /** Whether it takes mail. */
  get open(): boolean {
    return (this.status & LIFECYCLE) < Lifecycle.DRAINING
  }

  get alive(): boolean {
    return (this.status & LIFECYCLE) !== Lifecycle.STOPPED
  }

  /** Whether it has its state and handles mail. */
  get ready(): boolean {
    const at = this.status & LIFECYCLE
    return at === Lifecycle.ACTIVE || at === Lifecycle.IDLE
  }

  /** Messages that wait: in the mailbox, the stash. */
  get queued(): number {
    return (this.mailbox === undefined ? 0 : this.mailbox.size) + (this.extra?.stash?.length ?? 0)
  }

  /** 1 while a handler of this actor runs or is suspended. */
  get running(): number {
    const handler = this.extra?.running
    if (handler !== undefined) return handler.tag === INITIAL ? 0 : 1
    const { scheduler } = this.program.runtime
    return scheduler.current === this && scheduler.handling && (this.status & BUSY) === 0 ? 1 : 0
  }

  get deadLettered(): number {
    return this.extra === undefined ? 0 : this.extra.dead
  }

  record(): Extra {
    return (this.extra ??= new Extra())
  }

  /** Takes a message, or says why not. */
  offer(tag: number, payload: unknown, origin: unknown): Offer {
    if ((this.status & LIFECYCLE) >= Lifecycle.DRAINING) return "closed"
    let box = this.mailbox
    if (box === undefined) box = this.mailbox = Mailbox.acquire(this.program.plan.capacity)
    if (box.full) return this.overflow(box, tag, payload, origin)
    box.push(tag, payload, origin)
    this.accepted++
    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()
    return "accepted"
  }

  /** Takes a message of the handler at hand, which may fail yet, where that shows nowhere: see Staging. */
  lend(tag: number, payload: unknown): boolean {
    if ((this.status & (LIFECYCLE | EVICTS)) >= Lifecycle.DRAINING) return false
    let box = this.mailbox
    if (box === undefined) box = this.mailbox = Mailbox.acquire(this.program.plan.capacity)
    else if (box.full) return false
    box.push(tag, payload, SENT)
    this.accepted++
    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()
    return true
  }

  /** Gives the last lent message back. */
  reclaim(): Mailbox.Entry | undefined {
    const entry = this.mailbox?.takeBack(SENT)
    if (entry !== undefined) this.accepted--
    return entry
  }

  /** Takes what has a reserved slot; false only when the actor has stopped. A draining one still takes it. */
  deliver(tag: number, payload: unknown, origin: unknown): boolean {
    if ((this.status & LIFECYCLE) === Lifecycle.STOPPED) return false
    const box = (this.mailbox ??= Mailbox.acquire(this.program.plan.capacity))
    box.push(tag, payload, origin)
    this.accepted++
    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()
    return true
  }

  private overflow(box: Mailbox.Mailbox, tag: number, payload: unknown, origin: unknown): Offer {
    const policy = this.program.plan.overflow
    if (policy === "dropNewest") {
      this.accepted++
      this.drop(tag, payload, origin, policy)
      return "accepted"
    }
    if (policy === "dropOldest") {
      const oldest = box.remove((old) => old < RESERVED)
      if (oldest === undefined) return "full"
      box.push(tag, payload, origin)
      this.accepted++
      this.drop(oldest[0], oldest[1], oldest[2], policy)
      return "accepted"
    }
    if (policy === "stop") {
      // a sender's turn is on the stack; the message stays with it
      const order: Order = { mode: "now", millis: undefined, reason: ExitReason.overflow }
      Runtime.after(this.program.runtime, { deliver: () => void this.stop(order) })
    }
    return "full"
  }

  /** A message hit by the overflow policy: a dead letter; an ask is told at once. */
  drop(tag: number, payload: unknown, origin: unknown, policy: "dropNewest" | "dropOldest"): void {
    this.bury(tag, payload, policy)
    if (origin instanceof Ask) origin.refuse(Exit.fail(Refusal.dropped(this, policy)))
  }

  /** Counts an accepted message as dead, with its reason. */
  bury(tag: number, payload: unknown, reason: DeadReason): void {
    this.record().dead++
    this.program.runtime.dead(this.address, this.tagName(tag), payload, reason)
  }

  tagName(tag: number): string {
    if (tag === INITIAL) return "initial"
    if (tag >= SIGNAL)
      return (["Terminated", "onConnect", "onDisconnect", "onAway/onBack"] as const)[tag - SIGNAL] ?? "?"
    return this.program.plan.protocol.tag(tag >= RESERVED ? tag - RESERVED : tag)
  }

  /** A sender waits for room: it keeps its place, and newcomers queue behind it (law 2). */
  enqueue(waiter: Suspended): void {
    const extra = this.record()
    ;(extra.waiters ??= []).push(waiter)
    if (this.mailbox !== undefined) this.mailbox.gate = 0
  }

  withdraw(waiter: Suspended): void {
    const waiters = this.extra?.waiters
    if (waiters === undefined) return
    const at = waiters.indexOf(waiter)
    if (at >= 0) waiters.splice(at, 1)
    if (waiters.length === 0 && this.mailbox !== undefined) this.mailbox.gate = this.program.plan.capacity
  }

  /** Lets waiting senders in while there is room. */
  admit(): void {
    const waiters = this.extra?.waiters
    if (waiters === undefined || waiters.length === 0) return
    const { capacity } = this.program.plan
    const box = (this.mailbox ??= Mailbox.acquire(capacity))
    const admitted = waiters.splice(0, Math.max(0, capacity - (box.size - box.reserved)))
    box.gate = waiters.length === 0 ? capacity : 0
    for (const { tag, payload, origin } of admitted) box.push(tag, payload, origin)
    this.accepted += admitted.length
    if (box.size > 0 && (this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()
    // last, and all before anybody goes on: a sender that wakes may send here again, or take back what another has sent
    const { deliveries, scheduler } = this.program.runtime
    deliveries.hold()
    try {
      for (const waiter of admitted) waiter.admitted()
    } finally {
      deliveries.release()
    }
    if (scheduler.current === undefined && deliveries.due) deliveries.flush(scheduler.onDefect)
  }

  schedule(): void {
    this.status |= QUEUED
    this.program.runtime.scheduler.append(this)
  }

  /** A step of the lifecycle; false where the machine knows none. */
  change(event: number, why: string): boolean {
    const from = this.status & LIFECYCLE
    const to = Lifecycle.next(from, event)
    if (to === Lifecycle.NONE) return false
    this.status = (this.status & ~LIFECYCLE) | to
    this.program.runtime.changed(this, from, to, why)
    return true
  }

  context(): ActorContext<never> {
    return (this.self ??= new ActorContext<never>(this))
  }

  // What other files do with a cell: they call it here and import each other in one direction only.

  run(): void {
    Turn.run(this)
  }

  settle(): void {
    Turn.settle(this)
  }

  /** Its handler has ended: what comes before the next one. */
  rest(): void {
    Turn.rest(this)
  }

  /** Begins an incarnation. */
  start(): void {
    Startup.start(this)
  }

  /** Acts at once on what a handler would have staged. */
  act(op: number, a: unknown, b: unknown, c: unknown): void {
    const full = Outputs.act(this, op, a, b, c)
    if (full !== undefined) Outputs.queue(this, op, a as ActorRef<never>, b as number, c, full)
  }

  /** Stops it; false when it does not live. */
  stop(order: Order, done?: () => void): boolean {
    return Teardown.stop(this, order, done)
  }

  /** Goes on with a stop or restart under way. */
  advance(atRest = false): void {
    Teardown.advance(this, atRest)
  }
}
