/**
 * Faults in work pools: their books, who hears of a task's end, who is given up.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const workPools: ReadonlyArray<Fault> = [
  one(
    "pool-room-endless",
    "3: no more tasks than places",
    "../actors/WorkBooks.ts",
    "books.size + maxQueued - unfinished(books)",
    "books.size + maxQueued - queued(books)"
  ),
  one(
    "pool-retry-uncounted",
    "4: what waits for its retry is queued",
    "../actors/WorkBooks.ts",
    "Chunk.size(books.queue) + HashMap.size(books.later)",
    "Chunk.size(books.queue)"
  ),
  one(
    "pool-withdrawn-uncounted",
    "4: what is given up in the queue is cancelled",
    "../actors/WorkBooks.ts",
    'plus(books.counts, "cancelled", gone.length)',
    'plus(books.counts, "cancelled")'
  ),
  one(
    "pool-never-shrinks",
    "fewer workers: each goes when its task is done",
    "../actors/WorkBooks.ts",
    "books.workers.length > books.size ?",
    "books.workers.length > books.size + 1e6 ?"
  ),
  one(
    "pool-shrinks-the-busy",
    "fewer workers: what runs comes to its end",
    "../actors/WorkBooks.ts",
    "if (workers[at]!.job === undefined) workers.splice(at, 1)",
    "workers.splice(at, 1)"
  ),
  one(
    "pool-last-first",
    "first in, first out",
    "../actors/WorkBooks.ts",
    "Option.getOrUndefined(Chunk.head(books.queue))",
    "Option.getOrUndefined(Chunk.last(books.queue))"
  ),
  one(
    "pool-leaver-works-on",
    "8: a task that is given up is interrupted",
    "../actors/WorkDesk.ts",
    "      hand.fiber?.interruptUnsafe()\n",
    ""
  ),
  one(
    "pool-leaver-unheard",
    "8: one who leaves after another is heard of, too",
    "../actors/WorkDesk.ts",
    "    this.#left.clear()\n",
    ""
  ),
  one(
    "pool-leaver-retried",
    "8: a task that was given up is not tried again",
    "../actors/WorkDesk.ts",
    'ending?.how === "retried" && !hand.left',
    'ending?.how === "retried"'
  ),
  one(
    "pool-suspended-forever",
    "5: who is suspended comes in when there is room",
    "../actors/WorkDesk.ts",
    "this.#self.unstash(room)",
    "this.#self.unstash(0)"
  ),
  one(
    "pool-drain-forgets-suspended",
    "who is suspended when the pool drains is refused",
    "../actors/WorkDesk.ts",
    "if (next.draining) this.#self.unstash()\n    else if",
    "if"
  ),
  one(
    "pool-join-waits-on",
    "a join waits for no task behind it",
    "../actors/WorkJoins.ts",
    "if (id < join.before && --join.unfinished === 0)",
    "if (--join.unfinished === 0)"
  ),
  one(
    "pool-defect-in-silence",
    "a defect is logged with its Cause",
    "../actors/WorkAttempt.ts",
    "Cause.hasDies(cause)",
    "Cause.hasDies(cause) && cause.reasons.length > 9"
  ),
  one(
    "pool-schedule-anew",
    "a task's retries follow one schedule",
    "../actors/WorkAttempt.ts",
    "course.step ??= yield*",
    "course.step = yield*"
  ),
  one(
    "pool-scope-stays-open",
    "what a task acquired is released with it",
    "../actors/WorkAttempt.ts",
    "    Effect.scoped,\n",
    ""
  ),
  one(
    "pool-refusal-uncounted",
    "4: a refused task is counted",
    "../actors/WorkPool.ts",
    "Actor.noReply(Books.refuse(books))",
    "Actor.noReply(books)"
  )
]
