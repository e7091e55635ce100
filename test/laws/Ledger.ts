/**
 * What the random world knows of itself, to hold the system to the laws: who sent what, who is inside, who watches whom.
 *
 * Ten-line models, one a law, fed by the world's handlers and senders; each breaks the run by `sim.check`. Laws 3 and 4 are
 * the simulation's own to look at.
 *
 *   law 1    handlers inside, by incarnation: never two
 *   law 2    each message has its sender's next number for that receiver: numbers go up; a client's mail lies between
 *            its onConnect and its onDisconnect; what was unstashed comes next (`Shelf`)
 *   law 4    a message is met once; an ask has one outcome, also when its actor ends
 *   law 5    who drops the oldest drops no newer one; an ask that is dropped does not wait for its timeout
 *   law 8    what was acquired is released once; a cancelled ask that has not begun never begins, one that has does not go on,
 *            and nobody else is interrupted
 *   law 9    who has crashed handles nothing more in that incarnation
 *   law 10   a Terminated for each watch, and none without
 *   section 6  what a failed handler staged never arrives, and the state it left is the old one
 */
import { Cause, Exit } from "effect"
import { type ActorRef, AskTimeout, LimitReached, type Self } from "troupe"
import type { Simulation } from "troupe/testkit"
import { Shelf } from "./Shelf.ts"
import { TreeLedger } from "./TreeLedger.ts"

type Cell = NonNullable<ActorRef["cell"]>

/** One run of a handler. */
export interface Step {
  /** Its actor's present life: `self.ref` moves on to the next. */
  readonly cell: Cell
  readonly incarnation: number
  /** Its incarnation, in words. */
  readonly who: string
  /** Whose end is its end. */
  readonly question: Question | undefined
  /** What it staged must not arrive. */
  failed: boolean
  /** It puts this message aside. */
  stashed: Mail | undefined
  readonly unstashed: Array<number>
  /** It stops its actor. */
  stops: boolean
  /** It goes on to its end, and changes nothing when its asker has left. */
  uninterruptible: boolean
}

/** What stands behind an ask: whether anybody still waits for it. */
export interface Question {
  outcomes: number
  /** When its asker had its outcome, or gave up. */
  since: number
  /** When its actor ended before it came to it, or before it answered what it had deferred. */
  buried: number
}

/** Longer than any uninterruptible step of the world. */
const patience = 60

/** Of dead letters whose asker must hear of it at once. */
const endings = new Set<string>(["stopped", "draining", "dropNewest", "dropOldest"])

/** What a worker is told to do, by whoever commands its supervisor. */
export type Order = "crash" | "stop" | "hang"

/** The payload of every message of the world. */
export interface Mail {
  /** How far sends go on. */
  readonly depth: number
  /** Who sent it, where that sender's order is to be checked. */
  readonly from?: string
  readonly number?: number
  /** Staged by this run of a handler. */
  readonly step?: Pick<Step, "failed">
  readonly question?: Question
  readonly order?: Order
}

interface Watches {
  readonly live: Set<Cell>
  /** Terminated that must come, by address. */
  readonly due: Map<string, number>
}

export class Ledger {
  /** Of law 9. */
  readonly trees: TreeLedger
  readonly #sim: Simulation.Sim
  readonly #sent = new Map<string, number>()
  readonly #met = new Map<string, number>()
  readonly #dropped = new Map<string, number>()
  readonly #seen = new WeakSet<Mail>()
  readonly #stashed = new WeakSet<Mail>()
  readonly #inside = new Map<string, number>()
  readonly #states = new Map<string, ReadonlyArray<number>>()
  readonly #held = new Map<number, string>()
  readonly #watches = new Map<Cell, Watches>()
  readonly #clients = new Map<string, "connected" | "gone">()
  readonly #questions: Array<Question> = []
  readonly #lives = new WeakMap<Cell, number>()
  readonly #shelves = new Map<Cell, Shelf<Mail>>()
  readonly #deferred = new Map<Cell, Array<Question>>()
  readonly #stopping = new WeakSet<Self<never>>()
  readonly #crashed = new Map<Cell, number>()
  #born = 0
  #acquired = 0
  /** How often each law had something to look at. */
  readonly looked = { turns: 0, ordered: 0, questions: 0, finalizers: 0, watches: 0, failedSteps: 0, clients: 0 }

