import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Deadline, Timers } from "../../src/kernel/Timers.ts"

/** A clock and one sleep, moved by hand. */
const world = () => {
  let now = 0
  let sleeping: { readonly until: number; readonly wake: () => void } | undefined
  let sleeps = 0
  const timers = new Timers(
    () => now,
    (millis, wake) => {
      const own = { until: now + millis, wake }
      sleeping = own
      sleeps++
      return () => {
        if (sleeping === own) sleeping = undefined
      }
    },
    () => {}
  )
  const advance = (to: number): void => {
    while (sleeping !== undefined && sleeping.until <= to) {
      const { until, wake } = sleeping
      now = Math.max(now, until)
      sleeping = undefined
      wake()
    }
    now = to
  }
  return { timers, advance, sleeps: () => sleeps, pending: () => sleeping !== undefined }
}

const op = fc.oneof(
  fc.record({ do: fc.constant("arm" as const), id: fc.nat(9), millis: fc.constantFrom(1, 5, 10, 50, 0.3) }),
  fc.record({ do: fc.constant("cancel" as const), id: fc.nat(9) }),
  fc.record({ do: fc.constant("advance" as const), by: fc.nat(30) })
)

describe("Timers", () => {
  it("expire as a sorted list would: each armed node once, at its time, cancelled and re-armed ones not", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 120 }), (program) => {
        const { advance, pending, timers } = world()
        const due = new Map<number, number>()
        const fired: Array<number> = []
        const nodes = Array.from({ length: 10 }, (_, id) => new Deadline(() => void fired.push(id)))
        let now = 0
        const move = (by: number): void => {
          now += by
          fired.length = 0
          advance(now)
          const expected = [...due].filter(([, at]) => at <= now + 1e-9)
          expect(fired.toSorted((a, b) => a - b)).toEqual(expected.map(([id]) => id).toSorted((a, b) => a - b))
          const times = fired.map((id) => due.get(id)!)
          for (let i = 1; i < times.length; i++) expect(times[i]!).toBeGreaterThanOrEqual(times[i - 1]! - 0.01)
          for (const [id] of expected) due.delete(id)
        }
        for (const step of program) {
          if (step.do === "arm") {
            timers.arm(nodes[step.id]!, step.millis)
            due.set(step.id, now + step.millis)
          } else if (step.do === "cancel") {
            timers.cancel(nodes[step.id]!)
            due.delete(step.id)
          } else move(step.by)
          expect(timers.size).toBe(due.size)
          expect(due.size === 0 || pending()).toBe(true)
        }
      })
    )
  })

  it("100,000 deadlines of one duration share one sleep", () => {
    const { advance, sleeps, timers } = world()
    let fired = 0
    for (let i = 0; i < 100_000; i++) timers.arm(new Deadline(() => void fired++), 5000)
    expect(sleeps()).toBe(1)
    advance(5000)
    expect({ fired, size: timers.size }).toEqual({ fired: 100_000, size: 0 })
  })

  it("one node set anew a million times, to a million durations, leaves no lanes behind", () => {
    const { advance, timers } = world()
    let fired = 0
    const node = new Deadline(() => void fired++)
    for (let i = 0; i < 1_000_000; i++) timers.arm(node, 3_600_000 + i / 1000)
    expect(timers.lanes).toBeLessThan(200)
    advance(3_600_000 + 1000)
    expect({ fired, size: timers.size }).toEqual({ fired: 1, size: 0 })
  })

  it("what is left of many durations expires in order, whichever were cancelled", () => {
    const durations = fc.uniqueArray(fc.integer({ min: 1, max: 5000 }), { minLength: 100, maxLength: 400 })
    fc.assert(
      fc.property(durations, fc.infiniteStream(fc.nat(9)), (millis, chance) => {
        const { advance, timers } = world()
        const fired: Array<number> = []
        const nodes = millis.map((ms) => new Deadline(() => void fired.push(ms)))
        nodes.forEach((node, i) => timers.arm(node, millis[i]!))
        const left = millis.filter((_, i) => {
          const stays = chance.next().value! === 0
          if (!stays) timers.cancel(nodes[i]!)
          return stays
        })
        expect(timers.lanes - left.length).toBeLessThanOrEqual(Math.max(64, left.length))
        advance(5000)
        expect(fired).toEqual(left.toSorted((a, b) => a - b))
      }),
      { numRuns: 50 }
    )
  })

  it("a node that throws does not keep the others", () => {
    const { advance, timers } = world()
    const fired: Array<string> = []
    timers.arm(
      new Deadline(() => {
        throw new Error("defect")
      }),
      1
    )
    timers.arm(new Deadline(() => void fired.push("other")), 2)
    advance(5)
    expect(fired).toEqual(["other"])
  })

  it("expire one after the other, never one inside another, also where a sleep of 0 returns at once", () => {
    let now = 0
    let wakeUp = (): void => {}
    const timers = new Timers(
      () => now,
      (millis, wake) => {
        if (millis === 0) wake()
        else wakeUp = wake
        return () => {}
      },
      () => {}
    )
    const steps: Array<string> = []
    const node = (name: string) =>
      new Deadline(() => {
        steps.push(`${name} begins`)
        timers.arm(new Deadline(() => {}), 50)
        steps.push(`${name} ends`)
      })
    timers.arm(node("first"), 5)
    timers.arm(node("second"), 6)
    now = 10
    wakeUp()
    expect(steps).toEqual(["first begins", "first ends", "second begins", "second ends"])
    expect(timers.size).toBe(2)
  })
})
