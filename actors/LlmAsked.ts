/**
 * Of which turns the clients of an LlmAgent have been told, which of these have not been told to have ended, and what all have used.
 *
 *   Begin -> Asked n, n is open -> Finish: Answered n | Abandon: Unanswered n
 *                                  the agent fails, its next incarnation begins: Unanswered n "Restarted"
 *                                  its life ends:                                Unanswered n "Stopped"
 *
 * Used by LlmAgent; one through all restarts of an agent, since its clients are, too, while state and fibers end with an incarnation.
 * Law: one end for each Asked, by its number; so numbers go on through restarts, and whatever comes for a turn that has been ended,
 * such as the `Finish` that an incarnation asked for and did not live to see, changes nothing and is told to nobody. Turns are one
 * at a time, but a turn may begin before the mail that abandons the last one is handled: so few are open, not one.
 * What turns have used is kept here, too: a budget that a failure gave back would bind nobody who can bring one about.
 * Where a life ends by a kill, or between two incarnations, nobody is left to tell: clients see their sockets close.
 * Considered: in the state; rejected, a restart begins it anew, and what is to be told then is what it had before.
 */

export class LlmAsked {
  #last = 0
  #spent = 0
  readonly #open = new Set<number>()

  /** The number of the last turn. */
  get last(): number {
    return this.#last
  }

  /** Tokens that turns have used, in all its incarnations. */
  get spent(): number {
    return this.#spent
  }

  /** They have used so many by now. */
  spend(tokens: number): number {
    return (this.#spent = tokens)
  }

  /** A turn of that number is told of. */
  begin(turn: number): void {
    this.#last = turn
    this.#open.add(turn)
  }

  /** A turn is told to have ended; false where it has been, or is none. */
  end(turn: number): boolean {
    return this.#open.delete(turn)
  }

  isOpen(turn: number): boolean {
    return this.#open.has(turn)
  }

  get open(): ReadonlyArray<number> {
    return [...this.#open]
  }
}

interface Telling {
  readonly ref: object
  readonly broadcast: (event: "Unanswered", payload: { readonly turn: number; readonly why: string }) => void
}

const lives = new WeakMap<object, LlmAsked>()

/** That of an agent, by its ref, which is one through all restarts. */
export const of = ({ ref }: Pick<Telling, "ref">): LlmAsked => {
  const asked = lives.get(ref) ?? new LlmAsked()
  lives.set(ref, asked)
  return asked
}

/** Tells the clients of all that is open that it has no answer. */
export const close = (self: Telling, why: string): LlmAsked => {
  const asked = of(self)
  for (const turn of asked.open) if (asked.end(turn)) self.broadcast("Unanswered", { turn, why })
  return asked
}
