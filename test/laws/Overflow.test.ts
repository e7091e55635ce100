import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Dropped, MailboxFull } from "troupe"
import { Seed, TestSystem } from "troupe/testkit"

const Item = Rpc.make("Item", { payload: { from: Schema.Int, n: Schema.Int } })
const Sink = Actor.make("Sink", {
  state: Schema.Array(Schema.Tuple([Schema.Int, Schema.Int])),
  protocol: [Item, Rpc.make("All", { success: Schema.Array(Schema.Tuple([Schema.Int, Schema.Int])) }), Rpc.make("Rest")]
})
const overflows = ["fail", "suspend", "dropNewest", "dropOldest"] as const

const sink = (overflow: (typeof overflows)[number] | "stop", capacity: number) =>
  Sink.behavior({
    initial: [],
    mailbox: { capacity, overflow },
    on: {
      Item: (state, { from, n }) => [...state, [from, n] as const],
      All: (state) => Actor.reply(state),
      *Rest(state) {
        yield* Effect.sleep(5)
        return state
      }
    }
  })

const Source = Actor.make("Source", {
  state: Schema.Int,
  protocol: [Rpc.make("Send", { payload: { from: Schema.Int, count: Schema.Int } })]
})
/** Sends by `self`, in runs: staged, and held up by a full `suspend` mailbox. */
const source = (to: ActorRef<typeof Item>) =>
  Source.behavior({
    initial: 0,
    offerTimeout: "1 hour",
    on: {
      Send: (sent, { from, count }, self) => {
        for (let i = 0; i < count; i++) self.send(to, "Item", { from, n: sent + i })
        return sent + count
      }
    }
  })

const ascends = (ns: ReadonlyArray<number>): boolean => ns.every((n, i) => i === 0 || ns[i - 1]! < n)

