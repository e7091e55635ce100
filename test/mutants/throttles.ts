/**
 * Faults in Throttle: who goes first, who is let in, what giving up leaves behind.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors as one } from "./Fault.ts"

export const throttles: ReadonlyArray<Fault> = [
  one(
    "throttle-overtaken",
    "first come, first served",
    "Throttle.ts",
    "const wait = line.size === 0 ? yield* take(self.key, tokens) : undefined",
    "const wait = yield* take(self.key, tokens)"
  ),
  one(
    "throttle-line-endless",
    "3: maxQueued wait",
    "Throttle.ts",
    "if (line.size >= maxQueued)",
    "if (line.size > maxQueued)"
  ),
  one(
    "throttle-place-kept",
    "8: who gives up leaves its place",
    "Throttle.ts",
    "          line.delete(waiter)\n        })",
    "        })"
  ),
  one(
    "throttle-few-wait-for-many",
    "who needs few goes when who needs many has given up",
    "Throttle.ts",
    'if (line.values().next().value === waiter) self.timers.once("next", 1, "Next")',
    ""
  ),
  one(
    "throttle-too-many-wait-for-ever",
    "12: tokens beyond the burst are refused",
    "Throttle.ts",
    "if (!(tokens >= 1 && tokens <= burst))",
    "if (tokens < 1)"
  ),
  one(
    "throttle-told-too-long",
    "the time until the next token is what is left of it",
    "Throttle.ts",
    "const millis = Math.max(1, line.due - now)",
    "const millis = Math.max(1, line.due)"
  ),
  one(
    "throttle-line-stops",
    "the next has its turn when the first has gone",
    "Throttle.ts",
    '        self.pipe(Effect.void, () => ["Next"])\n',
    ""
  ),
  one(
    "throttle-waiting-forgotten",
    "a key with a line is not forgotten",
    "Throttle.ts",
    "if (lines(self).size === 0) self.stop",
    "self.stop"
  ),
  one(
    "throttle-front-does-not-wait",
    "an actor in front forwards within the rate",
    "ThrottleFront.ts",
    "wait > 0; wait = yield* take(self.key, 1)) yield* Effect.sleep(wait)",
    "wait > 5000; wait = yield* take(self.key, 1)) yield* Effect.sleep(wait)"
  ),
  one(
    "throttle-front-stuck",
    "a turn that waits for its token is not stuck",
    "ThrottleFront.ts",
    "const stuckAfter = 30_000 + window",
    "const stuckAfter = 30_000 + window * 0"
  ),
  one(
    "throttle-burst-finds-no-mailbox",
    "5: a burst is refused by the line alone",
    "Throttle.ts",
    'mailbox: { overflow: "suspend" },',
    ""
  ),
  one(
    "throttle-burst-under-a-millisecond",
    "12: what the limiter cannot do is refused",
    "TokenBucket.ts",
    "if (!(window >= 1 && Number.isFinite(window)))",
    "if (!Number.isFinite(window))"
  )
]
