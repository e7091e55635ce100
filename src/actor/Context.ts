/**
 * `self`: what a handler may ask of its own actor.
 *
 * Floor 1; one object an incarnation, given to every handler. Rule: a turn is atomic in what goes through `self`: sends,
 * broadcasts, timers, stash, answers and stop are staged and released in order when the handler succeeds, discarded when it
 * fails. Called from a fork or a stray callback, outside any handler, they act at once.
 * Law 8: when the incarnation ends, its `self` is revoked: its calls are no-ops, counted (`snapshot().revokedCalls`).
 * What an incarnation holds beside its state is found by `self`, too: `Actor.local`.
 * Misuse (an unknown tag, one timer too many) throws by name in the handler, which is then its failure.
 */
import { type Duration, Effect, Exit, type Fiber, type Scope } from "effect"
import type { Rpc } from "effect/rpc"
import { RESERVED, SENT } from "../kernel/Envelope.ts"
import { InvalidUse, LimitReached } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { ActorRef, type AskOptions } from "./ActorRef.ts"
import * as ActorTimers from "./ActorTimers.ts"
import { Ask, TAKEN } from "./Ask.ts"
import { Behavior } from "./Behavior.ts"
import type { Cell } from "./Cell.ts"
import { checkClose, type Client } from "./Client.ts"
import * as Deferral from "./Deferral.ts"
import * as Forks from "./Forks.ts"
import type { Ticket } from "./Extra.ts"
import type { Asked, Message, PayloadArgs, PayloadThen, WithTag } from "./Protocol.ts"
import type { Runtime, SpawnArgs } from "./Runtime.ts"
import * as Staging from "./Staging.ts"
import { BUSY, UNBORN } from "./Status.ts"
import * as StopOrder from "./StopOrder.ts"
import { StreamAsk } from "./Streaming.ts"

/** Keyed timers of one incarnation. */
export interface SelfTimers<P extends Rpc.Any> {
  /** Sends `message` to self once, after `delay`. */
  readonly once: (key: string, delay: Duration.Input, ...message: Message<P>) => void
  /** Sends `message` to self every `interval`, one undelivered firing at the most. */
  readonly every: (key: string, interval: Duration.Input, ...message: Message<P>) => void
  readonly cancel: (key: string) => void
  readonly has: (key: string) => boolean
}

export interface ForkOptions {
  /** `fail` (default): a failure of the fork is the actor's; `log`: it is reported and forgotten. */
  readonly onFailure?: "fail" | "log"
}

export interface BroadcastOptions {
  /** Clients left out; one or many. */
  readonly except?: Client | ActorRef | undefined | ReadonlyArray<Client | ActorRef | undefined>
}

export class ActorContext<P extends Rpc.Any, E extends Rpc.Any = never> {
  readonly #home: Cell
  /** Which life between restarts this object belongs to; 1 at first. */
  readonly incarnation: number
  declare readonly "~P": (_: P) => void
  declare readonly "~E": (_: E) => void

  constructor(cell: Cell) {
    this.#home = cell
    this.incarnation = cell.incarnation
  }

  get ref(): ActorRef<P> {
    return this.#home.ref as ActorRef<P>
  }

