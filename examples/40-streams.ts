/**
 * A streamed reply: the handler answers with a Stream and its turn ends; then either end may end the other.
 *
 * Run: npx tsx examples/40-streams.ts
 *
 * Expected output:
 *   downloaded 3 of 3
 *   watched: 1, 2, 3
 *   watches left: 0
 *   the job has stopped: ActorStopped
 */
import { Effect, Fiber, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"

const Job = Actor.make("Job", {
  state: Schema.Struct({ step: Schema.Int }),
  protocol: [
    Rpc.make("Download", { payload: { parts: Schema.Int }, success: Schema.String, stream: true }),
    Rpc.make("Watch", { success: Schema.Int, stream: true }),
    Rpc.make("Step", { success: Schema.Int })
  ]
})

let watches = 0
const job = Job.behavior({
  initial: { step: 0 },
  on: {
    Download: (_state, { parts }) => Stream.map(Stream.range(1, parts), (part) => `${part} of ${parts}`),
    Watch: (state, _payload, self) => {
      watches++
      // run by a fiber of the job, after this turn: it changes state only by messages
      const steps = Stream.fromEffectRepeat(Effect.delay(self.ask(self.ref, "Step"), "1 millis")).pipe(
        Stream.orDie,
        Stream.ensuring(Effect.sync(() => watches--))
      )
      return Actor.reply(steps, state)
    },
    Step: ({ step }) => Actor.reply(step + 1, { step: step + 1 })
  }
})

const program = Effect.gen(function* () {
  const nightly = yield* ActorSystem.spawn(job, "nightly")
  const parts = yield* Stream.runCollect(nightly.ask("Download", { parts: 3 }))
  console.log(`downloaded ${parts.at(-1)}`)
  // a consumer that has enough ends the producer, and its finalizers run
  const three = yield* Stream.runCollect(Stream.take(nightly.ask("Watch"), 3))
  console.log(`watched: ${three.join(", ")}`)
  while (watches > 0) yield* Effect.sleep("1 millis")
  console.log(`watches left: ${watches}`)
  const last = yield* Effect.forkChild(Effect.flip(Stream.runDrain(nightly.ask("Watch"))))
  yield* Effect.sleep("5 millis")
  yield* nightly.stop() // ends the stream of whoever still watches
  console.log(`the job has stopped: ${(yield* Fiber.join(last))._tag}`)
})

await Effect.runPromise(program.pipe(Effect.provide(ActorSystem.layer)))
