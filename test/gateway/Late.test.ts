import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Late } from "../../src/gateway/Late.ts"

const drain = (late: Late): ReadonlyArray<string> => {
  const taken: Array<string> = []
  for (let frame = late.take(); frame !== undefined; frame = late.take()) taken.push(String(frame))
  return taken
}

describe("Late", () => {
  it("hands out in order what it was given", () => {
    const late = new Late()
    for (const text of ["a", "b", "c"]) late.push(text, text !== "b", undefined)
    expect([late.size, late.bytes]).toEqual([3, 3])
    expect(drain(late)).toEqual(["a", "b", "c"])
    expect([late.size, late.bytes]).toEqual([0, 0])
  })

  it("drops the oldest event, never an answer, never the newest", () => {
    const late = new Late()
    late.push("answer", false, undefined)
    late.push("one", true, undefined)
    late.push("two", true, undefined)
    expect([late.dropOldest(), late.dropOldest()]).toEqual([true, false])
    expect(drain(late)).toEqual(["answer", "two"])
  })

  it("keeps of those with the same key the latest, at the latest's place", () => {
    const late = new Late()
    expect(late.supersede("k")).toBe(false)
    late.push("k1", true, "k")
    late.push("j1", true, "j")
    expect(late.supersede("k")).toBe(true)
    late.push("k2", true, "k")
    expect(drain(late)).toEqual(["j1", "k2"])
    expect(late.supersede("k")).toBe(false)
  })

  it("whatever comes: answers all stay, events keep their order, and every byte is counted off", () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant("answer" as const), text: fc.string() }),
      fc.record({ op: fc.constant("event" as const), text: fc.string(), key: fc.option(fc.constantFrom("k", "j")) }),
      fc.record({ op: fc.constant("drop" as const) }),
      fc.record({ op: fc.constant("take" as const) })
    )
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const late = new Late()
        let model: Array<{ text: string; event: boolean; key: string | null }> = []
        for (const each of steps) {
          if (each.op === "take") expect(late.take()).toBe(model.shift()?.text)
          else if (each.op === "drop") {
            const at = model.findIndex(({ event }, i) => event && i < model.length - 1)
            expect(late.dropOldest()).toBe(at >= 0)
            if (at >= 0) model.splice(at, 1)
          } else {
            const key = each.op === "event" ? each.key : null
            if (key !== null) {
              late.supersede(key)
              model = model.filter((known) => known.key !== key)
            }
            late.push(each.text, each.op === "event", key ?? undefined)
            model.push({ text: each.text, event: each.op === "event", key })
          }
          expect(late.size).toBe(model.length)
          expect(late.bytes).toBe(model.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0))
        }
        expect(drain(late)).toEqual(model.map(({ text }) => text))
      })
    )
  })
})
