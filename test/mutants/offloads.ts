/**
 * Faults in work on other threads: the line, the thread's end, what comes back.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const offloads: ReadonlyArray<Fault> = [
  one(
    "offload-place-lost",
    "a place that is left is had by the first in line",
    "compute/Permits.ts",
    "    next.tell(Exit.void)\n",
    ""
  ),
  one(
    "offload-place-too-many",
    "3: no more calls than threads",
    "compute/Permits.ts",
    "if (this.taken < this.#count)",
    "if (this.taken <= this.#count)"
  ),
  one(
    "offload-line-endless",
    "3: calls that wait are bounded",
    "compute/Permits.ts",
    "this.#line.size < this.#maxQueued ||",
    "this.#line.size < this.#maxQueued + 1e6 ||"
  ),
  one(
    "offload-newest-dropped",
    "5: dropOldest drops the oldest",
    "compute/Permits.ts",
    'if (this.#overflow === "dropNewest" || oldest === undefined) return dropped',
    "return dropped"
  ),
  one(
    "offload-dropped-in-silence",
    "5: who is hit by a policy hears it at once",
    "compute/Permits.ts",
    "    oldest.tell(Exit.fail(dropped))\n",
    ""
  ),
  one(
    "offload-never-leaves",
    "a call that has ended leaves its place",
    "compute/Offload.ts",
    "Effect.ensuring(Effect.sync(() => permit.release()))",
    "Effect.tap(() => Effect.sync(() => permit.release()))"
  ),
  one(
    "offload-dropped-overtakes",
    "3: who is dropped and asks again finds the line full",
    "compute/Permits.ts",
    "    this.#line.add(permit)\n    oldest.tell(Exit.fail(dropped))\n",
    "    oldest.tell(Exit.fail(dropped))\n    this.#line.add(permit)\n"
  ),
  one("offload-works-on", "8: interrupted work ends", "compute/Threads.ts", "    abort.abort()\n", ""),
  one(
    "offload-threads-outlive",
    "threads end with the layer's scope",
    "compute/Offload.ts",
    "  yield* Effect.addFinalizer(() => Effect.promise(async () => threads?.close()))\n",
    ""
  ),
  one(
    "offload-inline-together",
    "without threads one call after the other",
    "compute/Offload.ts",
    "const inTurn = Semaphore.makeUnsafe(1)",
    "const inTurn = Semaphore.makeUnsafe(1000)"
  ),
  one(
    "offload-lost-in-silence",
    "without threads the log says so",
    "compute/Offload.ts",
    "    threads = undefined\n    log(why)\n",
    "    threads = undefined\n"
  ),
  one(
    "offload-error-uncopied",
    "an error that cannot be copied is told by its text",
    "compute/Thread.ts",
    "isSendable(error) ? error : new Error(said(error))",
    "error"
  ),
  one(
    "offload-real-in-seeded",
    "11: no real threads in a seeded system",
    "actor/Runtime.ts",
    "runtime?.scheduler.seeded === true",
    "runtime?.scheduler.seeded === undefined"
  )
]
