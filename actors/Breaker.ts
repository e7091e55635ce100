/**
 * Breaker: calls to what keeps failing are refused at once for a while, then tried with a few, then let through again.
 *
 *   call("eu") -> asks its key's actor -> let in:   the effect runs in the caller's fiber, the actor is told how it ended
 *                                         refused:  BreakerOpen { state, millis until another try may be worth it }
 *
 * The effect is whatever may fail: an HTTP call, an ask of another actor. What the actor knows is a statechart of XState, stepped by
 * pure transitions in its turns (`BreakerMachine` has the states, with their reasons): one caller after the other is let in (law 1), so
 * no more probes go than may. Not `Actor.fromMachine`: that answers with a state's name; here a refusal is a typed error, and state has
 * a Schema.
 * - A failure is a defect, or a typed error that `isFailure` says is one; any other error is the answer of a service that is well.
 *   What took `slowAfter` is a failure too; its value is handed through all the same.
 * - An interrupted call counts neither way: a timeout that is to count belongs inside, `effect.pipe(Effect.timeout(1000), call("eu"))`.
 * Law 8: who is let in tells how it ended whatever happens: the effect can be interrupted, asking and telling cannot. Law 11: times are
 * by Effect's clock. Law 5: outcomes wait for room in a full mailbox. A restart begins closed, and hears nothing of who was let in before.
 * Fails: `BreakerOpen`, as the effect does, as an ask does when there is no actor.
 * Cost: two messages, two steps of XState (BreakerStep): 20 us a call.
 *
 * Considered effect/persistence's CircuitBreaker: shared by processes over Redis, one probe, no slow calls: take it where processes have
 * to open together. Sources: Nygard, Release It! (2007); Pekko's (told how long; openings grow), resilience4j's (window, rate, slow).
 */
import { Cause, Clock, type Duration, Effect, Exit, PubSub, Random, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, type AskError, InvalidOption, Options, type Self } from "troupe"
import * as Machine from "./BreakerMachine.ts"
import * as BreakerStep from "./BreakerStep.ts"
import { type Event, initial, Outcome, State, StateName, Status, statusOf } from "./BreakerState.ts"

export { initial, Status } from "./BreakerState.ts"

/** Not let in: it is open, or as many as may are probing. */
export class BreakerOpen extends Schema.TaggedError<BreakerOpen>()("BreakerOpen", {
  address: Schema.String,
  state: StateName,
  millis: Schema.Finite
}) {
  override get message(): string {
    const why = this.state === "open" ? "open" : "its probes are under way"
    return `${this.address}: ${why}, for another ${this.millis} ms at the most (options openFor, probes, probeTimeout)`
  }
}

/** Checked when the breaker is made; F: the errors that calls may have. */
export interface BreakerOptions<F = unknown> extends Machine.MachineOptions {
  /** Whether a typed error speaks against the service. Default: each does. */
  readonly isFailure?: (error: F) => boolean
  /** A call that takes so long has failed. Default "infinity". */
  readonly slowAfter?: Duration.Input | "infinity"
}

/**
 * A breaker of that type: spawn or host its `behavior`, and each key has a circuit.
 *
 * ```ts
 * const payments = Breaker.make("Payments", { isFailure: (error: HttpError) => error.status >= 500 })
 * yield* ActorSystem.host(payments.behavior)
 * const receipt = yield* charge(card).pipe(payments.call("eu"))
 * ```
 */
