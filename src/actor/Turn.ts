/**
 * One actor's go at the scheduler: takes its mail, runs the handlers, commits what they hand back.
 *
 *   mail -> handler -> outcome:  same state, nothing staged    counted, next message
 *                                plain state or Reply          commit: state, answer, staged outputs in order
 *                                Effect                        a fiber; one that suspends makes the actor BUSY
 *                                throws, dies                  discard; the failure goes to supervision
 *
 * Floor 1; called by the scheduler through `Cell.run`. Law 1: one turn at a time: a BUSY or HELD actor takes no mail.
 * Law 6: ends after 64 messages, or when the scheduler says so. Law 4: each message taken is finished once.
 * Rule: a turn is atomic in what goes through `self`.
 * Cost: the plain path allocates nothing. The hot loop is kept small and everything unusual is in a function of its own:
 * with it inlined, ping-pong lost a fifth.
 */
import { Cause, type Effect, Exit } from "effect"
import { DISCONNECTED, PRESENCE, RESERVED, SENT, SIGNAL, TERMINATED } from "../kernel/Envelope.ts"
import { InvalidUse } from "../kernel/Errors.ts"
import { peek } from "../kernel/Fiber.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import { Deadline } from "../kernel/Timers.ts"
import * as ActorTimers from "./ActorTimers.ts"
import { Ask, RUNNING } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import type { Client, Disconnected, Presence } from "./Client.ts"
import type { Hooks } from "./Plan.ts"
import type { Running, Ticket } from "./Extra.ts"
import type { Terminated } from "./ExitReason.ts"
import * as Forks from "./Forks.ts"
import { answersErrors, crashed, discard, overtaken } from "./Failed.ts"
import { freeze } from "./Freeze.ts"
import { NoReply, Reply } from "./Outcome.ts"
import * as Outputs from "./Outputs.ts"
import { Staging } from "./Staging.ts"
import * as Startup from "./Startup.ts"
import { BUSY, HALTED, HELD, QUEUED, STARTING } from "./Status.ts"

const effectKey = "~effect/Effect"

export const run = (cell: Cell): void => {
  cell.status &= ~QUEUED
  const starts = (cell.status & STARTING) !== 0
  if (!starts && (cell.status & (BUSY | HELD)) !== 0) return
  cell.program.runtime.scheduler.beginTurn(cell)
  try {
    if (starts) Startup.run(cell)
    // an incarnation that has its state goes on with its mail in the same turn
    if ((cell.status & (BUSY | HELD)) === 0) mail(cell)
  } finally {
    // a defect goes to the scheduler, but the actor goes on
    end(cell)
  }
}

/** Handles mail until the turn's budget is used up. */
const mail = (cell: Cell): void => {
  const box = cell.mailbox
  // what was lent may have been taken back
  if (box === undefined || box.size === 0) return
  const { runtime, handlers, weights } = cell.program
  const { scheduler, scratch } = runtime
  if (cell.lifecycle === Lifecycle.IDLE) cell.change(Lifecycle.MAIL, "mail")
  const self = cell.context()
  runtime.plain = true
  let left = Math.min(scheduler.turnMessages, box.size)
  while (left-- > 0 && box.size > 0 && (cell.status & HELD) === 0) {
    const { tag, payload, origin } = box
    box.shift()
    if (tag >= RESERVED) {
      if (!signal(cell, tag, payload, origin)) break
      continue
    }
    if (origin !== runtime.origin) runtime.origin = origin
    let out: unknown
    try {
      out = handlers[tag]!(cell.state, payload, self)
    } catch (error) {
      crashed(cell, tag, payload, origin, Cause.die(error), runtime.scratch)
      break
    }
    if (out === cell.state && (origin === SENT || origin === undefined) && !scratch.stashes) {
      cell.finished++
      if (!scratch.empty && !released(cell, scratch)) break
    } else if (!outcome(cell, tag, payload, origin, out)) break
    if ((scheduler.credit -= weights[tag]!) <= 0 && scheduler.spent(weights, tag)) break
  }
  runtime.plain = false
}

/** Outputs of a handler that changed no state; none if it was overtaken meanwhile. */
const released = (cell: Cell, staging: Staging): boolean => {
  if ((cell.status & HALTED) === 0) return Outputs.release(cell, staging, 0)
  Outputs.discard(cell, staging)
  return false
}

