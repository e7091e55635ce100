import { getShortestPaths, getSimplePaths } from "@xstate/graph"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Duration, Effect, Exit, Fiber, Layer, Logger, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { transition } from "xstate"
import { Actor, ActorSystem, type Host, InvalidOption } from "troupe"
import { Breaker } from "troupe/actors"
import { TestSystem } from "troupe/testkit"
import { expectTypeOf, vi } from "vitest"

const settle = TestClock.adjust(0)
class Down extends Schema.TaggedError<Down>()("Down", {}) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}) {}
const down = Effect.fail(new Down())
const fine = Effect.succeed("fine")

/** A call that is under way until it is told how to end. */
const held = (through: <A>(effect: Effect.Effect<A, Down>) => Effect.Effect<A, unknown>) =>
  Effect.gen(function* () {
    const end = yield* Deferred.make<string, Down>()
    let begun = false
    const effect = Effect.andThen(
      Effect.sync(() => void (begun = true)),
      Deferred.await(end)
    )
    const fiber = yield* Effect.forkChild(Effect.exit(through(effect)))
    yield* settle
    return { end, fiber, begun: () => begun }
  })
type Held = Effect.Success<ReturnType<typeof held>>

describe("Breaker.call", () => {
  it.effect("opens when five calls in a row have failed, and refuses at once with how long", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc")
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      for (let i = 0; i < 4; i++) expect(yield* Effect.flip(call(down))).toBeInstanceOf(Down)
      expect(yield* call(fine)).toBe("fine")
      for (let i = 0; i < 5; i++) expect(yield* Effect.flip(call(down))).toBeInstanceOf(Down)
      expect(yield* ref.ask("Status")).toEqual({ state: "open", calls: 10, counted: 5, failures: 5, due: 10_000 })
      yield* TestClock.adjust("4 seconds")
      let ran = false
      const refused = yield* Effect.flip(call(Effect.sync(() => (ran = true))))
      expect(refused).toMatchObject({ _tag: "BreakerOpen", address: "Svc/k", state: "open", millis: 6000 })
      expect(refused.message).toContain("Svc/k: open, for another 6000 ms")
      expect(ran).toBe(false)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("half-open lets one of ten through, tells the others how long, and closes when it succeeds", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, probeTimeout: "20 seconds" })
      yield* ActorSystem.host(svc.behavior)
      const call = svc.call("k")
      yield* Effect.flip(call(down))
      yield* TestClock.adjust("10 seconds")
      const all = yield* Effect.forEach(Array.from({ length: 10 }), () => held(call))
      expect(all.filter(({ begun }) => begun())).toHaveLength(1)
      yield* TestClock.adjust("5 seconds")
      const refused = yield* Effect.flip(call(fine))
      expect(refused).toMatchObject({ _tag: "BreakerOpen", state: "halfOpen", millis: 15_000 })
      yield* Deferred.succeed(all[0]!.end, "well")
      expect(yield* Fiber.join(all[0]!.fiber)).toEqual(Exit.succeed("well"))
      expect(yield* svc.at("k").ask("Status")).toEqual({
        state: "closed",
        calls: 2,
        counted: 0,
        failures: 0,
        due: undefined
      })
      expect(yield* call(fine)).toBe("fine")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("all of its probes have to succeed: one failure opens it again", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, probes: 3 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      const state = Effect.map(ref.ask("Status"), (status) => status.state)
      yield* Effect.flip(call(down))
      yield* TestClock.adjust("10 seconds")
      yield* call(fine)
      yield* call(fine)
      expect(yield* state).toBe("halfOpen")
      yield* Effect.flip(call(down))
      expect(yield* state).toBe("open")
      yield* TestClock.adjust("20 seconds")
      for (let i = 0; i < 3; i++) yield* call(fine)
      expect(yield* state).toBe("closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("is open for twice as long each time that a probe fails, up to maxOpenFor; closed, it forgets that", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, openFor: "1 second", maxOpenFor: "5 seconds" })
      yield* ActorSystem.spawn(svc.behavior, "k")
      const lengths: Array<number> = []
      const trip = Effect.gen(function* () {
        yield* Effect.flip(svc.call("k")(down))
        const refused = yield* Effect.flip(svc.call("k")(fine))
        if (refused._tag !== "BreakerOpen") return yield* refused
        lengths.push(refused.millis)
        yield* TestClock.adjust(refused.millis)
      })
      for (let i = 0; i < 4; i++) yield* trip
      yield* svc.call("k")(fine)
      yield* trip
      expect(lengths).toEqual([1000, 2000, 4000, 5000, 1000])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("errors that are answers open nothing and close what is half-open; defects are failures", () =>
    Effect.gen(function* () {
      const isFailure = (error: Down | NotFound) => error._tag === "Down"
      const svc = Breaker.make("Svc", { window: 2, isFailure })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      const state = Effect.map(ref.ask("Status"), (status) => status.state)
      for (let i = 0; i < 9; i++) expect(yield* Effect.flip(call(Effect.fail(new NotFound())))).toBeInstanceOf(NotFound)
      expect(yield* state).toBe("closed")
      for (let i = 0; i < 2; i++) expect(yield* Effect.exit(call(Effect.die("bug")))).toEqual(Exit.die("bug"))
      expect(yield* state).toBe("open")
      yield* TestClock.adjust("10 seconds")
      yield* Effect.flip(call(Effect.fail(new NotFound())))
      expect(yield* state).toBe("closed")
      expectTypeOf(call<string, Down, never>).returns.toExtend<Effect.Effect<string, unknown>>()
      // @ts-expect-error an error of which isFailure knows nothing
      void call<string, "other", never>
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("what took slowAfter has failed, though its value is handed through", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 2, slowAfter: "3 seconds" })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      for (const millis of [2999, 3000, 3000]) {
        const calling = yield* Effect.forkChild(svc.call("k")(Effect.delay(fine, millis)))
        yield* TestClock.adjust(millis)
        expect(yield* Fiber.join(calling)).toBe("fine")
      }
      expect((yield* ref.ask("Status")).state).toBe("open")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an interrupted call counts neither way; an interrupted probe leaves its place to another", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      let released = 0
      const long = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void released++))
      const first = yield* Effect.forkChild(call(long))
      yield* settle
      yield* Fiber.interrupt(first)
      expect(yield* ref.ask("Status")).toEqual({
        state: "closed",
        calls: 1,
        counted: 0,
        failures: 0,
        due: undefined
      })
      yield* Effect.flip(call(down))
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.forkChild(call(long))
      yield* settle
      expect((yield* Effect.flip(call(fine)))._tag).toBe("BreakerOpen")
      yield* Fiber.interrupt(probe)
      expect(released).toBe(2)
      expect(yield* ref.ask("Status")).toMatchObject({ state: "halfOpen", due: undefined })
      expect(yield* call(fine)).toBe("fine")
      expect((yield* ref.ask("Status")).state).toBe("closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a timeout inside of it is a failure, one around it is none", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const timed = yield* Effect.forkChild(
        Effect.exit(Effect.never.pipe(svc.call("k"), Effect.timeoutOption("1 second")))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(timed)
      expect((yield* ref.ask("Status")).state).toBe("closed")
      const inside = yield* Effect.forkChild(Effect.exit(Effect.never.pipe(Effect.timeout("1 second"), svc.call("k"))))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(inside)
      expect((yield* ref.ask("Status")).state).toBe("open")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a probe that does not end is given up, and what comes of it later counts nothing", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, openFor: "1 second", probeTimeout: "8 seconds" })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      yield* Effect.flip(call(down))
      yield* TestClock.adjust("1 second")
      // nobody calls: it waits for somebody, however long
      yield* TestClock.adjust("1 hour")
      expect((yield* ref.ask("Status")).state).toBe("halfOpen")
      const probe = yield* held(call)
      yield* TestClock.adjust("8 seconds")
      expect((yield* ref.ask("Status")).state).toBe("open")
      yield* TestClock.adjust("2 seconds")
      expect((yield* ref.ask("Status")).state).toBe("halfOpen")
      const second = yield* held(call)
      yield* Deferred.fail(probe.end, new Down())
      yield* settle
      expect((yield* ref.ask("Status")).state).toBe("halfOpen")
      yield* Deferred.succeed(second.end, "well")
      yield* settle
      expect((yield* ref.ask("Status")).state).toBe("closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("time for probes runs from the first of them: one that begins later has less", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, probes: 2, probeTimeout: "8 seconds" })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      yield* Effect.flip(svc.call("k")(down))
      yield* TestClock.adjust("10 seconds")
      yield* held(svc.call("k"))
      yield* TestClock.adjust("7 seconds")
      yield* held(svc.call("k"))
      expect(yield* ref.ask("Status")).toMatchObject({ state: "halfOpen", due: 18_000 })
      yield* TestClock.adjust("1 second")
      expect((yield* ref.ask("Status")).state).toBe("open")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a call that was let in by a former life of the actor counts nothing in this one", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, openFor: 1000 })
      yield* ActorSystem.host(svc.behavior)
      const half = Effect.gen(function* () {
        yield* Effect.exit(svc.call("k")(Effect.die("down")))
        yield* TestClock.adjust(1000)
      })
      yield* half
      const probe = yield* held(svc.call("k"))
      yield* svc.at("k").stop()
      yield* half
      yield* Deferred.succeed(probe.end, "well")
      yield* settle
      expect(yield* svc.at("k").ask("Status")).toMatchObject({ state: "halfOpen" })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an isFailure that throws is the caller's defect: it counts nothing, and gives the place back", () =>
    Effect.gen(function* () {
      const isFailure = (error: unknown) => {
        if (error instanceof NotFound) throw new Error("bug")
        return true
      }
      const svc = Breaker.make("Svc", { window: 1, isFailure })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      yield* Effect.flip(svc.call("k")(down))
      yield* TestClock.adjust("10 seconds")
      const exit = yield* Effect.exit(svc.call("k")(Effect.fail(new NotFound())))
      expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
      expect(yield* ref.ask("Status")).toMatchObject({ state: "halfOpen", due: undefined })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("guards asks: a handler that calls through it, and whose asker gives up, counts nothing", () =>
    Effect.gen(function* () {
      const Back = Actor.make("Back", {
        state: Schema.Void,
        protocol: [Rpc.make("Work", { success: Schema.Int, error: Down })]
      })
      const Front = Actor.make("Front", {
        state: Schema.Void,
        protocol: [Rpc.make("Go", { success: Schema.Int })]
      })
      let hangs = true
      const back = yield* ActorSystem.spawn(
        Back.behavior({ initial: undefined, on: { Work: () => (hangs ? Effect.never : Effect.fail(new Down())) } }),
        "b"
      )
      const svc = Breaker.make("Svc", { window: 1 })
      yield* ActorSystem.host(svc.behavior)
      const front = yield* ActorSystem.spawn(
        Front.behavior({
          initial: undefined,
          on: { Go: () => Effect.orDie(Effect.map(back.ask("Work").pipe(svc.call("b")), (n) => Actor.reply(n))) }
        }),
        "f"
      )
      const asking = yield* Effect.forkChild(front.ask("Go"))
      yield* settle
      yield* Fiber.interrupt(asking)
      expect(yield* svc.at("b").ask("Status")).toMatchObject({ state: "closed", calls: 1, failures: 0 })
      hangs = false
      expect((yield* Effect.flip(front.ask("Go")))._tag).toBe("CalleeFailed")
      expect((yield* svc.at("b").ask("Status")).state).toBe("open")
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([]))))
  )

  it.effect("keys have circuits of their own; without an actor a call fails as an ask does, and does not run", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "a")
      yield* ActorSystem.spawn(svc.behavior, "b")
      yield* Effect.flip(svc.call("a")(down))
      expect((yield* Effect.flip(svc.call("a")(fine)))._tag).toBe("BreakerOpen")
      expect(yield* svc.call("b")(fine)).toBe("fine")
      const calling = yield* held(svc.call("b"))
      expect((yield* Effect.flip(svc.call("c")(Effect.die("ran"))))._tag).toBe("NoSuchActor")
      yield* ref.stop()
      expect((yield* Effect.flip(svc.call("a")(Effect.die("ran"))))._tag).toBe("NoSuchActor")
      yield* svc.at("b").stop()
      yield* Deferred.succeed(calling.end, "well") // nobody is left to tell
      expect(yield* Fiber.join(calling.fiber)).toEqual(Exit.succeed("well"))
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("2,000 calls that end together are counted all of them", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 1, rate: 1 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const all = Effect.forEach(Array.from({ length: 2000 }), () => fine.pipe(svc.call("k")), { concurrency: 2000 })
      expect((yield* all).every((answer) => answer === "fine")).toBe(true)
      expect(yield* ref.ask("Status")).toMatchObject({ state: "closed", calls: 2000 })
      expect((yield* ActorSystem).snapshot().deadLetters).toEqual({})
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("whoever listens hears how it stands, and each change of state", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 2 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const heard: Array<string> = []
      const listen = Stream.runForEach(ref.ask("Changes"), ({ due, state }) =>
        Effect.sync(() => void heard.push(due === undefined ? state : `${state} until ${due}`))
      )
      yield* Effect.forkChild(listen)
      yield* settle
      for (let i = 0; i < 2; i++) yield* Effect.flip(svc.call("k")(down))
      yield* TestClock.adjust("10 seconds")
      yield* svc.call("k")(fine)
      yield* settle
      expect(heard).toEqual(["closed", "open until 10000", "halfOpen", "closed"])
      expect(yield* Stream.runHead(ref.ask("Changes"))).toMatchObject({ value: { state: "closed" } })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("makes no actor of XState for a step: the machine's first state is made with the breaker", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc")
      const begun = vi.spyOn(svc.machine, "getInitialSnapshot")
      yield* ActorSystem.spawn(svc.behavior, "k")
      for (let i = 0; i < 3; i++) yield* svc.call("k")(fine)
      expect(begun).not.toHaveBeenCalled()
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("while it is open it says how many failures of how many calls opened it, those of its probes too", () =>
    Effect.gen(function* () {
      const svc = Breaker.make("Svc", { window: 4, rate: 0.75, openFor: 1000, maxOpenFor: 1000, probes: 3 })
      const ref = yield* ActorSystem.spawn(svc.behavior, "k")
      const call = svc.call("k")
      const opened: Array<readonly [number, number]> = []
      const listen = Stream.runForEach(ref.ask("Changes"), ({ counted, failures, state }) =>
        Effect.sync(() => void (state === "open" && opened.push([failures, counted])))
      )
      yield* Effect.forkChild(listen)
      const stands = Effect.map(ref.ask("Status"), ({ counted, failures, state }) => [state, failures, counted])
      yield* Effect.flip(call(down))
      yield* call(fine)
      expect(yield* stands).toEqual(["closed", 1, 2])
      yield* Effect.flip(call(down))
      yield* Effect.flip(call(down))
      expect(yield* stands).toEqual(["open", 3, 4])
      yield* TestClock.adjust(1000)
      expect(yield* stands).toEqual(["halfOpen", 0, 0])
      yield* call(fine)
      expect(yield* stands).toEqual(["halfOpen", 0, 1])
      yield* Effect.flip(call(down))
      expect(yield* stands).toEqual(["open", 1, 2])
      yield* TestClock.adjust(1000)
      yield* call(fine)
      yield* held(call)
      yield* held(call)
      yield* TestClock.adjust("30 seconds")
      expect(opened).toEqual([
        [3, 4],
        [1, 2],
        [2, 3]
      ])
      yield* TestClock.adjust(1000)
      for (let i = 0; i < 3; i++) yield* call(fine)
      expect(yield* stands).toEqual(["closed", 0, 0])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("opens exactly when the last `window` calls, at least `atLeast`, none older than `within`, failed at `rate`", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }).chain((window) =>
          fc.record({
            window: fc.constant(window),
            atLeast: fc.integer({ min: 1, max: window }),
            rate: fc.constantFrom(0.25, 0.5, 0.75, 1),
            within: fc.constantFrom("infinity" as const, 40)
          })
        ),
        fc.array(fc.record({ after: fc.nat(20), failed: fc.boolean() }), { maxLength: 30 }),
        (options, calls) => {
          const { machine } = Breaker.make("Svc", options)
          let snapshot = machine.resolveState({ value: "closed", context: Breaker.initial })
          const seen: Array<{ at: number; failed: boolean }> = []
          let at = 0
          for (const { after, failed } of calls) {
            at += after
            seen.push({ at, failed })
            const event = { type: "ENDED", at, epoch: 0, outcome: failed ? "failed" : "ok" } as const
            snapshot = transition(machine, snapshot, event)[0]
            const since = options.within === "infinity" ? -1 : at - options.within
            const last = seen.slice(-options.window).filter((each) => each.at > since)
            const failures = last.filter((each) => each.failed).length
            const opens = failed && last.length >= options.atLeast && failures >= options.rate * last.length
            expect(snapshot.value).toBe(opens ? "open" : "closed")
            if (opens) return
          }
        }
      )
    ))

  it.each([
    [{ window: 0 }, "Svc.window"],
    [{ window: 1001 }, "Svc.window"],
    [{ atLeast: 6 }, "Svc.atLeast"],
    [{ rate: 0 }, "Svc.rate"],
    [{ rate: 1.1 }, "Svc.rate"],
    [{ within: 0 }, "Svc.within"],
    [{ openFor: -1 }, "Svc.openFor"],
    [{ openFor: Duration.infinity }, "Svc.openFor"],
    [{ maxOpenFor: "infinity" }, "Svc.maxOpenFor"],
    [{ probeTimeout: Duration.infinity }, "Svc.probeTimeout"],
    [{ openFor: "1 hour", maxOpenFor: "1 minute" }, "Svc.maxOpenFor"],
    [{ probes: 0 }, "Svc.probes"],
    [{ probeTimeout: 0 }, "Svc.probeTimeout"],
    [{ slowAfter: 0 }, "Svc.slowAfter"],
    [{ isFailure: true }, "Svc.isFailure"],
    [{ windows: 3 }, "Svc.windows"]
  ])("refuses %j by name when it is made", (options, field) => {
    let refused: unknown
    try {
      Breaker.make("Svc", options as unknown as Breaker.BreakerOptions)
    } catch (error) {
      refused = error
    }
    expect(refused).toBeInstanceOf(InvalidOption)
    expect((refused as InvalidOption).field).toBe(field)
  })
})

const walked = Breaker.make("Svc", { window: 2, probes: 2 })
type Machine = typeof walked.machine
type Snapshot = ReturnType<Machine["resolveState"]>
type Step = Parameters<typeof transition<Machine>>[2]

/** What can happen in a state: what is under way can end, and so can a call of an epoch that is over. */
const possible = ({ context, value }: Snapshot): ReadonlyArray<Step> => {
  const { due, epoch, probing } = context
  const ended = (["ok", "failed", "ignored"] as const).map(
    (outcome) => ({ type: "ENDED", at: 0, epoch, outcome }) as const
  )
  return [
    { type: "CALL", at: 0 },
    ...(due === undefined ? [] : [{ type: "DUE", at: 0 } as const]),
    ...(value === "closed" || probing > 0 ? ended : []),
    ...(epoch === 0 ? [] : [{ type: "ENDED", at: 0, epoch: 0, outcome: "failed" } as const])
  ]
}
/** What tells states apart, counters without end aside. */
const essence = ({ context, value }: { value: unknown; context: Snapshot["context"] }, first = 0): string => {
  const { epoch, openings, passed, probing, recent } = context
  return JSON.stringify([
    value,
    recent.map(({ failed }) => failed),
    Math.min(openings, 1),
    probing,
    passed,
    epoch > first
  ])
}
const serializeState = (snapshot: Snapshot) => essence(snapshot)
const traversal = { serializeState: serializeState as never, serializeEvent: JSON.stringify, events: possible as never }
const stepsOf = (path: { readonly steps: ReadonlyArray<{ readonly event: unknown }> }) =>
  path.steps.map(({ event }) => event as Step).filter(({ type }) => !String(type).startsWith("xstate."))
const simple = getSimplePaths(walked.machine, traversal).map(stepsOf)
const shortest = getShortestPaths(walked.machine, traversal).flatMap((path) =>
  possible(path.state as Snapshot).map((event) => [...stepsOf(path), event])
)

/** Makes the steps happen to a real breaker, and looks whether it stands as the machine does after each. */
const walk = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    yield* ActorSystem.spawn(walked.behavior, "k")
    const call = walked.call("k")
    yield* settle
    const first = stateOf(host).context.epoch
    const old = yield* Effect.forEach(steps, () => held(call)) // of the first epoch, for those that end late
    const running: Array<Held> = []
    let model: Snapshot = walked.machine.resolveState({ value: "closed", context: Breaker.initial })
    for (const step of steps) {
      const before = model
      model = transition(walked.machine, before, { ...step })[0]
      if (step.type === "CALL") {
        const calling = yield* held(call)
        expect(calling.begun()).toBe(model.context.calls > before.context.calls)
        if (calling.begun() && before.value === "halfOpen") running.push(calling)
      } else if (step.type === "DUE") {
        const { due = 0 } = yield* walked.at("k").ask("Status")
        yield* TestClock.setTime(due)
      } else {
        const late = step.epoch !== before.context.epoch
        const ending = late ? old.pop()! : before.value === "closed" ? yield* held(call) : running.pop()!
        if (step.outcome === "ok") yield* Deferred.succeed(ending.end, "ok")
        else if (step.outcome === "failed") yield* Deferred.fail(ending.end, new Down())
        else yield* Fiber.interrupt(ending.fiber)
      }
      if (model.value !== before.value) running.length = 0
      yield* settle
      expect([step, essence(stateOf(host), first)]).toEqual([step, essence(model)])
    }
  }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, TestClock.layer())), Effect.scoped)
const stateOf = (host: Host): Snapshot => {
  for (const cell of host.system.cells()) if (cell.program.plan.protocol.type === "Svc") return cell.state as Snapshot
  throw new Error("it has ended")
}

describe("The breaker's machine, walked by real calls", () => {
  it("has paths that visit every state and every event", () => {
    const values = new Set<unknown>()
    for (const steps of simple) {
      let at = walked.machine.resolveState({ value: "closed", context: Breaker.initial })
      for (const step of steps) values.add((at = transition(walked.machine, at, step)[0]).value)
    }
    expect(values).toEqual(new Set(["closed", "open", "halfOpen"]))
    expect(new Set(simple.flat().map(({ type }) => type))).toEqual(new Set(["CALL", "DUE", "ENDED"]))
    expect(simple.length).toBeGreaterThan(100)
  })

  it("stands as the machine does on every path to every state", () =>
    Effect.runPromise(Effect.forEach(simple, walk, { discard: true })))

  it("and after every event in every state", () => Effect.runPromise(Effect.forEach(shortest, walk, { discard: true })))
})
