/**
 * A behaviour in isolation: send it one message, then look at what it made of it. No system, no clock, no waiting.
 *
 * ```ts
 * const stub = BehaviorStub.make(counter, { key: "clicks" })
 * stub.send("Increment", { by: 2 })
 * stub.state // => { count: 2 }
 * stub.send("Read") // => Exit.succeed(2), also in stub.reply
 * stub.effects // => [{ _tag: "Send", to, tag, payload }, ...]: what the turn did through `self`
 * ```
 *
 * Floor 5; used by tests. It runs the real Turn, Context, Staging and Outputs on a runtime that the test turns by hand
 * (`StubRuntime`); only the other actors are stand-ins: children and whoever is named take mail (`inbox`) and never run.
 * - `send`, `fireTimer`, `connect`, `disconnect`, `terminated` each handle exactly one message, before any mail that waits: it
 *   comes from another sender, so law 2 allows it. Mail that the behaviour sends itself waits for `next()`.
 * - A handler that suspends: `yield* stub.run(...)`; meanwhile `advance(duration)` moves its time, `inbox(ref)` its asks.
 * - One that fails: `failure` has the Cause, the staged effects are gone, the state is what it was; nobody supervises, so
 *   the next message finds the same incarnation (as under `resume`).
 * - State is frozen, time starts at 0 and is the stub's own, whatever Clock the services hold.
 */
import { Context, type Duration, Effect, type Exit } from "effect"
import type { Rpc } from "effect/rpc"
import { Ask, QUEUED as ASK_QUEUED } from "../actor/Ask.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Behavior } from "../actor/Behavior.ts"
import { Cell } from "../actor/Cell.ts"
import type { Client, Disconnected } from "../actor/Client.ts"
import type { ActorContext } from "../actor/Context.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import { freeze } from "../actor/Freeze.ts"
import { Program } from "../actor/Plan.ts"
import type { PayloadThen, WithTag } from "../actor/Protocol.ts"
import { BUSY, HELD, NO_STATE, QUEUED, STARTING } from "../actor/Status.ts"
import * as StopOrder from "../actor/StopOrder.ts"
import * as Address from "../kernel/Address.ts"
import { CONNECTED, DISCONNECTED, PRESENCE, TERMINATED } from "../kernel/Envelope.ts"
import { type AskError, InvalidUse } from "../kernel/Errors.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import * as Options from "../kernel/Options.ts"
import type { Received } from "./Bystander.ts"
import { StubClient, type StubClientOptions } from "./StubClient.ts"
import { RecordingSelf, type StubEffect, type StubFailure } from "./StubEffect.ts"
import { type StubDeadLetter, StubRuntime } from "./StubRuntime.ts"

/** What a stub is made of, besides its behaviour. */
export interface BehaviorStubOptions<S> {
  /** Default "stub". */
  readonly key?: string
  /** Begins with this state; `initial` is not run. */
  readonly state?: S
}

type InputOption<In> = [In] extends [void] ? { readonly input?: In } : { readonly input: In }
type ServicesOption<R> = [R] extends [never]
  ? { readonly services?: Context.Context<never> }
  : { readonly services: Context.Context<R> }

type StubArgs<R, In, S> = [In, R] extends [void, never]
  ? [options?: BehaviorStubOptions<S> & InputOption<In> & ServicesOption<R>]
  : [options: BehaviorStubOptions<S> & InputOption<In> & ServicesOption<R>]

/** Who sends. */
export interface StubSendOptions {
  /** `self.client` of the handler: only what stands in `clients` may be sent so. */
  readonly client?: Client
  /** `self.caller` of the handler: an actor that asks. */
  readonly from?: ActorRef
}

/** What an asker gets; undefined while there is no answer: deferred, forwarded or stashed. */
export type StubReply<Q extends Rpc.Any> = Exit.Exit<Rpc.Success<Q>, Rpc.Error<Q> | AskError> | undefined

