/**
 * Law 12 at the edge, by chance: frames, messages and requests that nobody thought of.
 *
 * Each run is one bad client of a gateway that goes on; beside it a polite one is connected all the time, asks, and is sent its
 * answers and nothing else. What is owed to the bad one is told by models: `Rfc6455.verdictOf` for bytes, `owed` for messages.
 * `TROUPE_FUZZ=50 npx vitest run --config test/vitest.config.ts test/live/fuzz` has 50 times as many runs.
 */
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { Bare } from "./Bare.ts"
import { closing, frame, head, messagesOf, PING, TEXT, upgrade } from "./Frames.ts"
import { Gate, type Live, open, until } from "./Lab.ts"
import { call, notice, Raw } from "./Raw.ts"
import { verdictOf } from "./Rfc6455.ts"

const times = Number(process.env["TROUPE_FUZZ"] ?? 1)
/** Of a property, in ms; the search for a smaller counterexample ends then. */
const limit = 30_000 * times
const PATH = "/agents/Lab/bad"
const limits = { maxFrameBytes: 2000, maxBatch: 8, maxDepth: 16, maxInvalid: 1_000_000, maxMessageRate: 1_000_000 }

let live: Live
let polite: Raw
let asked = 0
/** The bad one. */
let bare: Bare | undefined

beforeEach(async () => {
  const gate = new Gate()
  gate.stayOpen()
  // how often an agent may fail is not what is asked here
  live = await open(gate, limits, { supervision: { intensity: { restarts: 1_000_000 }, backoff: { min: 1, max: 1 } } })
  polite = await Raw.open(`${live.url}/polite`)
  asked = 0
})

afterEach(async () => {
  polite.socket.terminate()
  await live.close()
})

const inner = /\n\s+at |node_modules|\.ts:\d|secret|stack/i

/** The law that holds after each run, whatever was sent. */
const holds = async (bare: Bare): Promise<void> => {
  bare.socket.destroy()
  const { stats } = live.gateway
  await until("the bad one is let go", () => stats().connections === 1 && stats().posts === 0)
  polite.send(call(++asked, "Kept"))
  expect(await polite.answer(asked)).toEqual({ jsonrpc: "2.0", id: asked, result: 0 })
  expect(polite.frames).toHaveLength(asked)
  // but for what sessions keep for a client that may come back
  await until("nothing is held", () => stats().heldBytes === stats().keptBytes)
  expect(bare.bytes.toString("latin1")).not.toMatch(inner)
  expect(live.host.imbalances()).toEqual([])
}

const enter = async (): Promise<Bare> => {
  bare = await Bare.open(live.gateway.port)
  return bare
}

const runs = async <A>(what: fc.Arbitrary<A>, numRuns: number, run: (value: A) => Promise<void>): Promise<void> => {
  const property = fc.asyncProperty(what, run).afterEach(async () => {
    // where a run has failed, the next begins with nobody there, too
    bare?.socket.destroy()
    await until("the bad one is gone", () => live.gateway.stats().connections === 1)
  })
  await fc.assert(property, { numRuns: numRuns * times, interruptAfterTimeLimit: limit })
}

const connected = async (path = PATH, headers = {}): Promise<Bare> => {
  const bare = await enter()
  await bare.write(upgrade(path, headers))
  await bare.until("101")
  return bare
}

/** The bytes in pieces, cut at some of these places. */
const pieces = (bytes: Buffer, cuts: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [...at, bytes.length].map((end, i) => bytes.subarray(at[i - 1] ?? 0, end)).filter(({ length }) => length > 0)
}

/** Some bytes are others. */
const flipped = (bytes: Buffer, flips: ReadonlyArray<readonly [at: number, bits: number]>): Buffer => {
  const copy = Buffer.from(bytes)
  if (copy.length > 0) for (const [at, bits] of flips) copy[at % copy.length]! ^= bits
  return copy
}

const nat = (max: number): fc.Arbitrary<number> => fc.nat({ max })
const cuts = fc.array(nat(4000), { maxLength: 6 })
const flips = (maxLength: number): fc.Arbitrary<Array<[number, number]>> =>
  fc.array(fc.tuple(nat(4000), fc.integer({ min: 1, max: 255 })), { maxLength })
const bytes = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((u) => Buffer.from(u))

// ---- messages, and what is owed for them

