/**
 * The release of what a handler staged: sends, forwards, answers, timers, stash, children, events, stop.
 *
 * Floor 1; called by the turn at commit, and by `self` outside of handlers. Rule: released in order on success, discarded
 * as a whole on failure. Law 2: a send to a full `suspend` mailbox makes this actor wait for room, in the receiver's line,
 * `offerTimeout` at the most, so later sends stay behind it. Law 4: a send that nobody takes is a dead letter, with reason.
 */
import { Cause, Exit } from "effect"
import { type DeadReason, RESERVED } from "../kernel/Envelope.ts"
import { AskCycle } from "../kernel/Errors.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import type { ActorRef } from "./ActorRef.ts"
import * as ActorTimers from "./ActorTimers.ts"
import { Ask, findCycle, QUEUED as ASK_QUEUED } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import type { Client, Encoded } from "./Client.ts"
import type { Ticket } from "./Extra.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"
import * as Staging from "./Staging.ts"
import { BUSY, HELD, QUEUED, UNBORN } from "./Status.ts"
import { Suspended } from "./Suspended.ts"
import { killOrder, type Order } from "./StopOrder.ts"

/** Releases from word `from` on. False when one has to wait: the rest follows when it is admitted. */
export const release = (cell: Cell, staging: Staging.Staging, from: number): boolean => {
  const { words } = staging
  if (staging.lent > 0) staging.settle()
  for (let at = from; at < staging.size; at += 4) {
    if (words[at] === Staging.SEND) {
      const target = send(cell, words[at + 1] as ActorRef<never>, words[at + 2] as number, words[at + 3], undefined)
      if (target === undefined) continue
      hold(cell, staging, at, target)
      return false
    }
    const target = act(cell, words[at] as number, words[at + 1], words[at + 2], words[at + 3])
    if (target !== undefined) {
      hold(cell, staging, at, target)
      return false
    }
  }
  staging.clear()
  return true
}

/** One output. Answers with the cell whose full mailbox it has to wait for, if it has to. */
export const act = (cell: Cell, op: number, a: unknown, b: unknown, c: unknown): Cell | undefined => {
  switch (op) {
    case Staging.SEND:
      return send(cell, a as ActorRef<never>, b as number, c, undefined)
    case Staging.FORWARD:
      return forward(cell, a as ActorRef<never>, b as number, c as readonly [unknown, unknown])
    case Staging.PUSH:
      return push(cell, [a as Client], undefined, b as string, c)
    case Staging.BROADCAST:
      return broadcast(cell, a as ReadonlyArray<Client>, b as string, c)
    case Staging.TIMER:
      ActorTimers.set(a as ActorTimers.ActorTimer)
      return undefined
    case Staging.CANCEL_TIMER:
      ActorTimers.cancel(cell, a as string)
      return undefined
    case Staging.UNSTASH:
      unstash(cell, a as number)
      return undefined
    case Staging.STOP:
      cell.program.runtime.exits(cell, a as Order)
      return undefined
    case Staging.ANSWER:
      ;(a as Ask).settle(b as Exit.Exit<unknown, unknown>)
      return undefined
    case Staging.START:
      if (((a as Cell).status & UNBORN) !== 0) (a as Cell).start()
      return undefined
    case Staging.LINK:
      cell.program.runtime.link(cell, a as ActorRef<never>)
      return undefined
    case Staging.UNLINK:
      cell.program.runtime.unlink(cell, a as ActorRef<never>)
      return undefined
    case Staging.IDLE_MESSAGE:
      cell.record().idleMessage = [a as number, b]
      return undefined
    case Staging.CLOSE:
      // behind the answers of this turn, which are delivered after it
      Runtime.after(cell.program.runtime, { deliver: () => (a as Client).close(b as number, c as string) })
      return undefined
    default:
      return undefined
  }
}

const send = (cell: Cell, ref: ActorRef<never>, tag: number, payload: unknown, origin: unknown): Cell | undefined => {
  const known = ref.cell
  if (known !== undefined && known.offer(tag, payload, origin) === "accepted") return undefined
  return sendAnew(cell, ref, tag, payload, origin)
}

