/**
 * Throttle: a rate limit by key; who asks goes through, waits in line for its turn, or is refused with the time until there is room.
 *
 *   run("ann") -> tokens in ann's bucket, nobody waits:  at once
 *                 none, and fewer than maxQueued wait:   in line until its turn; given up: it leaves the line
 *                 none, and the line is full:            Throttled { millis until there are some, how many wait }
 * Two forms. `run` stands before an effect, an API's call, an ask or a tell: one actor a key, so that no key holds up another. `inFront`
 * stands in for one actor: it has that actor's protocol and forwards what it is sent, for senders that know only a ref, plain handlers
 * among them; its mailbox is the line, and the mailbox's policy says what happens to one message more.
 * Order: first come, first served within a key: who needs many tokens is not overtaken by those who need few. Law 3: `maxQueued` wait.
 * Law 5: one more is refused by name, at once. Law 8: who gives up has taken no token and leaves no gap; only one that gives up in
 * the moment when the store is asked for it may leave its token unused. Law 11: all of it by Effect's clock.
 * Buckets are those of effect/persistence's RateLimiter: in memory, or in Redis, for many processes together. Considered its
 * `makeWithRateLimiter`: that books tokens first and sleeps then, so who gives up has spent them, and any number may wait.
 * Its memory store never forgets a key: for keys without end take Redis, and `forgetAfter`.
 * Fails: `Throttled`; `RateLimiterError` to each who asks or waits while the store does not answer. Cost: a message and a question to
 * the store each, one at a time within a key. Sources: Akka's TimerBasedThrottler, and what its users say of cancelled waiters.
 */
import { Clock, type Duration, Effect, Schema } from "effect"
import { RateLimiter } from "effect/persistence"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, type Deferral, InvalidOption, Options } from "troupe"
import * as TokenBucket from "./TokenBucket.ts"

export { type FrontOptions, inFront } from "./ThrottleFront.ts"

/** No tokens, and no room to wait for them. Come back in `millis`; `waiting` others come first. */
export class Throttled extends Schema.TaggedError<Throttled>()("Throttled", {
  address: Schema.String,
  millis: Schema.Finite,
  waiting: Schema.Int,
  maxQueued: Schema.Int
}) {
  override get message(): string {
    return `${this.address}: over its rate, and ${this.waiting} of at most ${this.maxQueued} wait for tokens: refused, come again in ${this.millis} ms (options rate, burst, maxQueued)`
  }
}

/** Checked when the throttle is made. */
export interface ThrottleOptions extends TokenBucket.BucketOptions {
  /** Who waits for tokens, at the most. 0-1,000,000, default 1,024. */
  readonly maxQueued?: number
  /** A key's actor ends when nothing was asked of it for so long; for hosted ones, which come back. Default never. */
  readonly forgetAfter?: Duration.Input | "infinity"
}

export interface RunOptions {
  /** From 1 to the burst, default 1. */
  readonly tokens?: number
  /** How long to wait for them; then it is AskTimeout. Default for ever. */
  readonly timeout?: Duration.Input | "infinity"
}

const Refused = Schema.Union([Throttled, RateLimiter.RateLimiterError, InvalidOption])
const Counts = Schema.Struct({ passed: Schema.Int, refused: Schema.Int })
/** Who waits, in order, and until when. */
class Line extends Set<{ readonly tokens: number; readonly deferral: Deferral<void, typeof Refused.Type> }> {
  due = 0
}

/**
 * A throttle of that type: spawn or host its `behavior`, and each key has a bucket.
 *
 * ```ts
 * const api = Throttle.make("Api", { rate: 10, burst: 20, maxQueued: 100 })
 * yield* ActorSystem.host(api.behavior) // needs a RateLimiter
 * const user = yield* fetchUser(7).pipe(api.run("tenant-1"))
 * ```
 */
