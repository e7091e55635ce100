import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { TestProbe, TestSystem } from "troupe/testkit"
import { expectTypeOf } from "vitest"
import { run, scripted } from "../actor/Scripted.ts"

class Nope extends Schema.TaggedError<Nope>()("Nope", {}) {}

const Desk = Actor.make("Desk", {
  state: Schema.Struct({}),
  protocol: [
    Rpc.make("File", { payload: { id: Schema.Int } }),
    Rpc.make("Find", { payload: { id: Schema.Int }, success: Schema.String, error: Nope }),
    Rpc.make("Ping")
  ]
})

/** What a failed expectation says. */
const said = <A, E, R>(expectation: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.exit(expectation), (exit) => (Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded"))

const now = Effect.flatMap(Clock.Clock, (clock) => clock.currentTimeMillis)

const Wire = Actor.make("Wire", {
  state: Schema.Struct({}),
  protocol: [
    Rpc.make("Tail", { payload: { from: Schema.Int }, success: Schema.String, error: Nope, stream: true }),
    Rpc.make("Ping")
  ]
})

describe("TestProbe", () => {
  it.effect("answers an ask for a stream with a Stream, or ends it with an error", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Wire)
      const tail = yield* Effect.forkChild(Stream.runCollect(probe.ref.ask("Tail", { from: 3 })))
      expect(yield* probe.expect("Tail")).toEqual({ from: 3 })
      yield* probe.reply(Stream.make("three", "four"))
      expect(yield* Fiber.join(tail)).toEqual(["three", "four"])

      const failing = yield* Effect.forkChild(Effect.flip(Stream.runDrain(probe.ref.ask("Tail", { from: 0 }))))
      yield* probe.expect("Tail")
      yield* probe.fail(new Nope())
      expect(yield* Fiber.join(failing)).toEqual(new Nope())
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a tell of a stream Rpc, and one whose consumer has left, have nobody to answer", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Wire)
      yield* probe.ref.tell("Tail", { from: 1 })
      yield* probe.expect("Tail")
      expect(yield* said(probe.reply(Stream.empty))).toContain("expected an ask to answer; came: none expected")

      const leaving = yield* Effect.forkChild(Stream.runDrain(probe.ref.ask("Tail", { from: 2 })))
      yield* probe.expect("Tail")
      yield* Fiber.interrupt(leaving)
      yield* probe.expectNone()
      expect(yield* said(probe.reply(Stream.empty))).toContain("asker gone")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("expects messages in the order they came, with typed payloads", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      yield* probe.ref.tell("File", { id: 1 })
      yield* probe.ref.tell("Ping")
      yield* probe.ref.tell("File", { id: 2 })
      const payload = yield* probe.expect("File")
      expectTypeOf(payload).toEqualTypeOf<{ readonly id: number }>()
      expect(payload).toEqual({ id: 1 })
      yield* probe.expectMessage("Ping")
      yield* probe.expectMessage("File", { id: 2 })
      yield* probe.expectNone()
      expect(probe.messages.map(({ tag }) => tag)).toEqual(["File", "Ping", "File"])
      // @ts-expect-error: no message of its protocol
      expect(yield* said(Effect.suspend(() => probe.expect("Fly")))).toContain("expected")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a failed expectation says what was expected, what came, all messages and the tree", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk, "front")
      yield* probe.ref.tell("Ping")
      yield* probe.ref.tell("File", { id: 7 })
      yield* probe.expect("Ping")
      const text = yield* said(probe.expect("Find"))
      expect(text).toContain('Desk/front expected "Find"; came: "File" { id: 7 }')
      expect(text).toContain('expected "Ping"')
      expect(text).toContain("Desk/front [active #1] accepted 2")
      expect(yield* said(probe.expectMessage("File", { id: 8 }))).toContain('expected "File" { id: 8 }; came: "File"')
      expect(yield* said(probe.expectNone())).toContain('expected no message; came: "File" { id: 7 }')
      // what failed took nothing
      yield* probe.expectMessage("File", { id: 7 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("answers the ask that was expected last, once: a value or a typed error", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const first = yield* Effect.forkChild(probe.ref.ask("Find", { id: 1 }))
      yield* probe.expect("Find")
      yield* probe.reply("here")
      expect(yield* Fiber.join(first)).toBe("here")
      expect(yield* said(probe.reply("again"))).toContain("expected an ask to answer; came: none expected")
      const second = yield* Effect.forkChild(Effect.flip(probe.ref.ask("Find", { id: 2 })))
      yield* probe.expect("Find")
      yield* probe.fail(new Nope())
      expect(yield* Fiber.join(second)).toBeInstanceOf(Nope)
      const third = yield* Effect.forkChild(probe.ref.ask("Find", { id: 3 }))
      yield* probe.expect("Find")
      yield* Fiber.interrupt(third)
      expect(yield* said(probe.reply("late"))).toContain("asker gone")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("takes the place of a hosted actor by its key, and of a child's parent by its ref", () =>
    Effect.gen(function* () {
      yield* ActorSystem.host(
        Desk.behavior({ initial: {}, on: { File: (s) => s, Find: () => Actor.reply(""), Ping: (s) => s } })
      )
      const probe = yield* TestProbe.make(Desk, "front")
      yield* Desk.at("front").tell("Ping")
      yield* probe.expect("Ping")
      expect(yield* Effect.flip(TestProbe.make(Desk, "front"))).toMatchObject({ _tag: "NameTaken" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("deaths", () => {
  it.effect("expectTerminated waits for the end of an actor, and for its reason", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      yield* probe.watch(ref as ActorRef<never>)
      yield* run(ref, (self) => self.stop({ mode: "drain" })).pipe(Effect.ignore)
      expect(yield* probe.expectTerminated(ref as ActorRef<never>, "drained")).toEqual({ _tag: "drained" })
      const other = yield* ActorSystem.spawn(scripted().behavior, "b")
      expect(yield* said(probe.expectTerminated(other as ActorRef<never>))).toContain("expected the end of S/b")
      yield* other.stop()
      expect(yield* said(probe.expectTerminated(other as ActorRef<never>, "killed"))).toContain(
        "came: { _tag: 'normal' }"
      )
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an actor that was dead before is expected too, and a death is no message", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      yield* probe.expectTerminated(Desk.at("nobody") as ActorRef<never>, "noSuchActor")
      yield* probe.expectNone("1 minute")
      expect(probe.messages).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("under a test clock", () => {
  const later = Effect.gen(function* () {
    const probe = yield* TestProbe.make(Desk)
    const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
    yield* run(ref, (self) => {
      self.fork(Effect.andThen(Effect.sleep("2 seconds"), probe.ref.tell("Ping")), { onFailure: "log" })
    }).pipe(Effect.orDie)
    return probe
  })

  it.effect("an expectation alone moves no time: it fails once the system rests", () =>
    Effect.gen(function* () {
      const probe = yield* later
      expect(yield* said(probe.expect("Ping"))).toContain("a test clock stands still outside of `within`")
      expect(yield* now).toBe(0)
      yield* TestClock.adjust("2 seconds")
      yield* probe.expect("Ping")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("within moves the clock until the expectation is met, no further than a thousandth beyond", () =>
    Effect.gen(function* () {
      const probe = yield* later
      yield* probe.within("10 seconds", probe.expect("Ping"))
      expect(yield* now).toBe(2000)
      expect(yield* said(probe.within("1 second", probe.expect("Ping")))).toContain("came: nothing for 1000 ms")
      expect(yield* now).toBe(3000)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("the inner of two withins ends first; one whose effect takes longer fails", () =>
    Effect.gen(function* () {
      const probe = yield* later
      const inner = probe.within("1 second", probe.expect("Ping"))
      expect(yield* said(probe.within("10 seconds", inner))).toContain("nothing for 1000 ms")
      expect(yield* said(probe.within("1 second", TestClock.adjust("3 seconds")))).toContain("within 1000 ms")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("expectNone lets its duration pass, and fails for what comes meanwhile", () =>
    Effect.gen(function* () {
      const probe = yield* later
      yield* probe.expectNone("1999 millis")
      expect(yield* now).toBe(1999)
      expect(yield* said(probe.expectNone("1 second"))).toContain('expected no message for 1000 ms; came: "Ping"')
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("waits for a handler that is under way outside of virtual time", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const soon = Effect.promise(() => new Promise((resolve) => void setImmediate(resolve)))
      yield* ref.tell("Run", () => Effect.andThen(soon, probe.ref.tell("Ping")))
      yield* probe.expect("Ping")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("works the same in a seeded system", () =>
    Effect.gen(function* () {
      const probe = yield* later
      yield* probe.within("10 seconds", probe.expect("Ping"))
      expect(yield* now).toBe(2000)
    }).pipe(Effect.provide(TestSystem.seeded(7)))
  )
})

describe("under the live clock", () => {
  it.live("an expectation is met as soon as the message comes, and given up after within", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      yield* Effect.forkChild(Effect.andThen(Effect.sleep(5), probe.ref.tell("Ping")))
      yield* probe.expect("Ping")
      expect(yield* said(probe.within(20, probe.expect("Ping")))).toMatch(/expected "Ping"; came: nothing for \d+ ms/)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.live("expectNone lets real time pass, and fails at once for what comes", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      yield* probe.expectNone(10)
      yield* Effect.forkChild(Effect.andThen(Effect.sleep(5), probe.ref.tell("Ping")))
      expect(yield* said(probe.expectNone("1 hour"))).toContain('came: "Ping"')
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.live("a death is waited for, too", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Desk)
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      yield* ref.tell("Run", (self: { stop(): void }) => Effect.map(Effect.sleep(5), () => self.stop()))
      yield* probe.expectTerminated(ref as ActorRef<never>, "normal")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
