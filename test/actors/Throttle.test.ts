import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, Fiber, Layer, Logger, Schema, Stream } from "effect"
import { RateLimiter } from "effect/persistence"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { Actor, ActorSystem, InvalidOption } from "troupe"
import { Throttle } from "troupe/actors"
import { TestProbe, TestSystem, waitUntil } from "troupe/testkit"

const limiter = Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory)
const world = Layer.provideMerge(TestSystem.layer, limiter)

/** Who went through, and when. */
const diary = () => {
  const lines: Array<string> = []
  const write = (who: string) => Effect.map(Clock.currentTimeMillis, (at) => void lines.push(`${who} ${at}`))
  return { lines, write }
}
const settle = TestClock.adjust(0)

describe("Throttle.run", () => {
  it.effect("lets a burst through at once, then one a token, first come first served", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 2, burst: 3 })
      yield* ActorSystem.spawn(api.behavior, "k")
      const { lines, write } = diary()
      for (const who of ["a", "b", "c", "d", "e", "f"]) yield* Effect.forkChild(write(who).pipe(api.run("k")))
      yield* settle
      expect(lines).toEqual(["a 0", "b 0", "c 0"])
      expect(yield* api.at("k").ask("Stats")).toEqual({ passed: 3, refused: 0, waiting: 3 })
      yield* TestClock.adjust(499)
      expect(lines).toHaveLength(3)
      yield* TestClock.adjust(1001)
      expect(lines.slice(3)).toEqual(["d 500", "e 1000", "f 1500"])
      expect(yield* api.at("k").ask("Stats")).toEqual({ passed: 6, refused: 0, waiting: 0 })
    }).pipe(Effect.provide(world))
  )

  it.effect("hands through what the effect answers or fails with", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, burst: 2 })
      yield* ActorSystem.spawn(api.behavior, "k")
      expect(yield* Effect.succeed(7).pipe(api.run("k"))).toBe(7)
      expect(yield* Effect.flip(Effect.fail("no").pipe(api.run("k")))).toBe("no")
    }).pipe(Effect.provide(world))
  )

  it.effect("keys have buckets and lines of their own; a hosted one is made by its first call", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1 })
      yield* ActorSystem.host(api.behavior)
      const { lines, write } = diary()
      for (const key of ["x", "x", "y", "y"]) yield* Effect.forkChild(write(key).pipe(api.run(key)))
      yield* settle
      expect(lines).toEqual(["x 0", "y 0"])
      yield* TestClock.adjust("1 second")
      expect(lines).toHaveLength(4)
    }).pipe(Effect.provide(world))
  )

  it.effect("refuses one too many at once, with the time until the next token and who waits", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, per: "1 minute", maxQueued: 2 })
      yield* ActorSystem.spawn(api.behavior, "k")
      const run = api.run("k")(Effect.void)
      yield* run
      for (let i = 0; i < 2; i++) yield* Effect.forkChild(run)
      yield* TestClock.adjust("20 seconds")
      const refused = yield* Effect.flip(run)
      expect(refused).toMatchObject({ _tag: "Throttled", address: "Api/k", millis: 40_000, waiting: 2, maxQueued: 2 })
      expect(refused.message).toBe(
        "Api/k: over its rate, and 2 of at most 2 wait for tokens: refused, come again in 40000 ms (options rate, burst, maxQueued)"
      )
      expect(yield* api.at("k").ask("Stats")).toEqual({ passed: 1, refused: 1, waiting: 2 })
      yield* TestClock.adjust("2 minutes")
    }).pipe(Effect.provide(world))
  )

  it.effect("without a line refuses by the time alone, and lets through again when it is over", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 4, burst: 2, maxQueued: 0 })
      yield* ActorSystem.spawn(api.behavior, "k")
      const all = yield* Effect.all(
        Array.from({ length: 4 }, () => Effect.exit(api.run("k")(Effect.void))),
        {
          concurrency: 4
        }
      )
      expect(all.map(Exit.isSuccess)).toEqual([true, true, false, false])
      const refused = yield* Effect.flip(api.run("k")(Effect.void))
      expect(refused).toMatchObject({ _tag: "Throttled", millis: 250, waiting: 0 })
      yield* TestClock.adjust(250)
      yield* api.run("k")(Effect.void)
      expect((yield* ActorSystem).snapshot().timers).toBe(0)
    }).pipe(Effect.provide(world))
  )

  it.effect("who gives up leaves its place to the next and takes no token", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, maxQueued: 3 })
      yield* ActorSystem.spawn(api.behavior, "k")
      const { lines, write } = diary()
      const [, b, c, d] = yield* Effect.forEach(["a", "b", "c", "d"], (who) =>
        Effect.forkChild(write(who).pipe(api.run("k")))
      )
      yield* settle
      yield* Fiber.interrupt(b!)
      yield* Fiber.interrupt(c!)
      expect((yield* api.at("k").ask("Stats")).waiting).toBe(1)
      const late = yield* Effect.forkChild(write("late").pipe(api.run("k"), Effect.timeoutOption("1 minute")))
      yield* TestClock.adjust("2 seconds")
      expect(lines).toEqual(["a 0", "d 1000", "late 2000"])
      yield* Fiber.join(d!)
      yield* Fiber.join(late)
    }).pipe(Effect.provide(world))
  )

  it.effect("gives up by itself after its timeout", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, per: "1 hour" })
      yield* ActorSystem.spawn(api.behavior, "k")
      yield* api.run("k")(Effect.void)
      const waiting = yield* Effect.forkChild(Effect.flip(api.run("k", { timeout: "1 minute" })(Effect.void)))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(waiting))._tag).toBe("AskTimeout")
      expect((yield* api.at("k").ask("Stats")).waiting).toBe(0)
    }).pipe(Effect.provide(world))
  )

  it.effect("who needs many tokens is not overtaken; when it gives up, who needs few goes at once", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, burst: 5 })
      yield* ActorSystem.spawn(api.behavior, "k")
      const { lines, write } = diary()
      yield* write("all").pipe(api.run("k", { tokens: 5 }))
      const four = yield* Effect.forkChild(write("four").pipe(api.run("k", { tokens: 4 })))
      yield* settle
      yield* Effect.forkChild(write("one").pipe(api.run("k")))
      yield* TestClock.adjust("2 seconds")
      expect(lines).toEqual(["all 0"])
      yield* Fiber.interrupt(four)
      yield* TestClock.adjust(1)
      expect(lines).toEqual(["all 0", "one 2001"])
    }).pipe(Effect.provide(world))
  )

  it.effect("tokens beyond the burst, which never come, are refused, and hold up nobody", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1, burst: 3 })
      yield* ActorSystem.spawn(api.behavior, "k")
      for (const tokens of [4, 0, -1, Number.NaN]) {
        const refused = yield* Effect.flip(api.run("k", { tokens })(Effect.void))
        expect(refused).toMatchObject({ _tag: "InvalidOption", field: "Api.tokens", range: "from 1 to 3, the burst" })
      }
      yield* api.run("k")(Effect.void)
    }).pipe(Effect.provide(world))
  )

  it.effect("a tell takes no place: nobody would use the token", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1 })
      const ref = yield* ActorSystem.spawn(api.behavior, "k")
      yield* api.run("k")(Effect.void)
      yield* ref.tell("Acquire", { tokens: 1 })
      expect((yield* ref.ask("Stats")).waiting).toBe(0)
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(world))
  )

  it.effect("each who waits hears when the store does not answer, and is let through when it does", () =>
    Effect.gen(function* () {
      let works = true
      const real = yield* RateLimiter.RateLimiter
      const broken = new RateLimiter.RateLimiterError({
        reason: new RateLimiter.RateLimitStoreError({ message: "no Redis" })
      })
      const consume: typeof real.consume = (options) => (works ? real.consume(options) : Effect.fail(broken))
      const api = Throttle.make("Api", { rate: 1 })
      yield* ActorSystem.spawn(api.behavior, "k").pipe(
        Effect.provideService(RateLimiter.RateLimiter, { ...real, consume })
      )
      yield* api.run("k")(Effect.void)
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.flip(api.run("k")(Effect.void))))
      yield* settle
      works = false
      yield* TestClock.adjust("1 second")
      for (const fiber of waiting) expect((yield* Fiber.join(fiber))._tag).toBe("RateLimiterError")
      expect(yield* Effect.flip(api.run("k")(Effect.void))).toMatchObject({ reason: { message: "no Redis" } })
      works = true
      yield* api.run("k")(Effect.void)
    }).pipe(Effect.provide(world))
  )

  it.effect("one that leaves while the store is asked does not stop the line", () =>
    Effect.gen(function* () {
      const real = yield* RateLimiter.RateLimiter
      const consume: typeof real.consume = (options) => Effect.delay(real.consume(options), 100)
      const api = Throttle.make("Api", { rate: 1 })
      yield* ActorSystem.spawn(api.behavior, "k").pipe(
        Effect.provideService(RateLimiter.RateLimiter, { ...real, consume })
      )
      const { lines, write } = diary()
      const [, b] = yield* Effect.forEach(["a", "b", "c"], (who) => Effect.forkChild(write(who).pipe(api.run("k"))))
      yield* TestClock.adjust(1150) // b's question is under way since 1100
      yield* Fiber.interrupt(b!)
      yield* TestClock.adjust("5 seconds")
      expect(lines.map((line) => line.split(" ")[0])).toEqual(["a", "c"])
    }).pipe(Effect.provide(world))
  )

  it.effect("a burst of more than a mailbox holds finds its tokens, its place in the line, or is refused by name", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1000, burst: 500, maxQueued: 2000, forgetAfter: "infinity" })
      yield* ActorSystem.host(api.behavior)
      const burst = Effect.forEach(Array.from({ length: 3000 }), () => Effect.exit(api.run("k")(Effect.void)), {
        concurrency: "unbounded"
      })
      const all = yield* Effect.forkChild(burst)
      yield* settle
      expect(yield* api.at("k").ask("Stats")).toEqual({ passed: 500, refused: 500, waiting: 2000 })
      yield* TestClock.adjust("3 seconds")
      const failed = (yield* Fiber.join(all)).filter(Exit.isFailure)
      expect(failed.length).toBe(500)
      for (const { cause } of failed) expect(Cause.squash(cause)).toBeInstanceOf(Throttle.Throttled)
    }).pipe(Effect.provide(world))
  )

  it.effect("an idle key is forgotten, its bucket is not", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const api = Throttle.make("Api", { rate: 1, per: "1 hour", forgetAfter: "1 minute" })
      yield* ActorSystem.host(api.behavior)
      yield* api.run("k")(Effect.void)
      const waiting = yield* Effect.forkChild(api.run("k")(Effect.void))
      yield* TestClock.adjust("10 minutes")
      expect(host.state(api.at("k"))).not.toBe("stopped") // somebody waits
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("2 minutes")
      yield* waitUntil(() => host.state(api.at("k")) === "stopped", "it is forgotten")
      const again = yield* Effect.flip(api.run("k", { timeout: "1 second" })(Effect.void).pipe(withSeconds(1)))
      expect(again._tag).toBe("AskTimeout")
    }).pipe(Effect.provide(world))
  )

  it.effect("who waits is told when the throttle stops", () =>
    Effect.gen(function* () {
      const api = Throttle.make("Api", { rate: 1 })
      const ref = yield* ActorSystem.spawn(api.behavior, "k")
      yield* api.run("k")(Effect.void)
      const waiting = yield* Effect.forkChild(Effect.flip(api.run("k")(Effect.void)))
      yield* settle
      yield* ref.stop()
      expect((yield* Fiber.join(waiting))._tag).toBe("ActorStopped")
    }).pipe(Effect.provide(world))
  )

  it.effect("never more than burst + rate x time in any window, nobody overtaken, whoever gives up", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 20 }),
          fc.integer({ min: 1, max: 4 }),
          fc.array(fc.record({ after: fc.nat(300), tokens: fc.integer({ min: 1, max: 4 }), patience: fc.nat(2000) }), {
            minLength: 1,
            maxLength: 30
          }),
          fc.nat(),
          (rate, burst, guests, seed) => Effect.runPromise(crowd(rate, burst, guests, seed))
        ),
        { numRuns: 40 }
      )
    )
  )

  it.each([
    [{}, "Api.rate"],
    [{ rate: 0 }, "Api.rate"],
    [{ rate: 1.5 }, "Api.rate"],
    [{ rate: 1, burst: 0 }, "Api.burst"],
    [{ rate: 1, per: 0 }, "Api.per"],
    [{ rate: 1, per: Number.POSITIVE_INFINITY }, "Api.burst"],
    [{ rate: 5000, burst: 4 }, "Api.burst"],
    [{ rate: 1, maxQueued: -1 }, "Api.maxQueued"],
    [{ rate: 1, brust: 2 }, "Api.brust"],
    [{ rate: 1, forgetAfter: -1 }, "Api.forgetAfter"]
  ])("refuses %j by name when it is made", (options, field) => {
    let refused: unknown
    try {
      Throttle.make("Api", options as unknown as Throttle.ThrottleOptions)
    } catch (error) {
      refused = error
    }
    expect(refused).toBeInstanceOf(InvalidOption)
    expect((refused as InvalidOption).field).toBe(field)
  })
})

