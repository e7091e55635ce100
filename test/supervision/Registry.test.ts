import { describe, expect, it } from "vitest"
import { DeadLetters } from "../../src/supervision/DeadLetters.ts"
import { Kind, Registry } from "../../src/supervision/Registry.ts"

describe("Registry", () => {
  it("has one Kind a type", () => {
    const registry = new Registry()
    expect(registry.kind("A")).toBe(registry.kind("A"))
    expect([...registry.kinds.keys()]).toEqual(["A"])
  })

  it("quarantines 60 s, doubling to 10 min while it comes back soon, and forgets", () => {
    const kind = new Kind("A")
    let now = 0
    const lengths = [60, 120, 240, 480, 600, 600].map((seconds) => {
      kind.quarantine("k", now)
      const remaining = kind.remaining("k", now)
      now += remaining
      expect(kind.remaining("k", now - 1)).toBe(1)
      expect(kind.remaining("k", now)).toBe(0)
      return remaining / 1000 === seconds
    })
    expect(lengths).toEqual([true, true, true, true, true, true])
    now += 600_000
    expect(kind.remaining("k", now)).toBe(0)
    kind.quarantine("k", now)
    expect(kind.remaining("k", now)).toBe(60_000)
  })

  it("remembers 10,000 quarantined keys; the oldest is let go first", () => {
    const kind = new Kind("A")
    for (let i = 0; i <= 10_000; i++) kind.quarantine(`k${i}`, 0)
    expect([kind.remaining("k0", 1), kind.remaining("k1", 1)]).toEqual([0, 59_999])
  })
})

describe("DeadLetters", () => {
  it("counts all by reason, lists the latest, oldest first, and knows its listeners until they leave", () => {
    const letters = new DeadLetters(3)
    const heard: Array<unknown> = []
    const leave = letters.subscribe((letter) => void heard.push(letter.tag))
    const add = (tag: string, reason: "stopped" | "stale", at: number) => {
      for (const listener of letters.add("A/a", tag, reason, at)) {
        listener({ address: "A/a", tag, reason, at, payload: undefined })
      }
    }
    for (let i = 0; i < 5; i++) add(`t${i}`, i % 2 === 0 ? "stopped" : "stale", i)
    leave()
    add("t5", "stopped", 5)
    expect(letters.latest().map((letter) => letter.tag)).toEqual(["t3", "t4", "t5"])
    expect([letters.total, letters.counts]).toEqual([6, { stopped: 4, stale: 2 }])
    expect(heard).toEqual([0, 1, 2, 3, 4].map((i) => `t${i}`))
  })

  it("with room for none it still counts", () => {
    const letters = new DeadLetters(0)
    letters.add("A/a", "t", "stopped", 0)
    expect([letters.total, letters.latest()]).toEqual([1, []])
  })
})
