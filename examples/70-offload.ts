/**
 * Blocking work on worker threads: two searches that hold their thread for 800 and 600 ms run side by side, while an actor of
 * the same process answers; one that never ends is ended by its time-out.
 *
 * On a thread a function is called by its module and name; arguments and result are copied.
 *
 * Run: npx tsx examples/70-offload.ts
 *
 * Expected output:
 *   found cats, found dogs
 *   side by side: true
 *   an actor answered meanwhile: true
 *   "forEver" not done within 100 ms
 *   found birds
 */
import { Effect, Fiber, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { Offload } from "troupe/compute"
import type * as Blocking from "./work/blocking.ts"

const blocking = Offload.module<typeof Blocking>(new URL("./work/blocking.ts", import.meta.url))

const Found = Schema.Struct({ found: Schema.String, began: Schema.Finite, ended: Schema.Finite })
const Retriever = Actor.make("Retriever", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Search", { payload: { what: Schema.String, millis: Schema.Int }, success: Found }),
    Rpc.make("Hurry", { success: Schema.String })
  ]
})
const retriever = Retriever.behavior({
  initial: 0,
  on: {
    *Search(searches, { millis, what }) {
      const found = yield* Effect.orDie(Offload.call(blocking, "search", [what, millis]))
      return Actor.reply(found, searches + 1)
    },
    *Hurry() {
      const call = Offload.call(blocking, "forEver", [], { timeout: "100 millis" })
      const failed = yield* Effect.orDie(Effect.flip(call))
      return Actor.reply(failed.message.replace(/ of \S+:/, "").replace(/ \(.*/, ""))
    }
  }
})

const Echo = Actor.make("Echo", { state: Schema.Void, protocol: [Rpc.make("Ping", { success: Schema.String })] })
const echo = Echo.behavior({ initial: undefined, on: { Ping: () => Actor.reply("pong") } })

const program = Effect.gen(function* () {
  const cats = yield* ActorSystem.spawn(retriever, "cats")
  const dogs = yield* ActorSystem.spawn(retriever, "dogs")
  const pinged = yield* ActorSystem.spawn(echo, "pinged")

  const asks = [cats.ask("Search", { what: "cats", millis: 800 }), dogs.ask("Search", { what: "dogs", millis: 600 })]
  const searches = yield* Effect.forkChild(Effect.all(asks, { concurrency: 2 }))
  yield* pinged.ask("Ping")
  const meanwhile = searches.pollUnsafe() === undefined
  const [first, second] = (yield* Fiber.join(searches)) as [typeof Found.Type, typeof Found.Type]
  console.log(`${first.found}, ${second.found}`)
  console.log(`side by side: ${first.began < second.ended && second.began < first.ended}`)
  console.log(`an actor answered meanwhile: ${meanwhile}`)

  console.log(yield* cats.ask("Hurry"))
  console.log((yield* dogs.ask("Search", { what: "birds", millis: 1 })).found)
})

const layers = Layer.provideMerge(ActorSystem.layer, Offload.layer({ threads: 2 }))
await Effect.runPromise(Effect.provide(program, layers))
