/**
 * A supervision tree: orders depend on stock, so they go down and come back with it; prices beside them never notice.
 *
 * Run: npx tsx examples/32-supervisor.ts
 *
 * Expected output:
 *   start stock
 *   start orders
 *   start prices
 *   -- stock fails
 *   start stock
 *   start orders
 *   -- stock fails again: one too many, its supervisor fails and is started over by its own
 *   stop orders: shutdown
 *   stop stock: failed
 *   start stock
 *   start orders
 *   -- the market stops
 *   stop prices: shutdown
 *   stop orders: shutdown
 *   stop stock: shutdown
 */
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Supervisor } from "troupe"

const Part = Actor.make("Part", {
  state: Schema.Undefined,
  protocol: [Rpc.make("Fail"), Rpc.make("Ping", { success: Schema.Void })]
})
const part = (name: string) =>
  Part.behavior({
    initial: () => {
      console.log(`start ${name}`)
      return undefined
    },
    on: {
      Fail: () => {
        throw new Error("told to")
      },
      Ping: () => Actor.reply(undefined)
    },
    onStop: (_, why) => console.log(`stop ${name}: ${why._tag}`)
  })

// started from left to right, stopped from right to left
const shop = Supervisor.make("Shop", {
  strategy: "rest_for_one",
  intensity: { restarts: 1, within: "5 seconds" },
  children: [
    { id: "stock", behavior: part("stock") },
    { id: "orders", behavior: part("orders"), shutdown: "10 seconds" }
  ]
})
const market = Supervisor.make("Market", {
  strategy: "one_for_one",
  children: [
    { id: "shop", behavior: shop }, // a supervisor is a behaviour: it nests
    { id: "prices", behavior: part("prices"), restart: "transient" }
  ]
})

const program = Effect.gen(function* () {
  const root = yield* ActorSystem.spawn(market, "main")
  const [first] = yield* root.ask("WhichChildren") // answered once all have started
  const stock = Part.at("stock", first!.ref)
  const orders = Part.at("orders", first!.ref)
  for (const what of ["fails", "fails again: one too many, its supervisor fails and is started over by its own"]) {
    console.log(`-- stock ${what}`)
    yield* stock.tell("Fail")
    yield* Effect.sleep(20)
    yield* orders.ask("Ping") // the same ref: a restart is no death
  }
  console.log("-- the market stops")
  yield* root.stop()
})

const quiet = Layer.provideMerge(ActorSystem.layer, Logger.layer([]))
await Effect.runPromise(program.pipe(Effect.provide(quiet)))
