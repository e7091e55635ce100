/**
 * How much one socket is read before the others have their turn: a sip, then it rests until the event loop has gone round.
 *
 *   libuv     reads a socket up to 32 times in a row, 64 KiB each, while there is more
 *   with it   after 64 KiB, be it in one chunk or in many, the socket rests until `setImmediate`
 *   paused    what comes waits in the stream: up to its mark, 64 KiB and the chunk that passes it, in 256 pieces at the most
 *   closing   what comes behind the first close frame is thrown away, a MiB of it; then the socket is cut
 *
 * Floor 3; used by Intake; knows bytes only. Law 6, for sockets: who sends as fast as it can takes a sip's time from
 * the others, not 32: 2 MiB in frames of 6 bytes are 200 ms. Measured, one client asking every 3 ms beside one that floods with
 * 64 KiB writes over loopback, its p50 / p99 in ms, without and with (pongs are slowed by their rate besides):
 *
 *   pongs                       93 / 117     0.2 / 4
 *   pongs behind a close frame  114 / 174    1.6 / 8
 *   messages behind one         25 / 71      0.5 / 4
 *
 * A TLS record is a chunk, of at most 16 KiB and as small as its sender likes; so chunks have a price besides their bytes.
 * What is counted is what came since the last rest, not in this turn: who sends little rests once in 64 KiB, unnoticed.
 * `ws` reads by `data`, too, and stops by `pause`: a rest ends only where it has not stopped by then. Behind its own close
 * frame it reads on for the peer's, and behind the peer's for the end: a socket cut with bytes unread is reset, which may
 * take the close frame from a peer that was only fast.
 * Pieces are counted because each is a Buffer: one-byte writes to a socket that was not read cost 40 MB a socket by bytes alone.
 * Cost: an add and a compare a chunk; a rest is a stop and a start of reading, and one `setImmediate` for all that rest.
 */
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"

const sipBytes = 65_536
const maxWastedSips = 16

/** The event that brings a chunk, in bytes of frames that take as long. */
const chunkCost = 64

/** Chunks that wait in a stream at the most: 650 bytes for a chunk that may hold one. */
const maxKept = 256

export interface Sipped extends Duplex {
  /** Undefined until its upgrade is granted. */
  reader: WebSocket | undefined
  /** Since the last rest. */
  taken: number
  /** Sips that ended while closing. */
  wasted: number
  /** Chunks that wait in its stream since it was last read without waiting. */
  kept: number
}

let resting: Array<Sipped> = []

const stop = (raw: Sipped): void => {
  if (raw.readableFlowing !== true) raw.pause()
}

/** What comes to one that is not read waits in its stream, up to the stream's mark. False: no more is read. */
export const keep = (raw: Sipped, chunk: Buffer): boolean => {
  const hasRoom = raw.push(chunk)
  if (++raw.kept < maxKept) return hasRoom
  // below its mark the stream reads on, in this tick's end: behind that
  process.nextTick(stop, raw)
  return false
}

/**
 * Of a paused socket: what comes is kept, so that the peer's end is noticed. A half-closed one's only where nothing is kept, and a
 * cut that comes behind more than is kept when it is read on.
 */
export const heed = (raw: Duplex): void => {
  const { kept = 0 } = raw as Partial<Sipped>
  if (kept < maxKept && raw.readableLength < raw.readableHighWaterMark) raw.read(0)
}

const goOn = (): void => {
  const rested = resting
  resting = []
  for (const raw of rested) {
    const { reader } = raw
    if (reader === undefined) continue
    if (reader.readyState === reader.OPEN) {
      if (reader.isPaused) heed(raw)
      else raw.resume()
    } else if (++raw.wasted >= maxWastedSips) reader.terminate()
    // paused or not, `ws` reads to the end now
    else raw.resume()
  }
}

/** A chunk has come, and has been handled. */
export const count = (raw: Sipped, bytes: number): void => {
  raw.taken += bytes + chunkCost
  if (raw.taken < sipBytes) return
  raw.taken = 0
  raw.pause()
  if (resting.push(raw) === 1) setImmediate(goOn)
}

/** `raw` is read in sips from now on. `reader`: the one that is paused for its own reasons. */
export const begin = (raw: Duplex, reader: WebSocket): void => {
  Object.assign(raw as Sipped, { reader, taken: 0, wasted: 0 })
}
