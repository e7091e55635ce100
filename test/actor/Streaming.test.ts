import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger, Option, Schema, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type CrashReport, type Self } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"

class Broken extends Schema.TaggedError<Broken>()("Broken", { at: Schema.Int }) {}
class Store extends Context.Service<Store, { readonly rows: Stream.Stream<number> }>()("test/Rows") {}

type State = { readonly n: number }
/** What a handler does about its message. */
type Script = (self: Me, state: State) => unknown

/** A payload that carries what is to be done. */
const Act = Schema.Any as Schema.Codec<Script, unknown> & { readonly "~type.make.in": Script }
const streamed = { payload: Act, success: Schema.Int, error: Broken, stream: true } as const
const Tail = Rpc.make("Tail", streamed)
const Sure = Rpc.make("Sure", streamed).annotate(Actor.Committed, true)
const Run = Rpc.make("Run", { payload: Act })
const Add = Rpc.make("Add", { payload: { by: Schema.Int } })
const Read = Rpc.make("Read", { success: Schema.Int })
/** A stream without a typed error. */
const Firm = Rpc.make("Firm", { payload: Act, success: Schema.Int, stream: true })
type P = typeof Tail | typeof Sure | typeof Run | typeof Add | typeof Read | typeof Firm
type Me = Self<P>
type Ref = ActorRef<P>

const protocol = [Tail, Sure, Run, Add, Read, Firm] as const
const Feed = Actor.make("Feed", { state: Schema.Struct({ n: Schema.Int }), protocol })
const play = (state: State, script: Script, self: Me) => script(self, state) as never
const on = {
  Tail: play,
  Sure: play,
  Firm: play,
  Run: play,
  Add: ({ n }: State, { by }: { readonly by: number }) => ({ n: n + by }),
  Read: ({ n }: State) => Actor.reply(n)
}
const options = { initial: { n: 0 }, supervision: { backoff: { min: 10, max: 10 } }, on } as const
const feed = Feed.behavior(options)

const quiet = Layer.provideMerge(TestSystem.layer, Logger.layer([]))
const spawn = (key = "a"): Effect.Effect<Ref, never, ActorSystem> => Effect.orDie(ActorSystem.spawn(feed, key))

/** What was decided about failures. */
const reports = Effect.gen(function* () {
  const found: Array<CrashReport> = []
  const { system } = yield* ActorSystem
  system.onFailure.add((report) => void found.push(report))
  return found
})

/** A producer that can be watched: numbers from 0, one a chunk, each after `pause`. */
class Source {
  produced = 0
  opened = 0
  closed = 0

  numbers(pause: Effect.Effect<unknown, Broken> = Effect.void): Stream.Stream<number, Broken> {
    return Stream.unwrap(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => ++this.opened),
          () => Effect.sync(() => ++this.closed)
        ),
        Stream.fromEffectRepeat(
          Effect.andThen(
            pause,
            Effect.sync(() => this.produced++)
          )
        )
      )
    )
  }

  /** It has ended, and all that it took was given back once. */
  get over(): boolean {
    return this.opened > 0 && this.opened === this.closed
  }
}

const tick = Effect.sleep(10)
const collect = <A, E>(stream: Stream.Stream<A, E>) => Effect.forkChild(Effect.exit(Stream.runCollect(stream)))
const tagOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? "success" : (Cause.squash(exit.cause) as { readonly _tag?: string })._tag

/** Runs a stream aside; `items` and `exit` tell how far it came. */
const consume = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const items: Array<A> = []
    const running = Stream.runForEach(stream, (item) => Effect.sync(() => void items.push(item)))
    const fiber = yield* Effect.forkChild(Effect.exit(running), { startImmediately: true })
    return { items, fiber, end: Effect.map(Fiber.join(fiber), tagOf) }
  })

