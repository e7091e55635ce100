/**
 * Price comparison: an actor that asks many suppliers over HTTP, at once and within limits (`FanOut`, `HttpPool`).
 *
 * 1. 30 suppliers that take 400 ms each, one after another: 12 s; then all at once.
 * 2. 500 suppliers that take 40 ms each, 100 asked at a time through a pool of 20 connections: never more than 20 requests on the
 *    wire, as the suppliers count them. Four are broken: they are reported by name, and the others' prices are there.
 * 3. All is closed: no socket is left, here or there.
 *
 * Run: npx tsx examples/price-comparison/main.ts [--delay 400] [--deadline 4000]
 *
 * Prints for each how many prices came in how long, what was on the wire at the most, who failed and who was late; the slow one
 * is waited for until the deadline.
 */
import { Effect, Layer, Schedule } from "effect"
import { parseArgs } from "node:util"
import { ActorSystem } from "troupe"
import { HttpPool, type HttpPoolOptions } from "troupe/actors"
import { comparison, inWords } from "./comparison.ts"
import { open, type Supplier } from "./suppliers.ts"

const { values } = parseArgs({ options: { delay: { type: "string" }, deadline: { type: "string" } } })
const delayMillis = Number(values.delay ?? 400)
const deadlineMillis = Number(values.deadline ?? 4000)

interface Ask {
  readonly suppliers: ReadonlyArray<Supplier>
  readonly atOnce: number
  readonly deadlineMillis: number
  readonly pool: HttpPoolOptions
}

/** A system and a pool for one comparison. */
const compare = ({ pool, ...asked }: Ask) =>
  Effect.gen(function* () {
    const ref = yield* ActorSystem.spawn(comparison, "shoes")
    const began = performance.now()
    const report = yield* ref.ask("Compare", { item: "shoes", ...asked }, { timeout: "infinity" })
    const seconds = (performance.now() - began) / 1000
    return { report, seconds, cheapest: yield* ref.ask("Cheapest") }
  }).pipe(Effect.provide(Layer.provideMerge(ActorSystem.layer, HttpPool.layer(pool)), { local: true }))

const thirty = Effect.gen(function* () {
  const { suppliers } = yield* open(30, delayMillis)
  console.log(`30 suppliers, ${delayMillis} ms each`)
  for (const atOnce of [1, 30]) {
    const asked = { suppliers, atOnce, deadlineMillis: 120_000, pool: { maxConnections: atOnce } }
    const { cheapest, report, seconds } = yield* compare(asked)
    const how = atOnce === 1 ? "one after another" : "all at once"
    console.log(`  ${how}: ${report.answers.length} prices in ${seconds.toFixed(2)} s, the cheapest ${cheapest?.price}`)
  }
})

const fiveHundred = Effect.gen(function* () {
  const habits = { 100: "failing", 200: "resetting", 300: "garbage", 400: "slow" } as const
  const { counts, suppliers } = yield* open(500, 40, habits)
  console.log("500 suppliers, 40 ms each, 100 at a time through 20 connections")
  const retry = { schedule: Schedule.exponential(10).pipe(Schedule.upTo({ times: 2 })) }
  const asked = { suppliers, atOnce: 100, deadlineMillis, pool: { maxConnections: 20, retry } }
  const { cheapest, report, seconds } = yield* compare(asked)
  const from = `${cheapest?.price} from ${cheapest?.from}`
  console.log(`  ${report.answers.length} prices by the deadline (${seconds.toFixed(2)} s), the cheapest ${from}`)
  console.log(`  on the wire at the most: ${counts.mostRequests} requests`)
  for (const { address, cause } of report.failures) console.log(`  failed: ${address}, ${inWords(cause)}`)
  for (const address of report.late) console.log(`  late: ${address}`)
  return counts
})

await Effect.runPromise(Effect.scoped(thirty))
const counts = await Effect.runPromise(Effect.scoped(fiveHundred))
// Node tells of what it has closed in the loop's next turns
await new Promise((resolve) => setTimeout(resolve, 10))
const here = process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length
console.log(`sockets left: ${counts.sockets} at the suppliers, ${here} in this process`)
