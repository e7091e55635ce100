import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Random, Stream } from "effect"
import { AiError, Response } from "effect/ai"
import { LlmProvider, type LlmProviderOptions } from "troupe/actors"
import { TestClock } from "effect/testing"

const error = (reason: AiError.AiErrorReason): AiError.AiError => AiError.make({ module: "m", method: "f", reason })
const broken = error(new AiError.InternalProviderError({ description: "d" }))
const limited = error(new AiError.RateLimitError({ retryAfter: Duration.seconds(7) }))
const word = (delta: string) => Response.makePart("text-delta", { id: "text", delta })
const started = Response.makePart("text-start", { id: "text" })

/** A model that answers each try as the list says, and notes when it was asked. */
class Model {
  readonly askedAt: Array<number> = []
  open = 0
  peak = 0
  #tries = 0
  readonly #answers: ReadonlyArray<Stream.Stream<Response.StreamPart<{}>, AiError.AiError>>
  constructor(...answers: ReadonlyArray<Stream.Stream<Response.StreamPart<{}>, AiError.AiError>>) {
    this.#answers = answers
  }
  get call(): Stream.Stream<Response.StreamPart<{}>, AiError.AiError> {
    return Stream.unwrap(
      Effect.gen({ self: this }, function* () {
        this.askedAt.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
        this.peak = Math.max(this.peak, ++this.open)
        yield* Effect.addFinalizer(() => Effect.sync(() => this.open--))
        return this.#answers[Math.min(this.#tries++, this.#answers.length - 1)]!
      })
    )
  }
}

const ask = (model: Model) =>
  Effect.gen(function* () {
    const parts = yield* Stream.runCollect((yield* LlmProvider).within(model.call))
    return parts.map((part) => (part.type === "text-delta" ? part.delta : part.type)).join(" ")
  })

const within = <A, E>(options: LlmProviderOptions, test: Effect.Effect<A, E, LlmProvider>) =>
  Effect.provide(test, Layer.fresh(LlmProvider.layer(options))).pipe(Random.withSeed("seed"))

const slow = Stream.fromEffect(Effect.delay(Effect.succeed(word("late")), "10 seconds"))
const stats = Effect.map(LlmProvider, (provider) => provider.stats())

