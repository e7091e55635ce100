/**
 * The way out of one connection: counted, written in one piece a turn of the event loop, and never silently short.
 *
 *   send, send, send -> [ head text | head text | head text ] -> one write      a shared frame over 1 KiB: its own chunk
 *
 * Floor 3; owned by Connection, which owns the socket. Law 3: bytes and frames that the socket has not taken are bounded:
 * an event past the budget is refused (the caller closes 1013), a reply never is, and while the budget is exceeded the
 * connection reads nothing, so that replies cannot pile up either. Events that may be dropped wait in `Late` instead.
 * Counting by what the raw socket keeps back after a write (`writableLength`) and by the callback of that write: `ws` gives no
 * drain signal, and `bufferedAmount` alone is not to be trusted. A socket that has always taken all at once is not asked to
 * call back: with that an echo costs 3 % less, and a host under load is 15 % smaller.
 * It writes frames to the raw socket itself: server frames are unmasked (RFC 6455, 5.2), deflate is off and no Blob is ever
 * sent, so `ws` keeps none back, and its own pings and close frames go between whole frames of ours. `flush` before a close.
 * Cost: a copy of each small frame, one buffer and one write a connection and turn, and one microtask for all
 * connections. A frame that a broadcast shares is not copied: a thousand slow clients hold it once.
 */
import type { Duplex } from "node:stream"
import { Late } from "./Late.ts"

export interface OutboxLimits {
  readonly maxBytes: number
  readonly maxFrames: number
}

/** What an outbox needs of its connection. */
export interface OutboxOwner {
  /** Whether frames may still be written. */
  readonly writable: boolean
  /** So many frames have been handed to the socket. */
  sent(frames: number): void
  /** So many bytes more, or fewer, wait for the socket. */
  weigh(bytes: number): void
  /** The budget has room. */
  drained(): void
}

/** Frames of at most so many bytes are copied together. */
const copiedBytes = 1024

const TEXT = 0x81

const headBytes = (length: number): number => (length < 126 ? 2 : length < 65_536 ? 4 : 10)

/** Writes the head of a text frame; answers with the offset behind it. */
const writeHead = (into: Buffer, at: number, length: number): number => {
  into[at] = TEXT
  if (length < 126) {
    into[at + 1] = length
    return at + 2
  }
  if (length < 65_536) {
    into[at + 1] = 126
    into.writeUInt16BE(length, at + 2)
    return at + 4
  }
  into[at + 1] = 127
  into.writeUInt32BE(Math.floor(length / 0x1_0000_0000), at + 2)
  into.writeUInt32BE(length >>> 0, at + 6)
  return at + 10
}

/** Outboxes with something to write when the stack is empty. */
let waiting: Array<Outbox> = []

const flushAll = (): void => {
  const outboxes = waiting
  waiting = []
  for (const outbox of outboxes) outbox.flush()
}

export class Outbox {
  /** Not yet taken by the socket: payload bytes, frames. */
  bytes = 0
  frames = 0
  readonly #owner: OutboxOwner
  readonly #raw: Duplex
  readonly #limits: OutboxLimits
  #late: Late | undefined = undefined
  #unwritten: Array<string | Buffer> | undefined = undefined
  #unwrittenBytes = 0
  /** Its socket has kept something back: from then on each write asks to be told when it is taken. */
  #slow = false

  constructor(owner: OutboxOwner, raw: Duplex, limits: OutboxLimits) {
    this.#owner = owner
    this.#raw = raw
    this.#limits = limits
  }