const isId = (id: unknown): boolean =>
  typeof id === "string" || id === null || (typeof id === "number" && Number.isSafeInteger(Math.trunc(id)))

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const depthOf = (u: unknown): number =>
  typeof u === "object" && u !== null ? 1 + Math.max(0, ...Object.values(u).map(depthOf)) : 0

type Wire = "plain" | "session" | "effect-rpc"

/** The ids of the answers to one message, as JSON. */
const owedFor = (message: unknown, wire: Wire): ReadonlyArray<string> => {
  if (!isRecord(message)) return ["null"]
  const { jsonrpc, method, params, requestKey } = message
  const effect = wire === "effect-rpc"
  const control = effect && typeof method === "string" && method.startsWith("@effect/rpc/")
  const id = control && message["id"] === null ? undefined : message["id"]
  const badParams = !effect && params !== undefined && (typeof params !== "object" || params === null)
  const valid = jsonrpc === "2.0" && typeof method === "string" && !badParams
  if (id === undefined) return valid && (effect || requestKey === undefined) ? [] : ["null"]
  return [isId(id) && !(effect && id === null && valid) ? JSON.stringify(id) : "null"]
}

const owed = (text: string, wire: Wire): ReadonlyArray<string> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return ["null"]
  }
  if (depthOf(json) > limits.maxDepth) return ["null"]
  if (!Array.isArray(json)) return owedFor(json, wire)
  return json.length === 0 || json.length > limits.maxBatch ? ["null"] : json.flatMap((one) => owedFor(one, wire))
}

/** The ids of the answers that it has heard. */
const answered = ({ bytes }: Bare): ReadonlyArray<string> =>
  messagesOf(bytes)
    .filter(({ method, chunk }) => method === undefined && chunk !== true)
    .map(({ id }) => JSON.stringify(id))

/** Whether each of `some` is one of `all`. */
const among = (some: ReadonlyArray<string>, all: ReadonlyArray<string>): boolean => {
  const left = [...all]
  return some.every((one) => left.includes(one) && left.splice(left.indexOf(one), 1).length === 1)
}

// ---- frames

const kept = nat(1000).map((id) => JSON.stringify(call(id, "Kept")))
const shape = fc.record(
  {
    fin: fc.boolean(),
    rsv: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: nat(7) }),
    masked: fc.oneof({ weight: 19, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    mask: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((u) => Buffer.from(u)),
    lengthBytes: fc.constantFrom(2 as const, 8 as const)
  },
  { requiredKeys: [] }
)
const piece = fc.oneof(
  { weight: 8, arbitrary: kept.map((text) => frame(TEXT, text)) },
  {
    weight: 3,
    arbitrary: fc.tuple(kept, nat(30)).map(([text, at]) => {
      return Buffer.concat([frame(TEXT, text.slice(0, at), { fin: false }), frame(PING), frame(0, text.slice(at))])
    })
  },
  { weight: 2, arbitrary: fc.tuple(nat(15), bytes(140), shape).map(([opcode, data, how]) => frame(opcode, data, how)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(nat(15), fc.bigInt(0n, 2n ** 64n - 1n))
      .map(([code, length]) => frame(code, "", { length, lengthBytes: 8 }))
  },
  { weight: 1, arbitrary: fc.tuple(nat(5100), fc.string({ maxLength: 60 })).map(([code, why]) => closing(code, why)) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: limits.maxFrameBytes - 2, max: limits.maxFrameBytes + 2 })
      .map((length) => frame(TEXT, " ".repeat(length)))
  },
  { weight: 1, arbitrary: bytes(30) }
)
const stream = fc.tuple(
  fc.array(piece, { maxLength: 20 }),
  fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: flips(4) }),
  cuts
)

