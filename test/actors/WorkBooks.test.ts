import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Books from "../../actors/WorkBooks.ts"
import * as WorkStats from "../../actors/WorkStats.ts"

/** What may happen to a pool; `n` picks which, `how` its end. */
const step = fc.record({
  what: fc.constantFrom("submit", "submit", "take", "take", "end", "end", "due", "withdraw", "refuse", "resize"),
  n: fc.nat(6),
  how: fc.constantFrom("done", "failed", "retried", "cancelled"),
  millis: fc.nat(20)
} as const)

/** Counted beside the books by whoever made it happen. */
const nothing = () => ({ done: 0, failed: 0, retried: 0, cancelled: 0, refused: 0, busyMillis: 0 })

describe("Stats", () => {
  it("has in its rows and in `gone` together what has ended since the pool's start, at any number of resizes", () => {
    let left = 0
    fc.assert(
      fc.property(fc.nat(4), fc.array(step, { maxLength: 200, size: "max" }), (size, steps) => {
        const seen = nothing()
        const since = new Map<number, number>()
        let now = 0
        let books = Books.make(size, now)
        for (const { what, n, how, millis } of steps) {
          now += millis
          if (what === "submit") books = Books.submit(books, n)
          if (what === "take") {
            const taken = Books.take(books, now)
            if (taken !== undefined) since.set(taken[1].index, now)
            books = taken?.[0] ?? books
          }
          const busy = books.workers.filter(({ job }) => job !== undefined)
          if (what === "end" && busy.length > 0) {
            const worker = busy[n % busy.length]!
            books = Books.end(books, worker, how, now)
            seen[how]++
            seen.busyMillis += now - since.get(worker.index)!
          }
          const waits = [...books.queue, ...[...books.later].map(([, job]) => job)]
          if (what === "due" && waits.length > 0) books = Books.due(books, waits[n % waits.length]!.id)
          if (what === "withdraw") {
            const [kept, gone] = Books.withdraw(books, new Set(waits.slice(0, n).map(({ id }) => id)))
            books = kept
            seen.cancelled += gone.length
          }
          if (what === "refuse") {
            books = Books.refuse(books)
            seen.refused++
          }
          if (what === "resize") books = Books.resize(books, n, now)

          const { gone, workers, ...stats } = WorkStats.of(books, now)
          const underWay = workers.filter(({ busy }) => busy).map(({ index }) => now - since.get(index)!)
          const busyMillis = underWay.reduce((all, each) => all + each, seen.busyMillis)
          expect(stats).toMatchObject({ ...seen, busyMillis })
          for (const name of ["done", "failed", "retried", "busyMillis"] as const) {
            expect(workers.reduce((all, row) => all + row[name], gone[name])).toBe(stats[name])
          }
          const { cancelled, done, failed, queued, refused, running, submitted } = stats
          expect(done + failed + cancelled + refused + queued + running).toBe(submitted)
          // bounded: a row a worker, however many have come and gone
          expect(workers.length).toBeLessThanOrEqual(Math.max(books.size, running))
          left += gone.workers
        }
      }),
      { numRuns: 100 }
    )
    expect(left).toBeGreaterThan(1000)
  })
})
