/**
 * A rate limit: two calls at once, then one every 100 ms; a line of three, and who comes then is told when to come back. An actor
 * that must not be hurried gets a stand-in, which forwards within a rate. A clock that is moved by hand, so that times are exact.
 *
 * Run: npx tsx examples/83-throttle.ts
 *
 * Expected output:
 *   call 1 at 0 ms
 *   call 2 at 0 ms
 *   call 6: no tokens for 100 ms, 3 of 3 wait
 *   call 4 gave up
 *   call 7 of ann, who has a bucket of her own, at 0 ms
 *   call 3 at 100 ms
 *   call 5 at 200 ms
 *   page 1 at 1000 ms
 *   page 2 at 1040 ms
 *   page 3 at 1080 ms
 */
import { Clock, Effect, Fiber, Layer, Schema } from "effect"
import { RateLimiter } from "effect/persistence"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { Throttle } from "troupe/actors"
import { TestSystem } from "troupe/testkit"

const api = Throttle.make("Api", { rate: 10, burst: 2, maxQueued: 3 })

/** Stands for a request. */
const call = (what: string) => Effect.map(Clock.currentTimeMillis, (at) => console.log(`${what} at ${at} ms`))

const Printer = Actor.make("Printer", {
  state: Schema.Void,
  protocol: [Rpc.make("Print", { payload: { page: Schema.Int } })]
})
const printer = Printer.behavior({ initial: undefined, on: { Print: (_, { page }) => call(`page ${page}`) } })

const program = Effect.gen(function* () {
  yield* ActorSystem.host(api.behavior) // an actor for each key, made by its first call
  const calls = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => Effect.forkChild(call(`call ${n}`).pipe(api.run("shop"))))
  yield* TestClock.adjust(0) // as far as they come
  const refused = yield* Effect.flip(call("call 6").pipe(api.run("shop")))
  if (refused._tag !== "Throttled") return yield* refused
  const { maxQueued, millis, waiting } = refused
  console.log(`call 6: no tokens for ${millis} ms, ${waiting} of ${maxQueued} wait`)
  yield* Fiber.interrupt(calls[3]!) // leaves its place to call 5, and no token is spent on it
  console.log("call 4 gave up")
  yield* call("call 7 of ann, who has a bucket of her own,").pipe(api.run("ann"))
  yield* TestClock.adjust("1 second")

  const target = yield* ActorSystem.spawn(printer, "hall")
  const front = yield* ActorSystem.spawn(Throttle.inFront(Printer, target, { rate: 25 }), "hall")
  for (const page of [1, 2, 3]) yield* front.tell("Print", { page }) // as one would tell the printer
  yield* TestClock.adjust("1 second")
})

const limiter = Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory)
const layers = Layer.merge(TestSystem.layer, limiter).pipe(Layer.provideMerge(TestClock.layer()))
await Effect.runPromise(Effect.provide(program, layers))
