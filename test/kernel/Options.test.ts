import * as fc from "fast-check"
import { Options as ForActors } from "troupe"
import { describe, expect, it } from "vitest"
import * as Options from "../../src/kernel/Options.ts"

const outcome = (check: () => unknown): unknown => {
  try {
    return check()
  } catch (error) {
    return (error as { readonly _tag: string })._tag
  }
}

describe("Options", () => {
  it("integer takes exactly the whole numbers of its range, and the fallback when absent", () => {
    const anything = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(undefined), fc.constant(null))
    fc.assert(
      fc.property(anything, (value) => {
        const good = typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 100
        const expected = value === undefined ? 7 : good ? value : "InvalidOption"
        expect(outcome(() => Options.integer("f", value, 7, 1, 100))).toBe(expected)
      })
    )
  })

  it.each([
    ["5 seconds", 5000],
    [250, 250],
    ["Infinity", Number.POSITIVE_INFINITY],
    [undefined, 9],
    [0, "InvalidOption"],
    [-1, "InvalidOption"],
    [Number.NaN, "InvalidOption"],
    ["soon", "InvalidOption"]
  ] as const)("millis of %j is %j", (value, expected) => {
    expect(outcome(() => Options.millis("f", value as never, 9))).toBe(expected)
  })

  it("flag takes true, false, and the fallback when absent", () => {
    const answers = [true, false, undefined, 0, "true", null].map((value) =>
      outcome(() => Options.flag("f", value, true))
    )
    expect(answers).toEqual([true, false, true, "InvalidOption", "InvalidOption", "InvalidOption"])
  })

  it("is public: actors of your own check theirs with it, and refuse as Troupe does", () => {
    expect(ForActors).toBe(Options)
    expect(() => ForActors.known("mine", { limitt: 1 }, ["limit"])).toThrow(
      "mine.limitt: unknown, it is not one of limit"
    )
  })

  it("says field, value and range", () => {
    expect(() => Options.number("a.b", 3, 1, 0, 2)).toThrow("a.b: 3 is not a number from 0 to 2")
    expect(() => Options.oneOf("m", "up", "x", ["x", "y"])).toThrow('m: "up" is not one of x, y')
    expect(() => Options.known("o", { capasity: 1 }, ["capacity"])).toThrow("o.capasity")
    expect(() => Options.known("o", [], ["capacity"])).toThrow("o: [object Array] is not an options record")
  })
})
