/**
 * What was sent and has no answer, and what waits to be sent: both bounded.
 *
 *   offer -> [ queue: 1,024 messages, 1 MiB ] -> window of 24 requests -> socket -> answer
 *                 ^                                ^      |
 *                 |                    again, by its key  | cut, with a session: the answer may be in the replay
 *                 '------- after 1012: no answer = never taken, unless it was written before to one that was cut
 *
 * Used by Client. Law 2: messages leave in the order they were given, also over a reconnection; but streams, which may never
 * end, have three quarters of the window at most, and one that waits for a place among them is overtaken by what is none.
 * Law 3: past the bounds a message is refused at once, by name. Law 5: nothing is lost in silence: a request ends with its answer, or with an error
 * that says whether it was sent; a notification has no answer, so a written one is sent once, at the most, and counted as
 * `uncertain` when its connection goes before an answer to something behind it has shown that it was read.
 * With a session each request bears a key, under which the server handles it once, however often it is sent: what has no
 * answer is kept over a cut, and sent again behind the replay. A session that has begun anew knows no keys: there a request
 * is sent again unless told otherwise (`resend`), and may then be handled twice; a stream fails, for its elements are gone.
 * What waits here is known not to be handled, what a socket buffers is not: so no more is written than the gateway's window
 * takes and 64 KiB of buffer. A socket does not say when it has room again: while it has none, it is looked at every 20 ms.
 * A request that was given up keeps its place in the window until its answer comes, for at the gateway it has one too.
 */
import { RESTART } from "./Backoff.ts"
import { Disconnected, FrameTooLarge, InvalidOption, QueueFull, StreamBroken } from "./Errors.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { Link } from "./Link.ts"
import type { Settings } from "./Settings.ts"

/** `answered` or `failed` is called once. */
export interface Asker {
  answered(value: unknown): void
  failed(error: Error): void
  /** Elements of a stream. */
  readonly elements?: (values: ReadonlyArray<unknown>) => void
}

export interface Call {
  /** Undefined for a notification. */
  readonly id: number | undefined
  readonly method: string
  readonly frame: string
  readonly bytes: number
  /** The server handles it once, however often it is sent. */
  readonly keyed: boolean
  /** Whether it is sent again to a session that does not know its key. */
  readonly resend: boolean
  /** Undefined for a notification, and for a request that nobody waits for any more. */
  asker: Asker | undefined
  /** A stream answers it. */
  readonly stream: boolean
  /** A stream of which elements have come. */
  begun: boolean
  /** Written to a connection that was cut: it may have been handled. */
  cut: boolean
  /** Notifications written before it. */
  notices: number
}

/** How a message is to be sent. */
export interface Sending {
  readonly keyed?: boolean
  readonly resend?: boolean
}

const maxBufferedBytes = 65_536
/** Of the window, for streams: the rest is for what ends soon. */
const streamShare = 0.75
const lookMillis = 20

const encoder = new TextEncoder()

const cancel = (id: unknown): string => JSON.stringify({ jsonrpc: "2.0", method: "$/cancel", params: { id } })

/** The probe of a heartbeat, and the id of its answer: requests have numbers from 1. */
export const probeId = "probe"
const probe: string = JSON.stringify({ jsonrpc: "2.0", id: probeId, method: "$/cancel", params: { id: 0 } })

/** Sixteen digits and more: two clients of one session have keys of their own. */
const prefix = (random: () => number): string =>
  [random(), random()].map((part) => Math.floor(part * 2 ** 52).toString(36)).join("")

export class Calls {
  /** Notifications written to connections that went before anything showed that they were read. */
  uncertain = 0
  readonly #settings: Settings
  readonly #link: Link
  readonly #heartbeat: Heartbeat
  readonly #prefix: string | undefined
  #queue = new Set<Call>()
  #queuedBytes = 0
  /** The window: written to this connection or, kept by their keys, to one before it. */
  readonly #sent = new Map<number, Call>()
  /** Streams in the window. */
  #streams = 0
  /** Those of the window that are still to be sent again. */
  #again = new Set<Call>()
  /** Messages may be written: the connection is open, and the replay read. */
  #open = false
  #ids = 0
  /** Notifications written, those of them known to be read, and those before the probe that has no answer. */
  #notices = 0
  #noticed = 0
  #probed: number | undefined = undefined
  #lostBy: readonly [code: number, reason: string] = [0, ""]
  #timer: unknown = undefined

