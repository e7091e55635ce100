/**
 * What was sent and has no answer, and what waits to be sent: both bounded.
 *
 *   offer -> [ queue: 1,024 messages, 1 MiB ] -> window of 24 requests -> socket -> answer
 *                 ^                                       |
 *                 '------- after 1012: no answer = never taken
 *
 * Used by Client. Law 2: messages leave in the order they were given, also over a reconnection. Law 3: past the bounds a
 * message is refused at once, by name. Law 5: nothing is lost in silence: a request ends with its answer, or with an error
 * that says whether it was sent; a notification has no answer, so a written one is sent once, at the most.
 * What waits here is known not to be handled, what a socket buffers is not: so no more is written than the gateway's window
 * takes and 64 KiB of buffer. A socket does not say when it has room again: while it has none, it is looked at every 20 ms.
 * A request that was given up keeps its place in the window until its answer comes, for at the gateway it has one too.
 */
import { RESTART } from "./Backoff.ts"
import { Disconnected, FrameTooLarge, InvalidOption, QueueFull } from "./Errors.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { Link } from "./Link.ts"
import type { Settings } from "./Settings.ts"

/** Called once. */
export interface Asker {
  answered(value: unknown): void
  failed(error: Error): void
}

export interface Call {
  /** Undefined for a notification. */
  readonly id: number | undefined
  readonly method: string
  readonly frame: string
  readonly bytes: number
  /** Undefined for a notification, and for a request that nobody waits for any more. */
  asker: Asker | undefined
}

const maxBufferedBytes = 65_536
const lookMillis = 20

const encoder = new TextEncoder()

const notification = (method: string, params: unknown): string => JSON.stringify({ jsonrpc: "2.0", method, params })

/** The probe of a heartbeat, and the id of its answer: requests have numbers from 1. */
export const probeId = "probe"
export const probe: string = JSON.stringify({ jsonrpc: "2.0", id: probeId, method: "$/cancel", params: { id: 0 } })

export class Calls {
  readonly #settings: Settings
  readonly #link: Link
  readonly #heartbeat: Heartbeat
  #queue = new Set<Call>()
  #queuedBytes = 0
  readonly #sent = new Map<number, Call>()
  #ids = 0
  #timer: unknown = undefined

  constructor(settings: Settings, link: Link, heartbeat: Heartbeat) {
    this.#settings = settings
    this.#link = link
    this.#heartbeat = heartbeat
  }

  /** Throws `QueueFull`, `FrameTooLarge`, `InvalidOption` when it does not take it. */
  offer(method: string, params: unknown, asker: Asker | undefined): Call {
    if (params !== undefined && (typeof params !== "object" || params === null)) {
      throw new InvalidOption("params", params, "an object: JSON-RPC has no others")
    }
    const { maxFrameBytes, maxQueued, maxQueuedBytes } = this.#settings
    const id = asker === undefined ? undefined : ++this.#ids
    const frame = JSON.stringify({ jsonrpc: "2.0", id, method, params })
    const bytes = encoder.encode(frame).length
    if (bytes > maxFrameBytes) throw new FrameTooLarge(method, bytes, maxFrameBytes)
    const call: Call = { id, method, frame, bytes, asker }
    if (this.#queue.size === 0 && this.#mayWrite(call)) {
      this.#write(call)
      return call
    }
    if (this.#queue.size >= maxQueued || this.#queuedBytes + bytes > maxQueuedBytes) {
      throw new QueueFull(method, this.#queue.size, this.#queuedBytes)
    }
    this.#queue.add(call)
    this.#queuedBytes += bytes
    this.#look()
    return call
  }

  /** Nobody waits for it any more. Whether it had been sent; then the server is told. */
  giveUp(call: Call): boolean {
    call.asker = undefined
    if (this.#queue.delete(call)) {
      this.#queuedBytes -= call.bytes
      return false
    }
    if (this.#link.isOpen && this.#sent.has(call.id!)) this.#link.send(notification("$/cancel", { id: call.id }))
    return true
  }

  /** The request that `id` answers, which has its answer now; undefined for none. */
  answered(id: unknown): Call | undefined {
    const call = this.#sent.get(id as number)
    if (call === undefined) return undefined
    this.#sent.delete(call.id!)
    if (this.#sent.size === 0) this.#heartbeat.finished()
    return call
  }

  /** Sends what may be sent. */
  flush(): void {
    for (const call of this.#queue) {
      if (!this.#mayWrite(call)) break
      this.#queue.delete(call)
      this.#queuedBytes -= call.bytes
      this.#write(call)
    }
    this.#look()
  }

  /** The connection is gone: fails the requests whose fate is unknown, keeps those that were never taken. */
  lost(code: number, reason: string): void {
    const sent = [...this.#sent.values()].filter((call) => call.asker !== undefined)
    this.#sent.clear()
    this.#settings.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    if (code === RESTART) {
      this.#queue = new Set([...sent, ...this.#queue])
      for (const call of sent) this.#queuedBytes += call.bytes
    } else for (const call of sent) call.asker!.failed(new Disconnected(call.method, code, reason))
  }

  /** How many messages wait to be sent. */
  get queued(): number {
    return this.#queue.size
  }

  /** No connection will come: fails the requests that wait. */
  end(error: Error): void {
    const queue = this.#queue
    this.#queue = new Set()
    this.#queuedBytes = 0
    for (const call of queue) call.asker?.failed(error)
  }

  #mayWrite(call: Call): boolean {
    if (!this.#link.isOpen || this.#link.bufferedBytes > maxBufferedBytes) return false
    return call.id === undefined || this.#sent.size < this.#settings.maxInFlight
  }

  #write(call: Call): void {
    if (call.id !== undefined) this.#sent.set(call.id, call)
    this.#heartbeat.wrote(call.id === undefined)
    this.#link.send(call.frame)
  }

  /** While only the socket's buffer is in the way. */
  #look(): void {
    if (this.#timer !== undefined || this.#queue.size === 0 || !this.#link.isOpen) return
    if (this.#link.bufferedBytes <= maxBufferedBytes) return
    this.#timer = this.#settings.clock.setTimeout(() => {
      this.#timer = undefined
      this.flush()
    }, lookMillis)
  }
}
