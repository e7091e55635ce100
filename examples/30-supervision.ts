/**
 * A child that fails is restarted; its mail survives, its state does not; out of restarts it stops, and its watcher hears.
 *
 * Run: npx tsx examples/30-supervision.ts
 *
 * Expected output:
 *   worker: 1
 *   worker: CalleeFailed
 *   worker: 1
 *   worker: CalleeFailed
 *   boss: Boss/ann/Worker/one ended: failed
 */
import { Deferred, Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"

const Work = Rpc.make("Work", { payload: { fail: Schema.Boolean }, success: Schema.Int })
const Worker = Actor.make("Worker", { state: Schema.Int, protocol: [Work] })
const worker = Worker.behavior({
  initial: 0,
  supervision: { backoff: { min: "1 millis", jitter: false }, intensity: { restarts: 1, within: "1 minute" } },
  on: {
    Work: (done, { fail }) => {
      if (fail) throw new Error("no more")
      return Actor.reply(done + 1, done + 1)
    }
  }
})

const ended = Deferred.makeUnsafe<string>()
const Boss = Actor.make("Boss", {
  state: Schema.Struct({}),
  protocol: [Rpc.make("Hire", { success: Worker.ref })]
})
const boss = Boss.behavior({
  initial: {},
  on: {
    Hire: (_, __, self) => {
      const child = self.spawn(worker, "one")
      self.watch(child)
      return Actor.reply(child)
    }
  },
  onTerminated: (_, { ref, reason }) =>
    void Deferred.doneUnsafe(ended, Effect.succeed(`${ref.address} ended: ${reason._tag}`))
})

const program = Effect.gen(function* () {
  const ann = yield* ActorSystem.spawn(boss, "ann")
  const one = yield* ann.ask("Hire")
  for (const fail of [false, true, false, true]) {
    const answer = yield* one.ask("Work", { fail }).pipe(Effect.catch((error) => Effect.succeed(error._tag)))
    console.log(`worker: ${answer}`)
  }
  console.log(`boss: ${yield* Deferred.await(ended)}`)
})

const quiet = Layer.provideMerge(ActorSystem.layer, Logger.layer([]))
await Effect.runPromise(program.pipe(Effect.provide(quiet)))