  constructor(sim: Simulation.Sim) {
    this.#sim = sim
    this.trees = new TreeLedger(sim)
    sim.host.system.onChange.add(({ ref, to }) => {
      const { cell } = ref
      if (cell === undefined) return
      if (to === "stopped" || to === "connecting") this.#undo(cell)
      if (to === "stopped") this.#died(cell, ref.address)
      else if (to === "draining" || to === "connecting")
        this.#shelves.get(cell)?.empty(cell.extra?.releasing !== undefined)
    })
    sim.host.onDeadLetter(({ address, payload, reason }) => {
      const mail = payload as Mail | undefined
      if (mail === undefined) return
      for (const [cell, shelf] of this.#shelves) shelf.bury(mail, cell.extra?.releasing !== undefined)
      if (mail.question !== undefined && endings.has(reason)) mail.question.buried = sim.now
      if (reason !== "dropOldest" || mail.from === undefined) return
      const pair = `${mail.from} > ${address}`
      this.#dropped.set(pair, Math.max(this.#dropped.get(pair) ?? 0, mail.number!))
    })
  }

  // ---- law 2, law 4: messages

  /** A message of `from` to `to`, numbered. */
  mail(from: string, to: string, depth: number, rest: Pick<Mail, "step" | "question" | "order"> = {}): Mail {
    const pair = `${from} > ${to}`
    const number = (this.#sent.get(pair) ?? 0) + 1
    this.#sent.set(pair, number)
    return { depth, from, number, ...rest }
  }

  /** A handler has been given a message; false when it had it before, and stashed it. */
  met(cell: Cell, at: string, mail: Mail): boolean {
    // every further stop puts the stash of one that drains back
    const inTurn = (this.#shelves.get(cell)?.take(mail) ?? true) || !cell.open
    this.#sim.check(inTurn, `law 2: ${at}: what was unstashed first comes later`)
    const again = this.#stashed.delete(mail)
    if (this.#seen.has(mail)) {
      this.#sim.check(again, `law 4: ${at} is given a message twice`)
      return false
    }
    this.#seen.add(mail)
    this.#sim.check(mail.step?.failed !== true, `section 6: ${at} is given what a failed handler had staged`)
    this.#sim.check((mail.question?.outcomes ?? 0) === 0, `law 8: ${at} begins a question that nobody asks any more`)
    if (mail.from === undefined) return true
    this.looked.ordered++
    const pair = `${mail.from} > ${at}`
    const last = this.#met.get(pair) ?? 0
    this.#sim.check(mail.number! > last, `law 2: ${pair}: message ${mail.number} comes after ${last}`)
    const dropped = this.#dropped.get(pair) ?? 0
    this.#sim.check(mail.number! > dropped, `law 5: ${pair}: ${dropped} was dropped before the older ${mail.number}`)
    this.#met.set(pair, mail.number!)
    return true
  }

  stash(step: Step, mail: Mail): void {
    this.#stashed.add(mail)
    step.stashed = mail
  }

  // ---- law 1, section 6: handlers and state

  /** A handler begins. */
  enter(self: Self<never>, n: number, question?: Question): Step {
    this.looked.turns++
    const cell = self.ref.cell!
    const { incarnation } = self
    const went = this.#crashed.get(cell) === incarnation
    this.#sim.check(!went, `law 9: ${self.ref.address}#${incarnation} goes on after it has crashed`)
    if (!this.#lives.has(cell)) this.#lives.set(cell, ++this.#born)
    const who = `${self.ref.address}~${this.#lives.get(cell)}#${incarnation}`
    const inside = (this.#inside.get(who) ?? 0) + 1
    this.#inside.set(who, inside)
    this.#sim.check(inside === 1, `law 1: two handlers of ${who} overlap`)
    const allowed = this.#states.get(who)
    this.#sim.check(
      allowed === undefined || allowed.includes(n),
      `section 6: ${who} has state ${n}, committed was ${allowed?.join(" or ")}`
    )
    return {
      cell,
      incarnation,
      who,
      question,
      failed: false,
      stashed: undefined,
      unstashed: [],
      stops: false,
      uninterruptible: false
    }
  }

  /** Its synchronous part is over, its fiber has not begun. */
  pause({ who }: Step): void {
    this.#inside.set(who, this.#inside.get(who)! - 1)
  }

  resume({ who }: Step): void {
    const inside = this.#inside.get(who)! + 1
    this.#inside.set(who, inside)
    this.#sim.check(inside === 1, `law 1: two handlers of ${who} overlap`)
  }

  /** A step of it begins. */
  goesOn({ question, who, uninterruptible }: Step): void {
    if (question === undefined || question.outcomes === 0 || uninterruptible) return
    const late = this.#sim.now - question.since
    this.#sim.check(late <= patience, `law 8: ${who} goes on ${late} ms after its asker has left`)
  }

  /** It has ended: with this state, or in failure. `exact`: nobody can have given it up since. */
  leave(step: Step, before: number, exit: Exit.Exit<number, unknown>, exact: boolean): void {
    const { who, cell, incarnation, question } = step
    this.#inside.set(who, this.#inside.get(who)! - 1)
    const left = question !== undefined && question.outcomes > 0
    if (Exit.isFailure(exit) || left) {
      if (Exit.isFailure(exit)) this.looked.failedSteps++
      step.failed = true
    }
    if (Exit.isFailure(exit)) {
      this.#states.set(who, [before])
      const crash = exit.cause.reasons.some(
        (reason) => Cause.isDieReason(reason) && !(reason.defect instanceof LimitReached)
      )
      // whoever is ending already goes on with that
      const ends = cell.extra?.teardown !== undefined
      if (crash && !left && question === undefined && !ends && this.#has(step)) this.#crashed.set(cell, incarnation)
      return
    }
    this.#states.set(who, left ? [before] : exact ? [exit.value] : [before, exit.value])
    if (left || !this.#has(step)) return
    if (step.stashed === undefined && step.unstashed.length === 0) return
    let shelf = this.#shelves.get(cell)
    if (shelf === undefined) this.#shelves.set(cell, (shelf = new Shelf()))
    shelf.commit(step.stashed, step.unstashed)
  }

  /** A handler that nobody may have interrupted but the end of its actor. */
  interrupted(step: Step): void {
    const { cell, who } = step
    const ends = !this.#has(step) || cell.extra?.teardown !== undefined
    this.#sim.check(ends, `law 8: ${who} is interrupted for no reason`)
  }

  // ---- law 4, law 8: questions

  ask(): Question {
    const question: Question = { outcomes: 0, since: 0, buried: Number.POSITIVE_INFINITY }
    this.#questions.push(question)
    return question
  }

  /** Its answer comes later, from this incarnation. */
  defers({ cell }: Step, question: Question): void {
    const open = this.#deferred.get(cell)
    if (open === undefined) this.#deferred.set(cell, [question])
    else open.push(question)
  }

  #undo(cell: Cell): void {
    for (const question of this.#deferred.get(cell) ?? []) question.buried = Math.min(question.buried, this.#sim.now)
    this.#deferred.delete(cell)
  }

  answered(question: Question, what: string, exit: Exit.Exit<unknown, unknown>): void {
    this.looked.questions++
    question.outcomes++
    question.since = this.#sim.now
    const waited =
      Exit.isFailure(exit) && exit.cause.reasons.some((r) => Cause.isFailReason(r) && r.error instanceof AskTimeout)
    this.#sim.check(
      !waited || this.#sim.now <= question.buried,
      `law 4: ${what} waits in vain for an answer that cannot come`
    )
    this.#sim.check(question.outcomes === 1, `law 4: ${what} has ${question.outcomes} outcomes`)
  }

  // ---- law 8: finalizers

  acquire(what: string): number {
    this.#held.set(++this.#acquired, what)
    return this.#acquired
  }

  release(id: number): void {
    this.looked.finalizers++
    this.#sim.check(this.#held.delete(id), `law 8: a finalizer runs twice`)
  }

  /** The last hook of a life. */
  stops(self: Self<never>): void {
    this.#sim.check(!this.#stopping.has(self), `law 8: ${self.ref.address} has its onStop twice`)
    this.#stopping.add(self)
  }

  // ---- law 10

  #of(cell: Cell): Watches {
    let watches = this.#watches.get(cell)
    if (watches === undefined) this.#watches.set(cell, (watches = { live: new Set(), due: new Map() }))
    return watches
  }

  /** Whether `self` still has its powers. */
  has(step: Step): boolean {
    return this.#has(step)
  }

  #has({ cell, incarnation }: Step): boolean {
    return cell.alive && cell.incarnation === incarnation
  }

  watch(self: Self<never>, step: Step, target: ActorRef): void {
    const powers = this.#has(step)
    const cell = target.find(() => this.#sim.host.system)
    self.watch(target)
    if (!powers) return
    const { live, due } = this.#of(step.cell)
    if (cell !== undefined && cell.alive) live.add(cell)
    else due.set(target.address, (due.get(target.address) ?? 0) + 1)
  }

  unwatch(self: Self<never>, step: Step, target: ActorRef): void {
    const powers = this.#has(step)
    const cell = target.find(() => this.#sim.host.system)
    self.unwatch(target)
    if (!powers) return
    const { live, due } = this.#of(step.cell)
    if (cell !== undefined) live.delete(cell)
    const left = due.get(target.address) ?? 0
    if (left > 0) due.set(target.address, left - 1)
  }

  #died(cell: Cell, address: string): void {
    this.#watches.delete(cell)
    this.#shelves.delete(cell)
    for (const { live, due } of this.#watches.values()) {
      if (live.delete(cell)) due.set(address, (due.get(address) ?? 0) + 1)
    }
  }

  terminated({ cell }: Step, address: string): void {
    this.looked.watches++
    const { due } = this.#of(cell)
    const left = due.get(address) ?? 0
    this.#sim.check(left > 0, `law 10: ${cell.address} hears of the end of ${address} once too often`)
    due.set(address, left - 1)
  }

  // ---- law 2: clients

  /** A hook or message of a client has come. */
  client(self: Self<never>, id: string, what: "connects" | "speaks" | "leaves"): void {
    this.looked.clients++
    const who = `${self.ref.address} ${id}`
    const at = this.#clients.get(who)
    if (what === "connects") this.#sim.check(at !== "gone", `law 2: ${who} connects after it left`)
    else this.#sim.check(at === "connected", `law 2: ${who} ${what}, but is ${at ?? "not connected yet"}`)
    this.#clients.set(who, what === "leaves" ? "gone" : "connected")
  }

  // ---- at the end

  /** Nothing can go on without time passing: every Terminated has come to whoever could take it. */
  rested(): void {
    for (const [cell, { due }] of this.#watches) {
      if (!cell.ready || cell.queued > 0 || cell.running > 0 || cell.extra?.running !== undefined) continue
      for (const [address, left] of due) {
        this.#sim.check(left === 0, `law 10: ${cell.address} has not heard of the end of ${address}`)
      }
    }
  }

  /** All actors have ended. */
  ended(): void {
    for (const what of this.#held.values()) this.#sim.fail(`law 8: ${what} was acquired and never released`)
    const open = this.#questions.filter(({ outcomes }) => outcomes === 0).length
    this.#sim.check(open === 0, `law 4: ${open} asks have no outcome`)
  }
}
