/**
 * Mail that found no handler: counted by reason, the latest of it listed.
 *
 * Floor 2; fed by cells and by the release of outputs, read by the system's snapshot and by whoever subscribes.
 * Law 4: nothing is lost in silence. Law 3: the list holds 1,024 entries (an option), without payloads; a listener is
 * given the payload and must not keep it. Cost: O(1) a dead letter.
 */
import type { Address } from "../kernel/Address.ts"
import type { DeadReason } from "../kernel/Envelope.ts"

export interface DeadLetter {
  readonly address: Address
  readonly tag: string
  readonly reason: DeadReason
  /** The system clock's time, in ms. */
  readonly at: number
}

/** What a listener is given, and must not keep: the message too. */
export type Listener = (letter: DeadLetter & { readonly payload: unknown }) => void

export class DeadLetters {
  readonly counts: Partial<Record<DeadReason, number>> = {}
  total = 0
  last: DeadLetter | undefined = undefined
  readonly #capacity: number
  readonly #ring: Array<DeadLetter> = []
  readonly #listeners = new Set<Listener>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Counts and lists one; answers with who wants to hear of it. */
  add(address: Address, tag: string, reason: DeadReason, at: number): ReadonlySet<Listener> {
    const letter: DeadLetter = { address, tag, reason, at }
    if (this.#ring.length < this.#capacity) this.#ring.push(letter)
    else if (this.#capacity > 0) this.#ring[this.total % this.#capacity] = letter
    this.total++
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
    this.last = letter
    return this.#listeners
  }

  /** The latest, oldest first. */
  latest(): ReadonlyArray<DeadLetter> {
    if (this.#ring.length < this.#capacity) return [...this.#ring]
    const at = this.#capacity === 0 ? 0 : this.total % this.#capacity
    return [...this.#ring.slice(at), ...this.#ring.slice(0, at)]
  }

  /** Calls back for each from now on; the answer ends that. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
