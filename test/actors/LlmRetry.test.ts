import { Duration } from "effect"
import { AiError } from "effect/ai"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as LlmRetry from "../../actors/LlmRetry.ts"

const error = (reason: AiError.AiErrorReason): AiError.AiError => AiError.make({ module: "m", method: "f", reason })
const rules = { retries: 3, backoffMillis: 100, maxDelayMillis: 1000 }
const broken = error(new AiError.InternalProviderError({ description: "d" }))
const asTold = (after: string): AiError.AiError => {
  const http = { response: { status: 503, headers: { "retry-after": after } } }
  return error(new AiError.InternalProviderError({ description: "d", http }))
}

describe("retryAfterMillis", () => {
  const now = Date.UTC(2026, 0, 1)
  it.each([
    ["2", 2000],
    ["0.5", 500],
    ["0", 0],
    ["-3", 0],
    ["Thu, 01 Jan 2026 00:00:05 GMT", 5000],
    ["Thu, 01 Jan 2015 00:00:05 GMT", 0],
    ["soon", undefined],
    ["", undefined],
    [undefined, undefined],
    ["Infinity", undefined]
  ])("of %j is %j", (header, millis) => {
    expect(LlmRetry.retryAfterMillis(header, now)).toBe(millis)
  })
})

describe("pause", () => {
  it.each([
    [new AiError.RateLimitError({}), true],
    [new AiError.InternalProviderError({ description: "d" }), true],
    [new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "u" }), true],
    [new AiError.NetworkError({ reason: "InvalidUrlError", method: "POST", url: "u" }), false],
    [new AiError.QuotaExhaustedError({}), false],
    [new AiError.AuthenticationError({ kind: "InvalidKey" }), false],
    [new AiError.InvalidRequestError({}), false],
    [new AiError.InvalidResponseError({ description: "d" }), false],
    [new AiError.InvalidOutputError({ description: "d" }), false]
  ])("of %o: another try %s", (reason, again) => {
    expect(LlmRetry.pause(error(reason), 1, rules, 0, 0.5) !== undefined).toBe(again)
  })

  it("is what the endpoint says, never shorter; none where that is longer than maxDelay", () => {
    expect(LlmRetry.pause(asTold("0.9"), 1, rules, 0, 0)).toBe(900)
    expect(LlmRetry.pause(asTold("1.1"), 1, rules, 0, 0)).toBe(undefined)
    const limited = error(new AiError.RateLimitError({ retryAfter: Duration.millis(70) }))
    expect(LlmRetry.pause(limited, 3, rules, 0, 0)).toBe(70)
  })

  it("else doubles, up to maxDelay, between half and all of it; none after the last try", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.double({ min: 0, max: 1, noNaN: true }), (tried, chance) => {
        const pause = LlmRetry.pause(broken, tried, { ...rules, retries: 10 }, 0, chance)
        const none = tried > 10
        expect(pause === undefined).toBe(none)
        if (pause === undefined) return
        const whole = Math.min(1000, 100 * 2 ** (tried - 1))
        expect(pause).toBeGreaterThanOrEqual(whole / 2)
        expect(pause).toBeLessThanOrEqual(whole)
      })
    )
  })
})
