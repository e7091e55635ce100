/**
 * A client of one agent: asks it, notifies it, hears its events, over a connection that comes back.
 *
 * ```ts
 * import { connect } from "troupe/client"
 * import type { Room } from "./room.ts" // the definition, as a type: a bundle gets nothing of it
 *
 * const room = connect<typeof Room>({ url: "wss://example.org", type: "Room", key: "lobby" })
 * room.on("Said", ({ text }) => console.log(text))
 * const lines = await room.ask("Say", { text: "hi" }) // => 1
 * ```
 *
 * The whole of `troupe/client` runs in browsers and in Node, and imports nothing but types. It speaks the gateway's JSON-RPC
 * 2.0: frame -> answer or elements (`Calls`), `$/` (the protocol's own, ignored where it is news), or event (`Events`).
 * Law 12, the other way round: a server that speaks otherwise is left, by name (close 1002, or 1003 for a binary frame).
 * A reconnection resumes the session: $/session -> gap told -> replay -> unanswered requests again -> what waited. Without
 * sessions it is a new connection of the agent's, and events in between are missed.
 */
import * as Address from "./Address.ts"
import { TAKEN_OVER } from "./Backoff.ts"
import { type Asker, Calls, probeId, type Sending } from "./Calls.ts"
import { Closed, InvalidOption, RpcCode, RpcError, TakenOver, TimedOut } from "./Errors.ts"
import { Events, Reader, type ReaderOptions } from "./Events.ts"
import { Heartbeat } from "./Heartbeat.ts"
import { Link, type Status, type Target } from "./Link.ts"
import { Listeners } from "./Listeners.ts"
import { type Gap, Session } from "./Session.ts"
import * as Settings from "./Settings.ts"
import type {
  AnyAgent,
  Answer,
  Args,
  Element,
  EventName,
  Failure,
  Method,
  Params,
  Payload,
  StreamMethod,
  StreamParams,
  Untyped
} from "./Wire.ts"

interface Abortable {
  /** Gives the request up: it leaves the queue, or the server is told by `$/cancel`. Rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface AskOptions extends Abortable {
  /** Instead of the client's own. It goes on counting while the connection is away. */
  readonly timeoutMillis?: number
  /** Instead of the client's own: false for what must not be handled twice. */
  readonly resend?: boolean
}

/** `buffer`: elements that wait to be read, default 16,384; a stream cannot be held up, so more than that end it. */
export interface StreamOptions extends ReaderOptions, Abortable {}

/** Bytes that a close frame has left for its reason (RFC 6455, 5.5). */
const maxReasonBytes = 123

interface Message {
  readonly seq?: unknown
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly data?: unknown } | null
}

export class Client<D extends AnyAgent = Untyped> {
  readonly url: string
  readonly #settings: Settings.Settings
  readonly #link: Link
  readonly #calls: Calls
  readonly #events: Events
  readonly #heartbeat: Heartbeat
  readonly #session: Session | undefined
  readonly #status: Listeners<Status>
  readonly #gaps: Listeners<Gap>
  #closed: Closed | undefined = undefined

