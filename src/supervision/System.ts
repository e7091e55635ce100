/**
 * The runtime of one actor system: owns the run queue, the timers, the registry, and hears what cells have to tell.
 *
 * Floor 2; `ActorSystem` is its Effect face (service, layer, shutdown); cells see it as `Runtime`. A hot mutable object:
 * no Effect inside, but for starting fibers.
 * Law 4: `snapshot` adds up plain integers of the living and the dead; nothing is counted a message that can be read then.
 * Law 11: time is the given Clock's, chance the given Random's. Under a clock that is not the live one, sweeps are started
 * through the given dispatcher, so virtual time waits for them.
 */
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  LogLevel,
  Random,
  References,
  Scheduler as EffectScheduler
} from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import { Cell } from "../actor/Cell.ts"
import { Deliveries } from "../actor/Deliveries.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import type { Plan, Program } from "../actor/Plan.ts"
import { above } from "../actor/Overseer.ts"
import * as Policy from "../actor/Policy.ts"
import * as Runtime from "../actor/Runtime.ts"
import { Staging } from "../actor/Staging.ts"
import * as Startup from "../actor/Startup.ts"
import type { Order } from "../actor/StopOrder.ts"
import * as Address from "../kernel/Address.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import { InvalidUse, LimitReached, NameTaken } from "../kernel/Errors.ts"
import { FiberScheduler } from "../kernel/FiberScheduler.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Options from "../kernel/Options.ts"
import { Scheduler, type SchedulerOptions, WHOLE } from "../kernel/Scheduler.ts"
import { Timers } from "../kernel/Timers.ts"
import { Children, type Rules } from "./Children.ts"
import * as CrashReport from "./CrashReport.ts"
import { DeadLetters } from "./DeadLetters.ts"
import * as DeathWatch from "./DeathWatch.ts"
import * as FloodGate from "./FloodGate.ts"
import * as Links from "./Links.ts"
import { Programs } from "./Programs.ts"
import { type Kind, Registry } from "./Registry.ts"
import { Roster } from "./Roster.ts"
import * as Supervision from "./Supervision.ts"

const spawnOptionNames: ReadonlyArray<keyof Runtime.SpawnOptions> = ["input", "supervision"]

export interface SystemOptions {
  readonly scheduler?: SchedulerOptions
  /** Dead letters listed. 0-1,048,576, default 1,024. */
  readonly deadLetters?: number
  /** Deep-freeze plain state after each commit. Default: unless NODE_ENV is "production". */
  readonly freeze?: boolean
  /** How long a shutdown may take. Default 15 seconds. */
  readonly shutdown?: Duration.Input
  /** How many reports of failures are logged in full, before they are only counted. */
  readonly reports?: FloodGate.FloodOptions
  /** Memberships in `Groups`, of all groups together. 0-16,777,216, default 131,072. */
  readonly memberships?: number
  /** Names registered in `Names`. 0-16,777,216, default 131,072. */
  readonly names?: number
}

/** A step of somebody's lifecycle. */
export interface Change extends Lifecycle.Step {
  readonly ref: ActorRef
}

export interface Zombie {
  readonly address: Address.Address
  readonly what: string
  readonly since: number
}

let systems = 0

export class System implements Runtime.Runtime {
  readonly scheduler: Scheduler
  readonly fibers: FiberScheduler
  readonly timers: Timers
  readonly registry = new Registry()
  readonly deadLetters: DeadLetters
  readonly services: Context.Context<never>
  /** Whether time is the real one. */
  readonly live: boolean
  readonly freezes: boolean
  readonly shutdownMillis: number
  readonly deliveries = new Deliveries()
  readonly nowhere = { accepted: 0, dead: 0 }
  /** Which failures are logged in full. */
  readonly flood: FloodGate.FloodGate
  readonly groups: Roster
  readonly names: Roster
  readonly counts: Runtime.Counts = { failed: 0, cancelled: 0, unheardErrors: 0, revokedCalls: 0 }
  readonly zombies = new Set<Zombie>()
  readonly onChange = new Set<(change: Change) => void>()
  readonly onFailure = new Set<(report: CrashReport.CrashReport) => void>()
  /** Closed first when the system stops: gateways. */
  readonly edges = new Set<Effect.Effect<void>>()
  scratch = new Staging()
  plain = false
  origin: unknown = undefined
  restarts = 0
  closed = false
  readonly #random: { nextDoubleUnsafe(): number }
  readonly #clock: Clock.Clock
  readonly #debug: boolean
  readonly #programs = new Programs(this)
  readonly #id = (++systems).toString(36)
  #incidents = 0
  #anonymous = 1

