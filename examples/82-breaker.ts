/**
 * A circuit breaker: a shop that keeps failing is left alone for a while, then tried with one call; a customer's mistake is no
 * failure of the shop's. A clock that is moved by hand, so that times are exact.
 *
 * Run: npx tsx examples/82-breaker.ts
 *
 * Expected output:
 *   [closed]
 *   order 1: Refused
 *   order 2: Down
 *   order 3: Down
 *   [open until 10000 ms, 2 of 2 failed]
 *   order 4: BreakerOpen for 10000 ms
 *   [halfOpen]
 *   order 5: BreakerOpen for 30000 ms
 *   order 6: Down
 *   [open until 31000 ms, 1 of 1 failed]
 *   [halfOpen]
 *   order 7: sold
 *   [closed]
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { Breaker } from "troupe/actors"
import { TestSystem } from "troupe/testkit"

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}
class Down extends Schema.TaggedError<Down>()("Down", {}) {}
const Mood = Schema.Literals(["well", "picky", "down", "slow"])
const Shop = Actor.make("Shop", {
  state: Schema.Void,
  protocol: [Rpc.make("Buy", { payload: { mood: Mood }, success: Schema.String, error: Schema.Union([Refused, Down]) })]
})
const shop = Shop.behavior({
  initial: undefined,
  on: {
    *Buy(_, { mood }) {
      if (mood === "slow") yield* Effect.sleep("1 second")
      if (mood === "picky") return yield* new Refused()
      if (mood !== "well") return yield* new Down()
      return Actor.reply("sold")
    }
  }
})

const isFailure = (error: { readonly _tag: string }) => error._tag !== "Refused"
const shops = Breaker.make("Shops", { window: 2, isFailure }) // two failures in a row open it

const program = Effect.gen(function* () {
  const corner = yield* ActorSystem.spawn(shop, "corner")
  yield* ActorSystem.host(shops.behavior) // a circuit for each key
  const order = (n: number, mood: typeof Mood.Type) =>
    corner.ask("Buy", { mood }).pipe(
      shops.call("corner"),
      Effect.catch((error) => Effect.succeed(`${error._tag}${"millis" in error ? ` for ${error.millis} ms` : ""}`)),
      Effect.map((answer) => console.log(`order ${n}: ${answer}`)),
      Effect.andThen(TestClock.adjust(0)) // whoever listens hears what came of it
    )
  const changes = Stream.runForEach(shops.at("corner").ask("Changes"), ({ counted, due, failures, state }) =>
    Effect.sync(() =>
      console.log(`[${state}${due === undefined ? "" : ` until ${due} ms, ${failures} of ${counted} failed`}]`)
    )
  )
  yield* Effect.forkChild(changes)
  yield* TestClock.adjust(0)
  yield* order(1, "picky")
  yield* order(2, "down")
  yield* order(3, "down")
  yield* order(4, "well")
  yield* TestClock.adjust("10 seconds")
  yield* Effect.forkChild(order(6, "slow"))
  yield* TestClock.adjust(0)
  yield* order(5, "well") // one probes already
  yield* TestClock.adjust("21 seconds")
  yield* order(7, "well")
})

await Effect.runPromise(Effect.provide(program, Layer.provideMerge(TestSystem.layer, TestClock.layer())))
