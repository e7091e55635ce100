/**
 * A client of an agent in a simulated run: what a WebSocket connection is to the agent, without socket and frames.
 *
 * Floor 5; made by `sim.client(ref)`; stands where the gateway's `Connection` stands, on `supervision/Edge`.
 * Law 8: a cut takes its requests along, as a closed socket does. Law 2: `onDisconnect` comes behind what was sent before.
 * Law 4: a request has one outcome; a notification that the agent refuses is a dead letter, as at the gateway.
 * Like the gateway's it may call what stands in `clients`, and nothing else. Events are encoded, as a `StubClient`'s are;
 * what it sends itself is not, so it is not validated.
 */
import { Effect, Exit } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { PayloadArgs, PayloadThen, WithTag } from "../actor/Protocol.ts"
import { type AskError, InvalidUse, MailboxFull } from "../kernel/Errors.ts"
import type { Line, Request } from "../supervision/Edge.ts"
import { StubClient, type StubClientOptions } from "./StubClient.ts"

export interface RequestOptions {
  /** Milliseconds until the request has failed with `AskTimeout`. Default 30,000, the gateway's. */
  readonly timeoutMillis?: number
}

export class SimulatedClient<in P extends Rpc.Any> extends StubClient {
  readonly #ref: ActorRef<P>
  readonly #after: (task: () => void) => void
  readonly #requests = new Set<Request>()
  #line: Line | undefined = undefined

  /** `after`: does something in a later step. */
  constructor(ref: ActorRef<P>, options: StubClientOptions, after: (task: () => void) => void) {
    super(ref.protocol, options)
    this.#ref = ref
    this.#after = after
  }

  /** Internal: it has connected. */
  open(line: Line): void {
    this.#line = line
  }

  get connected(): boolean {
    return this.closed === undefined
  }

  #position(tag: string): number {
    const { protocol } = this.#ref
    const at = protocol.position(tag)
    if (protocol.clients.has(at)) return at
    throw new InvalidUse({ address: this.#ref.address, reason: `"${tag}" is nothing that clients may call` })
  }

  /** A call that waits for its answer. Interrupted, it is cancelled; a cut interrupts it. */
  request<T extends P["_tag"]>(
    tag: T,
    ...args: PayloadThen<WithTag<P, T>, RequestOptions>
  ): Effect.Effect<Rpc.Success<WithTag<P, T>>, Rpc.Error<WithTag<P, T>> | AskError>
  request(tag: string, payload?: unknown, options: RequestOptions = {}): Effect.Effect<unknown, unknown> {
    return Effect.callback<unknown, unknown>((resume) => {
      if (this.closed !== undefined || this.#line === undefined) return resume(Effect.interrupt)
      let settled = false
      const { protocol } = this.#ref
      const at = this.#position(tag)
      const made = protocol.construct(at, payload)
      const request = this.#line.request(at, made, options.timeoutMillis ?? 30_000, (exit) => {
        if (settled) throw new Error(`law 4: the request "${tag}" of ${this.id} had two outcomes`)
        settled = true
        if ("cancel" in request) this.#requests.delete(request)
        resume(exit)
      })
      if (!("cancel" in request)) return resume(Exit.fail(request))
      if (!settled) this.#requests.add(request)
      return Effect.sync(() => {
        this.#requests.delete(request)
        request.cancel()
      })
    })
  }

  /** A call that no answer belongs to. False when the agent refused it, or the connection is gone. */
  notify<T extends P["_tag"]>(tag: T, ...payload: PayloadArgs<WithTag<P, T>>): boolean
  notify(tag: string, payload?: unknown): boolean {
    const line = this.#line
    if (this.closed !== undefined || line === undefined) return false
    const at = this.#position(tag)
    const made = this.#ref.protocol.construct(at, payload)
    const refused = line.notify(at, made, () => {})
    if (refused !== undefined) line.refuse(at, made, refused instanceof MailboxFull ? "mailboxFull" : "stopped")
    return refused === undefined
  }

  /** Ends the connection: its requests are cancelled, and the agent hears of it. False when it had ended. */
  disconnect(code: number = 1000, reason: string = ""): boolean {
    if (this.closed !== undefined) return false
    this.closed = { code, reason }
    this.#end()
    return true
  }

  /** The network is gone: as `disconnect`, without a goodbye (code 1006 of RFC 6455). */
  cut(): boolean {
    return this.disconnect(1006, "cut")
  }

  /** The agent closes it: nothing more is sent, and like a socket's its end is heard of in a later step. */
  override close(code: number, reason: string): void {
    if (this.closed !== undefined) return
    super.close(code, reason)
    this.#after(() => this.#end())
  }

  #end(): void {
    for (const request of this.#requests) request.cancel()
    this.#requests.clear()
    this.#line?.disconnect(this.closed!)
  }
}
