/**
 * Asks many at once, so many at a time, until enough have answered or the deadline has passed; the rest are interrupted.
 *
 *   targets -> `concurrency` asks under way, the others wait their turn, in order
 *     each answer or failure is counted:  enough answered            -> the report
 *                                         enough never will          -> `FanOutUnsatisfied`, without waiting for the rest
 *     the deadline passes:                enough, or `inTime`        -> the report, else `FanOutUnsatisfied`
 *
 *   way         enough is                fails when
 *   all         every one                one has failed
 *   first       one                      all have failed
 *   quorum(n)   n                        so many have failed that n cannot answer any more; at once for n over the targets
 *   inTime      what came in time        never
 *
 * A combinator of Effects, not an actor: an ask is an Effect, so it serves a handler, a fork and a program outside alike, and
 * needs neither an address, a mailbox nor a message that carries code. In a handler the turn waits for it (law 1, `AskCycle`
 * included); `self.pipe(FanOut.first(...), ...)` frees the turn. Considered: Pekko's aggregator, a child actor a request,
 * rejected: what it holds is in the asker's fiber already; Effect.forEach (which this is made of) and raceAll: they answer
 * with values or the first error, and tell neither who failed nor who was late. Follows Pekko's ScatterGatherFirstCompleted
 * and tail chopping (`stagger`; Dean and Barroso, The Tail at Scale, 2013), and Go's errgroup with SetLimit.
 * Law 3: targets and asks under way are bounded. Law 8: when it returns, every ask has been given up: withdrawn from the mailbox, or
 * its handler interrupted, whose finalizers are not waited for; an Effect that is no ask is waited for until it has ended. A
 * failure, defects included, is reported under its address, as a Cause; it ends no one else. Cost: a fiber an ask.
 */
import { type Cause, Deferred, type Duration, Effect, Exit, Semaphore } from "effect"
import { LimitReached, Options } from "troupe"
import { FanOutUnsatisfied, type Report } from "./FanOutReport.ts"

export { FanOutUnsatisfied, Report } from "./FanOutReport.ts"

/** Who is asked: a ref, or anything with an address to be reported under. The same address may be asked twice. */
export interface Target {
  readonly address: string
}

/** Checked at the call, which throws `InvalidOption`; in a generator that is a defect. */
export interface FanOutOptions {
  /** Asks under way at a time. 1-65,536, default 16. */
  readonly concurrency?: number
  /** When to stop waiting, counted from the beginning. Default 5 s. */
  readonly deadline?: Duration.Input | "infinity"
  /** Asks the next only so long after the last, or when one has ended. Default: at once. */
  readonly stagger?: Duration.Input
  /** Of more it refuses with `LimitReached`, and asks nobody. 1-65,536, default 1,024. */
  readonly maxTargets?: number
}

type Ask<T, A, E, R> = (target: T) => Effect.Effect<A, E, R>
type Asked<A, E, R, F> = Effect.Effect<Report<A, E>, F | LimitReached, R>
type Way = "all" | "first" | "quorum" | "inTime"
const names = ["concurrency", "deadline", "stagger", "maxTargets"] as const

