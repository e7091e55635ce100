import { Effect, Exit, Fiber } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Permit, lineOverflows, Permits } from "../../src/compute/Permits.ts"

const seat = (permits: Permits) => {
  const permit = new Permit()
  const fiber = Effect.runFork(permit.acquire(permits))
  const state = (): string => {
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return "waits"
    return Exit.isSuccess(exit) ? "has one" : JSON.stringify(exit).includes("Dropped") ? "dropped" : "refused"
  }
  return { permit, fiber, state }
}

describe("Permits", () => {
  it.each([
    ["fail", ["has one", "waits", "refused"]],
    ["suspend", ["has one", "waits", "waits"]],
    ["dropNewest", ["has one", "waits", "dropped"]],
    ["dropOldest", ["has one", "dropped", "waits"]]
  ] as const)("with one place and a line of one, %s: three come", (overflow, expected) => {
    const permits = new Permits("x", 1, 1, overflow)
    expect([1, 2, 3].map(() => seat(permits)).map(({ state }) => state())).toEqual(expected)
  })

  it("without a line, dropOldest drops who comes", () => {
    const permits = new Permits("x", 1, 0, "dropOldest")
    expect([seat(permits), seat(permits)].map(({ state }) => state())).toEqual(["has one", "dropped"])
  })

  it("who is dropped and looks at once finds the line full", () => {
    const permits = new Permits("x", 1, 1, "dropOldest")
    const [, second] = [seat(permits), seat(permits)]
    const found: Array<number> = []
    second.fiber.addObserver(() => found.push(permits.queued))
    seat(permits)
    expect([second.state(), found]).toEqual(["dropped", [1]])
  })

  it("tells the limit and its option", async () => {
    const permits = new Permits("Offload", 1, 0, "fail")
    seat(permits)
    const error = await Effect.runPromise(Effect.flip(new Permit().acquire(permits)))
    expect(error.message).toBe("Offload: the line: all 0 are in use (option maxQueued)")
  })

  it("gives a place that is left to the first in line, whoever of the others gave up", () => {
    const permits = new Permits("x", 1, 10, "fail")
    const [first, second, third] = [seat(permits), seat(permits), seat(permits)] as const
    second.permit.release()
    first.permit.release()
    expect([permits.taken, permits.queued, third.state()]).toEqual([1, 0, "has one"])
    third.permit.release()
    third.permit.release()
    expect([permits.taken, permits.queued]).toEqual([0, 0])
  })

  it("keeps its books in any order of coming, leaving and interruption: never more than it has, none lost", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...lineOverflows),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.tuple(fc.constantFrom("come", "leave", "interrupt"), fc.nat(9)), { maxLength: 40 }),
        (overflow, count, line, steps) => {
          const permits = new Permits("x", count, line, overflow)
          const guests: Array<ReturnType<typeof seat>> = []
          for (const [what, at] of steps) {
            const each = guests[at % Math.max(1, guests.length)]
            if (what === "come") guests.push(seat(permits))
            else if (each !== undefined) {
              if (what === "interrupt") Effect.runFork(Fiber.interrupt(each.fiber))
              each.permit.release()
              guests.splice(guests.indexOf(each), 1)
            }
            const has = guests.filter(({ state }) => state() === "has one").length
            const waits = guests.filter(({ state }) => state() === "waits").length
            expect([permits.taken, permits.queued]).toEqual([has, waits])
            expect(has).toBeLessThanOrEqual(count)
            if (waits > 0) expect(has).toBe(count)
            if (overflow !== "suspend") expect(waits).toBeLessThanOrEqual(line)
          }
          for (const { permit } of guests) permit.release()
          expect([permits.taken, permits.queued]).toEqual([0, 0])
        }
      )
    )
  })
})
