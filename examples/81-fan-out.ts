/**
 * Asking many: a quorum of replicas, the first mirror to answer, and whatever came in time. Who is not needed any more is
 * interrupted, and says so here; who failed or was late is reported by address.
 *
 * Run: npx tsx examples/81-fan-out.ts
 *
 * Expected output:
 *   stored by two: Replica/fast, Replica/steady
 *   first: Replica/fast
 *   in time: Replica/fast, Replica/steady; failed: Replica/broken (ReadOnly); late: Replica/stuck
 *   interrupted meanwhile: Replica/steady, Replica/stuck
 *   impossible: 0 answers, 1 failed
 */
import { Cause, Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { FanOut } from "troupe/actors"

class ReadOnly extends Schema.TaggedError<ReadOnly>()("ReadOnly", {}) {}

const Put = Rpc.make("Put", { payload: { value: Schema.String }, success: Schema.Void, error: ReadOnly })
const Replica = Actor.make("Replica", { state: Schema.NullOr(Schema.String), protocol: [Put] })
const interrupted = new Set<string>()
const replica = Replica.behavior({
  initial: null,
  on: {
    *Put(_, { value }, self) {
      if (self.key === "broken") return yield* new ReadOnly({})
      const slow = self.key === "stuck" ? Effect.never : Effect.sleep(self.key === "fast" ? 1 : 50)
      yield* Effect.onInterrupt(slow, () => Effect.sync(() => interrupted.add(self.toString())))
      return Actor.reply(undefined, value)
    }
  }
})

const names = (list: ReadonlyArray<{ readonly address: string }>) => list.map(({ address }) => address).join(", ")

const program = Effect.gen(function* () {
  const refs = yield* Effect.forEach(["stuck", "fast", "steady", "broken"], (key) => ActorSystem.spawn(replica, key))
  const put = (ref: (typeof refs)[number]) => ref.ask("Put", { value: "news" }, { timeout: "infinity" })

  const stored = yield* FanOut.quorum(2, refs, put)
  console.log(`stored by two: ${names(stored.answers)}`)

  const first = yield* FanOut.first(refs, put)
  console.log(`first: ${names(first.answers)}`)

  const { answers, failures, late } = yield* FanOut.inTime(refs, put, { deadline: "1 second" })
  const failed = failures.map(({ address, cause }) => `${address} (${(Cause.squash(cause) as ReadOnly)._tag})`)
  console.log(`in time: ${names(answers)}; failed: ${failed.join(", ")}; late: ${late.join(", ")}`)

  console.log(`interrupted meanwhile: ${[...interrupted].toSorted().join(", ")}`)

  // one of them is broken: all four cannot be had, and that is known before the others have answered
  const error = yield* Effect.flip(FanOut.all(refs, put))
  if (error._tag === "FanOutUnsatisfied") {
    console.log(`${error.why}: ${error.report.answers.length} answers, ${error.report.failures.length} failed`)
  }
})

await Effect.runPromise(Effect.provide(program, ActorSystem.layer))
