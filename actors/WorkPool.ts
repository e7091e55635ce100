/**
 * WorkPool: one bounded queue, and workers that take the next task from it the moment they are free.
 *
 * ```ts
 * const thumbnails = WorkPool.make("Thumbnails", {
 *   task: Schema.String, result: Schema.Int, error: Broken,
 *   work: (url, worker) => shrink(url), // (task, { index, attempt, ... }) => an Effect of the result, or of the error
 *   workers: 4, maxQueued: 100, retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 3 }))
 * })
 * const pool = yield* ActorSystem.spawn(thumbnails.behavior, "main")
 * const width = yield* pool.ask("Run", url, { timeout: "1 minute" })
 * ```
 *
 * The law: an accepted task comes to exactly one end, done, failed or cancelled, told to whoever asked; no task's end is
 * another's. There are no batches, so none waits for the slowest of its batch, and fast workers do more. First in, first out.
 *   1. `Run` or `Submit`: there is room (queued, retrying, running < workers + maxQueued), or it is refused by `PoolFull`, or it
 *      waits for room in its fiber (`overflow: "suspend"`). Law 5's other policies drop what was accepted: no choice for work.
 *   2. A free worker takes the first: a fiber of its own works on it, in its own scope. A throw or defect is that task's
 *      `TaskDied`.
 *   3. An error is retried as `retry` says; meanwhile its worker takes another. Out of retries the asker has the error itself.
 *   4. Given up, by time-out or interruption, a task leaves the queue, or its fiber is interrupted (law 8).
 * `Join`, `Drain`, `Resize`, `Stats`: see WorkProtocol. Drain before you stop: a stop, its mode "drain" too, interrupts what
 * runs; askers hear `ActorStopped`. A pool that is restarted itself begins with an empty queue; askers hear `CalleeFailed`. A task
 * that nobody waits for is told to the log by name when it fails for good, is cut off or lost with its pool (WorkUnheard).
 *
 * Workers are places, not actors: a task's fiber is all that a worker has, so a defect ends that and the place is free.
 * Considered a child actor a worker, restarted by itself: poisonous tasks use up its restarts, and with them the pool; nothing
 * survives in it that a fiber would not leave clean, either. Measured (trivial tasks, 8 workers, 1,000 in flight, best of 7, the
 * flags of npm start): 139 k tasks/s so; 108 k with children that do the work. Children to which the ask is merely forwarded, what
 * waits being stashed: 363 k; but such a pool does not hear of who leaves its queue, so it can neither count nor join.
 * Sources: Pekko's work pulling, poolboy; Graham 1966: to feed who is free takes at most 2 - 1/N times as long as the best order.
 * From pools' issue lists: poison tasks that end all workers, cancelled tasks that run all the same, places lost by a cancel.
 */
import { Clock, Effect, type Exit, Schema, type Scope } from "effect"
import { Actor, type Behavior, type InvalidOption, Options } from "troupe"
import type { Ending } from "./WorkAttempt.ts"
import * as Books from "./WorkBooks.ts"
import { WorkDesk } from "./WorkDesk.ts"
import type { WorkLine } from "./WorkLine.ts"
import { check, maxWorkers, type PoolOptions, type Rules } from "./WorkOptions.ts"
import { type Codec, type Me, messages, type Messages, own, PoolDraining, PoolFull } from "./WorkProtocol.ts"
import * as WorkStats from "./WorkStats.ts"

export type { Worker } from "./WorkAttempt.ts"
export type { PoolOptions } from "./WorkOptions.ts"
export { PoolDraining, PoolFull, TaskDied } from "./WorkProtocol.ts"
export { Stats } from "./WorkStats.ts"

/** A kind of pool. */
export interface Pool<T extends Codec, A extends Codec, E extends Codec, R> {
  /** For refs: `definition.at("main")` of a hosted one, `definition.ref` as a Schema. */
  readonly definition: Actor.Definition<Books.Books, Messages<T, A, E>>
  /** To spawn, to host, or as a supervisor's child; needs what `work` and `retry` need. */
  readonly behavior: Behavior<Messages<T, A, E>, R>
}

/** An option that comes in a message: checked as one, and refused to the asker. */
const checked = <A>(check: () => A): Effect.Effect<A, InvalidOption> =>
  Effect.try({ try: check, catch: (error) => error as InvalidOption })