/** Lets virtual time pass while something waits for it. */
const withSeconds =
  (seconds: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Effect.forkChild(effect), (fiber) =>
      Effect.andThen(TestClock.adjust(Duration.seconds(seconds)), Fiber.join(fiber))
    )

interface Guest {
  readonly after: number
  readonly tokens: number
  readonly patience: number
}
const crowd = (rate: number, burst: number, guests: ReadonlyArray<Guest>, seed: number) =>
  Effect.gen(function* () {
    const api = Throttle.make("Api", { rate, burst, maxQueued: 50 })
    yield* ActorSystem.spawn(api.behavior, "k")
    const through: Array<{ who: number; at: number; tokens: number }> = []
    for (const [who, { after, patience, tokens: wanted }] of guests.entries()) {
      yield* TestClock.adjust(after)
      const tokens = Math.min(burst, wanted)
      const enter = Effect.map(Clock.currentTimeMillis, (at) => void through.push({ who, at, tokens }))
      yield* Effect.forkChild(Effect.ignore(enter.pipe(api.run("k", { tokens, timeout: patience + 1 }))))
      yield* settle
    }
    yield* TestClock.adjust("5 minutes")
    expect(through.map(({ who }) => who)).toEqual(through.map(({ who }) => who).toSorted((a, b) => a - b))
    for (const [i, first] of through.entries()) {
      let tokens = 0
      for (const { at, tokens: took } of through.slice(i)) {
        tokens += took
        expect(tokens).toBeLessThanOrEqual(burst + Math.floor(((at - first.at) * rate) / 1000 + 1e-6) + 1e-6)
      }
    }
    expect((yield* api.at("k").ask("Stats")).waiting).toBe(0)
    yield* api.run("k", { tokens: burst })(Effect.void)
  }).pipe(Effect.provide(Layer.provideMerge(Layer.merge(TestSystem.seeded(seed), limiter), TestClock.layer())))

