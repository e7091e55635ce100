import { Cause } from "effect"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as Policy from "../../src/actor/Policy.ts"
import * as Strategy from "../../src/supervision/Strategy.ts"

const cause = Cause.die(new Error("x"))
const failed = (at: number, random = 1): Strategy.Failed => ({ at, cause, random })

/** Feeds failures at the given times; answers with the decisions. */
const run = (policy: Policy.Policy, times: ReadonlyArray<number>): ReadonlyArray<Strategy.Decision> => {
  let history = Strategy.empty
  return times.map((at) => {
    const decision = Strategy.decide(policy, history, failed(at))
    if (decision._tag === "restart") history = decision.history
    return decision
  })
}

describe("Strategy", () => {
  it.each([
    ["permanent", "restart"],
    ["transient", "restart"],
    ["temporary", "stop"]
  ] as const)("a %s actor that fails: %s", (restart, expected) => {
    expect(Strategy.decide(Policy.make("p", { restart }), Strategy.empty, failed(0))._tag).toBe(expected)
  })

  it.each(["resume", "stop", "escalate"] as const)("takes the directive %s from the cause", (directive) => {
    const policy = Policy.make("p", { directive: (c) => (c === cause ? directive : "restart") })
    expect(Strategy.decide(policy, Strategy.empty, failed(0))._tag).toBe(directive)
  })

  it("allows as many restarts within the period as the intensity says, and not one more", () => {
    const policy = Policy.make("p", { intensity: { restarts: 3, within: "10 seconds" } })
    expect(run(policy, [0, 1, 2, 3]).map((d) => d._tag)).toEqual(["restart", "restart", "restart", "exhausted"])
    expect(run(policy, [0, 1, 2, 10_001]).map((d) => d._tag)).toEqual(["restart", "restart", "restart", "restart"])
    expect(run(policy, [0, 1, 2, 10_000]).at(-1)).toEqual({ _tag: "exhausted", instead: "stop" })
    const proud = Policy.make("p", { intensity: { restarts: 0 }, exhausted: "escalate" })
    expect(run(proud, [0])).toEqual([{ _tag: "exhausted", instead: "escalate" }])
  })

  it("never restarts more often in any period than the intensity says (property)", () => {
    const times = fc
      .array(fc.nat(500), { maxLength: 60 })
      .map((gaps) => gaps.map((_, i) => gaps.slice(0, i + 1).reduce((a, b) => a + b, 0)))
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 6 }), (at, restarts) => {
        const policy = Policy.make("p", { intensity: { restarts, within: 1000 } })
        const decisions = run(policy, at)
        const restarted = at.filter((_, i) => decisions[i]!._tag === "restart")
        return restarted.every((t) => restarted.filter((u) => u >= t && u - t <= 1000).length <= restarts)
      })
    )
  })

  it("backs off from min by factor to max, and starts over after resetAfter without failure", () => {
    const policy = Policy.make("p", {
      backoff: { min: 100, max: 1000, factor: 2, jitter: false },
      intensity: { restarts: 100 },
      resetAfter: "60 seconds"
    })
    const delays = run(policy, [0, 1, 2, 3, 4, 5, 60_006]).map((d) => (d._tag === "restart" ? d.delayMillis : -1))
    expect(delays).toEqual([100, 200, 400, 800, 1000, 1000, 100])
  })

  it("spreads the wait over the whole of it by jitter", () => {
    const policy = Policy.make("p", { backoff: { min: 100 } })
    for (const random of [0, 0.25, 0.999]) {
      expect(Strategy.decide(policy, Strategy.empty, failed(0, random))).toMatchObject({ delayMillis: 100 * random })
    }
  })
})
