/**
 * Faults in asking many: when it is enough, when it cannot be any more, who is told how.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors } from "./Fault.ts"

const file = "FanOut.ts"

export const fanOuts: ReadonlyArray<Fault> = [
  ofActors(
    "fan-one-too-few",
    "a quorum of n is n answers",
    file,
    "answers.length >= needed ||",
    "answers.length >= needed - 1 ||"
  ),
  ofActors(
    "fan-impossible-late",
    "what cannot be had any more is said at once",
    file,
    "asked.length - failures.length < needed\n",
    "asked.length - failures.length + 1 < needed\n"
  ),
  ofActors("fan-in-time-decides", "inTime waits for all", file, 'way !== "inTime" && (answers', "(answers"),
  ofActors("fan-unasked-late", "who was not asked is not late", file, "        waiting.delete(at)\n", ""),
  ofActors(
    "fan-all-at-once",
    "3: asks under way are bounded",
    file,
    "{ concurrency, discard: true }",
    '{ concurrency: "unbounded", discard: true }'
  ),
  ofActors(
    "fan-stagger-after-end",
    "nobody is asked once it is decided",
    file,
    'return isDecided() ? Effect.fail("decided" as const) : Deferred.succeed(ended, undefined)',
    'Deferred.doneUnsafe(ended, Exit.void)\n        return isDecided() ? Effect.fail("decided" as const) : Effect.void'
  ),
  ofActors(
    "fan-stagger-of-failures",
    "staggered, a failure is the next one's turn",
    file,
    ": Deferred.succeed(ended, undefined)",
    ": Effect.void"
  ),
  ofActors(
    "fan-endless-targets",
    "3: targets are bounded",
    file,
    "if (asked.push(target) <= limit) continue",
    "if (asked.push(target) <= limit + 1) continue"
  )
]
