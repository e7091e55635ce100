/**
 * Searches many random worlds for one that breaks a law; the same program as `World.test.ts`.
 *
 * npm run explore -- --runs 100000                 so many seeds, from 1 on
 * npm run explore -- --runs 1000 --seed 5000       others
 * npm run explore -- --seconds 60                  as many as begin within a minute; without --runs no other bound
 * npm run explore -- --replay t1.Bk9y...           a printed schedule, or a seed, with its whole trace
 *
 * A failure is printed with seed, shrunk schedule and trace; the search goes on behind it, for `--failures` of them (5).
 * Exit status 1 when there was one.
 */
import { parseArgs } from "node:util"
import { Effect, Exit } from "effect"
import { Lifecycle } from "troupe"
import { Simulation } from "troupe/testkit"
import { world } from "./World.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string" },
    seed: { type: "string", default: "1" },
    seconds: { type: "string" },
    rounds: { type: "string", default: "32" },
    failures: { type: "string", default: "5" },
    shrink: { type: "string", default: "1000" },
    replay: { type: "string" }
  }
})

const whole = (name: string, text: string): number => {
  const n = Number(text)
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name}: ${text} is not a whole number`)
  return n
}

const program = world({ rounds: whole("rounds", values.rounds) })

const errorOf = (exit: Exit.Failure<unknown, Simulation.SimulationFailed>): Simulation.SimulationFailed => {
  const reason = exit.cause.reasons[0]
  if (reason?._tag === "Fail") return reason.error
  throw new Error("the search itself has failed", { cause: exit.cause })
}

const replay = async (text: string): Promise<boolean> => {
  const source = text.startsWith("t1.") ? text : whole("replay", text)
  const exit = await Effect.runPromiseExit(Simulation.run(source, program))
  if (Exit.isSuccess(exit)) {
    console.log(exit.value.trace.join("\n"))
    console.log(`holds: ${exit.value.turns} turns`)
    return true
  }
  const failed = errorOf(exit)
  console.log(failed.trace.join("\n"))
  console.log(failed.message)
  return false
}

const search = async (): Promise<boolean> => {
  const limit = values.runs === undefined ? Number.MAX_SAFE_INTEGER : whole("runs", values.runs)
  const millis = values.seconds === undefined ? Number.POSITIVE_INFINITY : 1000 * whole("seconds", values.seconds)
  const bounded = Number.isFinite(limit) || Number.isFinite(millis)
  const most = bounded ? limit : 1000
  const first = whole("seed", values.seed)
  const began = performance.now()
  const sum = { runs: 0, turns: 0, steps: 0, actors: 0 }
  const visited = new Set<string>()
  const failures: Array<Simulation.SimulationFailed> = []
  let reported = began
  const onRun = (run: Simulation.Run<unknown>): void => {
    sum.runs++
    sum.turns += run.turns
    sum.steps += run.steps
    sum.actors += run.actors
    for (const pair of run.visited) visited.add(pair)
    if (performance.now() - reported < 10_000) return
    reported = performance.now()
    console.log(`${sum.runs} runs, ${sum.turns} turns, ${Math.round((reported - began) / 1000)} s`)
  }
  while (
    sum.runs < most &&
    performance.now() - began < millis &&
    failures.length < whole("failures", values.failures)
  ) {
    const exit = await Effect.runPromiseExit(
      Simulation.explore({
        program,
        runs: most - sum.runs,
        seed: first + sum.runs,
        maxMillis: millis - (performance.now() - began),
        shrinkRuns: whole("shrink", values.shrink),
        onRun
      })
    )
    if (Exit.isSuccess(exit)) continue
    const failed = errorOf(exit)
    failures.push(failed)
    sum.runs++
    console.log(`\n${failed.message}\n`)
  }
  const seconds = (performance.now() - began) / 1000
  const known = Lifecycle.states.flatMap((_, s) => Lifecycle.events.filter((_event, e) => Lifecycle.next(s, e) >= 0))
  console.log(
    `${sum.runs} runs from seed ${first}, ${sum.turns} turns, ${sum.steps} steps, ${sum.actors} actors, ` +
      `${seconds.toFixed(1)} s (${((seconds * 1000) / Math.max(1, sum.runs)).toFixed(1)} ms a run)`
  )
  console.log(`${visited.size} of ${known.length} lifecycle pairs: ${[...visited].toSorted().join(", ")}`)
  const found = failures.map(({ seed, schedule }) => `  seed ${seed}: ${schedule}`)
  console.log([`${failures.length} failures`, ...found].join("\n"))
  return failures.length === 0
}

process.exitCode = (await (values.replay === undefined ? search() : replay(values.replay))) ? 0 : 1
