import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, InvalidOption, InvalidUse } from "troupe"
import { TestSystem, VirtualCost } from "troupe/testkit"
import { type Runnable, Scheduler } from "../../src/kernel/Scheduler.ts"

/** An item that is always ready, and notes when it ran. */
class Busy implements Runnable {
  next: Runnable | undefined = undefined
  readonly priority: number
  readonly runs: Array<number> = []
  readonly #scheduler: Scheduler
  readonly #clock: { n: number }
  constructor(scheduler: Scheduler, priority: number, clock: { n: number }) {
    this.#scheduler = scheduler
    this.priority = priority
    this.#clock = clock
  }
  run(): void {
    this.runs.push(this.#clock.n++)
    this.#scheduler.append(this)
  }
}

const weights = [8, 4, 2, 1]

describe("Law 6, fairness", () => {
  it("ready priorities share the queue 8:4:2:1, and none waits longer than its weight allows", () => {
    const sweeps: Array<() => void> = []
    let now = 0
    const scheduler = new Scheduler({ cost: () => (now += 0.01), kick: (sweep) => void sweeps.push(sweep) })
    const clock = { n: 0 }
    const each = 3
    const items = weights.flatMap((_, p) => Array.from({ length: each }, () => new Busy(scheduler, p, clock)))
    for (const item of items) scheduler.append(item)
    while (clock.n < 15_000) sweeps.shift()!()
    const total = clock.n
    items.forEach((item) => {
      const share = (item.runs.length * each) / total
      expect(Math.abs(share - weights[item.priority]! / 15)).toBeLessThan(0.01)
      // of weight w, behind `each` ready ones of its own: at most each x 15 / w turns from one run to the next, and a round
      const gaps = item.runs.slice(1).map((at, i) => at - item.runs[i]!)
      expect(Math.max(...gaps)).toBeLessThanOrEqual((each * 15) / weights[item.priority]! + 15)
    })
  })

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

  it("a turn ends after 64 messages", async () => {
    const order: Array<string> = []
    const Noter = Actor.make("Noter", { state: Schema.Int, protocol: [Rpc.make("Note")] })
    const noter = Noter.behavior({ initial: 0, on: { Note: (state, _, self) => (order.push(self.key), state) } })
    await Effect.runPromise(
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const one = host.spawnUnsafe(noter, "one")
        const two = host.spawnUnsafe(noter, "two")
        for (let i = 0; i < 200; i++) one.tellUnsafe("Note")
        two.tellUnsafe("Note")
        while (!host.quiet) yield* Effect.yieldNow
        expect(order.indexOf("two")).toBe(64)
        expect(order).toHaveLength(201)
      }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: () => 0 } })))
    )
  })

  const Hog = Actor.make("Hog", { state: Schema.Int, protocol: [Rpc.make("Spin"), Rpc.make("Quiet")] })
  const busy = { spins: 0, quiet: -1 }
  const hog = Hog.behavior({
    initial: 0,
    on: {
      Spin: Effect.fnUntraced(function* (state: number) {
        for (let i = 0; i < 100_000; i++) {
          busy.spins++
          yield* Effect.sync(() => {})
        }
        return state
      }),
      Quiet: (state) => {
        busy.quiet = busy.spins
        return state
      }
    }
  })

  it("an effectful handler that never suspends is cut, so that others get their turn", async () => {
    busy.spins = 0
    busy.quiet = -1
    const cost = new VirtualCost(0.05)
    await Effect.runPromise(
      Effect.gen(function* () {
        const host = yield* ActorSystem
        host.spawnUnsafe(hog, "hog").tellUnsafe("Spin")
        host.spawnUnsafe(hog, "quiet").tellUnsafe("Quiet")
        while (!host.quiet) yield* Effect.yieldNow
        expect(busy.spins).toBe(100_000)
        expect(busy.quiet).toBeGreaterThan(0)
        expect(busy.quiet).toBeLessThan(10_000)
      }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: cost.read } })))
    )
  })

  it("a chain of messages that never ends leaves the loop to timers and sockets", async () => {
    const Chain = Actor.make("Chain", { state: Schema.Int, protocol: [Rpc.make("Next")] })
    let over = false
    const chain = Chain.behavior({
      initial: 0,
      on: {
        Next: (state, _, self) => {
          if (!over) self.send(self.ref, "Next")
          return state + 1
        }
      }
    })
    await Effect.runPromise(
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = host.spawnUnsafe(chain, "c")
        ref.tellUnsafe("Next")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 1)))
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        expect(host.quiet).toBe(false)
        over = true
        while (!host.quiet) yield* Effect.yieldNow
      }).pipe(Effect.provide(TestSystem.layer))
    )
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

