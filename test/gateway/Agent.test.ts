import { Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Agent } from "troupe"
import { describe, expect, it } from "vitest"

const make = (payload: Schema.Top) => () =>
  Agent.make("Pad", { state: Schema.Struct({}), clients: [Rpc.make("Put", { payload })] })

describe("Agent.make", () => {
  it.each([
    ["text", Schema.String],
    ["a number", Schema.Number],
    ["a date, which is text on the wire", Schema.Date],
    ["one of two literals", Schema.Literals(["a", "b"])],
    ["null", Schema.Null]
  ])("refuses clients an Rpc whose payload is %s: the params of JSON-RPC are an object or a list", (_, payload) => {
    expect(make(payload)).toThrow("Pad.clients.Put.payload")
  })

  it.each([
    ["a record", Schema.Struct({ a: Schema.String })],
    ["a list", Schema.Array(Schema.String)],
    ["a record or text", Schema.Union([Schema.Struct({ a: Schema.String }), Schema.String])],
    ["anything", Schema.Unknown],
    ["nothing", Schema.Void]
  ])("takes %s", (_, payload) => {
    expect(make(payload)().type).toBe("Pad")
  })

  it("refuses a key that is no Schema by name", () => {
    const key = "x" as unknown as Schema.Codec<unknown, string>
    expect(() => Agent.make("Pad", { state: Schema.Struct({}), clients: [Rpc.make("Put")], key })).toThrow("Pad.key")
  })
})
