import { describe, expect, it } from "vitest"
import { describe as told, reason, retryAfter, schedule } from "../../src/gateway/Drain.ts"

describe("Drain", () => {
  describe("schedule", () => {
    it("lets a single batch go at once, and come back at once", () => {
      const { goesAt, backAt } = schedule(250, 250, 3000)
      for (const n of [0, 249]) expect([goesAt(n), backAt(n)]).toEqual([0, 0])
    })

    it("spreads 1,000 in batches of 250 over 3 s, and their coming back over 3 s more, one by one", () => {
      const { goesAt, backAt } = schedule(1000, 250, 3000)
      expect([0, 249, 250, 999].map(goesAt)).toEqual([0, 0, 750, 2250])
      expect([0, 1, 250, 999].map(backAt)).toEqual([3000, 3003, 3750, 5997])
    })

    it.each([
      [251, 250],
      [10_000, 250],
      [7, 1]
    ])("sends nobody of %i back before the last batch of %i has gone, nor later than twice the spread", (n, batch) => {
      const { goesAt, backAt } = schedule(n, batch, 1000)
      const all = Array.from({ length: n }, (_, i) => i)
      const lastGoes = Math.max(...all.map(goesAt))
      expect(lastGoes).toBeLessThan(1000)
      expect(Math.min(...all.map(backAt))).toBeGreaterThan(lastGoes)
      expect(Math.max(...all.map(backAt))).toBeLessThan(2000)
    })
  })

  it("says in a close frame's 123 bytes when to come back, never in the past", () => {
    expect(reason(5000.5, 3766)).toBe("service restart; retry after 1235 ms")
    expect(reason(1, 2)).toBe("service restart; retry after 0 ms")
    expect(Buffer.byteLength(reason(Number.MAX_SAFE_INTEGER, 0))).toBeLessThan(123)
  })

  it("says in whole seconds when to come to it again, at the earliest in the next", () => {
    expect([retryAfter(8001, 2000), retryAfter(8000, 2000), retryAfter(1, 2)]).toEqual(["7", "6", "1"])
  })

  it("tells in one line what was finished, and what was lost only where something was", () => {
    const none = { millis: 12.4, closed: 3, cut: 0, left: 1, away: 0, finished: 2, lost: 0, unsentBytes: 0 }
    expect(told(none)).toBe("drained in 12 ms: 3 connections closed, 1 left, 2 messages finished, nothing lost")
    expect(told({ ...none, cut: 1, away: 4, lost: 5, unsentBytes: 6 })).toBe(
      "drained in 12 ms: 3 connections closed, 1 left, 2 messages finished; lost: 1 connections cut, 4 sessions away, 5 requests, 6 unsent bytes"
    )
  })
})
