/**
 * Where the frames of one client begin and end, and those that need no `ws`: whole text frames in a chunk of their own.
 *
 *   chunk  [ text | text | ping | text | begin of a te ]      text:  unmasked where it stands, handed on, gone
 *            \_________/   \_________________________/        rest:  copied to `ws`, as it came
 *
 * Floor 3; one a connection, used by Intake; knows RFC 6455, 5.2, and no socket. Law 2: what stands behind anything that went
 * to `ws` in the same chunk goes there too, so that frames cannot pass each other: `ws` says what it found wrong a tick later.
 * Whatever is not whole, legal, final, UTF-8 text of at most `maxBytes`, outside of a fragmented message, is for `ws` to
 * take, to answer, or to refuse: it sees each byte of that, and close codes are all its own.
 * Cost: no object and no copy a frame. `ws` needs a write to a stream, three views and an event: 1 us of an echo's 20.
 */
import { isUtf8 } from "node:buffer"

/** Who takes text frames. */
export interface TextTaker {
  /** The payload of a text frame is `bytes` from `start` to `end`; only during the call. */
  text(bytes: Buffer, start: number, end: number): void
}

const FINAL_TEXT = 0x81
const MASKED = 0x80
/** A payload's length stands in two, or in eight, bytes of its own. */
const LENGTH_16 = 126
const LENGTH_64 = 127

const unmask = (bytes: Buffer, mask: number, start: number, end: number): void => {
  for (let at = start; at < end; at++) bytes[at]! ^= bytes[mask + ((at - start) & 3)]!
}

export class FrameReader {
  readonly #maxBytes: number
  /** Bytes of payload, of a frame that has begun, yet to come. */
  #left = 0
  /** Bytes of a head that have come, all of them until its payload has; how many it has; how many more of its length. */
  #head = 0
  #headBytes = 2
  #lengthBytes = 0
  /** A message has begun that is not final. */
  #fragmented = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * Hands the text frames that `bytes`, up to `end`, begin with to `taker`, if there is one; answers where the rest begins, which
   * is for `ws`.
   */
  read(bytes: Buffer, end: number, taker: TextTaker | undefined): number {
    let at = 0
    if (taker !== undefined && this.#head === 0 && !this.#fragmented) {
      for (let next = 0; next >= 0; next = this.#text(bytes, at, end, taker)) at += next
    }
    this.#walk(bytes, at, end)
    return at
  }

  /** The bytes of the text frame at `at`, which has been handed on; -1 where there is none. */
  #text(bytes: Buffer, at: number, end: number, taker: TextTaker): number {
    if (at + 6 > end || bytes[at] !== FINAL_TEXT) return -1
    let length = bytes[at + 1]! - MASKED
    let mask = at + 2
    if (length === LENGTH_16) {
      length = bytes.readUInt16BE(mask)
      mask += 2
    } else if (length < 0 || length === LENGTH_64) return -1
    const start = mask + 4
    const stop = start + length
    if (stop > end || length > this.#maxBytes) return -1
    unmask(bytes, mask, start, stop)
    if (isUtf8(bytes.subarray(start, stop))) {
      taker.text(bytes, start, stop)
      return stop - at
    }
    unmask(bytes, mask, start, stop)
    return -1
  }

  /** Follows heads and lengths of what `ws` gets; whether they are legal is its to say. */
  #walk(bytes: Buffer, from: number, end: number): void {
    let at = from
    while (at < end) {
      if (this.#head === this.#headBytes) {
        const here = Math.min(this.#left, end - at)
        this.#left -= here
        at += here
      } else this.#byteOfHead(bytes[at++]!)
      if (this.#head === this.#headBytes && this.#left === 0) this.#head = 0
    }
  }

  #byteOfHead(byte: number): void {
    const nth = this.#head++
    if (nth === 0) {
      const isControl = (byte & 0x08) !== 0
      if (!isControl) this.#fragmented = byte < 0x80
    } else if (nth === 1) {
      const length = byte & 0x7f
      this.#lengthBytes = length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0
      this.#left = this.#lengthBytes === 0 ? length : 0
      this.#headBytes = 2 + this.#lengthBytes + (byte >= MASKED ? 4 : 0)
    } else if (this.#lengthBytes > 0) {
      this.#lengthBytes--
      this.#left = this.#left * 256 + byte
    }
  }
}
