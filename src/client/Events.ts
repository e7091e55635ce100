/**
 * Who hears what the agent sends: listeners, and readers that take it at their own pace.
 *
 * Used by Client; knows names and payloads only. Order: each hears events in the order received, a listener before the next
 * frame is read, a reader when it asks.
 * Law 3: a reader's buffer is bounded. Law 5: what happens then was chosen: `fail` (default: what is buffered can still be
 * read, then it ends with `EventsLost`), `dropOldest`, `dropNewest` (`lost` counts).
 * A reader listens from `events()` on, not from its first `next`, and until it is returned from or the client closes; over a
 * reconnection it goes on; what the agent sent meanwhile is replayed by the session, or a gap is told (`onGap`).
 */
import { type Closed, EventsLost, InvalidOption } from "./Errors.ts"
import { Listeners } from "./Listeners.ts"
import * as Settings from "./Settings.ts"

export interface ReaderOptions {
  /** Events that wait to be read. 1-1,000,000, default 256. */
  readonly buffer?: number
  readonly overflow?: "fail" | "dropOldest" | "dropNewest"
}

interface Waiting<in A> {
  resolve(result: IteratorResult<A, undefined>): void
  reject(error: Error): void
}

/** The events of one name, or the elements of one stream, one after the other. Several `next` may wait. */
export class Reader<out A> implements AsyncIterableIterator<A, undefined> {
  /** Events that overflow has dropped. */
  lost = 0
  readonly #name: string
  readonly #buffer: number
  readonly #overflow: "fail" | "dropOldest" | "dropNewest"
  readonly #stop: () => void
  #events: Array<A> = []
  #waiting: Array<Waiting<A>> = []
  #ended = false
  #error: Error | undefined = undefined

  /** `kind` is what its options are named after, `stop` is called once, at its end. */
  constructor(kind: string, name: string, options: Required<ReaderOptions>, stop: () => void) {
    const { buffer, overflow } = options
    if (overflow !== "fail" && overflow !== "dropOldest" && overflow !== "dropNewest") {
      throw new InvalidOption(`${kind}.overflow`, overflow, "one of fail, dropOldest, dropNewest")
    }
    this.#name = name
    this.#buffer = Settings.buffer(`${kind}.buffer`, buffer)
    this.#overflow = overflow
    this.#stop = stop
  }

  next(): Promise<IteratorResult<A, undefined>> {
    if (this.#events.length > 0) return Promise.resolve({ done: false, value: this.#events.shift()! })
    const error = this.#error
    this.#error = undefined
    if (error !== undefined) return Promise.reject(error)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  return(): Promise<IteratorResult<A, undefined>> {
    this.#events = []
    this.end(undefined)
    this.#error = undefined
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Internal: an event has come. */
  push(event: A): void {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) return waiting.resolve({ done: false, value: event })
    if (this.#events.length < this.#buffer) return void this.#events.push(event)
    this.lost++
    if (this.#overflow === "fail") return this.end(new EventsLost(this.#name, this.#buffer))
    if (this.#overflow === "dropNewest") return
    this.#events.shift()
    this.#events.push(event)
  }

  /** Internal: no more will come. What is buffered can be read. */
  end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#stop()
    const waiting = this.#waiting
    this.#waiting = []
    const first = error === undefined ? undefined : waiting.shift()
    if (first === undefined) this.#error = error
    else first.reject(error!)
    for (const one of waiting) one.resolve({ done: true, value: undefined })
  }
}

export class Events {
  readonly #report: (error: unknown) => void
  readonly #listeners = new Map<string, Listeners<unknown>>()
  readonly #readers = new Set<Reader<unknown>>()

  constructor(report: (error: unknown) => void) {
    this.#report = report
  }

  /** The answer ends it. */
  on(event: string, listener: (payload: unknown) => void): () => void {
    let all = this.#listeners.get(event)
    if (all === undefined) this.#listeners.set(event, (all = new Listeners(this.#report)))
    const off = all.add(listener)
    return () => {
      off()
      if (all.size === 0 && this.#listeners.get(event) === all) this.#listeners.delete(event)
    }
  }

  read(event: string, options: ReaderOptions): Reader<unknown> {
    Settings.known("events", options, ["buffer", "overflow"])
    const { buffer = 256, overflow = "fail" } = options
    const reader = new Reader<unknown>("events", event, { buffer, overflow }, () => {
      off()
      this.#readers.delete(reader)
    })
    const off = this.on(event, (payload) => reader.push(payload))
    this.#readers.add(reader)
    return reader
  }

  emit(event: string, payload: unknown): void {
    this.#listeners.get(event)?.tell(payload)
  }

  /** Ends the readers: with the error, unless this side closed. */
  end(closed: Closed): void {
    for (const reader of this.#readers) reader.end(closed.local ? undefined : closed)
  }
}
