import { Effect, Exit, type Fiber } from "effect"
import { describe, expect, it } from "vitest"
import * as PrivateFiber from "../../src/kernel/Fiber.ts"

class Wait extends PrivateFiber.Primitive<number, string> {
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  resumed = 0
  run(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<number, string> {
    this.fiber = fiber
    return PrivateFiber.suspend(fiber, () => void this.resumed++)
  }
}

describe("Effect's private fiber methods that Troupe relies on", () => {
  it("`yieldWith` suspends a fiber, `evaluate` goes on with an exit, on this stack", () => {
    const wait = new Wait()
    const fiber = Effect.runFork(Effect.map(wait, (n) => n + 1))
    expect(fiber.pollUnsafe()).toBeUndefined()
    PrivateFiber.resume(wait.fiber!, Exit.succeed(41))
    expect(fiber.pollUnsafe()).toEqual(Exit.succeed(42))
    expect(wait.resumed).toBe(1)
  })

  it("`evaluate` with a failure fails the fiber, and does nothing to one that has ended", () => {
    const wait = new Wait()
    const fiber = Effect.runFork(wait)
    PrivateFiber.resume(wait.fiber!, Exit.fail("no"))
    PrivateFiber.resume(wait.fiber!, Exit.succeed(1))
    expect(fiber.pollUnsafe()).toEqual(Exit.fail("no"))
  })

  it("an interruption calls `onResume` of the suspended step", () => {
    const wait = new Wait()
    const fiber = Effect.runFork(wait)
    fiber.interruptUnsafe()
    expect(wait.resumed).toBe(1)
    expect(Exit.isFailure(fiber.pollUnsafe()!)).toBe(true)
  })

  it("`_deferredInterrupt` tells that the fiber on the stack was interrupted from there", () => {
    const seen: Array<boolean> = []
    const look = Effect.withFiber((fiber) => {
      seen.push(PrivateFiber.isLeaving(fiber))
      fiber.interruptUnsafe()
      seen.push(PrivateFiber.isLeaving(fiber))
      return Effect.void
    })
    const fiber = Effect.runFork(
      Effect.andThen(
        look,
        Effect.sync(() => seen.push(true))
      )
    )
    expect([seen, Exit.hasInterrupts(fiber.pollUnsafe()!)]).toEqual([[false, true], true])
  })

  it("`peek` sees the outcome of exits and syncs, runs a sync once, and nothing of other effects", () => {
    let runs = 0
    expect(PrivateFiber.peek(Effect.succeed(1))).toEqual(Exit.succeed(1))
    expect(PrivateFiber.peek(Effect.fail("e"))).toEqual(Exit.fail("e"))
    expect(PrivateFiber.peek(Effect.sync(() => ++runs))).toEqual(Exit.succeed(1))
    const defect = new Error("thrown")
    const thrown = Effect.sync(() => {
      throw defect
    })
    expect(PrivateFiber.peek(thrown)).toEqual(Exit.die(defect))
    expect(PrivateFiber.peek(Effect.yieldNow)).toBeUndefined()
    expect(PrivateFiber.peek(Effect.suspend(() => Effect.succeed(++runs)))).toBeUndefined()
    expect(runs).toBe(1)
  })
})
