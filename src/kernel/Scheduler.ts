/**
 * The run queue: who goes next, and for how long.
 *
 * Floor 0; used by cells, fiber tasks and the actor system; knows neither actors nor Effect: it runs `Runnable`s.
 *
 * Law 6, fairness. A turn ends after `turnMessages` or `turnMillis`, a sweep after `sweepMillis`; then sockets and timers
 * get the loop. Ready priorities share the queue 8:4:2:1, so none starves: an item of weight w runs again within
 * (ready items before it) x turn budget x 15/w, plus the overrun of handlers that do not yield.
 * Law 11. Time comes from `cost`, order from `pick` when given: with both replaced, a run is a function of its seed.
 *
 * How often the clock is read. Reading it a message costs more than a plain message does (42 ns); reading it every 64
 * messages let a 50 us handler run 3.2 ms between readings, and one adaptive stride for all was fooled by mixed loads
 * (p99 of quiet actors 2.9 ms both times). So each handler has a weight, 1 to 64, taken off a shared credit of 64: a new
 * handler weighs 64 (measured alone), a reading that finds less than 10 us since the last one halves the weight, one that
 * finds more than 100 us sets it back to 64. Measured so, beside a hog: p99 1.1-1.7 ms with a sweep of 0.5 ms and turns of 0.25;
 * 2.2 ms with 1 and 0.5, as much work done; 5 ms with a sweep of 4.
 *
 * An ask from outside, when nothing is ready, needs no sweep of its own: `hold` and `release` run its actor's turn where it stands.
 * A sweep is started by a microtask, for latency, unless microtasks have held the loop for a sweep's time already: then by
 * `setImmediate`, so a chain of asks and promises cannot keep sockets and timers waiting.
 * Cost: append, next O(1), no allocation: items are linked through themselves.
 */
import * as Options from "./Options.ts"

/** Something with a place in the run queue. It stands in it at most once. */
export interface Runnable {
  next: Runnable | undefined
  /** 0 (critical) to 3 (low). */
  readonly priority: number
  /** Whose it is, where that is not itself. */
  readonly owner?: Owner | undefined
  run(): void
}

/** Who owns the stack while a turn or a fiber of an actor runs. */
export interface Owner {
  readonly priority: number
  /** Called when a fiber task of this owner has run, to release what it left behind. */
  settle(): void
}

export interface SchedulerOptions {
  /** Messages a turn at the most. 1-65,536, default 64. Higher: more throughput, longer waits of the others. */
  readonly turnMessages?: number
  /** Milliseconds a turn at the most. 0.01-1,000, default 0.25. */
  readonly turnMillis?: number
  /** The same for a fiber that has to be cut. Default 0.25; at 1 ms quiet actors waited 4 times as long beside hogs. */
  readonly fiberMillis?: number
  /** Milliseconds a sweep at the most. 0.01-1,000, default 0.5. Higher: later timers and sockets, hardly more throughput. */
  readonly sweepMillis?: number
  /** A handler that held the loop this long is reported. 1-3,600,000 ms, default 100. */
  readonly occupiedMillis?: number
  /** Milliseconds that never run backwards. Default `performance.now`. */
  readonly cost?: () => number
  /** Chooses the next of `ready` items by position; default: by weight, first in first out. For seeded runs. */
  readonly pick?: (ready: number, items: ReadonlyArray<Runnable>) => number
  /** How a sweep is started; default a microtask or `setImmediate`. For virtual time. */
  readonly kick?: (sweep: () => void) => void
}

const optionNames: ReadonlyArray<keyof SchedulerOptions> = [
  "turnMessages",
  "turnMillis",
  "fiberMillis",
  "sweepMillis",
  "occupiedMillis",
  "cost",
  "pick",
  "kick"
]

const CREDIT = 64
/** The weight of a handler that is measured alone. */
export const WHOLE = CREDIT
const CHEAP_MILLIS = 0.01
const DEAR_MILLIS = 0.1
const quotas = [8, 4, 2, 1] as const

export class Scheduler {
  readonly turnMessages: number
  readonly fiberMillis: number
  /** Taken off by what runs; at 0 and below the clock has to be read (`spent`). */
  credit = CREDIT
  /** Whether that code is a handler (staged, holds the turn) or a fork. */
  handling = false
  /** The last reading of the clock. */
  clock: number
  /** True between the first and the last item of a sweep. */
  sweeping = false
  /** Set once the sweep has used its time. */
  over = false
  sweeps = 0
  /** How long ready actors last waited for the loop, and the longest wait so far, in ms. */
  lagMillis = 0
  maxLagMillis = 0
  /** Told when the loop was held for `occupiedMillis`: by whom, or by one of whom; the tag, where it is sure, else -1. */
  onOccupied: (owners: ReadonlyArray<Owner>, tag: number, millis: number) => void = () => {}
  /** Told of what a runnable threw: a defect of the runtime or of an observer, never a handler's failure. */
  onDefect: (error: unknown) => void = (error) => {
    throw error
  }

