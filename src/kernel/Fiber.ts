/**
 * The few private methods of Effect's fibers that a measurement showed to be worth touching, in one guarded place.
 *
 * Floor 0; used by Ask, FiberScheduler and the turn; everything else in Troupe uses Effect's public API.
 * `test/kernel/Fiber.test.ts` fails by name when a new version of Effect changes one of them.
 *
 * - `suspend`: an ask suspends its fiber without a finalizer frame or closures for one: 0.6 us a round trip where
 *   `Effect.callback` costs 0.85 us, and twice the rate with 1,000 in flight.
 * - `isLeaving`: an ask whose turn runs on its asker's stack learns that the asker has been interrupted from there.
 * - `peek`: an `Exit` or an `Effect.sync` needs no fiber: 14-30 ns where a fiber costs 78 ns.
 */
import { Effectable, Exit } from "effect"
import type { Effect, Fiber } from "effect"

interface Internals {
  readonly _deferredInterrupt: boolean
  yieldWith(onResume: () => void): never
  evaluate(effect: unknown): void
}

const identifier = "~effect/Effect/identifier"
const args = "~effect/Effect/args"

/** Ends this step of the fiber; `onResume` runs when it is evaluated again, by `resume` or by an interruption. */
export const suspend = (fiber: Fiber.Fiber<unknown, unknown>, onResume: () => void): Effect.Effect<never> =>
  (fiber as unknown as Internals).yieldWith(onResume)

/** Whether a fiber whose code is on the stack was interrupted from there, and ends as soon as that returns. */
export const isLeaving = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  (fiber as unknown as Internals)._deferredInterrupt

/** Goes on with a suspended fiber. Runs its continuation on this stack, unless its scheduler says otherwise. */
export const resume = (fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): void =>
  (fiber as unknown as Internals).evaluate(exit)

/** The outcome of an effect that needs no fiber, or undefined. */
export const peek = (effect: Effect.Effect<unknown, unknown, unknown>): Exit.Exit<unknown, unknown> | undefined => {
  const inner = effect as unknown as Record<string, unknown>
  // `in`, with which Effect tells an Exit, costs 20 ns where many kinds of objects come by; a property that is there, 3 ns
  const kind = inner[identifier]
  if (kind === "Success" || kind === "Failure") return Exit.isExit(effect) ? effect : undefined
  if (kind !== "Sync" || typeof inner[args] !== "function") return undefined
  try {
    return Exit.succeed((inner[args] as () => unknown)())
  } catch (defect) {
    return Exit.die(defect)
  }
}

interface EffectClass {
  new <A, E>(): Effect.Effect<A, E>
}

const Base = function () {} as unknown as EffectClass
Base.prototype = Effectable.Prototype<Effect.Effect<unknown, unknown>>({
  label: "troupe",
  evaluate(this: Effect.Effect<unknown, unknown>, fiber) {
    return (this as Primitive<unknown, unknown>).run(fiber)
  }
})

/** An Effect that is one small object: `run` answers with an exit or with `suspend(...)`. */
export abstract class Primitive<A, E> extends Base<A, E> {
  abstract run(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<A, E>
}
