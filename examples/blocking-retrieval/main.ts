/**
 * Two retrieval agents whose model calls block for 829 and 696 ms, beside a thousand agents that go on answering.
 *
 *   with threads     both calls at once: as long as the longer one, and nobody else notices
 *   without          where no thread can start (here: Node's permission model forbids them, in a child process) the calls run
 *                    on the event loop, one after the other, in everybody's way; the log says so
 *
 * Run: npx tsx examples/blocking-retrieval/main.ts [--divide 10]       the calls take 8.29 s and 6.96 s, divided by that
 *
 * Prints for both runs what was found, how long it took, whether the calls ran side by side, and how late the thousand were.
 */
import { Duration, Effect, Layer, Schema } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { ActorSystem } from "troupe"
import { Offload } from "troupe/compute"
import { beside } from "./crowd.ts"
import { retriever } from "./retriever.ts"

const { values } = parseArgs({ options: { divide: { type: "string", default: "10" } } })
const Divisor = Schema.FiniteFromString.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
const divisor = Schema.decodeUnknownSync(Divisor)(values.divide)
const questions = [
  { key: "papers", question: "what is a mailbox?", millis: 8290 / divisor },
  { key: "manuals", question: "how do I restart the pump?", millis: 6960 / divisor }
]
const passages = [
  "An actor has an address, a state and a mailbox, of which it takes one message at a time.",
  "To restart the pump, close the valve, wait for a minute, and press the green button."
]

const program = Effect.gen(function* () {
  const agents = yield* Effect.forEach(questions, ({ key }) => ActorSystem.spawn(retriever(passages), key))
  const retrieve = (scale: number) =>
    Effect.forEach(
      questions,
      ({ millis, question }, i) =>
        agents[i]!.ask("Retrieve", { question, millis: millis * scale }, { timeout: "infinity" }),
      { concurrency: "unbounded" }
    )
  yield* retrieve(0) // a thread takes some 50 ms to start
  const { inline } = yield* Offload.stats
  const { answer, text, took } = yield* beside(retrieve(1))
  const [first, second] = answer as [(typeof answer)[0], (typeof answer)[0]]
  const sideBySide = first.began < second.ended && second.began < first.ended
  const [longer, sum] = [questions[0]!.millis, questions[0]!.millis + questions[1]!.millis]
  console.log(inline ? "- without threads" : "- with threads")
  console.log(`found: ${answer.map(({ passage }) => passage.split(" ").slice(0, 4).join(" ")).join(" ... and ")} ...`)
  console.log(`took ${Math.round(Duration.toMillis(took))} ms; the longer call ${longer} ms, both ${sum} ms`)
  console.log(`side by side: ${sideBySide}`)
  console.log(text)
})

await Effect.runPromise(Effect.provide(program, Layer.provideMerge(ActorSystem.layer, Offload.layer({ threads: 2 }))))

// of a process without this model it is undefined, whatever its type says
if ((process.permission as NodeJS.ProcessPermission | undefined) === undefined) {
  const options = ["--no-warnings", "--permission", "--allow-fs-read=*"]
  const again = [...options, fileURLToPath(import.meta.url), ...process.argv.slice(2)]
  const [code] = (await once(spawn(process.execPath, again, { stdio: "inherit" }), "exit")) as [number | null]
  process.exitCode = code ?? 1 // null where a signal has ended it
}
