/**
 * What a supervisor knows of its children, and how it brings them down and back.
 *
 *   a child fails, exits     Strategy says: leave it | restart it, with whom | give up
 *   one_for_one, dynamic     that child alone, after its backoff
 *   one_for_all, rest        down: right to left, each within its grace  ->  wait  ->  up: left to right, each once it is ready
 *
 * Floor 2; made by a supervisor's `initial`, told of failures by Supervision, of ends and starts by the system.
 * Law 9. A child that failed is restarted in place (mail, watches and ref survive); one whose life ended (stopped, killed)
 * is made anew under its key. A temporary child that goes down with its siblings does not come back, as in OTP.
 * A child that fails while it is brought up, or one to the left of the group, widens the group and starts it over, within
 * the same budget; one that fails or ends while it goes down, or before the group comes to it, comes back with it and costs
 * nothing. All of a group are started, as in OTP: also those that had ended before; it is over with nobody left to start. A
 * dynamic child has an entry here only while it is due to be made anew: otherwise it is one of the cell's own children, a
 * record of a few bytes.
 */
import { Cause, Effect } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import type { Overseer } from "../actor/Overseer.ts"
import type { Plan } from "../actor/Plan.ts"
import type { Policy } from "../actor/Policy.ts"
import type { Failure } from "../actor/Runtime.ts"
import * as Teardown from "../actor/Teardown.ts"
import * as Address from "../kernel/Address.ts"
import { NameTaken, StartFailed } from "../kernel/Errors.ts"
import { Deadline, TOLERANCE } from "../kernel/Timers.ts"
import * as Strategy from "./Strategy.ts"

/** A child as its supervisor was told of it, checked. */
export interface ChildPlan {
  readonly id: string
  readonly plan: Plan
  readonly input: unknown
  readonly policy: Policy
  /** Its restarts do not count against its siblings' budget. */
  readonly ownBudget: boolean
  /** 0 kills at once; Infinity waits for ever. */
  readonly graceMillis: number
  readonly significant: boolean
}

/** How a supervisor supervises, checked. */
export interface Rules {
  readonly kind: Strategy.Kind
  readonly autoShutdown: Strategy.AutoShutdown
  /** What all children share; undefined: each has its own, in its policy. */
  readonly budget: { readonly restarts: number; readonly withinMillis: number } | undefined
  /** Of dynamic children. */
  readonly template: ChildPlan | undefined
}

/** The answers of floor 2 that a child's end may need. */
export interface Around {
  /** A child has ended by itself and is to come back: asks its budget; undefined when there is none left. */
  readonly again: (child: Cell, policy: Policy, shared: Strategy.Shared | undefined) => number | undefined
  /** The supervisor ends, because significant children have. */
  readonly shutdown: (supervisor: Cell) => void
}

/** A place among the children, with or without a living child. */
export class Entry {
  readonly child: ChildPlan
  /** Its id; of a dynamic child its key, a number if it was given none. */
  readonly key: string | number
  cell: Cell | undefined = undefined
  /** It has not been up yet: whoever added it starts it, nobody else. */
  fresh = true
  /** The child's life has ended, and it is made anew when it is due. */
  returns = false
  timer: Deadline | undefined = undefined
  /** What supervision remembers of the child that ended, for the one made anew. */
  memory: unknown = undefined
  constructor(child: ChildPlan, key: string | number) {
    this.child = child
    this.key = key
  }
}

/** A child whose start somebody waits for. */
interface Starting {
  readonly cell: Cell
  readonly done: (failure: Failure | undefined) => void
  /** It has failed to start, and ends. */
  failure: Failure | undefined
}

/** Children that go down and come back together. */
interface Group {
  /** Position of the leftmost: those before it are up, and stay. */
  from: number
  incident: string
  dueAt: number
  rising: boolean
  /** How often it was begun or widened: whoever walks along it must start over. */
  round: number
  timer: Deadline | undefined
}

/** Whether it has yet to come up with its group. Not one that is stopped: it was up, or does not come up. */
const isDue = ({ cell, returns }: Entry): boolean =>
  cell === undefined ? returns : !cell.ready && cell.extra?.teardown?.goal !== "stop"

