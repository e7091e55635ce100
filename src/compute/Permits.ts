/**
 * So many permits, and a bounded line of those who wait for one.
 *
 *   acquire -> one is free: at once       -> use it -> release: the first in line has it
 *           -> line not full: at its end     -> gives up: leaves the line
 *           -> line full: fail | suspend (a longer line) | dropNewest (it) | dropOldest (the first in line, for it)
 *
 * Floor 3; owned by Offload. Law 3: bounded but for `suspend`, whose line is of fibers that wait anyhow. Law 5: who is hit by a
 * policy hears it at once.
 * Cost: O(1); no allocation for who finds one free. Effect's Semaphore has a line without bounds, and no policies.
 */
import { Effect, Exit } from "effect"
import type { Overflow } from "../kernel/Envelope.ts"
import { Dropped, LimitReached } from "../kernel/Errors.ts"

/** Of the overflow policies of law 5, those of a line. */
export type LineOverflow = Exclude<Overflow, "stop">

export const lineOverflows: ReadonlyArray<LineOverflow> = ["fail", "suspend", "dropNewest", "dropOldest"]

type Refused = LimitReached | Dropped

/** One that is asked for; `release` is to be called whatever happens. */
export class Permit {
  #permits: Permits | undefined = undefined
  #told: ((exit: Exit.Exit<void, Refused>) => void) | undefined = undefined

  /** Waits until it is had. */
  acquire(permits: Permits): Effect.Effect<void, Refused> {
    return Effect.callback((resume) => {
      const refused = permits.enter(this)
      if (refused === "taken") this.#permits = permits
      if (refused === "waits") {
        this.#permits = permits
        this.#told = resume
      } else resume(refused === "taken" ? Exit.void : Exit.fail(refused))
    })
  }

  /** Had now, or never. Internal: called by its permits. */
  tell(exit: Exit.Exit<void, Refused>): void {
    const told = this.#told
    this.#told = undefined
    if (Exit.isFailure(exit)) this.#permits = undefined
    told?.(exit)
  }

  release(): void {
    this.#permits?.release(this)
    this.#permits = undefined
  }
}

export class Permits {
  /** In use. */
  taken = 0
  readonly #count: number
  readonly #maxQueued: number
  readonly #overflow: LineOverflow
  readonly #what: string
  readonly #line = new Set<Permit>()

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

  /** Internal, as is `release`: called by a permit. */
  enter(permit: Permit): "taken" | "waits" | Refused {
    if (this.taken < this.#count) {
      this.taken++
      return "taken"
    }
    if (this.#line.size < this.#maxQueued || this.#overflow === "suspend") {
      this.#line.add(permit)
      return "waits"
    }
    if (this.#overflow === "fail") {
      return new LimitReached({ what: `${this.#what}: the line`, limit: this.#maxQueued, option: "option maxQueued" })
    }
    const dropped = new Dropped({ address: this.#what, policy: this.#overflow })
    const [oldest] = this.#line
    if (this.#overflow === "dropNewest" || oldest === undefined) return dropped
    this.#line.delete(oldest)
    // before the other hears of it, who may ask again at once
    this.#line.add(permit)
    oldest.tell(Exit.fail(dropped))
    return "waits"
  }

  release(permit: Permit): void {
    if (this.#line.delete(permit)) return
    const [next] = this.#line
    if (next === undefined) {
      this.taken--
      return
    }
    this.#line.delete(next)
    next.tell(Exit.void)
  }
}
