/**
 * How bytes come in: a chunk is handled where it was read, frame by frame, and `ws` gets what needs `ws`.
 *
 *   socket -> ReadBuffer -> FrameReader -> text frames: to the connection, as they stand
 *                                `-------> the rest: "data" -> ws -> its events        then the sip is counted (Sips)
 *   elsewhere  "data" -> ws -> its events
 *
 * Floor 3; used by Gateway and Connection. Law 2: what was handed on came before the rest, and `ws` handles the rest before the
 * next chunk is read.
 * What comes while `ws` is paused, or before its upgrade is granted, waits in the stream, and all behind it (Sips): in so many
 * pieces at the most, for a byte a piece would cost 650: 40 MB a socket where Node reads by itself.
 * Once `ws` has begun to close, for whatever reason, all that comes is its own: it has the peer's close frame to find.
 * Together with ReadBuffer, measured beside each other on one host of 10,000 connections: 15 us of CPU an echo against 20,
 * and 230 MB of resident memory against 290 while it is busy; a bare `ws` echo takes 15 to 16.
 */
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import { FrameReader, type TextTaker } from "./FrameReader.ts"
import * as ReadBuffer from "./ReadBuffer.ts"
import * as Sips from "./Sips.ts"

interface Read extends Sips.Sipped {
  frames: FrameReader
  taker: TextTaker | undefined
}

const onData = function (this: Duplex, chunk: Buffer): void {
  Sips.count(this as Sips.Sipped, chunk.length)
}

const onRead = function (this: Duplex, bytes: number, buffer: Buffer): boolean {
  const raw = this as Read
  const { reader, frames, taker } = raw
  const isOpen = reader === undefined || reader.readyState === reader.OPEN
  // what was kept flows on in the tick of `resume`, before anything is read
  const waits = raw.readableFlowing !== true
  const at = isOpen ? frames.read(buffer, bytes, waits ? undefined : taker) : 0
  let goesOn = true
  if (at < bytes) {
    // `ws` keeps what it has not whole
    const rest = Buffer.allocUnsafeSlow(bytes - at)
    buffer.copy(rest, 0, at, bytes)
    if (waits) goesOn = Sips.keep(raw, rest)
    else raw.emit("data", rest)
  }
  if (!waits) raw.kept = 0
  if (reader !== undefined) Sips.count(raw, bytes)
  return goesOn
}

/**
 * Reads `raw`, whose upgrade is asked for with `head` behind it, so from now on: what comes is kept, head first, until it is taken.
 * `maxBytes`: of a frame, as its `ws` will be told.
 */
export const open = (raw: Duplex, head: Buffer, maxBytes: number): void => {
  if (!ReadBuffer.take(raw, onRead)) return
  const frames = new FrameReader(maxBytes)
  frames.read(head, head.length, undefined)
  Object.assign(raw, { frames, kept: 0 })
}

/** `reader` listens to it now; text frames that need no `ws` are `taker`'s. */
export const take = (raw: Duplex, reader: WebSocket, taker: TextTaker): void => {
  Sips.begin(raw, reader)
  if (!("frames" in raw)) return void raw.on("data", onData)
  Object.assign(raw, { taker })
  // what came before was too much, in too small pieces
  if (raw.isPaused()) raw.resume()
}

/** Nothing is handed on until `reader` resumes; the peer's end is noticed where `Sips.heed` can. */
export const pause = (raw: Duplex, reader: WebSocket): void => {
  reader.pause()
  Sips.heed(raw)
}
