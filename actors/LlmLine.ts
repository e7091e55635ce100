/**
 * One turn at a time, and what happens to another prompt meanwhile.
 *
 *   refuse    it fails with TurnUnderWay
 *   wait      it waits for those before it, at most `maxWaiting` do; one more fails with LimitReached
 *   replace   those before it end with TurnCancelled, their calls aborted; it begins when they have
 *
 * One an incarnation of an LlmAgent: a handle, so not in its state. Law: no two turns overlap, finalizers included; first come,
 * first served. `end` ends the turn under way and those that wait: what has no answer yet gets none. Decided in one step, before
 * anything waits.
 * Considered: Effect's Semaphore alone; its line has no bounds and cannot be told to leave.
 */
import { Deferred, Effect, Exit, Semaphore } from "effect"
import { LimitReached } from "troupe"
import { TurnCancelled, TurnUnderWay } from "./LlmErrors.ts"

export type WhenBusy = "refuse" | "wait" | "replace"

export const policies: ReadonlyArray<WhenBusy> = ["refuse", "wait", "replace"]

export class LlmLine {
  readonly #turn = Semaphore.makeUnsafe(1)
  /** Of the turn under way and of those that wait. */
  readonly #ends = new Set<Deferred.Deferred<never, TurnCancelled>>()
  readonly #whenBusy: WhenBusy
  readonly #maxWaiting: number

  constructor(whenBusy: WhenBusy, maxWaiting: number) {
    this.#whenBusy = whenBusy
    this.#maxWaiting = maxWaiting
  }

  /** Runs `turn` when it may, and `waiting` before where it has to wait for others; a turn can ask whether it has been ended. */
  through<A, E, R>(
    turn: (ended: () => boolean) => Effect.Effect<A, E, R>,
    waiting: (before: number) => Effect.Effect<unknown> = () => Effect.void
  ): Effect.Effect<A, E | TurnUnderWay | TurnCancelled | LimitReached, R> {
    return Effect.suspend((): Effect.Effect<A, E | TurnUnderWay | TurnCancelled | LimitReached, R> => {
      const before = this.#ends.size
      if (before > 0 && this.#whenBusy === "refuse") return Effect.fail(new TurnUnderWay({}))
      if (before > this.#maxWaiting) {
        const limit = this.#maxWaiting
        return Effect.fail(new LimitReached({ what: "prompts that wait", limit, option: "option maxWaiting" }))
      }
      if (this.#whenBusy === "replace") this.end("prompt")
      const end = Deferred.makeUnsafe<never, TurnCancelled>()
      this.#ends.add(end)
      const ended = Effect.sync(() => this.#ends.delete(end))
      const told = before > 0 ? waiting(before) : Effect.void
      const run = Effect.andThen(told, this.#turn.withPermit(turn(() => Deferred.isDoneUnsafe(end))))
      return Effect.ensuring(Effect.raceFirst(run, Deferred.await(end)), ended)
    })
  }

  /** Ends all there is; how many there were. */
  end(by: TurnCancelled["by"]): number {
    for (const end of this.#ends) Deferred.doneUnsafe(end, Exit.fail(new TurnCancelled({ by })))
    return this.#ends.size
  }
}
