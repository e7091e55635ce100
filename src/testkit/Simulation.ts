/**
 * Simulation: a whole actor system as a function of one number, and a search for the numbers that break it.
 *
 * ```ts
 * const program = (sim: Simulation.Sim) =>
 *   Effect.gen(function* () {
 *     const room = yield* ActorSystem.spawn(sim.faulty(roomBehavior), "lobby") // handlers fail, are slow, suspend
 *     yield* Effect.forkChild(sim.chaos()) // actors are stopped and killed, clients cut off
 *     const client = yield* sim.client(room) // a connection without a socket
 *     for (let n = sim.chance.below(20); n > 0; n--) yield* Effect.exit(client.request("Say", { text: `${n}` }))
 *     yield* Effect.sleep("1 minute") // time is virtual: it passes when nothing else can go on
 *     sim.check(said <= 20, "said more than was sent")
 *   })
 *
 * it.effect("the room keeps its lines", () => Simulation.explore({ runs: 500, program, invariant }))
 * ```
 *
 * A run that breaks something fails the test with its seed, the seed's schedule shrunk, and the trace of that. To replay it,
 * paste either of the two lines it prints: `Simulation.run(8123, program)` is the run that was found, `Simulation.run("t1...",
 * program)` the short one. Both give the same trace, byte for byte, as long as program and system are the same.
 *
 * What breaks a run: a law (3 and 4 at every turn boundary, and after the end), `invariant` (the same times), `sim.fail`,
 * a program that fails or dies, one that never ends, or that waits for what is outside of the simulation (law 11).
 * What is free, hence drawn: which ready actor is next; which fiber outside of actors is next; the lengths of turns and sweeps;
 * jitter; Effect's Random and Math.random; all of `sim.chance`. What a program must not use: Date.now, promises, timers, I/O.
 *
 * Floor 5; the module that tests import as `Simulation`. A run is synchronous; between runs the loop gets its turn.
 */
import { Effect } from "effect"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import * as Choices from "./Choices.ts"
import { shrink } from "./Shrink.ts"
import { execute, type Failure, type Program, type Run, type RunOptions } from "./SimulatedRun.ts"

export type { Chance } from "./Choices.ts"
export { type ChaosOptions, type FaultRates, InjectedFailure, Sim } from "./Sim.ts"
export { type RequestOptions, SimulatedClient } from "./SimulatedClient.ts"
export type { Failure, Program, Run, RunOptions } from "./SimulatedRun.ts"

/** Lines of the trace that a failure shows, the last ones. */
const shown = 60

/** A run that broke, with all it takes to see it again. */
export class SimulationFailed extends Error {
  override readonly name = "SimulationFailed"
  readonly failure: Failure
  /** The run that was found; none when it was a schedule that was replayed. */
  readonly seed: number | undefined
  /** The shrunk schedule, for `Simulation.run`. */
  readonly schedule: string
  /** How many choices it has, and how many the run had that was found. */
  readonly choices: number
  readonly foundChoices: number
  /** Runs that shrinking took. */
  readonly attempts: number
  /** Of the shrunk schedule. */
  readonly trace: ReadonlyArray<string>

  /** Internal. */
  constructor(failure: Failure, run: Run<unknown>, found: Run<unknown>, seed: number | undefined, attempts: number) {
    const schedule = Choices.print(run.choices)
    const [choices, foundChoices] = [Choices.count(run.choices), Choices.count(found.choices)]
    const hidden = run.trace.length - shown
    // the schedule of a run that has a seed and was not shrunk is as long as the run, and says no more than the seed
    const short = attempts > 0 ? "shrunk: " : "replay: "
    const lines = [
      `${failure.kind}: ${failure.text}`,
      ...(seed === undefined ? [] : [`replay:  Simulation.run(${seed}, program)`]),
      ...(seed !== undefined && attempts === 0 ? [] : [`${short} Simulation.run("${schedule}", program)`]),
      `schedule (${choices} choices${attempts > 0 ? `, of ${foundChoices}, in ${attempts} runs` : ""}; ${run.turns} turns):`,
      ...(hidden > 0 ? [`  ... ${hidden} lines before`] : []),
      ...run.trace.slice(-shown).map((line) => `  ${line}`)
    ]
    super(lines.join("\n"))
    this.failure = failure
    this.seed = seed
    this.schedule = schedule
    this.choices = choices
    this.foundChoices = foundChoices
    this.attempts = attempts
    this.trace = run.trace
    // where it was thrown says nothing: the program is above
    this.stack = `${this.name}: ${this.message}`
  }
}