  readonly #turnMillis: number
  readonly #sweepMillis: number
  readonly #occupiedMillis: number
  readonly #cost: () => number
  readonly #pick: SchedulerOptions["pick"]
  readonly #kicker: ((sweep: () => void) => void) | undefined
  /** A ring each, from its last item on. */
  readonly #tails: Array<Runnable | undefined> = [undefined, undefined, undefined, undefined]
  readonly #left: Array<number> = [...quotas]
  readonly #bag: Array<Runnable> = []
  /** Whose turns and tasks there were since the last reading of the clock: at most one a credit. The last is on the stack while `#busy`. */
  readonly #ran: Array<Owner | undefined> = new Array<Owner | undefined>(2 * CREDIT).fill(undefined)
  #runs = 0
  #busy = false
  /** Between `hold` and the end of `release`: not again in between, for each would be one deeper on the stack. */
  #held = false
  #ready = 0
  #active = false
  #turnStart = 0
  #sweepEnd = 0
  #taskStart = 0
  #armed = false
  #askedAt = 0

  constructor(options: SchedulerOptions = {}) {
    Options.known("scheduler", options, optionNames)
    this.turnMessages = Options.integer("scheduler.turnMessages", options.turnMessages, 64, 1, 65_536)
    this.#turnMillis = Options.number("scheduler.turnMillis", options.turnMillis, 0.25, 0.01, 1000)
    this.fiberMillis = Options.number("scheduler.fiberMillis", options.fiberMillis, 0.25, 0.01, 1000)
    this.#sweepMillis = Options.number("scheduler.sweepMillis", options.sweepMillis, 0.5, 0.01, 1000)
    this.#occupiedMillis = Options.number("scheduler.occupiedMillis", options.occupiedMillis, 100, 1, 3_600_000)
    this.#cost = options.cost ?? (() => performance.now())
    this.#pick = options.pick
    this.#kicker = options.kick
    this.clock = this.#cost()
  }

  /** Whether the order of what is ready is somebody's choice: a run that has to be repeatable. */
  get seeded(): boolean {
    return this.#pick !== undefined
  }

  /** Whose code is on the stack, if any actor's. */
  get current(): Owner | undefined {
    return this.#busy ? this.#ran[this.#runs & (2 * CREDIT - 1)] : undefined
  }

  /** Whether something is ready or running. */
  get active(): boolean {
    return this.#active
  }

  /** The cost source's time now; inside a sweep at most a turn old when `coarse`. */
  now(): number {
    return this.sweeping ? this.clock : this.#cost()
  }

