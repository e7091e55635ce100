/**
 * A counter: one actor, a tell and an ask.
 *
 * Run: npx tsx examples/10-hello.ts
 *
 * Expected output:
 *   clicks: 2
 */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"

// what a counter understands: a protocol of Rpcs, and the shape of its state
const Counter = Actor.make("Counter", {
  state: Schema.Struct({ count: Schema.Int }),
  protocol: [
    Rpc.make("Increment", { payload: { by: Schema.Int } }), // a tell, or an ask that answers void
    Rpc.make("Read", { success: Schema.Int }) // an ask
  ]
})

// how it behaves: (state, payload, self) => next state | Actor.reply(value, next?) | Effect of either
const counter = Counter.behavior({
  initial: { count: 0 },
  on: {
    Increment: (state, { by }) => ({ count: state.count + by }),
    Read: (state) => Actor.reply(state.count) // state unchanged
  }
})

const program = Effect.gen(function* () {
  const clicks = yield* ActorSystem.spawn(counter, "clicks")
  yield* clicks.tell("Increment", { by: 2 })
  return yield* clicks.ask("Read") // fails with AskTimeout after 5 s
})

const count = await Effect.runPromise(program.pipe(Effect.provide(ActorSystem.layer)))
console.log(`clicks: ${count}`)
