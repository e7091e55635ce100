/**
 * Publish and subscribe: watchers of prices, one of them busy, one that would rather be let go than miss any, and a Stream.
 *
 * Run: npx tsx examples/84-topic.ts
 *
 * Expected output:
 *   tea 399: 3 took it, 0 had no room
 *   tea 389: 3 took it, 0 had no room
 *   tea 379: 1 took it, 2 had no room
 *   tea 369: 1 took it, 1 had no room
 *   the Stream heard 399, 389, 379, 369
 *   tea 359: 1 took it, 0 had no room
 *   busy: 399, 389, 359 (2 missed before it)
 *   keen: 399, 389, let go, the first it lost is number 3
 *   who comes late hears at once: 359
 */
import { Deferred, Effect, Fiber, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { Topic } from "troupe/actors"

const prices = Topic.make("Prices", Schema.Int, { retain: 1 }) // cents

const Watcher = Actor.make("Watcher", {
  state: Schema.Array(Schema.String),
  protocol: [
    Rpc.make("Price", { payload: prices.message }), // { seq, missed, value }
    Rpc.make("Lost", { payload: Topic.Lost }),
    Rpc.make("Work", { success: Schema.Void }),
    Rpc.make("Read", { success: Schema.String })
  ]
})
let working = 0
const done = Deferred.makeUnsafe<void>()
const watcher = Watcher.behavior({
  mailbox: { capacity: 2 },
  initial: [],
  on: {
    Price: (heard, { missed, value }) => [...heard, `${value}${missed > 0 ? ` (${missed} missed before it)` : ""}`],
    Lost: (heard, { seq }) => [...heard, `let go, the first it lost is number ${seq}`],
    Work: (heard) => {
      working++
      return Effect.as(Deferred.await(done), heard) // meanwhile its mailbox fills
    },
    Read: (heard) => Actor.reply(heard.join(", "))
  }
})

const publish = (cents: number) =>
  Effect.map(prices.publish("eu", cents), ({ missed, reached }) =>
    console.log(`tea ${cents}: ${reached} took it, ${missed} had no room`)
  )
const hear = (count: number) => Stream.runCollect(Stream.take(prices.stream("eu"), count))
const list = (told: ReadonlyArray<{ readonly value: number }>) => told.map(({ value }) => value).join(", ")

const program = Effect.gen(function* () {
  yield* ActorSystem.spawn(prices.behavior, "eu")
  const [busy, keen] = yield* Effect.all([ActorSystem.spawn(watcher, "busy"), ActorSystem.spawn(watcher, "keen")])
  yield* prices.subscribe("eu", busy, "Price")
  yield* prices.subscribe("eu", keen, "Price", { lagged: "Lost" }) // rather than miss one
  const stream = yield* Effect.forkChild(hear(4))
  while ((yield* prices.at("eu").ask("Subscribers")).length < 3) yield* Effect.sleep(1)
  for (const ref of [busy, keen]) yield* ref.tell("Work")
  while (working < 2) yield* Effect.sleep(1)
  for (const cents of [399, 389, 379, 369]) yield* publish(cents)
  console.log(`the Stream heard ${list(yield* Fiber.join(stream))}`)
  yield* Deferred.succeed(done, undefined) // they read what waited
  while ((yield* prices.at("eu").ask("Subscribers")).length > 1) yield* Effect.sleep(10) // keen is told
  yield* publish(359)
  console.log(`busy: ${yield* busy.ask("Read")}`)
  console.log(`keen: ${yield* keen.ask("Read")}`)
  console.log(`who comes late hears at once: ${list(yield* hear(1))}`)
})

await Effect.runPromise(program.pipe(Effect.provide(ActorSystem.layer)))