  /** Puts an item at the end of its priority's queue. The caller makes sure that it does not stand in one. */
  append(item: Runnable): void {
    if (this.#pick !== undefined) this.#bag.push(item)
    else {
      const p = item.priority
      const tail = this.#tails[p]
      if (tail === undefined) {
        item.next = item
        this.#ready |= 1 << p
      } else {
        item.next = tail.next
        tail.next = item
      }
      this.#tails[p] = item
    }
    if (!this.#active) {
      this.#active = true
      this.#kick()
    }
  }

  /** A turn begins: it is charged from the last reading of the clock. */
  beginTurn(owner: Owner): void {
    this.#ran[++this.#runs & (2 * CREDIT - 1)] = owner
    this.#busy = true
    this.handling = true
    this.#turnStart = this.clock
    this.#taskStart = this.clock
  }

  /** A fiber's task begins. */
  beginTask(owner: Owner | undefined, handling: boolean): void {
    this.#ran[++this.#runs & (2 * CREDIT - 1)] = owner
    this.#busy = true
    this.handling = handling
    this.#taskStart = this.clock
  }

  endTurn(): void {
    this.#busy = false
    this.handling = false
  }

  /** The credit is used up: reads the clock, adapts the weight of the handler at hand, tells whether the turn is over. */
  spent(weights: Array<number>, tag: number): boolean {
    // one that weighs less than the whole credit was not measured alone
    const since = this.#read(weights[tag] === CREDIT ? tag : -1)
    if (since > DEAR_MILLIS) weights[tag] = CREDIT
    else if (since < CHEAP_MILLIS && weights[tag]! > 1) weights[tag] = weights[tag]! >> 1
    return this.over || this.clock - this.#turnStart >= this.#turnMillis
  }

  /** The same for a fiber: whether it has to make room. */
  fiberSpent(): boolean {
    this.#read(-1)
    return this.over || this.clock - this.#taskStart >= this.fiberMillis
  }

  #read(tag: number): number {
    this.credit = CREDIT
    const now = this.#cost()
    const since = now - this.clock
    this.clock = now
    if (now >= this.#sweepEnd) this.over = true
    if (since >= this.#occupiedMillis) this.#occupied(tag, since)
    this.#ran[0] = this.current
    this.#runs = 0
    return since
  }

  #occupied(tag: number, millis: number): void {
    const owners = new Set<Owner>()
    for (let i = 0; i <= Math.min(this.#runs, this.#ran.length - 1); i++) {
      const owner = this.#ran[i]
      if (owner !== undefined) owners.add(owner)
    }
    this.onOccupied([...owners], owners.size === 1 ? tag : -1, millis)
  }

  #next(): Runnable {
    if (this.#pick !== undefined) {
      const at = this.#pick(this.#bag.length, this.#bag)
      const item = this.#bag[at]!
      const last = this.#bag.pop()!
      if (last !== item) this.#bag[at] = last
      return item
    }
    const ready = this.#ready
    let p = 31 - Math.clz32(ready & -ready)
    if ((ready & (ready - 1)) !== 0) {
      while (p < 4 && (this.#left[p] === 0 || (ready & (1 << p)) === 0)) p++
      if (p === 4) {
        for (let i = 0; i < 4; i++) this.#left[i] = quotas[i]!
        p = 31 - Math.clz32(ready & -ready)
      }
      this.#left[p] = this.#left[p]! - 1
    }
    const tail = this.#tails[p]!
    const item = tail.next!
    if (item === tail) {
      this.#tails[p] = undefined
      this.#ready &= ~(1 << p)
    } else tail.next = item.next
    item.next = undefined
    return item
  }

  /**
   * Whether nothing is ready and no actor's code is on the stack. Then what is appended from here on does not wait for a sweep,
   * but for `release`, which has to follow.
   */
  hold(): boolean {
    if (this.#held || !this.#idle || this.current !== undefined) return false
    if (this.sweeping ? this.over : this.#active) return false
    this.#active = true
    this.#held = true
    return true
  }

  /** Runs the first of what was appended since `hold`, on this stack. The time of the task that has asked for it goes on. */
  release(): void {
    if (this.sweeping) {
      const start = this.#taskStart
      if (!this.#idle) this.#step()
      this.#taskStart = start
    } else {
      if (!this.#idle) {
        this.#begin(this.#cost())
        this.#step()
      }
      this.#end()
    }
    this.#held = false
  }

  get #idle(): boolean {
    return this.#ready === 0 && this.#bag.length === 0
  }

  readonly #sweep = (): void => {
    const now = this.#cost()
    if (!this.#armed && this.#kicker === undefined) {
      this.#armed = true
      this.#askedAt = now
      setImmediate(this.#disarm)
    }
    this.#begin(now)
    while (!this.#idle && !this.over) this.#step()
    this.#end()
  }

  #begin(now: number): void {
    this.clock = now
    this.#sweepEnd = now + this.#sweepMillis
    this.credit = CREDIT
    this.#ran[0] = undefined
    this.#runs = 0
    this.over = false
    this.sweeping = true
    this.sweeps++
  }

  #step(): void {
    try {
      this.#next().run()
    } catch (error) {
      this.endTurn()
      this.onDefect(error)
    }
    if (--this.credit <= 0) this.#read(-1)
  }

  #end(): void {
    this.sweeping = false
    if (this.#idle) this.#active = false
    else this.#kick()
  }

  readonly #macro = (): void => {
    this.#armed = false
    this.lagMillis = Math.max(0, this.#cost() - this.clock)
    if (this.lagMillis > this.maxLagMillis) this.maxLagMillis = this.lagMillis
    this.#sweep()
  }

  readonly #disarm = (): void => {
    this.#armed = false
  }

  #kick(): void {
    if (this.#kicker !== undefined) this.#kicker(this.#sweep)
    else if (this.#armed && this.clock - this.#askedAt >= this.#sweepMillis) setImmediate(this.#macro)
    else queueMicrotask(this.#sweep)
  }
}
