/**
 * What an agent's sessions were sent last: numbered, kept, and sent again to one that comes back.
 *
 *   seq          1  2  3  4  5  6  7  8      one number a frame, one count an agent
 *   broadcasts   #     #        #            one ring an agent, each once for all sessions
 *   a's own         #     #        #         a ring a session: answers, chunks, pushes
 *   b's own                  #        #
 *
 * Floor 3; made by Sessions for an agent with its first session, gone with its last. A session sees its own frames and the
 * broadcasts that were meant for it, merged by their numbers.
 * Law 3: each ring has its bounds (Ring), so that what one session asks for takes nothing that is kept for another; by age,
 * as far as who reads it surely has it. Of what goes the last number is remembered, by whom it was meant for: a gap is
 * said if and only if something is gone.
 * Cost: nothing a session and broadcast.
 */
import type { Client } from "../actor/Client.ts"
import type { House } from "./Connection.ts"
import { bytesOf, type Kept, Ring, type RingOwner } from "./Ring.ts"

/** A session as its feed sees it. */
export interface Reader extends RingOwner<Kept> {
  /** Before this broadcast it was not among the agent's clients; undefined: it has not been yet. */
  readonly joined: number | undefined
  /** What it alone was sent; undefined: nothing of it is kept. */
  own: Ring | undefined
  /** The last frame of its own that is no longer kept. */
  readonly missed: number
  /** What was sent before this time of the system clock has surely reached it. */
  readonly receivedBefore: number
}

/** An event of all sessions but some. */
export interface Broadcast extends Kept {
  readonly feed: Feed
  readonly frame: Buffer
  readonly except: ReadonlyArray<unknown>
}

export class Feed implements RingOwner<Broadcast> {
  /** The last number given. */
  seq = 0
  readonly readers = new Set<Reader>()
  readonly #house: House
  /** Undefined: no broadcast is kept. */
  #broadcasts: Ring<Broadcast> | undefined = undefined
  /** The last broadcast that is no longer kept. */
  #dropped = 0
  /** Of those whom that one left out: the last that is no longer kept and did not. */
  #spared: Map<unknown, number> | undefined = undefined

  constructor(house: House) {
    this.#house = house
  }

  /** Keeps an answer or event of one session. */
  keep(frame: string, reader: Reader): Kept {
    const seq = ++this.seq
    return this.#own(seq, numbered(frame, seq), reader)
  }

  /** Keeps an answer to a batch: a number an element. */
  keepBatch(answers: ReadonlyArray<string>, reader: Reader): Kept {
    const frame = `[${answers.map((answer) => numbered(answer, ++this.seq)).join(",")}]`
    return this.#own(this.seq, frame, reader)
  }

  #own(seq: number, frame: string, reader: Reader): Kept {
    const kept: Kept = { seq, frame, bytes: bytesOf(frame), at: this.#house.now() }
    reader.own ??= new Ring(reader, this.#house)
    reader.own.add(kept)
    return kept
  }

  /** Keeps an event of all sessions but `except`. */
  share(text: string, except: ReadonlyArray<Client>): Broadcast {
    const seq = ++this.seq
    const frame = Buffer.from(numbered(text, seq))
    const kept: Broadcast = { feed: this, seq, frame, bytes: bytesOf(frame), at: this.#house.now(), except }
    this.#broadcasts ??= new Ring(this, this.#house)
    this.#broadcasts.add(kept)
    return kept
  }

  dropped({ seq, except }: Broadcast): void {
    const spared = except.filter((client) => this.readers.has(client as Reader))
    this.#spared = spared.length === 0 ? undefined : new Map(spared.map((reader) => [reader, this.#droppedOf(reader)]))
    this.#dropped = seq
  }

  /** The last broadcast that is no longer kept and did not leave it out. */
  #droppedOf(reader: unknown): number {
    return this.#spared?.get(reader) ?? this.#dropped
  }

  /** Drops the broadcasts that were sent before, as far as all readers surely have them. */
  expire(old: number): void {
    const broadcasts = this.#broadcasts
    if (broadcasts === undefined || (broadcasts.size > 0 && broadcasts.oldestAt >= old)) return
    let before = old
    for (const { receivedBefore } of this.readers) before = Math.min(before, receivedBefore)
    if (broadcasts.expire(before)) this.#broadcasts = undefined
  }

  /** Drops what a session's own was sent before, as far as it surely has it. */
  expireOwn(reader: Reader, old: number): void {
    if (reader.own?.expire(Math.min(old, reader.receivedBefore)) === true) reader.own = undefined
  }

  /** A session has ended: with the last one all ends. */
  leave(reader: Reader): void {
    this.readers.delete(reader)
    this.#spared?.delete(reader)
    reader.own?.clear()
    reader.own = undefined
    if (this.readers.size > 0) return
    this.#broadcasts?.clear()
    this.#broadcasts = undefined
  }

  /** Whether something after `cursor` that was meant for `reader` is no longer kept. */
  lacks(reader: Reader, cursor: number): boolean {
    if (reader.missed > cursor) return true
    return reader.joined !== undefined && this.#droppedOf(reader) > Math.max(cursor, reader.joined)
  }

  /** What is kept of what was meant for `reader` after `cursor`. */
  after(reader: Reader, cursor: number): ReadonlyArray<Kept> {
    const own = reader.own?.after(cursor) ?? []
    if (reader.joined === undefined) return own
    const broadcasts = this.#broadcasts?.after(Math.max(cursor, reader.joined)) ?? []
    const meant = broadcasts.filter(({ except }) => !except.includes(reader))
    return [...own, ...meant].toSorted((one, other) => one.seq - other.seq)
  }
}

const numbered = (frame: string, seq: number): string => `{"seq":${seq},${frame.slice(1)}`
