/**
 * One turn at a time, and what happens to another prompt meanwhile.
 *
 *   refuse    it fails with TurnUnderWay
 *   wait      it waits for those before it, at most `maxWaiting` do; one more fails with LimitReached
 *   replace   those before it end with TurnCancelled, their calls aborted; it begins when they have
 *
 * One an incarnation of an LlmAgent: a handle, so not in its state. Law: no two turns overlap, finalizers included; first come,
 * first served. `end` ends the turn under way and those that wait: what has no whole answer yet gets none, what has one keeps it.
 * Decided in one step, before anything waits.
 * Considered: Effect's Semaphore alone; its line has no bounds and cannot be told to leave.
 */
import { Deferred, Effect, Exit, Semaphore } from "effect"
import { LimitReached } from "troupe"
import { TurnCancelled, TurnUnderWay } from "./LlmErrors.ts"

export type WhenBusy = "refuse" | "wait" | "replace"

export const policies: ReadonlyArray<WhenBusy> = ["refuse", "wait", "replace"]

/** A turn, as its line sees it. */
export interface Mine {
  /** Whether it has been ended. */
  readonly ended: () => boolean
  /** From here on it cannot be; false where it has been. */
  readonly whole: () => boolean
}

export class LlmLine {
  readonly #turn = Semaphore.makeUnsafe(1)
  /** The turn under way, until its answer is whole, and those that wait. */
  readonly #ends = new Set<Deferred.Deferred<never, TurnCancelled>>()
  #size = 0
  readonly #whenBusy: WhenBusy
  readonly #maxWaiting: number

  constructor(whenBusy: WhenBusy, maxWaiting: number) {
    this.#whenBusy = whenBusy
    this.#maxWaiting = maxWaiting
  }

  /** Runs `turn` when it may, and `waiting` before where it has to wait for others. */
  through<A, E, R>(
    turn: (mine: Mine) => Effect.Effect<A, E, R>,
    waiting: (before: number) => Effect.Effect<unknown> = () => Effect.void
  ): Effect.Effect<A, E | TurnUnderWay | TurnCancelled | LimitReached, R> {
    return Effect.suspend((): Effect.Effect<A, E | TurnUnderWay | TurnCancelled | LimitReached, R> => {
      const before = this.#size
      if (before > 0 && this.#whenBusy === "refuse") return Effect.fail(new TurnUnderWay({}))
      if (before > this.#maxWaiting) {
        const limit = this.#maxWaiting
        return Effect.fail(
          new LimitReached({ what: "places for prompts that wait", limit, option: "option maxWaiting" })
        )
      }
      if (this.#whenBusy === "replace") this.end("prompt")
      const end = Deferred.makeUnsafe<never, TurnCancelled>()
      this.#ends.add(end)
      this.#size++
      const mine: Mine = { ended: () => Deferred.isDoneUnsafe(end), whole: () => this.#ends.delete(end) }
      const over = Effect.sync(() => {
        this.#ends.delete(end)
        this.#size--
      })
      const told = before > 0 ? waiting(before) : Effect.void
      const run = Effect.andThen(told, this.#turn.withPermit(turn(mine)))
      return Effect.ensuring(Effect.raceFirst(run, Deferred.await(end)), over)
    })
  }

  /** Ends all there is; how many there were. */
  end(by: TurnCancelled["by"]): number {
    const ends = [...this.#ends]
    this.#ends.clear()
    for (const end of ends) Deferred.doneUnsafe(end, Exit.fail(new TurnCancelled({ by })))
    return ends.length
  }
}
