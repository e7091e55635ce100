import { describe, expect, it } from "vitest"
import { InvalidOption } from "troupe"
import { Timers } from "../../src/kernel/Timers.ts"
import * as FloodGate from "../../src/supervision/FloodGate.ts"

/** A gate on a clock of its own. */
const gate = (options: FloodGate.FloodOptions = {}) => {
  let now = 0
  let wakes: Array<{ readonly at: number; readonly wake: () => void }> = []
  const lines: Array<string> = []
  const timers = new Timers(
    () => now,
    (millis, wake) => {
      const sleep = { at: now + millis, wake }
      wakes.push(sleep)
      return () => void (wakes = wakes.filter((other) => other !== sleep))
    },
    (defect) => {
      throw defect
    }
  )
  const flood = new FloodGate.FloodGate(options, timers, (summary) => void lines.push(FloodGate.text(summary)))
  const pass = (millis: number): void => {
    now += millis
    const due = wakes.filter(({ at }) => at <= now)
    wakes = wakes.filter(({ at }) => at > now)
    for (const { wake } of due) wake()
  }
  let incidents = 0
  /** Fails `n` times; answers how many were let through. */
  const fail = (n: number, tag = "Fail", decision = "restarts in 7 ms", type = "Worker"): number => {
    let full = 0
    for (let i = 0; i < n; i++) if (flood.admit(type, tag, `x-${++incidents}`, decision)) full++
    return full
  }
  return { flood, timers, lines, pass, fail }
}

describe("FloodGate", () => {
  it("lets five of a kind through in 10 s, counts the rest, and sums it up when the window ends", () => {
    const { fail, pass, lines } = gate()
    expect(fail(995)).toBe(5)
    expect(fail(3, "Fail", "stopped")).toBe(0)
    pass(9999)
    expect(lines).toEqual([])
    pass(1)
    expect(lines).toEqual([
      'Worker "Fail": 993 more failures in 10 s, last incident x-998, decisions restarted 990, stopped 3'
    ])
    expect(fail(6)).toBe(5)
    pass(10_000)
    expect(lines[1]).toBe('Worker "Fail": 1 more failure in 10 s, last incident x-1004, decisions restarted 1')
  })

  it("says nothing at the end of a window in which nothing was held back, and keeps nothing of it", () => {
    const { fail, pass, lines, flood, timers } = gate()
    expect(fail(5)).toBe(5)
    expect([flood.size, timers.size]).toEqual([1, 1])
    pass(10_000)
    expect([lines, flood.size, timers.size]).toEqual([[], 0, 0])
  })

  it("tells kinds apart by type and tag; the failures of a parent's children are one kind", () => {
    const { fail, flood } = gate()
    expect([fail(6), fail(6, "Other"), fail(6, "Fail", "stopped", "Clerk")]).toEqual([5, 5, 5])
    expect(Array.from({ length: 9 }, (_, i) => fail(1, `child Room/a/Worker/w ${i}`, "escalated to Room/a"))).toEqual([
      1, 1, 1, 1, 1, 0, 0, 0, 0
    ])
    expect(flood.size).toBe(4)
  })

  it("names decisions without the figures, addresses and reasons in them", () => {
    const { fail, pass, lines } = gate({ inFull: 0 })
    for (const decision of [
      "restarts in 1 ms",
      "restarts in 2 ms",
      "escalated to Room/a b",
      "escalated: it has no parent, stopped",
      "out of restarts, escalated to Room/b",
      "out of restarts, quarantined",
      "ignored: it is stopping"
    ]) {
      fail(1, "Fail", decision)
    }
    pass(10_000)
    expect(lines[0]).toContain(
      "decisions restarted 2, escalated 2, out of restarts, escalated 1, out of restarts, quarantined 1, ignored 1"
    )
  })

  it("keeps sixteen decisions apart at the most", () => {
    const { fail, pass, lines } = gate({ inFull: 0 })
    for (let i = 0; i < 100; i++) fail(1, "Fail", `decision ${i}`)
    pass(10_000)
    expect(lines[0]).toMatch(/decision 15 1, other 84$/)
  })

  it("has 1,024 windows open at the most; one more closes the oldest, with its summary", () => {
    const { fail, flood, lines, timers } = gate()
    fail(7, "t0")
    for (let i = 1; i < 1024; i++) fail(1, `t${i}`)
    expect([flood.size, lines]).toEqual([1024, []])
    fail(1, "t1024")
    expect([flood.size, timers.size]).toEqual([1024, 1024])
    expect(lines).toEqual(['Worker "t0": 2 more failures in 0 s, last incident x-7, decisions restarted 2'])
  })

  it("says what is pending when it closes, holds no timer then, and lets everything after that through", () => {
    const { fail, flood, lines, timers, pass } = gate({ inFull: 1 })
    fail(3, "a")
    fail(1, "b")
    pass(2500)
    flood.close()
    expect(lines).toEqual(['Worker "a": 2 more failures in 2.5 s, last incident x-3, decisions restarted 2'])
    expect([flood.size, timers.size, fail(10, "a")]).toEqual([0, 0, 10])
  })

  it.each([
    ["inFull", { inFull: -1 }],
    ["within", { within: 0 }],
    ["windows", { windows: 0 }],
    ["every", { every: 1 } as FloodGate.FloodOptions]
  ])("refuses a bad %s by name", (field, options) => {
    expect(() => gate(options)).toThrow(InvalidOption)
    expect(() => gate(options)).toThrow(`system.reports.${field}`)
  })
})