const gather = <T extends Target, A, E, R>(
  way: Way,
  count: number | undefined,
  targets: Iterable<T>,
  ask: Ask<T, A, E, R>,
  options: FanOutOptions = {}
): Asked<A, E, R, FanOutUnsatisfied> => {
  Options.known("FanOut", options, names)
  const concurrency = Options.integer("FanOut.concurrency", options.concurrency, 16, 1, 65_536)
  const limit = Options.integer("FanOut.maxTargets", options.maxTargets, 1024, 1, 65_536)
  const deadline = Options.millis("FanOut.deadline", options.deadline, 5000)
  const stagger = Options.millis("FanOut.stagger", options.stagger, 0)
  return Effect.suspend((): Asked<A, E, R, FanOutUnsatisfied> => {
    const asked: Array<T> = []
    for (const target of targets) {
      if (asked.push(target) <= limit) continue
      return Effect.fail(
        new LimitReached({ what: `FanOut.${way}: places for targets`, limit, option: "option maxTargets" })
      )
    }
    const answers: Array<{ readonly address: string; readonly value: A }> = []
    const failures: Array<{ readonly address: string; readonly cause: Cause.Cause<E> }> = []
    const waiting = new Set(asked.keys())
    const underWay = new Set<number>()
    const needed = count ?? asked.length
    const isImpossible = (): boolean => asked.length - failures.length < needed
    const isDecided = (): boolean => way !== "inTime" && (answers.length >= needed || isImpossible())

    const gate = Semaphore.makeUnsafe(1)
    let ended = Deferred.makeUnsafe<void>()
    const turn = gate.withPermit(
      Effect.suspend(() => {
        if (waiting.size === asked.length) return Effect.void
        return Effect.ignore(Effect.timeoutOption(Deferred.await(ended), stagger))
      }).pipe(Effect.tap(() => Effect.sync(() => (ended = Deferred.makeUnsafe()))))
    )
    const one = (target: T, at: number): Effect.Effect<unknown, "decided", R> => {
      const begun = Effect.suspend(() => {
        waiting.delete(at)
        underWay.add(at)
        return ask(target)
      })
      const settled = Effect.flatMap(Effect.exit(begun), (exit) => {
        underWay.delete(at)
        const { address } = target
        if (Exit.isSuccess(exit)) answers.push({ address, value: exit.value })
        else failures.push({ address, cause: exit.cause })
        // the next one's turn; not once it is decided
        return isDecided() ? Effect.fail("decided" as const) : Deferred.succeed(ended, undefined)
      })
      return stagger === 0 ? settled : Effect.andThen(turn, settled)
    }
    const asks = Effect.forEach([...asked.entries()], ([at, target]) => one(target, at), { concurrency, discard: true })
    // an ask that is interrupted, here or by the deadline, comes to no outcome: its `exit` ends with it
    const run = isDecided() ? Effect.void : Effect.ignore(Effect.raceFirst(Effect.sleep(deadline), asks))
    return Effect.flatMap(run, () => {
      const of = (positions: Iterable<number>): ReadonlyArray<string> =>
        Array.from(positions, (at) => asked[at]!.address)
      const report: Report<A, E> = { answers, failures, late: of(underWay), unasked: of(waiting) }
      if (way === "inTime" || answers.length >= needed) return Effect.succeed(report)
      const why = isImpossible() ? "impossible" : "deadline"
      return Effect.fail(
        new FanOutUnsatisfied({ way, needed, targets: asked.length, why, deadlineMillis: deadline, report })
      )
    })
  })
}

/**
 * Every answer. Fails `FanOutUnsatisfied` with the first failure, or at the deadline; `LimitReached` for too many targets.
 *
 * ```ts
 * const { answers } = yield* FanOut.all(shards, (shard) => shard.ask("Count"), { deadline: "1 second" })
 * ```
 */
export const all = <T extends Target, A, E, R>(targets: Iterable<T>, ask: Ask<T, A, E, R>, options?: FanOutOptions) =>
  gather("all", undefined, targets, ask, options)

/** The first answer, `report.answers[0]`. Fails `FanOutUnsatisfied` when all have failed, or at the deadline. */
export const first = <T extends Target, A, E, R>(targets: Iterable<T>, ask: Ask<T, A, E, R>, options?: FanOutOptions) =>
  gather("first", 1, targets, ask, options)

/** `n` answers. Fails `FanOutUnsatisfied` as soon as so many cannot come any more, or at the deadline. `n`: 1-65,536. */
export const quorum = <T extends Target, A, E, R>(
  n: number,
  targets: Iterable<T>,
  ask: Ask<T, A, E, R>,
  options?: FanOutOptions
) => gather("quorum", Options.integer("FanOut.quorum", n ?? "nothing", 1, 1, 65_536), targets, ask, options)

/** Whatever came in time: ends when all have answered or failed, at the latest at the deadline. Fails `LimitReached` only. */
export const inTime = <T extends Target, A, E, R>(
  targets: Iterable<T>,
  ask: Ask<T, A, E, R>,
  options?: FanOutOptions
) => gather("inTime", undefined, targets, ask, options) as Asked<A, E, R, never>
