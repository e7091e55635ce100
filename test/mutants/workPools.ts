/**
 * Faults in work pools: their books, who hears of a task's end, who is given up.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors } from "./Fault.ts"

export const workPools: ReadonlyArray<Fault> = [
  ofActors(
    "pool-room-endless",
    "3: no more tasks than places",
    "WorkBooks.ts",
    "books.size + maxQueued - unfinished(books)",
    "books.size + maxQueued - queued(books)"
  ),
  ofActors(
    "pool-retry-uncounted",
    "4: what waits for its retry is queued",
    "WorkBooks.ts",
    "Chunk.size(books.queue) + HashMap.size(books.later)",
    "Chunk.size(books.queue)"
  ),
  ofActors(
    "pool-withdrawn-uncounted",
    "4: what is given up in the queue is cancelled",
    "WorkBooks.ts",
    'plus(books.counts, "cancelled", gone.length)',
    'plus(books.counts, "cancelled")'
  ),
  ofActors(
    "pool-never-shrinks",
    "fewer workers: each goes when its task is done",
    "WorkBooks.ts",
    "const leaves = books.workers.length > books.size",
    "const leaves = books.workers.length > books.size + 1e6"
  ),
  ofActors(
    "pool-shrinks-the-busy",
    "fewer workers: what runs comes to its end",
    "WorkBooks.ts",
    "if (workers[at]!.job === undefined) gone = leave(gone, workers.splice(at, 1)[0]!)",
    "gone = leave(gone, workers.splice(at, 1)[0]!)"
  ),
  ofActors(
    "pool-last-first",
    "first in, first out",
    "WorkBooks.ts",
    "Option.getOrUndefined(Chunk.head(books.queue))",
    "Option.getOrUndefined(Chunk.last(books.queue))"
  ),
  ofActors(
    "pool-leaver-works-on",
    "8: a task that is given up is interrupted",
    "WorkDesk.ts",
    "      hand.fiber?.interruptUnsafe()\n",
    ""
  ),
  ofActors(
    "pool-leaver-unheard",
    "8: one who leaves after another is heard of, too",
    "WorkDesk.ts",
    "    this.line.looked()\n",
    ""
  ),
  ofActors(
    "pool-leaver-retried",
    "8: a task that was given up is not tried again",
    "WorkDesk.ts",
    'ending?.how === "retried" && !hand.left',
    'ending?.how === "retried"'
  ),
  ofActors(
    "pool-suspended-forever",
    "5: who is suspended comes in when there is room",
    "WorkLine.ts",
    "this.#self.unstash(called)",
    "this.#self.unstash(0)"
  ),
  ofActors(
    "pool-suspended-overtaken",
    "2: who is suspended comes in by its turn, where there is room for many too",
    "WorkDesk.ts",
    "return this.begin(Books.submit(books, task))",
    "return this.pump(Books.submit(books, task))"
  ),
  ofActors(
    "pool-place-of-called-lost",
    "8: who gives up when it is called leaves its place to the next",
    "WorkLine.ts",
    "    this.#self.unstash(called)\n    this.look()\n",
    "    this.#self.unstash(called)\n"
  ),
  ofActors(
    "pool-interrupt-in-silence",
    "a task that interrupted itself, which nobody waits for, is logged",
    "WorkHand.ts",
    "if (interrupted && !isHeard)",
    "if (interrupted && isHeard)"
  ),
  ofActors(
    "pool-drain-forgets-suspended",
    "who is suspended when the pool drains is refused",
    "WorkDesk.ts",
    "next.draining ? Number.MAX_SAFE_INTEGER : Books.room",
    "Books.room"
  ),
  ofActors(
    "pool-join-waits-on",
    "a join waits for no task behind it",
    "WorkJoins.ts",
    "if (id < join.before && --join.unfinished === 0)",
    "if (--join.unfinished === 0)"
  ),
  ofActors(
    "pool-defect-in-silence",
    "a defect is logged with its Cause",
    "WorkHand.ts",
    "if (!interrupted) self.fork",
    "if (!interrupted && id < 0) self.fork"
  ),
  ofActors(
    "pool-schedule-anew",
    "a task's retries follow one schedule",
    "WorkAttempt.ts",
    "course.step ??= yield*",
    "course.step = yield*"
  ),
  ofActors(
    "pool-scope-stays-open",
    "what a task acquired is released with it",
    "WorkAttempt.ts",
    "    Effect.scoped,\n",
    ""
  ),
  ofActors(
    "pool-refusal-uncounted",
    "4: a refused task is counted",
    "WorkPool.ts",
    "Actor.noReply(Books.refuse(books))",
    "Actor.noReply(books)"
  ),
  ofActors(
    "pool-any-deadline",
    "12: what is no duration is refused in JSON by its name",
    "WorkProtocol.ts",
    "Option.isSome(Duration.fromInput(it as Duration.Input))",
    "it !== undefined"
  ),
  ofActors(
    "pool-free-leaver-forgotten",
    "4: what a free worker had done stays when it is taken away",
    "WorkBooks.ts",
    "gone = leave(gone, workers.splice(at, 1)[0]!)",
    "workers.splice(at, 1)"
  ),
  ofActors(
    "pool-busy-leaver-forgotten",
    "4: what a busy worker had done stays when it goes, its last task too",
    "WorkBooks.ts",
    "leaves ? leave(books.gone, free) : books.gone",
    "leaves ? leave(books.gone, at) : books.gone"
  ),
  ofActors(
    "pool-cut-in-silence",
    "5: a task that nobody waits for and a drain cuts off is told to the log",
    "WorkDesk.ts",
    "return Effect.as(told, this.#cancel(books, ids))",
    "return Effect.succeed(this.#cancel(books, ids))"
  ),
  ofActors(
    "pool-lost-in-silence",
    "5: a task that nobody waits for and is lost with its pool is told to the log",
    "WorkDesk.ts",
    "    Effect.runSync(Scope.addFinalizer(self.scope, lost))\n",
    "    void lost\n"
  ),
  ofActors("pool-log-floods", "3: so many lines at most", "WorkUnheard.ts", ".slice(0, maxLines)", ".slice(0)")
]
