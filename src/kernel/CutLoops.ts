/**
 * Cuts a generator handler that loops over effects which are already done: `while (true) yield* Effect.void`.
 *
 * Floor 0; used by Plan, around handlers written as plain generator functions; knows no actor.
 * Law 6: an effectful handler that never suspends is cut by the turn's budget. Effect consumes such exits in place, inside one
 * `next` after another, and asks no scheduler: nothing else would get the loop again. So the steps are counted here, and
 * every 1,024th looks at the scheduler's clock; over budget the step is held back and a yield handed out in its place.
 *
 *   handler:  step 1 .. step 1,024 |  yieldNow  | step 1,024 (held) | step 1,025 ...
 *
 * Not cut: a loop inside an `Effect.gen` of its own, or one without a `yield*`; both are reported afterwards.
 * Cost: one small object a message, one addition a step; measured against the generator itself it is lost.
 */
import { Effect, Fiber, Scheduler as EffectScheduler } from "effect"
import { FiberScheduler } from "./FiberScheduler.ts"

/** Steps between two looks at the clock: a power of two. */
const STRIDE = 1024

type Step = IteratorResult<Effect.Effect<unknown>, unknown>
type Steps = Iterator<Effect.Effect<unknown>, unknown, unknown>

class CutLoop implements Steps {
  readonly #inner: Steps
  #steps = 0
  #held: Step | undefined = undefined

  constructor(inner: Steps) {
    this.#inner = inner
  }

  next(value: unknown): Step {
    const held = this.#held
    if (held !== undefined) {
      this.#held = undefined
      return held
    }
    const step = this.#inner.next(value)
    if ((++this.#steps & (STRIDE - 1)) !== 0 || step.done === true || !overBudget()) return step
    this.#held = step
    return { done: false, value: Effect.yieldNow }
  }
}

/** Whether the fiber at hand has used its time on our run queue. */
const overBudget = (): boolean => {
  const scheduler = Fiber.getCurrent()?.getRef(EffectScheduler.Scheduler)
  return scheduler instanceof FiberScheduler && scheduler.overBudget()
}

/** The same generator function, with its loops cut. */
export const cutLoops =
  <Args extends ReadonlyArray<unknown>>(body: (...args: Args) => Steps) =>
  (...args: Args): Steps =>
    new CutLoop(body(...args))
