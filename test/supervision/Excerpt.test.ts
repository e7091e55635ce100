import { Redacted, Schema } from "effect"
import fc from "fast-check"
import { Actor } from "troupe"
import { describe, expect, it } from "vitest"
import { excerpt } from "../../src/supervision/Excerpt.ts"

class Line {
  readonly text = "hi"
  get loud(): string {
    throw new Error("a getter was called")
  }
}

describe("Excerpt", () => {
  const Room = Actor.make("Room", { state: Schema.Int, protocol: [] })
  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const looped: { self?: unknown } = {}
  looped.self = looped
  it.each([
    ["text, quoted", 'a "b"\nc', String.raw`"a \"b\"\nc"`],
    [
      "plain values",
      [1, true, null, undefined, 2n, Symbol("s"), () => 1],
      "[1, true, null, undefined, 2n, <symbol>, <function>]"
    ],
    ["records and classes", { a: [1], line: new Line() }, '{a: [1], line: Line {text: "hi"}}'],
    ["keys that could forge a line", { "a\nb": 1 }, String.raw`{"a\nb": 1}`],
    ["maps and sets", new Map<unknown, unknown>([["a", new Set([1])]]), 'Map {"a" => Set {1}}'],
    ["dates", [new Date(0), new Date(Number.NaN)], "[1970-01-01T00:00:00.000Z, Invalid Date]"],
    ["errors, without their stack", new TypeError("no"), 'TypeError "no"'],
    ["bytes, by their number", new Uint8Array(4096), "Uint8Array(4096)"],
    ["refs, as their address", { from: Room.at("lobby") }, "{from: Room/lobby}"],
    ["secrets not", { token: Redacted.make("hunter2") }, "{token: <redacted>}"],
    ["circles, six levels of them", looped, "{self: {self: {self: {self: {self: {self: {...}}}}}}}"],
    ["what cannot be read", revoked.proxy, "<unprintable>"]
  ])("prints %s", (_, value, text) => {
    expect(excerpt(value, 200)).toBe(text)
  })

  it("calls no getter", () => {
    const value = Object.defineProperty({}, "secret", {
      enumerable: true,
      get: () => {
        throw new Error("a getter was called")
      }
    })
    expect(excerpt(value, 200)).toBe("{secret: <getter>}")
  })

  it("is never longer than it may be, well-formed, and the same for what fits", () => {
    fc.assert(
      fc.property(fc.anything(), fc.integer({ min: 8, max: 64 }), (value, max) => {
        const long = excerpt(value, 100_000)
        const short = excerpt(value, max)
        expect(short.length).toBeLessThanOrEqual(max)
        expect(short.isWellFormed()).toBe(true)
        if (long.length <= max) expect(short).toBe(long)
        else expect(short.endsWith("...")).toBe(true)
      })
    )
  })

  it("reads no more of a value than it has room for", () => {
    let read = 0
    const many = new Proxy(
      Array.from({ length: 1_000_000 }, (_, i) => i),
      { get: (target, key, self) => (read++, Reflect.get(target, key, self) as unknown) }
    )
    expect(excerpt(many, 64)).toBe("[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17...")
    expect(read).toBeLessThan(100)
  })
})
