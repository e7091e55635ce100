/**
 * Price comparison: an actor that asks many suppliers over HTTP, at once and within limits (`FanOut`, `HttpPool`).
 *
 * 1. 30 suppliers that take 400 ms each, one after another: 12 s; then all at once.
 * 2. 500 suppliers that take 40 ms each, 100 asked at a time through a pool of 20 connections: never more than 20 requests on the
 *    wire, as the suppliers count them. Three are broken: they are reported by name, and the others' prices are there.
 * 3. 10 suppliers, one of them too slow: what came by the deadline, and who was late.
 * 4. All is closed, and no socket is left, here or there.
 * Run: npx tsx examples/price-comparison/main.ts [--delay 400] [--deadline 800]
 *
 * Prints for each how many prices came in how long, what was on the wire at the most, who failed and who was late.
 */
import { Effect, Layer, Schedule } from "effect"
import { setImmediate } from "node:timers/promises"
import { parseArgs } from "node:util"
import { ActorSystem } from "troupe"
import { HttpPool, type HttpPoolOptions } from "troupe/actors"
import { comparison, inWords } from "./comparison.ts"
import { open, type Supplier } from "./suppliers.ts"

const { values } = parseArgs({ options: { delay: { type: "string" }, deadline: { type: "string" } } })
const delayMillis = Number(values.delay ?? 400)
const deadlineMillis = Number(values.deadline ?? 800)

type Asked = { suppliers: ReadonlyArray<Supplier>; atOnce: number; deadlineMillis: number; pool: HttpPoolOptions }

/** A system and a pool of its own. */
const compare = ({ pool, ...asked }: Asked) =>
  Effect.gen(function* () {
    const ref = yield* ActorSystem.spawn(comparison, "shoes")
    const began = performance.now()
    const report = yield* ref.ask("Compare", { item: "shoes", ...asked }, { timeout: "infinity" })
    const seconds = (performance.now() - began) / 1000
    return { report, seconds, cheapest: yield* ref.ask("Cheapest") }
  }).pipe(Effect.provide(Layer.provideMerge(ActorSystem.layer, HttpPool.layer(pool)), { local: true }))

const thirty = Effect.gen(function* () {
  const { counts, suppliers } = yield* open(30, delayMillis)
  console.log(`30 suppliers, ${delayMillis} ms each`)
  for (const atOnce of [1, 30]) {
    const asked = { suppliers, atOnce, deadlineMillis: 120_000, pool: { maxConnections: atOnce } }
    const { cheapest, report, seconds } = yield* compare(asked)
    const how = atOnce === 1 ? "one after another" : "all at once"
    console.log(`  ${how}: ${report.answers.length} prices in ${seconds.toFixed(2)} s, the cheapest ${cheapest?.price}`)
  }
  return counts
})

/** Prices, and what became of the others, by name. */
const show = ({ cheapest, report, seconds }: Effect.Success<ReturnType<typeof compare>>): void => {
  const best = `the cheapest ${cheapest?.price} from ${cheapest?.from}`
  console.log(`  ${report.answers.length} prices in ${seconds.toFixed(2)} s, ${best}`)
  for (const { address, cause } of report.failures) console.log(`  failed: ${address}, ${inWords(cause)}`)
  for (const address of report.late) console.log(`  late: ${address}`)
}

const fiveHundred = Effect.gen(function* () {
  const { counts, suppliers } = yield* open(500, 40, { 100: "failing", 200: "resetting", 300: "garbage" })
  console.log("500 suppliers, 40 ms each, 100 at a time through 20 connections")
  const retry = { schedule: Schedule.exponential(10).pipe(Schedule.upTo({ times: 2 })) }
  show(yield* compare({ suppliers, atOnce: 100, deadlineMillis: 60_000, pool: { maxConnections: 20, retry } }))
  console.log(`  on the wire at the most: ${counts.mostRequests} requests`)
  return counts
})

const ten = Effect.gen(function* () {
  const { counts, suppliers } = yield* open(10, 40, { 4: "slow" })
  console.log(`10 suppliers, ${deadlineMillis} ms to answer`)
  show(yield* compare({ suppliers, atOnce: 10, deadlineMillis, pool: {} }))
  return counts
})

const counts = await Effect.runPromise(Effect.forEach([thirty, fiveHundred, ten], (part) => Effect.scoped(part)))
const there = () => counts.reduce((sum, { sockets }) => sum + sockets, 0)
const here = () => process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCP")).length
// what Node has closed is gone in one of the loop's next turns
for (let turn = 0; turn < 100 && there() + here() > 0; turn++) await setImmediate()
console.log(`sockets left: ${there()} at the suppliers, ${here()} in this process`)
