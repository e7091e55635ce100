import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Backoff from "../../src/client/Backoff.ts"

describe("a close code", () => {
  it.each([
    [1000, "stop"],
    [1001, "again"],
    [1002, "again"],
    [1003, "stop"],
    [1005, "again"],
    [1006, "again"],
    [1007, "stop"],
    [1008, "stop"],
    [1009, "stop"],
    [1010, "stop"],
    [1011, "again"],
    [1012, "again"],
    [1013, "later"],
    [1014, "again"],
    [1015, "again"],
    [3000, "stop"],
    [4001, "stop"],
    [4401, "stop"],
    [4999, "stop"]
  ])("%i means %s", (code, verdict) => {
    expect(Backoff.verdict(code, false)).toBe(verdict)
    if (code !== 4401) expect(Backoff.verdict(code, true)).toBe(verdict)
  })

  it("4401 means again where another credential can be had", () => {
    expect(Backoff.verdict(4401, true)).toBe("again")
  })
})

describe("the delay", () => {
  it("is bounded by 50 ms, doubling to 30 s", () => {
    const bounds = Array.from({ length: 12 }, (_, step) => Backoff.delay(step, 50, 30_000, 1))
    expect(bounds).toEqual([50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000])
  })

  it("is any part of its bound, however many attempts there were", () => {
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (step, random) => {
        const delay = Backoff.delay(step, 50, 30_000, random)
        expect(delay).toBeGreaterThanOrEqual(0)
        expect(delay).toBeLessThanOrEqual(30_000)
        expect(delay).toBe(random * Backoff.delay(step, 50, 30_000, 1))
      })
    )
  })

  it.each([
    [1012, "service restart; retry after 1234 ms", 1234],
    [1012, "service restart; retry after 0 ms", 0],
    [1012, "service restart", 0],
    [1012, "retry after -5 ms", 0],
    [1012, "retry after 1e9 ms", 0],
    [1012, "retry after 99999999999 ms", 0],
    [1001, "retry after 1234 ms", 0]
  ])("after %s with the reason %j begins no earlier than in %s ms", (code, reason, millis) => {
    expect(Backoff.hint(code, reason)).toBe(millis)
  })

  it("after 1013 begins with 1.6 s, or goes on from where it was", () => {
    expect(Backoff.step(0, "later")).toBe(5)
    expect(Backoff.step(7, "later")).toBe(7)
    expect(Backoff.step(2, "again")).toBe(2)
  })
})
