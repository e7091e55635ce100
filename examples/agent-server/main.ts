/**
 * Ten thousand long-lived agents on WebSockets: greeted, asleep, kept alive by heartbeats, woken one by one, asked how they are,
 * disconnected. What an agent costs asleep, and what waking one takes, alone and beside an agent that never stops computing.
 *
 * Run: npx tsx examples/agent-server/main.ts [--agents 10000] [--heartbeat 10]       heartbeat: seconds between pings
 *
 * Prints counts (connected, asleep, woken, handled, left behind); memory an agent, of this process, which has the agents and
 * their ends of the sockets, after a forced collection; and how long after it was due an echo was back at its client.
 */
import { Effect, Layer, Schema, Stream } from "effect"
import { parseArgs } from "node:util"
import { ActorSystem } from "troupe"
import { Gateway } from "troupe/gateway"
import { Assistant, assistant, busy, busyMicros } from "./agents.ts"
import { crew } from "./crew.ts"
import { each, memory, percentiles } from "./measure.ts"

const { values } = parseArgs({
  options: { agents: { type: "string", default: "10000" }, heartbeat: { type: "string", default: "10" } }
})
const number = (text: string, minimum: number, maximum: number): number =>
  Schema.decodeUnknownSync(Schema.FiniteFromString.check(Schema.isBetween({ minimum, maximum })))(text)
const agents = Math.round(number(values.agents, 1, 16_384))
const heartbeat = number(values.heartbeat, 0.1, 60) * 1000
const times = Math.min(1000, agents)

const program = Effect.gen(function* () {
  const system = yield* ActorSystem
  const gateway = yield* Gateway
  const tell = yield* crew
  let woken = 0
  const count = Stream.runForEach(system.changes, ({ from }) => Effect.sync(() => void (from === "idle" && woken++)))
  yield* Effect.forkScoped(count)
  const asleep = Effect.gen(function* () {
    while (system.snapshot().byState.idle < agents) yield* Effect.sleep(100)
    woken = 0
  })
  const wake = Effect.gen(function* () {
    yield* asleep
    const latencies = yield* tell({ do: "wake", times })
    yield* Effect.sleep(100) // the stream of steps is a little behind
    return `${woken} of ${times} woken by an echo, back after ${percentiles(latencies)}`
  })

  const empty = memory()
  for (let i = 0; i < agents; i++) yield* Assistant.at(`a${i}`).ask("Hi", { name: "host" })
  yield* asleep
  console.log(`${agents} agents asleep: each ${each(empty, memory(), agents)}`)
  const greeted = yield* tell({ do: "connect", url: gateway.url, clients: agents })
  yield* asleep
  const { byState, timers } = system.snapshot()
  const { connections } = gateway.stats()
  console.log(`${connections} connected, ${greeted} greeted, ${byState.idle} asleep again, timers: ${timers}`)
  console.log(`with its connection each ${each(empty, memory(), agents)}`)
  const beats = yield* tell({ do: "beHeard" })
  console.log(`${beats} heartbeats answered, at least one of each; ${woken} woken by them`)
  console.log(`alone: ${yield* wake}`)

  const grind = yield* ActorSystem.spawn(busy, "grind")
  for (let n = 0; n < 500; n++) yield* grind.tell("Compute")
  const beside = yield* wake
  console.log(`beside one that computed ${yield* grind.ask("Enough")} times ${busyMicros} us: ${beside}`)
  yield* grind.stop({ mode: "drain" })

  const { closed, handled, sent } = yield* tell({ do: "leave" })
  while (system.snapshot().actors > 0 || gateway.stats().connections > 0) yield* Effect.sleep(10)
  console.log(`${sent + agents} messages sent, ${handled} handled; ${closed} disconnected`)
  const { actors, deadLetters, queued, running } = system.snapshot()
  const left = { agents: actors, connections: gateway.stats().connections, queued, running }
  console.log(
    `left: ${JSON.stringify(left)}; lost: ${JSON.stringify(deadLetters)}; ${system.imbalances().length} imbalances`
  )
})

const gateway = Gateway.layer({ port: 0, agents: [assistant], heartbeat })
const layers = gateway.pipe(Layer.provideMerge(ActorSystem.layer))
await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layers)))
