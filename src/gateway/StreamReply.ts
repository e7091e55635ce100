/**
 * A request that a stream answers: `$/chunk { id, values }` for what was produced, then the ordinary result or error.
 *
 *   agent's Stream -> 16 elements ahead -> chunk -> Outbox; while the outbox is full, or in a dialect that acknowledges
 *   chunks the last one is not, nothing is taken, so the producer waits
 *
 * Floor 3; made by Conversation. Law 3: one message of the window until it ends, 16 elements that wait, the outbox's bounds.
 * Law 8: `cancel` (`$/cancel`, the socket's end) ends it and interrupts the producer, before the first element and after.
 * The request's timeout counts until the first element. Law 12: an element that its Schema refuses ends the stream with an
 * incident. Cost: one fiber a stream, one frame a chunk.
 */
import { Cause, Effect, Exit, type Fiber, Stream } from "effect"
import type { StreamAsk } from "../actor/Streaming.ts"
import { ActorStopped, type AskCycle, type TellError } from "../kernel/Errors.ts"
import type { Line, Request } from "../supervision/Edge.ts"
import type { Codec } from "./Codec.ts"
import type { Dialect } from "./Dialect.ts"
import type * as JsonRpc from "./JsonRpc.ts"

/** What a stream needs of its conversation. */
export interface Sink {
  readonly dialect: Dialect
  /** Whether the client can be heard now. */
  readonly hearing: () => boolean
  readonly send: (frame: string) => void
  /** Waits while more is unsent than may be. */
  readonly room: Effect.Effect<void>
  /** The stream has ended: once; `untaken`: as if it had never been asked for. */
  readonly end: (exit: Exit.Exit<unknown, unknown>, untaken: boolean) => void
}

/** An element did not fit its Schema. */
export class Unfit {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

export class StreamReply implements Request {
  readonly #id: JsonRpc.Id
  readonly #position: number
  readonly #codec: Codec
  readonly #sink: Sink
  #ask: StreamAsk | undefined = undefined
  #fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  #stopped: Exit.Exit<never, ActorStopped> | undefined = undefined
  /** Chunks that the client has not acknowledged; who waits for it. */
  #unacknowledged = 0
  #goOn: (() => void) | undefined = undefined

  constructor(id: JsonRpc.Id, position: number, codec: Codec, sink: Sink) {
    this.#id = id
    this.#position = position
    this.#codec = codec
    this.#sink = sink
  }

  /** Sends the request; answers with why not. */
  open(line: Line, payload: unknown, millis: number): TellError | AskCycle | undefined {
    const ask = line.stream(this.#position, payload, millis, (exit, untaken) => this.#opened(line, exit, untaken))
    if (!("elements" in ask)) return ask
    this.#ask = ask
    return undefined
  }

  /** The host closes, and the stream does not end by itself. */
  stop(address: string): void {
    this.#stopped = Exit.fail(new ActorStopped({ address, draining: true }))
    this.cancel()
  }

  readonly cancel = (): void => {
    this.#ask?.leave()
    this.#fiber?.interruptUnsafe()
  }

  /** The client has taken a chunk. False when there was none to take. */
  acknowledge(): boolean {
    if (this.#unacknowledged === 0) return false
    if (--this.#unacknowledged === 0) this.unheard()
    return true
  }

  /** What has been said was said, or will not be heard: nothing is waited for. */
  unheard(): void {
    const goOn = this.#goOn
    // what goes on may be waiting again when this returns
    this.#goOn = undefined
    goOn?.()
  }

  readonly #acknowledged: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.#unacknowledged === 0 || !this.#sink.hearing()) return resume(Effect.void)
    this.#goOn = () => resume(Effect.void)
  })

  /** Before the next chunk. */
  get #next(): Effect.Effect<void> {
    const { dialect, room } = this.#sink
    return dialect.acknowledges ? Effect.andThen(this.#acknowledged, room) : room
  }

  #opened(line: Line, exit: Exit.Exit<unknown, unknown>, untaken: boolean): void {
    if (Exit.isFailure(exit)) return this.#sink.end(this.#stopped ?? exit, untaken)
    const elements = this.#ask!.elements
    const fiber = line.run(Stream.runForEachArray(elements, (values) => this.#chunk(values)))
    this.#fiber = fiber
    fiber.addObserver((end) => {
      this.#ask!.leave()
      this.#sink.end(Exit.isSuccess(end) ? Exit.void : (this.#stopped ?? end), false)
    })
  }

  #chunk(values: ReadonlyArray<unknown>): Effect.Effect<void, Unfit> {
    return Effect.suspend(() => {
      const encoded: Array<unknown> = []
      let unfit: Unfit | undefined
      for (const value of values) {
        const element = this.#codec.success(this.#position, value)
        if (element.ok) encoded.push(element.value)
        else unfit = new Unfit(element.why)
        if (unfit !== undefined) break
      }
      try {
        if (encoded.length > 0) {
          this.#sink.send(this.#sink.dialect.chunk(this.#id, encoded))
          this.#unacknowledged++
        }
      } catch (error) {
        // what a Schema lets pass and JSON does not: a bigint, a circle
        unfit = new Unfit(String(error))
      }
      return unfit === undefined ? this.#next : Effect.fail(unfit)
    })
  }
}

/** Why a stream's element could not be sent, if that was its end. */
export const unfitOf = (exit: Exit.Exit<unknown, unknown>): string | undefined => {
  if (Exit.isSuccess(exit)) return undefined
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  return error instanceof Unfit ? error.why : undefined
}
