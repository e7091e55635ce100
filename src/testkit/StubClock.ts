/**
 * The time of a stub: it stands still until the test moves it.
 *
 * Floor 5; used by StubRuntime: the behaviour's timers, deadlines and `Effect.sleep`s all wait on it, in one list.
 * Law 11: time is injected; nothing here passes by itself, and what is due at one moment goes off in the order it was armed.
 * An Effect `Clock` at 0 ms in the beginning, and the kernel's `Timers` behind it, so there is no second timer list.
 * Cost: as `Timers`; `advance` visits due moments only, however far it goes.
 */
import { type Clock, Duration, Effect } from "effect"
import { Deadline, Timers } from "../kernel/Timers.ts"

export class StubClock implements Clock.Clock {
  readonly timers: Timers
  #now = 0
  #next: { readonly due: number; readonly wake: () => void } | undefined = undefined

  constructor(onDefect: (defect: unknown) => void) {
    const sleep = (millis: number, wake: () => void): (() => void) => {
      const next = { due: this.#now + millis, wake }
      this.#next = next
      return () => {
        if (this.#next === next) this.#next = undefined
      }
    }
    this.timers = new Timers(() => this.#now, sleep, onDefect)
  }

  /** Moves time, from one due moment to the next; after each, `settle` lets what it woke go on. */
  advance(millis: number, settle: () => void): void {
    const until = this.#now + millis
    for (let next = this.#next; next !== undefined && next.due <= until; next = this.#next) {
      this.#next = undefined
      this.#now = Math.max(this.#now, next.due)
      next.wake()
      settle()
    }
    this.#now = until
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    return Effect.callback((resume) => {
      if (millis <= 0) return resume(Effect.void)
      const node = new Deadline(() => resume(Effect.void))
      this.timers.arm(node, millis)
      return Effect.sync(() => this.timers.cancel(node))
    })
  }

  currentTimeMillisUnsafe(): number {
    return this.#now
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(Math.round(this.#now * 1e6))
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.currentTimeMillisUnsafe())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.currentTimeNanosUnsafe())
  readonly monotonicTimeNanos: Effect.Effect<bigint> = this.currentTimeNanos
}
