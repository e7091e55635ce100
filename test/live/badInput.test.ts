/**
 * Law 12 at the edge: a table of bad inputs, each with its answer, in the words of `Frames.heard`.
 *
 * A row: what is wrong, what is sent, what is answered, and the options of the gateway where it takes some. Where nothing is
 * said of a close, the connection goes on: it is asked `Kept` behind the bad input, and answers. After each row the books
 * balance, nothing is held, a polite client is answered, and no byte that was sent tells of the host's inside.
 */
import { Effect } from "effect"
import { afterEach, describe, expect, it } from "vitest"
import {
  authenticate,
  bearer,
  besides,
  dawdles,
  effect,
  frames,
  JSON_TYPE,
  knocks,
  leaves,
  PATH,
  posts,
  replays,
  requests,
  says,
  saysAt,
  saysEffect,
  says1000,
  sends,
  sleeps,
  stays,
  textFrames,
  known,
  type Attack,
  type Scene
} from "./Attack.ts"
import { BINARY, CLOSE, closing, CONTINUATION, frame, head, PING, PONG, TEXT, upgrade } from "./Frames.ts"
import { Gate, type LabOptions, open, until } from "./Lab.ts"
import { call, notice, Raw } from "./Raw.ts"

/** Where two clocks race, either answer. */
type Answer = string | ReadonlyArray<string>
type Row = readonly [what: string, attack: Attack, answer: Answer, options?: LabOptions]