describe("frames", () => {
  it(
    "of any bytes end as RFC 6455 says, and what came before is answered, once",
    async () => {
      await runs(stream, 250, async ([all, flips, cuts]) => {
        const sent = flipped(Buffer.concat(all), flips)
        const { texts, end, own, pings } = verdictOf(sent, limits.maxFrameBytes)
        const due = texts.flatMap((text) => owed(text, "plain"))
        const before = { ...live.gateway.stats().closed }
        const bare = await connected()
        await bare.write(...pieces(sent, cuts))
        if (end === "open") {
          await until(
            "all is answered",
            () =>
              bare.closed ||
              (answered(bare).length >= due.length &&
                bare.heard.filter((words) => words.startsWith("pong")).length >= pings)
          )
          bare.socket.end()
        }
        await bare.gone()
        const last = bare.heard.at(-1)!
        if (end === "open")
          expect([last, answered(bare).toSorted()]).toEqual([expect.not.stringMatching(/^close/), [...due].toSorted()])
        else expect(last.split(" ").slice(0, 2).join(" ")).toBe(end === 0 ? "close" : `close ${end}`)
        // what was told is what is counted
        const heard = end === "open" ? 1006 : end === 0 ? 1005 : end
        const code = own && ![1000, 1001, 1005].includes(heard) ? "client" : heard
        const { stats } = live.gateway
        await until(`${code} is counted`, () => stats().connections === 1)
        expect(stats().closed).toEqual({ ...before, [code]: (before[code] ?? 0) + 1 })
        expect(among(answered(bare), due)).toBe(true)
        await holds(bare)
      })
    },
    2 * limit
  )
})

// ---- messages

const methods =
  "Kept Note Deep Mute Liar Odd Touch Others WrongEvent Who Fail Count Flood Nope Filler __proto__ $/cancel $/auth $/nope " +
  "@effect/rpc/Ping @effect/rpc/Ack @effect/rpc/Interrupt @effect/rpc/Eof"
const method = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom(...methods.split(" ")) },
  { weight: 1, arbitrary: fc.constantFrom("Stop", "HangUp") }
)
const some: ReadonlyArray<unknown> = [
  { n: 1 },
  { n: "x" },
  { text: "boom" },
  { text: "x" },
  { id: 1 },
  { requestId: "1" },
  { token: "x" },
  { to: 5 },
  { to: 1, end: "dies" },
  { frames: 2, bytes: 9 },
  { code: 4000, reason: "x" },
  {},
  undefined
]
const params = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...some) },
  { weight: 1, arbitrary: fc.jsonValue().map((value) => ({ value })) },
  { weight: 1, arbitrary: fc.jsonValue() }
)
const id = fc.oneof(
  nat(9),
  fc.constantFrom<unknown>(null, "", "__proto__", -1, 1.5, 2 ** 53, true, [], {}),
  fc.string()
)
const right = fc
  .tuple(id, method, params, fc.boolean())
  .map(([id, method, params, tell]) => (tell ? notice(method, params) : { ...call(null, method, params), id }))
/** A member more, another or none. */
const mutated = fc
  .tuple(
    right,
    fc.constantFrom("jsonrpc", "id", "method", "params", "extra", "discard", "__proto__"),
    fc.option(fc.jsonValue())
  )
  .map(([message, member, value]) => ({ ...message, [member]: value ?? undefined }) as unknown)
const message: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: right },
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: fc.jsonValue() }
)
const text = fc
  .oneof(
    { weight: 6, arbitrary: message.map((one) => JSON.stringify(one)) },
    { weight: 2, arbitrary: fc.array(message, { maxLength: 10 }).map((all) => JSON.stringify(all)) },
    { weight: 1, arbitrary: fc.tuple(message, nat(200)).map(([one, at]) => JSON.stringify(one).slice(0, at)) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(message, nat(200), fc.string({ maxLength: 3 }))
        .map(([one, at, junk]) => JSON.stringify(one).slice(0, at) + junk + JSON.stringify(one).slice(at))
    },
    { weight: 1, arbitrary: fc.string({ unit: "binary" }) }
  )
  .filter((sent) => Buffer.byteLength(sent) <= limits.maxFrameBytes)

/** An agent that has stopped, or hangs up: nothing else that these say closes a connection. */
const closedBy = /^close (1001 agent stopped|1013 agent unavailable|[34]\d{3} )/

/** A stream there waits for its client to take each chunk: `effect-rpc.test.ts`. */
const streams = (text: string): boolean => text.includes('"Count"')

