/**
 * An actor that a test owns: it keeps what it is sent, and the test says what it expects.
 *
 * ```ts
 * const probe = yield* TestProbe.make(Counter) // in place of a Counter; its ref goes wherever a Counter's would
 * yield* asker.tell("Watch", { counter: probe.ref })
 * const { by } = yield* probe.expect("Increment") // the next message
 * yield* probe.expect("Read")
 * yield* probe.reply(7) // answers the ask just expected
 * yield* probe.expectNone("1 second")
 * yield* probe.expectTerminated(asker, "normal")
 * ```
 *
 * Floor 5; lives in the `ActorSystem` of the test and ends with it. With a key it takes the place of a hosted actor.
 * What an expectation waits for, and time:
 * - under a TestClock nothing moves time but a duration that is given: `expectNone(d)` moves the clock by `d`, an expectation
 *   inside of `within(d, ...)` moves it until it is met, by thousandths of `d`. Without one, what is expected has to come of
 *   itself, now: once the system rests, or after 20,000 looks, the expectation fails.
 * - under the live clock an expectation waits up to 3 s, or what `within` leaves, and goes on at once when it is met;
 *   `expectNone(d)` lets `d` pass.
 * One that fails is a defect (it fails the test): what was expected, what came, and the tree of the system.
 * Law 2: messages are expected in the order they came; deaths (`expectTerminated`) are kept apart from them.
 */
import { Clock, Context, Deferred, type Duration, Effect, Equal, Option, Stream } from "effect"
import type { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { inspect } from "node:util"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Definition } from "../actor/Actor.ts"
import type { Behavior } from "../actor/Behavior.ts"
import type { ActorContext } from "../actor/Context.ts"
import type { ExitReason, Terminated } from "../actor/ExitReason.ts"
import { NoReply, Reply } from "../actor/Outcome.ts"
import type { PayloadArgs, WithTag } from "../actor/Protocol.ts"
import type { NameTaken } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import { printTree } from "./WaitUntil.ts"

/** A message that a probe was sent. */
export interface ProbeMessage {
  readonly tag: string
  readonly payload: unknown
}

/** Typed errors of the Rpcs, and of their streams. */
type ErrorsOf<P extends Rpc.Any> = P extends Rpc.Any ? Rpc.ErrorExit<P> : never

/** How a message is answered: a Deferral, or what a stream waits for. */
interface Answers {
  readonly succeed: (value: unknown) => boolean
  readonly fail: (error: unknown) => boolean
}

interface Kept extends ProbeMessage {
  readonly answers: Answers
  /** Whether somebody waits; of a stream once that is sure. */
  readonly waiting: Effect.Effect<boolean>
}