/** The ref has not reached its cell yet, or that cell refused. */
const sendAnew = (
  cell: Cell,
  ref: ActorRef<never>,
  tag: number,
  payload: unknown,
  origin: unknown
): Cell | undefined => {
  const { runtime } = cell.program
  const offer = ref.offer(tag, payload, origin, () => runtime)
  if (offer === "accepted") return undefined
  const target = offer === "full" ? ref.find(() => runtime) : undefined
  if (target !== undefined && target !== cell && target.program.plan.overflow === "suspend") return target
  refuse(cell, ref, tag, payload, origin, target)
  return undefined
}

/** Nobody took it: an asker is told, anything else is a dead letter. */
const refuse = (
  cell: Cell,
  ref: ActorRef<never>,
  tag: number,
  payload: unknown,
  origin: unknown,
  full: Cell | undefined
): void => {
  const { runtime } = cell.program
  if (origin instanceof Ask) {
    origin.settle(Exit.fail(full === undefined ? Refusal.closed(ref, runtime) : Refusal.full(full, tag, payload)))
  } else lost(runtime, ref, tag, payload, full === undefined ? Refusal.reason(ref, runtime) : "mailboxFull")
}

/** A message that left its sender and found no receiver. */
const lost = (runtime: Runtime.Runtime, ref: ActorRef<never>, tag: number, payload: unknown, why: DeadReason): void => {
  runtime.nowhere.accepted++
  runtime.nowhere.dead++
  runtime.dead(ref.address, ref.protocol.tag(tag), payload, why)
}

const forward = (
  cell: Cell,
  ref: ActorRef<never>,
  tag: number,
  [payload, origin]: readonly [unknown, unknown]
): Cell | undefined => {
  if (!(origin instanceof Ask)) return send(cell, ref, tag, payload, origin)
  if (origin.answered) return undefined
  const { runtime } = cell.program
  const target = ref.locate(() => runtime)
  const cycle = target === undefined || origin.asker === undefined ? undefined : findCycle(origin.asker, target)
  if (cycle !== undefined) {
    origin.settle(Exit.fail(new AskCycle({ path: cycle })))
    return undefined
  }
  // deferred as well: from now on it is the receiver's to answer for
  cell.extra?.deferred?.delete(origin)
  if (target !== undefined) origin.target = target
  origin.tag = tag
  origin.phase = ASK_QUEUED
  return send(cell, ref, tag, payload, origin)
}

const broadcast = (cell: Cell, except: ReadonlyArray<Client>, event: string, payload: unknown): undefined => {
  const clients = [...(cell.extra?.clients ?? [])]
  const heard = except.length === 0 ? clients : clients.filter((c) => !except.includes(c))
  return push(cell, heard, except, event, payload)
}

/**
 * Sends an event, encoded once. What throws is reported, once: the turn has been committed. Where its Schema refuses it, it
 * goes to nobody; what throws for one client (a `coalesce` of the agent's, for one that is slow) costs no other the event.
 */
const push = (
  cell: Cell,
  clients: ReadonlyArray<Client>,
  except: ReadonlyArray<Client> | undefined,
  event: string,
  payload: unknown
): undefined => {
  const shared: Encoded = { frame: undefined, kept: undefined, except }
  let thrown: { readonly error: unknown } | undefined
  for (const client of clients) {
    try {
      client.sendShared(event, payload, shared)
    } catch (error) {
      thrown ??= { error }
      if (shared.frame === undefined && shared.kept === undefined) break
    }
  }
  if (thrown === undefined) return undefined
  const { runtime } = cell.program
  runtime.reported(cell, { incident: runtime.incident(), tag: event, cause: Cause.die(thrown.error) })
  return undefined
}

/** Puts the message at hand aside. */
export const stash = (cell: Cell, tag: number, payload: unknown, origin: unknown): void => {
  const extra = cell.record()
  if (origin instanceof Ask && origin.exit !== undefined) {
    cell.bury(tag, payload, "cancelled")
    return
  }
  // what came by a reserved slot gives its slot back and keeps a ticket of its own: it still dies with the incarnation
  const ticket: Ticket = { incarnation: extra.incarnation, timer: undefined, piped: false, valid: true }
  ;(extra.stash ??= []).push([tag, payload, tag >= RESERVED ? ticket : origin])
  if (origin instanceof Ask) origin.phase = ASK_QUEUED
}

