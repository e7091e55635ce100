import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, VirtualCost } from "troupe/testkit"
import { type Runnable, Scheduler } from "../../src/kernel/Scheduler.ts"

describe("Scheduler", () => {
  it("a sweep ends when its time is used up, whatever is still ready", () => {
    const sweeps: Array<() => void> = []
    let now = 0
    const scheduler = new Scheduler({ sweepMillis: 1, cost: () => now, kick: (sweep) => void sweeps.push(sweep) })
    const slow: Runnable = {
      next: undefined,
      priority: 2,
      run: () => {
        now += 0.3
        scheduler.credit = 0
        scheduler.append(slow)
      }
    }
    scheduler.append(slow)
    sweeps.shift()!()
    expect(now).toBeLessThanOrEqual(1.3)
    expect(sweeps).toHaveLength(1)
  })

  it.effect("a handler that held the loop for over 100 ms is reported, by actor and tag", () =>
    Effect.gen(function* () {
      const cost = new VirtualCost(0.001)
      const heard: Array<readonly [string, number]> = []
      const Heavy = Actor.make("Heavy", { state: Schema.Int, protocol: [Rpc.make("Lift")] })
      const heavy = Heavy.behavior({ initial: 0, on: { Lift: (state) => (cost.spend(150), state) } })
      yield* Effect.gen(function* () {
        const host = yield* ActorSystem
        host.system.scheduler.onOccupied = (owner, tag, millis) =>
          void heard.push([`${tag} of ${String(owner !== undefined)}`, millis])
        host.spawnUnsafe(heavy, "h").tellUnsafe("Lift")
        yield* TestClock.adjust(1)
      }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: cost.read } })))
      expect(heard).toHaveLength(1)
      expect(heard[0]![0]).toBe("0 of true")
      expect(heard[0]![1]).toBeGreaterThanOrEqual(150)
    })
  )
})
