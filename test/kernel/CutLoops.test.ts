import { Context, Effect, Scheduler as EffectScheduler } from "effect"
import { describe, expect, it } from "vitest"
import { cutLoops } from "../../src/kernel/CutLoops.ts"
import { CurrentStrand, Strand, FiberScheduler } from "../../src/kernel/FiberScheduler.ts"
import { Scheduler } from "../../src/kernel/Scheduler.ts"

const count = cutLoops(function* (steps: number) {
  let sum = 0
  for (let i = 0; i < steps; i++) sum += (yield Effect.succeed(1)) as number
  return sum
})

const handler = Effect.fnUntraced(count as never) as unknown as (steps: number) => Effect.Effect<number>

const onOurs = async (millisPerReading: number): Promise<{ readonly sum: number; readonly tasks: number }> => {
  let now = 0
  let tasks = 0
  const scheduler = new Scheduler({ cost: () => (now += millisPerReading) })
  const append = scheduler.append.bind(scheduler)
  scheduler.append = (item) => {
    tasks++
    append(item)
  }
  const services = Context.empty().pipe(
    Context.add(EffectScheduler.Scheduler, new FiberScheduler(scheduler)),
    Context.add(CurrentStrand, new Strand({ priority: 2, settle: () => {} }, true))
  )
  const effect = handler(10_000)
  const sum = await Effect.runPromiseWith(services)(effect)
  return { sum, tasks }
}

describe("cutLoops", () => {
  it("hands every value through: the result is that of the bare generator", async () => {
    expect((await onOurs(0)).sum).toBe(10_000)
    expect((await onOurs(1)).sum).toBe(10_000)
  })

  it("yields every 1,024 steps while the budget is used up, and never while it is not", async () => {
    expect((await onOurs(0)).tasks).toBe(1)
    expect((await onOurs(1)).tasks).toBe(1 + 9)
  })

  it("outside of our run queue it never yields", async () => {
    const effect = handler(5000)
    expect(Effect.runSync(effect)).toBe(5000)
  })
})
