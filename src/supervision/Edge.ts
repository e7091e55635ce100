/**
 * How a host of connections reaches agents: connect, request, notify, disconnect.
 *
 * Floor 2; used by the gateway (floor 3), which knows frames and sockets but no cells.
 * Law 2: `onConnect` and `onDisconnect` keep their place behind what the connection sent before, in slots reserved when it
 * connected, so they are never refused. Law 3: what lies in them is bounded by who is connected: of a client that goes before
 * it was greeted, and has said nothing that counts, the agent hears neither that it came nor that it went.
 * Law 4: a request is an ask and gets one outcome; a refused notification is the gateway's to count (`refuse`).
 * Law 8: `cancel` withdraws a request that is queued and interrupts its handler.
 * Cost: a request is one `Ask` object and its deadline; no fiber.
 */
import { Effect, Exit, type Fiber } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import { Ask } from "../actor/Ask.ts"
import type { Cell } from "../actor/Cell.ts"
import type { Client, Disconnected, Presence } from "../actor/Client.ts"
import * as Refusal from "../actor/Refusal.ts"
import * as Streaming from "../actor/Streaming.ts"
import { Suspended } from "../actor/Suspended.ts"
import type { Address } from "../kernel/Address.ts"
import { CONNECTED, type DeadReason, DISCONNECTED, PRESENCE } from "../kernel/Envelope.ts"
import type { AskCycle, TellError } from "../kernel/Errors.ts"
import type { System } from "./System.ts"

/** A request under way. */
export interface Request {
  /** The asker has gone: withdraws it, or interrupts its handler unless it is Committed. */
  readonly cancel: () => void
}

/** One agent as one connection sees it: pinned to the life it connected to. */
export class Line {
  readonly #system: System
  readonly #cell: Cell
  readonly #client: Client
  #presence: Presence | undefined = undefined
  /** Notifications that were taken and are not handled. */
  #notices = 0

  constructor(system: System, cell: Cell, client: Client) {
    this.#system = system
    this.#cell = cell
    this.#client = client
  }

  /** The agent's. */
  get address(): Address {
    return this.#cell.address
  }

  /** Whether the agent's life goes on. */
  get open(): boolean {
    return this.#cell.alive
  }

  /**
   * Sends a request; `onExit` is called once, after the turn that settles it; `untaken`: as if it had never been sent, and may
   * be sent again. Answers with a refusal instead of a request.
   */
  request(
    position: number,
    payload: unknown,
    millis: number,
    onExit: (exit: Exit.Exit<unknown, unknown>, untaken: boolean) => void
  ): Request | TellError | AskCycle {
    const cell = this.#cell
    if (!cell.alive) return Refusal.closed(cell.ref, this.#system)
    const ask = new Ask(cell.ref, cell, position, millis, undefined, this.#client)
    ask.onExit = onExit
    return ask.send(payload) ?? ask
  }

  /**
   * Sends a request that a stream answers; `onExit` is called once, with the first element or the end: then `elements` is to
   * be read. `leave` ends it before or after that.
   */
  stream(
    position: number,
    payload: unknown,
    millis: number,
    onExit: (exit: Exit.Exit<unknown, unknown>, untaken: boolean) => void
  ): Streaming.StreamAsk | TellError | AskCycle {
    const cell = this.#cell
    if (!cell.alive) return Refusal.closed(cell.ref, this.#system)
    const ask = Streaming.request(cell, position, millis, this.#client)
    ask.onExit = onExit
    return ask.send(payload) ?? ask
  }

  /** Runs what a connection does for its client, with the system's services. */
  run(effect: Effect.Effect<unknown, unknown>): Fiber.Fiber<unknown, unknown> {
    return Effect.runForkWith(this.#system.services)(effect)
  }

  /**
   * Sends a notification: a tell whose `self.caller` is the client. `onDone` is called once, when it has been handled: until
   * then it counts against its connection's window. It is never cancelled. Answers with a refusal, or undefined.
   */
  notify(position: number, payload: unknown, onDone: () => void): TellError | AskCycle | undefined {
    const cell = this.#cell
    if (!cell.alive) return Refusal.closed(cell.ref, this.#system)
    const ask = new Ask(cell.ref, cell, position, Number.POSITIVE_INFINITY, undefined, this.#client)
    this.#notices++
    ask.onExit = (exit) => {
      this.#notices--
      if (Exit.isFailure(exit)) this.#system.counts.unheardErrors++
      onDone()
    }
    const refused = ask.send(payload)
    if (refused !== undefined) this.#notices--
    return refused
  }

  /** A notification that was not accepted, for good: a dead letter. */
  refuse(position: number, payload: unknown, reason: DeadReason): void {
    this.#system.nowhere.accepted++
    this.#system.nowhere.dead++
    this.#system.dead(this.#cell.address, this.#cell.tagName(position), payload, reason)
  }

  /** The client has come. */
  connect(): void {
    this.#cell.deliver(CONNECTED, this.#client, "connected")
  }

  /** The client is gone. */
  disconnect(why: Disconnected): void {
    if (!this.#withdrawn()) this.#tell(DISCONNECTED, why)
  }

  /** Whether nobody needs to hear that it went: it had not been greeted. */
  #withdrawn(): boolean {
    const cell = this.#cell
    if (this.#notices > 0 || cell.extra?.clients?.has(this.#client) === true) return false
    const entry = cell.mailbox?.remove((tag, payload) => tag === CONNECTED && payload === this.#client)
    if (entry === undefined) return false
    cell.bury(CONNECTED, this.#client, "disconnected")
    return true
  }

  /** `client.away` may have changed: the agent hears of it once, however often it changes until then. */
  presence(): void {
    const { onAway, onBack } = this.#cell.program.plan.hooks
    if ((onAway === undefined && onBack === undefined) || this.#presence?.queued === true) return
    this.#presence = { queued: true }
    this.#tell(PRESENCE, this.#presence)
  }

  /** A signal, behind the client's notifications that wait for room. */
  #tell(signal: number, what: Disconnected | Presence): void {
    const mine = ({ origin }: Suspended): boolean => origin instanceof Ask && origin.caller === this.#client
    if (this.#cell.extra?.waiters?.some(mine) !== true) this.#cell.deliver(signal, this.#client, what)
    else new Suspended(this.#cell, signal, this.#client, what, Number.POSITIVE_INFINITY, () => {})
  }
}

/** The agent that `ref` names, for a client that asks and is not connected: no hook runs, no broadcast reaches it. */
export const visit = (system: System, ref: ActorRef<never>, client: Client): Line | TellError => {
  const cell = ref.locate(() => system)
  if (cell === undefined || !cell.open) return Refusal.closed(ref, system)
  return new Line(system, cell, client)
}

/** Connects a client to the agent that `ref` names, made if its type is hosted; or says why not. */
export const connect = (system: System, ref: ActorRef<never>, client: Client): Line | TellError => {
  const line = visit(system, ref, client)
  if (line instanceof Line) line.connect()
  return line
}
