/**
 * Streamed replies: a handler of an Rpc with `stream: true` answers with a Stream, and its asker has a Stream.
 *
 *   consumer -- ask --> callee's turn -- commits --> producer, a fiber of the incarnation
 *      ^                                                 |
 *      +----------- Queue of 16 elements <---------------+
 *
 * Floor 1; `ask` is called by ActorRef, `streamed` by Plan, `answer` by the turn's commit. Law 8: the turn ends at once, so
 * the stream lives as long as asker and incarnation and changes state only by messages. Either end ends the other: a
 * consumer that has enough, or is interrupted, has the producer interrupted; a restart is `CalleeFailed` to the consumer,
 * a stop `ActorStopped`. The ask's timeout and its cancellation count until the first element, or the end.
 * Law 3: `held` of them an actor. Law 4: the message is finished when its turn commits; a tell has no stream run for it.
 *
 * A defect of the stream, or one stream too many, is `CalleeFailed` to that consumer and reported, not supervised, unlike
 * a failure of `self.fork`: somebody hears of it, and a restart would end the streams of everybody else for one of them.
 * Ahead of a slow consumer it is by the 16 that the consumer took as one chunk, 16 that wait, and its own chunk at hand.
 * Cost: two switches of fibers a chunk: 1.8 M items/s one by one, 6.9 M/s in chunks of 16; 10 us to open and end one. The
 * asker does not wait for the producer's finalizers.
 * Considered: the asker's fiber runs the stream itself, twice as fast; rejected because it would run the callee's code
 * outside of its incarnation.
 */
import { Cause, Effect, Exit, type Fiber, Queue, Stream } from "effect"
import { type AskError, InvalidUse, type LimitReached } from "../kernel/Errors.ts"
import type { ActorRef } from "./ActorRef.ts"
import { Ask, AskEffect, TAKEN } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import * as Forks from "./Forks.ts"
import { NoReply, Reply } from "./Outcome.ts"
import type { Handler } from "./Plan.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"

/** Elements that the producer may be ahead. More: fewer switches of fibers, more memory a slow consumer. */
const capacity = 16

/** Of the asker's fiber, so that its continuation runs in its own turn. */
type Elements = Queue.Queue<unknown, unknown>

/** A question that a stream answers: settled by the first element; until then it is withdrawn like any ask. */
export class StreamAsk extends Ask {
  readonly #elements: Elements
  #begun = false
  /** The consumer has left or was told the end: nothing more is said to it. */
  #over = false
  #producer: Fiber.Fiber<unknown, unknown> | undefined = undefined

  constructor(
    elements: Elements,
    ref: ActorRef<never>,
    target: Cell,
    tag: number,
    millis: number,
    asker: Cell | undefined,
    caller: unknown = asker?.ref
  ) {
    super(ref, target, tag, millis, asker, caller)
    this.#elements = elements
  }

  /** What was produced, and how it ended. To be read once the first element, or the end, has settled the ask. */
  get elements(): Stream.Stream<unknown, unknown> {
    return Stream.fromQueue(this.#elements)
  }

  override get answered(): boolean {
    return this.#begun || this.exit !== undefined
  }

  override get awaited(): string | undefined {
    if (this.exit === undefined) return super.awaited
    return this.#over ? undefined : `an element of ${this.#name}`
  }

  get #name(): string {
    return `the stream of ${this.target.address} for "${this.target.tagName(this.tag)}"`
  }

