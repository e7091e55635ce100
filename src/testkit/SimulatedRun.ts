/**
 * One run of a program in a simulated system: a plain synchronous call, a function of its choices.
 *
 *   choices -> loop, clock, chance -> system and program -> laws looked at, at every turn boundary -> what broke first
 *
 * Floor 5; called by Simulation. Law 11: order, time, budgets, Effect's Random and, inside the run only, Math.random come
 * from the choices. Sweeps and turns are short or long by choice too, so that senders come in between everywhere.
 * At every turn boundary laws 3 and 4 are looked at (`Audit`), and what the program's owner asks (`invariant`). When the
 * program has ended its actors are stopped and an hour passes, so that grace periods and zombies end; then the test kit's
 * system says what is left. A run ends at the first thing broken, or after `maxSteps`; the choices from there on are not kept.
 */
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger, Random, Scheduler, Clock } from "effect"
import type { Scope } from "effect"
import { CurrentRuntime } from "../actor/Runtime.ts"
import type { Runnable } from "../kernel/Scheduler.ts"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import { audit } from "./Audit.ts"
import { Choices, type Lane, type Lists } from "./Choices.ts"
import { EventLoop } from "./EventLoop.ts"
import { Sim } from "./Sim.ts"
import { TestSystem, type TestSystemOptions } from "./TestSystem.ts"
import { VirtualCost } from "./VirtualCost.ts"

/** What is simulated. Services other than the system are the program's to provide. */
export type Program<A, E> = (sim: Sim) => Effect.Effect<A, E, ActorSystem | Scope.Scope>

export interface RunOptions {
  /** Looked at, at every turn boundary: what is wrong, nothing when all is well. Cheap, please. */
  readonly invariant?: (host: Host, sim: Sim) => ReadonlyArray<string>
  /** Steps of fibers, sweeps and turns at the most; a run that needs more has failed. Default 200,000. */
  readonly maxSteps?: number
  /** Options of the system. Its scheduler and clock are the simulation's. */
  readonly system?: Omit<TestSystemOptions, "scheduler">
}

/** What broke. */
export interface Failure {
  /** invariant: a law or `invariant`. program: it failed. leftover: after the end. stuck, endless: it does not end. */
  readonly kind: "invariant" | "program" | "leftover" | "stuck" | "endless"
  readonly text: string
}

export interface Run<A> {
  /** What the program answered; absent when it failed. */
  readonly value?: A
  readonly failure: Failure | undefined
  /** What happened, a line each. */
  readonly trace: ReadonlyArray<string>
  /** Turns of actors and steps of their fibers. */
  readonly turns: number
  /** Steps of fibers outside of actors, and sweeps. */
  readonly steps: number
  /** Virtual time that passed. */
  readonly millis: number
  /** Actors that lived. */
  readonly actors: number
  readonly choices: Lists
  /** Steps of lifecycles that were seen, as `active STOP`. */
  readonly visited: ReadonlySet<string>
}

const HOUR = 3_600_000

const randomOf = (lane: Lane): { nextIntUnsafe(): number; nextDoubleUnsafe(): number } => {
  const words = 2 ** 32
  return {
    nextDoubleUnsafe: () => lane.below(words) / words,
    nextIntUnsafe: () => lane.below(words) - words / 2
  }
}

/** How often those are stopped whom an actor that ends brought to life by its last messages. */
const winds = 10

/** Ends all actors, with all the time it takes. */
const wind = Effect.fnUntraced(function* ({ system }: Host) {
  const roots = () => [...system.registry.kinds.values()].flatMap(({ cells }) => [...cells.values()]).toReversed()
  for (let n = 0, alive = roots(); n < winds && (n === 0 || alive.length > 0); n++, alive = roots()) {
    for (const cell of alive) cell.stop({ mode: "now", millis: HOUR / 2, reason: undefined })
    yield* Effect.sleep(HOUR)
  }
})

const stuckText =
  "nothing is ready, nobody sleeps, and the program has not ended: it waits for itself, " +
  "or for a promise, a timer or a socket outside of the simulation (law 11)"

