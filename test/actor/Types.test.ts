import { Context, Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { describe, expect, it } from "vitest"
import { Actor, type ActorRef, ActorSystem } from "troupe"

class Clock extends Context.Service<Clock, { readonly tick: number }>()("test/Clock") {}

const Counter = Actor.make("Counter", {
  state: Schema.Struct({ count: Schema.Int }),
  protocol: [Rpc.make("Increment", { payload: { by: Schema.Int } }), Rpc.make("Read", { success: Schema.Int })]
})
const state = { count: 0 }

/** Never run: that it compiles, with an error where one is expected, is the test. `npm run typecheck` holds it. */
export const checked = (clicks: ActorRef<Rpc.Rpc<"Read", typeof Schema.Void, typeof Schema.Int>>) => {
  const counter = Counter.at("a")
  // @ts-expect-error no such tag
  counter.tellUnsafe("Decrement")
  // @ts-expect-error wrong payload
  counter.tellUnsafe("Increment", { by: "1" })
  // @ts-expect-error missing payload
  counter.tellUnsafe("Increment")
  const read: Effect.Effect<number, unknown> = counter.ask("Read")
  // @ts-expect-error the answer is a number
  const wrong: Effect.Effect<string, unknown> = counter.ask("Read")

  const Increment = (s: { readonly count: number }) => s
  const Read = (s: { readonly count: number }) => Actor.reply(s.count)
  Counter.behavior({ initial: state, on: { Increment, Read } })
  // @ts-expect-error a handler is missing
  Counter.behavior({ initial: state, on: { Increment } })
  // @ts-expect-error the reply has the wrong type
  Counter.behavior({ initial: state, on: { Increment, Read: () => Actor.reply("1") } })
  // @ts-expect-error the initial state has the wrong type
  Counter.behavior({ initial: { count: "0" }, on: { Increment, Read } })

  const needy = Counter.behavior({
    initial: state,
    on: { Increment, Read: (s) => Effect.map(Clock, ({ tick }) => Actor.reply(s.count + tick)) }
  })
  const spawned = ActorSystem.spawn(needy, "a")
  type Needs = typeof spawned extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
  const asked: [ActorSystem | Clock] extends [Needs] ? true : false = true
  // @ts-expect-error the service of a handler is asked for at spawn
  const without: ReadonlyArray<ActorSystem> = [] as ReadonlyArray<Needs>
  return [read, wrong, asked, without, clicks]
}

describe("Types", () => {
  it("a wrong tag, payload, reply, a missing handler and a missing service are compile errors", () => {
    expect(checked).toBeTypeOf("function")
  })
})