describe("A handler of an Rpc with stream: true", () => {
  const answers: Record<string, Script> = {
    "a Stream": () => Stream.make(1, 2, 3),
    "a reply of one and the next state": () => Actor.reply(Stream.make(1, 2, 3), { n: 7 }),
    "an Effect of one": () => Effect.as(Effect.sleep(0), Stream.make(1, 2, 3)),
    "an Effect of a reply": () => Effect.succeed(Actor.reply(Stream.make(1, 2, 3), { n: 7 }))
  }
  it.effect.each(Object.entries(answers))("may answer with %s", ([what, script]) =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const all = yield* collect(ref.ask("Tail", script))
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(all)).toEqual(Exit.succeed([1, 2, 3]))
      expect(yield* ref.ask("Read")).toBe(what.includes("reply") ? 7 : 0)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("may be a generator, and its stream has the behaviour's services", () => {
    const counting = Feed.behavior({
      ...options,
      on: {
        ...on,
        *Tail() {
          const { rows } = yield* Store
          return Stream.concat(rows, Stream.unwrap(Effect.map(Effect.service(Store), (store) => store.rows)))
        }
      }
    })
    return Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(counting, "a")
      expect(yield* Stream.runCollect(ref.ask("Tail", () => undefined))).toEqual([4, 5, 4, 5])
    }).pipe(Effect.provideService(Store, { rows: Stream.make(4, 5) }), Effect.provide(quiet))
  })

  it.effect("a thousand elements in chunks of any size arrive in order", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      for (const size of [1, 3, 16, 17, 1000]) {
        const rows = Stream.rechunk(Stream.range(1, 1000), size)
        const all = yield* Stream.runCollect(ref.ask("Tail", () => rows))
        expect(all).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
      }
    }).pipe(Effect.provide(quiet))
  )

  it.effect("that answers without a Stream has failed, by name", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      for (const script of [() => ({ n: 1 }), () => Actor.reply(1), () => Effect.succeed(1)]) {
        expect(yield* Effect.flip(Stream.runDrain(ref.ask("Tail", script)))).toMatchObject({ _tag: "CalleeFailed" })
        yield* TestClock.adjust(10)
      }
      expect(found.map(({ error }) => Cause.squash(error.cause as Cause.Cause<unknown>))).toMatchObject(
        Array.from({ length: 3 }, () => ({ message: 'Feed/a: answers "Tail" (stream: true) without a Stream' }))
      )
      expect(yield* ref.ask("Read")).toBe(0)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("that fails with the Rpc's error has answered: the state is unchanged", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const exit = yield* Effect.exit(Stream.runCollect(ref.ask("Tail", () => Effect.fail(new Broken({ at: 1 })))))
      expect(exit).toEqual(Exit.fail(new Broken({ at: 1 })))
      expect((yield* ActorSystem).snapshot()).toMatchObject({ failed: 0, restarts: 0 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("of a tell has no stream run for it", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      yield* ref.tell("Tail", () => Actor.reply(source.numbers(), { n: 3 }))
      expect(yield* ref.ask("Read")).toBe(3)
      yield* TestClock.adjust(1000)
      expect(source.opened).toBe(0)
    }).pipe(Effect.provide(quiet))
  )
})

