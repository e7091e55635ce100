import { Schema } from "effect"
import { Rpc, RpcSerialization } from "effect/rpc"
import fc from "fast-check"
import { Agent } from "troupe"
import { describe, expect, it } from "vitest"
import * as Dialect from "../../src/gateway/Dialect.ts"
import { dialect } from "../../src/gateway/EffectRpc.ts"
import * as JsonRpc from "../../src/gateway/JsonRpc.ts"

/** What Effect itself writes and reads, fresh as on a new socket. */
const effect = () => RpcSerialization.jsonRpc().makeUnsafe()

const read = (text: string) => dialect.parse(text, 32, 64).messages[0]!
/** What a message of Effect's client is here. */
const heard = (message: unknown) => read(effect().encode(message) as string)
/** What a frame from here is to Effect's client. */
const understood = (frame: string) => effect().decode(frame)

const controlled = (message: unknown) => {
  const call = heard(message)
  if (!JsonRpc.isCall(call)) throw new Error("no call")
  return dialect.control(call)
}

const id = fc.oneof(fc.string(), fc.integer())
const json = fc.jsonValue().map((value): unknown => JSON.parse(JSON.stringify(value)))

describe("effect-rpc", () => {
  describe("what Effect's client writes", () => {
    it("is read: any id, tag, payload, headers and trace, with or without an answer", () => {
      const trace = fc.option(fc.constant({ traceId: "t", spanId: "s", sampled: true }), { nil: {} })
      const headers = fc.array(fc.tuple(fc.string(), fc.string()))
      fc.assert(
        fc.property(
          id,
          fc.string(),
          json,
          headers,
          trace,
          fc.boolean(),
          (id_, tag, payload, headers_, trace_, only) => {
            const request = { _tag: "Request", id: id_, tag, payload, headers: headers_, ...trace_ }
            expect(heard({ ...request, ...(only && { isNotification: true }) })).toEqual({
              id: only ? undefined : id_,
              method: tag,
              params: payload,
              requestKey: undefined
            })
          }
        )
      )
    })

    it("asks for no more than to be taken with discard", () => {
      const request = { _tag: "Request", id: 1, tag: "Note", payload: { n: 1 }, headers: [], discard: true }
      expect(heard(request)).toMatchObject({ id: 1, discard: true })
      expect(read('{"jsonrpc":"2.0","method":"Note","discard":true}')).not.toHaveProperty("discard")
    })

    it("is a control when it has no id and begins with @effect/rpc/", () => {
      expect(controlled({ _tag: "Interrupt", requestId: 7 })).toEqual({ cancels: 7 })
      expect(controlled({ _tag: "Ack", requestId: "a" })).toEqual({ acknowledges: "a" })
      expect(controlled({ _tag: "Eof" })).toEqual({})
      const { answer } = controlled({ _tag: "Ping" }) as Dialect.Control
      expect(understood(answer!)).toEqual([{ _tag: "Pong" }])
      expect(read('{"jsonrpc":"2.0","id":null,"method":"@effect/rpc/Ping"}')).toMatchObject({ id: undefined })
    })
  })

  describe("what Effect's client understands", () => {
    it("is an answer, a chunk, an event", () => {
      fc.assert(
        fc.property(id, fc.array(json, { minLength: 1 }), (id_, values) => {
          const success = understood(JsonRpc.answer(id_, JsonRpc.resultOf(values)))
          expect(success).toEqual([{ _tag: "Exit", requestId: id_, exit: { _tag: "Success", value: values } }])
          expect(understood(dialect.chunk(id_, values))).toEqual([{ _tag: "Chunk", requestId: id_, values }])
          expect(understood(JsonRpc.notification("Said", values))).toMatchObject([
            { _tag: "Request", tag: "Said", payload: values, isNotification: true }
          ])
        })
      )
    })

    it.each([
      ["the Rpc's own error as Fail", JsonRpc.applicationError("Muted", { _tag: "Muted" }), "Fail"],
      ["a cancelled one as Interrupt", JsonRpc.cancelled, "Interrupt"],
      ["any other as Die", JsonRpc.busy, "Die"]
    ])("is a failure: %s", (_, failure, tag) => {
      expect(understood(dialect.error(1, failure))).toMatchObject([
        { _tag: "Exit", requestId: 1, exit: { _tag: "Failure", cause: [{ _tag: tag }] } }
      ])
    })

    it("is an Error with the code and data of plain JSON-RPC, and no stack of ours", () => {
      const decode = Schema.decodeUnknownSync(Schema.toCodecJson(Schema.Defect()))
      const [exit] = understood(dialect.error(1, JsonRpc.internalError("i7"))) as ReadonlyArray<any>
      const { defect } = exit.exit.cause[0]
      expect(Object.keys(defect)).toEqual(["name", "message", "cause"])
      const error = decode(defect) as Error
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({
        name: "JsonRpcError",
        message: 'Internal error: {"incident":"i7"}',
        cause: { code: -32603, data: { incident: "i7" } }
      })
    })

    it("is a Defect of all its requests, where a frame names none", () => {
      expect(understood(dialect.error(null, JsonRpc.invalidRequest("why")))).toMatchObject([
        { _tag: "Defect", defect: { message: "Invalid Request: why", cause: { code: -32600 } } }
      ])
    })
  })

  describe("bad input", () => {
    it.each([
      ["no JSON", "{", -32700],
      ["no object", "1", -32600],
      ["no version", '{"id":1,"method":"M"}', -32600],
      ["no method", '{"jsonrpc":"2.0","id":1}', -32600],
      ["an id that is an object", '{"jsonrpc":"2.0","id":{},"method":"M"}', -32600],
      ["an id that is null", '{"jsonrpc":"2.0","id":null,"method":"M"}', -32600],
      ["an empty batch", "[]", -32600]
    ])("%s is refused by name", (_, text, code) => {
      const message = read(text)
      expect(JsonRpc.isCall(message) ? undefined : message.error.code).toBe(code)
    })

    it.each([
      ["an Ack of nothing", { method: "@effect/rpc/Ack" }, -32602],
      ["an Interrupt of null", { method: "@effect/rpc/Interrupt", params: { requestId: null } }, -32602],
      ["a control that there is not", { method: "@effect/rpc/Defect" }, -32601],
      ["a control with an id", { id: 1, method: "@effect/rpc/Ping" }, -32601]
    ])("%s too", (_, message, code) => {
      expect(dialect.control(read(JSON.stringify({ jsonrpc: "2.0", ...message })) as JsonRpc.Call)).toMatchObject({
        code
      })
    })

    it("never makes it throw", () => {
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
          expect(dialect.parse(text, 32, 64).messages.length).toBeGreaterThan(0)
        })
      )
    })
  })

  it("has a group of what clients may call, and of nothing else", () => {
    const Room = Agent.make("Room", {
      state: Schema.Struct({}),
      clients: [Rpc.make("Say"), Rpc.make("Leave")],
      protocol: [Rpc.make("Tick")],
      events: [Rpc.make("Said")]
    })
    expect([...Agent.group(Room).requests.keys()]).toEqual(["Say", "Leave"])
  })

  it("is spoken with who offers it, among others too; plain JSON-RPC with all else", () => {
    expect(Dialect.of("effect-rpc")).toBe(dialect)
    expect(Dialect.of("other,effect-rpc ,  more")).toBe(dialect)
    expect(Dialect.of(undefined)).toBe(Dialect.plain)
    expect(Dialect.of("effect-rpc2, __proto__")).toBe(Dialect.plain)
    expect(Dialect.agree(["other", "effect-rpc"])).toBe("effect-rpc")
    expect(Dialect.agree(["bearer.x", "troupe", "effect-rpc"])).toBe("troupe")
    expect(Dialect.of("bearer.x, troupe, effect-rpc")).toBe(Dialect.plain)
    expect(Dialect.agree([])).toBe(false)
  })
})
