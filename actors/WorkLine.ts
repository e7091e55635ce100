/**
 * Who waits for room in a WorkPool (`overflow: "suspend"`), and when the pool looks at them again.
 *
 *   no room -> aside, in the actor's stash -> room -> back to the head of the mailbox: handled before all else that came meanwhile
 *                                                     one gives up on its way there: the pool looks again, behind the others
 *
 * Order: first in, first out, for as many are called as there is room, and nobody before those have been handled: who is called
 * later would stand before them. Law 8: a place that is given up on its way is the next one's; the last end of a task would else
 * have been the last look, and who is still aside would wait for ever beside free workers (`Effect.race` of two tasks does that).
 * Law 3: `maxWaiting` are aside, one look is due. `#aside` is never below what is there: who leaves the stash itself is not counted.
 */
import { Effect } from "effect"
import { LimitReached } from "troupe"
import type { Me } from "./WorkProtocol.ts"

export class WorkLine {
  readonly #self: Me
  #aside = 0
  #isDue = false

  constructor(self: Me) {
    this.#self = self
  }

  /** Puts the message at hand aside; false when as many wait as may. */
  enter(): boolean {
    try {
      this.#self.stash()
    } catch (error) {
      if (error instanceof LimitReached) return false
      throw error
    }
    this.#aside++
    return true
  }

  /** Calls as many as there is room for. */
  call(room: number): void {
    const called = Math.min(room, this.#aside)
    if (called <= 0) return
    this.#aside -= called
    this.#self.unstash(called)
    this.look()
  }

  /** Has the pool look, by one piece of mail in a slot that no full mailbox refuses. */
  look(): void {
    if (this.#isDue) return
    this.#isDue = true
    this.#self.pipe(Effect.void, () => ["Look"])
  }

  looked(): void {
    this.#isDue = false
  }
}
