/**
 * The way out of one connection: counted, corked, and never silently short.
 *
 * Floor 3; owned by Connection, which owns the socket. Law 3: bytes and frames that the socket has not taken are bounded:
 * an event past the budget is refused (the caller closes 1013), a reply never is, and while the budget is exceeded the
 * connection reads nothing, so that replies cannot pile up either.
 * Counting by the callback of each send: `ws` gives no drain signal, and `bufferedAmount` alone is not to be trusted.
 * Frames of one turn leave in one write: the raw socket is corked at the first and uncorked when the turn's microtasks run.
 */
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"

export interface OutboxLimits {
  readonly maxBytes: number
  readonly maxFrames: number
}

export class Outbox {
  /** Not yet taken by the socket. */
  bytes = 0
  frames = 0
  sent = 0
  readonly #socket: WebSocket
  readonly #raw: Duplex
  readonly #limits: OutboxLimits
  readonly #onDrained: () => void
  #corked = false

  constructor(socket: WebSocket, raw: Duplex, limits: OutboxLimits, onDrained: () => void) {
    this.#socket = socket
    this.#raw = raw
    this.#limits = limits
    this.#onDrained = onDrained
  }

  /** Whether the budget is used up. */
  get full(): boolean {
    return this.bytes >= this.#limits.maxBytes || this.frames >= this.#limits.maxFrames
  }

  /** Sends a text frame. */
  send(frame: string | Buffer): void {
    const socket = this.#socket
    if (socket.readyState !== socket.OPEN) return
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length
    const wasFull = this.full
    this.bytes += bytes
    this.frames++
    this.sent++
    if (!this.#corked) {
      this.#corked = true
      this.#raw.cork()
      queueMicrotask(() => {
        this.#corked = false
        this.#raw.uncork()
      })
    }
    socket.send(frame, { binary: false }, () => {
      this.bytes -= bytes
      this.frames--
      if (!this.full) this.#onDrained()
    })
    if (!wasFull && this.full) this.#raw.uncork()
  }
}
