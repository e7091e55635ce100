/**
 * The end of a life, or of one incarnation: stop and restart are the same steps with another goal.
 *
 *   no further turn -> handler interrupted -> children, in reverse -> forks -> finalizers -> stopped | connecting again
 *
 * Floor 1; called by refs, `self`, supervision, the host. `advance` is entered again by whatever a step waited for.
 * Modes: `drain` finishes accepted mail first, `now` ends the handler and dead-letters the rest, `kill` waits for nothing:
 * what JavaScript cannot end is listed as a zombie. A later, harder mode takes over a softer one; none is undone.
 * One absolute deadline passes down: each level has min(its own, what remains minus 10 %), `infinity` included; past it, kill.
 * Failures meanwhile are reported, never supervised, those of children included. Law 8: finalizers run once. Law 10: one end, one reason.
 * A restart keeps mailbox, queued asks, watches and connections; returns the stash to the head; ends children, forks,
 * timers; fails deferred asks and live streams with `CalleeFailed`; revokes `self`.
 */
import { Cause, Exit, type Fiber, type Scope } from "effect"
import { CONNECTED, RESERVED } from "../kernel/Envelope.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import { Deadline, type TimerNode } from "../kernel/Timers.ts"
import * as ActorTimers from "./ActorTimers.ts"
import { Ask } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import type { Client } from "./Client.ts"
import * as ExitReason from "./ExitReason.ts"
import { type Extra, INITIAL } from "./Extra.ts"
import * as Finalizers from "./Finalizers.ts"
import * as Forks from "./Forks.ts"
import * as Outputs from "./Outputs.ts"
import { above } from "./Overseer.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"
import { BUSY, HALTED, HELD, NO_STATE, QUEUED, STARTING } from "./Status.ts"
import * as StopChildren from "./StopChildren.ts"
import { killOrder, type Mode, type Order } from "./StopOrder.ts"

export interface Teardown {
  goal: "stop" | "restart"
  mode: Mode
  reason: ExitReason.ExitReason
  /** Of the failure behind a restart: what the asker of an interrupted handler is told. */
  incident: string | undefined
  /** Absolute, by the timers' clock. */
  expiresAt: number
  /** For which of these times the deadline has been armed. */
  guarded: number
  deadline: TimerNode | undefined
  /** Told when the life has ended. */
  listeners: Array<() => void> | undefined
  /** Children still to be stopped, the next one last. */
  children: Array<Cell> | undefined
  /** Children told to stop that still live. */
  stopping: number
  /** More of them are told in a later sweep. */
  batched: boolean
  /** Mode `drain`: all accepted mail has been handled. */
  drained: boolean
  interrupted: boolean
  forksInterrupted: boolean
  /** The scope of the incarnation that ends. */
  scope: Scope.Closeable | undefined
  /** `onStop` and the closing of the scope, while they run. */
  finalizer: Fiber.Fiber<unknown, unknown> | undefined
  finalized: boolean
  /** They have begun: only then may they be interrupted. */
  finalizing: boolean
  /** Whatever ran has been cut off. */
  severed: boolean
  /** Wait before the next incarnation. */
  delayMillis: number
}

/** Instead of a wait before the next incarnation: none until it is asked for. */
export const PARKED = Number.POSITIVE_INFINITY

const ranks: Record<Mode, number> = { drain: 0, now: 1, kill: 2 }
const reasons: Record<Mode, ExitReason.ExitReason> = {
  drain: ExitReason.drained,
  now: ExitReason.normal,
  kill: ExitReason.killed
}

const make = (goal: "stop" | "restart", mode: Mode, reason: ExitReason.ExitReason): Teardown => ({
  goal,
  mode,
  reason,
  incident: undefined,
  expiresAt: Number.POSITIVE_INFINITY,
  guarded: Number.POSITIVE_INFINITY,
  deadline: undefined,
  listeners: undefined,
  children: undefined,
  stopping: 0,
  batched: false,
  drained: false,
  interrupted: false,
  forksInterrupted: false,
  scope: undefined,
  finalizer: undefined,
  finalized: false,
  finalizing: false,
  severed: false,
  delayMillis: 0
})