  /** Bytes that the socket has not taken, with those that wait behind them. */
  get unsent(): number {
    return this.bytes + (this.#late?.bytes ?? 0)
  }

  /** Whether the budget is used up. */
  get full(): boolean {
    return this.bytes >= this.#limits.maxBytes || this.frames >= this.#limits.maxFrames
  }

  /** Whether what is sent now would have to wait. */
  get behind(): boolean {
    return this.#late !== undefined || this.full
  }

  /** Sends a text frame with what else this turn sends. */
  send(frame: string | Buffer): void {
    if (this.#late === undefined) this.#send(frame)
    else this.#wait(this.#late, frame, false, undefined)
  }

  /**
   * Keeps an event until there is room, within the same bounds again; the oldest gives way. With a `key`, those of the same
   * key do. Answers with how many gave way: dropped, superseded.
   */
  delay(frame: Buffer | string, key: string | undefined): readonly [dropped: number, superseded: number] {
    const late = (this.#late ??= new Late())
    const before = late.bytes
    const superseded = key !== undefined && late.supersede(key) ? 1 : 0
    this.#owner.weigh(late.bytes - before)
    return [this.#wait(late, frame, true, key), superseded]
  }

  #wait(late: Late, frame: string | Buffer, event: boolean, key: string | undefined): number {
    const before = late.bytes
    late.push(frame, event, key)
    let dropped = 0
    const { maxFrames, maxBytes } = this.#limits
    while ((late.size > maxFrames || late.bytes > maxBytes) && late.dropOldest()) dropped++
    this.#owner.weigh(late.bytes - before)
    return dropped
  }

  /** Sends what waits, while there is room; all of it when the connection closes. */
  #catchUp(all: boolean): void {
    const late = this.#late
    if (late === undefined) return
    while (late.size > 0 && (all || !this.full)) {
      const before = late.bytes
      const frame = late.take()!
      this.#owner.weigh(late.bytes - before)
      this.#send(frame)
    }
    if (late.size === 0) this.#late = undefined
  }

  /** Writes all there is, whether there is room or not: a close frame comes next. */
  finish(): void {
    this.#catchUp(true)
    this.flush()
  }

  #send(frame: string | Buffer): void {
    const bytes = bytesOf(frame)
    this.bytes += bytes
    this.#owner.weigh(bytes)
    this.frames++
    this.#unwrittenBytes += bytes
    if (this.#unwritten !== undefined) {
      this.#unwritten.push(frame)
      return
    }
    this.#unwritten = [frame]
    if (waiting.push(this) === 1) queueMicrotask(flushAll)
  }

  /** Writes now what was sent. */
  flush(): void {
    const frames = this.#unwritten
    if (frames === undefined) return
    const bytes = this.#unwrittenBytes
    this.#unwritten = undefined
    this.#unwrittenBytes = 0
    // the peer has begun to close: RFC 6455, 5.5.1, allows no more data
    if (!this.#owner.writable) return this.#took(bytes, frames.length)
    this.#owner.sent(frames.length)
    if (this.#slow) return this.#writeAsking(frames, bytes)
    const raw = this.#raw
    write(raw, frames, bytes, undefined)
    if (raw.writableLength === 0) return this.#took(bytes, frames.length)
    this.#slow = true
    raw.write(nothing, this.#later(bytes, frames.length))
  }

  #writeAsking(frames: ReadonlyArray<string | Buffer>, bytes: number): void {
    const taken = this.#later(bytes, frames.length)
    write(this.#raw, frames, bytes, taken)
    // the kernel took it at once: the callback would say so only after the event loop's next turn, and a quick agent can send
    // more than the budget until then
    if (this.#raw.writableLength === 0) taken()
  }

  #later(bytes: number, frames: number): () => void {
    let counted = false
    return () => {
      if (!counted) this.#took(bytes, frames)
      counted = true
    }
  }

  /** The socket has so much of what was written. */
  #took(bytes: number, frames: number): void {
    this.bytes -= bytes
    this.#owner.weigh(-bytes)
    this.frames -= frames
    if (this.full) return
    this.#catchUp(false)
    this.#owner.drained()
  }
}

/** Written behind what is not taken at once, by whoever did not ask: its callback tells of all before it. */
const nothing = Buffer.alloc(0)

type Taken = (() => void) | undefined

/** Frames of so many bytes in all; `taken` is called when the socket has taken the last. */
const write = (raw: Duplex, frames: ReadonlyArray<string | Buffer>, bytes: number, taken: Taken): void => {
  if (frames.length === 1) return writeOne(raw, frames[0]!, bytes, taken)
  raw.cork()
  for (let at = 0; at < frames.length;) {
    const from = at
    while (at < frames.length && isSmall(frames[at]!)) at++
    const large = at === from ? frames[at++] : undefined
    const last = at === frames.length ? taken : undefined
    if (large === undefined) send(raw, together(frames, from, at), last)
    else writeOne(raw, large, large.length, last)
  }
  raw.uncork()
}

const writeOne = (raw: Duplex, frame: string | Buffer, bytes: number, taken: Taken): void => {
  const small = isSmall(frame)
  const into = Buffer.allocUnsafe(headBytes(bytes) + (small ? bytes : 0))
  if (small) {
    put(into, 0, frame, bytes)
    return send(raw, into, taken)
  }
  writeHead(into, 0, bytes)
  raw.cork()
  raw.write(into)
  send(raw, frame as Buffer, taken)
  raw.uncork()
}

const send = (raw: Duplex, bytes: Buffer, taken: Taken): void => {
  if (taken === undefined) raw.write(bytes)
  else raw.write(bytes, taken)
}

/** A string has to be encoded anyhow; only shared frames are worth a chunk of their own. */
const isSmall = (frame: string | Buffer): boolean => typeof frame === "string" || frame.length <= copiedBytes

const together = (frames: ReadonlyArray<string | Buffer>, from: number, to: number): Buffer => {
  let size = 0
  for (let i = from; i < to; i++) {
    const bytes = bytesOf(frames[i]!)
    size += headBytes(bytes) + bytes
  }
  const into = Buffer.allocUnsafe(size)
  let at = 0
  for (let i = from; i < to; i++) at = put(into, at, frames[i]!, bytesOf(frames[i]!))
  return into
}

const bytesOf = (frame: string | Buffer): number =>
  typeof frame === "string" ? Buffer.byteLength(frame) : frame.length

/** A frame of so many bytes with its head; answers with the offset behind it. */
const put = (into: Buffer, from: number, frame: string | Buffer, bytes: number): number => {
  const at = writeHead(into, from, bytes)
  if (typeof frame === "string") return at + into.write(frame, at, bytes, bytes === frame.length ? "latin1" : "utf8")
  return at + frame.copy(into, at)
}
