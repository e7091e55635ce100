/**
 * What a WorkPool answers to `Stats`: its books in figures.
 *
 *   submitted = done + failed + cancelled + refused + queued + running
 *   done, failed, retried, busyMillis of the pool = those of `gone` and of all `workers` together
 *
 * Used by WorkPool; a pure rule over WorkBooks. Law 4: both sums hold at every look and at any number of resizes, from the pool's
 * start: what a worker that is gone has done is added to `gone`, and its number is free for the next one, which begins at nothing.
 * A task that was cancelled is no worker's, its time is. Bounds: a row for each worker there is, one sum for all that are gone.
 * Considered: a row for each that is gone, the last so many; rejected: the sums would be wrong after so many resizes, and rows without
 * an end do not fit into memory. Whoever wants a worker's last figures asks before it resizes.
 */
import { HashMap, Schema } from "effect"
import * as Books from "./WorkBooks.ts"

/** The books for an answer to `Stats`. */
export const Stats = Schema.Struct({
  ...Books.counts.fields,
  /** Time of workers on tasks, those under way too, in milliseconds: by a clock's time and `workers` this is utilisation. */
  busyMillis: Schema.Finite,
  /** All that wait, `retrying` of them for their next attempt. */
  queued: Schema.Int,
  retrying: Schema.Int,
  running: Schema.Int,
  draining: Schema.Boolean,
  /** By index; those that will be gone once they are free are among them. */
  workers: Schema.Array(Schema.Struct({ index: Schema.Int, busy: Schema.Boolean, ...Books.tally })),
  /** How many workers `Resize` has taken away so far, and what they had done in all. */
  gone: Books.Gone
})

export const of = (books: Books.Books, now: number): typeof Stats.Type => {
  const workers = books.workers.map(({ job, since, ...worker }) => {
    const busy = job !== undefined
    return { ...worker, busy, busyMillis: worker.busyMillis + (busy ? Math.max(0, now - since) : 0) }
  })
  const { counts, draining, gone } = books
  const busyMillis = workers.reduce((all, worker) => all + worker.busyMillis, gone.busyMillis)
  const waits = { queued: Books.queued(books), retrying: HashMap.size(books.later), running: Books.running(books) }
  return { ...counts, busyMillis, ...waits, draining, workers, gone }
}
