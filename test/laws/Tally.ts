/**
 * Counts ends: everything a cancellation test begins is entered here, and must be finalized once.
 *
 * `guard` wraps work: its beginning, and the beginning and the end of its finalizer, are counted by name. A row of a table
 * asserts `faults()` after every act: nothing finalized twice, nothing finalized that never began, and, `atEnd`, nothing
 * that began left without its finalizer.
 */
import { Effect, FiberSet, type Scope } from "effect"
import type { Host } from "troupe"
import { waitUntil } from "troupe/testkit"

/** Options of a system whose turns are never cut: what runs before what does not depend on the machine. */
export const uncut = { scheduler: { cost: () => 0 } } as const

/** Whatever can run without time passing has run. */
export const settled = (host: Host) => waitUntil(() => !host.system.scheduler.active, "nothing is ready")

interface Counts {
  begun: number
  finalizing: number
  finalized: number
}

export class Tally {
  readonly #counts = new Map<string, Counts>()

  #of(name: string): Counts {
    let counts = this.#counts.get(name)
    if (counts === undefined) this.#counts.set(name, (counts = { begun: 0, finalizing: 0, finalized: 0 }))
    return counts
  }

  /** A finalizer by itself, of something begun elsewhere. */
  finalizer(name: string, how: Effect.Effect<unknown> = Effect.void): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#of(name).finalizing++
      return Effect.asVoid(how)
    }).pipe(Effect.ensuring(Effect.sync(() => void this.#of(name).finalized++)))
  }

  /** Something that wants to be finalized has begun. */
  begin(name: string): void {
    this.#of(name).begun++
  }

  /** Work with a finalizer, which by default takes no time. */
  guard<A, E, R>(name: string, work: Effect.Effect<A, E, R>, how?: Effect.Effect<unknown>): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) => {
      this.begin(name)
      return Effect.ensuring(restore(work), this.finalizer(name, how))
    })
  }

  /** How often the finalizer of that name was begun. */
  times(name: string): number {
    return this.#counts.get(name)?.finalizing ?? 0
  }

  /** Names that have begun. */
  get begun(): ReadonlyArray<string> {
    return [...this.#counts].filter(([, { begun }]) => begun > 0).map(([name]) => name)
  }

  /** What was not finalized exactly as often as it began; those that hang begin their finalizer and do not end it. */
  faults(hanging: ReadonlyArray<string> = []): ReadonlyArray<string> {
    return [...this.#counts].flatMap(([name, { begun, finalizing, finalized }]) => {
      const ended = hanging.includes(name) ? 0 : begun
      if (finalizing === begun && finalized === ended) return []
      return [`${name}: begun ${begun}, finalizers begun ${finalizing}, ended ${finalized}`]
    })
  }
}

/** Work in several fibers that a handler may do, and what is begun in it. Takes `millis`. */
export const structures: Record<
  string,
  readonly [
    work: (tally: Tally, millis: number) => Effect.Effect<unknown, never, Scope.Scope>,
    guards: ReadonlyArray<string>
  ]
> = {
  "Effect.all": [
    (tally, millis) =>
      Effect.all(
        ["x", "y", "z"].map((name) => tally.guard(name, Effect.sleep(millis))),
        { concurrency: "unbounded" }
      ),
    ["x", "y", "z"]
  ],
  "Effect.all, one after the other": [
    (tally, millis) => Effect.all(["x", "y"].map((name) => tally.guard(name, Effect.sleep(millis)))),
    ["x"]
  ],
  "Effect.race": [
    (tally, millis) => Effect.race(tally.guard("x", Effect.sleep(millis)), tally.guard("y", Effect.never)),
    ["x", "y"]
  ],
  "a FiberSet of its own": [
    (tally, millis) =>
      Effect.gen(function* () {
        const set = yield* FiberSet.make()
        for (const name of ["x", "y"]) yield* FiberSet.run(set, tally.guard(name, Effect.never))
        yield* Effect.sleep(millis)
      }).pipe(Effect.scoped),
    ["x", "y"]
  ],
  "a FiberSet of its message's scope": [
    (tally, millis) =>
      Effect.gen(function* () {
        const set = yield* FiberSet.make()
        for (const name of ["x", "y"]) yield* FiberSet.run(set, tally.guard(name, Effect.sleep(millis)))
        yield* FiberSet.awaitEmpty(set)
      }),
    ["x", "y"]
  ],
  "forked children": [
    (tally, millis) =>
      Effect.gen(function* () {
        for (const name of ["x", "y"]) yield* Effect.forkChild(tally.guard(name, Effect.never))
        yield* Effect.sleep(millis)
      }),
    ["x", "y"]
  ]
}