/** The turn is over: room for senders that wait, the mailbox back to the pool, teardown, and what goes on after it. */
const end = (cell: Cell): void => {
  const { runtime } = cell.program
  const { deliveries } = runtime
  runtime.origin = undefined
  runtime.scheduler.endTurn()
  deliveries.hold()
  try {
    ease(cell)
  } finally {
    deliveries.release()
  }
  if (!deliveries.empty) flush(cell)
}

/** Nothing of it is on the stack: it rests, or, suspended, hears of a stop that came meanwhile. */
const ease = (cell: Cell): void => {
  if ((cell.status & BUSY) === 0) return rest(cell)
  if (cell.extra?.waiters !== undefined) cell.admit()
  if (cell.extra?.teardown !== undefined) cell.advance(true)
}

/** After its handler, before the next. */
export const rest = (cell: Cell): void => {
  const { extra } = cell
  if (extra !== undefined) {
    if (extra.waiters !== undefined) cell.admit()
    if (extra.teardown !== undefined) cell.advance(true)
  }
  const box = cell.mailbox
  if (box !== undefined && box.size === 0) {
    cell.mailbox = undefined
    Mailbox.release(box)
  } else if (box !== undefined && (cell.status & (QUEUED | BUSY | HELD)) === 0) return cell.schedule()
  if (cell.program.plan.idleMillis !== Number.POSITIVE_INFINITY && cell.lifecycle === Lifecycle.ACTIVE) touch(cell)
}

const flush = (cell: Cell): void => {
  const { deliveries, scheduler } = cell.program.runtime
  deliveries.flush(scheduler.onDefect)
}

/** No mail: idle in `idleAfter`, unless mail comes. */
const touch = (cell: Cell): void => {
  const { runtime, plan } = cell.program
  runtime.timers.arm((cell.record().idle ??= rests(cell)), plan.idleMillis)
}

const rests = (cell: Cell): Deadline =>
  new Deadline(() => {
    if (cell.mailbox !== undefined || (cell.status & (BUSY | HELD)) !== 0) return
    if (!cell.change(Lifecycle.REST, "no mail")) return
    const extra = cell.record()
    // what its handlers' fibers ran in, half a kilobyte, is made anew when one has to
    extra.handling = undefined
    const message = extra.idleMessage
    const ticket: Ticket = { incarnation: extra.incarnation, timer: undefined, piped: false, valid: true }
    if (message !== undefined) cell.deliver(message[0] + RESERVED, message[1], ticket)
  })

/** Mail from a reserved slot. False ends the turn. */
const signal = (cell: Cell, tag: number, payload: unknown, origin: unknown): boolean => {
  const { runtime, plan, handlers, weights } = cell.program
  const self = cell.context()
  runtime.origin = undefined
  let go: () => unknown
  let weight = plan.handlers.length
  if (tag < SIGNAL) {
    const ticket = origin as Ticket
    const { timer } = ticket
    if (timer?.pending === ticket) ActorTimers.delivered(timer)
    if (!ticket.valid || ticket.incarnation !== cell.incarnation) {
      cell.bury(tag, payload, "stale")
      return true
    }
    if (ticket.piped) cell.record().piped--
    weight = tag - RESERVED
    go = () => handlers[tag - RESERVED]!(cell.state, payload, self)
  } else if (tag === TERMINATED) {
    cell.extra?.watching?.delete((origin as { readonly cell: Cell }).cell)
    const { onTerminated } = plan.hooks
    go = () => onTerminated?.(cell.state, payload as Terminated, self)
  } else if (tag === DISCONNECTED) {
    const client = payload as Client
    cell.extra?.clients?.delete(client)
    cell.extra?.away?.delete(client)
    runtime.origin = client
    go = () => plan.hooks.onDisconnect?.(cell.state, client, origin as Disconnected, self)
  } else if (tag === PRESENCE) {
    const client = payload as Client
    ;(origin as Presence).queued = false
    const hook = presence(cell, client)
    runtime.origin = client
    go = () => hook?.(cell.state, client, self)
  } else {
    const client = payload as Client
    ;(cell.record().clients ??= new Set()).add(client)
    runtime.origin = client
    go = () => plan.hooks.onConnect?.(cell.state, client, self, origin as "connected" | "restarted")
  }
  let out: unknown
  try {
    out = go()
  } catch (error) {
    crashed(cell, tag, payload, undefined, Cause.die(error), runtime.scratch)
    return false
  }
  if (out === undefined && tag >= SIGNAL) out = cell.state
  if (!outcome(cell, tag, payload, runtime.origin, out)) return false
  const { scheduler } = runtime
  return (scheduler.credit -= weights[weight]!) > 0 || !scheduler.spent(weights, weight)
}

