import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema, Stream } from "effect"
import { RateLimiter } from "effect/persistence"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Supervisor } from "troupe"
import { Breaker, Throttle, Topic, WorkPool } from "troupe/actors"
import { TestProbe, TestSystem } from "troupe/testkit"

const limiter = Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory)
const news = Topic.make("News", Schema.Int, { retain: 1 })
const Reader = Actor.make("Reader", { state: Schema.Void, protocol: [Rpc.make("News", { payload: news.message })] })

describe("Ready-made actors", () => {
  it.effect("are reached by their refs as children of a supervisor, as they are by their keys", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, burst: 1, maxQueued: 0 })
      const shops = Breaker.make("Shops", { window: 1 })
      const pool = WorkPool.make("Pool", {
        task: Schema.Int,
        result: Schema.Int,
        work: (n) => Effect.succeed(2 * n),
        workers: 1
      })
      const children = [
        { id: "api", behavior: api.behavior },
        { id: "shop", behavior: shops.behavior },
        { id: "news", behavior: news.behavior },
        { id: "pool", behavior: pool.behavior }
      ]
      const tree = yield* ActorSystem.spawn(Supervisor.make("Tree", { strategy: "one_for_one", children }), "t")
      yield* tree.ask("WhichChildren") // they have begun

      const through = api.run(api.at("api", tree))
      expect(yield* through(Effect.succeed("a"))).toBe("a")
      expect(yield* Effect.flip(through(Effect.void))).toMatchObject({ _tag: "Throttled", address: "Tree/t/Api/api" })

      const call = shops.call(shops.at("shop", tree))
      expect(yield* Effect.flip(call(Effect.fail("down")))).toBe("down")
      expect(yield* Effect.flip(call(Effect.void))).toMatchObject({ _tag: "BreakerOpen", address: "Tree/t/Shops/shop" })

      const topic = news.at("news", tree)
      const reader = yield* TestProbe.make(Reader, "r")
      yield* news.subscribe(topic, reader.ref, "News")
      expect(yield* news.publish(topic, 7)).toEqual({ reached: 1, missed: 0 })
      yield* reader.expectMessage("News", { seq: 1, missed: 0, value: 7 })
      expect(yield* Stream.runCollect(Stream.take(news.stream(topic), 1))).toEqual([{ seq: 1, missed: 0, value: 7 }])
      expect(yield* news.unsubscribe(topic, reader.ref)).toBe(true)

      expect(yield* pool.definition.at("pool", tree).ask("Run", 4)).toBe(8)
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, limiter)))
  )
})
