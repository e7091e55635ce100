/**
 * Testing an actor: its behaviour alone, without a system; then in a system, beside a probe, in virtual time.
 *
 * Run: npx tsx examples/40-testing.ts
 *
 * Expected output:
 *   alone, stock 3: Send Line to Ledger/main
 *   alone, stock 3: refused true, and nothing was sent
 *   in a system: sold 2
 *   in a system: closing
 *   at 3600000 ms by the test clock
 */
import { Clock, Effect, Equal, Exit, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { BehaviorStub, TestProbe, TestSystem } from "troupe/testkit"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}

const Line = Rpc.make("Line", { payload: { text: Schema.String } })
const Ledger = Actor.make("Ledger", { state: Schema.Void, protocol: [Line] })
const Shop = Actor.make("Shop", {
  state: Schema.Struct({ stock: Schema.Int }),
  protocol: [Rpc.make("Sell", { payload: { count: Schema.Int }, error: OutOfStock }), Rpc.make("Close")]
})

const shop = (ledger: ActorRef<typeof Line>) =>
  Shop.behavior({
    initial: { stock: 5 },
    on: {
      Sell: ({ stock }, { count }, self) => {
        self.send(ledger, "Line", { text: `sold ${count}` })
        self.timers.once("close", "1 hour", "Close")
        return count > stock ? Effect.fail(new OutOfStock({ left: stock })) : { stock: stock - count }
      },
      Close: (state, _, self) => {
        self.send(ledger, "Line", { text: "closing" })
        return state
      }
    }
  })

// alone: one message in, then look at the state, the answer and what the turn did through `self`
const stub = BehaviorStub.make(shop(Ledger.at("main")))
stub.send("Sell", { count: 2 })
const [sent] = stub.effects
if (sent?._tag === "Send")
  console.log(`alone, stock ${stub.state.stock}: ${sent._tag} ${sent.tag} to ${sent.to.address}`)
const refused = Equal.equals(stub.send("Sell", { count: 4 }), Exit.fail(new OutOfStock({ left: 3 })))
console.log(`alone, stock ${stub.state.stock}: refused ${refused}, and ${stub.effects.length || "nothing"} was sent`)

// in a system: a probe is an actor that the test owns; when the system stops, books and leaks are checked
const program = Effect.gen(function* () {
  const probe = yield* TestProbe.make(Ledger)
  const corner = yield* ActorSystem.spawn(shop(probe.ref), "corner")
  yield* corner.tell("Sell", { count: 2 })
  console.log(`in a system: ${(yield* probe.expect("Line")).text}`)
  yield* probe.expectNone("59 minutes") // lets them pass
  console.log(`in a system: ${(yield* probe.within("1 minute", probe.expect("Line"))).text}`)
  console.log(`at ${yield* Clock.currentTimeMillis} ms by the test clock`)
  yield* corner.stop()
  yield* probe.expectTerminated(corner, "normal")
})
await Effect.runPromise(program.pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, TestClock.layer()))))