/** What to tell an agent of a client that was away, or was there, when it heard of it last. */
const presence = (cell: Cell, client: Client): Hooks["onAway"] => {
  const extra = cell.record()
  const told = extra.away?.has(client) === true
  if (client.away === told || extra.clients?.has(client) !== true) return undefined
  const { onAway, onBack } = cell.program.plan.hooks
  if (told) extra.away!.delete(client)
  else (extra.away ??= new Set()).add(client)
  return told ? onBack : onAway
}

/** What a handler handed back. False ends the turn. */
const outcome = (cell: Cell, tag: number, payload: unknown, origin: unknown, out: unknown): boolean => {
  const { runtime } = cell.program
  if ((cell.status & HALTED) !== 0) return discard(cell, origin, runtime.scratch)
  // not `in`: where many kinds of objects come by it costs 20 ns
  if (typeof out === "object" && out !== null && (out as Record<string, unknown>)[effectKey] !== undefined) {
    return effectful(cell, tag, payload, origin, out as unknown as Effect.Effect<unknown, unknown>)
  }
  return commit(cell, tag, payload, origin, out, runtime.scratch)
}

const effectful = (
  cell: Cell,
  tag: number,
  payload: unknown,
  origin: unknown,
  effect: Effect.Effect<unknown, unknown>
): boolean => {
  const { runtime } = cell.program
  if (origin instanceof Ask && origin.phase < RUNNING) origin.begin()
  let exit = peek(effect)
  if (exit === undefined) {
    // a fiber may suspend: its sends wait in words
    const { plain } = runtime
    runtime.plain = false
    if (runtime.scratch.lent > 0) runtime.scratch.reclaim(true)
    const handling = Forks.handling(cell)
    let fiber = Forks.start(cell, handling, effect)
    exit = fiber.pollUnsafe()
    if (exit !== undefined && Forks.acquired(handling)) {
      fiber = Forks.release(cell, handling, exit)
      exit = fiber.pollUnsafe()
    }
    if (exit === undefined) {
      suspended(cell, tag, payload, origin, fiber, handling)
      return false
    }
    Forks.handled(cell, handling)
    runtime.plain = plain
  }
  if ((cell.status & HALTED) !== 0) {
    discard(cell, origin, runtime.scratch)
    overtaken(cell, tag, exit)
    return false
  }
  return completed(cell, tag, payload, origin, exit, runtime.scratch)
}

/** The handler has suspended: it takes its staged outputs along and the actor is BUSY until it ends. */
const suspended = (
  cell: Cell,
  tag: number,
  payload: unknown,
  origin: unknown,
  fiber: Running["fiber"],
  handling: Forks.Handling
): void => {
  const { runtime, plan } = cell.program
  const extra = cell.record()
  const since = runtime.timers.now()
  const stuck = new Deadline(() => {
    const awaits = extra.awaiting?.awaited ?? "something outside of the actor system"
    runtime.stuck(cell, cell.tagName(tag), runtime.timers.now() - since, awaits)
  })
  const running: Running = { fiber, handling, tag, payload, origin, staging: runtime.scratch, stuck, cancelled: false }
  runtime.scratch = new Staging()
  extra.running = running
  cell.status |= BUSY
  runtime.timers.arm(stuck, plan.stuckMillis)
  observe(cell, running)
  if (origin instanceof Ask && origin.withdrawn) {
    running.cancelled = true
    fiber.interruptUnsafe()
  }
}