const hi = JSON.stringify(call(1, "Kept"))
const nowhere = "404 no such path: agents are at /agents/{Type}/{key}, and type names are case-sensitive"
const badKey = '400 the key is not URL-encoded text of 1 to 256 UTF-16 units, "." and ".." apart'
const crossOrigin = "403 a page of this origin may not connect"
const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`
const deep = (depth: number): string => `{"jsonrpc":"2.0","id":1,"method":"Deep","params":{"value":${nested(depth)}}}`
const padded = (bytes: number): string => hi.replace("{", `{${" ".repeat(bytes - hi.length)}`)

const table: Readonly<Record<string, ReadonlyArray<Row>>> = {
  "RFC 6455, frames": [
    ["text that is not masked", frames(frame(TEXT, hi, { masked: false })), "close 1002"],
    ["a close that is not masked", frames(frame(CLOSE, "", { masked: false })), "close 1002"],
    ["the first reserved bit, which is deflate's", frames(frame(TEXT, hi, { rsv: 4 })), "close 1002"],
    ["the second reserved bit", frames(frame(TEXT, hi, { rsv: 2 })), "close 1002"],
    ["the third reserved bit", frames(frame(TEXT, hi, { rsv: 1 })), "close 1002"],
    ["a reserved bit in a ping", frames(frame(PING, "", { rsv: 4 })), "close 1002"],
    ...[3, 7, 11, 15].map((code): Row => [`the reserved opcode ${code}`, frames(frame(code, hi)), "close 1002"]),
    ["a ping in fragments", frames(frame(PING, "", { fin: false })), "close 1002"],
    ["a close in fragments", frames(frame(CLOSE, "", { fin: false })), "close 1002"],
    ["a ping of 126 bytes", frames(frame(PING, Buffer.alloc(126))), "close 1002"],
    ["a close of 126 bytes", frames(closing(1000, "x".repeat(124))), "close 1002"],
    ["a continuation of nothing", frames(frame(CONTINUATION, hi)), "close 1002"],
    ["text within text", frames(frame(TEXT, hi, { fin: false }), frame(TEXT, hi)), "close 1002"],
    ["bytes within text", frames(frame(TEXT, hi, { fin: false }), frame(BINARY, hi)), "close 1002"],
    ["a frame of bytes", frames(frame(BINARY, hi)), "close 1003 text frames only"],
    [
      "a frame of bytes, then a reserved bit: the first counts",
      frames(Buffer.concat([frame(BINARY, hi), frame(TEXT, hi, { rsv: 2 })])),
      "close 1003 text frames only"
    ],
    ...(
      [
        ["a continuation byte alone", [0x80]],
        ["a slash written too long", [0xc0, 0xaf]],
        ["a surrogate", [0xed, 0xa0, 0x80]],
        ["a point past the last", [0xf4, 0x90, 0x80, 0x80]],
        ["a point cut short", [0xc3]],
        ["0xFF", [0xff]]
      ] as const
    ).map(([what, bytes]): Row => {
      return [`text that is no UTF-8: ${what}`, frames(frame(TEXT, Buffer.from(bytes))), "close 1007"]
    }),
    [
      "no UTF-8 in the second fragment",
      frames(frame(TEXT, "é", { fin: false }), frame(0, Buffer.from([0xa9]))),
      "close 1007"
    ],
    ["a close reason that is no UTF-8", frames(closing(1000, Buffer.from([0xc3, 0x28]))), "close 1007"],
    ["a close of one byte", frames(frame(CLOSE, Buffer.from([3]))), "close 1002"],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535].map((code): Row => {
      return [`a close ${code}, which nobody may send`, frames(closing(code)), "close 1002"]
    }),
    ["a close, then text", frames(Buffer.concat([closing(1000), frame(TEXT, hi), frame(TEXT, hi)])), "close 1000"],
    ["a close, then nonsense", frames(Buffer.concat([closing(1000), Buffer.alloc(99, 0xff)])), "close 1000"],
    ["a length in more bytes than it takes", frames(frame(TEXT, hi, { lengthBytes: 8 })), "1: 0"],
    ["a length of 2^63", frames(frame(TEXT, "", { length: 2n ** 63n })), "close 1009"],
    ["a length of 2^53", frames(frame(TEXT, "", { length: 2n ** 53n })), "close 1009"],
    ["1 GiB announced", frames(frame(TEXT, "", { length: 2n ** 30n })), "close 1009"],
    ["a frame at its limit", frames(frame(TEXT, padded(1000))), "1: 0", { maxFrameBytes: 1000 }],
    ["a frame of a byte over its limit", frames(frame(TEXT, padded(1001))), "close 1009", { maxFrameBytes: 1000 }],
    [
      "fragments over the limit together",
      frames(
        ...Array.from({ length: 11 }, (_, n) => frame(n === 0 ? TEXT : CONTINUATION, "x".repeat(100), { fin: false }))
      ),
      "close 1009",
      { maxFrameBytes: 1000 }
    ],
    ["a frame in crumbs of a byte", frames(...[...frame(TEXT, hi)].map((byte) => Buffer.from([byte]))), "1: 0"],
    [
      "5,000 empty fragments",
      frames(
        Buffer.concat([
          frame(TEXT, "", { fin: false }),
          ...Array.from({ length: 5000 }, () => frame(0, "", { fin: false }))
        ])
      ),
      "close 1008"
    ],
    [
      "another mask than it says",
      frames(frame(TEXT, hi, { masked: false }).fill(0x80 | hi.length, 1, 2), Buffer.alloc(4)),
      "null: -32700"
    ],
    [
      "pings between fragments",
      frames(frame(TEXT, hi.slice(0, 9), { fin: false }), frame(PING, "x"), frame(0, hi.slice(9))),
      'pong "x"; 1: 0'
    ],
    [
      "pongs that nobody asked for",
      frames(Buffer.concat(Array.from({ length: 500 }, () => frame(PONG, "x")))),
      "nothing"
    ],
    [
      "a flood of pings in a packet",
      frames(Buffer.concat(Array.from({ length: 500 }, () => frame(PING, "x")))),
      'pong "x" x60; cut'
    ],
    ["noise", frames(Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919) % 251))), "close 1002"]
  ],
  "RFC 6455, gone in the midst": [
    ["half a frame, then the end", leaves("end", frame(TEXT, hi).subarray(0, 20)), "nothing"],
    ["half a frame's head, then cut", leaves("destroy", frame(TEXT, hi).subarray(0, 1)), "nothing"],
    ["half a message, then reset", leaves("resetAndDestroy", frame(TEXT, hi, { fin: false })), "nothing"],
    ["a request under way, then cut", leaves("destroy", textFrames([call(1, "Hold", { n: 1 })])), "nothing"]
  ],
  upgrade: [
    ["no key", knocks(PATH, { "Sec-WebSocket-Key": undefined }), "400 Missing or invalid Sec-WebSocket-Key header"],
    [
      "a key of a byte",
      knocks(PATH, { "Sec-WebSocket-Key": "eA==" }),
      "400 Missing or invalid Sec-WebSocket-Key header"
    ],
    [
      "two keys",
      knocks(PATH, { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" }),
      "400 Missing or invalid Sec-WebSocket-Key header"
    ],
    [
      "no version",
      knocks(PATH, { "Sec-WebSocket-Version": undefined }),
      "400 Missing or invalid Sec-WebSocket-Version header"
    ],
    [
      "version 7",
      knocks(PATH, { "Sec-WebSocket-Version": "7" }),
      "400 Missing or invalid Sec-WebSocket-Version header"
    ],
    [
      "version 14",
      knocks(PATH, { "Sec-WebSocket-Version": "14" }),
      "400 Missing or invalid Sec-WebSocket-Version header"
    ],
    ["by POST", sends(upgrade(PATH, {}, `POST ${PATH} HTTP/1.1`)), "405 Invalid HTTP method"],
    ["by CONNECT", sends(upgrade(PATH, {}, `CONNECT ${PATH} HTTP/1.1`)), "cut"],
    ["HTTP/1.0", sends(upgrade(PATH, {}, `GET ${PATH} HTTP/1.0`)), "400 an upgrade wants HTTP/1.1"],
    ["HTTP/0.9", sends(`GET ${PATH}\r\n\r\n`), "426 an agent speaks WebSocket here"],
    ["HTTP/2", sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400 Bad Request"],
    ["an upgrade to h2c", knocks(PATH, { Upgrade: "h2c" }), "400 Invalid Upgrade header"],
    ["TLS", sends(Buffer.from("1603010200010001fc0303", "hex")), "400 Bad Request"],
    ["no HTTP", sends("\u0000\u0001 nonsense\r\n\r\n"), "400 Bad Request"],
    ["no Host", knocks(PATH, { Host: undefined }), "400 a request names one Host"],
    ["two Hosts", knocks(PATH, { host: "evil.example" }), "400 a request names one Host"],
    ["20 KB of headers", knocks(PATH, { "X-Large": "x".repeat(20_000) }), "431 Request Header Fields Too Large"],
    ["a path of 20 KB", knocks(`${PATH}?${"x".repeat(20_000)}`), "431 Request Header Fields Too Large"],
    ["a NUL in a header", knocks(PATH, { "X-Nul": "a\u0000b" }), "400 Bad Request"],
    ["a header's name with a space behind it", knocks(PATH, { "X-Space ": "a" }), "400 Bad Request"],
    ["a header folded", knocks(PATH, { "X-Fold": "a\r\n b" }), "400 Bad Request"],
    ["a line that ends without CR", sends(upgrade(PATH).replace("\r\n", "\n")), "400 Bad Request"],
    ["a body", knocks(PATH, { "Content-Length": "5" }, "hello"), "101; close 1002"],
    [
      "a length and a transfer encoding",
      knocks(PATH, { "Content-Length": "5", "Transfer-Encoding": "chunked" }, "0\r\n\r\n"),
      "400 Bad Request"
    ],
    [
      "deflate: refused, and it works",
      knocks(PATH, { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" }),
      "101"
    ],
    [
      "deflate that nobody could do",
      knocks(PATH, { "Sec-WebSocket-Extensions": "permessage-deflate; server_max_window_bits=99" }),
      "101"
    ],
    [
      "deflate, and a compressed frame",
      knocks(PATH, { "Sec-WebSocket-Extensions": "permessage-deflate" }, frame(TEXT, hi, { rsv: 4 })),
      "101; close 1002"
    ],
    [
      "a subprotocol that is no token",
      knocks(PATH, { "Sec-WebSocket-Protocol": "a b" }),
      "400 Invalid Sec-WebSocket-Protocol header"
    ],
    [
      "a subprotocol twice",
      knocks(PATH, { "Sec-WebSocket-Protocol": "troupe, troupe" }),
      "400 Invalid Sec-WebSocket-Protocol header"
    ],
    ["half a head, then silence", dawdles("GET /agents"), "cut", { handshakeTimeout: 200 }],
    [
      "a head in crumbs, without end",
      dawdles(`GET ${PATH} HTTP/1.1\r\nX: `, "x"),
      // a crumb that is late finds the silence that one may keep over, too
      ["408 Request Timeout", "cut"],
      { handshakeTimeout: 200 }
    ]
  ],
  paths: [
    ["a type that is none", knocks("/agents/Nobody/x"), nowhere],
    ["a type in lower case", knocks("/agents/lab/x"), nowhere],
    ["a type in escapes", knocks("/agents/%4Cab/x"), nowhere],
    ["a type with a NUL behind it", knocks("/agents/Lab%00/x"), nowhere],
    ["no type", knocks("/agents//x"), nowhere],
    ["no key", knocks("/agents/Lab/"), nowhere],
    ["more than a key", knocks("/agents/Lab/x/y"), nowhere],
    ["a slash behind", knocks("/agents/Lab/x/"), nowhere],
    ["two slashes before", knocks("//agents/Lab/x"), nowhere],
    ["upwards", knocks("/agents/Lab/../Lab/x"), nowhere],
    ["upwards in escapes", knocks("/agents/Lab/%2e%2e/x"), nowhere],
    ["an address of its own", knocks("http://evil.example/agents/Lab/x"), nowhere],
    ["a star", knocks("*"), nowhere],
    ["the key ..", knocks("/agents/Lab/.."), badKey],
    ["the key .. in escapes", knocks("/agents/Lab/%2E%2e"), badKey],
    ["a key with a slash in escapes: it is text", knocks("/agents/Lab/a%2Fb"), "101"],
    ["a key with a NUL: it is text", knocks("/agents/Lab/a%00b"), "101"],
    ["a key with a line break: it is text", knocks("/agents/Lab/a%0d%0ab"), "101"],
    ["a key that is too long", knocks(`/agents/Lab/${"x".repeat(257)}`), badKey],
    ["a broken escape", knocks("/agents/Lab/%zz"), badKey],
    ["half an escape", knocks("/agents/Lab/x%4"), badKey],
    ["an escape that is no UTF-8", knocks("/agents/Lab/%ff"), badKey],
    ["a surrogate in escapes", knocks("/agents/Lab/%ed%a0%80"), badKey],
    ["a raw byte past ASCII", knocks("/agents/Lab/é"), "400 Bad Request"],
    ["a space", knocks("/agents/Lab/a b"), "400 Bad Request"]
  ],
  "names of prototypes": [
    ...["__proto__", "constructor", "toString", "hasOwnProperty"].flatMap((name): ReadonlyArray<Row> => [
      [`the type ${name}`, knocks(`/agents/${name}/x`), nowhere],
      [`the key ${name}, which is a key`, knocks(`/agents/Lab/${name}`), "101"],
      [`the method ${name}`, says(call(1, name)), "1: -32601"],
      [`the id ${name}`, says(call(name, "Kept")), `"${name}": 0`],
      [`the query ${name}`, knocks(`${PATH}?${name}=1&${name}[x]=2`), "101"]
    ]),
    [
      "params in a prototype",
      says('{"jsonrpc":"2.0","id":1,"method":"Note","params":{"__proto__":{"n":1}}}'),
      "1: -32602"
    ],
    ["a message in a prototype", says('{"__proto__":{"jsonrpc":"2.0","id":1,"method":"Kept"}}'), "null: -32600"],
    [
      "a prototype beside params",
      says(
        '{"jsonrpc":"2.0","id":1,"method":"Note","params":{"n":1,"__proto__":{"evil":1},"constructor":{"prototype":{"evil":1}}}}'
      ),
      "1: 0"
    ],
    [
      "a prototype that is kept",
      says('{"jsonrpc":"2.0","id":1,"method":"Deep","params":{"value":{"__proto__":{"evil":1}}}}'),
      "1: 0"
    ]
  ],
  JSON: [
    ...(
      [
        ["nothing", ""],
        ["white space", " \n\t"],
        ["a word", "nope"],
        ["a BOM before it", `\uFEFF${hi}`],
        ["two messages", hi + hi],
        ["half a message", hi.slice(0, -1)],
        ["a comma too many", hi.replace("}", ",}")],
        ["single quotes", hi.replaceAll('"', "'")],
        ["a comment", `${hi} // comment`],
        ["NaN", '{"jsonrpc":"2.0","id":NaN,"method":"Kept"}'],
        ["a NUL", `${hi}\u0000`],
        ["a line break in a string", hi.replace("Kept", "Ke\npt")],
        ["lists that do not end", "[".repeat(50)]
      ] as const
    ).map(([what, text]): Row => [what, says(text), "null: -32700"]),
    ["lists past the depth", says(deep(64)), "null: -32600"],
    ["lists within the depth", says(deep(62)), "1: 0"],
    ["30,000 lists in each other", says(deep(30_000)), "null: -32600"],
    ["30,000 brackets in a string, which are text", says(call(1, "Others", { text: nested(15_000) })), "1: 0"],
    ["a member twice: the last", says('{"jsonrpc":"2.0","id":1,"id":2,"method":"Nope","method":"Kept"}'), "2: 0"],
    ["a member in escapes", says(hi.replace('"id"', '"\\u0069d"')), "1: 0"],
    ["half a surrogate pair for an id", says('{"jsonrpc":"2.0","id":"\\ud800","method":"Kept"}'), '"\\ud800": 0'],
    ["half a surrogate pair for a method", says('{"jsonrpc":"2.0","id":1,"method":"\\udfff"}'), "1: -32601"],
    [
      "half a surrogate pair in params",
      says('{"jsonrpc":"2.0","id":1,"method":"Deep","params":{"value":"\\ud800"}}'),
      "1: 0"
    ],
    ["1e400 in params", says('{"jsonrpc":"2.0","id":1,"method":"Note","params":{"n":1e400}}'), "1: -32602"],
    [
      "10,000 digits",
      says(`{"jsonrpc":"2.0","id":1,"method":"Note","params":{"n":${"9".repeat(10_000)}}}`),
      "1: -32602"
    ]
  ],
  "JSON-RPC, the specification's examples": [
    ["params by position", says({ jsonrpc: "2.0", method: "Note", params: [42, 23], id: 1 }), "1: -32602"],
    ["params by name", says({ jsonrpc: "2.0", method: "Note", params: { n: 42 }, id: 3 }), "3: 0"],
    ["a notification", says({ jsonrpc: "2.0", method: "Note", params: { n: 1 } }), "nothing"],
    ["a notification of no method", says({ jsonrpc: "2.0", method: "foobar" }), "nothing"],
    ["no such method", says({ jsonrpc: "2.0", method: "foobar", id: "1" }), '"1": -32601'],
    ["invalid JSON", says('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]'), "null: -32700"],
    ["an invalid request", says({ jsonrpc: "2.0", method: 1, params: "bar" }), "null: -32600"],
    [
      "a batch, invalid JSON",
      says('[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"]'),
      "null: -32700"
    ],
    ["an empty batch", says([]), "null: -32600"],
    ["a batch of a number", says([1]), "[null: -32600]"],
    ["a batch of numbers", says([1, 2, 3]), "[null: -32600, null: -32600, null: -32600]"],
    [
      "a batch of everything",
      says([call("1", "Kept"), notice("Note", { n: 7 }), { foo: "boo" }, call("5", "foo.get"), call("9", "Kept")]),
      '[null: -32600, "5": -32601, "1": 0, "9": 0]'
    ],
    ["a batch of notifications", says([notice("Note", { n: 1 }), notice("Note", { n: 2 })]), "nothing"]
  ],
  "JSON-RPC": [
    ["a batch too long", says(Array.from({ length: 33 }, (_, n) => call(n, "Kept"))), "null: -32600"],
    ["a batch in a batch", says([[call(1, "Kept")]]), "[null: -32600]"],
    [
      "an id twice in a batch",
      says([call(1, "Hold", { n: 1 }), call(1, "Kept"), call(2, "$/cancel", { id: 1 })]),
      "[1: -32600, 1: -32004, 2: 0]"
    ],
    ["an id that is in use", says(call(1, "Count", { to: 0, end: "never" }), call(1, "Kept")), "1: -32600"],
    ...(
      [
        ["true", "null: -32600"],
        ["[]", "null: -32600"],
        ["{}", "null: -32600"],
        ["1e400", "null: -32600"],
        ["9007199254740992", "null: -32600"],
        ["-9007199254740993", "null: -32600"],
        ["9007199254740991", "9007199254740991: 0"],
        ["-0", "0: 0"],
        ["1.5", "1.5: 0"],
        ["null", "null: 0"],
        ['""', '"": 0'],
        [`"${"x".repeat(10_000)}"`, `"${"x".repeat(10_000)}": 0`]
      ] as const
    ).map(([id, answer]): Row => [
      `the id ${id.slice(0, 20)}`,
      says(`{"jsonrpc":"2.0","id":${id},"method":"Kept"}`),
      answer
    ]),
    ...[7, "x", true, null].map((params): Row => {
      return [`params ${JSON.stringify(params)}`, says({ ...call(1, "Deep"), params }), "1: -32600"]
    }),
    ...["Kept", 7, null, "a", [], {}].map((message): Row => {
      return [`the message ${JSON.stringify(message)}`, says(JSON.stringify(message)), "null: -32600"]
    }),
    ["no version", says({ id: 1, method: "Kept" }), "1: -32600"],
    ["version 1.0", says({ ...call(1, "Kept"), jsonrpc: "1.0" }), "1: -32600"],
    ["version 2, a number", says({ ...call(1, "Kept"), jsonrpc: 2 }), "1: -32600"],
    ["no method", says({ jsonrpc: "2.0", id: 1 }), "1: -32600"],
    ["a method of 60,000 characters", says(call(1, "x".repeat(60_000))), "1: -32601"],
    ["an answer that nobody waits for", says({ jsonrpc: "2.0", id: 1, result: 7 }), "1: -32600"],
    ["members that nobody knows", says({ ...call(1, "Kept"), extra: 1, result: 2, error: 3 }), "1: 0"],
    ["a $/ method that is none", says(call(1, "$/nope"), notice("$/nope")), "1: -32601"],
    ["the server's own $/session", says(call(1, "$/session", { token: "x" })), "1: -32601"],
    ["a method of events", says(call(1, "Filler", { text: "x" }), notice("Filler", { text: "x" })), "1: -32601"],
    ["$/cancel of nothing", says(call(1, "$/cancel", { id: 99 }), notice("$/cancel", { id: 99 })), "1: 0"],
    ["$/cancel of itself", says(call(1, "$/cancel", { id: 1 })), "1: 0"],
    [
      "$/cancel without an id",
      says(call(1, "$/cancel"), call(2, "$/cancel", { id: {} }), call(3, "$/cancel", [1])),
      "1: -32602; 2: -32602; 3: -32602"
    ],
    ["a requestKey, but no session", says({ ...call(1, "Kept"), requestKey: "k" }), "1: -32600"],
    ["a requestKey that is no text", says({ ...call(1, "Kept"), requestKey: 7 }), "1: -32600"],
    ["a requestKey that is too long", says({ ...call(1, "Kept"), requestKey: "k".repeat(129) }), "1: -32600"],
    ["a notification with a requestKey", says({ ...notice("Note", { n: 1 }), requestKey: "k" }), "null: -32600"],
    [
      "the requestKey of another request",
      saysAt(
        `${PATH}?session=new`,
        {},
        { ...call(1, "Note", { n: 1 }), requestKey: "k" },
        { ...call(2, "Note", { n: 2 }), requestKey: "k" }
      ),
      "event $/session; 2: -32600; 1: 0"
    ]
  ],
  Schema: [
    ["no params", says(call(1, "Note")), "1: -32602"],
    ["a member missing", says(call(1, "Note", {})), "1: -32602"],
    ["a member more, which is let go", says(call(1, "Note", { n: 1, more: 2 })), "1: 0"],
    ["params where there are none", says(call(1, "Kept", { n: 1 })), "1: -32602"],
    ...["1", null, 1.5, true, [1], { n: 1 }].map((n): Row => {
      return [`${JSON.stringify(n)} for a whole number`, says(call(1, "Note", { n })), "1: -32602"]
    }),
    [
      "a word that is none of the list",
      says(call(1, "Emit", { event: "Nope", who: "x", from: 1, to: 1, bytes: 1 })),
      "1: -32602"
    ],
    ["a Schema that throws", says(call(1, "Touch", { text: "boom" }), notice("Touch", { text: "boom" })), "1: -32603"],
    ["an answer that its Schema refuses", says(call(1, "Liar")), "1: -32603"],
    ["an answer that JSON cannot say", says(call(1, "Odd")), "1: -32603"],
    ["a handler that throws", says(call(1, "Fail")), "1: -32603"],
    ["a typed error", says(call(1, "Mute")), "1: -32000"],
    ["an event that its Schema refuses", says(call(1, "WrongEvent")), "1: 0"],
    ["a stream that dies", says(call(1, "Count", { to: 1, end: "dies" })), "event $/chunk; 1: -32603"],
    ["a stream's element that its Schema refuses", says(call(1, "Count", { to: 0, end: "unfit" })), "1: -32603"],
    ["a close code that nobody may send", says(call(1, "HangUp", { code: 1006, reason: "" })), "1: -32603"]
  ],
  limits: [
    [
      "more invalid messages than may be",
      says(...Array.from({ length: 4 }, (_, id) => call(id, "Nope"))),
      "0: -32601; 1: -32601; 2: -32601; 3: -32601; close 1008 too many invalid messages",
      { maxInvalid: 3 }
    ],
    [
      "a message more a second than may be, for too long",
      says(...Array.from({ length: 2000 }, () => notice("$/cancel", { id: 0 }))),
      "close 1008 too many messages",
      { maxMessageRate: 100, floodTimeout: 1 }
    ],
    [
      "a batch counts as its messages",
      says(...Array.from({ length: 80 }, () => Array.from({ length: 32 }, () => notice("$/cancel", { id: 0 })))),
      "close 1008 too many messages",
      { maxMessageRate: 100, floodTimeout: 1 }
    ],
    [
      "frames on and on while nothing is read",
      says(...Array.from({ length: 100 }, (_, n) => call(n, "Hold", { n }))),
      "close 1008 backlog full",
      { maxUnfinished: 1, maxBacklogBytes: 200 }
    ],
    ["a connection too many", besides([[PATH]], knocks(PATH)), "503 this host is full", { maxConnections: 1 }],
    [
      "a connection too many of its address",
      besides([[PATH]], knocks(PATH)),
      "429 too many connections of this address",
      { maxConnectionsPerAddress: 1 }
    ],
    [
      "an address that a stranger says is another",
      besides([[PATH]], knocks(PATH, { "X-Forwarded-For": "203.0.113.7" })),
      "429 too many connections of this address",
      { maxConnectionsPerAddress: 1 }
    ],
    [
      "a connection too many of its principal",
      besides([[PATH, bearer("ann.1")]], knocks(PATH, bearer("ann.2"))),
      "429 too many connections of this principal",
      { authenticate, maxConnectionsPerPrincipal: 1 }
    ],
    [
      "an agent too many of its principal",
      besides([[PATH, bearer("ann.1")]], knocks("/agents/Lab/more", bearer("ann.1"))),
      "429 too many agents of this principal",
      { authenticate, maxAgentsPerPrincipal: 1 }
    ],
    [
      "an agent too many",
      besides([["/agents/Lab/polite"]], knocks("/agents/Lab/more")),
      "503 this host is full",
      { maxAgents: 1 }
    ],
    ["a client that does not read", sleeps, "close 1013 too slow for its events", { maxOutboxBytes: 65_536 }],
    ["a request that is not answered in time", says(call(1, "Count", { to: 0, end: "never" }), call(2, "Kept")), "2: 0"]
  ],
  authentication: [
    ["no token", knocks(PATH), "401 unauthorized", known],
    ["a bad token", knocks(PATH, bearer("bad.1")), "401 unauthorized", known],
    ["a token that has expired", knocks(PATH, bearer("old.1")), "401 unauthorized", known],
    ["another scheme", knocks(PATH, { Authorization: "Basic YW5uOng=" }), "401 unauthorized", known],
    ["an empty token", knocks(`${PATH}?token=`, { Authorization: "Bearer " }), "401 unauthorized", known],
    ["two tokens in a header", knocks(PATH, bearer("ann.1 bob.1")), "401 unauthorized", known],
    [
      "two headers: the first",
      saysAt(PATH, { ...bearer("ann.1"), authorization: "Bearer bad.1" }, call(1, "Who")),
      "1: 0",
      known
    ],
    [
      "a bad token before a good one",
      knocks(`${PATH}?token=ann.1`, { ...bearer("bad.1"), "Sec-WebSocket-Protocol": "troupe, bearer.ann.1" }),
      "401 unauthorized",
      known
    ],
    [
      "a token in three places: the header's",
      knocks(`${PATH}?token=bad.3`, { ...bearer("ann.1"), "Sec-WebSocket-Protocol": "troupe, bearer.bad.2" }),
      "101",
      known
    ],
    [
      "a token alone among the subprotocols",
      knocks(PATH, { "Sec-WebSocket-Protocol": "bearer.ann.1" }),
      '400 offer the subprotocol "troupe" beside the token: a browser needs an answer, and the token is none',
      known
    ],
    [
      "an agent of another",
      knocks(PATH, bearer("ann.1")),
      "403 forbidden",
      { authenticate, authorize: ({ id }, _, key) => Effect.succeed(id === key || key === "polite") }
    ],
    [
      "$/auth of another principal",
      saysAt(PATH, bearer("ann.1"), call(1, "$/auth", { token: "bob.1" })),
      "1: -32600; close 4401 another principal",
      known
    ],
    [
      "$/auth with a bad token",
      saysAt(PATH, bearer("ann.1"), call(1, "$/auth", { token: "bad.1" })),
      "1: -32600",
      known
    ],
    [
      "$/auth with what is no token",
      saysAt(PATH, bearer("ann.1"), call(1, "$/auth", { token: 7 }), call(2, "$/auth")),
      "1: -32602; 2: -32602",
      known
    ],
    ["$/auth where nobody is asked", says(call(1, "$/auth", { token: "ann.1" })), "1: -32601"]
  ],
  "origin and CSRF": [
    ["a page of another site", knocks(PATH, { Origin: "https://evil.example" }), crossOrigin],
    ["a page of another port", knocks(PATH, { Origin: "http://127.0.0.1:81" }), crossOrigin],
    ["a page in a sandbox", knocks(PATH, { Origin: "null" }), crossOrigin],
    ["an origin that is none", knocks(PATH, { Origin: "127.0.0.1" }), crossOrigin],
    ["an empty origin", knocks(PATH, { Origin: "" }), crossOrigin],
    ["an origin that begins like the host", knocks(PATH, { Origin: "http://127.0.0.1.evil.example" }), crossOrigin],
    ["the host in another's name", knocks(PATH, { Origin: "http://127.0.0.1@evil.example" }), crossOrigin],
    [
      "an origin that is not in the list",
      knocks(PATH, { Origin: "http://127.0.0.1" }),
      crossOrigin,
      { origins: ["https://app.example"] }
    ],
    [
      "another scheme than in the list",
      knocks(PATH, { Origin: "http://app.example" }),
      crossOrigin,
      { origins: ["https://app.example"] }
    ],
    ["a POST of another site's page", posts(hi, "Origin: https://evil.example"), crossOrigin],
    ...[
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "application/jsonp",
      "text/plain; application/json"
    ].map((type): Row => {
      return [
        `a POST as ${type}`,
        requests(`POST ${PATH} HTTP/1.1`, [`Content-Type: ${type}`, `Content-Length: ${hi.length}`], hi),
        "415 the body is application/json"
      ]
    }),
    [
      "a preflight",
      requests(`OPTIONS ${PATH} HTTP/1.1`, ["Origin: https://evil.example", "Access-Control-Request-Method: POST"]),
      "405 an agent speaks WebSocket here, and takes POST"
    ]
  ],
  POST: [
    ["a message, which is right", posts(hi), "200 1: 0"],
    ["no JSON", posts("nope"), "200 null: -32700"],
    ["nothing", posts(""), "200 null: -32700"],
    ["a BOM", posts(`\uFEFF${hi}`), "200 null: -32700"],
    ["an empty batch", posts([]), "200 null: -32600"],
    ["a batch of junk", posts([1, [], null]), "200 [null: -32600, null: -32600, null: -32600]"],
    ["a notification of no method", posts(notice("Nope")), "204 No Content"],
    ["no UTF-8", posts(Buffer.from([0x22, 0xff, 0x22])), "400 the body is no UTF-8"],
    ["more than a frame", posts("x".repeat(1001)), "413 a body has at most 1000 bytes", { maxFrameBytes: 1000 }],
    [
      "a length that is announced too long",
      requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, "Content-Length: 99999999999"]),
      "413 a body has at most 65536 bytes"
    ],
    [
      "chunks too long together",
      requests(
        `POST ${PATH} HTTP/1.1`,
        [JSON_TYPE, "Transfer-Encoding: chunked"],
        `320\r\n${"x".repeat(800)}\r\n`.repeat(2)
      ),
      "413 a body has at most 1000 bytes",
      { maxFrameBytes: 1000 }
    ],
    [
      "a chunk that is none",
      requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, "Transfer-Encoding: chunked"], "zz\r\n"),
      "400 Bad Request"
    ],
    [
      "a body that does not come",
      dawdles(head([`POST ${PATH} HTTP/1.1`, "Host: x", JSON_TYPE, "Content-Length: 9"])),
      "cut",
      { handshakeTimeout: 200 }
    ],
    [
      "two lengths",
      requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, "Content-Length: 1", "Content-Length: 2"], "12"),
      "400 Bad Request"
    ],
    ["a length and chunks", posts(hi, "Transfer-Encoding: chunked"), "400 Bad Request"],
    [
      "an encoding behind chunks",
      requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, "Transfer-Encoding: chunked, gzip"], "0\r\n\r\n"),
      "400 Bad Request"
    ],
    ["a length that is none", requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, "Content-Length: -1"]), "400 Bad Request"],
    ["gzip", posts(hi, "Content-Encoding: gzip"), "200 1: 0"],
    ["an expectation that nobody meets", posts(hi, "Expect: wonders"), "417 Expectation Failed"],
    ["a second request behind it", sends(`${head(["GET /readyz HTTP/1.1", "Host: x"])}`.repeat(2)), "200 ready"],
    ["a stream", posts(call(1, "Count", { to: 3 })), "200 1: -32601"],
    ["a $/ method", posts(call(1, "$/cancel", { id: 1 })), "200 1: -32601"],
    ["a Schema that throws", posts(call(1, "Touch", { text: "boom" })), "200 1: -32603"],
    ["a handler that throws", posts(call(1, "Fail")), "200 1: -32603"],
    ["an agent that is none", requests("POST /agents/Nobody/x HTTP/1.1", [JSON_TYPE, "Content-Length: 0"]), nowhere],
    ["a key that is none", requests("POST /agents/Lab/.. HTTP/1.1", [JSON_TYPE, "Content-Length: 0"]), badKey],
    ["PUT", requests(`PUT ${PATH} HTTP/1.1`), "405 an agent speaks WebSocket here, and takes POST"],
    ["GET", requests(`GET ${PATH} HTTP/1.1`), "426 an agent speaks WebSocket here"],
    ["a method that is none", requests(`BREW ${PATH} HTTP/1.1`), "400 Bad Request"],
    [
      "a page that is only read",
      requests("POST /healthz HTTP/1.1", ["Content-Length: 0"]),
      "405 this page is read by GET"
    ],
    ["no Host", sends(`GET /healthz HTTP/1.1\r\n\r\n`), "400 Bad Request"],
    ["two Hosts", posts(hi, "Host: evil.example"), "400 a request names one Host"]
  ],
  sessions: [
    ...["", "old", "new&session=new", `${"x".repeat(43)}&session=new`].map((wish): Row => {
      return [
        `session=${wish.slice(-20)}`,
        knocks(`${PATH}?session=${wish}`),
        wish.includes("&")
          ? "400 session stands once, and after goes with a token"
          : "400 session is neither new nor a token"
      ]
    }),
    ["a token of 44", knocks(`${PATH}?session=${"x".repeat(44)}&after=1`), "400 session is neither new nor a token"],
    [
      "a token that goes upwards",
      knocks(`${PATH}?session=../../etc/passwd&after=1`),
      "400 session is neither new nor a token"
    ],
    ["a new one after something", knocks(`${PATH}?session=new&after=1`), "400 a new session has nothing before it"],
    ["after without a session", knocks(`${PATH}?after=1`), "400 session stands once, and after goes with a token"],
    ...["-1", "1e3", "0x1", "1.5", "9".repeat(16), ""].map((after): Row => {
      return [
        `after=${after}`,
        knocks(`${PATH}?session=${"x".repeat(43)}&after=${after}`),
        "400 after is the seq of the last frame seen, a whole number"
      ]
    }),
    [
      "a token that nobody was given",
      replays([`${PATH}?session=new`], stays, ["/agents/Lab/other"]),
      "another session, a gap"
    ],
    [
      "the token of a session that has ended",
      replays([`${PATH}?session=new`], says1000, [PATH]),
      "another session, a gap"
    ],
    [
      "the token of another principal's session",
      replays([`${PATH}?session=new`, bearer("ann.1")], stays, [PATH, bearer("bob.1")]),
      "another session, a gap",
      known
    ],
    [
      "its own token, by another credential of its own",
      replays([`${PATH}?session=new`, bearer("ann.1")], stays, [PATH, bearer("ann.2")]),
      "its session, no gap",
      known
    ]
  ],
  "effect-rpc": [
    [
      "a session",
      knocks(`${PATH}?session=new`, effect),
      "400 no sessions under this subprotocol: its client cannot resume one"
    ],
    ["no JSON", saysEffect("nope"), "null: -32700"],
    ["an empty batch", saysEffect([]), "null: -32600"],
    ["a batch of junk", saysEffect([1, null]), "[null: -32600, null: -32600]"],
    [
      "the other serialization's frame",
      saysEffect({ _tag: "Request", id: "1", tag: "Kept", payload: null, headers: [] }),
      '"1": -32600'
    ],
    ["an id of null", saysEffect(call(null, "Kept")), "null: -32600"],
    ["no such method", saysEffect(call(1, "Nope")), "1: -32601"],
    ["params that its Schema refuses", saysEffect(call(1, "Note", { n: "x" })), "1: -32602"],
    ["a Schema that throws", saysEffect(call(1, "Touch", { text: "boom" })), "1: -32603"],
    ["an Ack of nothing", saysEffect(notice("@effect/rpc/Ack", { requestId: 9 })), "nothing"],
    ["an Ack that names nothing", saysEffect(notice("@effect/rpc/Ack")), "nothing"],
    ["an Interrupt of nothing", saysEffect(notice("@effect/rpc/Interrupt", { requestId: 9 })), "nothing"],
    ["a control that is none", saysEffect(notice("@effect/rpc/Nope")), "nothing"],
    ["a control with an id", saysEffect(call(1, "@effect/rpc/Ping")), "1: -32601"],
    [
      "controls without end",
      saysEffect(...Array.from({ length: 4 }, () => notice("@effect/rpc/Nope"))),
      "close 1008 too many invalid messages",
      { maxInvalid: 3 }
    ],
    ["plain JSON-RPC's control", saysEffect(call(1, "$/cancel", { id: 1 })), "1: -32601"]
  ]
}

