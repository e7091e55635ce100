import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, type ActorRef, type Self } from "troupe"
import { TestClock } from "effect/testing"
import { Seed, TestSystem, VirtualCost, waitUntil } from "troupe/testkit"
import { Scheduler } from "../../src/kernel/Scheduler.ts"
import { run, scripted } from "../actor/Scripted.ts"

const Go = Rpc.make("Go")
const definition = (type: string) => Actor.make(type, { state: Schema.Int, protocol: [Go] })

/** Runnables that are always ready, on a scheduler driven sweep by sweep; answers with the order they ran in. */
const rotate = (priorities: ReadonlyArray<number>, turnCost: number, turns: number): ReadonlyArray<number> => {
  const cost = new VirtualCost(0)
  const ran: Array<number> = []
  let sweep: (() => void) | undefined
  const scheduler = new Scheduler({ cost: cost.read, kick: (next) => void (sweep = next) })
  for (const [i, priority] of priorities.entries()) {
    const item = {
      next: undefined,
      priority,
      run: () => {
        ran.push(i)
        cost.spend(turnCost)
        if (ran.length < turns) scheduler.append(item)
      }
    }
    scheduler.append(item)
  }
  while (sweep !== undefined) {
    const next = sweep
    sweep = undefined
    next()
  }
  return ran
}