/** What a child without a key goes by, `~12`, as its number. */
const numbered = (id: string): number => (/^~\d+$/.test(id) ? Number(id.slice(1)) : Number.NaN)

export class Children implements Overseer {
  readonly rules: Rules
  /** In the order they were started; empty for a dynamic supervisor. */
  readonly entries: Array<Entry> = []
  readonly #cell: Cell
  readonly #around: Around
  /** Times of the restarts within the shared budget's period. */
  #spent: ReadonlyArray<number> = []
  readonly #byCell = new Map<Cell, Entry>()
  /** Children that end and do not come back; true: by their own doing, so a significant one counts. */
  readonly #leaving = new Map<Cell, boolean>()
  /** Places of dynamic children that are due to be made anew, by key. */
  readonly vacant = new Map<string | number, Entry>()
  #starting: Starting | undefined = undefined
  #group: Group | undefined = undefined
  #advancing = false
  #closed = false

  constructor(cell: Cell, rules: Rules, around: Around) {
    this.#cell = cell
    this.rules = rules
    this.#around = around
  }

  get parallel(): boolean {
    return this.rules.kind === "dynamic"
  }

  /** Whether it acts on its children: not while its own incarnation ends. */
  get #acts(): boolean {
    return !this.#closed && !Teardown.isEnding(this.#cell)
  }

  #planOf(child: Cell): ChildPlan | undefined {
    return this.rules.template ?? this.#byCell.get(child)?.child
  }

  policyOf(child: Cell): Policy {
    return this.#planOf(child)?.policy ?? child.program.plan.policy
  }

  graceMillis(child: Cell): number {
    return this.#planOf(child)?.graceMillis ?? child.program.plan.shutdownMillis
  }

  find(id: string): Entry | undefined {
    return this.entries.find(({ key }) => key === id)
  }

  /** The place of a dynamic child that is due to be made anew. */
  vacancy(which: string | ActorRef<never>): Entry | undefined {
    if (typeof which === "string") return this.vacant.get(which) ?? this.vacant.get(numbered(which))
    const { type } = which.protocol
    const ours = which.address === Address.child(this.#cell.address, type, which.key)
    return ours ? this.vacant.get(which.key) : undefined
  }

  /** What the budget of a child is, if not its own. */
  sharedBy(child: Cell): Strategy.Shared | undefined {
    return this.#shared(this.#planOf(child))
  }

  #shared(plan: ChildPlan | undefined): Strategy.Shared | undefined {
    const { budget } = this.rules
    return budget === undefined || plan?.ownBudget === true ? undefined : { ...budget, spent: this.#spent }
  }

  /** A child is granted a restart: what the budget it has part in, if it has, holds now. */
  spend(shared: Strategy.Shared | undefined, spent: ReadonlyArray<number>): void {
    if (shared !== undefined) this.#spent = spent
  }

  /** Those that live, in the order they were started. */
  get living(): ReadonlySet<Cell> {
    return this.#cell.extra?.children ?? new Set()
  }

  /** A child by ref; a dynamic one by key, or by the number it goes by. */
  childOf(which: string | ActorRef<never>): Cell | undefined {
    if (typeof which !== "string") {
      const { runtime } = this.#cell.program
      const cell = which.find(() => runtime)
      return cell?.parent === this.#cell ? cell : undefined
    }
    const named = this.#cell.extra?.names?.get(`${this.rules.template?.plan.protocol.type}/${which}`)
    const number = named === undefined && this.parallel ? numbered(which) : Number.NaN
    return Number.isNaN(number) ? named : [...this.living].find(({ key }) => key === number)
  }

  /** What of an entry is told: it lives, it is due to come back, or nothing lives there. */
  stateOf(entry: Entry): "running" | "restarting" | "undefined" {
    const { cell } = entry
    if (cell === undefined) return entry.returns ? "restarting" : "undefined"
    return this.stateOfCell(cell)
  }

  stateOfCell(cell: Cell): "running" | "restarting" {
    return cell.extra?.teardown !== undefined || Teardown.isDown(cell) ? "restarting" : "running"
  }

  // ---- starts

  #spawn(child: ChildPlan, key: string | undefined, input: unknown): Cell {
    return this.#cell.program.runtime.spawnChild(this.#cell, child.plan, key, { input })
  }

  /** Makes and starts a child; succeeds once it has its state. A failing start ends it again. */
  start(
    child: ChildPlan,
    key: string | undefined,
    input: unknown,
    entry?: Entry
  ): Effect.Effect<Cell, StartFailed | NameTaken> {
    return Effect.callback<Cell, StartFailed | NameTaken>((resume) => {
      let cell: Cell
      try {
        cell = this.#spawn(child, key, input)
      } catch (error) {
        return resume(error instanceof NameTaken ? Effect.fail(error) : Effect.die(error))
      }
      if (entry !== undefined) this.#seat(entry, cell)
      const done = (failure: Failure | undefined): void => {
        this.#starting = undefined
        if (failure === undefined) {
          if (entry !== undefined) entry.fresh = false
          return resume(Effect.succeed(cell))
        }
        const { incident } = failure
        resume(Effect.fail(new StartFailed({ address: cell.address, id: child.id, incident })))
      }
      this.#starting = { cell, done, failure: undefined }
      cell.start()
    })
  }

  /** Of an entry: at its place among its siblings, so that they still stop from right to left. */
  #seat(entry: Entry, cell: Cell): void {
    entry.cell = cell
    entry.returns = false
    this.#byCell.set(cell, entry)
    const { children } = this.#cell.record()
    if (children === undefined || this.entries.at(-1) === entry) return
    children.clear()
    for (const { cell: sibling } of this.entries) if (sibling !== undefined) children.add(sibling)
  }

  /** Whether somebody waits for its start. */
  starts(child: Cell): boolean {
    return this.#starting?.cell === child
  }

  /** A child whose start somebody waits for has failed: it does not come back; who waits is told when it has ended. */
  startFailed(child: Cell, failure: Failure): boolean {
    const starting = this.#starting
    if (starting?.cell !== child) return false
    this.leave(child, false)
    starting.failure = failure
    return true
  }

  ready(child: Cell): void {
    if (this.#starting?.cell === child) this.#starting.done(undefined)
    this.#advance()
  }

  // ---- restarts

  /** A child is to be restarted in place, with whom the strategy says. */
  restart(child: Cell, incident: string, delayMillis: number): void {
    const entry = this.#byCell.get(child)
    const { kind } = this.rules
    if (entry === undefined || kind === "one_for_one" || kind === "dynamic") {
      return Teardown.restart(child, incident, delayMillis, this.#finite(child))
    }
    this.#bring(entry, incident, delayMillis)
  }

  /** A brutal kill of OTP has no grace: here a restart still waits a moment for finalizers. */
  #finite(child: Cell): number {
    return Math.max(1, this.graceMillis(child))
  }

  /** Whether a child goes down with its siblings anyway, or waits to come up with them: what ends it makes no difference. */
  waits(child: Cell): boolean {
    const entry = this.#byCell.get(child)
    return entry !== undefined && this.#waits(entry)
  }

  #waits(entry: Entry): boolean {
    const group = this.#group
    const at = this.entries.indexOf(entry)
    if (group === undefined || at < group.from) return false
    if (!group.rising) return true
    return this.entries.slice(group.from, at).some(isDue)
  }

  /** One that `waits` has failed. */
  lower(child: Cell, { incident, cause }: Failure): void {
    if (this.policyOf(child).restart === "temporary") {
      this.leave(child, false)
      child.stop({ mode: "now", millis: this.#finite(child), reason: ExitReason.failed(incident, cause) })
    } else Teardown.restart(child, incident, Teardown.PARKED, this.#finite(child))
  }

  #bring(entry: Entry, incident: string, delayMillis: number): void {
    const [from] = Strategy.affected(this.rules.kind, this.entries.length, this.entries.indexOf(entry))
    const { timers } = this.#cell.program.runtime
    const dueAt = timers.now() + delayMillis
    const group = this.#group
    if (group === undefined) this.#group = { from, incident, dueAt, rising: false, round: 0, timer: undefined }
    else {
      // who is to the right of one that is not up yet waits with it: so this one is the leftmost, or those before it are up, or stop
      group.from = from
      group.round++
      group.dueAt = Math.max(group.dueAt, dueAt)
      group.rising = false
    }
    for (const each of this.entries.slice(this.#group!.from)) {
      if (each.cell !== undefined || each.fresh || each.returns) continue
      each.returns = true
      each.memory = undefined // of a former life
    }
    if (entry.cell !== undefined) Teardown.restart(entry.cell, incident, Teardown.PARKED, this.#finite(entry.cell))
    this.#advance()
  }

  parked(_child: Cell): void {
    this.#advance()
  }

  /** Goes on with the group, as far as it gets without waiting. */
  #advance(): void {
    if (this.#advancing || !this.#acts) return
    this.#advancing = true
    try {
      for (let group = this.#group; group !== undefined && this.#step(group);) group = this.#group
    } finally {
      this.#advancing = false
    }
  }

  /** One step; false when it has to wait. */
  #step(group: Group): boolean {
    const { round } = group
    if (!group.rising) {
      if (!this.#lower(group)) return false
      if (group.round !== round) return true
      const { timers } = this.#cell.program.runtime
      const members = this.entries.slice(group.from)
      // with nobody to come up it is over: what is started then is none of it
      const left = members.some(({ cell, returns }) => cell !== undefined || returns) ? group.dueAt - timers.now() : 0
      // its own timer may come so early: armed for the rest, it would come at once, again and again
      if (left > TOLERANCE) {
        group.timer ??= new Deadline(() => this.#advance())
        timers.arm(group.timer, left)
        return false
      }
      if (group.timer !== undefined) timers.cancel(group.timer)
      group.rising = true
    }
    for (const entry of this.entries.slice(group.from)) {
      const { cell } = entry
      if (cell === undefined) {
        if (!entry.returns) continue
        this.#anew(entry)
      } else if (Teardown.isDown(cell)) Teardown.unpark(cell)
      // it failed at once: there is another round to begin
      if (this.#group !== group || group.round !== round) return true
      if (entry.cell !== undefined && !entry.cell.ready) return false
    }
    this.#group = undefined
    return true
  }

  /** Brings the group down, right to left. False while one of them still stops. */
  #lower(group: Group): boolean {
    for (const { child, cell } of this.entries.slice(group.from).toReversed()) {
      if (cell === undefined || Teardown.isDown(cell)) continue
      if (cell.extra?.teardown === undefined) {
        if (child.policy.restart === "temporary") {
          this.leave(cell, false)
          const grace = child.graceMillis
          const reason = grace === 0 ? ExitReason.killed : ExitReason.shutdown
          cell.stop({ mode: grace === 0 ? "kill" : "now", millis: grace, reason })
        } else Teardown.restart(cell, group.incident, Teardown.PARKED, this.#finite(cell))
      }
      if (cell.alive && !Teardown.isDown(cell)) return false
    }
    return true
  }

  // ---- ends

  /** The child ends, now or soon, and is not to come back. `counts`: by its own doing. */
  leave(child: Cell, counts: boolean): void {
    this.#leaving.set(child, counts)
  }

  ended(child: Cell, reason: ExitReason.ExitReason): void {
    const entry = this.#byCell.get(child)
    const waits = entry !== undefined && this.#acts && this.#waits(entry)
    this.#byCell.delete(child)
    if (entry?.cell === child) entry.cell = undefined
    const counts = this.#leaving.get(child)
    this.#leaving.delete(child)
    if (!this.#acts) return
    const starting = this.#starting
    if (starting?.cell === child) {
      starting.done(starting.failure ?? this.#early(reason))
      // a place that was there before stays: whoever made one for this start takes it away
      return this.#advance()
    }
    const plan = entry?.child ?? this.rules.template
    if (plan === undefined) return
    if (waits && counts !== false && plan.policy.restart !== "temporary") {
      entry.returns = true
      entry.memory = child.extra?.history
      return this.#advance()
    }
    if (counts === undefined && Strategy.returns(plan.policy.restart, reason._tag)) {
      if (this.#comeBack(child, plan, entry) || !this.#acts) return
    }
    if (plan.policy.restart === "temporary") this.delete(entry)
    if (
      counts !== false &&
      !waits &&
      Strategy.shutsDown(this.rules.autoShutdown, plan.significant, this.#significant())
    ) {
      return this.#around.shutdown(this.#cell)
    }
    this.#advance()
  }

  #early(reason: ExitReason.ExitReason): Failure {
    const early = new Error(`ended (${reason._tag}) before it was ready`)
    return { incident: this.#cell.program.runtime.incident(), tag: "initial", cause: Cause.die(early) }
  }

  #significant(): number {
    if (this.parallel) return this.living.size + this.vacant.size
    return this.entries.filter((e) => e.child.significant && (e.cell !== undefined || e.returns)).length
  }

  /** Takes a place away, if it is one. The child must not live. */
  delete(entry: Entry | undefined): void {
    const at = entry === undefined ? -1 : this.entries.indexOf(entry)
    if (at < 0) return
    this.entries.splice(at, 1)
    const group = this.#group
    if (group !== undefined && at < group.from) group.from--
  }

  /** Its life has ended, and it is due to be made anew. False when it is out of restarts. */
  #comeBack(child: Cell, plan: ChildPlan, seat: Entry | undefined): boolean {
    const delayMillis = this.#around.again(child, plan.policy, this.#shared(plan))
    if (delayMillis === undefined) return false
    const entry = seat ?? new Entry({ ...plan, input: child.input }, child.key)
    entry.returns = true
    entry.memory = child.extra?.history
    if (seat !== undefined && this.rules.kind !== "one_for_one") {
      this.#bring(seat, child.program.runtime.incident(), delayMillis)
      return true
    }
    if (seat === undefined) this.vacant.set(entry.key, entry)
    entry.timer = new Deadline(() => {
      this.vacant.delete(entry.key)
      if (this.#acts && entry.returns) this.#anew(entry)
    })
    const { timers } = this.#cell.program.runtime
    if (delayMillis > 0) timers.arm(entry.timer, delayMillis)
    else entry.timer.expired()
    return true
  }

  #anew(entry: Entry): void {
    const { child, key } = entry
    const made = this.#spawn(child, typeof key === "string" ? key : undefined, child.input)
    made.record().history = entry.memory
    if (!this.parallel) this.#seat(entry, made)
    made.start()
  }

  // ---- by order of a user

  /** Adds a place at the right end. */
  add(child: ChildPlan): Entry {
    const entry = new Entry(child, child.id)
    this.entries.push(entry)
    return entry
  }

  /** Ends a child for good, within its grace; its place stays unless it is temporary or dynamic. */
  terminate(child: Cell): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.leave(child, false)
      const millis = this.graceMillis(child)
      const reason = millis === 0 ? ExitReason.killed : ExitReason.shutdown
      const stops = child.stop({ mode: millis === 0 ? "kill" : "now", millis, reason }, () => resume(Effect.void))
      if (!stops) resume(Effect.void)
    })
  }

  /** A child that is due to come back does not. */
  forget(entry: Entry): void {
    entry.returns = false
    if (entry.timer !== undefined) this.#cell.program.runtime.timers.cancel(entry.timer)
    if (this.parallel) this.vacant.delete(entry.key)
    this.#advance()
  }

  close(): void {
    this.#closed = true
    const { timers } = this.#cell.program.runtime
    for (const entry of [...this.entries, ...this.vacant.values()])
      if (entry.timer !== undefined) timers.cancel(entry.timer)
    this.vacant.clear()
    if (this.#group?.timer !== undefined) timers.cancel(this.#group.timer)
    this.#group = undefined
  }
}