let scene: Scene | undefined

afterEach(async () => {
  scene?.gate.stayOpen()
  await scene?.live.close()
  scene = undefined
})

/** What no byte may tell of the host. */
const inner = /\n\s+at |node_modules|\.ts:\d|secret|stack/i

describe.each(Object.entries(table))("%s", (_, rows) => {
  it.each(rows.map((row) => [row[0], row] as const))("%s", async (_what, [, attack, answer, options = {}]) => {
    const gate = new Gate()
    const live = await open(gate, options)
    scene = { live, gate, bares: [] }
    const answered = await attack(scene)
    expect([answer].flat()).toContain(answered)
    const { stats } = live.gateway
    for (const [, code] of answered.matchAll(/close (\d+)/g)) {
      await until(
        `${code} is counted: ${JSON.stringify(stats().closed)}`,
        () => stats().closed[Number(code)] !== undefined
      )
    }
    await until("it is let go", () => stats().connections + stats().posts === 0)
    const polite = await Raw.open(`${live.url}/polite`, { headers: { authorization: "Bearer polite.1" } })
    polite.send(call(1, "Kept"))
    expect(await polite.answer(1)).toEqual({ jsonrpc: "2.0", id: 1, result: 0 })
    polite.socket.terminate()
    for (const { bytes, heard } of scene.bares) {
      expect(bytes.toString("latin1")).not.toMatch(inner)
      // one request a socket
      if (heard.length > 0 && heard[0] !== "101") expect(bytes.toString("latin1")).toMatch(/^connection: close/im)
    }
    for (const bare of scene.bares) bare.socket.destroy()
  })
})