/** What becomes of a task that does not come in now; undefined: there is room. */
const kept = (books: Books.Books, task: unknown, self: Me, line: WorkLine, rules: Rules) => {
  const { maxQueued, maxWaiting, overflow } = rules
  if (!books.draining && Books.room(books, maxQueued) > 0) return undefined
  if (!books.draining && overflow === "suspend" && line.enter()) return Actor.noReply()
  const { address } = self.ref
  const full =
    overflow === "fail"
      ? ({ option: "maxQueued", limit: maxQueued } as const)
      : ({ option: "maxWaiting", limit: maxWaiting } as const)
  const why = books.draining
    ? new PoolDraining({ address, begun: false, task, unfinished: Books.unfinished(books) })
    : new PoolFull({ address, ...full, task })
  // where it was told nobody hears of it: the system counts the error
  return self.defer<never, typeof why>().fail(why) ? Actor.noReply(Books.refuse(books)) : Effect.fail(why)
}

/** A kind of pool, of that type. Options are checked here. */
export const make = <T extends Codec, A extends Codec, R, S = never, E extends Codec = typeof Schema.Never>(
  type: string,
  options: PoolOptions<T, A, E, R, S>
): Pool<T, A, E, Exclude<R | S, Scope.Scope>> => {
  const rules = check(type, options)
  const rpcs = messages<Codec, Codec, Codec>(options.task, options.result, options.error ?? Schema.Never)
  const definition = Actor.make(type, { state: Books.schema(options.task), protocol: [...rpcs, ...own] })
  const at = Actor.local<WorkDesk, Me>()
  const behavior = definition.behavior({
    mailbox: { capacity: Math.max(1024, rules.maxQueued), overflow: rules.overflow },
    stash: rules.maxWaiting,
    held: rules.maxQueued + 4 * maxWorkers,
    initial: (_key, self) =>
      Effect.map(Clock.Clock, (clock) => {
        const desk = new WorkDesk(self, rules, clock)
        at.set(self, desk)
        return Books.make(rules.workers, desk.now())
      }),
    on: {
      Run: (books, task, self) =>
        kept(books, task, self, at(self).line, rules) ?? Actor.noReply(at(self).run(books, task)),
      Submit: (books, task, self) =>
        kept(books, task, self, at(self).line, rules) ?? Actor.reply(undefined, at(self).submit(books, task)),
      Ended: (books, { exit, id, worker }, self) => at(self).ended(books, worker, id, exit as Exit.Exit<Ending>),
      Due: (books, { id }, self) => at(self).pump(Books.due(books, id)),
      Look: (books, _, self) => at(self).look(books),
      Cut: (books, _, self) => at(self).cut(books),
      Join: (books, _, self) => (at(self).join(books, false) ? Actor.noReply() : Actor.reply(undefined)),
      *Drain(books, { within }, self) {
        const millis = yield* checked(() => Options.millis(`${type}.Drain.within`, within ?? 0, 0))
        at(self).within = millis
        const closed = at(self).pump({ ...books, draining: true })
        if (Number.isFinite(millis)) self.timers.once("cut", millis, "Cut")
        else self.timers.cancel("cut")
        return at(self).join(closed, true) ? Actor.noReply(closed) : Actor.reply(0, closed)
      },
      *Resize(books, { workers }, self) {
        const size = yield* checked(() =>
          Options.integer(`${type}.Resize.workers`, workers ?? "nothing", 0, 0, maxWorkers)
        )
        return at(self).pump(Books.resize(books, size, at(self).now()))
      },
      Stats: (books, _, self) => Actor.reply(WorkStats.of(books, at(self).now()))
    },
    onStop: (books, why, self) => {
      const unfinished = Books.unfinished(books)
      return unfinished === 0
        ? undefined
        : Effect.logWarning(`${self.ref.address} ended (${why._tag}) with ${unfinished} tasks unfinished`)
    }
  })
  // the handlers see `unknown` where the caller sees the types of the Schemas; a fiber of the pool has what its behaviour needs
  return { definition, behavior } as unknown as Pool<T, A, E, Exclude<R | S, Scope.Scope>>
}
