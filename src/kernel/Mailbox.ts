/**
 * The queue in front of one actor: a ring of three-word messages that exists only while something is in it.
 *
 *   slots   [ tag payload origin | tag payload origin | ... ]     head and tail are indices of a tag word
 *
 * Floor 0; used by Cell; knows nothing of actors. `mailboxes` is the pool that rings come from and go back to.
 * Law 3: bounded. `gate` is how many messages may lie in it that reserved no slot; reserved ones (timers, signals) always
 * fit, because their number is bounded where they are reserved. A gate of 0 makes newcomers queue behind suspended senders.
 * Law 7: an idle actor owns no mailbox; `acquire` and `release` are a pool's pop and push.
 * Order: first in, first out; `unshift` puts stashed mail back at the head in arrival order.
 * Cost: push, unshift, shift O(1); remove, removeAll, takeBack O(n). Growth by size class 2, 16, 128, 1024, ... with pooled arrays:
 * a first size of 8 cost 250 B an actor when a million woke at once, and without pools a burst regrows from 2 each time
 * (half the throughput).
 */
import { RESERVED } from "./Envelope.ts"

const WORDS = 3
const classes = [2, 16, 128, 1024, 8192, 65_536, 1_048_576, 16_777_216] as const
/** How many empty arrays of each class the pool keeps: about 3 MB at the most. */
const kept = [4096, 512, 64, 16, 2, 1, 0, 0] as const

const pools: ReadonlyArray<Array<Array<unknown>>> = classes.map(() => [])

const makeSlots = (size: number): Array<unknown> => {
  const slots = new Array<unknown>(size * WORDS)
  return slots.fill(undefined)
}

/** A message taken out of the middle. */
export type Entry = readonly [tag: number, payload: unknown, origin: unknown]

export class Mailbox {
  /** How many messages without a reserved slot may lie here before an offer is refused. */
  gate = 0
  /** All that lies here, reserved ones included. */
  size = 0
  /** How many of them came in by a reserved slot. */
  reserved = 0
  #class = 0
  #slots: Array<unknown> = makeSlots(classes[0])
  #head = 0
  #tail = 0

  /** True when a message without a reserved slot must be refused. */
  get full(): boolean {
    return this.size - this.reserved >= this.gate
  }

  push(tag: number, payload: unknown, origin: unknown): void {
    if (this.size * WORDS === this.#slots.length) this.resize(this.#class + 1)
    const slots = this.#slots
    const at = this.#tail
    slots[at] = tag
    slots[at + 1] = payload
    slots[at + 2] = origin
    this.#tail = at + WORDS === slots.length ? 0 : at + WORDS
    this.size++
    if (tag >= RESERVED) this.reserved++
  }

  /** The first message, read in place. Undefined behaviour when empty: ask `size` first. */
  get tag(): number {
    return this.#slots[this.#head] as number
  }
  get payload(): unknown {
    return this.#slots[this.#head + 1]
  }
  get origin(): unknown {
    return this.#slots[this.#head + 2]
  }

  /** Drops the first message. */
  shift(): void {
    const slots = this.#slots
    const at = this.#head
    if ((slots[at] as number) >= RESERVED) this.reserved--
    slots[at] = undefined
    slots[at + 1] = undefined
    slots[at + 2] = undefined
    this.#head = at + WORDS === slots.length ? 0 : at + WORDS
    this.size--
  }

  /** Puts a message before all others. */
  unshift(tag: number, payload: unknown, origin: unknown): void {
    if (this.size * WORDS === this.#slots.length) this.resize(this.#class + 1)
    const slots = this.#slots
    this.#head = (this.#head === 0 ? slots.length : this.#head) - WORDS
    slots[this.#head] = tag
    slots[this.#head + 1] = payload
    slots[this.#head + 2] = origin
    this.size++
    if (tag >= RESERVED) this.reserved++
  }

  /** Takes out the first message for which `test` holds. `test` must touch nothing: the ring is being walked. */
  remove(test: (tag: number, payload: unknown, origin: unknown) => boolean): Entry | undefined {
    const slots = this.#slots
    const length = slots.length
    for (let i = 0; i < this.size; i++) {
      const at = (this.#head + i * WORDS) % length
      if (test(slots[at] as number, slots[at + 1], slots[at + 2])) return this.cut(i)
    }
    return undefined
  }

  /** Takes out all messages for which `test` holds, in order: O(n) for all of them together. `test` must touch nothing. */
  removeAll(test: (tag: number, payload: unknown, origin: unknown) => boolean): ReadonlyArray<Entry> {
    const taken: Array<Entry> = []
    for (let left = this.size; left > 0; left--) {
      const { tag, payload, origin } = this
      this.shift()
      if (test(tag, payload, origin)) taken.push([tag, payload, origin])
      else this.push(tag, payload, origin)
    }
    return taken
  }

  /** Takes out the last message of that origin. */
  takeBack(origin: unknown): Entry | undefined {
    const slots = this.#slots
    for (let i = this.size - 1; i >= 0; i--) {
      if (slots[((this.#head + i * WORDS) % slots.length) + 2] === origin) return this.cut(i)
    }
    return undefined
  }

  /** Closes the gap that number `i` leaves. */
  private cut(i: number): Entry {
    const slots = this.#slots
    const length = slots.length
    const at = (this.#head + i * WORDS) % length
    const entry: Entry = [slots[at] as number, slots[at + 1], slots[at + 2]]
    if (entry[0] >= RESERVED) this.reserved--
    for (let j = i; j < this.size - 1; j++) {
      const to = (this.#head + j * WORDS) % length
      const from = (to + WORDS) % length
      slots[to] = slots[from]
      slots[to + 1] = slots[from + 1]
      slots[to + 2] = slots[from + 2]
    }
    this.#tail = (this.#tail === 0 ? length : this.#tail) - WORDS
    slots[this.#tail] = undefined
    slots[this.#tail + 1] = undefined
    slots[this.#tail + 2] = undefined
    this.size--
    return entry
  }

  /** Back to the size it had when new, ready for the pool. Only when empty. */
  reset(): void {
    if (this.#class !== 0) this.resize(0)
    this.#head = 0
    this.#tail = 0
  }

  private resize(to: number): void {
    const size = classes[to]
    if (size === undefined) throw new RangeError(`mailbox over ${classes.at(-1)} messages`)
    const slots = pools[to]!.pop() ?? makeSlots(size)
    const old = this.#slots
    const used = this.size * WORDS
    for (let i = 0, at = this.#head; i < used; i++) {
      slots[i] = old[at]
      old[at] = undefined
      at = at + 1 === old.length ? 0 : at + 1
    }
    if (pools[this.#class]!.length < kept[this.#class]!) pools[this.#class]!.push(old)
    this.#class = to
    this.#slots = slots
    this.#head = 0
    this.#tail = used === slots.length ? 0 : used
  }
}

const free: Array<Mailbox> = []
/** The one that was given back last, beside the others: a push and a pop of an array cost a ping-pong 6 %. */
let spare: Mailbox | undefined = undefined

/** A mailbox from the pool. */
export const acquire = (gate: number): Mailbox => {
  const box = spare ?? free.pop() ?? new Mailbox()
  spare = undefined
  box.gate = gate
  return box
}

/** Gives an empty mailbox back. */
export const release = (box: Mailbox): void => {
  if (box.size !== 0) throw new Error("defect: a mailbox with mail in it was released")
  box.reset()
  if (spare === undefined) spare = box
  else if (free.length < kept[0]) free.push(box)
}
