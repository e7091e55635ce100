/**
 * The books of a WorkPool: which task waits, which worker has which, and what has become of the rest. A pure rule.
 *
 *   submitted -> refused
 *             -> queue -> a worker's -> done | failed | cancelled
 *                  ^         |
 *                  +- later <+ it failed, and is to be tried again
 *
 * Law 4, conservation: submitted = done + failed + cancelled + refused + queued + running, after each function here; what waits
 * for a worker or for its retry is queued. Its workers and those that are gone have ended together what the pool has. Law 3: the pool has room while queue, later and running together are below
 * workers + maxQueued, so a worker more is a place more, and a task that waits for its retry keeps its place.
 * Order: first in, first out; a retried task goes to the end, for it has had its turn.
 * Cost: O(workers) a task, O(log n) in the length of the queue, a Chunk; a burst of withdrawals O(n), once. An array that is
 * copied costs 60 ns a task at 8 waiting, 2.5 us at 1,000, 2 ms at 100,000; a Chunk 0.3, 0.6, 1.6 us (Node 24).
 */
import { Chunk, HashMap, Option, Schema } from "effect"

export const counts = Schema.Struct({
  submitted: Schema.Int,
  done: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  refused: Schema.Int,
  /** Attempts that failed and were not the last. */
  retried: Schema.Int
})
/** Of a worker: what it has ended. */
export const tally = { done: Schema.Int, failed: Schema.Int, retried: Schema.Int, busyMillis: Schema.Finite }
/** Workers that have gone, and what they had ended in all. */
export const Gone = Schema.Struct({ workers: Schema.Int, ...tally })

/** The books, by the Schema of a task. */
export const schema = (task: Schema.Codec<unknown, unknown>) => {
  /** `failures`: how often it was tried in vain. */
  const job = Schema.Struct({ id: Schema.Int, task, failures: Schema.Int })
  /** `since`: when it began what it does. */
  const worker = Schema.Struct({ index: Schema.Int, job: Schema.UndefinedOr(job), since: Schema.Finite, ...tally })
  return Schema.Struct({
    /** Workers wanted; there are more while some of them have not ended what they do. */
    size: Schema.Int,
    nextId: Schema.Int,
    draining: Schema.Boolean,
    queue: Schema.Chunk(job),
    later: Schema.HashMap(Schema.Int, job),
    workers: Schema.Array(worker),
    gone: Gone,
    counts
  })
}
export type Books = ReturnType<typeof schema>["Type"]
export type Worker = Books["workers"][number]
export type Job = NonNullable<Worker["job"]>

/** As many free workers, and no task. */
export const make = (size: number, now: number): Books => {
  const zero = { submitted: 0, done: 0, failed: 0, cancelled: 0, refused: 0, retried: 0 }
  const gone = { workers: 0, done: 0, failed: 0, retried: 0, busyMillis: 0 }
  const none = { queue: Chunk.empty<Job>(), later: HashMap.empty<number, Job>(), workers: [], gone, counts: zero }
  return resize({ ...none, size, nextId: 1, draining: false }, size, now)
}

type Counts = Books["counts"]

const plus = (of: Counts, name: keyof Counts, n = 1): Counts => ({ ...of, [name]: of[name] + n })

export const running = ({ workers }: Books): number =>
  workers.reduce((n, { job }) => (job === undefined ? n : n + 1), 0)
export const queued = (books: Books): number => Chunk.size(books.queue) + HashMap.size(books.later)

/** Tasks that have not come to an end. */
export const unfinished = (books: Books): number => queued(books) + running(books)
export const jobs = ({ later, queue, workers }: Books): ReadonlyArray<Job> =>
  [...workers.map(({ job }) => job), ...queue, ...HashMap.values(later)].filter((job) => job !== undefined)

/** How many more may be taken on. */
export const room = (books: Books, maxQueued: number): number => books.size + maxQueued - unfinished(books)

