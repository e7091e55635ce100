/**
 * What a handler asked for through `self`, listed: the recording `self` of a stub.
 *
 * Floor 5; used by BehaviorStub. `RecordingSelf` is the real `self` with a note behind each call. Behind what is staged the
 * note is staged too, as a push to a client that nobody else knows, so the real release reaches it, or the real discard drops
 * it, together with what it is about: the list is what took effect, in the order in which it did.
 * Rule: a turn is atomic in what goes through `self`; what acts at once (`watch`, `unwatch`, `fork`, `pipe`, `defer`)
 * is noted at once, and stands when the handler fails, as it does in a running system.
 */
import { type Cause, Duration, type Effect, type Fiber, type Scope, type Exit } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { AnyBehavior, Behavior } from "../actor/Behavior.ts"
import type { Cell } from "../actor/Cell.ts"
import type { Client } from "../actor/Client.ts"
import { ActorContext, type BroadcastOptions, type ForkOptions, type SelfTimers } from "../actor/Context.ts"
import type { Deferral } from "../actor/Deferral.ts"
import type { Message, PayloadArgs, PayloadThen, WithTag } from "../actor/Protocol.ts"
import type { SpawnArgs, SpawnOptions } from "../actor/Runtime.ts"
import type { Mode, StopOptions } from "../actor/StopOrder.ts"

/** One thing that a behaviour did through `self`. Payloads are as the receiver gets them: defaults filled in. */
export type StubEffect =
  | { readonly _tag: "Send"; readonly to: ActorRef; readonly tag: string; readonly payload: unknown }
  | { readonly _tag: "Forwarded"; readonly to: ActorRef; readonly tag: string; readonly payload: unknown }
  | { readonly _tag: "Push"; readonly client: Client; readonly tag: string; readonly payload: unknown }
  | {
      readonly _tag: "Broadcast"
      readonly tag: string
      readonly payload: unknown
      readonly except: ReadonlyArray<Client>
    }
  | { readonly _tag: "Closed"; readonly client: Client; readonly code: number; readonly reason: string }
  | {
      readonly _tag: "TimerSet"
      readonly key: string
      readonly millis: number
      readonly repeats: boolean
      readonly tag: string
      readonly payload: unknown
    }
  | { readonly _tag: "TimerCancelled"; readonly key: string }
  | {
      readonly _tag: "Spawned"
      readonly behavior: AnyBehavior<unknown, never>
      readonly key: string | undefined
      readonly ref: ActorRef
      readonly options: SpawnOptions | undefined
    }
  | { readonly _tag: "Watched"; readonly ref: ActorRef }
  | { readonly _tag: "Unwatched"; readonly ref: ActorRef }
  | { readonly _tag: "Linked"; readonly ref: ActorRef }
  | { readonly _tag: "Unlinked"; readonly ref: ActorRef }
  | { readonly _tag: "Stashed" }
  | { readonly _tag: "Unstashed"; readonly count: number }
  | { readonly _tag: "Forked"; readonly fiber: Fiber.Fiber<unknown, unknown> }
  | { readonly _tag: "Piped"; readonly fiber: Fiber.Fiber<unknown, unknown> }
  | { readonly _tag: "Deferred"; readonly deferral: Deferral<unknown, unknown> }
  | { readonly _tag: "IdleTimeout"; readonly tag: string; readonly payload: unknown }
  | { readonly _tag: "Stopped"; readonly mode: Mode }

/** A failure that the behaviour had, and in which message or hook. */
export interface StubFailure {
  readonly tag: string
  readonly cause: Cause.Cause<unknown>
}

/** Hears of its push when the outputs of the turn are released. */
class Note implements Client {
  readonly id = "note"
  readonly principal = undefined
  readonly session = undefined
  readonly away = false
  readonly #note: () => void
  constructor(note: () => void) {
    this.#note = note
  }
  sendNow(): boolean {
    return false
  }
  sendShared(): boolean {
    this.#note()
    return true
  }
  close(): void {}
}

type Args = readonly [payload?: unknown, options?: unknown]

const nothing = [undefined] as unknown as PayloadArgs<WithTag<Rpc.Any, string>>

export class RecordingSelf extends ActorContext<Rpc.Any, Rpc.Any> {
  readonly #cell: Cell
  readonly #note: (effect: StubEffect) => void

  constructor(cell: Cell, note: (effect: StubEffect) => void) {
    super(cell)
    this.#cell = cell
    this.#note = note
  }

