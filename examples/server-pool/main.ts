/**
 * Five servers of two slots each work off the same 1,000 tasks twice: pulled from a `WorkPool`, and in fixed batches.
 *
 *   pool     a worker a slot; each takes the next task the moment it is free
 *   batches  a task a slot; the next ten begin when the last of the ten before has ended
 *
 * Tasks differ much in length, as requests and jobs do (`tasks.ts`), so in a batch nine slots wait for the tenth. Utilisation is
 * the time that slots worked, of the time that they had: from the first task's begin to the last one's end, ten slots. Both are
 * measured: in the test kit's simulation, where a sleep takes no time of yours, and time passes when nothing else can go on.
 *
 * Run: npx tsx examples/server-pool/main.ts
 *
 * Prints both utilisations and durations, the least that any order could take, and what each server did.
 */
import { Clock, Effect, Schema } from "effect"
import { ActorSystem } from "troupe"
import { WorkPool } from "troupe/actors"
import { Simulation } from "troupe/testkit"
import { durations, sum } from "./tasks.ts"

const servers = 5
const slots = servers * 2
const serverOf = (slot: number): number => slot % servers

/** What a slot does with a task; here it takes its time. */
const serve = (millis: number): Effect.Effect<void> => Effect.sleep(millis)

const pool = WorkPool.make("Slots", {
  task: Schema.Int,
  result: Schema.Void,
  workers: slots,
  maxQueued: 1000,
  work: (millis) => serve(millis)
})

const pulled = Effect.fnUntraced(function* (tasks: ReadonlyArray<number>) {
  const began = yield* Clock.currentTimeMillis
  const ref = yield* ActorSystem.spawn(pool.behavior, "main")
  for (const millis of tasks) yield* ref.ask("Submit", millis)
  yield* ref.ask("Join", undefined, { timeout: "infinity" })
  const millis = (yield* Clock.currentTimeMillis) - began
  return { millis, ...(yield* ref.ask("Stats")) }
})

const inBatches = Effect.fnUntraced(function* (tasks: ReadonlyArray<number>) {
  const began = yield* Clock.currentTimeMillis
  for (let at = 0; at < tasks.length; at += slots) {
    yield* Effect.forEach(tasks.slice(at, at + slots), serve, { concurrency: slots, discard: true })
  }
  return { millis: (yield* Clock.currentTimeMillis) - began }
})

const tasks = await Effect.runPromise(durations(1000, 1))
const program = () => Effect.all([pulled(tasks), inBatches(tasks)])
const { value } = await Effect.runPromise(Simulation.run(1, program))
const [fed, batched] = value!

const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
const [work, longest] = [sum(tasks), Math.max(...tasks)]

console.log(
  `${tasks.length} tasks, ${seconds(work)} of work, the longest ${seconds(longest)}; ${servers} servers of 2 slots`
)
const busy = sum(fed.workers.map(({ busyMillis }) => busyMillis))
console.log(`pool: ${percent(busy / (slots * fed.millis))} utilised, ${seconds(fed.millis)}, ${fed.done} tasks done`)
console.log(`batches of ${slots}: ${percent(work / (slots * batched.millis))} utilised, ${seconds(batched.millis)}`)
console.log(`the least possible: ${seconds(Math.max(longest, work / slots))}`)
for (let server = 0; server < servers; server++) {
  const own = fed.workers.filter(({ index }) => serverOf(index) === server)
  const share = sum(own.map(({ busyMillis }) => busyMillis)) / (2 * fed.millis)
  console.log(`server ${server}: ${sum(own.map(({ done }) => done))} tasks, ${percent(share)} busy`)
}
