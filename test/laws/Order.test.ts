import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { describe, expect, it } from "vitest"
import { Actor, ActorSystem } from "troupe"
import { Seed, TestSystem } from "troupe/testkit"

const Item = Rpc.make("Item", { payload: { from: Schema.Int, n: Schema.Int } })
const policies = ["fail", "suspend", "dropNewest", "dropOldest"] as const

/** Ten senders to one receiver that sleeps, works and stashes at random; answers with what it handled, in order. */
const program = (seed: number, overflow: (typeof policies)[number]) =>
  Effect.gen(function* () {
    const chance = new Seed(seed)
    const handled: Array<{ readonly from: number; readonly n: number }> = []
    const receiver = Actor.make("R", { state: Schema.Int, protocol: [Item] }).behavior({
      initial: 0,
      mailbox: { capacity: 1 + chance.below(4), overflow },
      on: {
        Item: (state, item) => {
          handled.push(item)
          if (chance.oneIn(3)) return Effect.as(Effect.sleep(chance.below(4)), state)
          return state
        }
      }
    })
    const Start = Rpc.make("Start", { payload: Schema.Int })
    const ref = yield* ActorSystem.spawn(receiver, "r")
    const sender = Actor.make("S", { state: Schema.Int, protocol: [Start] }).behavior({
      initial: 0,
      offerTimeout: "Infinity",
      on: {
        Start: (n, from, self) => {
          for (let i = 0; i < 3; i++) self.send(ref, "Item", { from, n: n + i })
          if (n < 30) self.send(self.ref, "Start", from)
          return n + 3
        }
      }
    })
    for (let from = 0; from < 5; from++) (yield* ActorSystem.spawn(sender, `s${from}`)).tellUnsafe("Start", from)
    for (let from = 5; from < 10; from++) {
      const tells = Effect.forEach(
        Array.from({ length: 30 }, (_, n) => n),
        (n) => Effect.exit(ref.tell("Item", { from, n })),
        { discard: true }
      )
      yield* Effect.forkChild(tells, { startImmediately: true })
    }
    for (let i = 0; i < 60; i++) yield* TestClock.adjust(50)
    return handled
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(TestSystem.seeded(seed), Layer.merge(TestClock.layer(), Logger.layer([]))), {
      local: true
    })
  )

describe("Law 2, order", () => {
  for (const overflow of policies) {
    it(`what one sender sends is handled in the order it was sent, under overflow ${overflow}`, async () => {
      for (let seed = 1; seed <= 15; seed++) {
        const handled = await Effect.runPromise(program(seed, overflow))
        for (let from = 0; from < 10; from++) {
          const mine = handled.filter((item) => item.from === from).map((item) => item.n)
          expect({ seed, from, mine }).toEqual({ seed, from, mine: mine.toSorted((a, b) => a - b) })
          expect(new Set(mine).size).toBe(mine.length)
        }
        // nothing is refused or dropped where senders wait
        const sent = 5 * 33 + 5 * 30
        expect({ seed, n: handled.length }).toEqual({ seed, n: overflow === "suspend" ? sent : handled.length })
        expect(handled.length).toBeGreaterThan(0)
      }
    })
  }
})
