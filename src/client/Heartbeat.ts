/**
 * Finds a server that is gone without a word: a half-open socket, a frozen host.
 *
 *   silence of 25 s +-20 % -> probe -> anything received: the silence begins anew
 *                                   -> nothing for 10 s, or 75 s: lost
 *
 * Used by Client. A page gets no pings to see, so it asks: the probe is a `$/cancel` of a request that never was, which
 * every gateway answers at once with null. (A method of its own, `$/ping`, would be answered -32601 by today's, and counted
 * as an invalid message of this client's; any answer would do.)
 * A gateway does not read on while it has much of this client's unfinished, and then cannot answer: so the long patience,
 * over its own `stallTimeout` (60 s), holds while work may be unfinished there; the short one once all is answered, or a
 * probe was answered after the last of it.
 * Timers of hidden tabs fire up to a minute late, those of a laptop that slept hours: a check that comes late concludes
 * nothing, once: it asks again, so that what has been received in the meantime can be handed over first.
 * Cost: one timer a connection, moved by the answer to a probe, not by each frame: it looks back when it is due.
 */
import type { Clock } from "./Settings.ts"

/** With nothing unfinished at the server. */
const promptMillis = 10_000
/** With work that may keep it from reading: its stallTimeout is 60 s. */
const patientMillis = 75_000
/** So much later than due is late. */
const lateMillis = 2000

export class Heartbeat {
  readonly #clock: Clock
  readonly #random: () => number
  readonly #millis: number
  /** Writes a probe. */
  readonly #probe: () => void
  /** The server is gone. */
  readonly #dead: () => void
  #timer: unknown = undefined
  #due = 0
  #interval = 0
  #heardAt = 0
  #probing = false
  #again = false
  /** Work was written that the server may not have read, or not be done with. */
  #unread = false
  /** A notification is among it, whose end nothing tells. */
  #noticed = false
  /** Nothing was written behind the probe. */
  #last = false

  constructor(clock: Clock, random: () => number, millis: number, probe: () => void, dead: () => void) {
    this.#clock = clock
    this.#random = random
    this.#millis = millis
    this.#probe = probe
    this.#dead = dead
  }

  /** A connection is open. */
  start(): void {
    this.#unread = this.#noticed = this.#last = false
    this.#heardAt = this.#clock.now()
    this.#interval = this.#millis * (0.8 + 0.4 * this.#random())
    if (this.#millis !== Number.POSITIVE_INFINITY) this.#arm(this.#interval)
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#probing = this.#again = false
  }

  /** A frame has come. */
  heard(): void {
    this.#heardAt = this.#clock.now()
    if (!this.#probing) return
    this.stop()
    this.#arm(this.#interval)
  }

  /** A request or a notification was written. */
  wrote(notice: boolean): void {
    this.#unread = true
    this.#noticed ||= notice
    this.#last = false
  }

  /** No request is without its answer. */
  finished(): void {
    this.#unread = this.#noticed
  }

  /** The probe was answered: all written before it was read, and there was room to read on. */
  answered(): void {
    if (this.#last) this.#unread = this.#noticed = false
  }

  #arm(millis: number): void {
    this.#due = this.#clock.now() + millis
    this.#timer = this.#clock.setTimeout(() => this.#fired(), millis)
  }

  #fired(): void {
    const now = this.#clock.now()
    if (this.#probing && (this.#again || now - this.#due < lateMillis)) return this.#dead()
    if (this.#probing) this.#again = true
    else {
      const left = this.#heardAt + this.#interval - now
      if (left > 0) return this.#arm(left)
    }
    this.#probing = true
    this.#last = true
    this.#arm(this.#unread ? patientMillis : promptMillis)
    this.#probe()
  }
}