  get key(): string {
    return String(this.#home.key)
  }

  private get runtime(): Runtime {
    return this.#home.program.runtime
  }

  /** The cell, while this incarnation lives. */
  private get cell(): Cell | undefined {
    const cell = this.#home
    return cell.alive && cell.incarnation === this.incarnation ? cell : undefined
  }

  /** The same, counting a call that comes too late. */
  private get live(): Cell | undefined {
    const cell = this.cell
    if (cell === undefined) this.runtime.counts.revokedCalls++
    return cell
  }

  /** The list that this call is staged in; undefined outside of a handler. */
  private staging(cell: Cell): Staging.Staging | undefined {
    const { scheduler } = this.runtime
    if (scheduler.current !== cell || !scheduler.handling) return undefined
    return (cell.status & BUSY) === 0 ? this.runtime.scratch : cell.extra?.running?.staging
  }

  private stage(op: number, a: unknown, b?: unknown, c?: unknown): void {
    const cell = this.live
    if (cell === undefined) return
    const staging = this.staging(cell)
    if (staging !== undefined) staging.add(op, a, b, c)
    else cell.act(op, a, b, c)
  }

  /** The origin of the message that is being handled. */
  private get origin(): unknown {
    const cell = this.cell
    const { scheduler } = this.runtime
    if (cell === undefined || scheduler.current !== cell || !scheduler.handling) return undefined
    const origin = (cell.status & BUSY) === 0 ? this.runtime.origin : cell.extra?.running?.origin
    return origin === SENT ? undefined : origin
  }

  /** The client behind this message, or the ref whose handler asked; undefined otherwise. */
  get caller(): Client | ActorRef | undefined {
    const origin = this.origin
    if (origin instanceof Ask) return origin.caller as Client | ActorRef | undefined
    return origin as Client | undefined
  }

  /** The client behind this message, if a client is. */
  get client(): Client | undefined {
    const { caller } = this
    return caller instanceof ActorRef ? undefined : caller
  }

  /** Sends a message. A refusal then is a dead letter `mailboxFull`; a full `suspend` mailbox holds this actor up. */
  send<Q extends Rpc.Any, T extends Q["_tag"]>(ref: ActorRef<Q>, tag: T, ...payload: PayloadArgs<WithTag<Q, T>>): void
  // not a rest parameter: it would cost an array a message
  send(ref: ActorRef<never>, tag: string, payload?: unknown): void {
    const { protocol } = ref
    const at = protocol.position(tag)
    const message = protocol.construct(at, payload)
    const home = this.#home
    const { runtime } = home.program
    if (!runtime.plain || runtime.scheduler.current !== home || home.self !== this) {
      return this.stage(Staging.SEND, ref, at, message)
    }
    const { scratch } = runtime
    const to = ref.cell
    if (scratch.size === 0 && to !== undefined && to.lend(at, message)) scratch.receivers[scratch.lent++] = to
    else scratch.add(Staging.SEND, ref, at, message)
  }

  /** `ref.ask`: in a handler the turn waits for it; in a fork it does not. */
  ask<Q extends Rpc.Any, T extends Q["_tag"]>(
    ref: ActorRef<Q>,
    tag: T,
    ...args: PayloadThen<WithTag<Q, T>, AskOptions>
  ): Asked<WithTag<Q, T>> {
    return ref.ask(tag, ...args)
  }

  /** Hands the asker on, deadline included; return `Actor.noReply()`. A tell is passed on as a tell. */
  forward<Q extends Rpc.Any, T extends Q["_tag"]>(
    ref: ActorRef<Q>,
    tag: T,
    ...payload: PayloadArgs<WithTag<Q, T>>
  ): void {
    const at = ref.protocol.position(tag)
    const origin = this.origin
    if (origin instanceof Ask) {
      const streams = ref.protocol.streams[at] === true
      if (origin instanceof StreamAsk !== streams) {
        const [asked, answers] = streams ? ["once", "by a stream"] : ["by a stream", "once"]
        const reason = `forwards an ask that is answered ${asked} to "${tag}", which answers ${answers}`
        throw new InvalidUse({ address: this.ref.address, reason })
      }
      origin.phase = TAKEN
    }
    this.stage(Staging.FORWARD, ref, at, [ref.protocol.construct(at, payload[0]), origin])
  }

  /**
   * Answers later, from wherever: return `Actor.noReply()`. On a tell the handle has nobody to answer. Throws for an Rpc
   * with `stream: true`: its Stream may begin when it likes (`Stream.unwrap`, `Stream.callback`).
   */
  defer<A = never, F = never>(): Deferral.Deferral<A, F> {
    const cell = this.live
    const origin = this.origin
    if (cell === undefined || !(origin instanceof Ask)) return new Deferral.Deferral<A, F>(undefined, undefined)
    if (origin instanceof StreamAsk) {
      const reason = `defers "${cell.tagName(origin.tag)}": a Stream is an answer that comes later already`
      throw new InvalidUse({ address: cell.address, reason })
    }
    // its asker has gone: nobody is left to be answered, nor to take it off what is held
    if (origin.answered) return new Deferral.Deferral<A, F>(undefined, undefined)
    return Deferral.make<A, F>(cell, origin, (exit) => {
      const staging = this.cell === undefined ? undefined : this.staging(this.cell)
      if (staging === undefined) return origin.settle(exit)
      staging.add(Staging.ANSWER, origin, exit, undefined)
      return origin.exit === undefined
    })
  }

  /** Makes a child. It starts when the handler succeeds; its life ends with this one. Throws `NameTaken`. */
  spawn<Q extends Rpc.Any, In = void>(
    behavior: Behavior<Q, never, In>,
    key?: string,
    ...[options]: SpawnArgs<In>
  ): ActorRef<Q> {
    const cell = this.live
    if (cell === undefined) return new ActorRef<Q>(behavior.plan.protocol, key ?? "revoked", this.#home.address)
    const { plan } = Options.made("self.spawn.behavior", behavior, Behavior, "definition.behavior(...)")
    const child = this.runtime.spawnChild(cell, plan, key, options)
    child.status |= UNBORN
    this.stage(Staging.START, child)
    return child.ref as ActorRef<Q>
  }

  /** Tells `onTerminated` once when that actor's present life ends (law 10). */
  watch(ref: ActorRef<never>): void {
    const cell = this.live
    if (cell === undefined) return
    if (cell.program.plan.hooks.onTerminated === undefined) {
      throw new InvalidUse({ address: cell.address, reason: `watches ${ref.address} but has no onTerminated` })
    }
    this.runtime.watch(cell, ref)
  }

  /** Ends a watch; a `Terminated` that lies in the mailbox is withdrawn. */
  unwatch(ref: ActorRef<never>): void {
    const cell = this.live
    if (cell !== undefined) this.runtime.unwatch(cell, ref)
  }

  /** Fails together with that actor, both ways, until one of the two incarnations ends. */
  link(ref: ActorRef<never>): void {
    const cell = this.cell
    if (cell !== undefined) Forks.checkHeld(cell, cell.extra?.links?.size ?? 0, "links")
    this.stage(Staging.LINK, ref)
  }

  unlink(ref: ActorRef<never>): void {
    this.stage(Staging.UNLINK, ref)
  }

  /** A fiber of this incarnation: it goes on after the turn, and ends with the incarnation. */
  fork<A, F>(effect: Effect.Effect<A, F, Scope.Scope>, options: ForkOptions = {}): Fiber.Fiber<A, F> {
    const cell = this.live
    const onFailure = Options.oneOf("fork.onFailure", options.onFailure, "fail", ["fail", "log"])
    if (cell === undefined) return Effect.runFork(Effect.interrupt) as Fiber.Fiber<never>
    const done = (exit: Exit.Exit<unknown, unknown>): void => Forks.failure(cell, exit, onFailure)
    return Forks.fork(cell, effect as Effect.Effect<A, F>, done) as Fiber.Fiber<A, F>
  }

  /** Long work that frees the turn: its exit comes back as mail, in a reserved slot; an interruption of its fiber, too. */
  pipe<A, F>(
    effect: Effect.Effect<A, F, Scope.Scope>,
    toMessage: (exit: Exit.Exit<A, F>) => Message<P>
  ): Fiber.Fiber<A, F> {
    const cell = this.live
    if (cell === undefined) return Effect.runFork(Effect.interrupt) as Fiber.Fiber<never>
    const ticket: Ticket = { incarnation: cell.incarnation, timer: undefined, piped: true, valid: true }
    const ended = (exit: Exit.Exit<unknown, unknown>): void => {
      let message: readonly [string, unknown?]
      try {
        message = toMessage(exit as Exit.Exit<A, F>) as unknown as readonly [string, unknown?]
        const { protocol } = cell.program.plan
        const at = protocol.position(message[0])
        if (cell.deliver(at + RESERVED, protocol.construct(at, message[1]), ticket)) cell.record().piped++
      } catch (defect) {
        Forks.failure(cell, Exit.die(defect), "fail")
      }
    }
    return Forks.fork(cell, effect as Effect.Effect<A, F>, ended) as Fiber.Fiber<A, F>
  }

  /** How many timers there would be with `key`, those staged by this handler included. */
  private timersWith(cell: Cell, key: string): number {
    const armed = cell.extra?.timers
    const staging = this.staging(cell)
    const bound = (armed?.size ?? 0) + 1 + (staging === undefined ? 0 : staging.size / 4)
    if (staging === undefined || bound <= cell.program.plan.held) return bound - (armed?.has(key) === true ? 1 : 0)
    const keys = new Set([...(armed?.keys() ?? []), key])
    for (let at = 0; at < staging.size; at += 4) {
      const op = staging.words[at]
      if (op === Staging.TIMER) keys.add((staging.words[at + 1] as ActorTimers.ActorTimer).key)
      else if (op === Staging.CANCEL_TIMER) keys.delete(staging.words[at + 1] as string)
    }
    return keys.size
  }

  private setTimer(key: string, delay: Duration.Input, message: Message<P>, repeats: boolean): void {
    const cell = this.live
    if (cell === undefined) return
    const [tag, payload] = message as unknown as readonly [string, unknown?]
    const { protocol } = cell.program.plan
    const at = protocol.position(tag)
    const millis = Options.millis(`timers.${key}`, delay, 0)
    Forks.checkHeld(cell, this.timersWith(cell, key) - 1, "timers")
    const timer = new ActorTimers.ActorTimer(cell, key, at, protocol.construct(at, payload), millis, repeats)
    this.stage(Staging.TIMER, timer)
  }

  /** Keyed timers. */
  get timers(): SelfTimers<P> {
    return {
      once: (key, delay, ...message) => this.setTimer(key, delay, message, false),
      every: (key, interval, ...message) => this.setTimer(key, interval, message, true),
      cancel: (key) => this.stage(Staging.CANCEL_TIMER, key),
      has: (key) => this.cell?.extra?.timers?.has(key) ?? false
    }
  }

  /** Puts the message at hand aside; return `Actor.noReply()`. Throws when the stash is full. */
  stash(): void {
    const cell = this.live
    if (cell === undefined) return
    const { stash } = cell.program.plan
    if ((cell.extra?.stash?.length ?? 0) >= stash) {
      throw new LimitReached({ what: `${cell.address}: stash`, limit: stash, option: "behavior option stash" })
    }
    const staging = this.staging(cell)
    if (staging === undefined) throw new InvalidUse({ address: cell.address, reason: "stash outside of a handler" })
    const origin = this.origin
    if (origin instanceof Ask) origin.phase = TAKEN
    staging.stashes = true
  }

  /** Puts the first `count` stashed messages (default all) back at the head of the mailbox, in arrival order. */
  unstash(count: number = Number.MAX_SAFE_INTEGER): void {
    this.stage(Staging.UNSTASH, Options.integer("unstash", count, 0, 0, Number.MAX_SAFE_INTEGER))
  }

  /** The message this actor sends itself when it goes idle (behaviour option `idleAfter`). */
  idleTimeout(...message: Message<P>): void {
    const cell = this.live
    if (cell === undefined) return
    if (!Number.isFinite(cell.program.plan.idleMillis)) {
      throw new InvalidUse({ address: cell.address, reason: "idleTimeout needs the behavior option idleAfter" })
    }
    const [tag, payload] = message as unknown as readonly [string, unknown?]
    const at = cell.program.plan.protocol.position(tag)
    this.stage(Staging.IDLE_MESSAGE, at, cell.program.plan.protocol.construct(at, payload))
  }

  /** Ends this life when the handler has succeeded. */
  stop(options?: StopOrder.StopOptions): void {
    this.stage(Staging.STOP, StopOrder.check(options))
  }

  /** Sends an event to all clients whose `onConnect` has run; encoded once. */
  broadcast<T extends E["_tag"]>(event: T, ...args: PayloadThen<WithTag<E, T>, BroadcastOptions>): void {
    const [payload, options] = args as unknown as readonly [unknown, BroadcastOptions?]
    const except = options?.except
    const out = except === undefined ? [] : Array.isArray(except) ? except : [except]
    this.stage(Staging.BROADCAST, out, event, payload)
  }

  /** Sends an event to one client. */
  push<T extends E["_tag"]>(client: Client, event: T, ...payload: PayloadArgs<WithTag<E, T>>): void {
    this.stage(Staging.PUSH, client, event, payload[0])
  }

  /** Closes a client's connection after what was sent to it. Codes 4000-4999 are the application's (RFC 6455, 7.4.2). */
  close(client: Client, code = 1000, reason = ""): void {
    checkClose(code, reason)
    this.stage(Staging.CLOSE, client, code, reason)
  }

  /** The clients connected now. */
  get clients(): ReadonlySet<Client> {
    return this.cell?.extra?.clients ?? new Set()
  }

  /** Closed when this incarnation ends: for what a handler acquires and keeps. What is added after that is finalized at once. */
  get scope(): Scope.Scope {
    const cell = this.live
    return cell === undefined ? Forks.closedScope : Forks.scope(cell)
  }

  toString(): string {
    return this.ref.address
  }
}