describe("Law 6, fairness", () => {
  it("ready priorities share the queue 8:4:2:1", () => {
    const ran = rotate([0, 1, 2, 3], 0.1, 1500)
    const shares = [0, 1, 2, 3].map((i) => ran.filter((j) => j === i).length)
    expect(shares.map((n) => Math.round(n / 100))).toEqual([8, 4, 2, 1])
  })

  it("a ready actor of weight w runs again within (ready actors before it) x 15/w turns", () => {
    const weights = [8, 4, 2, 1]
    for (let seed = 1; seed <= 50; seed++) {
      const chance = new Seed(seed)
      const priorities = Array.from({ length: 2 + chance.below(20) }, () => chance.below(4))
      const ran = rotate(priorities, 0.1, 4000)
      for (const [i, priority] of priorities.entries()) {
        const peers = priorities.filter((p) => p === priority).length
        const bound = Math.ceil((peers * 15) / weights[priority]!) + 15
        const at = ran.flatMap((j, turn) => (j === i ? [turn] : [])).filter((turn) => turn < 3900)
        const gaps = at.slice(1).map((turn, n) => turn - at[n]!)
        expect(Math.max(0, ...gaps), `seed ${seed}, actor ${i} of ${priorities.join("")}`).toBeLessThanOrEqual(bound)
      }
    }
  })

  it.effect("a turn ends after 64 messages however many wait, and the other actor has its turn", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const behavior = definition("T").behavior({
        initial: 0,
        on: { Go: (n, _, self) => (order.push(self.key), n) }
      })
      const a = yield* ActorSystem.spawn(behavior, "a")
      const b = yield* ActorSystem.spawn(behavior, "b")
      for (let i = 0; i < 200; i++) a.tellUnsafe("Go")
      b.tellUnsafe("Go")
      yield* waitUntil(() => order.length === 201, "all were handled")
      expect(order.indexOf("b")).toBe(64)
    }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: () => 0 } })))
  )

  it.effect("a dear handler ends its turn by cost: its neighbour waits for a turn, not for the mailbox", () => {
    const cost = new VirtualCost(0)
    return Effect.gen(function* () {
      const order: Array<string> = []
      const behavior = definition("T").behavior({
        initial: 0,
        on: { Go: (n, _, self) => (order.push(self.key), cost.spend(0.1), n) }
      })
      const a = yield* ActorSystem.spawn(behavior, "a")
      const b = yield* ActorSystem.spawn(behavior, "b")
      for (let i = 0; i < 50; i++) a.tellUnsafe("Go")
      b.tellUnsafe("Go")
      yield* waitUntil(() => order.length === 51, "all were handled")
      // 0.25 ms a turn at 0.1 ms a message
      expect(order.indexOf("b")).toBe(3)
    }).pipe(Effect.provide(TestSystem.layerOf({ scheduler: { cost: cost.read } })))
  })

  const hog = (how: string, busy: (self: Self<typeof Go>, over: () => boolean) => unknown) =>
    it.live(`an effectful handler that never suspends is cut: ${how}`, () =>
      Effect.gen(function* () {
        let others = 0
        const over = () => others > 0
        const hogs = definition("Hog").behavior({
          initial: 0,
          on: { Go: ((_: number, __: void, self: Self<typeof Go>) => busy(self, over)) as never }
        })
        const polite = definition("Polite").behavior({ initial: 0, on: { Go: (n) => (others++, n) } })
        const a = yield* ActorSystem.spawn(hogs, "a")
        const b = (yield* ActorSystem.spawn(polite, "b")) as ActorRef<typeof Go>
        a.tellUnsafe("Go")
        b.tellUnsafe("Go")
        yield* waitUntil(() => others === 1, "the other actor had its turn")
      }).pipe(Effect.provide(TestSystem.layer))
    )

  hog("a chain of effects", (_, over) => {
    const loop = (n: number): Effect.Effect<number> =>
      Effect.flatMap(
        Effect.sync(() => n),
        (m) => (over() ? Effect.succeed(m) : loop(m + 1))
      )
    return loop(0)
  })

  it.live("an effectful handler that never suspends is cut: `yield* Effect.void` in a generator handler", () =>
    Effect.gen(function* () {
      let others = 0
      const hogs = definition("Hog").behavior({
        initial: 0,
        on: {
          Go: function* (n) {
            let steps = 0
            while (others === 0) {
              steps += 1
              yield* Effect.void
            }
            return n + steps
          }
        }
      })
      const polite = definition("Polite").behavior({ initial: 0, on: { Go: (n) => (others++, n) } })
      const a = yield* ActorSystem.spawn(hogs, "a")
      const b = yield* ActorSystem.spawn(polite, "b")
      a.tellUnsafe("Go")
      b.tellUnsafe("Go")
      yield* waitUntil(() => others === 1, "the other actor had its turn")
      yield* a.stop({ mode: "drain" })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.live("two actors that send each other for ever do not keep the event loop from sockets and timers", () =>
    Effect.gen(function* () {
      const behavior = definition("T").behavior({
        initial: 0,
        on: { Go: (n, _, self) => (self.send(peer(self.key), "Go"), n) }
      })
      const refs = new Map<string, ActorRef<typeof Go>>()
      const peer = (key: string) => refs.get(key === "a" ? "b" : "a")!
      for (const key of ["a", "b"]) refs.set(key, yield* ActorSystem.spawn(behavior, key))
      peer("a").tellUnsafe("Go")
      let immediates = 0
      yield* Effect.callback<void>((resume) => {
        const again = () => (++immediates === 20 ? resume(Effect.void) : setImmediate(again))
        setImmediate(again)
      })
      expect(immediates).toBe(20)
      for (const ref of refs.values()) yield* ref.stop({ mode: "kill" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 7, sleep is free", () => {
  it.effect("an idle actor has no mailbox, no fiber, no timer and no record", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const behavior = definition("T").behavior({ initial: 0, on: { Go: (n) => n + 1 } })
      for (let i = 0; i < 100; i++) (yield* ActorSystem.spawn(behavior)).tellUnsafe("Go")
      yield* waitUntil(() => host.quiet, "all mail was handled")
      expect(host.snapshot()).toMatchObject({ finished: 100, timers: 0, running: 0 })
      for (const cell of host.system.cells()) {
        expect({ mailbox: cell.mailbox, extra: cell.extra }).toEqual({ mailbox: undefined, extra: undefined })
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one with idleAfter lets go of what its handlers' fibers ran in, and has it again when it needs it", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted({ idleAfter: 10 }).behavior, "a")
      const suspends = run(ref, () => Effect.yieldNow)
      yield* suspends
      expect(ref.cell?.extra?.handling).toBeDefined()
      yield* TestClock.adjust(10)
      expect(host.state(ref)).toBe("idle")
      expect(ref.cell?.extra?.handling).toBeUndefined()
      yield* suspends
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that runs does not rest, however long", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(scripted({ idleAfter: 10 }).behavior, "a")
      yield* run(ref, () => undefined)
      const running = yield* Effect.forkChild(run(ref, () => Effect.sleep(100)))
      yield* waitUntil(() => host.snapshot().running === 1, "it runs")
      yield* TestClock.adjust(50)
      expect(host.snapshot().byState).toMatchObject({ active: 1, idle: 0 })
      yield* TestClock.adjust(50)
      yield* Fiber.join(running)
      yield* TestClock.adjust(10)
      expect(host.snapshot().byState).toMatchObject({ active: 0, idle: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