const Desk = Actor.make("Desk", {
  state: Schema.Array(Schema.Int),
  protocol: [
    Rpc.make("Note", { payload: { n: Schema.Int } }),
    Rpc.make("Double", { payload: { n: Schema.Int }, success: Schema.Int }),
    Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
  ]
})
const desk = Desk.behavior({
  initial: [],
  on: {
    Note: (state, { n }) => [...state, n],
    Double: (_, { n }) => Actor.reply(n * 2),
    Count: (_, { to }) => Stream.range(1, to)
  }
})

describe("Throttle.inFront", () => {
  it.effect("forwards what it is sent in order, one a token, asks with their answers", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const front = yield* ActorSystem.spawn(Throttle.inFront(Desk, probe.ref, { rate: 1 }), "front")
      for (const n of [1, 2, 3]) yield* front.tell("Note", { n })
      yield* probe.expectMessage("Note", { n: 1 })
      yield* probe.expectNone(999)
      yield* probe.within(1, probe.expectMessage("Note", { n: 2 }))
      const asking = yield* Effect.forkChild(front.ask("Double", { n: 4 }))
      yield* probe.within("1 second", probe.expectMessage("Note", { n: 3 }))
      yield* probe.within("1 second", probe.expect("Double"))
      yield* probe.reply(8)
      expect(yield* Fiber.join(asking)).toBe(8)
    }).pipe(Effect.provide(world))
  )

  it.effect("streams come through it too", () =>
    Effect.gen(function* () {
      const target = yield* ActorSystem.spawn(desk, "t")
      const front = yield* ActorSystem.spawn(Throttle.inFront(Desk, target, { rate: 1, burst: 2 }), "front")
      expect(yield* Stream.runCollect(front.ask("Count", { to: 3 }))).toEqual([1, 2, 3])
      expect(yield* front.ask("Double", { n: 2 })).toBe(4)
    }).pipe(Effect.provide(world))
  )

  it.effect("a full line hands the message back; an ask that is given up leaves it, its token to the next", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const behavior = Throttle.inFront(Desk, probe.ref, { rate: 1, mailbox: { capacity: 2 } })
      const front = yield* ActorSystem.spawn(behavior, "front")
      yield* front.tell("Note", { n: 1 })
      yield* probe.expectMessage("Note", { n: 1 })
      const waiting = yield* Effect.forkChild(front.ask("Double", { n: 1 }, { timeout: 500 }))
      yield* settle
      yield* front.tell("Note", { n: 2 })
      yield* front.tell("Note", { n: 3 })
      expect(yield* Effect.flip(front.tell("Note", { n: 4 }))).toMatchObject({ _tag: "MailboxFull", payload: { n: 4 } })
      yield* TestClock.adjust(500)
      expect((yield* Effect.flip(Fiber.join(waiting)))._tag).toBe("AskTimeout")
      yield* probe.expectNone(499)
      yield* probe.within(1, probe.expectMessage("Note", { n: 2 }))
      yield* probe.within("1 second", probe.expectMessage("Note", { n: 3 }))
    }).pipe(Effect.provide(world))
  )

  it.effect("is not reported stuck while it waits for a token that comes every hour", () => {
    const said: Array<unknown> = []
    const listening = Logger.layer([Logger.make(({ message }) => said.push(message))])
    return Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const front = yield* ActorSystem.spawn(Throttle.inFront(Desk, probe.ref, { rate: 1, per: "1 hour" }), "front")
      for (const n of [1, 2]) yield* front.tell("Note", { n })
      yield* probe.expect("Note")
      yield* probe.within("1 hour", probe.expect("Note"))
      expect(said).toEqual([])
    }).pipe(Effect.provide(Layer.provideMerge(world, listening)))
  })

  it("refuses options by name", () => {
    const target = Desk.at("t")
    expect(() => Throttle.inFront(Desk, target, { rate: 0 })).toThrow("DeskThrottle.rate")
    expect(() => Throttle.inFront(Desk, target, { rate: 1, mailbox: { capacity: 0 } })).toThrow(
      "DeskThrottle.mailbox.capacity"
    )
    const odd = { rate: 1, maxQueued: 4 } as Throttle.FrontOptions
    expect(() => Throttle.inFront(Desk, target, odd)).toThrow("DeskThrottle.maxQueued")
  })

  it.effect("a store that does not answer is its failure, and what waits stays", () =>
    Effect.gen(function* () {
      let works = false
      const real = yield* RateLimiter.RateLimiter
      const broken = new RateLimiter.RateLimiterError({
        reason: new RateLimiter.RateLimitStoreError({ message: "no Redis" })
      })
      const consume: typeof real.consume = (options) => (works ? real.consume(options) : Effect.fail(broken))
      const probe = yield* TestProbe.make(Desk)
      const front = yield* ActorSystem.spawn(Throttle.inFront(Desk, probe.ref, { rate: 1 }), "front").pipe(
        Effect.provideService(RateLimiter.RateLimiter, { ...real, consume })
      )
      const lost = yield* Effect.forkChild(Effect.flip(front.ask("Double", { n: 1 })))
      yield* Effect.yieldNow
      yield* front.tell("Note", { n: 2 })
      expect((yield* Fiber.join(lost))._tag).toBe("CalleeFailed")
      works = true
      yield* probe.within("10 seconds", probe.expectMessage("Note", { n: 2 }))
    }).pipe(Effect.provide(Layer.provideMerge(world, Logger.layer([]))))
  )
})
