/**
 * Frames that were sent, encoded, for who comes back: the newest of one kind.
 *
 *   seq   3  4  7  8  12       in the order of their numbers, with holes: the others lie in other rings
 *         ^oldest      ^newest
 *
 * Floor 3; an agent's broadcasts lie in one, which its Feed has, and what one session alone was sent in another, its own.
 * Made with the first frame and given up when nothing is left: who keeps nothing has none.
 * Law 3: bounded by count and bytes, and by what all rings may hold together (Budget); by age, as its owner says. What goes is
 * told the owner, so that a gap is said and never guessed; what had to go before its time is counted.
 * Cost: an object and the frame's text a frame.
 */
import type { Evicted, Holder } from "./Budget.ts"
import type { House } from "./Connection.ts"

/** A frame that was sent. */
export interface Kept {
  /** Of a batch, that of its last answer. */
  readonly seq: number
  readonly frame: string | Buffer
  readonly bytes: number
  /** The system clock's time, in ms. */
  readonly at: number
}

/** What a ring needs of whose it is. */
export interface RingOwner<K extends Kept> {
  /** The oldest is no longer kept. */
  dropped(kept: K): void
}

/** Bytes of an entry besides its frame's. */
const entryBytes = 96

/** What it costs to keep a frame. */
export const bytesOf = (frame: string | Buffer): number =>
  entryBytes + (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length)

export class Ring<K extends Kept = Kept> implements Holder {
  keptBytes = 0
  readonly #owner: RingOwner<K>
  readonly #house: House
  readonly #kept: Array<K | undefined> = []
  #head = 0

  constructor(owner: RingOwner<K>, house: House) {
    this.#owner = owner
    this.#house = house
    house.budget.frames.enter(this)
  }

  get size(): number {
    return this.#kept.length - this.#head
  }

  /** When its oldest was sent; Infinity when nothing is left. */
  get oldestAt(): number {
    return this.#kept[this.#head]?.at ?? Number.POSITIVE_INFINITY
  }

  add(kept: K): void {
    const { limits, budget } = this.#house
    this.#kept.push(kept)
    this.#weigh(kept.bytes)
    while (this.size > limits.maxReplay) this.#evict("count")
    while (this.keptBytes > limits.maxReplayBytes) this.#evict("bytes")
    budget.frames.fit(this)
  }

  #weigh(bytes: number): void {
    this.keptBytes += bytes
    this.#house.budget.frames.keep(bytes)
  }

  #evict(why: Evicted): void {
    this.#drop()
    this.#house.tally.evicted[why]++
  }

  #drop(): void {
    const kept = this.#kept[this.#head]!
    this.#kept[this.#head++] = undefined
    if (this.#head > 32 && this.#head * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#head)
      this.#head = 0
    }
    this.#weigh(-kept.bytes)
    this.#owner.dropped(kept)
  }

  shed(): boolean {
    if (this.size === 0) return false
    this.#evict("budget")
    return true
  }

  /** Drops what was sent before. True: nothing is left, and it is given up. */
  expire(before: number): boolean {
    while (this.oldestAt < before) this.#drop()
    if (this.size > 0) return false
    this.clear()
    return true
  }

  /** Nobody comes back for it. */
  clear(): void {
    while (this.size > 0) this.#drop()
    this.#house.budget.frames.leave(this)
  }

  /** What it keeps with higher numbers. */
  after(cursor: number): ReadonlyArray<K> {
    const found: Array<K> = []
    for (let i = this.#head; i < this.#kept.length; i++) {
      const kept = this.#kept[i]!
      if (kept.seq > cursor) found.push(kept)
    }
    return found
  }
}
