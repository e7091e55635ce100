/** A thousand other agents, each asked four times a second; how late each answer was counts from when its question was due. */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem } from "troupe"

const Ping = Rpc.make("Ping", { success: Schema.Int })
const Clerk = Actor.make("Clerk", { state: Schema.Int, protocol: [Ping] })
const clerk = Clerk.behavior({ initial: 0, on: { Ping: (pings) => Actor.reply(pings + 1, pings + 1) } })

const clerks = 1000
const periodMillis = 250

const at = (sorted: ReadonlyArray<number>, share: number): string =>
  (sorted[Math.ceil(sorted.length * share) - 1] ?? 0).toFixed(1)

/** Asks them for as long as `work` takes; every question that was due by its end is answered. */
export const beside = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const refs = yield* Effect.forEach(Array.from({ length: clerks }), () => ActorSystem.spawn(clerk))
    const began = performance.now() + periodMillis // to begin a thousand fibers takes a while by itself
    const late: Array<number> = []
    let due = 0
    let end = Number.POSITIVE_INFINITY
    const asking = (ref: ActorRef<typeof Ping>, i: number) =>
      Effect.gen(function* () {
        // each at a time of its own
        for (let at = began + (i * periodMillis) / clerks; at < end; at += periodMillis) {
          yield* Effect.sleep(Math.max(0, Math.ceil(at - performance.now())))
          if (at >= end) return
          due++
          yield* ref.ask("Ping", undefined, { timeout: "infinity" })
          late.push(performance.now() - at)
        }
      })
    const all = Effect.forEach(refs, asking, { concurrency: "unbounded", discard: true })
    const timed = Effect.tap(Effect.timed(work), () => Effect.sync(() => (end = performance.now())))
    const [, [took, answer]] = yield* Effect.all([all, Effect.delay(timed, periodMillis)], { concurrency: 2 })
    const sorted = late.toSorted((a, b) => a - b)
    const figures = `p50 ${at(sorted, 0.5)} ms, p99 ${at(sorted, 0.99)} ms, the last ${at(sorted, 1)} ms`
    return {
      took,
      answer,
      text: `${refs.length} agents answered ${late.length} of ${due} questions: ${figures} after they were due`
    }
  })
