import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Actor, ActorSystem } from "troupe"
import { FanOut } from "troupe/actors"
import { TestSystem } from "troupe/testkit"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const Supplier = Actor.make("Supplier", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Quote", { payload: { after: Schema.Int }, success: Schema.String, error: Refused }),
    Rpc.make("Asked", { success: Schema.Int })
  ]
})

/** What receivers saw, in order: begun, answered, interrupted. `after` below zero refuses at once. */
const supplier = (seen: Array<string>) =>
  Supplier.behavior({
    initial: 0,
    on: {
      *Quote(asked, { after }, self) {
        seen.push(`${self.key} begun`)
        if (after < 0) return yield* new Refused({ why: "sold out" })
        yield* Effect.onInterrupt(Effect.sleep(after), () => Effect.sync(() => seen.push(`${self.key} interrupted`)))
        seen.push(`${self.key} answered`)
        return Actor.reply(`quote of ${self.key}`, asked + 1)
      },
      Asked: (asked) => Actor.reply(asked)
    }
  })

/** Suppliers by name, and how long each takes. */
const suppliers = Effect.fnUntraced(function* (after: Readonly<Record<string, number>>) {
  const seen: Array<string> = []
  const behavior = supplier(seen)
  const refs = yield* Effect.forEach(Object.keys(after), (key) => ActorSystem.spawn(behavior, key))
  const quote = (ref: (typeof refs)[number]) =>
    ref.ask("Quote", { after: after[String(ref.key)]! }, { timeout: "infinity" })
  return { seen, refs, quote }
})

const at = (...names: ReadonlyArray<string>) => names.map((name) => `Supplier/${name}`)
const who = (list: ReadonlyArray<{ readonly address: string }>) => list.map(({ address }) => address)

/** Runs until `millis` have passed; then its exit, or "under way". */
const after = <A, E, R>(millis: number, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(millis)
    return fiber.pollUnsafe() ?? "under way"
  })
const value = <A, E>(exit: Exit.Exit<A, E> | "under way"): A => {
  if (exit === "under way") throw new Error("is under way")
  if (Exit.isFailure(exit)) throw Cause.squash(exit.cause)
  return exit.value
}
const failure = <A>(exit: Exit.Exit<A, unknown> | "under way") => {
  if (exit === "under way" || Exit.isSuccess(exit)) throw new Error("has not failed")
  return Cause.squash(exit.cause) as FanOut.FanOutUnsatisfied
}