describe("A Stream reply", () => {
  it.effect("ends the turn: state and outputs are committed, and the next message is handled while it runs", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const source = new Source()
      const ref = yield* spawn()
      const other = yield* spawn("other")
      const { items, fiber } = yield* consume(
        ref.ask("Tail", (self) => {
          self.send(other, "Add", { by: 5 })
          return Actor.reply(source.numbers(tick), { n: 1 })
        })
      )
      expect(yield* ref.ask("Read")).toBe(1)
      expect(yield* other.ask("Read")).toBe(5)
      expect(items).toEqual([])
      // law 4: the message is finished, though its stream goes on
      expect(host.snapshot()).toMatchObject({ accepted: 4, finished: 4, running: 0, queued: 0 })
      yield* TestClock.adjust(30)
      expect(items).toEqual([0, 1, 2])
      yield* ref.tell("Add", { by: 1 })
      expect(yield* ref.ask("Read")).toBe(2)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("changes state only by messages, which leave at once", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const script: Script = (self) =>
        Stream.mapEffect(Stream.make(1, 2, 3), (by) =>
          Effect.as(
            Effect.sync(() => self.send(self.ref, "Add", { by })),
            by
          )
        )
      expect(yield* Stream.runCollect(ref.ask("Tail", script))).toEqual([1, 2, 3])
      expect(yield* ref.ask("Read")).toBe(6)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("is asked for anew by each run", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const numbers = ref.ask("Tail", (_, { n }) => Actor.reply(Stream.make(n), { n: n + 1 }))
      expect(yield* Stream.runCollect(Stream.concat(numbers, numbers))).toEqual([0, 1])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("is held up by a slow consumer: up to 16 are taken, 16 wait, one is at hand", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      let steps = 0
      const slow = Stream.runForEach(
        ref.ask("Tail", () => source.numbers()),
        () => Effect.sleep(steps++ === 0 ? 1000 : 1)
      )
      const fiber = yield* Effect.forkChild(slow)
      yield* TestClock.adjust(500)
      expect(source.produced).toBeGreaterThanOrEqual(18)
      expect(source.produced).toBeLessThanOrEqual(33)
      yield* TestClock.adjust(600)
      expect(source.produced).toBeGreaterThan(100)
      expect(source.produced).toBeLessThan(200)
      yield* Fiber.interrupt(fiber)
      yield* waitUntil(() => source.over, "the producer has ended")
    }).pipe(Effect.provide(quiet))
  )

  it.effect("ends when its consumer has enough: the producer is interrupted, its finalizers run once", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const five = Stream.take(
        ref.ask("Tail", () => source.numbers(tick)),
        5
      )
      // also where the whole goes on behind it
      const all = yield* consume(Stream.concat(five, Stream.never))
      yield* TestClock.adjust(50)
      expect(all.items).toEqual([0, 1, 2, 3, 4])
      yield* waitUntil(() => source.over, "the producer has ended")
      yield* TestClock.adjust(1000)
      expect(source).toMatchObject({ produced: 5, opened: 1, closed: 1 })
      expect(yield* ref.ask("Read")).toBe(0)
      yield* Fiber.interrupt(all.fiber)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("ends when its consumer is interrupted, also by a whole crowd of them", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const crowd = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        consume(ref.ask("Tail", () => source.numbers(tick)))
      )
      for (const { fiber } of crowd) {
        yield* TestClock.adjust(1)
        yield* Fiber.interrupt(fiber)
      }
      yield* waitUntil(() => source.over, "the producers have ended")
      expect(source).toMatchObject({ opened: 20, closed: 20 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("ends when its consumer is interrupted by the time the first element is on its way", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      let consumer = undefined as Fiber.Fiber<unknown> | undefined
      // in one step with the first element, whose delivery waits for the end of the step
      const step = Effect.sync(() => (source.produced === 1 ? consumer?.interruptUnsafe() : undefined))
      const { items, fiber } = yield* consume(ref.ask("Tail", () => source.numbers(step)))
      consumer = fiber
      yield* Fiber.await(fiber)
      yield* waitUntil(() => source.over, "the producer has ended")
      expect(items).toEqual([])
      expect(source).toMatchObject({ opened: 1, closed: 1 })
      expect(yield* ref.ask("Read")).toBe(0)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("of nothing ends its consumer", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      expect(yield* Stream.runCollect(ref.ask("Tail", () => Stream.empty))).toEqual([])
    }).pipe(Effect.provide(quiet))
  )
})

describe("A stream that fails", () => {
  it.effect("with the Rpc's error tells its consumer, after what it had produced", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const failing = Stream.fail(new Broken({ at: 2 }))
      const late = yield* consume(ref.ask("Tail", () => Stream.concat(Stream.make(0, 1), failing)))
      expect(yield* late.end).toBe("Broken")
      expect(late.items).toEqual([0, 1])
      const early = yield* consume(ref.ask("Tail", () => failing))
      expect(yield* early.end).toBe("Broken")
      expect(found).toEqual([])
    }).pipe(Effect.provide(quiet))
  )

  it.effect(
    "with a defect is CalleeFailed to its consumer alone, and reported: the actor and other streams go on",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const found = yield* reports
        const source = new Source()
        const ref = yield* spawn()
        const other = yield* consume(ref.ask("Tail", () => source.numbers(tick)))
        const script = () => Actor.reply(Stream.concat(Stream.make(1), Stream.die("broken")), { n: 9 })
        const { items, fiber } = yield* consume(ref.ask("Tail", script))
        const exit = yield* Fiber.join(fiber)
        expect(items).toEqual([1])
        const incident = found[0]!.error.incident
        expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
          _tag: "CalleeFailed",
          address: "Feed/a",
          incident
        })
        expect(found).toMatchObject([{ decision: "reported", error: { tag: "Tail", incarnation: 1 } }])
        expect(host.snapshot()).toMatchObject({ failed: 0, restarts: 0 })
        expect(yield* ref.ask("Read")).toBe(9)
        yield* TestClock.adjust(20)
        expect(other.items).toEqual([0, 1])
        yield* Fiber.interrupt(other.fiber)
      }).pipe(Effect.provide(quiet))
  )

  it.effect("that interrupts itself is CalleeFailed too", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const { end } = yield* consume(ref.ask("Tail", () => Stream.fromEffect(Effect.interrupt)))
      expect(yield* end).toBe("CalleeFailed")
      expect(found).toMatchObject([{ decision: "reported" }])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("with an error that the Rpc does not have, or with a defect besides, is CalleeFailed too", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const failing = Stream.fail(new Broken({ at: 1 }))
      expect(yield* (yield* consume(ref.ask("Firm", () => failing))).end).toBe("CalleeFailed")
      const both = () => Stream.failCause(Cause.combine(Cause.fail(new Broken({ at: 1 })), Cause.die("besides")))
      expect(yield* (yield* consume(ref.ask("Tail", both))).end).toBe("CalleeFailed")
      expect(found).toMatchObject([{ decision: "reported" }, { decision: "reported" }])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("in a finalizer, when its consumer has left, is reported", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const script = () => Stream.ensuring(Stream.concat(Stream.make(1), Stream.never), Effect.die("in a finalizer"))
      expect(yield* Stream.runHead(ref.ask("Tail", script))).toEqual(Option.some(1))
      yield* waitUntil(() => found.length === 1, "the defect is reported")
      expect(found).toMatchObject([{ decision: "reported" }])
    }).pipe(Effect.provide(quiet))
  )
})

