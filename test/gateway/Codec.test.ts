import { Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, Agent } from "troupe"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/gateway/Codec.ts"

class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}

const Room = Agent.make("Room", {
  state: Schema.Struct({}),
  clients: [
    Rpc.make("Say", { payload: { text: Schema.String, at: Schema.Date }, success: Schema.Date, error: Muted }),
    Rpc.make("Leave")
  ],
  events: [Rpc.make("Said", { payload: { at: Schema.Date } })],
  protocol: [Rpc.make("Tick")]
})
const codec = Codec.of(Room.protocol)
const at = new Date("2026-01-02T03:04:05.678Z")

describe("Codec", () => {
  it("knows the methods that stand in clients, and no other", () => {
    expect(codec.position("Say")).toBe(0)
    expect(codec.position("Leave")).toBe(1)
    expect(codec.position("Tick")).toBe(-1)
    expect(codec.position("toString")).toBe(-1)
  })

  it("decodes params by their Schema's JSON codec", () => {
    expect(codec.params(0, { text: "x", at: at.toISOString() })).toEqual({ ok: true, value: { text: "x", at } })
  })

  it("refuses params with the path of what is wrong", () => {
    const refused = codec.params(0, { text: 1, at: at.toISOString() })
    expect(refused).toMatchObject({ ok: false })
    expect((refused as { why: string }).why).toContain('["text"]')
    expect(codec.params(0, undefined)).toMatchObject({ ok: false })
  })

  it("cuts the reason of a refusal at 500 characters", () => {
    const refused = codec.params(0, { text: Array.from({ length: 2000 }, () => "y"), at: "z".repeat(5000) })
    expect((refused as { why: string }).why.length).toBeLessThanOrEqual(500)
  })

  it("takes nothing or an empty object where there is no payload", () => {
    for (const params of [undefined, {}]) expect(codec.params(1, params)).toEqual({ ok: true, value: undefined })
    expect(codec.params(1, { a: 1 })).toMatchObject({ ok: false })
  })

  it("encodes answers, typed errors and events", () => {
    expect(codec.success(0, at)).toEqual({ ok: true, value: at.toISOString() })
    expect(codec.error(0, new Muted({ until: at }))).toEqual({
      ok: true,
      value: { _tag: "Muted", until: at.toISOString() }
    })
    expect(codec.error(0, new Error("x"))).toMatchObject({ ok: false })
    expect(codec.error(1, new Error("x"))).toBeUndefined()
    expect(codec.event("Said", { at })).toEqual({ ok: true, value: { at: at.toISOString() } })
    expect(codec.event("Nothing", {})).toMatchObject({ ok: false })
  })

  it("is compiled once a protocol", () => {
    expect(Codec.of(Room.protocol)).toBe(codec)
    expect(Codec.of(Actor.make("Other", { state: Schema.Struct({}), protocol: [] }).protocol)).not.toBe(codec)
  })
})
