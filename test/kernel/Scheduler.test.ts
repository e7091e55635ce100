import { beforeEach, describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, VirtualCost } from "troupe/testkit"
import { type Owner, type Runnable, Scheduler } from "../../src/kernel/Scheduler.ts"

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

  describe("a hand-on", () => {
    const ran: Array<string> = []
    const kicks: Array<() => void> = []
    let now = 0
    let scheduler: Scheduler

    beforeEach(() => {
      ran.length = 0
      kicks.length = 0
      now = 0
      scheduler = new Scheduler({ sweepMillis: 1, cost: () => now, kick: (sweep) => void kicks.push(sweep) })
    })

    const item = (name: string, run: () => void = () => {}): Runnable => ({
      next: undefined,
      priority: 2,
      run: () => {
        ran.push(name)
        run()
      }
    })

    it("runs what was appended at once, without a sweep of its own", () => {
      expect(scheduler.hold()).toBe(true)
      scheduler.append(item("a"))
      scheduler.release()
      expect([ran, kicks.length, scheduler.active, scheduler.sweeping]).toEqual([["a"], 0, false, false])
    })

    it("runs one; what that makes ready waits for a sweep", () => {
      scheduler.hold()
      scheduler.append(item("a", () => scheduler.append(item("b"))))
      scheduler.release()
      expect([ran, kicks.length, scheduler.active]).toEqual([["a"], 1, true])
      kicks.shift()!()
      expect([ran, scheduler.active]).toEqual([["a", "b"], false])
    })

    it("of nothing leaves nothing behind", () => {
      scheduler.hold()
      scheduler.release()
      scheduler.append(item("a"))
      kicks.shift()!()
      expect([ran, scheduler.hold()]).toEqual([["a"], true])
    })

    it("is refused while something is ready, in a turn, and in a hand-on", () => {
      const refused: Array<boolean> = []
      const owner: Owner = { priority: 2, settle: () => {} }
      const look = (): void => {
        refused.push(scheduler.hold())
        scheduler.beginTurn(owner)
        refused.push(scheduler.hold())
        scheduler.endTurn()
      }
      scheduler.append(item("first", () => refused.push(scheduler.hold())))
      scheduler.append(item("a"))
      expect(scheduler.hold()).toBe(false)
      kicks.shift()!()
      scheduler.hold()
      scheduler.append(item("b", look))
      scheduler.release()
      expect(refused).toEqual([false, false, false])
    })

    it("in a task of the sweep runs at once, ahead of nobody, until the sweep's time is used up", () => {
      const task = item("task", () => {
        while (scheduler.hold()) {
          scheduler.append(item("asked", () => (now += 0.3)))
          scheduler.credit = 1
          scheduler.release()
        }
        scheduler.append(item("later"))
      })
      scheduler.append(task)
      kicks.shift()!()
      expect(ran).toEqual(["task", "asked", "asked", "asked", "asked"])
      expect([scheduler.active, kicks.length]).toEqual([true, 1])
      kicks.shift()!()
      expect(ran.at(-1)).toBe("later")
    })
  })

  it("keeps the order of each priority, whatever is appended meanwhile", () => {
    const ran: Array<number> = []
    let n = 0
    const sweeps: Array<() => void> = []
    const own = new Scheduler({ kick: (sweep) => void sweeps.push(sweep) })
    const append = (): void => {
      const at = n++
      const run = (): void => {
        ran.push(at)
        if (at < 6) append()
      }
      own.append({ next: undefined, priority: 1, run })
    }
    append()
    append()
    append()
    sweeps.shift()!()
    expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  })

  it.effect("a handler that held the loop for over 100 ms is reported, by actor and tag", () =>
    Effect.gen(function* () {
      const cost = new VirtualCost(0.001)
      const heard: Array<readonly [string, number]> = []
      const Heavy = Actor.make("Heavy", { state: Schema.Int, protocol: [Rpc.make("Lift")] })
      const heavy = Heavy.behavior({ initial: 0, on: { Lift: (state) => (cost.spend(150), state) } })
      yield* Effect.gen(function* () {
        const host = yield* ActorSystem
        host.system.scheduler.onOccupied = (owners, tag, millis) =>
          void heard.push([`${tag} of ${owners.length}`, millis])
        host.spawnUnsafe(heavy, "h").tellUnsafe("Lift")
        yield* TestClock.adjust(1)
      }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: cost.read } })))
      expect(heard).toHaveLength(1)
      expect(heard[0]![0]).toBe("0 of 1")
      expect(heard[0]![1]).toBeGreaterThanOrEqual(150)
    })
  )

  it.effect(
    "one that was cheap until now is reported among those that ran with it, and by itself from the second time on",
    () =>
      Effect.gen(function* () {
        const cost = new VirtualCost(0.001)
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const Lifter = Actor.make("Lifter", {
          state: Schema.Int,
          protocol: [Rpc.make("Lift", { payload: Schema.Int })]
        })
        const lifter = Lifter.behavior({ initial: 0, on: { Lift: (state, n) => (cost.spend(n), state) } })
        const Other = Actor.make("Other", { state: Schema.Int, protocol: [Rpc.make("Go")] })
        const other = Other.behavior({ initial: 0, on: { Go: (state) => state } })
        const layer = TestSystem.layerOf({ scheduler: { cost: cost.read } })
        yield* Effect.gen(function* () {
          const host = yield* ActorSystem
          const guilty = host.spawnUnsafe(lifter, "guilty")
          const innocent = host.spawnUnsafe(other, "innocent")
          for (let i = 0; i < 600; i++) {
            guilty.tellUnsafe("Lift", 0)
            innocent.tellUnsafe("Go")
            yield* TestClock.adjust(1)
          }
          expect(lines).toEqual([])
          for (let i = 0; i < 2; i++) {
            guilty.tellUnsafe("Lift", 150)
            for (let k = 0; k < 100; k++) innocent.tellUnsafe("Go")
            yield* TestClock.adjust(1)
          }
        }).pipe(Effect.provide(Layer.provideMerge(layer, Logger.layer([logger]))))
        expect(lines.map((line) => line.replace(/ held.*/, ""))).toEqual([
          "one of Lifter/guilty, Other/innocent",
          'Lifter/guilty: "Lift"'
        ])
      })
  )
})