describe("The end of the callee", () => {
  it.effect("a restart: the consumer gets CalleeFailed after what was produced, finalizers have run once", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const source = new Source()
      const ref = yield* spawn()
      const { items, end } = yield* consume(ref.ask("Tail", () => source.numbers(tick)))
      yield* TestClock.adjust(20)
      yield* ref.tell("Run", () => Effect.die("crash"))
      expect(yield* end).toBe("CalleeFailed")
      expect(items).toEqual([0, 1])
      yield* TestClock.adjust(10)
      expect(source).toMatchObject({ opened: 1, closed: 1 })
      expect(found).toMatchObject([{ decision: expect.stringContaining("restarts") }])
      // the next incarnation streams again
      expect(yield* Stream.runCollect(ref.ask("Tail", (self) => Stream.make(self.incarnation)))).toEqual([2])
    }).pipe(Effect.provide(quiet))
  )

  it.effect.each(["now", "drain", "kill"] as const)("a stop (%s): the consumer gets ActorStopped", (mode) =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const streaming = yield* consume(ref.ask("Tail", () => source.numbers(tick)))
      // one that has no element yet
      const waiting = yield* consume(ref.ask("Tail", () => Stream.never))
      yield* TestClock.adjust(20)
      yield* ref.stop({ mode })
      expect(yield* streaming.end).toBe("ActorStopped")
      expect(yield* waiting.end).toBe("ActorStopped")
      expect(streaming.items).toEqual([0, 1])
      yield* waitUntil(() => source.over, "the producer has ended")
      expect(source).toMatchObject({ opened: 1, closed: 1 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("its own, in the turn that answers", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const script: Script = (self) => {
        self.stop()
        return source.numbers(tick)
      }
      const { end } = yield* consume(ref.ask("Tail", script))
      expect(yield* end).toBe("ActorStopped")
      expect(source.opened).toBe(source.closed)
    }).pipe(Effect.provide(quiet))
  )

  it.effect(
    "a producer that cannot be ended holds a stop for its grace, then it is a zombie; its consumer is free",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = yield* spawn()
        let hangs = 0
        const hang = Effect.andThen(
          Effect.sync(() => ++hangs),
          Effect.as(Effect.sleep("1 hour"), 2)
        )
        const hung = Stream.fromEffect(Effect.uninterruptible(hang))
        const { items, end } = yield* consume(ref.ask("Tail", () => Stream.concat(Stream.make(1), hung)))
        yield* waitUntil(() => hangs === 1 && items.length === 1, "the producer hangs")
        const stopped = yield* Effect.forkChild(ref.stop({ within: 100 }))
        expect(yield* end).toBe("ActorStopped")
        expect(host.state(ref)).toBe("draining")
        yield* TestClock.adjust(100)
        yield* Fiber.join(stopped)
        expect(host.snapshot().zombies).toMatchObject([{ address: "Feed/a", what: "fork" }])
        yield* TestClock.adjust("1 hour")
        expect(host.snapshot().zombies).toEqual([])
        expect(items).toEqual([1])
      }).pipe(Effect.provide(quiet))
  )
})

