import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Depth from "../../src/gateway/Depth.ts"

const depthOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0

describe("Depth", () => {
  it("says of any JSON text whether it nests deeper than a limit, whatever its strings hold", () => {
    const text = fc.string({ unit: fc.constantFrom("[", "]", "{", "}", '"', "\\", "a", "\u4e2d") })
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 12 },
        text,
        fc.integer(),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(text, tie("value"), { maxKeys: 4 })
      )
    }))
    fc.assert(
      fc.property(value, fc.integer({ min: 1, max: 12 }), fc.constantFrom(undefined, 2), (json, max, space) => {
        expect(Depth.over(JSON.stringify(json, null, space), max)).toBe(depthOf(json) > max)
      }),
      { numRuns: 500 }
    )
  })

  it("tells the last level that may be from the first that may not", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
    expect(Depth.over(nested(64), 64)).toBe(false)
    expect(Depth.over(nested(65), 64)).toBe(true)
    expect(Depth.over("[".repeat(1_000_000), 64)).toBe(true)
  })

  it("is not held by a text that is no JSON", () => {
    fc.assert(fc.property(fc.string(), fc.nat(5), (text, max) => typeof Depth.over(text, max) === "boolean"))
    expect(Depth.over(`[[["`, 1)).toBe(true)
    expect(Depth.over(`[[["${"\\".repeat(9)}`, 2)).toBe(true)
  })
})