/** Stops an actor. False when it does not live; `done` is called when its life has ended. */
export const stop = (cell: Cell, order: Order, done: (() => void) | undefined): boolean => {
  if (!cell.alive) return false
  const extra = cell.record()
  let teardown = extra.teardown
  const presses = teardown?.children !== undefined
  // between incarnations there is no state to handle mail with
  const stateless = extra.delay !== undefined || teardown?.goal === "restart"
  const mode = order.mode === "drain" && stateless ? "now" : order.mode
  const reason = order.reason ?? reasons[mode]
  if (teardown === undefined) {
    teardown = extra.teardown = make("stop", mode, reason)
    cell.change(Lifecycle.STOP, reason._tag)
  } else if (teardown.goal === "restart") {
    teardown.goal = "stop"
    teardown.mode = mode
    teardown.reason = reason
    cell.change(Lifecycle.STOP, reason._tag)
  } else if (ranks[mode] > ranks[teardown.mode]) {
    teardown.mode = mode
    teardown.reason = reason
  }
  if (done !== undefined) (teardown.listeners ??= []).push(done)
  shorten(cell, teardown, order.millis ?? cell.program.plan.shutdownMillis)
  if (extra.delay !== undefined) cell.program.runtime.timers.cancel(extra.delay)
  extra.delay = undefined
  // whoever waits for room is not accepted yet, and no longer can be
  refuseWaiters(extra)
  if (teardown.mode === "drain") Outputs.unstash(cell, Number.MAX_SAFE_INTEGER)
  else halt(cell)
  if (presses) StopChildren.press(cell, teardown)
  advance(cell)
  guard(cell, teardown)
  return true
}

/** Ends this incarnation and begins the next one after `delayMillis`; PARKED: when `unpark` says so. */
export const restart = (cell: Cell, incident: string, delayMillis: number, millis?: number): void => {
  const extra = cell.record()
  if (!cell.alive || extra.teardown !== undefined) return
  const teardown = (extra.teardown = make("restart", "now", ExitReason.normal))
  teardown.delayMillis = delayMillis
  teardown.incident = incident
  teardown.scope = extra.scope
  if (extra.links !== undefined) cell.program.runtime.broken(cell, incident)
  cell.change(Lifecycle.RESTART, `failed (${incident})`)
  cell.status = (cell.status | HELD | HALTED) & ~STARTING
  cell.self = undefined
  cell.state = NO_STATE
  extra.incarnation++
  extra.scope = undefined
  extra.handling = undefined
  extra.forking = undefined
  extra.piped = 0
  extra.idleMessage = undefined
  ActorTimers.clear(cell)
  for (const stream of extra.streams ?? []) stream.fail(Refusal.failed(cell, incident))
  for (const ask of extra.deferred ?? []) ask.settle(Exit.fail(Refusal.failed(cell, incident)))
  Outputs.unstash(cell, Number.MAX_SAFE_INTEGER)
  extra.overseer?.close()
  shorten(cell, teardown, millis ?? cell.program.plan.shutdownMillis)
  advance(cell)
  guard(cell, teardown)
}

/** Its own time, or the sooner end that an outer deadline leaves it. */
const shorten = (cell: Cell, teardown: Teardown, millis: number): void => {
  teardown.expiresAt = Math.min(teardown.expiresAt, cell.program.runtime.timers.now() + millis)
}

/** What did not end at once is waited for until it expires. A turn on the stack cannot be ended by any timer: its end comes back here. */
const guard = (cell: Cell, teardown: Teardown): void => {
  const { expiresAt } = teardown
  if (cell.extra?.teardown !== teardown || teardown.guarded <= expiresAt) return
  const { scheduler, timers } = cell.program.runtime
  if (scheduler.current === cell && scheduler.handling) return
  teardown.guarded = expiresAt
  teardown.deadline ??= new Deadline(() => {
    if (cell.extra?.teardown === teardown) expire(cell, teardown)
  })
  timers.arm(teardown.deadline, Math.max(0, expiresAt - timers.now()))
}

/** The grace has run out. */
const expire = (cell: Cell, teardown: Teardown): void => {
  if (teardown.goal === "stop") {
    teardown.reason = ExitReason.killed
    return kill(cell, teardown)
  }
  teardown.severed = true
  sever(cell, teardown)
  again(cell, teardown)
}

const refuseWaiters = (extra: Extra): void => {
  if (extra.waiters !== undefined) for (const waiter of extra.waiters.splice(0)) waiter.refused()
}

/** No further turn, and what is queued is dead. */
const halt = (cell: Cell): void => {
  cell.status = (cell.status | HELD | HALTED) & ~STARTING
  buryMail(cell)
}

/** The next step of a teardown; `atRest`: the actor's own turn has just ended, so nothing of it is on the stack. */
export const advance = (cell: Cell, atRest = false): void => {
  step(cell, atRest)
  const teardown = cell.extra?.teardown
  if (atRest && teardown !== undefined) guard(cell, teardown)
}