/** A task is taken on, with the id `books.nextId`. */
export const submit = (books: Books, task: unknown): Books => {
  const job = { id: books.nextId, task, failures: 0 }
  const queue = Chunk.append(books.queue, job)
  return { ...books, nextId: job.id + 1, queue, counts: plus(books.counts, "submitted") }
}

/** A task has come in vain. */
export const refuse = (books: Books): Books => ({ ...books, counts: plus(plus(books.counts, "submitted"), "refused") })

/** A free worker takes the first task; undefined when there is none of either. */
export const take = (books: Books, now: number): readonly [Books, Worker, Job] | undefined => {
  const at = books.workers.findIndex(({ job }) => job === undefined)
  const job = Option.getOrUndefined(Chunk.head(books.queue))
  if (at < 0 || job === undefined) return undefined
  const worker = { ...books.workers[at]!, job, since: now }
  return [{ ...books, queue: Chunk.drop(books.queue, 1), workers: books.workers.with(at, worker) }, worker, job]
}

/** A worker leaves; what it has done stays. */
const leave = (gone: Books["gone"], { busyMillis, done, failed, retried }: Worker): Books["gone"] => ({
  workers: gone.workers + 1,
  done: gone.done + done,
  failed: gone.failed + failed,
  retried: gone.retried + retried,
  busyMillis: gone.busyMillis + busyMillis
})

/** A worker has ended its task, or an attempt at it (`retried`), and is gone if there are too many. */
export const end = (books: Books, at: Worker, how: "done" | "failed" | "retried" | "cancelled", now: number): Books => {
  const busyMillis = at.busyMillis + Math.max(0, now - at.since)
  const free = { ...at, job: undefined, since: now, busyMillis, ...(how !== "cancelled" && { [how]: at[how] + 1 }) }
  const seat = books.workers.indexOf(at)
  const leaves = books.workers.length > books.size
  const workers = leaves ? books.workers.toSpliced(seat, 1) : books.workers.with(seat, free)
  const gone = leaves ? leave(books.gone, free) : books.gone
  const again = how === "retried" && at.job !== undefined ? { ...at.job, failures: at.job.failures + 1 } : undefined
  const later = again === undefined ? books.later : HashMap.set(books.later, again.id, again)
  return { ...books, workers, gone, later, counts: plus(books.counts, how) }
}

/** The time of a task's next attempt has come. */
export const due = (books: Books, id: number): Books => {
  const job = Option.getOrUndefined(HashMap.get(books.later, id))
  if (job === undefined) return books
  return { ...books, later: HashMap.remove(books.later, id), queue: Chunk.append(books.queue, job) }
}

/** Cancels those of them that wait. */
export const withdraw = (books: Books, ids: ReadonlySet<number>): readonly [Books, ReadonlyArray<Job>] => {
  const gone = [...books.queue, ...HashMap.values(books.later)].filter(({ id }) => ids.has(id))
  if (gone.length === 0) return [books, gone]
  const queue = Chunk.filter(books.queue, ({ id }) => !ids.has(id))
  const later = HashMap.filter(books.later, ({ id }) => !ids.has(id))
  return [{ ...books, queue, later, counts: plus(books.counts, "cancelled", gone.length) }, gone]
}

/** More workers at once; fewer: free ones, the last first, and then each that becomes free. */
export const resize = (books: Books, size: number, now: number): Books => {
  const workers = [...books.workers]
  let { gone } = books
  for (let at = workers.length - 1; at >= 0 && workers.length > size; at--) {
    if (workers[at]!.job === undefined) gone = leave(gone, workers.splice(at, 1)[0]!)
  }
  const used = new Set(workers.map(({ index }) => index))
  const idle = { job: undefined, since: now, done: 0, failed: 0, retried: 0, busyMillis: 0 }
  for (let index = 0; workers.length < size; index++) if (!used.has(index)) workers.push({ index, ...idle })
  return { ...books, size, gone, workers: workers.toSorted((a, b) => a.index - b.index) }
}
