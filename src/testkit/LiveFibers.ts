/**
 * Which fibers of actors are alive: handlers, forks, and whatever they forked themselves, detached ones too.
 *
 * Floor 5; used by TestSystem. Effect tells a service of the fiber's context when a fiber starts and when it ends
 * (`Metric.FiberRuntimeMetrics`); the context's `Strand` says whose it is. Fibers without one are the test's own.
 * Law 8: a fork ends with its incarnation; what is alive when the system has stopped has leaked, and is named.
 * Cost: a map entry a strand, in tests only; a service that the test has given itself goes on being told.
 */
import { Context } from "effect"
import type { Exit, Metric } from "effect"
import { Cell } from "../actor/Cell.ts"
import type { Runtime } from "../actor/Runtime.ts"
import { CurrentStrand, type Strand } from "../kernel/FiberScheduler.ts"

export class LiveFibers implements Metric.FiberRuntimeMetricsService {
  readonly #alive = new Map<Strand, number>()
  readonly #outer: Metric.FiberRuntimeMetricsService | undefined

  constructor(outer: Metric.FiberRuntimeMetricsService | undefined) {
    this.#outer = outer
  }

  recordFiberStart(context: Context.Context<never>): void {
    this.#outer?.recordFiberStart(context)
    const strand = Context.get(context, CurrentStrand)
    if (strand !== undefined) this.#alive.set(strand, (this.#alive.get(strand) ?? 0) + 1)
  }

  recordFiberEnd(context: Context.Context<never>, exit: Exit.Exit<unknown, unknown>): void {
    this.#outer?.recordFiberEnd(context, exit)
    const strand = Context.get(context, CurrentStrand)
    if (strand === undefined) return
    const left = (this.#alive.get(strand) ?? 0) - 1
    if (left > 0) this.#alive.set(strand, left)
    else this.#alive.delete(strand)
  }

  /** How many fibers of a system's actors are alive, by address and kind: `["Counter/a: 1 fiber of a handler"]`. */
  of(runtime: Runtime): ReadonlyArray<{ readonly address: string; readonly what: string }> {
    return [...this.#alive].flatMap(([{ owner, handling }, count]) => {
      if (!(owner instanceof Cell) || owner.program.runtime !== runtime) return []
      const what = `${count} fiber${count === 1 ? "" : "s"} of a ${handling ? "handler" : "fork"}`
      return [{ address: owner.address, what }]
    })
  }
}