describe("Law 2, order", () => {
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
  it.effect.each(seeds.flatMap((seed) => overflows.map((overflow) => ({ seed, overflow }))))(
    "what one sender sends to one receiver is handled in the order it was sent ($overflow, seed $seed)",
    ({ seed, overflow }) =>
      Effect.gen(function* () {
        const chance = new Seed(seed)
        const host = yield* ActorSystem
        const to = host.spawnUnsafe(sink(overflow, 4), "sink")
        const actors = [0, 1, 2].map((i) => host.spawnUnsafe(source(to), `s${i}`))
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let from = 10; from < 13; from++) {
          const producer = Effect.gen(function* () {
            for (let n = 0; n < 30; n++) {
              yield* Effect.exit(to.tell("Item", { from, n }))
              if (chance.oneIn(3)) yield* Effect.yieldNow
            }
          })
          fibers.push(yield* Effect.forkChild(producer))
        }
        for (let i = 0; i < 20; i++) {
          const from = chance.below(3)
          actors[from]!.tellUnsafe("Send", { from, count: 1 + chance.below(6) })
          if (chance.oneIn(4)) to.tellUnsafe("Rest")
          if (chance.oneIn(2)) yield* TestClock.adjust(chance.below(4))
        }
        yield* TestClock.adjust("1 second")
        for (const fiber of fibers) yield* Fiber.await(fiber)
        const all = yield* to.ask("All")
        for (const from of [0, 1, 2, 10, 11, 12]) {
          const got = all.filter((item) => item[0] === from).map((item) => item[1])
          expect([seed, from, ascends(got)]).toEqual([seed, from, true])
        }
        if (overflow === "suspend") {
          // nothing is refused: every item arrived, in order and once
          for (const from of [10, 11, 12]) expect(all.filter((item) => item[0] === from)).toHaveLength(30)
        }
        expect(all.length).toBeGreaterThan(3)
      }).pipe(Effect.provide(TestSystem.seeded(seed)))
  )

  it.effect("unstash puts mail back at the head, in arrival order", () =>
    Effect.gen(function* () {
      const Door = Actor.make("Door", {
        state: Schema.Struct({ open: Schema.Boolean, seen: Schema.Array(Schema.Int) }),
        protocol: [
          Rpc.make("Pass", { payload: { n: Schema.Int }, success: Schema.Int }),
          Rpc.make("Open"),
          Rpc.make("Seen", { success: Schema.Array(Schema.Int) })
        ]
      })
      const door = Door.behavior({
        initial: { open: false, seen: [] },
        on: {
          Pass: (state, { n }, self) => {
            if (state.open) return Actor.reply(n, { ...state, seen: [...state.seen, n] })
            self.stash()
            return Actor.noReply()
          },
          Open: (state, _, self) => {
            self.unstash()
            return { ...state, open: true }
          },
          Seen: (state) => Actor.reply(state.seen)
        }
      })
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(door, "front")
      const asked = yield* Effect.forkChild(ref.ask("Pass", { n: 1 }))
      yield* Effect.yieldNow
      ref.tellUnsafe("Pass", { n: 2 })
      ref.tellUnsafe("Open")
      ref.tellUnsafe("Pass", { n: 3 })
      expect(yield* ref.ask("Seen")).toEqual([1, 2, 3])
      expect(yield* Fiber.join(asked)).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 3, bounded", () => {
  it.effect.each(overflows)("a mailbox of 4 holds 4 messages, whatever is offered (%s)", (overflow) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(sink(overflow, 4), "sink")
      ref.tellUnsafe("Rest")
      yield* Effect.yieldNow
      for (let n = 0; n < 100; n++) ref.tellUnsafe("Item", { from: 0, n })
      expect(host.snapshot().queued).toBe(4)
      yield* TestClock.adjust(10)
      expect(host.snapshot().queued).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a message that would hold one fork too many is refused by name; the actor goes on", () =>
    Effect.gen(function* () {
      const Hoarder = Actor.make("Hoarder", {
        state: Schema.Int,
        protocol: [Rpc.make("Take", { payload: { n: Schema.Int }, success: Schema.Int })]
      })
      const hoarder = Hoarder.behavior({
        initial: 0,
        held: 3,
        on: {
          Take: (state, { n }, self) => {
            for (let i = 0; i < n; i++) self.fork(Effect.never)
            return Actor.reply(n, state + n)
          }
        }
      })
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(hoarder, "h")
      expect(yield* ref.ask("Take", { n: 3 })).toBe(3)
      expect((yield* Effect.flip(ref.ask("Take", { n: 1 })))._tag).toBe("LimitReached")
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 5, overflow is chosen, never surprising", () => {
  const filled = (overflow: (typeof overflows)[number]) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(sink(overflow, 2), "sink")
      ref.tellUnsafe("Rest")
      yield* Effect.yieldNow
      for (let n = 0; n < 2; n++) ref.tellUnsafe("Item", { from: 0, n })
      return { host, ref }
    })
  const handled = (ref: ActorRef<typeof Item>) =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const all = yield* (ref as unknown as ReturnType<typeof Sink.at>).ask("All")
      return all.map((item) => item[1])
    })

  it.effect("fail hands the message back", () =>
    Effect.gen(function* () {
      const { ref } = yield* filled("fail")
      expect(ref.tellUnsafe("Item", { from: 0, n: 2 })).toBe("full")
      const error = yield* Effect.flip(ref.tell("Item", { from: 0, n: 3 }))
      expect(error).toBeInstanceOf(MailboxFull)
      expect(error).toMatchObject({ address: "Sink/sink", tag: "Item", capacity: 2, payload: { from: 0, n: 3 } })
      expect(yield* handled(ref)).toEqual([0, 1])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("suspend lets the sender wait for room, and an interrupted one was never accepted", () =>
    Effect.gen(function* () {
      const { host, ref } = yield* filled("suspend")
      const waits = yield* Effect.forkChild(ref.tell("Item", { from: 0, n: 2 }))
      const gone = yield* Effect.forkChild(ref.tell("Item", { from: 0, n: 3 }))
      yield* Effect.yieldNow
      const { accepted } = host.snapshot()
      yield* Fiber.interrupt(gone)
      expect(host.snapshot().accepted).toBe(accepted)
      expect(ref.tellUnsafe("Item", { from: 0, n: 4 })).toBe("full")
      expect(yield* handled(ref)).toEqual([0, 1, 2])
      expect(Exit.isSuccess(yield* Fiber.await(waits))).toBe(true)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("stop ends the actor with reason overflow; the message is the sender's again", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(sink("stop", 2), "a")
      const died = yield* Effect.forkChild(ref.watch(), { startImmediately: true })
      const offers = [1, 2, 3, 4].map((n) => ref.tellUnsafe("Item", { from: 0, n }))
      expect(offers).toEqual(["accepted", "accepted", "full", "closed"])
      expect(yield* Fiber.join(died)).toEqual({ _tag: "overflow" })
      expect(host.snapshot().deadLetters).toEqual({ stopped: 2 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("dropNewest and dropOldest make dead letters with that reason, and an ask that is hit fails Dropped", () =>
    Effect.gen(function* () {
      for (const overflow of ["dropNewest", "dropOldest"] as const) {
        const host = yield* ActorSystem
        const ref = host.spawnUnsafe(sink(overflow, 2), overflow)
        ref.tellUnsafe("Rest")
        yield* Effect.yieldNow
        const asked = yield* Effect.forkChild(Effect.exit(ref.ask("All")))
        yield* Effect.yieldNow
        ref.tellUnsafe("Item", { from: 0, n: 1 })
        expect(ref.tellUnsafe("Item", { from: 0, n: 2 })).toBe("accepted")
        expect(host.snapshot().deadLetters[overflow]).toBe(1)
        if (overflow === "dropNewest") {
          const late = yield* Effect.flip(ref.ask("All"))
          expect(late).toBeInstanceOf(Dropped)
          yield* TestClock.adjust("1 second")
          expect(Exit.isSuccess(yield* Fiber.join(asked))).toBe(true)
        } else {
          const exit = yield* Fiber.join(asked)
          expect(String(exit)).toContain("Dropped")
          expect(yield* handled(ref)).toEqual([1, 2])
        }
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