/** The cell under test: run by the stub, never by a sweep. */
class Subject extends Cell {
  readonly #note: (effect: StubEffect) => void
  constructor(program: Program, key: string, note: (effect: StubEffect) => void) {
    super(program, key, undefined)
    this.#note = note
  }
  override context(): ActorContext<never> {
    return (this.self ??= new RecordingSelf(this, this.#note) as unknown as ActorContext<never>)
  }
  override schedule(): void {
    this.status |= QUEUED
  }
}

export class BehaviorStub<S, in out P extends Rpc.Any> {
  readonly #runtime: StubRuntime
  readonly #cell: Subject
  readonly #waiting = new Set<() => void>()
  #effects: Array<StubEffect> = []
  #asked: Ask | undefined = undefined
  declare readonly "~P": (_: P) => P

  private constructor(
    behavior: Behavior<P, unknown, never, S>,
    options: BehaviorStubOptions<S> & { readonly input?: unknown; readonly services?: Context.Context<never> }
  ) {
    Options.known("stub", options, ["key", "state", "input", "services"])
    this.#runtime = new StubRuntime(options.services ?? Context.empty())
    const program = new Program(behavior.plan, this.#runtime, this.#runtime.services)
    const key = Address.checkKey(options.key ?? "stub")
    this.#cell = new Subject(program, key, (effect) => void this.#effects.push(effect))
    this.#cell.input = options.input
    this.#runtime.subject = this.#cell
    this.#runtime.onQuiet = () => {
      if (!this.suspended) for (const resume of this.#waiting) resume()
    }
    if ("state" in options) {
      this.#cell.state = freeze(options.state)
      this.#cell.status &= ~HELD
      this.#cell.change(Lifecycle.READY, "ready")
    } else {
      this.#drive(() => {
        this.#cell.start()
        if ((this.#cell.status & STARTING) !== 0) this.#cell.run()
      })
    }
  }

  /** Makes a stub; `initial` runs now, unless a `state` is given. One that suspends is waited for by `settled`. */
  static make<P extends Rpc.Any, R, S, In = void>(
    behavior: Behavior<P, R, In, S>,
    ...[options]: StubArgs<R, In, S>
  ): BehaviorStub<S, P> {
    return new BehaviorStub<S, P>(behavior as unknown as Behavior<P, unknown, never, S>, options ?? {})
  }

  // ---- what one looks at

  /** The state now. Throws `InvalidUse` when there is none: `initial` failed or is suspended, or the life has ended. */
  get state(): S {
    const { state } = this.#cell
    if (state !== NO_STATE) return state as S
    return this.#refuse(this.exit === undefined ? "has no state: initial failed or is suspended" : "has stopped")
  }

  get ref(): ActorRef<P> {
    return this.#cell.ref as ActorRef<P>
  }

  /** What was done through `self` since the last message was sent, in the order in which it took effect. */
  get effects(): ReadonlyArray<StubEffect> {
    return this.#effects
  }

  /** What the asker of the last message sent got, now or by a deferred answer: a value, a typed error, or nothing yet. */
  get reply(): Exit.Exit<unknown, unknown> | undefined {
    return this.#asked?.exit
  }

  /** The failure of the last message, of `initial` or of a fork since. */
  get failure(): StubFailure | undefined {
    return this.#runtime.failures.at(-1)
  }

  /** Failures that no supervisor would hear of: of `onStop`, of a fork with `onFailure: "log"`, of an event's Schema. */
  get reports(): ReadonlyArray<StubFailure> {
    return this.#runtime.reports
  }

  /** The children that live. What they were sent is in their `inbox`. */
  get children(): ReadonlyArray<ActorRef> {
    return this.#runtime.children.map((child) => child.ref)
  }

  /** Timers that are set, by key. */
  get timers(): ReadonlyArray<string> {
    return [...(this.#cell.extra?.timers?.keys() ?? [])]
  }

  /** Messages that wait: for `next()` in the mailbox, or in the stash. */
  get queued(): number {
    return this.#cell.queued
  }

  /** Whether a handler, `initial` or a stop is under way and waits for something. */
  get suspended(): boolean {
    const { status, extra } = this.#cell
    return (status & (BUSY | STARTING)) !== 0 || extra?.teardown !== undefined
  }

  /** Why its life ended; undefined while it lives. */
  get exit(): ExitReason.ExitReason | undefined {
    return this.#cell.extra?.exit
  }

  /** Mail that found no handler: stale firings, what lay queued at a stop, sends to actors that were ended. */
  get deadLetters(): ReadonlyArray<StubDeadLetter> {
    return this.#runtime.deadLetters
  }

  /** What a kill could not end and still runs. */
  get zombies(): ReadonlyArray<string> {
    return [...this.#runtime.zombies]
  }

  /** What reached somebody else, oldest first, however it was sent; asks among it can be answered. */
  inbox(ref: ActorRef<never>): ReadonlyArray<Received> {
    return this.#runtime.bystander(ref)?.inbox ?? []
  }

  // ---- what one does to it

  /**
   * Handles one message now, as an ask. Throws `InvalidUse` for a handler that suspends (it needs `run`), for an unknown
   * tag, and after the end.
   */
  send<T extends P["_tag"]>(tag: T, ...args: PayloadThen<WithTag<P, T>, StubSendOptions>): StubReply<WithTag<P, T>>
  send(tag: string, payload?: unknown, options?: StubSendOptions): Exit.Exit<unknown, unknown> | undefined {
    const ask = this.#ask(tag, payload, options)
    if ((this.#cell.status & BUSY) !== 0)
      this.#refuse(`the handler of "${tag}" has suspended: yield* stub.run("${tag}", ...) waits for it`)
    return ask.exit
  }

  /** The same for a handler that may suspend: waits until it has ended. Interrupted, it withdraws the ask (law 8). */
  run<T extends P["_tag"]>(
    tag: T,
    ...args: PayloadThen<WithTag<P, T>, StubSendOptions>
  ): Effect.Effect<StubReply<WithTag<P, T>>>
  run(tag: string, payload?: unknown, options?: StubSendOptions): Effect.Effect<unknown> {
    return Effect.suspend(() => {
      const ask = this.#ask(tag, payload, options)
      const withdraw = Effect.sync(() => this.#drive(() => ask.cancel()))
      return Effect.map(
        Effect.onInterrupt(this.settled, () => withdraw),
        () => ask.exit
      )
    })
  }

  /** Waits until nothing of it is suspended: a handler, `initial`, or a stop. */
  get settled(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (!this.suspended) return resume(Effect.void)
      const woken = (): void => {
        this.#waiting.delete(woken)
        resume(Effect.void)
      }
      this.#waiting.add(woken)
      return Effect.sync(() => void this.#waiting.delete(woken))
    })
  }

  /** Handles the first message that waits: sent to self, the end of a pipe, unstashed. False when there is none. */
  next(): boolean {
    this.#ready("next")
    if ((this.#cell.mailbox?.size ?? 0) === 0) return false
    this.#turn(() => {})
    return true
  }

  /** Fires a timer now, whenever it is due, and handles its message. */
  fireTimer(key: string): void {
    this.#ready(`timer "${key}"`)
    const timer = this.#cell.extra?.timers?.get(key)
    if (timer === undefined) return this.#refuse(`has no timer "${key}" (set: ${this.timers.join(", ") || "none"})`)
    this.#turn(() => {
      this.#runtime.timers.cancel(timer)
      timer.expired()
      this.#first((_tag, _payload, origin) => origin === timer.pending)
    })
  }

  /** Lets the stub's time pass: sleeps end, timers fire, deadlines pass; mail that lies there then is handled. */
  advance(duration: Duration.Input): void {
    this.#begin()
    this.#runtime.clock.advance(Options.millis("advance", duration, 0), () => this.#drive(() => this.#handleAll()))
  }

  /** A client connects: `onConnect` runs. The answer is the client, a new one unless given. */
  connect(client?: StubClientOptions): StubClient
  connect<C extends Client>(client: C): C
  connect(client: Client | StubClientOptions = {}): Client {
    this.#ready("connect")
    const { protocol } = this.#cell.program.plan
    const connected = "sendNow" in client ? client : new StubClient(protocol, client)
    this.#handle(CONNECTED, connected, "connected")
    return connected
  }

  /** A client goes: `onDisconnect` runs. */
  disconnect(client: Client, why: Disconnected = { code: 1000, reason: "" }): void {
    this.#ready("disconnect")
    if (this.#cell.extra?.clients?.has(client) !== true) this.#refuse(`client ${client.id} is not connected`)
    this.#handle(DISCONNECTED, client, why)
  }

  /** A client's session loses its socket: `onAway` runs. */
  away(client: StubClient): void {
    this.#present(client, true)
  }

  /** A client's session has a socket again: `onBack` runs. */
  back(client: StubClient): void {
    this.#present(client, false)
  }

  #present(client: StubClient, away: boolean): void {
    this.#ready(away ? "away" : "back")
    if (this.#cell.extra?.clients?.has(client) !== true) this.#refuse(`client ${client.id} is not connected`)
    client.away = away
    this.#handle(PRESENCE, client, { queued: true })
  }

  /** An actor that it watches ends: `onTerminated` runs. A child ends so too. */
  terminated(ref: ActorRef<never>, reason: ExitReason.ExitReason = ExitReason.normal): void {
    this.#ready("terminated")
    const target = ref.find(() => this.#runtime)
    if (target === undefined || this.#cell.extra?.watching?.has(target) !== true) {
      return this.#refuse(`does not watch ${ref.address}`)
    }
    this.#turn(() => {
      if (target.program.runtime === this.#runtime) target.stop({ mode: "now", millis: undefined, reason })
      else {
        target.extra?.watchers?.delete(this.#cell)
        this.#cell.deliver(TERMINATED, { ref, reason }, { cell: target })
      }
      const { address } = ref
      this.#first((tag, died) => tag === TERMINATED && (died as ExitReason.Terminated).ref.address === address)
    })
  }

  /** Stops it: children, forks, `onStop`. Done when `exit` is set; one that takes time is waited for by `settled`. */
  stop(options: StopOrder.StopOptions = {}): void {
    this.#begin()
    this.#drive(() => {
      this.#cell.stop(StopOrder.check(options))
      this.#handleAll()
    })
  }

  // ---- how

  #refuse(reason: string): never {
    throw new InvalidUse({ address: this.#cell.address, reason })
  }

  /** Refuses a message while none can be handled. */
  #ready(what: string): void {
    if (this.exit !== undefined) this.#refuse(`${what}: it has stopped (${this.exit._tag})`)
    if (this.suspended) this.#refuse(`${what}: what came before is suspended still (law 1); stub.settled waits for it`)
    if ((this.#cell.status & HELD) !== 0) this.#refuse(`${what}: it has no state, initial failed`)
  }

  #begin(): void {
    this.#effects = []
    this.#runtime.failures.length = 0
  }

  /** `first`, then the fibers that are ready, until none is. */
  #drive(first: () => void): void {
    this.#runtime.drive(first)
  }

  #ask(tag: string, payload: unknown, options: StubSendOptions = {}): Ask {
    const { protocol } = this.#cell.program.plan
    const at = protocol.position(tag)
    this.#ready(`"${tag}"`)
    const { client, from } = options
    if (client !== undefined && !protocol.clients.has(at)) this.#refuse(`clients may not send "${tag}"`)
    const ask = new Ask(this.#cell.ref, this.#cell, at, Number.POSITIVE_INFINITY, undefined, client ?? from)
    ask.phase = ASK_QUEUED
    this.#asked = ask
    this.#handle(at, protocol.construct(at, payload), ask)
    return ask
  }

  /** Handles one message, in front of all that waits. */
  #handle(tag: number, payload: unknown, origin: unknown): void {
    this.#turn(() => {
      const box = (this.#cell.mailbox ??= Mailbox.acquire(this.#cell.program.plan.capacity))
      box.unshift(tag, payload, origin)
      this.#cell.accepted++
    })
  }

  #turn(put: () => void): void {
    this.#begin()
    this.#drive(() => {
      put()
      this.#cell.run()
    })
  }

  /** Brings a message that lies in the mailbox to its head. */
  #first(test: (tag: number, payload: unknown, origin: unknown) => boolean): void {
    const box = this.#cell.mailbox
    const entry = box?.remove(test)
    if (entry !== undefined) box!.unshift(...entry)
  }

  #handleAll(): void {
    for (let left = this.#cell.mailbox?.size ?? 0; left > 0; left--) {
      if ((this.#cell.status & (BUSY | HELD)) === 0) this.#cell.run()
    }
  }
}