const step = (cell: Cell, atRest: boolean): void => {
  const { extra } = cell
  const teardown = extra?.teardown
  if (extra === undefined || teardown === undefined || !cell.alive) return
  const { runtime } = cell.program
  const { scheduler } = runtime
  if (!atRest && scheduler.current === cell && scheduler.handling) return
  // a kill waits for nothing but the synchronous step on the stack, which nothing can end
  if (teardown.severed) return
  if (teardown.mode === "kill") return kill(cell, teardown)
  // a restart waits for what was committed
  if (teardown.mode !== "drain" && teardown.goal === "stop" && extra.releasing !== undefined) {
    Outputs.abandon(cell)
    // a kill was among what waited
    if (!cell.alive) return
  }
  if ((cell.status & BUSY) !== 0) {
    if (teardown.mode !== "drain" && !teardown.interrupted && extra.running !== undefined) {
      teardown.interrupted = true
      extra.running.fiber.interruptUnsafe()
    }
    return
  }
  if (teardown.mode === "drain" && !teardown.drained) {
    if ((cell.status & HELD) !== 0) {
      if ((cell.status & STARTING) !== 0) return
      // it failed to get a state while it was asked to drain: nobody is left to handle its mail
      teardown.mode = "now"
      if (teardown.reason === ExitReason.drained) teardown.reason = ExitReason.normal
      halt(cell)
      return step(cell, atRest)
    }
    if (cell.mailbox !== undefined && cell.mailbox.size > 0) {
      if ((cell.status & QUEUED) === 0) cell.schedule()
      return
    }
    teardown.drained = true
    cell.status |= HELD | HALTED
  }
  if (teardown.batched || !StopChildren.children(cell, teardown)) return
  if (extra.forks !== undefined && extra.forks.size > 0) {
    if (teardown.forksInterrupted) return
    teardown.forksInterrupted = true
    endStreams(cell)
    for (const fork of extra.forks) fork.interruptUnsafe()
    // the last of them may have ended at once, and gone on from here itself
    if (extra.forks.size > 0 || extra.teardown !== teardown) return
  }
  if (!finalize(cell, teardown)) return
  if (teardown.goal === "restart") again(cell, teardown)
  else finish(cell, teardown, Lifecycle.DONE)
}

/** Runs `onStop` and closes the incarnation's scope. False while they run. */
const finalize = (cell: Cell, teardown: Teardown): boolean => {
  if (!teardown.finalized) {
    Finalizers.begin(cell, teardown)
    teardown.finalizer?.addObserver(() => {
      if (cell.extra?.teardown === teardown) advance(cell)
    })
  }
  return teardown.finalizer === undefined
}

/** The old incarnation is gone: the next one begins, now or after its backoff. */
const again = (cell: Cell, teardown: Teardown): void => {
  const extra = cell.extra!
  const { timers } = cell.program.runtime
  if (teardown.deadline !== undefined) timers.cancel(teardown.deadline)
  extra.teardown = undefined
  // a finalizer of the old incarnation made contexts of the new one's scope: it must not inherit them
  extra.forking = undefined
  extra.delay = new Deadline(() => {
    extra.delay = undefined
    cell.start()
  })
  if (teardown.delayMillis === PARKED) above(cell)?.parked(cell)
  else if (teardown.delayMillis > 0) timers.arm(extra.delay, teardown.delayMillis)
  else extra.delay.expired()
}

/** Whether it ends, and does no more than that: a drain still handles mail. */
export const isEnding = (cell: Cell): boolean => {
  const teardown = cell.extra?.teardown
  return !cell.alive || (teardown !== undefined && (teardown.mode !== "drain" || teardown.drained))
}

/** Whether it is down and waits for `unpark`, or for its backoff. */
export const isDown = (cell: Cell): boolean => cell.extra?.delay !== undefined

/** Starts the next incarnation of one that is down. */
export const unpark = (cell: Cell): void => {
  const delay = cell.extra?.delay
  if (delay === undefined) return
  cell.program.runtime.timers.cancel(delay)
  delay.expired()
}

/** Waits for nothing: whatever still runs is cut off and listed until it ends. */
const kill = (cell: Cell, teardown: Teardown): void => {
  // a child that dies in here tells its parent, which comes back to where it is already
  if (teardown.severed) return
  cell.status = (cell.status | HELD | HALTED) & ~STARTING
  teardown.mode = "kill"
  teardown.severed = true
  // a handler that kills its own actor is on the stack still: its `self` has no powers any more
  const { runtime } = cell.program
  if (runtime.scheduler.current === cell) runtime.plain = false
  sever(cell, teardown)
  finish(cell, teardown, Lifecycle.KILL)
}

