/**
 * So many places, and a bounded line of those who wait for one.
 *
 *   take -> a place is free: at once      -> use it -> leave: the first in line has it
 *        -> line not full: at its end     -> gives up: leaves the line
 *        -> line full: fail | suspend (a longer line) | dropNewest (it) | dropOldest (the first in line, for it)
 *
 * Floor 3; owned by Offload. Law 3: bounded but for `suspend`, whose line is of fibers that wait anyhow. Law 5: who is hit by a
 * policy hears it at once.
 * Cost: O(1); no allocation for who finds a place free.
 */
import { Effect, Exit } from "effect"
import type { Overflow } from "../kernel/Envelope.ts"
import { Dropped, LimitReached } from "../kernel/Errors.ts"

/** Of the overflow policies of law 5, those of a line. */
export type LineOverflow = Exclude<Overflow, "stop">

export const lineOverflows: ReadonlyArray<LineOverflow> = ["fail", "suspend", "dropNewest", "dropOldest"]

type Refused = LimitReached | Dropped

/** One that may have a place; `leave` is to be called whatever happens. */
export class Guest {
  #places: Places | undefined = undefined
  #told: ((exit: Exit.Exit<void, Refused>) => void) | undefined = undefined

  /** Waits until it has a place. */
  take(places: Places): Effect.Effect<void, Refused> {
    return Effect.callback((resume) => {
      const refused = places.enter(this)
      if (refused === "taken") this.#places = places
      if (refused === "waits") {
        this.#places = places
        this.#told = resume
      } else resume(refused === "taken" ? Exit.void : Exit.fail(refused))
    })
  }

  /** Has a place now, or will have none. Internal: called by its places. */
  tell(exit: Exit.Exit<void, Refused>): void {
    const told = this.#told
    this.#told = undefined
    if (Exit.isFailure(exit)) this.#places = undefined
    told?.(exit)
  }

  leave(): void {
    this.#places?.leave(this)
    this.#places = undefined
  }
}

export class Places {
  /** In use. */
  taken = 0
  readonly #count: number
  readonly #maxQueued: number
  readonly #overflow: LineOverflow
  readonly #what: string
  readonly #line = new Set<Guest>()

  constructor(what: string, count: number, maxQueued: number, overflow: LineOverflow) {
    this.#what = what
    this.#count = count
    this.#maxQueued = maxQueued
    this.#overflow = overflow
  }

  /** Who waits. */
  get queued(): number {
    return this.#line.size
  }

  /** Internal, as is `leave`: called by a guest. */
  enter(guest: Guest): "taken" | "waits" | Refused {
    if (this.taken < this.#count) {
      this.taken++
      return "taken"
    }
    if (this.#line.size >= this.#maxQueued && this.#overflow !== "suspend") {
      if (this.#overflow === "fail") {
        return new LimitReached({ what: `${this.#what}: the line`, limit: this.#maxQueued, option: "option maxQueued" })
      }
      const dropped = new Dropped({ address: this.#what, policy: this.#overflow })
      const [oldest] = this.#line
      if (this.#overflow === "dropNewest" || oldest === undefined) return dropped
      this.#line.delete(oldest)
      oldest.tell(Exit.fail(dropped))
    }
    this.#line.add(guest)
    return "waits"
  }

  leave(guest: Guest): void {
    if (this.#line.delete(guest)) return
    const [next] = this.#line
    if (next === undefined) {
      this.taken--
      return
    }
    this.#line.delete(next)
    next.tell(Exit.void)
  }
}
