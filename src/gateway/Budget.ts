/**
 * Bytes that gateways hold for their clients: unfinished, in backlogs, not taken by sockets, kept for who may come back.
 *
 * Floor 3; one a gateway; what all gateways of the process hold is one sum, for they share its memory.
 * Law 3: from 80 % of `maxHeldBytes` on nobody new comes in; beyond it each connection has a window of one message; what
 * sessions keep has a quarter for frames and a quarter for keys, so that neither takes the other's room; keys of requests
 * under way stay beside it. Where a quarter is used up, who keeps more than an even part of it lets its oldest go, who made it
 * too much before others: one that keeps much takes nobody's little, and who goes on asking pays for it.
 * Cost: a few additions where bytes come or go; a look at the holders when one that kept too much no longer does.
 */
interface Sum {
  bytes: number
}

const heldByAll: Sum = { bytes: 0 }
const framesOfAll: Sum = { bytes: 0 }
const keysOfAll: Sum = { bytes: 0 }

/** New connections are refused when so much of the budget is used. */
const closedShare = 0.8

/** What sessions keep of a kind is at most this share, but for what is under way. */
const keptShare = 0.25

/** Why a kept frame went before its time: more than its ring may have of them, or of bytes; or all rings have too much. */
export type Evicted = "count" | "bytes" | "budget"

/** What keeps something for clients, and can let go of it. */
export interface Holder {
  readonly keptBytes: number
  /** Lets its oldest go. False: it keeps nothing that it may let go. */
  shed(): boolean
}

/** The room for one kind of what sessions keep. */
export class Room {
  /** Of this gateway's. */
  bytes = 0
  readonly #budget: Budget
  readonly #ofAll: Sum
  readonly #max: number
  readonly #holders = new Set<Holder>()

  constructor(budget: Budget, ofAll: Sum, max: number) {
    this.#budget = budget
    this.#ofAll = ofAll
    this.#max = max
  }

  enter(holder: Holder): void {
    this.#holders.add(holder)
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder)
  }

  /** So many bytes more are kept, or fewer. */
  keep(bytes: number): void {
    this.#budget.hold(bytes)
    this.bytes += bytes
    this.#ofAll.bytes += bytes
  }

  get full(): boolean {
    return this.#ofAll.bytes > this.#max
  }

  /**
   * Has holders let go until what is kept fits, or none may let go of more: what is under way stays. First `adder`, who made
   * it too much, for as long as it keeps an even part.
   */
  fit(adder: Holder): void {
    while (this.full && adder.keptBytes >= this.#even && adder.shed()) continue
    let looks = 0
    for (const holder of this.#holders) {
      // once round who keeps more than an even part, then whoever keeps something
      while (this.full && holder.keptBytes >= (looks < this.#holders.size ? this.#even : 0) && holder.shed()) looks = 0
      if (!this.full || ++looks > 2 * this.#holders.size) return
      this.#holders.delete(holder)
      this.#holders.add(holder)
    }
  }

  /** Of what is kept, what falls to each who keeps something. */
  get #even(): number {
    return this.bytes / this.#holders.size
  }
}

export class Budget {
  /** This gateway's. */
  held = 0
  /** For frames that were sent, and for requests by their keys. */
  readonly frames: Room
  readonly keys: Room
  readonly #max: number

  constructor(max: number) {
    this.#max = max
    this.frames = new Room(this, framesOfAll, keptShare * max)
    this.keys = new Room(this, keysOfAll, keptShare * max)
  }

  /** So many bytes more are held, or fewer. */
  hold(bytes: number): void {
    this.held += bytes
    heldByAll.bytes += bytes
  }

  /** Of what is held, what sessions keep. */
  get kept(): number {
    return this.frames.bytes + this.keys.bytes
  }

  /** No room for somebody new. */
  get closed(): boolean {
    return heldByAll.bytes >= closedShare * this.#max
  }

  /** No room for more than a message of each connection's. */
  get spent(): boolean {
    return heldByAll.bytes >= this.#max
  }
}