describe("LlmProvider", () => {
  it.effect("runs as many calls at once as it may; one too many for the line is refused by name", () =>
    within(
      { concurrency: 2, maxQueued: 2 },
      Effect.gen(function* () {
        const model = new Model(slow)
        const calls = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(ask(model)))
        yield* TestClock.adjust(0)
        expect(yield* stats).toMatchObject({ running: 2, queued: 2, refused: 0 })
        const refused = yield* Effect.flip(ask(model))
        expect(refused).toMatchObject({ _tag: "LimitReached", limit: 2, option: "option maxQueued" })
        yield* TestClock.adjust("20 seconds")
        for (const call of calls) expect(yield* Fiber.join(call)).toBe("late")
        expect([model.peak, model.askedAt]).toEqual([2, [0, 0, 10_000, 10_000]])
        expect(yield* stats).toEqual({ running: 0, queued: 0, tries: 4, retries: 0, refused: 1 })
      })
    )
  )

  it.effect("gives the place back of who leaves: the line, a pause, a call", () =>
    within(
      { concurrency: 1, maxQueued: 1 },
      Effect.gen(function* () {
        const model = new Model(slow)
        const first = yield* Effect.forkChild(ask(model))
        yield* TestClock.adjust(0)
        const second = yield* Effect.forkChild(ask(model))
        yield* TestClock.adjust(0)
        yield* Fiber.interrupt(second)
        expect(yield* stats).toMatchObject({ running: 1, queued: 0 })
        yield* Fiber.interrupt(first)
        expect([yield* stats, model.open]).toMatchObject([{ running: 0, queued: 0 }, 0])
        const pausing = yield* Effect.forkChild(ask(new Model(Stream.fail(limited))))
        yield* TestClock.adjust("1 second")
        expect(yield* stats).toMatchObject({ running: 1 })
        yield* Fiber.interrupt(pausing)
        expect(yield* stats).toMatchObject({ running: 0 })
      })
    )
  )

  it.effect("tries again after a pause, as told by the endpoint, before the first token", () =>
    within(
      { retries: 2 },
      Effect.gen(function* () {
        const again = Stream.concat(Stream.make(started), Stream.fail(limited))
        const model = new Model(Stream.fail(limited), again, Stream.make(word("at"), word("last")))
        const call = yield* Effect.forkChild(ask(model))
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(call)).toBe("text-start at last")
        expect(model.askedAt).toEqual([0, 7000, 14_000])
        expect(yield* stats).toMatchObject({ tries: 3, retries: 2 })
      })
    )
  )

  it.effect("never after the first token, and so often at the most", () =>
    within(
      { retries: 2, backoff: 100 },
      Effect.gen(function* () {
        const cut = new Model(Stream.concat(Stream.make(word("so")), Stream.fail(broken)))
        expect(yield* Effect.flip(ask(cut))).toBe(broken)
        expect(cut.askedAt.length).toBe(1)
        const down = new Model(Stream.fail(broken))
        const call = yield* Effect.forkChild(Effect.flip(ask(down)))
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(call)).toBe(broken)
        const [first, second, third] = down.askedAt as [number, number, number]
        expect(second - first).toBeGreaterThanOrEqual(50)
        expect(second - first).toBeLessThanOrEqual(100)
        expect(third - second).toBeGreaterThanOrEqual(100)
        expect(third - second).toBeLessThanOrEqual(200)
        expect(down.askedAt.length).toBe(3)
      })
    )
  )

  it.effect("does not wait for longer than maxDelay: whoever asked hears for how long", () =>
    within(
      { maxDelay: "6 seconds" },
      Effect.gen(function* () {
        const refused = yield* Effect.flip(ask(new Model(Stream.fail(limited))))
        expect(refused).toBe(limited)
      })
    )
  )

  it.effect("lets so many calls through in a while, tries again counted", () =>
    within(
      { rate: { limit: 2, window: "1 second" } },
      Effect.gen(function* () {
        const model = new Model(Stream.make(word("so")))
        const calls = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(ask(model)))
        yield* TestClock.adjust("1 minute")
        yield* Effect.forEach(calls, Fiber.join)
        expect(model.askedAt).toEqual([0, 0, 500, 1000])
      })
    )
  )

  it.effect("takes a call of which nothing comes for broken; a reader that is slow does not count", () =>
    within(
      { stallTimeout: "5 seconds", retries: 0 },
      Effect.gen(function* () {
        const silent = yield* Effect.forkChild(Effect.exit(ask(new Model(Stream.never))))
        yield* TestClock.adjust("5 seconds")
        const exit = yield* Fiber.join(silent)
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain("nothing came for 5000 ms (option stallTimeout)")
        const provider = yield* LlmProvider
        const lazy = Stream.runForEach(provider.within(new Model(Stream.make(word("a"), word("b"))).call), () =>
          Effect.sleep("1 minute")
        )
        const read = yield* Effect.forkChild(lazy)
        yield* TestClock.adjust("3 minutes")
        expect(Exit.isSuccess(yield* Fiber.await(read))).toBe(true)
      })
    )
  )

  it.effect.each([
    ["concurrency", { concurrency: 0 }],
    ["name", { name: 1 }],
    ["maxQueued", { maxQueued: -1 }],
    ["rate.limit", { rate: { limit: 0, window: "1 second" } }],
    ["rate.window", { rate: { limit: 1, window: "never" } }],
    ["rate.per", { rate: { limit: 1, window: 1, per: 2 } }],
    ["retries", { retries: 21 }],
    ["backoff", { backoff: 0 }],
    ["maxDelay", { maxDelay: "long" }],
    ["stallTimeout", { stallTimeout: -1 }],
    ["retry", { retry: 1 }]
  ] as const)("%s outside of its range is refused when the layer is built", ([field, options]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(within(options as never, stats))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain(`llmProvider.${field}`)
    })
  )
})
