import { type Duration, type Option, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Agent } from "troupe"
import {
  type Answer,
  type Client,
  connect,
  type EventName,
  type Failure,
  InvalidOption,
  type Json,
  type Method,
  type Params,
  type Payload,
  type Reader,
  RpcError,
  type Wire
} from "troupe/client"
import { describe, expect, expectTypeOf, it } from "vitest"
import { World } from "./World.ts"

class OutOfRange extends Schema.TaggedError<OutOfRange>()("OutOfRange", { at: Schema.Date, max: Schema.Int }) {}

const Shop = Agent.make("Shop", {
  state: Schema.Struct({}),
  clients: [
    Rpc.make("Sell", {
      payload: { due: Schema.Date, count: Schema.NumberFromString, note: Schema.optionalKey(Schema.String) },
      success: Schema.ReadonlyMap(Schema.String, Schema.BigInt),
      error: OutOfRange
    }),
    Rpc.make("Read", { success: Schema.Int }),
    Rpc.make("Reset"),
    Rpc.make("Any", { payload: { value: Schema.Unknown }, success: Schema.Unknown })
  ],
  events: [Rpc.make("Sold", { payload: { at: Schema.Date } }), Rpc.make("Shut")],
  protocol: [Rpc.make("Tick")]
})
type Shop = typeof Shop

const watch = Rpc.make("Watch", { success: Schema.Int, stream: true })
interface Streaming {
  readonly "~wire"?: (clients: typeof watch, events: never) => void
}

// most of this is tested by the type check
describe("the types of the wire", () => {
  it("are the encoded sides of the Schemas, as JSON has them", () => {
    expectTypeOf<Params<Shop, "Sell">>().toEqualTypeOf<{
      readonly due: string
      readonly count: string
      readonly note?: string
    }>()
    expectTypeOf<Answer<Shop, "Sell">>().toEqualTypeOf<ReadonlyArray<readonly [string, string]>>()
    expectTypeOf<Failure<Shop, "Sell">>().toEqualTypeOf<{
      readonly _tag: "OutOfRange"
      readonly at: string
      readonly max: number
    }>()
    expectTypeOf<Answer<Shop, "Read">>().toEqualTypeOf<number>()
    expectTypeOf<Answer<Shop, "Reset">>().toEqualTypeOf<null>()
    expectTypeOf<Failure<Shop, "Read">>().toEqualTypeOf<never>()
    expectTypeOf<Answer<Shop, "Any">>().toEqualTypeOf<unknown>()
    expectTypeOf<Payload<Shop, "Sold">>().toEqualTypeOf<{ readonly at: string }>()
    expectTypeOf<Payload<Shop, "Shut">>().toEqualTypeOf<null>()
    expectTypeOf<Wire<readonly [Date, ReadonlySet<URL>, undefined]>>().toEqualTypeOf<
      readonly [string, ReadonlyArray<string>, null]
    >()
    expectTypeOf<Wire<Option.Option<string>>>().toEqualTypeOf<Json>()
    expectTypeOf<Wire<Duration.Duration>>().toEqualTypeOf<Json>()
  })

  it("name what clients may call and are sent, and nothing else: no inner message, no stream", () => {
    expectTypeOf<Method<Shop>>().toEqualTypeOf<"Sell" | "Read" | "Reset" | "Any">()
    expectTypeOf<Method<Streaming>>().toEqualTypeOf<never>()
    expectTypeOf<EventName<Shop>>().toEqualTypeOf<"Sold" | "Shut">()
    expectTypeOf<Client<Shop>["ask"]>().parameter(0).toEqualTypeOf<"Sell" | "Read" | "Reset" | "Any">()
  })

  it("hold each call to its own params, answer, error and event", () => {
    const world = new World()
    const shop = connect<Shop>("ws://host/agents/Shop/a", world.options())
    const calls = () => {
      // @ts-expect-error inside only
      void shop.ask("Tick")
      // @ts-expect-error takes params
      void shop.ask("Sell")
      // @ts-expect-error a Date travels as text
      void shop.ask("Sell", { due: new Date(), count: "1" })
      // @ts-expect-error takes none
      void shop.ask("Read", { by: 1 })
      // @ts-expect-error no such option
      shop.notify("Reset", undefined, { timeoutMillis: 5 })
      // @ts-expect-error no such event
      shop.on("Bought", () => {})
      void shop.ask("Read", undefined, { timeoutMillis: 5 })
      expectTypeOf(shop.ask("Sell", { due: "", count: "1" })).resolves.toEqualTypeOf<
        ReadonlyArray<readonly [string, string]>
      >()
      expectTypeOf(shop.events("Sold").next()).resolves.toEqualTypeOf<
        IteratorResult<{ readonly at: string }, undefined>
      >()
    }
    expect(calls).toBeTypeOf("function")
    const error: unknown = new RpcError("Sell", -32000, "OutOfRange", { _tag: "OutOfRange", at: "", max: 3 })
    expect(shop.failed("Sell", error) && error.data.max).toBe(3)
    shop.close()
  })

  it("without a definition are unknown, and any name goes", () => {
    const world = new World()
    const any = connect("ws://host/agents/Any/a", world.options())
    any.notify("Whatever", { n: 1 })
    any.notify("Whatever")
    expectTypeOf<ReturnType<Client["ask"]>>().resolves.toEqualTypeOf<unknown>()
    expectTypeOf<ReturnType<Client["events"]>>().toEqualTypeOf<Reader<unknown>>()
    any.close()
    // @ts-expect-error not a definition
    expect(() => connect<{ readonly type: string; readonly "~wire": 5 }>("nope")).toThrow(InvalidOption)
  })

  it("there is nothing of them at run time", () => {
    expect("~wire" in Shop).toBe(false)
  })
})