describe("The ask of a stream", () => {
  it.effect("times out until the first element, and interrupts the producer", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const asked = ref.ask("Tail", () => source.numbers(Effect.sleep(100)), { timeout: 50 })
      const { fiber } = yield* consume(asked)
      yield* TestClock.adjust(50)
      const exit = yield* Fiber.join(fiber)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({ _tag: "AskTimeout", started: true })
      yield* waitUntil(() => source.over, "the producer has ended")
      expect(source).toMatchObject({ opened: 1, closed: 1, produced: 0 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("has no timeout after the first element, nor when it has ended", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const slow = () => Stream.concat(Stream.make(1), Stream.fromEffect(Effect.as(Effect.sleep("1 day"), 2)))
      const all = yield* consume(ref.ask("Tail", slow, { timeout: 50 }))
      const none = yield* consume(ref.ask("Tail", () => Stream.empty, { timeout: 50 }))
      yield* TestClock.adjust("1 day")
      expect([yield* all.end, yield* none.end]).toEqual(["success", "success"])
      expect(all.items).toEqual([1, 2])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("given up in the queue is withdrawn; given up in the turn, its handler is interrupted", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* spawn()
      let finalized = 0
      const hang = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void finalized++))
      const running = yield* consume(ref.ask("Tail", hang))
      const queued = yield* consume(ref.ask("Tail", hang))
      yield* waitUntil(() => host.snapshot().queued === 1, "one waits behind the other")
      yield* Fiber.interrupt(queued.fiber)
      expect(host.snapshot()).toMatchObject({ queued: 0, deadLetters: { cancelled: 1 } })
      yield* Fiber.interrupt(running.fiber)
      expect(yield* ref.ask("Read")).toBe(0)
      expect(finalized).toBe(1)
      expect(host.snapshot()).toMatchObject({ cancelled: 1, failed: 0 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("given up ends the producer, though the consumer's scope stays open; closing the scope gives up", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const scope = yield* Scope.make()
      const ask = (timeout: number) =>
        Scope.provide(Stream.toPull(ref.ask("Tail", () => source.numbers(Effect.never), { timeout })), scope)
      const late = yield* Effect.forkChild(Effect.exit(yield* ask(50)))
      yield* TestClock.adjust(50)
      expect(tagOf(yield* Fiber.join(late))).toBe("AskTimeout")
      yield* waitUntil(() => source.over, "the first producer has ended")
      const pulled = yield* Effect.forkChild(Effect.exit(yield* ask(5000)))
      yield* waitUntil(() => source.opened === 2, "the second runs")
      yield* Scope.close(scope, Exit.void)
      expect(Exit.hasInterrupts(yield* Fiber.join(pulled))).toBe(true)
      yield* waitUntil(() => source.over, "the second producer has ended")
    }).pipe(Effect.provide(quiet))
  )

  it.effect("given up before the first element interrupts the producer, after it too", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const early = yield* consume(ref.ask("Tail", () => source.numbers(tick)))
      yield* TestClock.adjust(5)
      yield* Fiber.interrupt(early.fiber)
      yield* waitUntil(() => source.over, "the first producer has ended")
      const late = yield* consume(ref.ask("Tail", () => source.numbers(tick)))
      yield* TestClock.adjust(25)
      yield* Fiber.interrupt(late.fiber)
      yield* waitUntil(() => source.over, "the second producer has ended")
      expect(source).toMatchObject({ opened: 2, closed: 2, produced: 2 })
      expect(early.items).toEqual([])
      expect(late.items).toEqual([0, 1])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("that is Committed runs its handler to the end without its asker, and no stream for nobody", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const script = () => Effect.as(Effect.sleep(20), Actor.reply(source.numbers(), { n: 4 }))
      const { fiber } = yield* consume(ref.ask("Sure", script))
      yield* TestClock.adjust(5)
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust(20)
      expect(yield* ref.ask("Read")).toBe(4)
      expect(source.opened).toBe(0)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("is refused as any ask is", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      yield* ref.stop()
      const asked = ref.ask("Tail", () => Stream.make(1))
      expect(yield* Effect.flip(Stream.runDrain(asked))).toMatchObject({ _tag: "ActorStopped" })
      expect(yield* Effect.flip(Stream.runDrain(Feed.at("nobody").ask("Tail", () => Stream.empty)))).toMatchObject({
        _tag: "NoSuchActor"
      })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("in a handler holds its turn and ends with it; what it awaits is reported", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const source = new Source()
      const callee = yield* spawn("callee")
      const asker = yield* spawn("asker")
      const waiter = yield* spawn("waiter")
      const items: Array<number> = []
      const consumes =
        (stream: () => Stream.Stream<number, Broken>): Script =>
        (self, state) =>
          self.ask(callee, "Tail", stream, { timeout: "infinity" }).pipe(
            Stream.runForEach((item) => Effect.sync(() => void items.push(item))),
            Effect.as(state)
          )
      const minutes = () => source.numbers(Effect.sleep("1 minute"))
      yield* asker.tell(
        "Run",
        consumes(() => Stream.concat(Stream.make(7), minutes()))
      )
      yield* waiter.tell(
        "Run",
        consumes(() => Stream.never)
      )
      yield* TestClock.adjust("29 seconds")
      expect(lines).toEqual([])
      yield* TestClock.adjust("1 second")
      expect(lines).toEqual([
        'Feed/asker: handler of "Run" suspended for 30000 ms, awaits an element of the stream of Feed/callee for "Tail" (behavior option stuckAfter)',
        'Feed/waiter: handler of "Run" suspended for 30000 ms, awaits the answer of Feed/callee to "Tail" (behavior option stuckAfter)'
      ])
      yield* TestClock.adjust("30 seconds")
      expect(items).toEqual([7, 0])
      yield* asker.stop()
      yield* waitUntil(() => source.over, "the asker's end has ended the stream")
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([logger]))))
  })
})

describe("The chain of asks", () => {
  it.effect("has the callee in it until its turn has ended, not while its stream runs", () =>
    Effect.gen(function* () {
      const a = yield* spawn("a")
      const b = yield* spawn("b")
      const errors: Array<unknown> = []
      const readsA: Script = (self) => Effect.map(Effect.flip(self.ask(a, "Read")), (error) => errors.push(error._tag))
      const answers: Array<unknown> = []
      const consumes: Script = (self, { n }) =>
        self
          .ask(b, "Tail", (me, state) =>
            Effect.as(
              readsA(me, state) as Effect.Effect<unknown>,
              Stream.concat(Stream.make(1), Stream.fromEffect(Effect.as(Effect.sleep(100), 2)))
            )
          )
          .pipe(Stream.runDrain, Effect.as({ n: n + 1 }))
      yield* a.tell("Run", consumes)
      yield* waitUntil(() => errors.length === 1, "b's handler has asked a, which waits for it")
      expect(errors).toEqual(["AskCycle"])
      // b's stream runs, a waits for its end; a message of b's may wait for a, which will answer
      yield* b.tell("Run", (self) =>
        Effect.as(
          Effect.map(self.ask(a, "Read"), (n) => answers.push(n)),
          { n: 0 }
        )
      )
      yield* TestClock.adjust(200)
      expect(answers).toEqual([1])
      const itself: Script = (self) =>
        Effect.as(Stream.runDrain(self.ask(self.ref, "Tail", () => Stream.empty)), Stream.empty)
      const own = yield* Effect.flip(Stream.runDrain(a.ask("Tail", itself)))
      expect(own).toMatchObject({ _tag: "AskCycle", path: ["Feed/a", "Feed/a"] })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("does not hold a fork's: an actor may consume its own stream there", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const items: Array<number> = []
      yield* ref.tell("Run", (self, state) => {
        const own = self.ask(self.ref, "Tail", () => Stream.make(1, 2))
        self.fork(Effect.orDie(Stream.runForEach(own, (item) => Effect.sync(() => void items.push(item)))))
        return state
      })
      yield* waitUntil(() => items.length === 2, "the fork has consumed both")
    }).pipe(Effect.provide(quiet))
  )

  it.effect("does not hold a stream's that begins on the stack of one that has just failed", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const late = Stream.fromEffect(Effect.delay(Effect.fail(new Broken({ at: 1 })), 10))
      const failing = yield* Effect.forkChild(Effect.flip(Stream.runDrain(ref.ask("Tail", () => late))))
      const again = yield* Effect.forkChild(
        Effect.andThen(
          Fiber.join(failing),
          Stream.runCollect(ref.ask("Tail", (self) => Stream.fromEffect(Effect.orDie(self.ask(self.ref, "Read")))))
        )
      )
      yield* TestClock.adjust(10)
      expect(yield* Fiber.join(again)).toEqual([0])
    }).pipe(Effect.provide(quiet))
  )
})

describe("A message that is answered by a stream", () => {
  it.effect("is handed on by self.forward, and the stream is the other's", () =>
    Effect.gen(function* () {
      const source = new Source()
      const ref = yield* spawn()
      const other = yield* spawn("other")
      const script: Script = (self) => {
        self.forward(other, "Tail", () => source.numbers(tick))
        return Actor.noReply()
      }
      const { items, end } = yield* consume(ref.ask("Tail", script))
      yield* TestClock.adjust(20)
      yield* ref.stop()
      yield* TestClock.adjust(10)
      expect(items).toEqual([0, 1, 2])
      yield* other.stop()
      expect(yield* end).toBe("ActorStopped")
      expect(source.over).toBe(true)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("forwarded and answered as well, is answered", () =>
    Effect.gen(function* () {
      const ref = yield* spawn()
      const other = yield* spawn("other")
      const script: Script = (self) => {
        self.forward(other, "Tail", () => Stream.make(2))
        return Stream.make(1)
      }
      expect(yield* Stream.runCollect(ref.ask("Tail", script))).toEqual([1])
      expect((yield* ActorSystem).snapshot()).toMatchObject({ accepted: 1, finished: 1 })
    }).pipe(Effect.provide(quiet))
  )

  it.effect("cannot be handed to one that answers once, nor the other way round", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const other = yield* spawn("other")
      const toOnce: Script = (self) => {
        self.forward(other, "Read")
        return Actor.noReply()
      }
      expect(yield* Effect.flip(Stream.runDrain(ref.ask("Tail", toOnce)))).toMatchObject({ _tag: "CalleeFailed" })
      yield* TestClock.adjust(10)
      const toStream: Script = (self) => {
        self.forward(other, "Tail", () => Stream.make(2))
        return Actor.noReply()
      }
      expect(yield* Effect.flip(ref.ask("Run", toStream))).toMatchObject({ _tag: "CalleeFailed" })
      yield* TestClock.adjust(10)
      const reasons = found.map(({ error }) => (Cause.squash(error.cause as Cause.Cause<unknown>) as Error).message)
      expect(reasons).toEqual([
        'Feed/a: forwards an ask that is answered by a stream to "Read", which answers once',
        'Feed/a: forwards an ask that is answered once to "Tail", which answers by a stream'
      ])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("may be stashed: it is withdrawn from there, or streams when it comes back", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* spawn()
      const script: Script = (self, { n }) => {
        if (n > 0) return Stream.make(n)
        self.stash()
        return Actor.noReply()
      }
      const gone = yield* consume(ref.ask("Tail", script))
      const stays = yield* consume(ref.ask("Tail", script))
      yield* waitUntil(() => host.snapshot().queued === 2, "both are in the stash")
      yield* Fiber.interrupt(gone.fiber)
      expect(host.snapshot()).toMatchObject({ queued: 1, deadLetters: { cancelled: 1 } })
      yield* ref.tell("Run", (self) => {
        self.unstash()
        return { n: 8 }
      })
      expect(yield* stays.end).toBe("success")
      expect(stays.items).toEqual([8])
    }).pipe(Effect.provide(quiet))
  )

  it.effect("cannot be deferred: refused by name", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const ref = yield* spawn()
      const script: Script = (self) => {
        self.defer()
        return Actor.noReply()
      }
      expect(yield* Effect.flip(Stream.runDrain(ref.ask("Tail", script)))).toMatchObject({ _tag: "CalleeFailed" })
      const reason = Cause.squash(found[0]!.error.cause as Cause.Cause<unknown>) as Error
      expect(reason.message).toBe('Feed/a: defers "Tail": a Stream is an answer that comes later already')
    }).pipe(Effect.provide(quiet))
  )
})

describe("Live streams", () => {
  const few = Feed.behavior({ ...options, held: 2, shutdown: 100 })

  it.effect("are at most `held` an actor: one more is refused by name and reported, the others go on", () =>
    Effect.gen(function* () {
      const found = yield* reports
      const source = new Source()
      const ref = yield* ActorSystem.spawn(few, "a")
      const script: Script = (_, { n }) => Actor.reply(source.numbers(tick), { n: n + 1 })
      const first = yield* consume(ref.ask("Tail", script))
      const second = yield* consume(ref.ask("Tail", script))
      // forks are counted apart
      yield* ref.tell("Run", (self, state) => {
        for (let i = 0; i < 2; i++) self.fork(Effect.never)
        return state
      })
      const third = yield* consume(ref.ask("Tail", script))
      expect(yield* third.end).toBe("LimitReached")
      expect(found).toMatchObject([{ decision: "reported" }])
      expect((Cause.squash(found[0]!.error.cause as Cause.Cause<unknown>) as Error).message).toBe(
        "Feed/a: live streams: all 2 are in use (behavior option held)"
      )
      expect(yield* ref.ask("Read")).toBe(3)
      yield* TestClock.adjust(10)
      expect(new Set([...first.items, ...second.items])).toEqual(new Set([0, 1]))
      yield* Fiber.interrupt(first.fiber)
      yield* waitUntil(() => source.closed === 1, "the first has ended")
      // there is room again
      expect(yield* Stream.runCollect(ref.ask("Tail", () => Stream.make(5)))).toEqual([5])
      yield* Fiber.interrupt(second.fiber)
    }).pipe(Effect.provide(quiet))
  )

  it.effect("are the present incarnation's: zombies of the last one take no room", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = yield* ActorSystem.spawn(few, "a")
      let hangs = 0
      const hang = Effect.andThen(
        Effect.sync(() => ++hangs),
        Effect.as(Effect.sleep("1 hour"), 1)
      )
      const hung = () => Stream.fromEffect(Effect.uninterruptible(hang))
      const last = [yield* consume(ref.ask("Tail", hung)), yield* consume(ref.ask("Tail", hung))]
      yield* waitUntil(() => hangs === 2, "both producers hang")
      yield* ref.tell("Run", () => Effect.die("crash"))
      for (const { end } of last) expect(yield* end).toBe("CalleeFailed")
      yield* TestClock.adjust(200)
      expect(host.snapshot().zombies).toHaveLength(2)
      const next = [
        yield* consume(ref.ask("Tail", () => Stream.never)),
        yield* consume(ref.ask("Tail", () => Stream.never))
      ]
      yield* ref.ask("Read")
      expect(next.map(({ fiber }) => fiber.pollUnsafe())).toEqual([undefined, undefined])
      expect(yield* (yield* consume(ref.ask("Tail", () => Stream.never))).end).toBe("LimitReached")
      yield* ref.stop()
      for (const { end } of next) expect(yield* end).toBe("ActorStopped")
      yield* TestClock.adjust("1 hour")
      expect(host.snapshot().zombies).toEqual([])
    }).pipe(Effect.provide(quiet))
  )
})
