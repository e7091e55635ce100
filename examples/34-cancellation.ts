/**
 * Giving up: an ask that is no longer wanted ends the work it started, and what that work had acquired is released.
 *
 * Run: npx tsx examples/34-cancellation.ts
 *
 * Expected output:
 *   asked, and given up after 20 ms
 *     connection opened
 *   the asker: AskTimeout, the handler had begun: true
 *     connection closed
 *   state: 0
 *   committed work goes on: AskTimeout, and yet
 *   state: 1
 *   stopped while it works
 *     connection opened
 *     connection closed
 *   the asker: ActorStopped
 */
import { Effect, Fiber, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"

const Desk = Actor.make("Desk", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Work", { success: Schema.Int }),
    Rpc.make("Pay", { success: Schema.Int }).annotate(Actor.Committed, true), // not interrupted once it has begun
    Rpc.make("Read", { success: Schema.Int })
  ]
})

const connection = Effect.acquireRelease(
  Effect.sync(() => console.log("  connection opened")),
  () => Effect.sync(() => console.log("  connection closed"))
)

const desk = Desk.behavior({
  initial: 0,
  on: {
    *Work(done) {
      yield* connection // released when this handler ends, however it ends
      yield* Effect.all([Effect.sleep("1 hour"), Effect.never], { concurrency: 2 })
      return Actor.reply(done + 1, done + 1)
    },
    *Pay(done) {
      yield* Effect.sleep(400) // longer than its asker waits
      return Actor.reply(done + 1, done + 1)
    },
    Read: (done) => Actor.reply(done)
  }
})

const program = Effect.gen(function* () {
  const ref = yield* ActorSystem.spawn(desk)
  console.log("asked, and given up after 20 ms")
  const late = yield* Effect.flip(ref.ask("Work", undefined, { timeout: 20 }))
  const begun = late._tag === "AskTimeout" && late.started
  console.log(`the asker: ${late._tag}, the handler had begun: ${begun}`)
  console.log(`state: ${yield* ref.ask("Read")}`)
  const paying = yield* Effect.flip(ref.ask("Pay", undefined, { timeout: 20 }))
  console.log(`committed work goes on: ${paying._tag}, and yet`)
  console.log(`state: ${yield* ref.ask("Read")}`)
  console.log("stopped while it works")
  const asking = yield* Effect.forkChild(Effect.flip(ref.ask("Work")))
  yield* Effect.sleep(10)
  yield* ref.stop()
  console.log(`the asker: ${(yield* Fiber.join(asking))._tag}`)
})

const quiet = Layer.provideMerge(ActorSystem.layer, Logger.layer([]))
await Effect.runPromise(program.pipe(Effect.provide(quiet)))
