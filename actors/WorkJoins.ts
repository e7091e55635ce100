/**
 * Who waits for the tasks of a WorkPool to come to an end: all that there are when they ask, and none that comes later.
 *
 * So a join ends under steady load, where "until the pool is idle" (p-queue's `onIdle`, Python's `Queue.join`) may not. It counts
 * down; nothing is kept of a task that has ended. A drain is a join that tells how many it has cut off.
 * Law 3: at most 1,024, one more is `LimitReached`; whoever gives up is forgotten at once. Cost: O(joins) a task that ends.
 */
import { type Deferral, LimitReached } from "troupe"

const maxJoins = 1024

interface Join {
  /** Of the tasks below this number so many are unfinished. */
  readonly before: number
  unfinished: number
  readonly drains: boolean
  readonly ask: Deferral<unknown, unknown>
}

export class WorkJoins {
  readonly #joins = new Set<Join>()

  /** Refuses one more than may wait: they must not take the places of tasks among what the pool may hold. */
  check(address: string): void {
    if (this.#joins.size < maxJoins) return
    throw new LimitReached({ what: `${address}: joins`, limit: maxJoins, option: "no option: give one up" })
  }

  add(before: number, unfinished: number, drains: boolean, ask: Deferral<unknown, unknown>): void {
    const join: Join = { before, unfinished, drains, ask }
    this.#joins.add(join)
    ask.onCancel(() => void this.#joins.delete(join))
  }

  /** A task has come to its end. */
  settled(id: number): void {
    for (const join of this.#joins) if (id < join.before && --join.unfinished === 0) this.#answer(join, 0)
  }

  /** The deadline of drains has come. */
  cut(unfinished: number): void {
    for (const join of this.#joins) if (join.drains) this.#answer(join, unfinished)
  }

  #answer(join: Join, cut: number): void {
    this.#joins.delete(join)
    join.ask.succeed(join.drains ? cut : undefined)
  }
}
