import fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as JsonRpc from "../../src/gateway/JsonRpc.ts"

describe("JsonRpc", () => {
  describe("parse", () => {
    it("reads what a client writes: any id, method and params of the specification", () => {
      const max = Number.MAX_SAFE_INTEGER
      const id = fc.oneof(fc.string(), fc.double({ noNaN: true, min: -max, max }), fc.constant(null))
      const params = fc.option(fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(fc.jsonValue())), {
        nil: undefined
      })
      fc.assert(
        fc.property(fc.option(id, { nil: undefined }), fc.string(), params, (id_, method, params_) => {
          const text = JSON.stringify({ jsonrpc: "2.0", id: id_, method, params: params_ })
          const { batch, messages } = JsonRpc.parse(text, 32, 64)
          expect(batch).toBe(false)
          expect(JSON.parse(JSON.stringify(messages[0]))).toEqual(
            JSON.parse(JSON.stringify({ id: id_, method, params: params_ }))
          )
        })
      )
    })

    it("answers anything else with -32700 or -32600, and never throws", () => {
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
          const { messages } = JsonRpc.parse(text, 32, 64)
          const codes = messages.flatMap((message) => (JsonRpc.isCall(message) ? [] : [message.error.code]))
          expect(codes.filter((code) => code !== -32700 && code !== -32600)).toEqual([])
          expect(messages.length).toBeGreaterThan(0)
        })
      )
    })

    it("refuses a batch of more messages than the limit as one invalid request", () => {
      const text = JSON.stringify(Array.from({ length: 4 }, () => ({ jsonrpc: "2.0", method: "M" })))
      expect(JsonRpc.parse(text, 4, 64).messages).toHaveLength(4)
      expect(JsonRpc.parse(text, 3, 64).messages).toEqual([
        { id: null, error: JsonRpc.invalidRequest("a batch of over 3 messages") }
      ])
    })

    it("refuses an id that is a number past 2^53: its answer would bear another", () => {
      const read = (id: string) => JsonRpc.parse(`{"jsonrpc":"2.0","id":${id},"method":"M"}`, 32, 64).messages[0]
      for (const id of ["9007199254740993", "-9007199254740993", "1e400"]) {
        expect(read(id)).toMatchObject({ id: null, error: { code: -32600 } })
      }
      expect(read("9007199254740991")).toMatchObject({ id: Number.MAX_SAFE_INTEGER, method: "M" })
    })

    it("takes a method named __proto__ or constructor for what it is, a name", () => {
      const { messages } = JsonRpc.parse(
        '{"jsonrpc":"2.0","id":1,"method":"__proto__","params":{"__proto__":1}}',
        32,
        64
      )
      expect(messages[0]).toMatchObject({ id: 1, method: "__proto__" })
    })
  })

  describe("what is written", () => {
    it("is JSON-RPC 2.0, with null for a void result", () => {
      expect(JSON.parse(JsonRpc.result("a", undefined))).toEqual({ jsonrpc: "2.0", id: "a", result: null })
      expect(JSON.parse(JsonRpc.error(null, JsonRpc.busy))).toEqual({ jsonrpc: "2.0", id: null, error: JsonRpc.busy })
      expect(JSON.parse(JsonRpc.notification("E", { a: 1 }))).toEqual({ jsonrpc: "2.0", method: "E", params: { a: 1 } })
      expect(JSON.parse(JsonRpc.notification("E", undefined))).toEqual({ jsonrpc: "2.0", method: "E" })
    })
  })
})