  constructor(settings: Settings, link: Link, heartbeat: Heartbeat) {
    this.#settings = settings
    this.#link = link
    this.#heartbeat = heartbeat
    this.#prefix = settings.session ? prefix(settings.random) : undefined
  }

  /** Throws `QueueFull`, `FrameTooLarge`, `InvalidOption` when it does not take it. */
  offer(method: string, params: unknown, asker: Asker | undefined, sending: Sending = {}): Call {
    if (params !== undefined && (typeof params !== "object" || params === null)) {
      throw new InvalidOption("params", params, "an object: JSON-RPC has no others")
    }
    const { maxFrameBytes, maxQueued, maxQueuedBytes } = this.#settings
    const { keyed = true, resend = this.#settings.resend } = sending
    const id = asker === undefined ? undefined : ++this.#ids
    const key = keyed && id !== undefined && this.#prefix !== undefined ? `${this.#prefix}-${id}` : undefined
    const frame = JSON.stringify({ jsonrpc: "2.0", id, method, params, requestKey: key })
    const bytes = encoder.encode(frame).length
    if (bytes > maxFrameBytes) throw new FrameTooLarge(method, bytes, maxFrameBytes)
    const stream = asker?.elements !== undefined
    const known = { id, method, frame, bytes, keyed: key !== undefined, resend, stream }
    const call: Call = { ...known, asker, begun: false, cut: false, notices: 0 }
    if (this.#queue.size === 0 && this.#mayWrite(call)) {
      this.#write(call)
      return call
    }
    if (this.#queue.size >= maxQueued || this.#queuedBytes + bytes > maxQueuedBytes) {
      throw new QueueFull(method, this.#queue.size, this.#queuedBytes)
    }
    this.#queue.add(call)
    this.#queuedBytes += bytes
    // it may be that only streams wait before it; a buffer is looked at in time
    if (this.#timer === undefined) this.flush()
    return call
  }

  /** Nobody waits for it any more. Whether it had been sent; then the server is told, now or when it is back. */
  giveUp(call: Call): boolean {
    call.asker = undefined
    if (this.#queue.delete(call)) {
      this.#queuedBytes -= call.bytes
      return false
    }
    const written = this.#link.isOpen && this.#open && this.#sent.has(call.id!) && !this.#again.has(call)
    if (written) this.#link.send(cancel(call.id))
    return true
  }

  /** The request that `id` answers, which has its answer now; undefined for none that waits. */
  answered(id: unknown): Call | undefined {
    const call = this.#sent.get(id as number)
    if (call === undefined) return undefined
    this.#noticed = Math.max(this.#noticed, call.notices)
    this.#forget(call)
    return call
  }

  /** Whether a request of this client's had this id: its answer may come twice. */
  had(id: unknown): boolean {
    return Number.isInteger(id) && (id as number) > 0 && (id as number) <= this.#ids
  }

  /** Elements of the stream that answers `id`. */
  elements(id: unknown, values: ReadonlyArray<unknown>): void {
    const call = this.#sent.get(id as number)
    if (call === undefined) return
    call.begun = true
    call.asker?.elements?.(values)
  }

  /** Asks whether the server is there. */
  probe(): void {
    if (!this.#link.isOpen) return
    this.#probed ??= this.#notices
    this.#link.send(probe)
  }

  /** The server is: it has read what was written before. */
  probeAnswered(): void {
    this.#noticed = Math.max(this.#noticed, this.#probed ?? 0)
    this.#probed = undefined
  }

  /** Something of the session is gone for good; when it is `fresh`, all that its server knew. */
  gap(fresh: boolean): void {
    for (const call of this.#sent.values()) {
      const { asker } = call
      const broken = asker?.elements !== undefined
      const refused = fresh && !call.resend
      if (broken || refused) {
        call.asker = undefined
        asker?.failed(broken ? new StreamBroken(call.method, fresh) : new Disconnected(call.method, ...this.#lostBy))
      }
      // the rest of what nobody waits for is cancelled where it may still run
      if (fresh && call.asker === undefined) this.#forget(call)
    }
  }

  /** The connection is open, and the replay read: what has no answer yet is sent again, then what waited. */
  opened(): void {
    this.#open = true
    this.#again = new Set(this.#sent.values())
    this.flush()
  }

  /** Sends what may be sent. */
  flush(): void {
    for (const call of this.#again) {
      if (!this.#roomy) break
      this.#again.delete(call)
      if (call.asker !== undefined) this.#write(call)
      else {
        this.#link.send(cancel(call.id))
        this.#forget(call)
      }
    }
    for (const call of this.#queue) {
      if (this.#overtaken(call)) continue
      if (!this.#mayWrite(call)) break
      this.#queue.delete(call)
      this.#queuedBytes -= call.bytes
      this.#write(call)
    }
    this.#look()
  }

  /**
   * The connection is gone; another one may come (`again`). Keeps what was never taken and what may be sent again by its
   * key; fails the requests whose fate is unknown. A 1012 speaks for what was written to its own connection alone.
   */
  lost(code: number, reason: string, again: boolean): void {
    this.#settings.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#open = false
    this.#again.clear()
    this.uncertain += this.#notices - this.#noticed
    this.#noticed = this.#notices
    this.#probed = undefined
    this.#lostBy = [code, reason]
    const untaken: Array<Call> = []
    for (const call of this.#sent.values()) {
      const { asker, keyed } = call
      const begun = call.begun || call.cut
      if (code === RESTART && !begun) {
        this.#forget(call)
        if (asker !== undefined) untaken.push(call)
      } else if (!again || !keyed || (code === RESTART && call.begun)) {
        this.#forget(call)
        asker?.failed(new Disconnected(call.method, code, reason))
      } else {
        // also under a 1012 now: what comes of it is for the gap of the next session to say
        call.cut = true
      }
    }
    if (untaken.length === 0) return
    this.#queue = new Set([...untaken, ...this.#queue])
    for (const call of untaken) this.#queuedBytes += call.bytes
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

  get #roomy(): boolean {
    return this.#open && this.#link.isOpen && this.#link.bufferedBytes <= maxBufferedBytes
  }

  #mayWrite(call: Call): boolean {
    if (!this.#roomy || this.#again.size > 0) return false
    if (this.#overtaken(call)) return false
    return call.id === undefined || this.#sent.size < this.#settings.maxInFlight
  }

  /** Whether it is a stream that waits for the end of another one. */
  #overtaken({ stream }: Call): boolean {
    return stream && this.#streams >= Math.max(1, Math.floor(this.#settings.maxInFlight * streamShare))
  }

  #write(call: Call): void {
    call.notices = this.#notices
    if (call.id === undefined) this.#notices++
    else {
      if (call.stream && !this.#sent.has(call.id)) this.#streams++
      this.#sent.set(call.id, call)
    }
    this.#heartbeat.wrote(call.id === undefined)
    this.#link.send(call.frame)
  }

  #forget(call: Call): void {
    if (this.#sent.delete(call.id!) && call.stream) this.#streams--
    this.#again.delete(call)
    if (this.#sent.size === 0) this.#heartbeat.finished()
  }

  /** While only the socket's buffer is in the way. */
  #look(): void {
    const waiting = this.#queue.size + this.#again.size
    if (this.#timer !== undefined || waiting === 0 || !this.#open || !this.#link.isOpen) return
    if (this.#link.bufferedBytes <= maxBufferedBytes) return
    this.#timer = this.#settings.clock.setTimeout(() => {
      this.#timer = undefined
      this.flush()
    }, lookMillis)
  }
}
