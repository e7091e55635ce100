/**
 * Messages a second of a connection: a bucket of tokens; who has none left is not read for a while.
 *
 *   message -> left -= 1 -> 0 or more: goes on
 *                        -> below 0: earn what time has brought -> still below: slowed, not read until the brake finds it above
 *                                                               -> slowed again and again for `floodMillis`: closed 1008
 *
 * Floor 3; a Bucket a connection, a Brake a gateway. Law 3: messages begun are bounded in time as well as in number.
 * The clock is read only when the tokens are gone, so an idle time before that is earned once more: a first burst may be twice
 * the bucket. A batch counts as its messages, a ping or pong as one. Slowed first, since a fast client is no enemy: the
 * kernel's buffers fill and it waits; who presses on without a second's rest is one.
 * Cost: a subtraction and a compare a message; one timer for all that are slowed, none while nobody is.
 */
import { Deadline, type Timers } from "../kernel/Timers.ts"

export interface RateLimits {
  /** Tokens a millisecond; the bucket holds those of two seconds. */
  readonly perMilli: number
  readonly floodMillis: number
}

const burstMillis = 2000

/** Slowed again after so long a rest, it does not press. */
const restMillis = 1000

/** How often the slowed are looked at. */
const stepMillis = 20

export class Bucket {
  /** Tokens; below zero the connection is not read. */
  left: number
  readonly #limits: RateLimits
  #earnedAt: number
  #pressesSince = Number.NEGATIVE_INFINITY
  #releasedAt = Number.NEGATIVE_INFINITY

  constructor(limits: RateLimits, now: number) {
    this.#limits = limits
    this.left = limits.perMilli * burstMillis
    this.#earnedAt = now
  }

  /** Takes what time has brought; true when that is enough to go on. */
  earn(now: number): boolean {
    const { perMilli } = this.#limits
    this.left = Math.min(this.left + (now - this.#earnedAt) * perMilli, perMilli * burstMillis)
    this.#earnedAt = now
    return this.left >= 0
  }

  /** It is slowed; true when it has pressed for too long. */
  presses(now: number): boolean {
    if (now - this.#releasedAt > restMillis) this.#pressesSince = now
    return now - this.#pressesSince > this.#limits.floodMillis
  }

  released(now: number): void {
    this.#releasedAt = now
  }
}

/** What the brake needs of a connection. */
export interface Slowed {
  readonly bucket: Bucket
  /** Still slowed: its pause is not its own fault of finishing nothing. */
  held(now: number): void
  /** It has tokens again: goes on. */
  released(): void
}

export class Brake {
  readonly #timers: Timers
  readonly #slowed = new Set<Slowed>()
  readonly #step = new Deadline(() => this.#look())

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Slowed now. */
  get size(): number {
    return this.#slowed.size
  }

  add(connection: Slowed): void {
    this.#slowed.add(connection)
    if (this.#slowed.size === 1) this.#timers.arm(this.#step, stepMillis)
  }

  delete(connection: Slowed): void {
    if (this.#slowed.delete(connection) && this.#slowed.size === 0) this.#timers.cancel(this.#step)
  }

  #look(): void {
    const now = this.#timers.now()
    for (const connection of this.#slowed) {
      if (!connection.bucket.earn(now)) {
        connection.held(now)
        continue
      }
      this.#slowed.delete(connection)
      connection.bucket.released(now)
      connection.released()
    }
    if (this.#slowed.size > 0) this.#timers.arm(this.#step, stepMillis)
  }
}
