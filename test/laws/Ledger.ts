/**
 * What the random world knows of itself, to hold the system to the laws: who sent what, who is inside, who watches whom.
 *
 * Ten-line models, one a law, fed by the world's handlers and senders; each breaks the run by `sim.check`. Laws 3 and 4 are
 * the simulation's own to look at.
 *
 *   law 1    handlers inside, by incarnation: never two
 *   law 2    each message has its sender's next number for that receiver: numbers go up; a client's mail lies between
 *            its onConnect and its onDisconnect
 *   law 4    a message is met once; an ask has one outcome
 *   law 8    what was acquired is released once; a cancelled ask that has not begun never begins
 *   law 10   a Terminated for each watch, and none without
 *   section 6  what a failed handler staged never arrives, and the state it left is the old one
 */
import type { ActorRef, Self } from "troupe"
import type { Simulation } from "troupe/testkit"

type Cell = NonNullable<ActorRef["cell"]>

/** One run of a handler. */
export interface Step {
  /** Its actor's present life: `self.ref` moves on to the next. */
  readonly cell: Cell
  readonly incarnation: number
  /** Its incarnation, in words. */
  readonly who: string
  /** What it staged must not arrive. */
  failed: boolean
}

/** What stands behind an ask: whether anybody still waits for it. */
export interface Question {
  outcomes: number
}

/** The payload of every message of the world. */
export interface Mail {
  /** How far sends go on. */
  readonly depth: number
  /** Who sent it, where that sender's order is to be checked. */
  readonly from?: string
  readonly number?: number
  /** Staged by this run of a handler. */
  readonly step?: Step
  readonly question?: Question
}

interface Watches {
  readonly live: Set<Cell>
  /** Terminated that must come, by address. */
  readonly due: Map<string, number>
}

export class Ledger {
  readonly #sim: Simulation.Sim
  readonly #sent = new Map<string, number>()
  readonly #met = new Map<string, number>()
  readonly #seen = new WeakSet<Mail>()
  readonly #stashed = new WeakSet<Mail>()
  readonly #inside = new Map<string, number>()
  readonly #states = new Map<string, ReadonlyArray<number>>()
  readonly #held = new Map<number, string>()
  readonly #watches = new Map<Cell, Watches>()
  readonly #clients = new Map<string, "connected" | "gone">()
  readonly #questions: Array<Question> = []
  readonly #lives = new WeakMap<Cell, number>()
  #born = 0
  #acquired = 0
  /** How often each law had something to look at. */
  readonly looked = { turns: 0, ordered: 0, questions: 0, finalizers: 0, watches: 0, failedSteps: 0, clients: 0 }

  constructor(sim: Simulation.Sim) {
    this.#sim = sim
    sim.host.system.onChange.add(({ ref, to }) => {
      if (to === "stopped" && ref.cell !== undefined) this.#died(ref.cell, ref.address)
    })
  }

  // ---- law 2, law 4: messages

  /** A message of `from` to `to`, numbered. */
  mail(
    from: string,
    to: string,
    depth: number,
    rest: { readonly step?: Step; readonly question?: Question } = {}
  ): Mail {
    const pair = `${from} > ${to}`
    const number = (this.#sent.get(pair) ?? 0) + 1
    this.#sent.set(pair, number)
    return { depth, from, number, ...rest }
  }

  /** A handler has been given a message; false when it had it before, and stashed it. */
  met(at: string, mail: Mail): boolean {
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
    this.#met.set(pair, mail.number!)
    return true
  }

  stash(mail: Mail): void {
    this.#stashed.add(mail)
  }

  // ---- law 1, section 6: handlers and state

  /** A handler begins. */
  enter(self: Self<never>, n: number): Step {
    this.looked.turns++
    const cell = self.ref.cell!
    const { incarnation } = self
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
    return { cell, incarnation, who, failed: false }
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

  /** It has ended: with this state, or in failure. `sure`: nobody can have given it up meanwhile. */
  leave(step: Step, before: number, after: number | undefined, sure: boolean): void {
    const { who } = step
    this.#inside.set(who, this.#inside.get(who)! - 1)
    if (after === undefined) {
      this.looked.failedSteps++
      step.failed = true
    }
    this.#states.set(who, after === undefined ? [before] : sure ? [after] : [before, after])
  }

  // ---- law 4, law 8: questions

  ask(): Question {
    const question: Question = { outcomes: 0 }
    this.#questions.push(question)
    return question
  }

  answered(question: Question, what: string): void {
    this.looked.questions++
    question.outcomes++
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

  // ---- law 10

  #of(cell: Cell): Watches {
    let watches = this.#watches.get(cell)
    if (watches === undefined) this.#watches.set(cell, (watches = { live: new Set(), due: new Map() }))
    return watches
  }

  /** Whether `self` still has its powers. */
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
