/**
 * What goes on after the turn at hand: answers of asks, senders whose message was taken, connections that are closed behind them.
 *
 * Floor 1; one a system; filled in turns, emptied at their end. Order: first in, first out, also when a delivery brings about a
 * turn on its own stack (Scheduler.hold): the end of that turn goes on with what is left.
 * While it is held nobody goes on: who is told one after the other (senders whose messages were taken together) must not run
 * before all have been told, for it may take back what another one has sent.
 * Law 6: what throws is a defect, reported, and costs no other its delivery.
 * Cost: no allocation for few: setting an array's `length` to 0 drops its storage, and each ask paid for a new one (6 % of it).
 * For many a new array, which is young: storing a thousand asks into an old one cost 12 % of them.
 */

/** So many deliveries use the same array again and again. */
const FEW = 16

/** Something that goes on after the turn. */
export interface Delivery {
  deliver(): void
}

export class Deliveries {
  #list: Array<Delivery | undefined> = []
  #size = 0
  #begun = 0
  #held = 0

  /** Whether who is to go on may do so at once. */
  get idle(): boolean {
    return this.#size === 0 && this.#held === 0
  }

  /** Whether some wait, and nobody is about to let them go on. */
  get due(): boolean {
    return this.#size > 0 && this.#held === 0 && this.#begun === 0
  }

  get held(): boolean {
    return this.#held > 0
  }

  hold(): void {
    this.#held++
  }

  release(): void {
    this.#held--
  }

  get empty(): boolean {
    return this.#size === 0
  }

  add(delivery: Delivery): void {
    this.#list[this.#size++] = delivery
  }

  /** Delivers all, and what they add. */
  flush(onDefect: (error: unknown) => void): void {
    while (this.#begun < this.#size) {
      const delivery = this.#list[this.#begun]!
      this.#list[this.#begun++] = undefined
      try {
        delivery.deliver()
      } catch (defect) {
        onDefect(defect)
      }
    }
    if (this.#size > FEW) this.#list = []
    this.#size = 0
    this.#begun = 0
  }
}