  /** The turn has committed: the producer begins, unless the asker has left meanwhile (`Actor.Committed`). */
  override answer(stream: unknown): void {
    if (this.answered) return
    this.#begun = true
    this.phase = TAKEN
    this.onCancel = () => this.leave()
    const cell = this.target
    const streams = (cell.record().streams ??= new Set())
    try {
      Forks.checkHeld(cell, streams.size, "live streams")
    } catch (error) {
      return this.#refused(error as LimitReached)
    }
    streams.add(this)
    const produced = Stream.runForEachArray(stream as Stream.Stream<unknown, unknown>, (chunk) => {
      if (this.exit === undefined) this.settle(Exit.void)
      return Queue.offerAll(this.#elements, chunk)
    })
    this.#producer = Forks.held(cell, produced, (exit) => {
      streams.delete(this)
      this.#ended(exit)
    })
  }

  #ended(exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isSuccess(exit)) return this.#finish(Cause.fail(Cause.Done()))
    const { reasons } = exit.cause
    const failure = reasons.find(Cause.isFailReason)
    const typed = this.target.program.plan.protocol.errs[this.tag] === true && !reasons.some(Cause.isDieReason)
    if (failure !== undefined && typed) return this.#finish(Cause.fail(failure.error))
    // interrupted because its consumer has left, or its incarnation ends: nobody is left to hear of it
    if (this.#over && Cause.hasInterruptsOnly(exit.cause)) return
    this.#broken(exit.cause)
  }

  /** One stream too many: refused by name, like any message that would hold more than the actor may. */
  #refused(error: LimitReached): void {
    const { runtime } = this.target.program
    const tag = this.target.tagName(this.tag)
    runtime.reported(this.target, { incident: runtime.incident(), tag, cause: Cause.fail(error) })
    this.fail(error)
  }

  /** A failure of the stream, not of the turn. */
  #broken(cause: Cause.Cause<unknown>): void {
    const cell = this.target
    const { runtime } = cell.program
    const incident = runtime.incident()
    runtime.reported(cell, { incident, tag: cell.tagName(this.tag), cause })
    this.fail(Refusal.failed(cell, incident))
  }

  /** The callee ends it. */
  fail(error: AskError): void {
    this.#finish(Cause.fail(error))
  }

  /** What was produced before is consumed first. */
  #finish(cause: Cause.Cause<unknown>): void {
    if (this.#over) return
    this.#over = true
    this.settle(Exit.void)
    Runtime.after(this.target.program.runtime, { deliver: () => void Queue.failCauseUnsafe(this.#elements, cause) })
  }

  /** The consumer ends it, or gives up before the first element. */
  leave(): void {
    if (this.#over) return
    this.#over = true
    this.cancel()
    this.#producer?.interruptUnsafe()
  }
}

/** One run of `ask`. */
class Opening extends AskEffect {
  readonly elements: Elements
  #ask: StreamAsk | undefined = undefined

  constructor(elements: Elements, ref: ActorRef<never>, tag: number, payload: unknown, millis: number) {
    super(ref, tag, payload, millis)
    this.elements = elements
  }

  override make(ref: ActorRef<never>, target: Cell, tag: number, millis: number, asker: Cell | undefined): Ask {
    return (this.#ask = new StreamAsk(this.elements, ref, target, tag, millis, asker))
  }

  leave(): void {
    this.#ask?.leave()
  }
}

/** A client's request for a stream, to be sent. */
export const request = (cell: Cell, tag: number, millis: number, client: unknown): StreamAsk => {
  const elements = Effect.runSync(Queue.bounded<unknown, unknown>(capacity))
  return new StreamAsk(elements, cell.ref, cell, tag, millis, undefined, client)
}

/** `ref.ask` of a stream Rpc. */
export const ask = (
  ref: ActorRef<never>,
  tag: number,
  payload: unknown,
  millis: number
): Stream.Stream<unknown, unknown> => {
  const open = Effect.map(
    Queue.bounded<unknown, unknown>(capacity),
    (elements) => new Opening(elements, ref, tag, payload, millis)
  )
  return Stream.unwrap(
    // the consumer may be interrupted between the first element and its next step: its scope leaves in any case
    Effect.acquireRelease(open, (opening) => Effect.sync(() => opening.leave())).pipe(
      Effect.flatMap((opening) => Effect.as(opening, Stream.fromQueue(opening.elements)))
    )
  )
}

/** Makes a Reply of a Stream, and refuses anything else: a Stream must not be taken for the next state. */
export const streamed = (handler: Handler, tag: string): Handler => {
  return (state, payload, self) => {
    const outcome = (out: unknown): unknown => {
      if (Stream.isStream(out)) return new Reply<unknown, unknown>(out, undefined, false)
      if (out instanceof NoReply || (out instanceof Reply && Stream.isStream(out.value))) return out
      throw new InvalidUse({ address: self.ref.address, reason: `answers "${tag}" (stream: true) without a Stream` })
    }
    const out = handler(state, payload, self)
    return Effect.isEffect(out) ? Effect.map(out, outcome) : outcome(out)
  }
}