/** Cuts off what runs for this incarnation: children are killed, fibers interrupted and listed as zombies. */
const sever = (cell: Cell, teardown: Teardown): void => {
  teardown.severed = true
  const extra = cell.extra!
  for (const child of [...(extra.children ?? [])].toReversed()) stop(child, killOrder, undefined)
  teardown.children = []
  Outputs.abandon(cell)
  const { running } = extra
  if (running !== undefined) {
    extra.running = undefined
    cell.status &= ~BUSY
    running.handling.strand.over = true
    cell.program.runtime.timers.cancel(running.stuck)
    Outputs.discard(cell, running.staging)
    if (running.tag !== INITIAL) {
      cell.finished++
      cell.program.runtime.counts.cancelled++
    }
    if (running.origin instanceof Ask) running.origin.settle(Exit.fail(Refusal.overtaken(cell)))
    const tag = cell.tagName(running.tag)
    running.fiber.addObserver((exit) => {
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) Forks.late(cell, tag, exit)
    })
    cut(cell, running.fiber, `handler of ${tag}`)
  }
  endStreams(cell)
  for (const fork of extra.forks ?? []) cut(cell, fork, "fork")
  extra.forks = undefined
  extra.streams = undefined
  // what has not begun is let begin: it is to run once
  const interrupts = teardown.finalizing
  if (!teardown.finalized) Finalizers.begin(cell, teardown)
  if (teardown.finalizer !== undefined) cut(cell, teardown.finalizer, "finalizer", interrupts)
}

const cut = (cell: Cell, fiber: Fiber.Fiber<unknown, unknown>, what: string, interrupts = true): void => {
  const ended = cell.program.runtime.zombie(cell, what)
  fiber.addObserver(ended)
  if (interrupts) fiber.interruptUnsafe()
}

/** Tells the consumers of live streams, once: after a failure they have been told that. */
const endStreams = (cell: Cell): void => {
  for (const stream of cell.extra?.streams ?? []) {
    stream.fail(Refusal.stopped(cell))
  }
}

const tellStopped = (cell: Cell, origin: unknown): void => {
  if (origin instanceof Ask) origin.settle(Exit.fail(Refusal.stopped(cell)))
}

/** Closes a connection behind the answers of this turn, which are delivered after it. */
const farewell = (cell: Cell, client: Client): void =>
  Runtime.after(cell.program.runtime, { deliver: () => client.close(1001, "agent stopped") })

const buryMail = (cell: Cell): void => {
  const box = cell.mailbox
  while (box !== undefined && box.size > 0) {
    const { tag, payload, origin } = box
    box.shift()
    // a firing or a signal that reserved its slot is no loss to anybody, but it is counted all the same
    cell.bury(tag, payload, tag >= RESERVED && tag < 2 * RESERVED ? "stale" : "stopped")
    tellStopped(cell, origin)
    // a client that was not greeted yet stands in no list of clients
    if (tag === CONNECTED) farewell(cell, payload as Client)
  }
  const stash = cell.extra?.stash
  if (stash === undefined) return
  for (const [tag, payload, origin] of stash.splice(0)) {
    cell.bury(tag, payload, "stopped")
    tellStopped(cell, origin)
  }
}

/** The life has ended. */
const finish = (cell: Cell, teardown: Teardown, event: number): void => {
  const extra = cell.extra!
  const { runtime } = cell.program
  const { timers } = runtime
  buryMail(cell)
  refuseWaiters(extra)
  if (extra.deferred !== undefined) for (const ask of extra.deferred) tellStopped(cell, ask)
  ActorTimers.clear(cell)
  if (teardown.deadline !== undefined) timers.cancel(teardown.deadline)
  if (extra.idle !== undefined) timers.cancel(extra.idle)
  if (extra.delay !== undefined) timers.cancel(extra.delay)
  const box = cell.mailbox
  cell.mailbox = undefined
  if (box !== undefined) Mailbox.release(box)
  extra.exit = teardown.reason
  cell.change(event, teardown.reason._tag)
  cell.self = undefined
  cell.state = NO_STATE
  extra.teardown = undefined
  if (extra.clients !== undefined) for (const client of extra.clients) farewell(cell, client)
  extra.clients = undefined
  const siblings = cell.parent?.extra
  siblings?.children?.delete(cell)
  if (typeof cell.key === "string") siblings?.names?.delete(`${cell.program.plan.protocol.type}/${cell.key}`)
  runtime.stopped(cell)
  if (teardown.listeners === undefined) return
  for (const listener of teardown.listeners) Runtime.after(runtime, { deliver: listener })
}
