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
 * 2.0: frame -> answer (`Calls`), `$/` (the protocol's own, ignored where it is news), or event (`Events`).
 * Law 12, the other way round: a server that speaks otherwise is left, by name (close 1002, or 1003 for a binary frame).
 * Sessions are not spoken yet: a reconnection is a new connection of the agent's, and events in between are missed.
 */
import * as Address from "./Address.ts"
import { Calls, probe, probeId } from "./Calls.ts"
import { Closed, InvalidOption, RpcCode, RpcError, TimedOut } from "./Errors.ts"
import { Events, type Reader, type ReaderOptions } from "./Events.ts"
import { Heartbeat } from "./Heartbeat.ts"
import { Link, type Status } from "./Link.ts"
import * as Settings from "./Settings.ts"
import type { AnyAgent, Answer, Args, EventName, Failure, Method, Params, Payload, Untyped } from "./Wire.ts"

export interface AskOptions {
  /** Gives the request up: it leaves the queue, or the server is told by `$/cancel`. Rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Instead of the client's own. */
  readonly timeoutMillis?: number
}

/** Bytes that a close frame has left for its reason (RFC 6455, 5.5). */
const maxReasonBytes = 123

interface Message {
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
  readonly #status = new Set<{ readonly listener: (status: Status) => void }>()
  #closed: Closed | undefined = undefined

  /** Internal: `connect` makes it. */
  constructor(url: string, settings: Settings.Settings) {
    this.url = url
    this.#settings = settings
    this.#events = new Events(settings.report)
    this.#link = new Link(url, settings, {
      opened: () => {
        this.#heartbeat.start()
        this.#calls.flush()
      },
      received: (data) => this.#received(data),
      lost: (code, reason) => {
        this.#heartbeat.stop()
        this.#calls.lost(code, reason)
      },
      changed: (status) => this.#changed(status)
    })
    this.#heartbeat = new Heartbeat(
      settings.clock,
      settings.random,
      settings.heartbeatMillis,
      () => {
        if (this.#link.isOpen) this.#link.send(probe)
      },
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
    const registration = { listener }
    this.#status.add(registration)
    return () => void this.#status.delete(registration)
  }

  /**
   * Sends a request; resolves with its answer. Without a connection it waits in the queue.
   * Rejects: `RpcError` (see `failed` for the method's own), `Disconnected`, `TimedOut`, `QueueFull`, `FrameTooLarge`,
   * `Closed`, `InvalidOption`, or the signal's reason.
   */
  ask<T extends Method<D>>(method: T, ...args: Args<Params<D, T>, [options?: AskOptions]>): Promise<Answer<D, T>>
  ask(method: string, params?: unknown, options: AskOptions = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      Settings.known("ask", options, ["signal", "timeoutMillis"])
      const { signal } = options
      const { clock } = this.#settings
      const millis = Settings.millis("ask.timeoutMillis", options.timeoutMillis ?? this.#settings.timeoutMillis, true)
      signal?.throwIfAborted()
      if (this.#closed !== undefined) throw this.#closed
      let timer: unknown
      const settled = (): void => {
        clock.clearTimeout(timer)
        signal?.removeEventListener("abort", aborted)
      }
      const call = this.#calls.offer(method, params, {
        answered: (value) => {
          settled()
          resolve(value)
        },
        failed: (error) => {
          settled()
          reject(error)
        }
      })
      const aborted = (): void => {
        settled()
        this.#calls.giveUp(call)
        reject(signal!.reason as Error)
      }
      const late = (): void => {
        settled()
        reject(new TimedOut(method, millis, this.#calls.giveUp(call)))
      }
      signal?.addEventListener("abort", aborted)
      if (millis !== Number.POSITIVE_INFINITY) timer = clock.setTimeout(late, millis)
    })
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
  failed<T extends Method<D>>(method: T, error: unknown): error is RpcError<Failure<D, T>> {
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
   * `code` 1000 or 3000-4999; `reason` up to 123 bytes.
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
      this.#closed = new Closed(code, reason, local, this.#calls.queued)
      this.#calls.end(this.#closed)
      this.#events.end(this.#closed)
    }
    for (const { listener } of Array.from(this.#status)) {
      try {
        listener(status)
      } catch (error) {
        this.#settings.report(error)
      }
    }
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
    for (const message of Array.isArray(json) ? (json as ReadonlyArray<unknown>) : [json]) this.#message(message)
    this.#calls.flush()
  }

  #message(json: unknown): void {
    // an earlier message of a batch may have closed this client
    if (this.#closed !== undefined) return
    if (typeof json !== "object" || json === null) return this.#violated("no message")
    const { id, method, params, result, error } = json as Message
    if (typeof method === "string") {
      if (!method.startsWith("$/")) this.#events.emit(method, params)
      return
    }
    if (id === probeId) return this.#heartbeat.answered()
    const call = this.#calls.answered(id)
    if (call === undefined) return this.#violated(`an answer to no request: ${JSON.stringify(error ?? result)}`)
    if (error == null) return call.asker?.answered(result)
    const { code, message, data } = error
    call.asker?.failed(new RpcError(call.method, Number(code), String(message), data))
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