describe("messages", () => {
  it.each<[Wire, string, Record<string, string>]>([
    ["plain", PATH, {}],
    ["session", `${PATH}?session=new`, {}],
    ["effect-rpc", PATH, { "Sec-WebSocket-Protocol": "effect-rpc" }]
  ])(
    "%s: each with a proper id is answered, once, whatever stands in it",
    async (wire, path, headers) => {
      const said = wire === "effect-rpc" ? text.filter((one) => !streams(one)) : text
      await runs(fc.tuple(fc.array(said, { maxLength: 20 }), cuts), 120, async ([all, cuts]) => {
        const bare = await connected(path, headers)
        const end = JSON.stringify(call("the end", "Kept"))
        const due = [...all, end].flatMap((one) => owed(one, wire)).toSorted()
        await bare.write(...pieces(Buffer.concat([...all, end].map((one) => frame(TEXT, one))), cuts))
        await until(`it has ${due.length} answers`, () => bare.closed || answered(bare).length >= due.length)
        if (bare.closed) expect(bare.heard.at(-1)).toMatch(closedBy)
        else expect(answered(bare).toSorted()).toEqual(due)
        expect(among(answered(bare), due)).toBe(true)
        await bare.write(closing(1000))
        await bare.gone()
        await holds(bare)
        expect(live.gateway.stats().sessions).toBe(0)
      })
    },
    2 * limit
  )
})

// ---- requests

const word = fc.oneof(
  fc.constantFrom(
    "",
    "x",
    "agents",
    "Lab",
    "lab",
    "bad",
    "..",
    ".",
    "%2e",
    "%00",
    "%",
    "__proto__",
    "healthz",
    "readyz",
    "metrics",
    "?session=new",
    "?token=x",
    "?session=x&after=1",
    "#x"
  ),
  fc.string({ maxLength: 8 })
)
const path = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(PATH, "/healthz", "/readyz", `${PATH}?session=new`, "/agents/Nobody/x") },
  { weight: 2, arbitrary: fc.array(word, { maxLength: 5 }).map((words) => `/${words.join("/")}`) },
  { weight: 1, arbitrary: fc.string() }
)
const verb = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE")
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }) }
)
const header = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Content-Type: application/json",
      "Origin: https://evil.example",
      "Host: x",
      "Sec-WebSocket-Protocol: effect-rpc",
      "Authorization: Bearer x",
      "Transfer-Encoding: chunked",
      "Content-Length: 5",
      "Expect: 100-continue",
      "Connection: keep-alive"
    )
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.string({ maxLength: 20 }), fc.string({ maxLength: 40 }))
      .map(([name, value]) => `${name}: ${value}`)
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          "Host",
          "Origin",
          "Upgrade",
          "Content-Length",
          "Transfer-Encoding",
          "Sec-WebSocket-Protocol",
          "X-Forwarded-For"
        ),
        fc.string({ maxLength: 40 })
      )
      .map(([name, value]) => `${name}: ${value}`)
  }
)
const body = fc.oneof(
  bytes(60),
  kept.map((text) => Buffer.from(text))
)
const request = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.tuple(verb, path, fc.array(header, { maxLength: 8 }), body).map(([verb, path, headers, body]) => {
      return Buffer.concat([Buffer.from(head([`${verb} ${path} HTTP/1.1`, "Host: 127.0.0.1", ...headers])), body])
    })
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(path, fc.array(header, { maxLength: 2 }), body)
      .map(([path, headers, body]) =>
        Buffer.concat([Buffer.from(upgrade(path).replace("\r\n\r\n", `\r\n${head(headers)}`)), body])
      )
  },
  {
    weight: 2,
    arbitrary: fc.tuple(text, fc.array(header, { maxLength: 2 })).map(([text, headers]) => {
      return Buffer.from(
        head([
          `POST ${PATH} HTTP/1.1`,
          "Host: 127.0.0.1",
          "Content-Type: application/json",
          `Content-Length: ${Buffer.byteLength(text)}`,
          ...headers
        ]) + text
      )
    })
  }
)

/** What a request may be answered, when it is not let in: README. 500 is none of them. */
const statuses = /^(10[01]$|(200|204|400|403|404|405|413|415|417|426|431|503|505) )/

describe("requests", () => {
  it(
    "of any bytes get one answer of the known ones, or none, and the socket is closed",
    async () => {
      await runs(
        fc.tuple(
          request,
          fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: flips(3) }),
          cuts
        ),
        400,
        async ([clean, flips, cuts]) => {
          const bare = await enter()
          await bare.write(...pieces(flipped(clean, flips), cuts))
          bare.socket.end()
          await bare.gone()
          const [first = "404 ", ...more] = bare.heard
          expect(first).toMatch(statuses)
          if (first !== "101" && first !== "100") {
            expect(more).toEqual([])
            if (bare.bytes.length > 0) expect(bare.bytes.toString("latin1")).toMatch(/^connection: close/im)
          }
          await holds(bare)
        }
      )
    },
    2 * limit
  )
})
