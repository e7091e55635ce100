/**
 * What a stubbed cell runs on in place of a system: a scheduler that the test turns by hand, time that stands, and bystanders.
 *
 * Floor 5; used by BehaviorStub; the real `Scheduler`, `FiberScheduler` and `Timers` are in it, and the real Turn, Context,
 * Staging, Outputs and Teardown run on it, so there is no second implementation of what a turn means.
 * It differs from `supervision/System` in three things: nobody but the stubbed cell runs (`Bystander`), failures are kept
 * and not decided about, and every address that the behaviour names is taken to live, until the test ends it.
 * Law 10 is the real DeathWatch's.
 */
import { Clock, Context } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import { Deliveries } from "../actor/Deliveries.ts"
import type { ExitReason } from "../actor/ExitReason.ts"
import { Plan, Program } from "../actor/Plan.ts"
import type { Protocol } from "../actor/Protocol.ts"
import * as Runtime from "../actor/Runtime.ts"
import { Staging } from "../actor/Staging.ts"
import type { Order } from "../actor/StopOrder.ts"
import * as Address from "../kernel/Address.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import { NameTaken } from "../kernel/Errors.ts"
import { FiberScheduler } from "../kernel/FiberScheduler.ts"
import { Scheduler } from "../kernel/Scheduler.ts"
import type { Timers } from "../kernel/Timers.ts"
import * as DeathWatch from "../supervision/DeathWatch.ts"
import * as Links from "../supervision/Links.ts"
import { Bystander } from "./Bystander.ts"
import { StubClock } from "./StubClock.ts"

/** A message that the stub or somebody else never handled. */
export interface StubDeadLetter {
  readonly address: Address.Address
  readonly tag: string
  readonly payload: unknown
  readonly reason: DeadReason
}

export class StubRuntime implements Runtime.Runtime {
  readonly scheduler: Scheduler
  readonly fibers: FiberScheduler
  readonly clock: StubClock
  readonly services: Context.Context<never>
  readonly deliveries = new Deliveries()
  readonly freezes = true
  readonly nowhere = { accepted: 0, dead: 0 }
  readonly counts: Runtime.Counts = { failed: 0, cancelled: 0, unheardErrors: 0, revokedCalls: 0 }
  scratch = new Staging()
  plain = false
  origin: unknown = undefined
  /** Failures that a supervisor would decide about. */
  readonly failures: Array<Runtime.Failure> = []
  /** Failures that are only reported: of `onStop`, of a fork that logs its own. */
  readonly reports: Array<Runtime.Failure> = []
  readonly deadLetters: Array<StubDeadLetter> = []
  /** What a kill could not end, until it does end. */
  readonly zombies = new Set<string>()
  /** Told when nothing is ready any more. */
  onQuiet: () => void = () => {}
  subject: Cell | undefined = undefined
  readonly #known = new Map<Address.Address, Bystander>()
  #sweep: (() => void) | undefined = undefined
  #driving = false
  #incidents = 0

