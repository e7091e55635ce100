/**
 * What an agent's sessions were sent last, encoded, so that one that comes back gets what it missed.
 *
 *   seq   1  2  3  4  5  6  7       one number a frame, one ring an agent; a session sees those that were meant for it
 *               ^oldest kept
 *
 * Floor 3; made by Sessions for an agent with its first session, gone with its last. A broadcast lies in it once, however
 * many sessions it went to. Law 3: bounded by count and bytes, by age where all of its readers surely have it, and by what all rings of the
 * gateway may hold together. What was dropped is remembered by its number, so that a gap is said and never guessed.
 * Cost: an object and the frame's text an answer or event; nothing a session and broadcast.
 */
import type { Client } from "../actor/Client.ts"
import type { Holder } from "./Budget.ts"
import type { House } from "./Connection.ts"

/** A session as its ring sees it. */
export interface Reader {
  /** Before this broadcast it was not among the agent's clients; undefined: it has not been yet. */
  readonly joined: number | undefined
  /** The last frame meant for it alone that the ring has dropped. */
  missed: number
  /** What was sent before this time of the system clock has surely reached it. */
  readonly receivedBefore: number
}

/** A frame that was sent. */
export interface Kept {
  readonly ring: Ring
  readonly seq: number
  readonly frame: string | Buffer
  readonly bytes: number
  /** The system clock's time, in ms. */
  readonly at: number
  /** Whom it was meant for; undefined for a broadcast. */
  readonly reader: Reader | undefined
  readonly except: ReadonlyArray<unknown> | undefined
}

/** Bytes of an entry besides its frame's. */
const entryBytes = 96

export class Ring implements Holder {
  /** The last number given. */
  seq = 0
  /** Sessions that read it. */
  readonly readers = new Set<Reader>()
  readonly #house: House
  readonly #kept: Array<Kept | undefined> = []
  #head = 0
  keptBytes = 0
  /** The last broadcast that was dropped. */
  #dropped = 0

  constructor(house: House) {
    this.#house = house
    house.budget.frames.enter(this)
  }

  /** Keeps an answer or event of one session. */
  keep(frame: string, reader: Reader): Kept {
    const seq = ++this.seq
    return this.#add(seq, numbered(frame, seq), reader, undefined)
  }

  /** Keeps an answer to a batch: a number an element. */
  keepBatch(answers: ReadonlyArray<string>, reader: Reader): Kept {
    const frame = `[${answers.map((answer) => numbered(answer, ++this.seq)).join(",")}]`
    return this.#add(this.seq, frame, reader, undefined)
  }

  /** Keeps an event of all sessions but `except`. */
  share(frame: string, except: ReadonlyArray<Client>): Kept {
    const seq = ++this.seq
    return this.#add(seq, Buffer.from(numbered(frame, seq)), undefined, except)
  }

  #add(seq: number, frame: string | Buffer, reader: Reader | undefined, except: Kept["except"]): Kept {
    const bytes = entryBytes + (typeof frame === "string" ? Buffer.byteLength(frame) : frame.length)
    const kept: Kept = { ring: this, seq, frame, bytes, at: this.#house.now(), reader, except }
    this.#kept.push(kept)
    this.#weigh(bytes)
    const { maxReplay, maxReplayBytes } = this.#house.limits
    while (this.size > maxReplay || this.keptBytes > maxReplayBytes) this.#drop()
    this.#house.budget.frames.fit()
    return kept
  }

  get size(): number {
    return this.#kept.length - this.#head
  }

  #weigh(bytes: number): void {
    this.keptBytes += bytes
    this.#house.budget.frames.keep(bytes)
  }

  #drop(): void {
    const { seq, bytes, reader } = this.#kept[this.#head]!
    this.#kept[this.#head++] = undefined
    if (this.#head > 32 && this.#head * 2 > this.#kept.length) {
      this.#kept.splice(0, this.#head)
      this.#head = 0
    }
    this.#weigh(-bytes)
    if (reader === undefined) this.#dropped = seq
    else reader.missed = seq
  }

  /** Drops what was sent before, as far as all readers surely have it. */
  expire(old: number): void {
    if (this.size === 0 || this.#kept[this.#head]!.at >= old) return
    let before = old
    for (const { receivedBefore } of this.readers) before = Math.min(before, receivedBefore)
    while (this.size > 0 && this.#kept[this.#head]!.at < before) this.#drop()
  }

  shed(): boolean {
    if (this.size === 0) return false
    this.#drop()
    return true
  }

  /** Its last session has ended. */
  clear(): void {
    while (this.size > 0) this.#drop()
    this.#house.budget.frames.leave(this)
  }

  /** Whether something after `cursor` that was meant for `reader` is no longer here. */
  lacks(reader: Reader, cursor: number): boolean {
    if (reader.missed > cursor) return true
    return reader.joined !== undefined && this.#dropped > Math.max(cursor, reader.joined)
  }

  /** What was meant for `reader` after `cursor`. */
  after(reader: Reader, cursor: number): ReadonlyArray<Kept> {
    const joined = reader.joined ?? Number.POSITIVE_INFINITY
    const found: Array<Kept> = []
    for (let i = this.#head; i < this.#kept.length; i++) {
      const kept = this.#kept[i]!
      if (kept.seq <= cursor) continue
      if (kept.reader === reader) found.push(kept)
      else if (kept.reader === undefined && kept.seq > joined && !kept.except!.includes(reader)) found.push(kept)
    }
    return found
  }
}

const numbered = (frame: string, seq: number): string => `{"seq":${seq},${frame.slice(1)}`
