/**
 * A thousand simulated devices, each an XState machine, for five minutes of virtual time: they report to a collector, are sent
 * commands, drop off and come back, break down and are restarted. Nothing of it is lost: what was told is what was heard.
 *
 * Run: npx tsx examples/devices/main.ts [--devices 1000] [--seconds 300] [--seed 1]      the same seed, the same lines
 *
 * Prints reports sent and received, commands and how they were answered, who dropped off and came back, and final states.
 */
import { Effect, Fiber, Layer, Logger, Random, Schema } from "effect"
import { TestClock } from "effect/testing"
import { parseArgs } from "node:util"
import { Actor, ActorSystem, Supervisor } from "troupe"
import { TestSystem } from "troupe/testkit"
import { collector, nameOf } from "./collector.ts"
import { type Counts, count, some, sum, text } from "./counts.ts"
import { device } from "./machine.ts"
import { second } from "./world.ts"

const { values } = parseArgs({
  options: {
    devices: { type: "string", default: "1000" },
    seconds: { type: "string", default: "300" },
    seed: { type: "string", default: "1" }
  }
})
const whole = (text: string, minimum: number, maximum: number): number =>
  Schema.decodeUnknownSync(Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })))(text)
const devices = whole(values.devices, 1, 100_000)
const seconds = whole(values.seconds, 1, 3600)
const seed = whole(values.seed, 0, Number.MAX_SAFE_INTEGER)

const program = Effect.gen(function* () {
  const system = yield* ActorSystem
  const hub = yield* ActorSystem.spawn(collector, "hub")
  const [told, sent]: [Counts, Counts] = [{}, {}]
  const behavior = Actor.fromMachine("Device", device, {
    input: (key) => ({ millis: 5000 + (Number(key) % 1000) * 10 }),
    onEmit: (what, self) => {
      count(told, nameOf(what))
      self.send(hub, "Hear", { device: self.key, life: self.incarnation, told: what })
    }
  })
  const fleet = yield* ActorSystem.spawn(Supervisor.make("Fleet", { strategy: "dynamic", child: { behavior } }), "all")
  const keys = Array.from({ length: devices }, (_, i) => ({ key: String(i) }))
  const all = yield* Effect.forEach(keys, (key) => fleet.ask("StartChild", key))
  const aSecond = second(all, (ref, { type, ...fields }) => {
    count(sent, type)
    return ref.tell(type, fields as never)
  })
  const states = Effect.gen(function* () {
    const asked = yield* Effect.forkChild(Effect.forEach(all, (each) => each.ask("PING"), { concurrency: "unbounded" }))
    yield* TestClock.adjust("1 second") // who is being restarted answers after that
    const counts: Counts = {}
    for (const state of yield* Fiber.join(asked)) count(counts, String(state))
    return text(some(counts))
  })

  for (let n = 0; n < seconds; n++) {
    yield* aSecond
    yield* TestClock.adjust("1 second")
  }
  console.log(`after ${seconds} s: ${yield* states}`)
  yield* TestClock.adjust("1 minute")
  console.log(`after a quiet minute: ${yield* states}`)
  yield* fleet.stop()
  const { counts, gaps } = yield* hub.ask("Totals")
  const [acknowledged, refused, left] = [some(counts, "acknowledged"), some(counts, "refused"), some(counts, "left")]
  const { BREAK, DROP, ...commands } = sent
  const back = `${counts["joined"]! - devices} of ${sum(left)}, ${system.snapshot().restarts} after a crash`
  console.log(`reports: ${told["reported"]} sent, ${counts["reported"]} received, ${gaps} out of order`)
  console.log(`all that was told: ${sum(told)} sent, ${sum(counts)} received`)
  console.log(`${sum(commands)} commands: ${text(some(commands))}; beside ${DROP} drops, ${BREAK} breaks`)
  console.log(`acknowledged ${sum(acknowledged)}: ${text(acknowledged)}`)
  console.log(`refused ${sum(refused)}: ${text(refused)}`)
  console.log(`went: ${text(left)}; came back: ${back}`)
})

// without the log, which would tell of the first few crashes in each ten seconds, and sum up the others
const layers = TestSystem.seeded(seed).pipe(Layer.provideMerge(TestClock.layer()), Layer.provideMerge(Logger.layer([])))
await Effect.runPromise(Random.withSeed(program, seed).pipe(Effect.scoped, Effect.provide(layers)))