describe("FanOut.all", () => {
  it.effect("answers when the last has, in the order in which they came", () =>
    Effect.gen(function* () {
      const { refs, quote } = yield* suppliers({ slow: 300, fast: 100, middle: 200 })
      const fan = yield* Effect.forkChild(FanOut.all(refs, quote))
      yield* TestClock.adjust(299)
      expect(fan.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust(1)
      const { answers, ...rest } = yield* Fiber.join(fan)
      expect(answers.map((each) => each.value)).toEqual(["quote of fast", "quote of middle", "quote of slow"])
      expect(rest).toEqual({ failures: [], late: [], unasked: [] })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("fails with the first failure, and every handler that goes on is interrupted", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 100, b: 500, c: -1 })
      const error = failure(yield* after(0, FanOut.all(refs, quote)))
      expect(error).toMatchObject({ _tag: "FanOutUnsatisfied", way: "all", needed: 3, targets: 3, why: "impossible" })
      expect(error.report.failures).toEqual([
        { address: "Supplier/c", cause: Cause.fail(new Refused({ why: "sold out" })) }
      ])
      expect([error.report.answers, error.report.late]).toEqual([[], at("a", "b")])
      expect(seen).toEqual(["a begun", "b begun", "c begun", "a interrupted", "b interrupted"])
      yield* TestClock.adjust("1 hour")
      expect(seen).toHaveLength(5)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("at the deadline says who was late, and what came", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 100, b: 501 })
      const error = failure(yield* after(500, FanOut.all(refs, quote, { deadline: 500 })))
      expect(error).toMatchObject({ why: "deadline", needed: 2 })
      expect([who(error.report.answers), error.report.late]).toEqual([at("a"), at("b")])
      expect(error.message).toBe(
        "FanOut.all: 1 of the 2 answers needed came from 2 targets, none more within 500 ms (option deadline): 0 failed, 1 were asked and had not answered, 0 were not asked"
      )
      expect(seen.at(-1)).toBe("b interrupted")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("of nobody is satisfied", () =>
    Effect.gen(function* () {
      const report = yield* FanOut.all([] as ReadonlyArray<FanOut.Target>, () => Effect.succeed(1))
      expect(report).toEqual({ answers: [], failures: [], late: [], unasked: [] })
    })
  )
})

describe("FanOut.first", () => {
  it.effect("answers with the first; losers' handlers are interrupted, losers' queued asks withdrawn", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ slow: 1000, fast: 100, busy: 50 })
      const [, , busy] = refs
      // busy does something else, so that the ask lies in its mailbox
      const other = yield* Effect.forkChild(busy!.ask("Quote", { after: 400 }))
      yield* TestClock.adjust(0)
      const report = value(yield* after(100, FanOut.first(refs, quote)))
      expect([who(report.answers), report.late]).toEqual([at("fast"), at("slow", "busy")])
      yield* TestClock.adjust(300)
      yield* Fiber.join(other)
      yield* TestClock.adjust("1 hour")
      expect(seen).toEqual([
        "busy begun",
        "slow begun",
        "fast begun",
        "fast answered",
        "slow interrupted",
        "busy answered"
      ])
      expect(yield* Effect.forEach(refs, (ref) => ref.ask("Asked"))).toEqual([0, 1, 1])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("survives failures, and fails when all have failed", () =>
    Effect.gen(function* () {
      const some = yield* suppliers({ a: -1, b: 50, c: -1 })
      const report = value(yield* after(50, FanOut.first(some.refs, some.quote)))
      expect([who(report.answers), who(report.failures)]).toEqual([at("b"), at("a", "c")])
      const none = (ref: (typeof some.refs)[number]) => ref.ask("Quote", { after: -1 })
      const error = failure(yield* after(0, FanOut.first(some.refs, none)))
      expect(error).toMatchObject({ way: "first", needed: 1, why: "impossible" })
      expect(who(error.report.failures)).toEqual(at("a", "b", "c"))
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("staggered asks the next only when its time has passed, or one has failed", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 1000, b: -1, c: 150, d: 10 })
      const fan = yield* Effect.forkChild(FanOut.first(refs, quote, { stagger: 100 }))
      yield* TestClock.adjust(99)
      expect(seen).toEqual(["a begun"])
      yield* TestClock.adjust(1)
      // b refuses at once: c is asked without further ado
      expect(seen).toEqual(["a begun", "b begun", "c begun"])
      yield* TestClock.adjust(99)
      expect(seen).toHaveLength(3)
      yield* TestClock.adjust(11)
      const report = yield* Fiber.join(fan)
      expect([who(report.answers), report.late, report.unasked]).toEqual([at("d"), at("a", "c"), []])
      const [only, ...others] = refs
      const unasked = yield* FanOut.first([...others.slice(2), only!], quote, { stagger: "1 second" }).pipe(
        Effect.forkChild,
        Effect.tap(() => TestClock.adjust(10)),
        Effect.flatMap(Fiber.join)
      )
      expect([who(unasked.answers), unasked.unasked]).toEqual([at("d"), at("a")])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("FanOut.quorum", () => {
  it.effect("answers with the n-th, and interrupts the rest", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 300, b: 100, c: -1, d: 200 })
      const report = value(yield* after(200, FanOut.quorum(2, refs, quote)))
      expect([who(report.answers), who(report.failures), report.late]).toEqual([at("b", "d"), at("c"), at("a")])
      expect(seen.at(-1)).toBe("a interrupted")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("fails when so many have failed that it cannot be had, without waiting for the others", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 100, b: -1, c: 5000, d: -1 })
      const error = failure(yield* after(0, FanOut.quorum(3, refs, quote, { deadline: "infinity" })))
      expect(error).toMatchObject({ way: "quorum", needed: 3, targets: 4, why: "impossible" })
      expect(seen.slice(-2)).toEqual(["a interrupted", "c interrupted"])
      expect(error.message).toBe(
        "FanOut.quorum: 0 of the 3 answers needed came from 4 targets, the rest cannot come any more: 2 failed, 2 were asked and had not answered, 0 were not asked; the first to fail: Supplier/b, see report.failures"
      )
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("over the number of targets fails at once, and asks nobody", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 0, b: 0 })
      const error = failure(yield* after(0, FanOut.quorum(3, refs, quote)))
      expect([error.why, error.report.unasked, seen]).toEqual(["impossible", at("a", "b"), []])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("FanOut.inTime", () => {
  it.effect("has what came by the deadline; failures, defects and late ones are reported by address", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 100, b: 499, c: 501, d: -1, garbage: 0 })
      const report = value(
        yield* after(
          500,
          FanOut.inTime(
            refs,
            (ref) => {
              if (ref.key === "garbage") throw new Error("no JSON")
              return quote(ref)
            },
            { deadline: 500 }
          )
        )
      )
      expect([who(report.answers), report.late, report.unasked]).toEqual([at("a", "b"), at("c"), []])
      expect(who(report.failures).toSorted()).toEqual(at("d", "garbage"))
      const defect = report.failures.find(({ address }) => address === "Supplier/garbage")
      expect(Cause.squash(defect!.cause)).toEqual(new Error("no JSON"))
      expect(seen.at(-1)).toBe("c interrupted")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("ends before the deadline when nobody is left", () =>
    Effect.gen(function* () {
      const { refs, quote } = yield* suppliers({ a: 10, b: -1 })
      const report = value(yield* after(10, FanOut.inTime(refs, quote, { deadline: "infinity" })))
      expect([who(report.answers), who(report.failures)]).toEqual([at("a"), at("b")])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("has no more under way than its concurrency; who was not asked is told apart from who was late", () =>
    Effect.gen(function* () {
      let [now, most] = [0, 0]
      const names = Array.from({ length: 10 }, (_, n) => ({ address: `${n}` }))
      const ask = () =>
        Effect.suspend(() => {
          most = Math.max(most, ++now)
          return Effect.ensuring(
            Effect.sleep(100),
            Effect.sync(() => now--)
          )
        })
      const report = value(yield* after(250, FanOut.inTime(names, ask, { concurrency: 3, deadline: 250 })))
      expect([most, now]).toEqual([3, 0])
      expect([report.answers.length, report.late, report.unasked]).toEqual([6, ["6", "7", "8"], ["9"]])
    })
  )

  it.effect("can be had from a handler by self.pipe, and be an actor's state", () =>
    Effect.gen(function* () {
      const { refs, quote } = yield* suppliers({ a: 10, b: -1 })
      const Quotes = FanOut.Report(Schema.String, Schema.Union([Refused, Schema.Defect()]))
      const Buyer = Actor.make("Buyer", {
        state: Schema.NullOr(Quotes),
        protocol: [
          Rpc.make("Compare"),
          Rpc.make("Compared", { payload: { quotes: Quotes } }),
          Rpc.make("Read", { success: Schema.NullOr(Quotes) })
        ]
      })
      const buyer = Buyer.behavior({
        initial: null,
        on: {
          Compare(state, _, self) {
            self.pipe(FanOut.inTime(refs, quote), (exit) => ["Compared", { quotes: value(exit) }])
            return state
          },
          Compared: (_, { quotes }) => quotes,
          Read: (state) => Actor.reply(state)
        }
      })
      const ref = yield* ActorSystem.spawn(buyer, "one")
      yield* ref.tell("Compare")
      expect(yield* ref.ask("Read")).toBe(null)
      yield* TestClock.adjust(10)
      const report = yield* ref.ask("Read")
      expect([who(report!.answers), who(report!.failures)]).toEqual([at("a"), at("b")])
      const json = Schema.toCodecJson(Quotes)
      const sent = JSON.stringify(yield* Schema.encodeEffect(json)(report!))
      const back = yield* Schema.decodeEffect(json)(JSON.parse(sent) as typeof json.Encoded)
      expect(back.answers).toEqual([{ address: "Supplier/a", value: "quote of a" }])
      expect(Cause.squash(back.failures[0]!.cause)).toMatchObject({ _tag: "Refused", why: "sold out" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("FanOut", () => {
  it.effect("interrupted, interrupts what it has asked", () =>
    Effect.gen(function* () {
      const { refs, quote, seen } = yield* suppliers({ a: 100, b: 100 })
      const fan = yield* Effect.forkChild(FanOut.all(refs, quote))
      yield* TestClock.adjust(50)
      yield* Fiber.interrupt(fan)
      yield* TestClock.adjust(0)
      expect(seen).toEqual(["a begun", "b begun", "a interrupted", "b interrupted"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("what comes at the deadline or behind it is late, where the ask holds off its interruption too", () =>
    Effect.gen(function* () {
      const targets = [100, 101, 200].map((millis) => ({ address: `${millis}`, millis }))
      const ask = ({ millis }: (typeof targets)[number]) =>
        Effect.uninterruptible(Effect.as(Effect.sleep(millis), "too late"))
      const fan = yield* Effect.forkChild(FanOut.inTime(targets, ask, { deadline: 100 }))
      yield* TestClock.adjust(199)
      // it waits for what it has begun
      expect(fan.pollUnsafe()).toBe(undefined)
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(fan)).toEqual({ answers: [], failures: [], late: ["100", "101", "200"], unasked: [] })
    })
  )

  it.effect("asked from a handler of a target is an AskCycle of that target only", () =>
    Effect.gen(function* () {
      const { refs, quote } = yield* suppliers({ a: 10 })
      const Self = Actor.make("Self", { state: Schema.Void, protocol: [Rpc.make("Go", { success: Schema.String })] })
      const self = Self.behavior({
        initial: undefined,
        on: {
          *Go(_, __, own) {
            const targets = [own.ref, ...refs]
            const asked = FanOut.inTime(targets, (target) => (target === own.ref ? own.ref.ask("Go") : quote(refs[0]!)))
            const report = yield* Effect.orDie(asked)
            const why = report.failures.map(({ address, cause }) => `${address} ${String(Cause.squash(cause))}`)
            return Actor.reply([...who(report.answers), ...why].join("; "))
          }
        }
      })
      const ref = yield* ActorSystem.spawn(self, "one")
      expect(value(yield* after(10, ref.ask("Go")))).toBe(
        "Supplier/a; Self/one AskCycle: ask cycle: Self/one -> Self/one"
      )
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("refuses more targets than it may have, asks nobody, and reads an endless list no further", () =>
    Effect.gen(function* () {
      let read = 0
      const endless = (function* () {
        for (;;) yield { address: `${read++}` }
      })()
      const error = yield* Effect.flip(FanOut.all(endless, () => Effect.die("asked"), { maxTargets: 3 }))
      expect(error).toMatchObject({ _tag: "LimitReached", what: "FanOut.all: places for targets", limit: 3 })
      expect(read).toBe(4)
    })
  )

  it.each([
    ["concurrency", { concurrency: 0 }, "FanOut.concurrency"],
    ["concurrency", { concurrency: 1.5 }, "FanOut.concurrency"],
    ["deadline", { deadline: -1 }, "FanOut.deadline"],
    ["stagger", { stagger: "soon" as never }, "FanOut.stagger"],
    ["maxTargets", { maxTargets: 100_000 }, "FanOut.maxTargets"],
    ["an option nobody reads", { timeout: 5 } as never, "FanOut.timeout"]
  ])("refuses a bad %s by name", (_, options, field) => {
    const made = () => FanOut.inTime([{ address: "a" }], () => Effect.void, options)
    expect(made).toThrow(expect.objectContaining({ _tag: "InvalidOption", field }))
  })

  it.each([0, -1, 1.5, Number.NaN, undefined as never])("refuses a quorum of %s by name", (n) => {
    const made = () => FanOut.quorum(n, [{ address: "a" }], () => Effect.void)
    expect(made).toThrow(expect.objectContaining({ _tag: "InvalidOption", field: "FanOut.quorum" }))
  })

  const outcome = fc.record({ after: fc.integer({ min: 0, max: 60 }), fails: fc.boolean() })
  it("each target is answered, failed, late or unasked, exactly once; a way is satisfied, or given up, as early as it can be", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(outcome, { maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom("all" as const, "first" as const, "quorum" as const, "inTime" as const),
        fc.integer({ min: 1, max: 12 }),
        (outcomes, n, way, concurrency) =>
          Effect.runPromise(Effect.provide(once(outcomes, n, way, concurrency), TestClock.layer()))
      ),
      { numRuns: 150 }
    ))
})

type Outcomes = ReadonlyArray<{ readonly after: number; readonly fails: boolean }>
const once = Effect.fnUntraced(function* (
  outcomes: Outcomes,
  n: number,
  way: "all" | "first" | "quorum" | "inTime",
  concurrency: number
) {
  const targets = outcomes.map((each, position) => ({ ...each, address: `${position}` }))
  const ask = (target: (typeof targets)[number]) =>
    Effect.andThen(Effect.sleep(target.after), target.fails ? Effect.fail("no") : Effect.succeed(target.after))
  const options = { concurrency, deadline: 50.5 }
  const fan = way === "quorum" ? FanOut.quorum(n, targets, ask, options) : FanOut[way](targets, ask, options)
  const exit = yield* after(60, Effect.exit(fan)).pipe(Effect.map(value))
  const report = Exit.isSuccess(exit) ? exit.value : failure(exit).report
  const places = [...who(report.answers), ...who(report.failures), ...report.late, ...report.unasked]
  expect(places.toSorted()).toEqual(targets.map(({ address }) => address).toSorted())
  expect(report.late.length).toBeLessThanOrEqual(concurrency)
  const needed = { all: targets.length, first: 1, quorum: n, inTime: 0 }[way]
  expect(Exit.isSuccess(exit)).toBe(report.answers.length >= needed)
  if (way === "inTime") return
  // not one answer more than it takes, nor one failure
  expect(report.answers.length).toBeLessThanOrEqual(needed)
  expect(report.failures.length).toBeLessThanOrEqual(Math.max(0, targets.length - needed + 1))
})
