/**
 * What a simulated program holds in its hand: chance, faults, clients, notes; and what the run writes down about itself.
 *
 * Floor 5; made by SimulatedRun, one a run, given to the program. Law 11: everything here is drawn from the run's choices,
 * so that it is the same again on replay, and 0, the simplest choice, is always the one that does nothing.
 * The trace is the schedule as text: turns, lifecycle steps, dead letters, faults, notes, each with its virtual time. It
 * names no incident, fiber or object of the process, so two runs of one seed have the same, byte for byte.
 * Cost: a line of text a turn.
 */
import { Duration, Effect, Exit } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import { Behavior } from "../actor/Behavior.ts"
import { Cell } from "../actor/Cell.ts"
import { type Handler, Plan } from "../actor/Plan.ts"
import type { Mode } from "../actor/StopOrder.ts"
import { InvalidOption, type TellError } from "../kernel/Errors.ts"
import type { State } from "../kernel/Lifecycle.ts"
import type { Runnable } from "../kernel/Scheduler.ts"
import type { Host } from "../supervision/ActorSystem.ts"
import * as Edge from "../supervision/Edge.ts"
import type { Change } from "../supervision/System.ts"
import type { Chance, Choices } from "./Choices.ts"
import type { EventLoop } from "./EventLoop.ts"
import { SimulatedClient } from "./SimulatedClient.ts"
import type { StubClientOptions } from "./StubClient.ts"
import type { VirtualCost } from "./VirtualCost.ts"

/** What `sim.failHere` throws: a defect, as far as the actor is concerned. */
export class InjectedFailure extends Error {
  override readonly name = "InjectedFailure"
}

/** How often a message of a `sim.faulty` behaviour meets which fault: shares from 0 to 1, together at most 1. */
export interface FaultRates {
  /** Fails before its handler does anything. Default 0.02. */
  readonly before?: number
  /** Fails when its handler has done everything. Default 0.02. */
  readonly after?: number
  /** Its handler occupies the loop, for up to `maxMillis`. Default 0.02. */
  readonly slow?: number
  /** Its handler suspends first, for up to `maxMillis`. Default 0.05. */
  readonly suspend?: number
  /** Default 100. */
  readonly maxMillis?: number
}

/** What `sim.chaos` does, one thing every so often. */
export interface ChaosOptions {
  /** Virtual time between two faults, on average. Default 20 ms. */
  readonly every?: Duration.Input
  /** How actors are stopped. Default in all modes; none for not at all. */
  readonly stops?: ReadonlyArray<Mode>
  /** Whether clients are cut off. Default true. */
  readonly cuts?: boolean
  /** Actors that are left alone. */
  readonly spares?: (ref: ActorRef) => boolean
}

/** Shares in thousandths, drawn in one. */
const SHARES = 1000

const share = (field: string, value: number | undefined, fallback: number): number => {
  if (value === undefined) return Math.round(fallback * SHARES)
  if (value >= 0 && value <= 1) return Math.round(value * SHARES)
  throw new InvalidOption({ field, value: String(value), range: "a share from 0 to 1" })
}

/** The event of the lifecycle behind a step. */
const eventOf = (from: State, to: State, why: string): string => {
  if (to === "connecting") return "RESTART"
  if (to === "draining") return "STOP"
  if (to === "idle") return "REST"
  if (to === "active") return from === "idle" ? "MAIL" : "READY"
  return why === "killed" ? "KILL" : "DONE"
}

const nameOf = (item: Runnable): string => {
  if (item instanceof Cell) return `turn ${item.address}`
  return item.owner instanceof Cell ? `fiber of ${item.owner.address}` : "system"
}

export class Sim {
  /** The run's chance: draw all that is free from here. */
  readonly chance: Chance
  /** What happened, a line each. */
  readonly trace: Array<string> = []
  /** Steps of lifecycles that were seen, as `active STOP`. */
  readonly visited = new Set<string>()
  /** What broke first, if anything has. */
  broken: string | undefined = undefined
  /** Every client that `client` made. */
  readonly clients: Array<SimulatedClient<never>> = []
  /** Internal. */
  readonly endings: Array<() => void> = []
  #host: Host | undefined = undefined
  #incidents = 0
  /** Nothing more is written down. */
  #over = false
  readonly #choices: Choices
  readonly #loop: EventLoop
  readonly #cost: VirtualCost