describe("Law 7, sleep is free", () => {
  it.effect("an actor without mail holds no mailbox, no fiber, no timer and no record of extras", () =>
    Effect.gen(function* () {
      const Sleeper = Actor.make("Sleeper", {
        state: Schema.Int,
        protocol: [Rpc.make("Wake", { success: Schema.Int })]
      })
      const sleeper = Sleeper.behavior({ initial: 0, on: { Wake: (state) => Actor.reply(state, state + 1) } })
      const host = yield* ActorSystem
      const refs = Array.from({ length: 100 }, (_, i) => host.spawnUnsafe(sleeper, `s${i}`))
      for (const ref of refs) yield* ref.ask("Wake")
      yield* TestClock.adjust("10 seconds")
      expect(host.snapshot().timers).toBe(0)
      const awake = [...host.system.cells()].filter((cell) => cell.mailbox !== undefined || cell.extra !== undefined)
      expect(awake).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 12, bad input is refused by name", () => {
  const Any = Actor.make("Any", { state: Schema.Int, protocol: [Rpc.make("M", { payload: { n: Schema.Int } })] })
  const on = { M: (state: number) => state }
  const cases: ReadonlyArray<readonly [string, object]> = [
    ["Any.mailbox.capacity", { mailbox: { capacity: 0 } }],
    ["Any.mailbox.overflow", { mailbox: { overflow: "block" } }],
    ["Any.mailbox.size", { mailbox: { size: 4 } }],
    ["Any.priority", { priority: "urgent" }],
    ["Any.idleAfter", { idleAfter: -1 }],
    ["Any.supervision.restart", { supervision: { restart: "always" } }],
    ["Any.supervision.backoff.factor", { supervision: { backoff: { factor: 0.5 } } }],
    ["Any.supervision.intensity.restarts", { supervision: { intensity: { restarts: -1 } } }],
    ["Any.onTerminated", { onTerminated: "later" }]
  ]
  it.each(cases)(
    "%s out of its range fails when the behaviour is made, with field, value and range",
    (field, options) => {
      const make = () => Any.behavior({ initial: 0, on, ...(options as object) })
      expect(make).toThrow(InvalidOption)
      expect(make).toThrow(field)
    }
  )

  it("a missing handler, one too many, a bad type name and a tag that stands twice fail when made", () => {
    expect(() => Any.behavior({ initial: 0, on: {} as typeof on })).toThrow("Any.on.M")
    expect(() => Any.behavior({ initial: 0, on: { ...on, X: on.M } })).toThrow("Any.on.X")
    expect(() => Actor.make("1st", { state: Schema.Int, protocol: [] })).toThrow(InvalidOption)
    expect(() => Actor.make("Two", { state: Schema.Int, protocol: [Rpc.make("A"), Rpc.make("A")] })).toThrow(
      "Two.protocol"
    )
    expect(() => Any.at("")).toThrow("key")
    expect(() => Any.at("k".repeat(300))).toThrow("key")
  })

  it.effect("an unknown message is refused in the sender, naming what is understood", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(Any.behavior({ initial: 0, on }), "a")
      const send = () => ref.tellUnsafe("Nope" as "M", { n: 1 })
      expect(send).toThrow(InvalidUse)
      expect(send).toThrow('unknown message "Nope" (it understands M)')
      expect((yield* Effect.flip(Any.at("nobody").tell("M", { n: 1 })))._tag).toBe("NoSuchActor")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