  /** Internal: `connect` makes it. */
  constructor(url: string, settings: Settings.Settings) {
    this.url = url
    this.#settings = settings
    this.#events = new Events(settings.report)
    this.#session = settings.session ? new Session() : undefined
    this.#status = new Listeners(settings.report)
    this.#gaps = new Listeners(settings.report)
    this.#link = new Link(settings, {
      target: (credential) => this.#target(credential),
      connected: () => {
        if (this.#session === undefined) this.#established(true)
      },
      received: (data) => this.#received(data),
      lost: (code, reason, again) => {
        this.#heartbeat.stop()
        this.#calls.lost(code, reason, again)
      },
      changed: (status) => this.#changed(status)
    })
    this.#heartbeat = new Heartbeat(
      settings.clock,
      settings.random,
      settings.heartbeatMillis,
      () => this.#calls.probe(),
      () => this.#link.drop("no answer to the heartbeat")
    )
    this.#calls = new Calls(settings, this.#link, this.#heartbeat)
    this.#link.connect()
  }

  /** Where the connection stands. */
  get status(): Status {
    return this.#link.status
  }

  /** Hears each change of `status`. The answer ends it. */
  onStatus(listener: (status: Status) => void): () => void {
    return this.#status.add(listener)
  }

  /** Hears that something the agent sent is gone for good: fetch anew what is shown. The answer ends it. */
  onGap(listener: (gap: Gap) => void): () => void {
    return this.#gaps.add(listener)
  }

  /** Notifications of which nobody knows whether they arrived: written, and the connection went before that was shown. */
  get uncertain(): number {
    return this.#calls.uncertain
  }

  /**
   * Sends a request; resolves with its answer. Without a connection it waits in the queue.
   * Rejects: `RpcError` (see `failed` for the method's own), `Disconnected`, `TimedOut`, `QueueFull`, `FrameTooLarge`,
   * `Closed`, `InvalidOption`, or the signal's reason.
   */
  ask<T extends Method<D>>(method: T, ...args: Args<Params<D, T>, [options?: AskOptions]>): Promise<Answer<D, T>>
  ask(method: string, params?: unknown, options: AskOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      Settings.known("ask", options, ["signal", "timeoutMillis", "resend"])
      const millis = Settings.millis("ask.timeoutMillis", options.timeoutMillis ?? this.#settings.timeoutMillis, true)
      const resend = Settings.flag("ask.resend", options.resend ?? this.#settings.resend)
      this.#request(method, params, options, millis, { answered: resolve, failed: reject }, { resend })
    })
  }

  /**
   * Sends a request that a stream answers: its elements, from now on, with a bounded buffer. A reader that is left must
   * `return()`, as `for await` does: that cancels it. Over a reconnection it goes on, unless elements were lost.
   * Its `next` rejects as `ask` does, with `StreamBroken`, or with `EventsLost` when the buffer is full. Throws `QueueFull`,
   * `FrameTooLarge`, `Closed`, `InvalidOption`.
   */
  stream<T extends StreamMethod<D>>(
    method: T,
    ...args: Args<StreamParams<D, T>, [options?: StreamOptions]>
  ): Reader<Element<D, T>>
  stream(method: string, params?: unknown, options: StreamOptions = {}): Reader<unknown> {
    Settings.known("stream", options, ["signal", "buffer", "overflow"])
    const { buffer = 16_384, overflow = "fail" } = options
    let leave = (): void => {}
    const reader = new Reader<unknown>("stream", method, { buffer, overflow }, () => leave())
    leave = this.#request(method, params, options, Number.POSITIVE_INFINITY, {
      elements: (values) => {
        for (const value of values) reader.push(value)
      },
      answered: () => reader.end(undefined),
      failed: (error) => reader.end(error)
    })
    return reader
  }

  /** Renews the credential of this connection, and of those to come where it was given as text. */
  async authenticate(token: string): Promise<{ readonly expiresAt: number | null }> {
    const { timeoutMillis } = this.#settings
    const answer = await new Promise<unknown>((answered, failed) => {
      this.#request("$/auth", { token }, {}, timeoutMillis, { answered, failed }, { keyed: false })
    })
    if (typeof this.#link.credential === "string") this.#link.credential = token
    return answer as { readonly expiresAt: number | null }
  }

  /** Begins a request. The answer gives it up, unless it has ended. */
  #request(
    method: string,
    params: unknown,
    { signal }: Abortable,
    millis: number,
    asker: Asker,
    sending?: Sending
  ): () => void {
    const { clock } = this.#settings
    signal?.throwIfAborted()
    if (this.#closed !== undefined) throw this.#closed
    let timer: unknown
    let ended = false
    const end = (): void => {
      ended = true
      clock.clearTimeout(timer)
      signal?.removeEventListener("abort", aborted)
    }
    const call = this.#calls.offer(
      method,
      params,
      {
        ...asker,
        answered: (value) => {
          end()
          asker.answered(value)
        },
        failed: (error) => {
          end()
          asker.failed(error)
        }
      },
      sending
    )
    const giveUp = (): boolean => {
      end()
      return this.#calls.giveUp(call)
    }
    const aborted = (): void => {
      giveUp()
      asker.failed(signal!.reason as Error)
    }
    signal?.addEventListener("abort", aborted)
    if (millis !== Number.POSITIVE_INFINITY) {
      timer = clock.setTimeout(() => asker.failed(new TimedOut(method, millis, giveUp())), millis)
    }
    return () => {
      if (!ended) giveUp()
    }
  }

  /**
   * Sends a message that has no answer: once, at the most. Without a connection it waits in the queue.
   * Throws when it does not take it: `QueueFull`, `FrameTooLarge`, `Closed`, `InvalidOption`.
   */
  notify<T extends Method<D>>(method: T, ...args: Args<Params<D, T>, []>): void
  notify(method: string, params?: unknown): void {
    if (this.#closed !== undefined) throw this.#closed
    this.#calls.offer(method, params, undefined)
  }

  /** Whether `error` is the typed error of a method of this agent: then `error.data` is what its Schema encodes. */
  failed<T extends Method<D> | StreamMethod<D>>(method: T, error: unknown): error is RpcError<Failure<D, T>> {
    return error instanceof RpcError && error.method === method && error.code === RpcCode.application
  }

  /** Hears the events of a name. The answer ends it. */
  on<T extends EventName<D>>(event: T, listener: (payload: Payload<D, T>) => void): () => void {
    return this.#events.on(event, listener as (payload: unknown) => void)
  }

  /** The events of a name as an async iterable with a bounded buffer, from now on. A reader that is left must `return()`. */
  events<T extends EventName<D>>(event: T, options: ReaderOptions = {}): Reader<Payload<D, T>> {
    const reader = this.#events.read(event, options)
    if (this.#closed !== undefined) reader.end(this.#closed.local ? undefined : this.#closed)
    return reader as Reader<Payload<D, T>>
  }

  /**
   * Closes for good: requests under way reject with `Disconnected`, waiting ones with `Closed`, readers end.
   * `code` 1000, which ends the session at once, or 3000-4999, which leaves it to its grace; `reason` up to 123 bytes.
   */
  close(code: number = 1000, reason: string = ""): void {
    if (code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
      throw new InvalidOption("close.code", code, "1000, or 3000-4999")
    }
    if (typeof reason !== "string" || new TextEncoder().encode(reason).length > maxReasonBytes) {
      throw new InvalidOption("close.reason", reason, `text of up to ${maxReasonBytes} bytes`)
    }
    this.#link.close(code, reason, true)
  }

  #changed(status: Status): void {
    if (status.state === "closed") {
      const { code, reason, local } = status
      const Kind = code === TAKEN_OVER && !local && this.#session !== undefined ? TakenOver : Closed
      this.#closed = new Kind(code, reason, local, this.#calls.queued)
      this.#calls.end(this.#closed)
      this.#events.end(this.#closed)
    }
    this.#status.tell(status)
  }

  #target(credential: string | undefined): Target {
    if (this.#session === undefined && credential === undefined) return { url: this.url, protocols: undefined }
    const url = new URL(this.url)
    this.#session?.ask(url.searchParams)
    const protocols = credential === undefined ? undefined : Address.authorize(url.searchParams, credential)
    return { url: url.href, protocols }
  }

  /** The connection counts as open; `complete`: no replay comes first. */
  #established(complete: boolean): void {
    this.#link.establish(() => {
      this.#heartbeat.start()
      if (complete) this.#calls.opened()
    })
  }

  #received(data: unknown): void {
    if (typeof data !== "string") return this.#link.close(1003, "the server sent a binary frame", false)
    this.#heartbeat.heard()
    let json: unknown
    try {
      json = JSON.parse(data)
    } catch {
      return this.#violated("no JSON")
    }
    const session = this.#session
    if (session?.begun === false) return this.#begin(session, json)
    for (const message of Array.isArray(json) ? (json as ReadonlyArray<unknown>) : [json]) this.#message(message)
    if (session?.handled() === true) this.#calls.opened()
    this.#calls.flush()
  }

  /** The first frame of a connection with a session. */
  #begin(session: Session, json: unknown): void {
    const { method, params } = (json ?? {}) as Message
    const beginning = method === "$/session" ? session.begin(params) : undefined
    if (beginning === undefined) return this.#violated("no $/session first (session: false for a server that has none)")
    const { gap, fresh } = beginning
    if (gap) this.#calls.gap(fresh)
    this.#established(!session.replaying)
    if (gap && this.#closed === undefined) this.#gaps.tell({ fresh })
  }

  #message(json: unknown): void {
    // an earlier message of a batch may have closed this client
    if (this.#closed !== undefined) return
    if (typeof json !== "object" || json === null) return this.#violated("no message")
    const { seq, id, method, params, result, error } = json as Message
    const read = this.#session?.read(seq)
    if (read === "wrong") return this.#violated(`seq: ${JSON.stringify(seq)}`)
    if (read === "known") return
    if (typeof method === "string") {
      if (method === "$/chunk") this.#elements(params)
      else if (!method.startsWith("$/")) this.#events.emit(method, params)
      return
    }
    if (id === probeId) {
      this.#calls.probeAnswered()
      return this.#heartbeat.answered()
    }
    const call = this.#calls.answered(id)
    if (call === undefined) {
      // one that was sent again may be answered again
      if (this.#calls.had(id)) return
      return this.#violated(`an answer to no request: ${JSON.stringify(error ?? result)}`)
    }
    if (error == null) return call.asker?.answered(result)
    const { code, message, data } = error
    call.asker?.failed(new RpcError(call.method, Number(code), String(message), data))
  }

  #elements(params: unknown): void {
    const { id, values } = (params ?? {}) as { readonly id?: unknown; readonly values?: unknown }
    if (!Array.isArray(values)) return this.#violated("$/chunk without values")
    this.#calls.elements(id, values)
  }

  #violated(what: string): void {
    this.#link.close(1002, `the server does not speak JSON-RPC 2.0: ${what}`.slice(0, 100), false)
  }
}

/** Connects to an agent, typed by its definition: `connect<typeof Room>(...)`. Throws `InvalidOption`. */
export const connect = <D extends AnyAgent = Untyped>(
  address: string | URL | Address.AgentAddress,
  options: Settings.ClientOptions = {}
): Client<D> => new Client<D>(Address.resolve(address), Settings.check(options))
