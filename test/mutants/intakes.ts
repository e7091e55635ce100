/**
 * Faults in how bytes come in: the buffer that all sockets share, frames that need no `ws`, those that do.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofGateway as one } from "./Fault.ts"

export const intakes: ReadonlyArray<Fault> = [
  one(
    "intake-passes-what-waits",
    "what came behind the head of the request is heard first",
    "ReadBuffer.ts",
    " || raw.readableLength > 0) return false",
    ") return false"
  ),
  one(
    "intake-crumbs-without-end",
    "3: what waits is bounded in pieces, too",
    "Sips.ts",
    "  process.nextTick(stop, raw)\n",
    ""
  ),
  one(
    "intake-crumbs-heeded",
    "3: what waits is bounded in pieces, however often it is paused",
    "Sips.ts",
    "if (kept < maxKept && raw.readableLength",
    "if (raw.readableLength"
  ),
  one(
    "intake-crumbs-for-good",
    "pieces that have been read wait no more",
    "Intake.ts",
    "  if (!waits) raw.kept = 0\n",
    ""
  ),
  one(
    "intake-head-not-walked",
    "what came with the request is a part of the stream",
    "Intake.ts",
    "  frames.read(head, head.length, undefined)\n",
    ""
  ),
  one(
    "intake-stays-stopped",
    "one that sent too much before its upgrade is read when it is granted",
    "Intake.ts",
    "  if (raw.isPaused()) raw.resume()\n",
    ""
  ),
  one("intake-not-used", "sockets are read into one buffer", "ReadBuffer.ts", 'named("kBuffer")', 'named("kNone")'),
  one(
    "intake-keeps-the-shared",
    "what ws has to keep is its own",
    "Intake.ts",
    'raw.emit("data", rest)',
    'raw.emit("data", buffer.subarray(at, bytes))'
  ),
  one(
    "intake-hears-the-closed",
    "what follows a close is not begun",
    "Connection.ts",
    "if (this.#closing || this.#draining || !this.writable) return\n    if (this.#stuffed",
    "if (this.#stuffed"
  ),
  one(
    "intake-backlog-shared",
    "a backlog is its connection's",
    "Connection.ts",
    "return this.receive(Buffer.from(bytes.subarray(start, end)), false)",
    "return this.receive(bytes.subarray(start, end), false)"
  ),
  one(
    "intake-close-frame-lost",
    "a close frame that comes when this side has closed reaches ws",
    "Intake.ts",
    "frames.read(buffer, bytes, waits ? undefined : taker) : 0",
    "frames.read(buffer, bytes, waits ? undefined : taker) : bytes"
  ),
  one("intake-deaf-to-the-end", "one that is not read is heard to leave", "Intake.ts", "  Sips.heed(raw)\n", ""),
  one(
    "intake-deaf-behind-a-sip",
    "one that is not read when its rest is over is heard to leave",
    "Sips.ts",
    "if (reader.isPaused) heed(raw)\n      else raw.resume()",
    "if (!reader.isPaused) raw.resume()"
  ),
  one(
    "intake-hands-on-while-paused",
    "what comes to a paused connection waits",
    "Intake.ts",
    "const waits = raw.readableFlowing !== true",
    "const waits = false"
  ),
  one(
    "intake-keeps-without-end",
    "what waits is bounded",
    "Intake.ts",
    "goesOn = Sips.keep(raw, rest)",
    "Sips.keep(raw, rest)"
  ),
  one(
    "intake-listens-without-end",
    "what waits is bounded, however often it is paused",
    "Sips.ts",
    "kept < maxKept && raw.readableLength < raw.readableHighWaterMark",
    "kept < maxKept"
  ),
  one(
    "intake-no-sips",
    "a flood is read in sips",
    "Intake.ts",
    "  if (reader !== undefined) Sips.count(raw, bytes)\n",
    ""
  ),
  one(
    "frames-in-fragments",
    "a text frame between fragments is refused",
    "FrameReader.ts",
    " && this.#head === 0 && !this.#fragmented) {",
    " && this.#head === 0) {"
  ),
  one(
    "frames-in-heads",
    "what looks like a frame in a head is none",
    "FrameReader.ts",
    " && this.#head === 0 &&",
    " &&"
  ),
  one(
    "frames-too-long",
    "1009",
    "FrameReader.ts",
    "if (stop > end || length > this.#maxBytes) return -1",
    "if (stop > end) return -1"
  ),
  one("frames-not-whole", "a frame is heard whole", "FrameReader.ts", "if (stop > end || length", "if (length"),
  one("frames-unmasked", "a client's frames are masked", "FrameReader.ts", "length < 0 || length", "length"),
  one("frames-any-bytes", "text is UTF-8", "FrameReader.ts", "if (isUtf8(bytes.subarray(start, stop))) {", "{"),
  one(
    "frames-left-unmasked",
    "what ws gets is as it came",
    "FrameReader.ts",
    "    unmask(bytes, mask, start, stop)\n    return -1\n",
    "    return -1\n"
  ),
  one(
    "frames-of-control",
    "a control frame between fragments ends no message",
    "FrameReader.ts",
    "if (!isControl) this",
    "this"
  ),
  one("frames-of-eight", "a length of eight bytes", "FrameReader.ts", "=== LENGTH_64 ? 8 : 0", "=== LENGTH_64 ? 2 : 0")
]
