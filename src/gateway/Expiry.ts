/**
 * When principals expire: who is due is called, by one timer for all.
 *
 *   second of expiry -> those that expire in it      one Deadline, for the earliest second
 *
 * Floor 3; one a gateway. Rounded up to a second, so nobody is called early, nor over a second late.
 * Cost: O(1) to set and delete; a look at all seconds when the timer fires, at the most once a second.
 * Law 11: time is the wall's, since `expiresAt` is, from the system's Clock; waiting is the system's timers'.
 */
import { Deadline, type Timers } from "../kernel/Timers.ts"

/** What expires. */
export interface Mortal {
  expired(): void
}

const stepMillis = 1000

/** A timer for longer is armed anew: the wall's clock may be set meanwhile. */
const longestMillis = 60_000

export class Expiry {
  readonly #timers: Timers
  readonly #wall: () => number
  readonly #seconds = new Map<number, Set<Mortal>>()
  readonly #dueIn = new Map<Mortal, number>()
  readonly #timer = new Deadline(() => this.#look())
  #next = Number.POSITIVE_INFINITY

  constructor(timers: Timers, wall: () => number) {
    this.#timers = timers
    this.#wall = wall
  }

  get size(): number {
    return this.#dueIn.size
  }

  /** Calls `mortal` at `millis` of the epoch; never when undefined. What was set before is forgotten. */
  set(mortal: Mortal, millis: number | undefined): void {
    this.delete(mortal)
    if (millis === undefined || millis === Number.POSITIVE_INFINITY) return
    const second = Math.ceil(millis / stepMillis)
    const due = this.#seconds.get(second)
    if (due === undefined) this.#seconds.set(second, new Set([mortal]))
    else due.add(mortal)
    this.#dueIn.set(mortal, second)
    if (second < this.#next) this.#arm(second)
  }

  delete(mortal: Mortal): void {
    const second = this.#dueIn.get(mortal)
    if (second === undefined) return
    this.#dueIn.delete(mortal)
    const due = this.#seconds.get(second)!
    due.delete(mortal)
    if (due.size === 0) this.#seconds.delete(second)
    // a timer for a second that is empty now finds nobody, and is armed for the next
    if (this.#dueIn.size === 0) this.#arm(Number.POSITIVE_INFINITY)
  }

  #arm(second: number): void {
    this.#next = second
    if (second === Number.POSITIVE_INFINITY) return this.#timers.cancel(this.#timer)
    this.#timers.arm(this.#timer, Math.min(longestMillis, Math.max(0, second * stepMillis - this.#wall())))
  }

  #look(): void {
    const now = this.#wall()
    let next = Number.POSITIVE_INFINITY
    const due: Array<Mortal> = []
    for (const [second, mortals] of this.#seconds) {
      if (second * stepMillis > now) next = Math.min(next, second)
      // not spread: an argument each, and so many are no call
      else for (const mortal of mortals) due.push(mortal)
    }
    this.#arm(next)
    for (const mortal of due) {
      this.delete(mortal)
      mortal.expired()
    }
  }
}