  /** Noted when what was staged just before has been released. */
  #staged(effect: StubEffect): void {
    super.push(new Note(() => this.#note(effect)), "note", ...nothing)
  }

  /** Noted now, unless this incarnation has ended and the call did nothing. */
  #done(effect: StubEffect): void {
    if (this.#cell.alive && this.#cell.incarnation === this.incarnation) this.#note(effect)
  }

  override send<Q extends Rpc.Any, T extends Q["_tag"]>(
    to: ActorRef<Q>,
    tag: T,
    ...payload: PayloadArgs<WithTag<Q, T>>
  ): void {
    super.send(to, tag, ...payload)
    this.#staged({ _tag: "Send", to: to as ActorRef, tag, payload: constructed(to as ActorRef, tag, payload as Args) })
  }

  override forward<Q extends Rpc.Any, T extends Q["_tag"]>(
    to: ActorRef<Q>,
    tag: T,
    ...payload: PayloadArgs<WithTag<Q, T>>
  ): void {
    super.forward(to, tag, ...payload)
    const sent = constructed(to as ActorRef, tag, payload as Args)
    this.#staged({ _tag: "Forwarded", to: to as ActorRef, tag, payload: sent })
  }

  override defer<A = never, F = never>(): Deferral<A, F> {
    const deferral = super.defer<A, F>()
    this.#done({ _tag: "Deferred", deferral: deferral as unknown as Deferral<unknown, unknown> })
    return deferral
  }

  override spawn<Q extends Rpc.Any, In = void>(
    behavior: Behavior<Q, never, In>,
    key?: string,
    ...options: SpawnArgs<In>
  ): ActorRef<Q> {
    const ref = super.spawn(behavior, key, ...options)
    this.#staged({ _tag: "Spawned", behavior, key, ref: ref as ActorRef, options: options[0] as SpawnOptions })
    return ref
  }

  override watch(ref: ActorRef<never>): void {
    super.watch(ref)
    this.#done({ _tag: "Watched", ref })
  }

  override unwatch(ref: ActorRef<never>): void {
    super.unwatch(ref)
    this.#done({ _tag: "Unwatched", ref })
  }

  override link(ref: ActorRef<never>): void {
    super.link(ref)
    this.#staged({ _tag: "Linked", ref })
  }

  override unlink(ref: ActorRef<never>): void {
    super.unlink(ref)
    this.#staged({ _tag: "Unlinked", ref })
  }

  override fork<A, F>(effect: Effect.Effect<A, F, Scope.Scope>, options: ForkOptions = {}): Fiber.Fiber<A, F> {
    const fiber = super.fork(effect, options)
    this.#done({ _tag: "Forked", fiber })
    return fiber
  }

  override pipe<A, F>(
    effect: Effect.Effect<A, F, Scope.Scope>,
    toMessage: (exit: Exit.Exit<A, F>) => Message<Rpc.Any>
  ): Fiber.Fiber<A, F> {
    const fiber = super.pipe(effect, toMessage)
    this.#done({ _tag: "Piped", fiber })
    return fiber
  }

  override get timers(): SelfTimers<Rpc.Any> {
    const real = super.timers
    const set = (key: string, delay: Duration.Input, message: Message<Rpc.Any>, repeats: boolean): void => {
      const [tag, payload] = message as readonly [string, unknown?]
      const millis = Duration.toMillis(Duration.fromInputUnsafe(delay))
      this.#staged({
        _tag: "TimerSet",
        key,
        millis,
        repeats,
        tag,
        payload: constructed(this.#cell.ref, tag, [payload])
      })
    }
    return {
      once: (key, delay, ...message) => {
        real.once(key, delay, ...message)
        set(key, delay, message, false)
      },
      every: (key, interval, ...message) => {
        real.every(key, interval, ...message)
        set(key, interval, message, true)
      },
      cancel: (key) => {
        real.cancel(key)
        this.#staged({ _tag: "TimerCancelled", key })
      },
      has: (key) => real.has(key)
    }
  }

  override stash(): void {
    super.stash()
    this.#staged({ _tag: "Stashed" })
  }

  override unstash(count: number = Number.MAX_SAFE_INTEGER): void {
    super.unstash(count)
    this.#staged({ _tag: "Unstashed", count })
  }

  override idleTimeout(...message: Message<Rpc.Any>): void {
    super.idleTimeout(...message)
    const [tag, payload] = message as readonly [string, unknown?]
    this.#staged({ _tag: "IdleTimeout", tag, payload: constructed(this.#cell.ref, tag, [payload]) })
  }

  override stop(options: StopOptions = {}): void {
    super.stop(options)
    this.#staged({ _tag: "Stopped", mode: options.mode ?? "now" })
  }

  override broadcast<T extends string>(event: T, ...args: PayloadThen<WithTag<Rpc.Any, T>, BroadcastOptions>): void {
    super.broadcast(event, ...args)
    const [payload, options] = args as unknown as readonly [unknown, BroadcastOptions?]
    const left = options?.except
    const except = left === undefined ? [] : Array.isArray(left) ? left : [left]
    this.#staged({ _tag: "Broadcast", tag: event, payload, except: except as ReadonlyArray<Client> })
  }

  override push<T extends string>(client: Client, event: T, ...payload: PayloadArgs<WithTag<Rpc.Any, T>>): void {
    super.push(client, event, ...payload)
    this.#staged({ _tag: "Push", client, tag: event, payload: (payload as Args)[0] })
  }

  override close(client: Client, code = 1000, reason = ""): void {
    super.close(client, code, reason)
    this.#staged({ _tag: "Closed", client, code, reason })
  }
}

/** The payload as the receiver gets it. */
const constructed = ({ protocol }: ActorRef<never>, tag: string, [payload]: Args): unknown =>
  protocol.construct(protocol.position(tag), payload)
