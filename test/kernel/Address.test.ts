import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Address from "../../src/kernel/Address.ts"

const type = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_.-]{0,20}$/)
const key = fc.oneof(
  // dot segments are no keys
  fc.string({ minLength: 1, maxLength: 40 }).filter((text) => text !== "." && text !== ".."),
  fc.constantFrom("~1", "a/b", "%", "%2F", "~", "\u0000", "\ud800", "ü/%")
)
const segment = fc.record({ type, key: fc.oneof(key, fc.nat({ max: 1e9 })) })

describe("Address", () => {
  it("a path reads back into exactly the segments it was made of", () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (segments) => {
        const path = segments.reduce<string | undefined>((at, s) => Address.child(at, s.type, s.key), undefined)!
        expect(Address.parse(path)).toEqual(segments)
      })
    )
  })

  it("two lists of segments have one path only if they are equal", () => {
    fc.assert(
      fc.property(segment, segment, (a, b) => {
        const same = a.type === b.type && a.key === b.key
        expect(Address.child(undefined, a.type, a.key) === Address.child(undefined, b.type, b.key)).toBe(same)
      })
    )
  })

  it.each(["", "A", "A/", "/a", "A/a/B", "1A/a", "A/%", "A/%2", "A b/c"])("refuses %j by name", (text) => {
    expect(() => Address.parse(text)).toThrow(expect.objectContaining({ _tag: "InvalidOption" }))
  })

  it("a key has 1 to 256 UTF-16 units", () => {
    expect(Address.checkKey("x".repeat(256))).toHaveLength(256)
    for (const bad of ["", "x".repeat(257), ".", ".."]) expect(() => Address.checkKey(bad)).toThrow("1 to 256")
    expect(Address.checkKey("...")).toBe("...")
  })
})
