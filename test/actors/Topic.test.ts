import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { Actor, type ActorRef, ActorSystem, type Host, InvalidOption, InvalidUse, Supervisor } from "troupe"
import { Topic } from "troupe/actors"
import { TestProbe, TestSystem, waitUntil } from "troupe/testkit"

const settle = TestClock.adjust(0)
const news = Topic.make("News", Schema.Int, { retain: 3 })
const plain = Topic.make("Plain", Schema.Int, { maxSubscribers: 3 })
const Reader = Actor.make("Reader", {
  state: Schema.Array(Schema.Struct({ seq: Schema.Int, missed: Schema.Int, value: Schema.Int })),
  protocol: [
    Rpc.make("News", { payload: news.message }),
    Rpc.make("Lost", { payload: Topic.Lost }),
    Rpc.make("Nap"),
    Rpc.make("Heard", { success: Schema.Array(Schema.Int) })
  ]
})
/** Keeps what it hears; naps until it is woken, a mailbox of two before its door. */
const sleeper = () => {
  let wake = () => {}
  const told: Array<string> = []
  const behavior = Reader.behavior({
    mailbox: { capacity: 2 },
    initial: [],
    on: {
      News: (state, message) => {
        told.push(`${message.value} (missed ${message.missed})`)
        return [...state, message]
      },
      Lost: (state, { address, seq }) => {
        told.push(`${address} lost from ${seq}`)
        return state
      },
      Nap: (state) => Effect.callback<typeof state>((resume) => void (wake = () => resume(Effect.succeed(state)))),
      Heard: (state) => Actor.reply(state.map(({ value }) => value))
    }
  })
  return { behavior, told, wake: () => wake() }
}
const listed = (topic: typeof plain) => topic.at("k").ask("Subscribers")