/** Runs `program` by these choices: a seed, or the choices of another run. */
export const execute = <A, E>(source: number | Lists, program: Program<A, E>, options: RunOptions = {}): Run<A> => {
  const { invariant, maxSteps = 200_000 } = options
  const choices = new Choices(source)
  const { order, random } = choices
  const loop = new EventLoop(order)
  const cost = new VirtualCost()
  const sim = new Sim(choices, loop, cost)
  let host: Host | undefined
  let failure: Failure | undefined
  let turns = 0

  const broke = (kind: Failure["kind"], text: string): void => {
    if (failure !== undefined) return
    failure = { kind, text }
    sim.fail(text.split("\n")[0]!)
    choices.close()
  }
  const look = (): void => {
    if (failure !== undefined || host === undefined) return
    const faults = audit(host)
    if (faults.length > 0) sim.fail(faults.join("\n"))
    else if (invariant !== undefined) {
      try {
        for (const fault of invariant(host, sim)) sim.fail(fault)
      } catch (error) {
        sim.fail(`the invariant itself threw: ${error instanceof Error ? error.stack : String(error)}`)
      }
    }
    failed()
  }
  const failed = (): boolean => {
    if (sim.broken !== undefined) broke("invariant", sim.broken)
    return failure !== undefined
  }
  const pick = (ready: number, items: ReadonlyArray<Runnable>): number => {
    look()
    turns++
    if (turns > maxSteps) broke("endless", `it has not ended after ${maxSteps} turns`)
    const at = order.below(ready)
    if (failure === undefined) sim.picked(items[at]!)
    return at
  }

  const scheduler = {
    pick,
    cost: cost.read,
    sweepMillis: [1, 0.05, 0.01][order.below(3)]!,
    turnMessages: [64, 1, 3][order.below(3)]!
  }
  const system = TestSystem.layerOf({ reports: { inFull: 0 }, ...options.system, scheduler } as TestSystemOptions)
  const whole = Effect.gen(function* () {
    const opened = yield* ActorSystem
    host = opened
    sim.open(opened)
    // refs made of a name alone find this system, whatever other systems the process has
    const named = Effect.provideService(Effect.scoped(program(sim)), CurrentRuntime, opened.system)
    // a fiber of its own, so that what it forked ends with it
    const value = yield* Fiber.join(yield* Effect.forkChild(named))
    look()
    yield* wind(opened)
    for (const ending of sim.endings) ending()
    look()
    return value
  }).pipe(Effect.provide(Layer.provideMerge(system, Logger.layer([])), { local: true }))
  const context = Context.empty().pipe(
    Context.add(Scheduler.Scheduler, loop.scheduler),
    Context.add(Clock.Clock, loop.clock),
    Context.add(Random.Random, randomOf(random))
  )
  const { random: realRandom } = Math
  Math.random = () => random.below(2 ** 32) / 2 ** 32
  let exit: Exit.Exit<A, unknown> | undefined
  try {
    exit = drive(Effect.runForkWith(context)(whole), loop, maxSteps, failed, broke)
  } finally {
    Math.random = realRandom
  }
  failed()
  if (exit !== undefined && Exit.isFailure(exit)) {
    const ours = exit.cause.reasons.find((reason) => Cause.isDieReason(reason) && isLaw(reason.defect))
    if (ours !== undefined && Cause.isDieReason(ours)) broke("leftover", (ours.defect as Error).message)
    else broke("program", Cause.pretty(exit.cause))
  }
  // left in the middle: nothing of it may be found by others
  if (exit === undefined) (host as Host | undefined)?.system.close()
  const spawned = host === undefined ? 0 : host.snapshot().spawned
  return {
    ...(exit !== undefined && Exit.isSuccess(exit) && { value: exit.value }),
    failure,
    trace: sim.trace,
    turns,
    steps: loop.steps,
    millis: loop.now,
    actors: spawned,
    choices: choices.lists,
    visited: sim.visited
  }
}

/** What the test kit's system dies with. */
const isLaw = (defect: unknown): boolean => defect instanceof Error && defect.message.startsWith("law 4")

/** Drains the loop until the fiber has ended; one that has failed, hangs or does not end is interrupted, then left. */
const drive = <A>(
  fiber: Fiber.Fiber<A, unknown>,
  loop: EventLoop,
  maxSteps: number,
  failed: () => boolean,
  broke: (kind: Failure["kind"], text: string) => void
): Exit.Exit<A, unknown> | undefined => {
  const ended = (): boolean => fiber.pollUnsafe() !== undefined
  const drained = loop.drain(() => ended() || failed(), maxSteps)
  if (drained === "stuck") broke("stuck", stuckText)
  if (drained === "endless") broke("endless", `it has not ended after ${maxSteps} steps`)
  if (!ended()) {
    fiber.interruptUnsafe()
    loop.drain(ended, loop.steps + 20_000)
  }
  return fiber.pollUnsafe()
}
