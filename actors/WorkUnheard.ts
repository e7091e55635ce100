/**
 * Tasks of a WorkPool that come to no end of their own while nobody waits for their result: each is told to the log.
 *
 *   Drain's deadline           one line a task: its number, what it was, whether it had begun; told before Drain is answered
 *   the pool stops, is killed  the same, and once how many there were unfinished in all (`onStop`)
 *   the pool is restarted      the same, for its queue is lost with the incarnation
 *
 * Used by WorkDesk, beside WorkAttempt, which tells the log of one that fails for good: those of a `Submit`, and what was told. Who
 * waits hears of it by an error instead. Law 5: nothing is lost in silence. Law 3: so many lines at most, one more says how many
 * tasks are left out; a task is shown by its first 200 characters, for a log is no queue: whoever must not lose one keeps it.
 * Considered dead letters: those are messages that were not handled, and a Submit was.
 */
import { Effect, Formatter } from "effect"
import type { Hand } from "./WorkHand.ts"

/** Tasks that have a line of their own. */
const maxLines = 100
const maxShown = 200

/** A task, as the log has it. */
export const show = (task: unknown): string => {
  const text = Formatter.format(task)
  return text.length > maxShown ? `${text.slice(0, maxShown)}...` : text
}

/** Tells of those that nobody waits for, and nobody has given up, what has `happened` to them. */
export const log = (pool: string, happened: string, hands: ReadonlyMap<number, Hand>): Effect.Effect<void> => {
  const unheard = [...hands].filter(([, { ask, left }]) => ask === undefined && !left)
  const lines = unheard
    .slice(0, maxLines)
    .map(([id, { begun, task }]) => `task ${id} ${happened}, ${begun ? "begun" : "not begun"}: ${show(task)}`)
  const more = unheard.length - lines.length
  if (more > 0) lines.push(`so it is with ${more} more tasks that nobody waits for`)
  return Effect.forEach(lines, (line) => Effect.logWarning(`${pool}: ${line}`), { discard: true })
}