/** Puts the first `count` stashed messages back at the head of the mailbox, in arrival order. */
export const unstash = (cell: Cell, count: number): void => {
  const taken = cell.extra?.stash?.splice(0, count) ?? []
  if (taken.length === 0) return
  const box = (cell.mailbox ??= Mailbox.acquire(cell.program.plan.capacity))
  for (let i = taken.length - 1; i >= 0; i--) box.unshift(taken[i]![0], taken[i]![1], taken[i]![2])
  if ((cell.status & (QUEUED | BUSY | HELD)) === 0) cell.schedule()
}

/** The actor waits, with the rest of its outputs, in the line of a full mailbox. */
const hold = (cell: Cell, staging: Staging.Staging, at: number, target: Cell): void => {
  const { runtime, plan } = cell.program
  if (staging === runtime.scratch) runtime.scratch = new Staging.Staging()
  const extra = cell.record()
  const { words } = staging
  const ref = words[at + 1] as ActorRef<never>
  const tag = words[at + 2] as number
  const forwarded = words[at] === Staging.FORWARD ? (words[at + 3] as readonly [unknown, unknown]) : undefined
  const payload = forwarded === undefined ? words[at + 3] : forwarded[0]
  const origin = forwarded?.[1]
  cell.status |= BUSY
  const waiter = new Suspended(target, tag, payload, origin, plan.offerMillis, (admitted, expired) => {
    extra.releasing = undefined
    if (admitted && origin instanceof Ask) origin.phase = ASK_QUEUED
    if (!admitted) refuse(cell, ref, tag, payload, origin, expired ? target : undefined)
    Runtime.after(runtime, {
      deliver: () => {
        cell.status &= ~BUSY
        if (release(cell, staging, at + 4)) cell.rest()
      }
    })
  })
  if (origin instanceof Ask) origin.held(waiter)
  extra.releasing = { staging, at, waiter }
}

/** A send of a fork or a callback waits in the line of a full mailbox, `offerTimeout` at the most, `held` of them an actor. */
export const queue = (
  cell: Cell,
  op: number,
  ref: ActorRef<never>,
  tag: number,
  third: unknown,
  target: Cell
): void => {
  const [payload, origin] = op === Staging.FORWARD ? (third as readonly [unknown, unknown]) : [third, undefined]
  const extra = cell.record()
  const { held, offerMillis } = cell.program.plan
  if (extra.sending >= held) return refuse(cell, ref, tag, payload, origin, target)
  extra.sending++
  const waiter = new Suspended(target, tag, payload, origin, offerMillis, (admitted, expired) => {
    extra.sending--
    if (!admitted) refuse(cell, ref, tag, payload, origin, expired ? target : undefined)
    else if (origin instanceof Ask) origin.phase = ASK_QUEUED
  })
  if (origin instanceof Ask) origin.held(waiter)
}

/** The actor is stopped or killed while committed outputs wait: what can still go goes, the rest are dead letters. */
export const abandon = (cell: Cell): void => {
  const releasing = cell.extra?.releasing
  if (releasing === undefined) return
  cell.extra!.releasing = undefined
  releasing.waiter.cancel()
  cell.status &= ~BUSY
  const { staging } = releasing
  const { words } = staging
  for (let at = releasing.at; at < staging.size; at += 4) {
    const waits = act(cell, words[at] as number, words[at + 1], words[at + 2], words[at + 3])
    if (waits === undefined) continue
    const forwarded = words[at] === Staging.FORWARD ? (words[at + 3] as readonly [unknown, unknown]) : undefined
    const payload = forwarded === undefined ? words[at + 3] : forwarded[0]
    if (forwarded?.[1] instanceof Ask)
      forwarded[1].settle(Exit.fail(Refusal.full(waits, words[at + 2] as number, payload)))
    else lost(cell.program.runtime, words[at + 1] as ActorRef<never>, words[at + 2] as number, payload, "senderStopped")
  }
  staging.clear()
}

/** The handler failed: nothing it asked for happens. Children it made were never started. */
export const discard = (cell: Cell, staging: Staging.Staging): void => {
  if (staging.lent > 0) staging.reclaim(false)
  const { words } = staging
  const children: Array<Cell> = []
  for (let at = 0; at < staging.size; at += 4) if (words[at] === Staging.START) children.push(words[at + 1] as Cell)
  staging.clear()
  for (const child of children) child.stop(killOrder)
}