  constructor(options: SystemOptions, services: Context.Context<never>) {
    Options.known("system", options, [
      "scheduler",
      "deadLetters",
      "freeze",
      "shutdown",
      "reports",
      "memberships",
      "names"
    ])
    this.services = services
    this.#clock = Context.get(services, Clock.Clock)
    this.#random = Context.get(services, Random.Random)
    this.live = this.#clock === Context.get(Context.empty(), Clock.Clock)
    this.#debug = LogLevel.isGreaterThanOrEqualTo("Debug", Context.get(services, References.MinimumLogLevel))
    this.freezes = options.freeze ?? process.env["NODE_ENV"] !== "production"
    this.shutdownMillis = Options.millis("system.shutdown", options.shutdown, 15_000)
    this.deadLetters = new DeadLetters(Options.integer("system.deadLetters", options.deadLetters, 1024, 0, 1_048_576))
    const roster = (name: "memberships" | "names") =>
      new Roster(
        name,
        `system option ${name}`,
        Options.integer(`system.${name}`, options[name], 131_072, 0, 16_777_216)
      )
    this.groups = roster("memberships")
    this.names = roster("names")
    const dispatcher = this.live ? undefined : Context.get(services, EffectScheduler.Scheduler).makeDispatcher()
    const kick = dispatcher && ((sweep: () => void) => dispatcher.scheduleTask(sweep, 0))
    this.scheduler = new Scheduler({ ...(kick && { kick }), ...options.scheduler })
    this.scheduler.onOccupied = (owners, tag, millis) => this.#occupied(owners as ReadonlyArray<Cell>, tag, millis)
    this.scheduler.onDefect = (defect) => this.log(Effect.logError("defect of the runtime", Cause.die(defect)))
    this.fibers = new FiberScheduler(this.scheduler)
    const clock = this.#clock
    const now = this.live ? () => this.scheduler.now() : () => clock.currentTimeMillisUnsafe()
    this.timers = new Timers(
      now,
      (millis, wake) => {
        const fiber = Effect.runForkWith(services)(Effect.map(clock.sleep(Duration.millis(millis)), wake))
        return () => fiber.interruptUnsafe()
      },
      this.scheduler.onDefect
    )
    this.flood = new FloodGate.FloodGate(options.reports, this.timers, (summary) =>
      this.log(Effect.logWarning(FloodGate.text(summary)))
    )
    Runtime.open(this)
  }