  constructor(services: Context.Context<never>) {
    const kick = (sweep: () => void): void => {
      this.#sweep = sweep
      // woken from outside, by a promise or the test: not on the stack of whoever did it
      if (!this.#driving) queueMicrotask(() => this.drive())
    }
    // one message a turn, and no budget: the test says when the next one is handled
    this.scheduler = new Scheduler({ turnMessages: 1, cost: () => 0, kick })
    this.fibers = new FiberScheduler(this.scheduler)
    this.clock = new StubClock(this.scheduler.onDefect)
    this.services = Context.add(services, Clock.Clock, this.clock)
  }

  get timers(): Timers {
    return this.clock.timers
  }

  /** Runs fibers until none is ready; `first` in front of them. What it throws is a defect of the runtime. */
  drive(first?: () => void): void {
    if (this.#driving) return first?.()
    this.#driving = true
    try {
      first?.()
      for (let sweep = this.#sweep; sweep !== undefined; sweep = this.#sweep) {
        this.#sweep = undefined
        sweep()
      }
    } finally {
      this.#driving = false
    }
    this.onQuiet()
  }

  /** The bystander that `ref` names, if the behaviour has met it. */
  bystander(ref: ActorRef<never>): Bystander | undefined {
    return ref.cell instanceof Bystander ? ref.cell : this.#known.get(ref.address)
  }

  /** The children that live, in the order they were started. */
  get children(): ReadonlyArray<Cell> {
    return [...(this.subject?.extra?.children ?? [])]
  }

  incident(): string {
    return `stub-${++this.#incidents}`
  }

  locate(ref: ActorRef<never>): Cell | undefined {
    const { address } = ref
    const { subject } = this
    const known = subject?.address === address ? subject : (this.#known.get(address) ?? this.#meet(ref, address))
    return known.alive ? known : undefined
  }

  #meet({ protocol, key }: ActorRef<never>, address: Address.Address): Bystander {
    const met = new Bystander(this.#program(passive(protocol)), key, undefined, address, () => this.drive())
    this.#known.set(address, met)
    return met
  }

  #program(plan: Plan): Program {
    return new Program(plan, this, this.services)
  }

  quarantined(): number {
    return 0
  }

  spawnChild(parent: Cell, plan: Plan, key: string | undefined, options: Runtime.SpawnOptions | undefined): Cell {
    const extra = parent.record()
    const { type } = plan.protocol
    const name = key === undefined ? extra.nextChild++ : Address.checkKey(key)
    const address = Address.child(parent.address, type, name)
    const namesake = this.#known.get(address)
    if (namesake !== undefined && namesake.alive && namesake.parent === parent) throw new NameTaken({ address })
    const child = new Bystander(this.#program(plan), name, parent, undefined, () => this.drive())
    child.input = options?.input
    this.#known.set(address, child)
    ;(extra.children ??= new Set()).add(child)
    return child
  }

  watch(watcher: Cell, target: ActorRef<never>): void {
    DeathWatch.watch(
      watcher,
      target,
      target.find(() => this)
    )
  }

  unwatch(watcher: Cell, target: ActorRef<never>): void {
    DeathWatch.unwatch(
      watcher,
      target,
      target.find(() => this)
    )
  }

  link(cell: Cell, target: ActorRef<never>): void {
    Links.link(
      cell,
      target,
      target.find(() => this)
    )
  }

  unlink(cell: Cell, target: ActorRef<never>): void {
    Links.unlink(
      cell,
      target.find(() => this)
    )
  }

  broken(cell: Cell, incident: string): void {
    Links.broken(cell, incident)
  }

  failed(_cell: Cell, failure: Runtime.Failure): void {
    this.failures.push(failure)
  }

  exits(cell: Cell, order: Order): void {
    cell.stop(order)
  }

  reported(_cell: Cell, failure: Runtime.Failure): void {
    this.reports.push(failure)
  }

  stopped(cell: Cell): void {
    const reason = cell.extra!.exit as ExitReason
    for (const listener of DeathWatch.ended(cell)) Runtime.after(this, { deliver: () => listener(reason, cell) })
    Links.ended(cell, reason)()
    if (cell instanceof Bystander) cell.ended()
  }

  changed(): void {}

  dead(address: Address.Address, tag: string, payload: unknown, reason: DeadReason): void {
    this.deadLetters.push({ address, tag, payload, reason })
  }

  /** Time is the test's: however long it let a handler wait, it meant to. */
  stuck(): void {}

  zombie(_cell: Cell, what: string): () => void {
    this.zombies.add(what)
    return () => void this.zombies.delete(what)
  }
}

/** A behaviour of which nothing is ever run. */
const passive = (protocol: Protocol): Plan =>
  new Plan(protocol, undefined, Object.fromEntries(protocol.rpcs.map(({ _tag }) => [_tag, () => undefined])), {}, {})
