/**
 * What RFC 6455, and the gateway's limits, make of the bytes that a client sends behind its handshake: a model for the fuzzer.
 *
 * Pure, and not clever: it reads frame by frame, in the order in which a server can know of a fault. `texts` are the whole
 * messages before the end; `end` is how it ends: a close code that the server answers, the client's own close, or "open"
 * when there is nothing wrong yet, be it in the midst of a frame.
 */
import { isUtf8 } from "node:buffer"
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT } from "./Frames.ts"

export interface Verdict {
  readonly texts: ReadonlyArray<string>
  readonly pings: number
  /** A code; 0: a close without one. */
  readonly end: number | "open"
  /** Whether it is the client's own, not a fault of its. */
  readonly own: boolean
}

const isCode = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)

/** What a whole control frame says, when it is the last; whether it may be said. */
const closeOf = (payload: Buffer): readonly [end: number, own: boolean] => {
  if (payload.length === 0) return [0, true]
  const code = payload.readUInt16BE(0)
  if (!isCode(code)) return [1002, false]
  return isUtf8(payload.subarray(2)) ? [code, true] : [1007, false]
}

interface Head {
  readonly fin: boolean
  readonly opcode: number
  readonly length: bigint
  /** Where its mask begins. */
  readonly at: number
}

/** The head of a frame; a code where it has none, undefined where there is not all of it. */
const headOf = (bytes: Buffer, at: number, within: boolean): Head | number | undefined => {
  if (bytes.length - at < 2) return undefined
  const [first, second] = [bytes[at]!, bytes[at + 1]!]
  const [fin, opcode, short] = [(first & 0x80) !== 0, first & 15, second & 127]
  const control = opcode === CLOSE || opcode === PING || opcode === PONG
  const begins = opcode === TEXT || opcode === BINARY
  if ((first & 0x70) !== 0 || (second & 0x80) === 0) return 1002
  if (!control && !(begins && !within) && !(opcode === CONTINUATION && within)) return 1002
  if (control && (!fin || short > 125 || (opcode === CLOSE && short === 1))) return 1002
  const from = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
  if (bytes.length < from) return undefined
  const length =
    short < 126 ? BigInt(short) : short === 126 ? BigInt(bytes.readUInt16BE(at + 2)) : bytes.readBigUInt64BE(at + 2)
  return { fin, opcode, length, at: from }
}

export const verdictOf = (bytes: Buffer, maxBytes: number): Verdict => {
  const texts: Array<string> = []
  let parts: Array<Buffer> | undefined
  let binary = false
  let pings = 0
  const ends = (end: Verdict["end"], own = false): Verdict => ({ texts, pings, end, own })
  for (let at = 0; ;) {
    const head = headOf(bytes, at, parts !== undefined)
    if (head === undefined) return ends("open")
    if (typeof head === "number") return ends(head)
    const { fin, opcode, length } = head
    const before = parts?.reduce((sum, part) => sum + part.length, 0) ?? 0
    if (opcode < 8 && length > 0n && BigInt(before) + length > BigInt(maxBytes)) return ends(1009)
    const from = head.at + 4
    if (BigInt(bytes.length) < BigInt(from) + length) return ends("open")
    const mask = bytes.subarray(head.at, from)
    at = from + Number(length)
    const payload = Buffer.from(bytes.subarray(from, at).map((byte, i) => byte ^ mask[i % 4]!))
    if (opcode === CLOSE) return ends(...closeOf(payload))
    if (opcode === PING) pings++
    if (opcode >= 8) continue
    if (opcode !== CONTINUATION) binary = opcode === BINARY
    parts = [...(parts ?? []), payload]
    if (!fin) continue
    const message = Buffer.concat(parts)
    parts = undefined
    if (binary) return ends(1003)
    if (!isUtf8(message)) return ends(1007)
    texts.push(message.toString())
  }
}
