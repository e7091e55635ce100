/**
 * RFC 6455 and RFC 9112 by hand: what a client writes to a socket, right or wrong in any part, and what it hears there.
 *
 * Pure; knows no socket. `frame` writes what it is told, however wrong; `heard` puts all bytes of a server in words, so that a
 * test can say exactly what was answered and that nothing else was:
 *
 *   101 | 404 <body>     an HTTP answer, by its body, or its reason where it has none
 *   1: 0 | 1: -32601     a JSON-RPC answer: 0 is a result. [1: 0, 2: 0] is a batch
 *   event Filler         a notification;    pong "x", ping, close 1002 <reason>: frames that are no text
 */
export const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10] as const

const mask = Buffer.from([1, 2, 3, 4])

export interface Shape {
  readonly fin?: boolean
  /** Reserved bits: 4, 2, 1. */
  readonly rsv?: number
  /** False: the payload goes as it is. */
  readonly masked?: boolean
  readonly mask?: Buffer
  /** The length that is announced, when it is not the payload's. */
  readonly length?: bigint
  /** Bytes that the length is written in beyond the seven bits: the fewest unless told. */
  readonly lengthBytes?: 0 | 2 | 8
}

/** The fields of a frame in bytes, whatever they are. */
export const frame = (opcode: number, payload: Buffer | string = "", shape: Shape = {}): Buffer => {
  const data = Buffer.from(payload)
  const { fin = true, rsv = 0, masked = true, length = BigInt(data.length) } = shape
  const { lengthBytes = length < 126n ? 0 : length < 65_536n ? 2 : 8 } = shape
  const key = shape.mask ?? mask
  const head = Buffer.alloc(2 + lengthBytes)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) head.writeUInt16BE(Number(length), 2)
  if (lengthBytes === 8) head.writeBigUInt64BE(length, 2)
  return Buffer.concat(masked ? [head, key, data.map((byte, i) => byte ^ key[i % 4]!)] : [head, data])
}

/** A close frame with a code, which may be none that may be sent. */
export const closing = (code: number, reason: Buffer | string = ""): Buffer =>
  frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))

/** The head of a request. */
export const head = (lines: ReadonlyArray<string>): string => `${lines.join("\r\n")}\r\n\r\n`

/** Headers of an upgrade by name; undefined takes one away. */
export type Headers = Readonly<Record<string, string | undefined>>

export const upgrade = (path: string, headers: Headers = {}, line = `GET ${path} HTTP/1.1`): string => {
  const all: Headers = {
    Host: "127.0.0.1",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    ...headers
  }
  return head([
    line,
    ...Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : `${name}: ${value}`))
  ])
}

// ---- what is heard

interface Answer {
  readonly id?: unknown
  readonly method?: string
  readonly params?: unknown
  readonly chunk?: boolean
  readonly error?: { readonly code: number }
}

const wordsOf = (message: Answer | ReadonlyArray<Answer>): string => {
  if (Array.isArray(message)) return `[${message.map(wordsOf).join(", ")}]`
  const { id, method, error, chunk } = message as Answer
  if (method !== undefined) return `event ${method}`
  return `${JSON.stringify(id)}: ${chunk === true ? "chunk" : (error?.code ?? 0)}`
}

const controlOf = (opcode: number, payload: Buffer): string => {
  if (opcode === TEXT) return wordsOf(JSON.parse(payload.toString()) as Answer)
  if (opcode === PING) return "ping"
  if (opcode === PONG) return `pong ${JSON.stringify(payload.toString())}`
  if (opcode !== CLOSE) return `opcode ${opcode}`
  return payload.length < 2 ? "close" : `close ${payload.readUInt16BE(0)} ${payload.toString("utf8", 2)}`.trimEnd()
}

/** The whole frames of a server's bytes: opcode and payload; it masks none and splits none. */
const framesOf = (bytes: Buffer): ReadonlyArray<readonly [opcode: number, payload: Buffer]> => {
  const frames: Array<readonly [number, Buffer]> = []
  for (let at = 0; bytes.length - at >= 2;) {
    const [first, short] = [bytes[at]!, bytes[at + 1]!]
    if ((first & 0xf0) !== 0x80 || short > 127) throw new Error(`no frame that a server sends: ${first}, ${short}`)
    const from = at + (short < 126 ? 2 : short === 126 ? 4 : 10)
    if (bytes.length < from) break
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
    if (bytes.length < from + length) break
    frames.push([first & 15, bytes.subarray(from, from + length)])
    at = from + length
  }
  return frames
}

/** All JSON-RPC messages that a server has sent behind its 101, those of batches too. */
export const messagesOf = (bytes: Buffer): ReadonlyArray<Answer> =>
  framesOf(bytes.subarray(bytes.indexOf("\r\n\r\n") + 4))
    .filter(([opcode]) => opcode === TEXT)
    .flatMap(([, payload]) => JSON.parse(payload.toString()) as Answer | ReadonlyArray<Answer>)

const chunksOf = (text: string): string => {
  const size = Number.parseInt(text, 16)
  if (!(size > 0)) return ""
  const from = text.indexOf("\r\n") + 2
  return text.slice(from, from + size) + chunksOf(text.slice(from + size + 2))
}

const bodyOf = (headers: string, text: string): string => {
  if (/^transfer-encoding: chunked/im.test(headers)) return chunksOf(text)
  const length = /^content-length: (\d+)/im.exec(headers)?.[1]
  return length === undefined ? text : text.slice(0, Number(length))
}

const jsonOf = (headers: string, body: string): string =>
  /^content-type: application\/json/im.test(headers) && body.includes("jsonrpc")
    ? wordsOf(JSON.parse(body) as Answer)
    : body.trim()

/** Everything that a server has said, in words: see the header. */
export const heard = (bytes: Buffer): ReadonlyArray<string> => {
  const end = bytes.indexOf("\r\n\r\n")
  if (end < 0) return []
  const headers = bytes.toString("latin1", 0, end)
  const [, status, reason = ""] = /^HTTP\/1\.1 (\d+) (.*)/.exec(headers) ?? []
  if (status === undefined) throw new Error(`no HTTP: ${headers.slice(0, 100)}`)
  const rest = bytes.subarray(end + 4)
  if (status === "101") return ["101", ...framesOf(rest).map(([opcode, payload]) => controlOf(opcode, payload))]
  if (status === "100") return ["100", ...heard(rest)]
  const body = bodyOf(headers, rest.toString("utf8"))
  const told = jsonOf(headers, body)
  return [`${status} ${told === "" ? reason : told}`]
}
