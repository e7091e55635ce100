import { Effect, Exit, Fiber } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Guest, lineOverflows, Places } from "../../src/compute/Places.ts"

const seat = (places: Places) => {
  const guest = new Guest()
  const fiber = Effect.runFork(guest.take(places))
  const state = (): string => {
    const exit = fiber.pollUnsafe()
    if (exit === undefined) return "waits"
    return Exit.isSuccess(exit) ? "has one" : JSON.stringify(exit).includes("Dropped") ? "dropped" : "refused"
  }
  return { guest, fiber, state }
}

describe("Places", () => {
  it.each([
    ["fail", ["has one", "waits", "refused"]],
    ["suspend", ["has one", "waits", "waits"]],
    ["dropNewest", ["has one", "waits", "dropped"]],
    ["dropOldest", ["has one", "dropped", "waits"]]
  ] as const)("with one place and a line of one, %s: three come", (overflow, expected) => {
    const places = new Places("x", 1, 1, overflow)
    expect([1, 2, 3].map(() => seat(places)).map(({ state }) => state())).toEqual(expected)
  })

  it("without a line, dropOldest drops who comes", () => {
    const places = new Places("x", 1, 0, "dropOldest")
    expect([seat(places), seat(places)].map(({ state }) => state())).toEqual(["has one", "dropped"])
  })

  it("tells the limit and its option", async () => {
    const places = new Places("Offload", 1, 0, "fail")
    seat(places)
    const error = await Effect.runPromise(Effect.flip(new Guest().take(places)))
    expect(error.message).toBe("Offload: the line: all 0 are in use (option maxQueued)")
  })

  it("gives a place that is left to the first in line, whoever of the others gave up", () => {
    const places = new Places("x", 1, 10, "fail")
    const [first, second, third] = [seat(places), seat(places), seat(places)] as const
    second.guest.leave()
    first.guest.leave()
    expect([places.taken, places.queued, third.state()]).toEqual([1, 0, "has one"])
    third.guest.leave()
    third.guest.leave()
    expect([places.taken, places.queued]).toEqual([0, 0])
  })

  it("keeps its books in any order of coming, leaving and interruption: never more than it has, none lost", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...lineOverflows),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.tuple(fc.constantFrom("come", "leave", "interrupt"), fc.nat(9)), { maxLength: 40 }),
        (overflow, count, line, steps) => {
          const places = new Places("x", count, line, overflow)
          const guests: Array<ReturnType<typeof seat>> = []
          for (const [what, at] of steps) {
            const each = guests[at % Math.max(1, guests.length)]
            if (what === "come") guests.push(seat(places))
            else if (each !== undefined) {
              if (what === "interrupt") Effect.runFork(Fiber.interrupt(each.fiber))
              each.guest.leave()
              guests.splice(guests.indexOf(each), 1)
            }
            const has = guests.filter(({ state }) => state() === "has one").length
            const waits = guests.filter(({ state }) => state() === "waits").length
            expect([places.taken, places.queued]).toEqual([has, waits])
            expect(has).toBeLessThanOrEqual(count)
            if (waits > 0) expect(has).toBe(count)
            if (overflow !== "suspend") expect(waits).toBeLessThanOrEqual(line)
          }
          for (const { guest } of guests) guest.leave()
          expect([places.taken, places.queued]).toEqual([0, 0])
        }
      )
    )
  })
})