export const make = <F = unknown>(
  type: string,
  { isFailure = () => true, slowAfter, ...options }: BreakerOptions<F> = {}
) => {
  const machine = Machine.make(type, options)
  const stepped = BreakerStep.make(machine)
  const slow = Options.millis(`${type}.slowAfter`, slowAfter, Number.POSITIVE_INFINITY)
  if (typeof isFailure !== "function") {
    throw new InvalidOption({ field: `${type}.isFailure`, value: typeof isFailure, range: "a function" })
  }
  const definition = Actor.make(type, {
    state: State,
    protocol: [
      Rpc.make("Enter", { success: Schema.Int, error: BreakerOpen }),
      Rpc.make("Ended", { payload: { epoch: Schema.Int, outcome: Outcome } }),
      Rpc.make("Due"),
      Rpc.make("Status", { success: Status }),
      Rpc.make("Changes", { success: Status, stream: true })
    ]
  })
  /** What listeners hear. */
  const hubs = Actor.local<PubSub.PubSub<Status>>()
  const step = Effect.fnUntraced(function* (before: State, event: Event, self: Self<Rpc.Rpc<"Due">>) {
    const at = yield* Clock.currentTimeMillis
    const next = stepped(before, event, at)
    const { context, value } = next
    if (context.due === undefined) self.timers.cancel("due")
    else if (context.due !== before.context.due) self.timers.once("due", Math.max(1, context.due - at), "Due")
    if (value !== before.value) yield* PubSub.publish(hubs(self), statusOf(next))
    return next
  })
  const behavior = definition.behavior({
    mailbox: { overflow: "suspend" },
    initial: Effect.fnUntraced(function* (_key, self) {
      const hub = yield* PubSub.sliding<Status>({ capacity: 16, replay: 1 })
      // what was let in by a former life, and ends in this one, is of no epoch here
      const epoch = yield* Random.nextIntBetween(0, 2 ** 40)
      const state: State = { value: "closed", context: { ...initial, epoch } }
      yield* PubSub.publish(hub, statusOf(state))
      hubs.set(self, hub)
      return state
    }),
    on: {
      *Enter(state, _, self) {
        const next = yield* step(state, { type: "CALL" }, self)
        if (next.context.calls > state.context.calls) return Actor.reply(next.context.epoch, next)
        const millis = (state.context.due ?? 0) - (yield* Clock.currentTimeMillis)
        return yield* new BreakerOpen({ address: self.ref.address, state: state.value, millis: Math.max(1, millis) })
      },
      Ended: (state, ended, self) => step(state, { type: "ENDED", ...ended }, self),
      Due: (state, _, self) => step(state, { type: "DUE" }, self),
      Status: (state) => Actor.reply(statusOf(state)),
      Changes: (_state, _, self) => Stream.fromPubSub(hubs(self))
    }
  })

  const outcomeOf = (exit: Exit.Exit<unknown, F>, millis: number): Outcome => {
    if (Exit.isFailure(exit)) {
      if (Cause.hasInterruptsOnly(exit.cause)) return "ignored"
      const counts = (reason: Cause.Reason<F>) =>
        Cause.isDieReason(reason) || (Cause.isFailReason(reason) && isFailure(reason.error))
      if (exit.cause.reasons.some(counts)) return "failed"
    }
    return millis >= slow ? "failed" : "ok"
  }
  const at = (key: string, parent?: ActorRef) => definition.at(key, parent)
  /** Runs an effect if it is let in; `of`: a key, or the ref of one that is somebody's child. */
  const call =
    (of: string | ReturnType<typeof at>) =>
    <A, E extends F, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | BreakerOpen | AskError, R> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const ref = typeof of === "string" ? at(of) : of
          const epoch = yield* ref.ask("Enter")
          const began = yield* Clock.currentTimeMillis
          const exit = yield* Effect.exit(restore(effect))
          const took = (yield* Clock.currentTimeMillis) - began
          // an isFailure that throws is a defect of the caller's, and says nothing of the service
          const judged = yield* Effect.exit(Effect.sync(() => outcomeOf(exit, took)))
          const outcome = Exit.isSuccess(judged) ? judged.value : "ignored"
          // when the actor has ended meanwhile, nobody counts any more
          yield* Effect.ignore(ref.tell("Ended", { epoch, outcome }))
          if (Exit.isFailure(judged)) return yield* Effect.failCause(judged.cause)
          return yield* exit
        })
      )
  return { behavior, call, machine, at }
}