export const make = (type: string, options: ThrottleOptions) => {
  const { burst, take } = TokenBucket.make(type, options, ["maxQueued", "forgetAfter"])
  const maxQueued = Options.integer(`${type}.maxQueued`, options.maxQueued, 1024, 0, 1_000_000)
  const idleAfter = Options.millis(`${type}.forgetAfter`, options.forgetAfter, Number.POSITIVE_INFINITY)
  const definition = Actor.make(type, {
    state: Counts,
    protocol: [
      Rpc.make("Acquire", { payload: { tokens: Schema.Int }, error: Refused }),
      Rpc.make("Stats", { success: Schema.Struct({ ...Counts.fields, waiting: Schema.Int }) }),
      Rpc.make("Next"),
      Rpc.make("Rest")
    ]
  })
  const lines = Actor.local(() => new Line())
  const behavior = definition.behavior({
    held: maxQueued + 16,
    mailbox: { overflow: "suspend" }, // a burst is heard, too: only the line refuses
    idleAfter,
    initial: (_key, self) => {
      if (Number.isFinite(idleAfter)) self.idleTimeout("Rest")
      return { passed: 0, refused: 0 }
    },
    on: {
      *Acquire(state, { tokens }, self) {
        const line = lines(self)
        if (!(tokens >= 1 && tokens <= burst)) {
          const field = `${type}.tokens`
          return yield* new InvalidOption({ field, value: String(tokens), range: `from 1 to ${burst}, the burst` })
        }
        const wait = line.size === 0 ? yield* take(self.key, tokens) : undefined
        if (wait === 0) return Actor.reply(undefined, { ...state, passed: state.passed + 1 })
        const now = yield* Clock.currentTimeMillis
        if (wait !== undefined) line.due = now + wait
        const waiter = { tokens, deferral: self.defer<void, typeof Refused.Type>() }
        if (line.size >= maxQueued) {
          const millis = Math.max(1, line.due - now)
          waiter.deferral.fail(new Throttled({ address: self.ref.address, millis, waiting: line.size, maxQueued }))
          return Actor.noReply({ ...state, refused: state.refused + 1 })
        }
        if (wait !== undefined) self.timers.once("next", wait, "Next")
        if (waiter.deferral.waiting) line.add(waiter)
        waiter.deferral.onCancel(() => {
          // who is first then may need fewer
          if (line.values().next().value === waiter) self.timers.once("next", 1, "Next")
          line.delete(waiter)
        })
        return Actor.noReply()
      },
      *Next(state, _, self) {
        const line = lines(self)
        const [first] = line
        if (first === undefined) return state
        const wait = yield* Effect.catchTag(take(self.key, first.tokens), "RateLimiterError", Effect.succeed)
        if (typeof wait === "number" && wait > 0) {
          line.due = (yield* Clock.currentTimeMillis) + wait
          self.timers.once("next", wait, "Next")
          return state
        }
        // one a turn, so that nobody is held up by the next; by a slot of its own: the mailbox may be full
        self.pipe(Effect.void, () => ["Next"])
        // it may have left while the store was asked
        if (!line.delete(first)) return state
        if (typeof wait === "number") first.deferral.succeed()
        else first.deferral.fail(wait)
        return wait === 0 ? { ...state, passed: state.passed + 1 } : state
      },
      Stats: (state, _, self) => Actor.reply({ ...state, waiting: lines(self).size }),
      Rest: (state, _, self) => {
        if (lines(self).size === 0) self.stop({ mode: "drain" })
        return state
      }
    }
  })
  const at = (key: string, parent?: ActorRef) => definition.at(key, parent)
  /** Runs an effect when it has its tokens; `of`: a key, or the ref of one that is somebody's child. */
  const run = (of: string | ReturnType<typeof at>, { timeout = "infinity", tokens = 1 }: RunOptions = {}) => {
    const acquired = (typeof of === "string" ? at(of) : of).ask("Acquire", { tokens }, { timeout })
    return <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.andThen(acquired, effect)
  }
  return { behavior, run, at }
}