/** Waits for the end of a suspended handler, then for the release of what it acquired. */
const observe = (cell: Cell, running: Running): void => {
  running.fiber.addObserver((exit) => {
    const { extra } = cell
    const live = extra?.running === running
    if (Forks.acquired(running.handling)) {
      // of one that was killed meanwhile, how the handler itself ended has been told
      const fiber = Forks.release(cell, running.handling, exit, live ? exit : Exit.void)
      running.fiber = fiber
      if (live) return observe(cell, running)
      fiber.addObserver(cell.program.runtime.zombie(cell, "finalizer"))
      fiber.addObserver((end) => Forks.late(cell, cell.tagName(running.tag), end))
    } else if (live) resumed(cell, running, exit)
  })
}

/** A suspended handler has ended; we are inside a task of its actor. */
const resumed = (cell: Cell, running: Running, exit: Exit.Exit<unknown, unknown>): void => {
  const { runtime } = cell.program
  cell.extra!.running = undefined
  cell.status &= ~BUSY
  Forks.handled(cell, running.handling)
  runtime.timers.cancel(running.stuck)
  if (running.cancelled || (cell.status & HALTED) !== 0) {
    runtime.counts.cancelled++
    discard(cell, running.origin, running.staging)
    overtaken(cell, running.tag, exit)
  } else completed(cell, running.tag, running.payload, running.origin, exit, running.staging)
  ease(cell)
}

/** A fiber task of this actor has run. */
export const settle = (cell: Cell): void => {
  const { runtime } = cell.program
  if (runtime.scratch.size > 0) Outputs.release(cell, runtime.scratch, 0)
  if (!runtime.deliveries.empty) {
    runtime.scheduler.endTurn()
    flush(cell)
  }
}

const completed = (
  cell: Cell,
  tag: number,
  payload: unknown,
  origin: unknown,
  exit: Exit.Exit<unknown, unknown>,
  staging: Staging
): boolean => {
  if (Exit.isSuccess(exit)) {
    const out = exit.value === undefined && tag >= SIGNAL ? cell.state : exit.value
    return commit(cell, tag, payload, origin, out, staging)
  }
  const { cause } = exit
  const reason = cause.reasons[0]
  const only = cause.reasons.length === 1 && reason !== undefined && Cause.isFailReason(reason)
  if (!only || !answersErrors(cell, tag)) {
    crashed(cell, tag, payload, origin, cause, staging)
    return false
  }
  cell.finished++
  Outputs.discard(cell, staging)
  if (origin instanceof Ask) origin.settle(Exit.fail(reason.error))
  else cell.program.runtime.counts.unheardErrors++
  return true
}

/** The turn step has succeeded: state, answer, outputs. False when an output waits for room. */
const commit = (
  cell: Cell,
  tag: number,
  payload: unknown,
  origin: unknown,
  out: unknown,
  staging: Staging
): boolean => {
  const { runtime } = cell.program
  if (origin instanceof Ask && origin.withdrawn) return discard(cell, origin, staging)
  if (runtime.freezes && out instanceof Promise) {
    const error = new Error("a handler returned a Promise: return an Effect (Effect.promise) or be a generator")
    crashed(cell, tag, payload, origin, Cause.die(error), staging)
    return false
  }
  let next = out
  let value: unknown
  let answers = true
  if (out instanceof Reply) {
    value = out.value
    next = out.changes ? out.state : cell.state
  } else if (out instanceof NoReply) {
    answers = false
    next = out.changes ? out.state : cell.state
    if (origin instanceof Ask && origin.phase <= RUNNING) {
      const error = new Error("Actor.noReply() for an ask that was not deferred, forwarded or stashed")
      crashed(cell, tag, payload, origin, Cause.die(error), staging)
      return false
    }
    if (origin instanceof Ask) origin.passedOn = true
  }
  if (staging.stashes) {
    if (tag >= SIGNAL) {
      const error = new InvalidUse({ address: cell.address, reason: `${cell.tagName(tag)} cannot be stashed` })
      crashed(cell, tag, payload, origin, Cause.die(error), staging)
      return false
    }
    staging.stashes = false
    Outputs.stash(cell, tag, payload, origin)
  } else cell.finished++
  if (next !== cell.state) cell.state = runtime.freezes ? freeze(next) : next
  if (answers && origin instanceof Ask && (origin.phase <= RUNNING || out instanceof Reply)) {
    origin.answer(value)
  }
  return staging.empty || Outputs.release(cell, staging, 0)
}