/** A stream that begins when it is answered. */
class Elements implements Answers {
  readonly #answer = Deferred.makeUnsafe<Stream.Stream<unknown, unknown>>()
  /** Somebody has asked for it, and has not left: a tell has no stream run. */
  runs = false
  readonly stream = Stream.unwrap(
    Effect.suspend(() => {
      this.runs = true
      return Deferred.await(this.#answer)
    })
  ).pipe(Stream.ensuring(Effect.sync(() => (this.runs = false))))

  succeed(elements: unknown): boolean {
    return this.runs && Deferred.doneUnsafe(this.#answer, Effect.succeed(elements as Stream.Stream<unknown, unknown>))
  }

  fail(error: unknown): boolean {
    return this.succeed(Stream.fail(error))
  }
}

/** How long an expectation waits under the live clock. */
const defaultMillis = 3000
/** Looks at a system that rests, and at one that does not, before an expectation fails under a test clock. */
const restingLooks = 100
const busyLooks = 20_000
/** In how many steps `within` moves a test clock. */
const steps = 1000
/** Messages listed when an expectation fails. */
const listed = 20
/** Asks that it may hold. */
const held = 1_048_576

/** The end of the innermost `within`, by the clock. */
const Until = Context.Reference<number | undefined>("troupe/testkit/Until", { defaultValue: () => undefined })

const show = (value: unknown): string => inspect(value, { depth: 6, breakLength: 120 })
const showMessage = ({ tag, payload }: ProbeMessage): string =>
  payload === undefined ? `"${tag}"` : `"${tag}" ${show(payload)}`

export class TestProbe<in out P extends Rpc.Any> {
  readonly ref: ActorRef<P>
  readonly #host: Host
  readonly #messages: Array<Kept>
  readonly #deaths: Array<Terminated>
  readonly #listeners: Set<() => void>
  readonly #watched = new Set<string>()
  #taken = 0
  #asked: Kept | undefined = undefined
  declare readonly "~P": (_: P) => P

  private constructor(
    host: Host,
    ref: ActorRef<P>,
    messages: Array<Kept>,
    deaths: Array<Terminated>,
    listeners: Set<() => void>
  ) {
    this.#host = host
    this.ref = ref
    this.#messages = messages
    this.#deaths = deaths
    this.#listeners = listeners
  }

  /** Spawns a probe that understands what `definition` does. Fails: `NameTaken`. */
  static make<S, P extends Rpc.Any, E extends Rpc.Any>(
    definition: Definition<S, P, E>,
    key?: string
  ): Effect.Effect<TestProbe<P>, NameTaken, ActorSystem> {
    return Effect.gen(function* () {
      const host = yield* ActorSystem
      const messages: Array<Kept> = []
      const deaths: Array<Terminated> = []
      const listeners = new Set<() => void>()
      const tell = (): void => listeners.forEach((listener) => listener())
      const kept = (message: Kept): void => {
        messages.push(message)
        tell()
      }
      const keep = (tag: string, at: number) => (_: unknown, payload: unknown, self: ActorContext<P, E>) => {
        if (definition.protocol.streams[at] === true) {
          const elements = new Elements()
          const runs = (): Option.Option<boolean> => (elements.runs ? Option.some(true) : Option.none())
          const waiting = Effect.map(
            Effect.suspend(() => look(host, runs)),
            Option.isSome
          )
          kept({ tag, payload, answers: elements, waiting })
          return new Reply(elements.stream, undefined, false)
        }
        const deferral = self.defer<unknown, unknown>()
        kept({ tag, payload, answers: deferral, waiting: Effect.sync(() => deferral.waiting) })
        return new NoReply(undefined, false)
      }
      const behavior = definition.behavior({
        initial: undefined as never,
        on: Object.fromEntries(definition.protocol.rpcs.map(({ _tag }, at) => [_tag, keep(_tag, at)])) as never,
        onTerminated: (_, died) => {
          deaths.push(died)
          tell()
        },
        held,
        mailbox: { capacity: held }
      })
      const ref = yield* ActorSystem.spawn(behavior as unknown as Behavior<P, never>, key)
      return new TestProbe<P>(host, ref, messages, deaths, listeners)
    })
  }

  /** All that it was sent so far, expected or not. */
  get messages(): ReadonlyArray<ProbeMessage> {
    return this.#messages.map(({ tag, payload }) => ({ tag, payload }))
  }

  /** The next message has this tag; answers with its payload. */
  expect<T extends P["_tag"]>(tag: T): Effect.Effect<Rpc.Payload<WithTag<P, T>>> {
    return this.#expect(`"${tag}"`, (message) => message.tag === tag) as Effect.Effect<Rpc.Payload<WithTag<P, T>>>
  }

  /** The next message is this one: equal by Effect's `Equal`, so structurally. */
  expectMessage<T extends P["_tag"]>(tag: T, ...payload: PayloadArgs<WithTag<P, T>>): Effect.Effect<void>
  expectMessage(tag: string, payload?: unknown): Effect.Effect<void> {
    const { protocol } = this.ref
    const expected = protocol.construct(protocol.position(tag), payload)
    return Effect.asVoid(
      this.#expect(
        showMessage({ tag, payload: expected }),
        (message) => message.tag === tag && Equal.equals(message.payload, expected)
      )
    )
  }

  /** Nothing that was not expected has come, nor comes for `duration`: the probe lets it pass. Default: nothing has come. */
  expectNone(duration?: Duration.Input): Effect.Effect<void> {
    const millis = Options.millis("probe.expectNone", duration, 0)
    const what = `no message${millis === 0 ? "" : ` for ${millis} ms`}`
    const some = (): Option.Option<Kept> => Option.fromUndefinedOr(this.#messages[this.#taken])
    return Effect.gen({ self: this }, function* () {
      if (Option.isNone(some()) && millis > 0) {
        if (yield* isTestClock) yield* TestClock.adjust(millis)
        else yield* this.#arrival(millis, some)
      }
      const found = yield* look(this.#host, some)
      if (Option.isSome(found)) return yield* this.#fail(what, showMessage(found.value))
    })
  }

  /** That actor has ended, or ends; with `reason`, for this one. It is watched from now on, if it was not. */
  expectTerminated(ref: ActorRef<never>, reason?: ExitReason["_tag"]): Effect.Effect<ExitReason> {
    const { address } = ref
    const what = `the end of ${address}${reason === undefined ? "" : `: ${reason}`}`
    const take = (): Option.Option<Terminated> => {
      const at = this.#deaths.findIndex((died) => died.ref.address === address)
      return at < 0 ? Option.none() : Option.some(this.#deaths.splice(at, 1)[0]!)
    }
    return Effect.gen({ self: this }, function* () {
      if (!this.#watched.has(address)) yield* this.watch(ref)
      const died = yield* this.#await(what, take)
      this.#watched.delete(address)
      if (reason === undefined || died.reason._tag === reason) return died.reason
      return yield* this.#fail(what, show(died.reason))
    })
  }

  /** Watches an actor: its end can be expected later, for its true reason. */
  watch(ref: ActorRef<never>): Effect.Effect<void> {
    return Effect.sync(() => {
      this.#watched.add(ref.address)
      this.#host.system.watch(this.ref.cell!, ref)
    })
  }

  /**
   * Answers the ask that was expected last; of an Rpc with `stream: true` with the Stream that its asker then has. Dies when
   * that was none, or its asker waits no more.
   */
  reply(value: Rpc.Success<P>): Effect.Effect<void> {
    return this.#answer((answers) => answers.succeed(value))
  }

  /** Answers the ask that was expected last with a typed error of its Rpc, or ends its stream with it. */
  fail(error: ErrorsOf<P>): Effect.Effect<void> {
    return this.#answer((answers) => answers.fail(error))
  }

  /** Gives the expectations in `effect` so much time together, and fails when `effect` takes longer. */
  within<A, E, R>(duration: Duration.Input, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const millis = Options.millis("probe.within", duration, defaultMillis)
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const outer = yield* Until
      const end = clock.currentTimeMillisUnsafe() + millis
      const out = yield* Effect.provideService(effect, Until, outer === undefined ? end : Math.min(end, outer))
      const late = clock.currentTimeMillisUnsafe() - end
      return late > 0 ? yield* this.#fail(`to be done within ${millis} ms`, `${late} ms more`) : out
    })
  }

  #expect(what: string, test: (message: ProbeMessage) => boolean): Effect.Effect<unknown> {
    const take = (): Option.Option<Kept> => Option.fromUndefinedOr(this.#messages[this.#taken])
    return Effect.flatMap(this.#await(what, take), (message) => {
      if (!test(message)) return this.#fail(what, showMessage(message))
      this.#taken++
      return Effect.map(message.waiting, (waiting) => {
        if (waiting) this.#asked = message
        return message.payload
      })
    })
  }

  #answer(answer: (answers: Answers) => boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const asked = this.#asked
      this.#asked = undefined
      if (asked !== undefined && answer(asked.answers)) return Effect.void
      return this.#fail("an ask to answer", asked === undefined ? "none expected" : `${showMessage(asked)}, asker gone`)
    })
  }

  /** Waits for what `take` finds; see the header for how long. */
  #await<A>(what: string, take: () => Option.Option<A>): Effect.Effect<A> {
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      const until = yield* Until
      const left = (): number => (until === undefined ? defaultMillis : until - clock.currentTimeMillisUnsafe())
      const virtual = yield* isTestClock
      const patience = Math.max(0, left())
      let found = take()
      if (!virtual) found = yield* this.#arrival(left(), take)
      else if (until !== undefined) {
        found = yield* look(this.#host, take, restingLooks)
        const step = Math.max(1, left() / steps)
        while (Option.isNone(found) && left() > 0) {
          yield* TestClock.adjust(Math.min(step, left()))
          found = take()
        }
      }
      if (Option.isNone(found)) found = yield* look(this.#host, take)
      if (Option.isSome(found)) return found.value
      const stands = virtual && until === undefined
      return yield* this.#fail(
        what,
        stands ? "nothing (a test clock stands still outside of `within`)" : `nothing for ${patience} ms`
      )
    })
  }

  /** Lets real time pass until something is there. */
  #arrival<A>(millis: number, take: () => Option.Option<A>): Effect.Effect<Option.Option<A>> {
    const arrived = Effect.callback<A>((resume) => {
      const listener = (): void => {
        const found = take()
        if (Option.isNone(found)) return
        this.#listeners.delete(listener)
        resume(Effect.succeed(found.value))
      }
      this.#listeners.add(listener)
      listener()
      return Effect.sync(() => void this.#listeners.delete(listener))
    })
    return Effect.timeoutOption(arrived, Math.max(0, millis))
  }

  #fail(expected: string, came: string): Effect.Effect<never> {
    const all = this.#messages.map(
      (message, at) => `  ${at < this.#taken ? "expected" : "waiting "} ${showMessage(message)}`
    )
    const more = all.length > listed ? [`  (${all.length - listed} before)`] : []
    const list = all.length === 0 ? "  (none)" : [...more, ...all.slice(-listed)].join("\n")
    const text = `${this.ref.address} expected ${expected}; came: ${came}\nits messages:\n${list}\nthe system:\n`
    return Effect.die(new Error(text + printTree(this.#host)))
  }
}

/** Lets the system go on as long as it does by itself. */
const look = Effect.fnUntraced(function* <A>(host: Host, take: () => Option.Option<A>, most: number = busyLooks) {
  let found = take()
  for (let looks = 0, resting = 0; looks < most && resting < restingLooks && Option.isNone(found); looks++) {
    yield* Effect.yieldNow
    resting = host.quiet ? resting + 1 : 0
    found = take()
  }
  return found
})

const isTestClock: Effect.Effect<boolean> = Effect.map(Clock.Clock, (clock) => "adjust" in clock)
