/**
 * A turn is atomic: what a handler sends through `self` leaves when it succeeds, and not at all when it fails.
 *
 * Run: npx tsx examples/20-staging.ts
 *
 * Expected output:
 *   sold 3 of 5
 *   refused: only 2 left
 *   CalleeFailed
 *   the ledger has: sold 3
 */
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem } from "troupe"

const Entry = Rpc.make("Entry", { payload: { text: Schema.String } })
const Ledger = Actor.make("Ledger", {
  state: Schema.Array(Schema.String),
  protocol: [Entry, Rpc.make("All", { success: Schema.Array(Schema.String) })]
})
const ledger = Ledger.behavior({
  initial: [],
  on: {
    Entry: (state, { text }) => [...state, text],
    All: (state) => Actor.reply(state)
  }
})

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
const Shop = Actor.make("Shop", {
  state: Schema.Struct({ stock: Schema.Int }),
  protocol: [
    Rpc.make("Sell", { payload: { count: Schema.Int }, success: Schema.String, error: OutOfStock }),
    Rpc.make("Break")
  ]
})

const shop = (entries: ActorRef<typeof Entry>) =>
  Shop.behavior({
    initial: { stock: 5 },
    on: {
      Sell: ({ stock }, { count }, self) => {
        self.send(entries, "Entry", { text: `sold ${count}` }) // staged
        if (count > stock) return Effect.fail(new OutOfStock({ left: stock })) // an answer: the send is discarded
        return Actor.reply(`sold ${count} of ${stock}`, { stock: stock - count })
      },
      Break: (_state, _payload, self) => {
        self.send(entries, "Entry", { text: "never written" })
        throw new Error("the till is stuck") // a failure: discarded too, and the supervisor restarts the shop
      }
    }
  })

const program = Effect.gen(function* () {
  const entries = yield* ActorSystem.spawn(ledger, "main")
  const corner = yield* ActorSystem.spawn(shop(entries), "corner")
  console.log(yield* corner.ask("Sell", { count: 3 }))
  const refused = corner.ask("Sell", { count: 3 }).pipe(Effect.catchTag("OutOfStock", (e) => Effect.succeed(e)))
  const answer = yield* refused
  if (typeof answer !== "string") console.log(`refused: only ${answer.left} left`)
  console.log((yield* Effect.flip(corner.ask("Break")))._tag)
  console.log(`the ledger has: ${(yield* entries.ask("All")).join(", ")}`)
})

const quiet = Layer.provideMerge(ActorSystem.layer, Logger.layer([])) // the failure's report goes to the log
await Effect.runPromise(program.pipe(Effect.provide(quiet)))
