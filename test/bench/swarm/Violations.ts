/**
 * What no decent client sends: handshakes and frames against RFC 6455, HTTP against RFC 9112, JSON, JSON-RPC. Data only.
 */
import { closing, CLOSE, CONTINUATION, frame, head, PING, TEXT, upgrade } from "../../live/Frames.ts"

/** An upgrade that is right. */
export const good = (path: string): string => upgrade(path)

/** Handshakes that are wrong, each with what is wrong about it. */
export const handshakes: ReadonlyArray<readonly [what: string, bytes: string]> = [
  ["no HTTP", "\u0000\u0001\u0002 nonsense\r\n\r\n"],
  ["TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\r\n\r\n"],
  ["no key", upgrade("/agents/Echo/x", { "Sec-WebSocket-Key": undefined })],
  ["a short key", upgrade("/agents/Echo/x", { "Sec-WebSocket-Key": "eA==" })],
  ["version 8", upgrade("/agents/Echo/x", { "Sec-WebSocket-Version": "8" })],
  ["20 KB of headers", upgrade("/agents/Echo/x", { "X-Large": "x".repeat(20_000) })],
  [
    "3,000 headers",
    upgrade("/agents/Echo/x", Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`X-${i}`, "1"])))
  ],
  ["a path upwards", upgrade("/agents/../healthz")],
  ["a key of NUL", upgrade("/agents/Echo/%00")],
  ["a broken escape", upgrade("/agents/Echo/%ZZ")],
  ["a prototype for a type", upgrade("/agents/__proto__/x")],
  ["a session that is none", upgrade("/agents/Echo/x?session=../../etc")],
  ["a session of another", upgrade(`/agents/Echo/x?session=${"A".repeat(43)}&after=0`)],
  ["two lengths", head(["POST /agents/Echo/x HTTP/1.1", "Host: x", "Content-Length: 1", "Content-Length: 2"])],
  ["a body without end", `${head(["POST /agents/Echo/x HTTP/1.1", "Host: x", "Content-Length: 1000000000"])}x`],
  ["HTTP/0.9", "GET /healthz\r\n\r\n"],
  [
    "extensions that bomb",
    upgrade("/agents/Echo/x", { "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=99" })
  ]
]

const text = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"Hi"}')

/** Frames that are wrong, behind a handshake that is right. */
export const frames: ReadonlyArray<readonly [what: string, bytes: Buffer]> = [
  ["unmasked text", frame(TEXT, text, { masked: false })],
  ["a reserved bit", frame(TEXT, text, { rsv: 4 })],
  ["all reserved bits", frame(TEXT, text, { rsv: 7 })],
  ["opcode 3", frame(3, text)],
  ["opcode 15", frame(15)],
  ["a ping of 126 bytes", frame(PING, Buffer.alloc(126))],
  ["a ping in fragments", frame(PING, "x", { fin: false })],
  ["a continuation of nothing", frame(CONTINUATION, text)],
  ["text within text", Buffer.concat([frame(TEXT, text, { fin: false }), frame(TEXT, text)])],
  ["text that is no UTF-8", frame(TEXT, Buffer.from([0x22, 0xc3, 0x28, 0x22]))],
  ["a close of one byte", frame(CLOSE, Buffer.from([3]))],
  ["a close with 1005", closing(1005)],
  ["a close with 99", closing(99)],
  ["a close that is no UTF-8", closing(1000, Buffer.from([0xc3, 0x28]))],
  ["2^63 bytes announced", frame(TEXT, "", { length: 2n ** 63n })],
  ["1 GiB announced", frame(TEXT, "", { length: 2n ** 30n })],
  [
    "9,000 empty fragments",
    Buffer.concat([
      frame(TEXT, text, { fin: false }),
      ...Array.from({ length: 9000 }, () => frame(CONTINUATION, "", { fin: false }))
    ])
  ],
  ["frames behind a close", Buffer.concat([closing(1000), frame(TEXT, text), frame(TEXT, text)])],
  ["noise", Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))]
]

const request = (method: unknown, params?: unknown, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params })

/** Texts that are no valid calls, each with how often it is sent. */
export const texts: ReadonlyArray<readonly [what: string, text: string, times: number]> = [
  ["nothing", "", 1],
  ["no JSON", '{"jsonrpc":', 1],
  ["a number", "7", 1],
  ["null", "null", 1],
  ["no version", '{"id":1,"method":"Hi"}', 1],
  ["an id that is an object", request("Hi", undefined, {}), 1],
  ["no such method", request("Nope"), 1],
  ["a method of Object's", request("constructor"), 1],
  ["a method that is a list", request(["Hi"]), 1],
  ["params by position", request("Echo", ["x"]), 1],
  ["params of the wrong type", request("Echo", { text: {} }), 1],
  ["a prototype in params", '{"jsonrpc":"2.0","id":1,"method":"Echo","params":{"__proto__":{"text":"x"}}}', 1],
  [
    "20,000 lists in each other",
    request("Echo", { text: 0 }).replace("0}", `${"[".repeat(20_000)}${"]".repeat(20_000)}}`),
    1
  ],
  ["an empty batch", "[]", 1],
  ["a batch of 1,000", JSON.stringify(Array.from({ length: 1000 }, () => 1)), 1],
  ["a batch of nonsense", JSON.stringify(Array.from({ length: 32 }, () => ({ a: 1 }))), 1],
  ["70,000 bytes", "x".repeat(70_000), 1],
  ["200 times nonsense", "nonsense", 200]
]