  /** Internal. */
  constructor(choices: Choices, loop: EventLoop, cost: VirtualCost) {
    this.chance = choices.program
    this.#choices = choices
    this.#loop = loop
    this.#cost = cost
  }

  /** Internal: the system has opened. */
  open(host: Host): void {
    this.#host = host
    const { system } = host
    // one number a process would differ between two runs
    system.incident = () => `simulated-${++this.#incidents}`
    system.scheduler.onDefect = (defect) => this.fail(`defect of the runtime: ${String(defect)}`)
    system.onChange.add((change) => this.#changed(change))
    host.onDeadLetter(({ address, tag, reason }) => this.#say(`dead letter ${tag} to ${address} (${reason})`))
  }

  #changed({ ref, from, to, why }: Change): void {
    this.visited.add(`${from} ${eventOf(from, to, why)}`)
    this.#say(`${ref.address} ${from} -> ${to} (${why})`)
  }

  #say(line: string): void {
    if (this.#over) return
    this.trace.push(`@${this.#loop.now} ${line}`)
  }

  /** Internal: the scheduler has picked. */
  picked(item: Runnable): void {
    this.#say(nameOf(item))
  }

  /**
   * A source of chance of its own for the part of the program with that name: a sender, an actor's address. What it draws is
   * shrunk apart from the rest, which keeps doing what it did: give one to whatever goes on beside something else.
   */
  chanceOf(name: string): Chance {
    return this.#choices.lane(`of ${name}`)
  }

  /** The system under simulation. */
  get host(): Host {
    if (this.#host === undefined) throw new Error("the simulated system has not opened yet")
    return this.#host
  }

  /** Virtual time, in ms since the run began. */
  get now(): number {
    return this.#loop.now
  }

  /** Waits until nothing can go on without time passing. */
  get settled(): Effect.Effect<void> {
    return this.#loop.settled
  }

  /** Writes a line into the trace. Put nothing in it that another run would have differently. */
  note(text: string): void {
    this.#say(`- ${text}`)
  }

  /** Ends the run as failed: a law of the program's own is broken. The first counts. */
  fail(fault: string): void {
    if (this.broken !== undefined) return
    this.broken = fault
    this.#say(`BROKEN ${fault}`)
    this.#over = true
  }

  /** `fail` unless it holds. */
  check(holds: boolean, fault: string): void {
    if (!holds) this.fail(fault)
  }

  /** Looks once more when the program has ended and all its actors with it. */
  atEnd(look: () => void): void {
    this.endings.push(look)
  }

  /** Throws `InjectedFailure` with probability `p`, from 0 to 1: for the inside of handlers. */
  failHere(p: number): void {
    const shares = share("failHere", p, p)
    if (shares > 0 && this.chance.below(SHARES) >= SHARES - shares) throw this.#injected()
  }

  #injected(): InjectedFailure {
    this.#say("fault: the handler fails")
    return new InjectedFailure("injected by the simulation")
  }

  /** The handler at hand occupies the loop so long: its budget is charged, time passes, timers are late. */
  slow(millis: number): void {
    this.#cost.spend(millis)
    this.#loop.now += millis
    this.#say(`fault: slow by ${millis} ms`)
  }

  /** Connects a client to an agent. Fails as a send to it would. */
  client<P extends Rpc.Any>(
    ref: ActorRef<P>,
    options: StubClientOptions = {}
  ): Effect.Effect<SimulatedClient<P>, TellError> {
    return Effect.suspend(() => {
      const { id = `c${this.clients.length + 1}` } = options
      const client = new SimulatedClient(ref, { ...options, id }, (task) => this.#later(task))
      const line = Edge.connect(this.host.system, ref, client)
      if (!(line instanceof Edge.Line)) return Exit.fail(line)
      client.open(line)
      this.clients.push(client as unknown as SimulatedClient<never>)
      this.#say(`client ${id} connects to ${line.address}`)
      return Exit.succeed(client)
    })
  }

  #later(task: () => void): void {
    this.#loop.scheduler.makeDispatcher().scheduleTask(task, 0)
  }

  /** The same behaviour, but handlers meet faults: for testing yours as it is. Its hooks, and `initial`, are left alone. */
  faulty<P extends Rpc.Any, R, In>(behavior: Behavior<P, R, In>, rates: FaultRates = {}): Behavior<P, R, In> {
    const before = share("faulty.before", rates.before, 0.02)
    const after = before + share("faulty.after", rates.after, 0.02)
    const slow = after + share("faulty.slow", rates.slow, 0.02)
    const suspend = slow + share("faulty.suspend", rates.suspend, 0.05)
    if (suspend > SHARES)
      throw new InvalidOption({ field: "faulty", value: String(suspend / SHARES), range: "1 in all" })
    const { maxMillis = 100 } = rates
    const { plan } = behavior
    const wrap =
      (handler: Handler): Handler =>
      (state, payload, self) => {
        const chance = this.chanceOf(self.ref.address)
        const luck = SHARES - 1 - chance.below(SHARES)
        if (luck >= suspend) return handler(state, payload, self)
        if (luck < before) throw this.#injected()
        if (luck < after) return this.#spoil(handler(state, payload, self))
        const millis = chance.between(1, maxMillis)
        if (luck < slow) {
          this.slow(millis)
          return handler(state, payload, self)
        }
        this.#say(`fault: suspended for ${millis} ms`)
        const goOn = Effect.suspend(() => asEffect(handler(state, payload, self)))
        return Effect.andThen(Effect.sleep(millis), goOn)
      }
    const handlers = plan.handlers.map(wrap)
    return new Behavior<P, R, In>(Object.assign(Object.create(Plan.prototype) as Plan, plan, { handlers }))
  }

  #spoil(out: unknown): unknown {
    if (!Effect.isEffect(out)) throw this.#injected()
    return Effect.flatMap(out as Effect.Effect<unknown>, () => Effect.die(this.#injected()))
  }

  /** Stops, kills and cuts off whoever it comes upon, for ever: fork it beside the program. */
  chaos(options: ChaosOptions = {}): Effect.Effect<never> {
    const { stops = ["drain", "now", "kill"], cuts = true, spares = () => false } = options
    const chance = this.chanceOf("chaos")
    const every = Math.max(1, Math.round(Duration.toMillis(options.every ?? 20)))
    const once = Effect.suspend(() => {
      // to leave it is the simplest
      if (!chance.oneIn(2)) return Effect.void
      if (cuts && chance.oneIn(4)) return Effect.sync(() => this.#cutOne(chance))
      if (stops.length > 0) this.#stopOne(chance, stops, spares)
      return Effect.void
    })
    const pause = Effect.suspend(() => Effect.sleep(chance.between(1, every)))
    return Effect.forever(Effect.andThen(pause, once), { disableYield: true })
  }

  #cutOne(chance: Chance): void {
    const open = this.clients.filter((client) => client.connected)
    if (open.length === 0) return
    const client = chance.pick(open)
    this.#say(`fault: client ${client.id} is cut off`)
    client.cut()
  }

  #stopOne(chance: Chance, stops: ReadonlyArray<Mode>, spares: (ref: ActorRef) => boolean): void {
    const cells = [...this.host.system.cells()].filter((cell) => !spares(cell.ref))
    if (cells.length === 0) return
    const cell = chance.pick(cells)
    const mode = chance.pick(stops)
    this.#say(`fault: ${cell.address} is stopped (${mode})`)
    cell.stop({ mode, millis: chance.between(1, 100), reason: undefined })
  }
}

const asEffect = (out: unknown): Effect.Effect<unknown> =>
  Effect.isEffect(out) ? (out as Effect.Effect<unknown>) : Effect.succeed(out)
