import { Cause } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Policy from "../../src/actor/Policy.ts"
import * as Strategy from "../../src/supervision/Strategy.ts"

const cause = Cause.die("x")
const policy = (options: Policy.PolicyOptions = {}) => Policy.make("p", options)
const at = (time: number, random = 1): Strategy.Failed => ({ at: time, cause, random })

describe("Strategy.decide", () => {
  it.each([
    ["temporary", "restart", "stop"],
    ["temporary", "resume", "stop"],
    ["transient", "restart", "restart"],
    ["transient", "resume", "resume"],
    ["transient", "stop", "stop"],
    ["transient", "escalate", "escalate"],
    ["permanent", "restart", "restart"],
    ["permanent", "stop", "stop"]
  ] as const)("restart type %s and directive %s: %s", (restart, directive, expected) => {
    const decision = Strategy.decide(policy({ restart, directive: () => directive }), Strategy.empty, at(0))
    expect(decision._tag).toBe(expected)
  })

  it("never more than `restarts` within `within`, and one is allowed again as soon as there is room", () => {
    const gaps = fc.array(fc.nat(40), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 5 }), (times, restarts) => {
        const rules = policy({ intensity: { restarts, within: 100 } })
        let history = Strategy.empty
        const restarted: Array<number> = []
        let now = 0
        for (const gap of times) {
          now += gap
          const recent = restarted.filter((then) => now - then < 100).length
          const decision = Strategy.decide(rules, history, at(now))
          expect(decision._tag).toBe(recent < restarts ? "restart" : "exhausted")
          if (decision._tag !== "restart") continue
          history = decision.history
          restarted.push(now)
          expect(history.restarts.length).toBeLessThanOrEqual(restarts)
        }
      })
    )
  })

  it("backs off 100 ms doubling to 10 s, times the jitter, and starts over after resetAfter", () => {
    const rules = policy({ intensity: { restarts: 1000 } })
    let history = Strategy.empty
    const delays = Array.from({ length: 9 }, (_, i) => {
      const decision = Strategy.decide(rules, history, at(i, i === 8 ? 0.5 : 1))
      if (decision._tag !== "restart") throw new Error(decision._tag)
      history = decision.history
      return decision.delayMillis
    })
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 5000])
    expect(Strategy.decide(rules, history, at(8 + 60_000))).toMatchObject({ delayMillis: 100 })
  })
})