  log(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.services)(effect)
  }

  /** A listener that throws is a defect of its own: the actor it heard of goes on. */
  #notify<A>(listeners: ReadonlySet<(a: A) => void>, news: A): void {
    for (const listener of listeners) {
      try {
        listener(news)
      } catch (defect) {
        this.scheduler.onDefect(defect)
      }
    }
  }

  // ---- actors

  program(plan: Plan, given: Context.Context<never>): Program {
    return this.#programs.of(plan, given)
  }

  spawn(program: Program, key: string | undefined, options: Runtime.SpawnOptions | undefined): Cell {
    const { type } = program.plan.protocol
    if (this.closed) throw new InvalidUse({ address: type, reason: "the system has stopped" })
    const kind = this.registry.kind(type)
    const name = key === undefined ? this.#anonymous++ : Address.checkKey(key)
    if (kind.cells.has(name)) throw new NameTaken({ address: Address.child(undefined, type, name) })
    const cell = this.#make(kind, program, name, undefined, options)
    kind.cells.set(name, cell)
    Startup.start(cell)
    return cell
  }

  spawnChild(parent: Cell, plan: Plan, key: string | undefined, options: Runtime.SpawnOptions | undefined): Cell {
    const extra = parent.record()
    const { type } = plan.protocol
    const { teardown, children } = extra
    if (teardown !== undefined && (teardown.mode !== "drain" || teardown.drained)) {
      throw new InvalidUse({ address: parent.address, reason: `is stopping, and makes no ${type} any more` })
    }
    const { children: limit } = parent.program.plan
    if (children !== undefined && children.size >= limit) {
      throw new LimitReached({ what: `${parent.address}: children`, limit, option: "behavior option children" })
    }
    const kind = this.registry.kind(type)
    let name: string | number
    if (key === undefined) name = extra.nextChild++
    else {
      name = Address.checkKey(key)
      const names = (extra.names ??= new Map())
      if (names.has(`${type}/${name}`)) throw new NameTaken({ address: Address.child(parent.address, type, name) })
    }
    const cell = this.#make(kind, this.program(plan, parent.program.services), name, parent, options)
    if (key !== undefined) extra.names!.set(`${type}/${name}`, cell)
    ;(extra.children ??= new Set()).add(cell)
    return cell
  }

  #make(
    kind: Kind,
    program: Program,
    key: string | number,
    parent: Cell | undefined,
    options: Runtime.SpawnOptions | undefined
  ): Cell {
    Options.known("spawn", options, spawnOptionNames)
    const supervision = options?.supervision
    const policy = supervision && Policy.make(`${kind.type}.supervision`, supervision)
    const cell = new Cell(program, key, parent)
    cell.input = options?.input
    if (policy !== undefined) cell.record().policy = policy
    kind.living++
    kind.spawned++
    return cell
  }

  host(program: Program): void {
    const kind = this.registry.kind(program.plan.protocol.type)
    if (kind.hosted !== undefined) throw new NameTaken({ address: kind.type })
    kind.hosted = program
  }

  locate(ref: ActorRef<never>, make: boolean): Cell | undefined {
    if (!ref.isRoot) return this.find(ref.address)
    const kind = this.registry.kinds.get(ref.protocol.type)
    if (kind === undefined) return undefined
    const cell = kind.cells.get(ref.key)
    if (cell !== undefined || !make || kind.hosted === undefined || this.closed || typeof ref.key !== "string")
      return cell
    if (kind.remaining(ref.key, this.timers.now()) > 0) return undefined
    return this.spawn(kind.hosted, ref.key, undefined)
  }

  /** The living cell at a path. */
  find(address: Address.Address): Cell | undefined {
    const [root, ...rest] = Address.parse(address)
    let cell = this.registry.kinds.get(root!.type)?.cells.get(root!.key)
    for (const { type, key } of rest) {
      const extra: Cell["extra"] = cell?.extra
      if (typeof key === "string") cell = extra?.names?.get(`${type}/${key}`)
      else cell = [...(extra?.children ?? [])].find((c) => c.key === key && c.program.plan.protocol.type === type)
    }
    return cell
  }

  quarantined(ref: ActorRef<never>): number {
    return this.registry.kinds.get(ref.protocol.type)?.remaining(ref.key, this.timers.now()) ?? 0
  }

  /** All living actors, parents before their children. */
  cells(): ReadonlyArray<Cell> {
    const all: Array<Cell> = []
    this.visit((cell) => all.push(cell))
    return all
  }

  /** The same, one by one. */
  visit(look: (cell: Cell) => void): void {
    const walk = (cell: Cell): void => {
      look(cell)
      const children = cell.extra?.children
      if (children !== undefined) for (const child of children) walk(child)
    }
    for (const kind of this.registry.kinds.values()) for (const cell of kind.cells.values()) walk(cell)
  }

  // ---- what cells tell

  incident(): string {
    return `${this.#id}-${(++this.#incidents).toString(36)}`
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

  readonly #around: Supervision.Surroundings = {
    now: () => this.timers.now(),
    random: () => this.#random.nextDoubleUnsafe(),
    incident: () => this.incident(),
    services: () => this.services,
    report: (cell, failure, decision) => this.#report(cell, failure, decision),
    tell: (cell, failure, decision) => this.#tell(cell, failure, decision, false),
    quarantine: (cell) => {
      const kind = this.registry.kind(cell.program.plan.protocol.type)
      if (cell.parent !== undefined || kind.hosted === undefined) return false
      kind.quarantine(cell.key, this.timers.now())
      return true
    }
  }

  failed(cell: Cell, failure: Runtime.Failure): void {
    Supervision.failed(cell, failure, this.#around)
  }

  exits(cell: Cell, order: Order): void {
    Supervision.exits(cell, order, this.#around)
  }

  /** Makes an actor the supervisor of its children, for this incarnation. */
  oversee(cell: Cell, rules: Rules): Children {
    const children = new Children(cell, rules, {
      again: (child, policy, shared) => Supervision.again(child, policy, shared, this.#around),
      shutdown: (supervisor) => this.exits(supervisor, { mode: "now", millis: undefined, reason: ExitReason.shutdown })
    })
    cell.record().overseer = children
    return children
  }

  reported(cell: Cell, failure: Runtime.Failure): void {
    this.#report(cell, failure, "reported")
  }

  #report(cell: Cell, failure: Runtime.Failure, decision: string): void {
    const logged = this.flood.admit(cell.program.plan.protocol.type, failure.tag, failure.incident, decision)
    this.#tell(cell, failure, decision, logged)
  }

  #tell(cell: Cell, failure: Runtime.Failure, decision: string, logged: boolean): void {
    if (!logged && this.onFailure.size === 0) return
    const time = this.#clock.currentTimeMillisUnsafe()
    const report = CrashReport.make(cell, failure, decision, this.timers.now(), time)
    this.#notify(this.onFailure, report)
    if (logged) this.log(Effect.logWarning(CrashReport.text(report)))
  }

  stopped(cell: Cell): void {
    const { type } = cell.program.plan.protocol
    const kind = this.registry.kind(type)
    kind.retire(cell)
    if (cell.parent === undefined) kind.cells.delete(cell.key)
    const reason = cell.extra!.exit as ExitReason.ExitReason
    for (const listener of DeathWatch.ended(cell)) Runtime.after(this, { deliver: () => listener(reason, cell) })
    const tell = Links.ended(cell, reason)
    cell.extra!.overseer?.close()
    above(cell)?.ended(cell, reason)
    tell()
  }

  changed(cell: Cell, from: number, to: number, why: string): void {
    const { extra } = cell
    if (to === Lifecycle.CONNECTING) this.restarts++
    const kept = extra !== undefined && CrashReport.isWorthKeeping(from, to, extra.incarnation)
    const heard = this.onChange.size > 0 || this.#debug
    if (!kept && !heard) return
    const step: Lifecycle.Step = {
      from: Lifecycle.states[from]!,
      to: Lifecycle.states[to]!,
      at: this.timers.now(),
      why
    }
    if (kept) CrashReport.remember(extra, step)
    if (!heard) return
    const change: Change = { ref: cell.ref, ...step }
    this.#notify(this.onChange, change)
    if (this.#debug) this.log(Effect.logDebug(`${cell.address}: ${change.from} -> ${change.to} (${why})`))
  }

  dead(address: Address.Address, tag: string, payload: unknown, reason: DeadReason): void {
    const listeners = this.deadLetters.add(address, tag, reason, this.timers.now())
    if (listeners.size > 0) this.#notify(listeners, { ...this.deadLetters.last!, payload })
  }

  stuck(cell: Cell, tag: string, millis: number, awaits: string): void {
    const since = `${Math.round(millis)} ms, awaits ${awaits}`
    this.log(
      Effect.logWarning(`${cell.address}: handler of "${tag}" suspended for ${since} (behavior option stuckAfter)`)
    )
  }

  #occupied(cells: ReadonlyArray<Cell>, tag: number, millis: number): void {
    const [first, ...others] = cells
    // cheap until now, so they were measured together: from now on each alone, and the next report is sure
    for (const cell of cells) cell.program.weights.fill(WHOLE)
    const names = cells.slice(0, 8).map((cell) => cell.address)
    const who =
      first === undefined
        ? "a fiber or sweep"
        : others.length > 0
          ? `one of ${names.join(", ")}${cells.length > 8 ? ` and ${cells.length - 8} more` : ""}`
          : `${first.address}: ${tag < 0 ? "one of its handlers or fibers" : `"${first.tagName(tag)}"`}`
    this.log(
      Effect.logWarning(`${who} held the event loop for ${Math.round(millis)} ms: move the work to a worker thread`)
    )
  }

  zombie(cell: Cell, what: string): () => void {
    const zombie: Zombie = { address: cell.address, what, since: this.timers.now() }
    this.zombies.add(zombie)
    return () => void this.zombies.delete(zombie)
  }

  /** Ends what the system itself holds. Actors must have stopped. */
  close(): void {
    this.closed = true
    this.flood.close()
    this.timers.close()
    Runtime.close(this)
  }
}