describe("Topic", () => {
  it.effect("tells each value to all, in one order, and its publisher how many took it", () =>
    Effect.gen(function* () {
      yield* ActorSystem.spawn(plain.behavior, "k")
      const probes = yield* Effect.forEach(["a", "b"], (key) => TestProbe.make(Reader, key))
      for (const { ref } of probes) yield* plain.subscribe("k", ref, "News")
      expect(yield* plain.publish("k", 7)).toEqual({ reached: 2, missed: 0 })
      yield* plain.publish("k", 8)
      for (const probe of probes) {
        yield* probe.expectMessage("News", { seq: 1, missed: 0, value: 7 })
        yield* probe.expectMessage("News", { seq: 2, missed: 0, value: 8 })
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("who comes later is told what is retained first, then what follows, nothing twice or left out", () =>
    Effect.gen(function* () {
      yield* ActorSystem.host(news.behavior)
      for (const value of [1, 2, 3, 4, 5]) expect(yield* news.publish("k", value)).toEqual({ reached: 0, missed: 0 })
      const probe = yield* TestProbe.make(Reader)
      yield* news.subscribe("k", probe.ref, "News")
      yield* news.publish("k", 6)
      for (const value of [3, 4, 5, 6]) yield* probe.expectMessage("News", { seq: value, missed: 0, value })
      // again: no replay
      yield* news.subscribe("k", probe.ref, "News")
      yield* news.publish("k", 7)
      yield* probe.expectMessage("News", { seq: 7, missed: 0, value: 7 })
      yield* probe.expectNone()
      // without anything retained: from now on
      yield* ActorSystem.spawn(plain.behavior, "k")
      yield* plain.publish("k", 1)
      yield* plain.subscribe("k", probe.ref, "News")
      yield* plain.publish("k", 2)
      yield* probe.expectMessage("News", { seq: 2, missed: 0, value: 2 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that is full slows nobody, and is told with the next value how many it missed", () =>
    Effect.gen(function* () {
      const { behavior, told, wake } = sleeper()
      const slow = yield* ActorSystem.spawn(behavior, "slow")
      const quick = yield* TestProbe.make(Reader, "quick")
      yield* ActorSystem.spawn(plain.behavior, "k")
      for (const ref of [slow, quick.ref]) yield* plain.subscribe("k", ref, "News")
      yield* slow.tell("Nap")
      yield* settle
      const answers = yield* Effect.forEach([1, 2, 3, 4, 5], (value) => plain.publish("k", value))
      expect(answers.map((answer) => answer.reached)).toEqual([2, 2, 1, 1, 1])
      expect(answers.map((answer) => answer.missed)).toEqual([0, 0, 1, 1, 1])
      for (const value of [1, 2, 3, 4, 5]) yield* quick.expectMessage("News", { seq: value, missed: 0, value })
      // not told yet, and missed all the same
      expect((yield* listed(plain)).map(({ missed }) => missed)).toEqual([3, 0])
      wake()
      yield* waitUntil(() => told.length === 2, "it has read what waited")
      yield* plain.publish("k", 6)
      yield* plain.publish("k", 7)
      yield* waitUntil(() => told.length === 4, "it has read the rest")
      expect(told).toEqual(["1 (missed 0)", "2 (missed 0)", "6 (missed 3)", "7 (missed 0)"])
      expect(yield* listed(plain)).toEqual([
        { name: "Reader/slow", missed: 3 },
        { name: "Reader/quick", missed: 0 }
      ])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that wants to miss nothing is let go when it is full, and told so when it has room", () =>
    Effect.gen(function* () {
      const { behavior, told, wake } = sleeper()
      const slow = yield* ActorSystem.spawn(behavior, "slow")
      yield* ActorSystem.spawn(plain.behavior, "k")
      yield* plain.subscribe("k", slow, "News", { lagged: "Lost" })
      yield* slow.tell("Nap")
      yield* settle
      for (const value of [1, 2]) yield* plain.publish("k", value)
      expect(yield* plain.publish("k", 3)).toEqual({ reached: 0, missed: 1 })
      expect(yield* plain.publish("k", 4)).toEqual({ reached: 0, missed: 0 })
      yield* TestClock.adjust("1 second")
      expect(told).toEqual([])
      wake()
      yield* TestClock.adjust("1 second")
      expect(told).toEqual(["1 (missed 0)", "2 (missed 0)", "Plain/k lost from 3"])
      expect(yield* listed(plain)).toEqual([])
      // nothing of it is left: neither the watch nor the fiber
      expect(slow.cell?.extra?.watchers?.size ?? 0).toBe(0)
      yield* plain.subscribe("k", slow, "News", { lagged: "Lost" })
      yield* plain.publish("k", 5)
      yield* waitUntil(() => told.length === 4, "it is told again")
      expect(told[3]).toBe("5 (missed 0)")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that subscribes again before it was told that it was let go stays, and hears how much it missed", () =>
    Effect.gen(function* () {
      const { behavior, told, wake } = sleeper()
      const slow = yield* ActorSystem.spawn(behavior, "slow")
      yield* ActorSystem.spawn(plain.behavior, "k")
      yield* plain.subscribe("k", slow, "News", { lagged: "Lost" })
      yield* slow.tell("Nap")
      yield* settle
      for (const value of [1, 2, 3, 4]) yield* plain.publish("k", value)
      yield* plain.subscribe("k", slow, "News", { lagged: "Lost" })
      wake()
      yield* waitUntil(() => told.length === 2, "it has read what waited")
      yield* plain.publish("k", 5)
      yield* TestClock.adjust("1 second")
      expect(told).toEqual(["1 (missed 0)", "2 (missed 0)", "5 (missed 2)"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that dies is dropped, also while it is being told that it was let go; one that leaves, too", () =>
    Effect.gen(function* () {
      const { behavior } = sleeper()
      const refs = yield* Effect.forEach(["a", "b", "c"], (key) => ActorSystem.spawn(behavior, key))
      yield* ActorSystem.spawn(plain.behavior, "k")
      for (const ref of refs) yield* plain.subscribe("k", ref, "News", { lagged: "Lost" })
      const [a, b, c] = refs as [(typeof refs)[0], (typeof refs)[0], (typeof refs)[0]]
      yield* b.tell("Nap")
      yield* settle
      for (const value of [1, 2, 3]) {
        yield* plain.publish("k", value)
        yield* settle
      }
      yield* a.stop()
      yield* b.stop({ mode: "kill" })
      expect([yield* plain.unsubscribe("k", c), yield* plain.unsubscribe("k", c)]).toEqual([true, false])
      yield* settle
      expect(yield* listed(plain)).toEqual([])
      expect(c.cell?.extra?.watchers?.size ?? 0).toBe(0)
      expect(yield* plain.publish("k", 4)).toEqual({ reached: 0, missed: 0 })
      yield* TestClock.adjust("1 second")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a restarted subscriber goes on", () =>
    Effect.gen(function* () {
      const heard: Array<number> = []
      const behavior = Reader.behavior({
        initial: [],
        on: {
          News: (state, { value }) => {
            if (value < 0) throw new Error("asked to")
            heard.push(value)
            return state
          },
          Lost: (state) => state,
          Nap: (state) => state,
          Heard: () => Actor.reply([])
        }
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      yield* ActorSystem.spawn(plain.behavior, "k")
      yield* plain.subscribe("k", ref, "News")
      for (const value of [1, -1, 2]) yield* plain.publish("k", value)
      yield* TestClock.adjust("10 seconds")
      expect(heard).toEqual([1, 2])
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([]))))
  )

  it.effect(
    "takes maxSubscribers, actors and Streams together; one more is refused, and has room when one has gone",
    () =>
      Effect.gen(function* () {
        const topic = yield* ActorSystem.spawn(plain.behavior, "k")
        const probes = yield* Effect.forEach(["a", "b", "c"], (key) => TestProbe.make(Reader, key))
        const [a, b, c] = probes as [(typeof probes)[0], (typeof probes)[0], (typeof probes)[0]]
        for (const { ref } of [a, b]) yield* plain.subscribe("k", ref, "News")
        const listening = yield* Effect.forkChild(Stream.runDrain(plain.stream("k")))
        yield* waitUntil(() => count(topic) === 1, "the Stream is there")
        const refused = yield* Effect.flip(plain.subscribe("k", c.ref, "News"))
        expect(refused).toMatchObject({ _tag: "LimitReached", what: "Plain/k: subscribers", limit: 3 })
        expect((yield* Effect.flip(Stream.runDrain(plain.stream("k"))))._tag).toBe("LimitReached")
        yield* plain.subscribe("k", b.ref, "News") // is there already
        yield* Fiber.interrupt(listening)
        yield* waitUntil(() => count(topic) === 0, "the Stream has gone")
        yield* plain.subscribe("k", c.ref, "News")
        expect(yield* plain.publish("k", 1)).toEqual({ reached: 3, missed: 0 })
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "a Stream hears what is retained and what follows; it misses values when its buffer is full, and is told",
    () =>
      Effect.gen(function* () {
        const topic = yield* ActorSystem.spawn(news.behavior, "k")
        for (const value of [1, 2, 3, 4]) yield* news.publish("k", value)
        const heard: Array<number> = []
        let missedInAll = 0
        let open = false
        const reading = yield* Effect.forkChild(
          Stream.runForEach(news.stream("k", { buffer: 3 }), (told) =>
            Effect.gen(function* () {
              heard.push(told.seq)
              missedInAll += told.missed
              if (told.seq === 4) yield* Effect.callback<void>((resume) => void (wake = () => resume(Effect.void)))
            })
          )
        )
        let wake = () => {}
        yield* waitUntil(() => heard.length === 3, "it reads")
        for (let value = 5; value <= 200; value++) {
          yield* news.publish("k", value)
          if (value % 10 === 0) yield* settle
        }
        const [stream] = yield* listed(news)
        open = true
        wake()
        yield* waitUntil(() => count(topic) === 1 && heard.length > 3, "it reads on")
        yield* settle
        yield* news.publish("k", 201)
        yield* waitUntil(() => heard.at(-1) === 201, "it has heard the last")
        expect(heard.slice(0, 3)).toEqual([2, 3, 4])
        expect(heard).toEqual(heard.toSorted((x, y) => x - y))
        expect(heard.length + missedInAll).toBe(200)
        expect([open, missedInAll > 100, stream?.name]).toEqual([true, true, "a stream"])
        yield* Fiber.interrupt(reading)
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a Stream that wants to miss nothing fails with the first value that it has no room for", () =>
    Effect.gen(function* () {
      yield* ActorSystem.spawn(news.behavior, "k")
      let heard = 0
      let wake = () => {}
      const reading = yield* Effect.forkChild(
        Effect.exit(
          Stream.runForEach(news.stream("k", { buffer: 3, overflow: "fail" }), () =>
            ++heard === 1 ? Effect.callback<void>((resume) => void (wake = () => resume(Effect.void))) : Effect.void
          )
        )
      )
      yield* settle
      for (let value = 1; value <= 200; value++) {
        yield* news.publish("k", value)
        if (value % 10 === 0) yield* settle
      }
      wake()
      const exit = yield* Fiber.join(reading)
      const error = Exit.isFailure(exit) ? exit.cause.reasons.map((reason) => "error" in reason && reason.error)[0] : ""
      expect(error).toMatchObject({ _tag: "Lagged", address: "News/k", seq: heard + 1 })
      expect(heard).toBeLessThan(200)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("when it stops its Streams fail, and whoever watches it hears", () =>
    Effect.gen(function* () {
      const topic = yield* ActorSystem.spawn(plain.behavior, "k")
      const probe = yield* TestProbe.make(Reader)
      yield* plain.subscribe("k", probe.ref, "News")
      yield* probe.watch(topic)
      const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(plain.stream("k"))))
      yield* waitUntil(() => count(topic) === 1, "the Stream is there")
      yield* topic.stop()
      expect((yield* Fiber.join(reading))._tag).toBe("ActorStopped")
      yield* probe.expectTerminated(topic, "normal")
      expect((yield* Effect.flip(plain.publish("k", 1)))._tag).toBe("NoSuchActor")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a failure keeps who subscribes; who would be told by a message that it does not know is one", () =>
    Effect.gen(function* () {
      const bad = yield* ActorSystem.spawn(sleeper().behavior, "bad")
      yield* ActorSystem.spawn(plain.behavior, "k")
      const probe = yield* TestProbe.make(Reader)
      yield* plain.subscribe("k", probe.ref, "News")
      // past the check of `subscribe`
      const unknown = { ref: bad as never, tag: "Nothing", lagged: undefined }
      expect((yield* Effect.flip(plain.at("k").ask("Subscribe", unknown)))._tag).toBe("CalleeFailed")
      expect(yield* plain.publish("k", 1)).toEqual({ reached: 1, missed: 0 })
      yield* probe.expectMessage("News", { seq: 1, missed: 0, value: 1 })
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([]))))
  )

  it.effect(
    "a restart, a sibling's doing, keeps who subscribes, who is being let go, and what is retained; Streams end",
    () =>
      Effect.gen(function* () {
        const Other = Actor.make("Other", { state: Schema.Undefined, protocol: [Rpc.make("Fail")] })
        const other = Other.behavior({
          initial: undefined,
          on: {
            Fail: () => {
              throw new Error("asked to")
            }
          }
        })
        const children = [
          { id: "news", behavior: news.behavior },
          { id: "other", behavior: other }
        ]
        const tree = yield* ActorSystem.spawn(Supervisor.make("Tree", { strategy: "one_for_all", children }), "t")
        const [child] = yield* tree.ask("WhichChildren")
        const topic = child!.ref as unknown as ReturnType<typeof news.at>
        const probe = yield* TestProbe.make(Reader)
        const { behavior, told, wake } = sleeper()
        const slow = yield* ActorSystem.spawn(behavior, "slow")
        yield* topic.ask("Subscribe", { ref: probe.ref as never, tag: "News", lagged: undefined })
        yield* topic.ask("Subscribe", { ref: slow as never, tag: "News", lagged: "Lost" })
        const listening = topic.ask("Listen", { buffer: 64, fails: false })
        const reading = yield* Effect.forkChild(Effect.flip(Stream.runDrain(listening)))
        yield* slow.tell("Nap")
        yield* settle
        for (const value of [1, 2, 3]) yield* topic.ask("Publish", { value })
        yield* Other.at("other", tree).tell("Fail")
        yield* TestClock.adjust("1 second")
        expect((yield* Fiber.join(reading))._tag).toBe("CalleeFailed")
        expect(yield* topic.ask("Publish", { value: 4 })).toEqual({ reached: 1, missed: 0 })
        for (const value of [1, 2, 3, 4]) yield* probe.expectMessage("News", { seq: value, missed: 0, value })
        wake()
        yield* TestClock.adjust("1 second")
        expect(told.at(-1)).toBe("Tree/t/News/news lost from 3")
        const late = yield* TestProbe.make(Reader, "late")
        yield* topic.ask("Subscribe", { ref: late.ref as never, tag: "News", lagged: undefined })
        for (const value of [2, 3, 4]) yield* late.expectMessage("News", { seq: value, missed: 0, value })
        // who dies is dropped still
        yield* slow.stop()
        yield* settle
        expect((yield* topic.ask("Subscribers")).length).toBe(2)
      }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([]))))
  )

  it.effect("told = published: of any run each subscriber hears a part in order, and how many are left out", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom("publish", "nap", "wake", "subscribe"), { minLength: 5, maxLength: 60 }),
          fc.nat(),
          (steps, seed) => Effect.runPromise(run(steps, seed))
        ),
        { numRuns: 60 }
      )
    )
  )

  it("refuses options by name, and tags that the subscriber does not know", () => {
    const field = (make: () => unknown): unknown => {
      try {
        return make()
      } catch (error) {
        return error instanceof InvalidOption ? error.field : error
      }
    }
    const odd = { keep: 1 } as Topic.TopicOptions
    expect(field(() => Topic.make("T", Schema.Int, odd))).toBe("T.keep")
    expect(field(() => Topic.make("T", Schema.Int, { retain: -1 }))).toBe("T.retain")
    expect(field(() => Topic.make("T", Schema.Int, { retain: 1001 }))).toBe("T.retain")
    expect(field(() => Topic.make("T", Schema.Int, { maxSubscribers: 0 }))).toBe("T.maxSubscribers")
    expect(field(() => news.stream("k", { buffer: 2 }))).toBe("News.buffer") // less than it retains
    expect(field(() => news.stream("k", { overflow: "drop" as never }))).toBe("News.overflow")
    const reader = Reader.at("a")
    // @ts-expect-error not a message that takes what the topic tells
    expect(field(() => news.subscribe("k", reader, "Nap"))).not.toBeInstanceOf(Error)
    // @ts-expect-error no message of its protocol
    expect(field(() => news.subscribe("k", reader, "Nothing"))).toBeInstanceOf(InvalidUse)
    // @ts-expect-error nor this
    expect(field(() => news.subscribe("k", reader, "News", { lagged: "Nothing" }))).toBeInstanceOf(InvalidUse)
  })
})

/** Streams that are under way at an actor. */
const count = (ref: ActorRef<never>): number => ref.cell?.extra?.streams?.size ?? 0

const run = (steps: ReadonlyArray<string>, seed: number) =>
  Effect.gen(function* () {
    const { behavior, wake } = sleeper()
    const host: Host = yield* ActorSystem
    const slow = host.spawnUnsafe(behavior, "slow")
    yield* ActorSystem.spawn(plain.behavior, "k")
    yield* plain.subscribe("k", slow, "News")
    let published = 0
    for (const step of steps) {
      if (step === "publish") yield* plain.publish("k", ++published)
      else if (step === "nap") slow.tellUnsafe("Nap")
      else if (step === "wake") wake()
      else yield* plain.subscribe("k", slow, "News")
      if (step !== "publish") yield* settle
    }
    for (let i = 0; i < 4; i++) {
      wake()
      yield* settle
    }
    yield* plain.publish("k", ++published)
    yield* settle
    const heard = slow.cell!.state as ReadonlyArray<typeof news.message.Type>
    expect(heard.at(-1)?.seq).toBe(published)
    let last = 0
    for (const { missed: left, seq, value } of heard) {
      expect([seq, value]).toEqual([last + left + 1, seq])
      last = seq
    }
  }).pipe(Effect.provide(Layer.provideMerge(TestSystem.seeded(seed), TestClock.layer())))