const sourceOf = (seed: number | string): number | Choices.Lists => {
  if (typeof seed === "number") {
    if (Number.isSafeInteger(seed)) return seed
    throw new InvalidOption({ field: "simulation.seed", value: String(seed), range: "a whole number" })
  }
  const lists = Choices.parse(seed)
  if (lists !== undefined) return lists
  throw new InvalidOption({ field: "simulation.seed", value: `"${seed}"`, range: "a schedule that a failure printed" })
}

/** Runs `program` on a seed, or replays a printed schedule. Fails: `SimulationFailed`, unshrunk. */
export const run = <A, E>(
  seed: number | string,
  program: Program<A, E>,
  options: RunOptions = {}
): Effect.Effect<Run<A>, SimulationFailed> =>
  Effect.suspend(() => {
    const made = execute(sourceOf(seed), program, options)
    const number = typeof seed === "number" ? seed : undefined
    return made.failure === undefined
      ? Effect.succeed(made)
      : Effect.fail(new SimulationFailed(made.failure, made, made, number, 0))
  })

export interface ExploreOptions<A, E> extends RunOptions {
  readonly program: Program<A, E>
  /** How many seeds. */
  readonly runs: number
  /** The first of them. Default 1. */
  readonly seed?: number
  /** No further run begins after so many real milliseconds. Default: all runs. */
  readonly maxMillis?: number
  /** Runs that the shrinking of a failure may take. Default 500. */
  readonly shrinkRuns?: number
  /** Told of each run that holds, for figures of your own. */
  readonly onRun?: (run: Run<A>, seed: number) => void
}

const optionNames: ReadonlyArray<keyof ExploreOptions<unknown, unknown>> = [
  "program",
  "runs",
  "seed",
  "maxMillis",
  "shrinkRuns",
  "onRun",
  "invariant",
  "maxSteps",
  "system"
]

/** What was searched. */
export interface Explored {
  readonly runs: number
  readonly turns: number
  readonly steps: number
  /** Steps of lifecycles that were seen, as `active STOP`. */
  readonly visited: ReadonlySet<string>
}

/** Failures are alike when they differ in numbers and keys only. */
const gist = ({ kind, text }: Failure): string =>
  `${kind} ${text
    .split("\n")[0]!
    .replace(/\b[A-Za-z]\w*\/\S*/g, "?")
    .replace(/\d+/g, "#")}`

/** Shrinks what a run failed with. */
const shrunk = <A, E>(
  found: Run<A>,
  failure: Failure,
  seed: number,
  options: ExploreOptions<A, E>
): SimulationFailed => {
  const alike = gist(failure)
  const attempt = (lists: Choices.Lists): Choices.Lists | undefined => {
    const again = execute(lists, options.program, options)
    return again.failure !== undefined && gist(again.failure) === alike ? again.choices : undefined
  }
  const { lists, attempts } = shrink(found.choices, attempt, options.shrinkRuns ?? 500)
  const short = execute(lists, options.program, options)
  return new SimulationFailed(short.failure ?? failure, short, found, seed, attempts)
}

/** Searches `runs` seeds for one that breaks. Fails with the first, shrunk: `SimulationFailed`. */
export const explore = <A, E>(options: ExploreOptions<A, E>): Effect.Effect<Explored, SimulationFailed> =>
  Effect.gen(function* () {
    Options.known("simulation", options, optionNames)
    const { seed: first = 1, maxMillis = Number.POSITIVE_INFINITY } = options
    const runs = Options.integer("simulation.runs", options.runs, 0, 0, Number.MAX_SAFE_INTEGER)
    const began = performance.now()
    const visited = new Set<string>()
    let turns = 0
    let steps = 0
    let done = 0
    for (; done < runs && performance.now() - began < maxMillis; done++) {
      const seed = first + done
      const made = execute(seed, options.program, options)
      if (made.failure !== undefined) return yield* Effect.fail(shrunk(made, made.failure, seed, options))
      turns += made.turns
      steps += made.steps
      for (const pair of made.visited) visited.add(pair)
      options.onRun?.(made, seed)
      yield* Effect.yieldNow
    }
    return { runs: done, turns, steps, visited }
  })
