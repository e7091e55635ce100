import fc from "fast-check"
import * as ws from "ws"
import { describe, expect, it } from "vitest"
import { FrameReader } from "../../src/gateway/FrameReader.ts"

/** The types of `ws` leave it out. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => NodeJS.WritableStream }

const maxBytes = 70_000

interface Frame {
  readonly first: number
  readonly payload: Buffer
  readonly masked?: boolean
  readonly mask?: ReadonlyArray<number>
  /** Bytes that its length is written in, 0, 2 or 8, if not as few as will do. */
  readonly lengthBytes?: number
}

/** As a client writes it (RFC 6455, 5.2). */
const wire = ({ first, payload, masked = true, mask = [1, 2, 254, 77], lengthBytes }: Frame): Buffer => {
  const { length } = payload
  const bytes = Math.max(lengthBytes ?? 0, length < 126 ? 0 : length < 65_536 ? 2 : 8)
  const head = Buffer.alloc(2 + bytes)
  head[0] = first
  head[1] = (masked ? 0x80 : 0) | (bytes === 0 ? length : bytes === 2 ? 126 : 127)
  if (bytes === 2) head.writeUInt16BE(length, 2)
  if (bytes === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!masked) return Buffer.concat([head, payload])
  return Buffer.concat([head, Buffer.from(mask), payload.map((byte, n) => byte ^ mask[n & 3]!)])
}

const text = (said: string): Frame => ({ first: 0x81, payload: Buffer.from(said) })

/** What a `ws` server makes of it, in words; as it is, or with what needs no `ws` taken before. */
class Server {
  readonly heard: Array<string> = []
  /** Text frames that did not need `ws`; bytes of those that did. */
  handed = 0
  bytes = 0
  #open = true
  readonly #receiver = new Receiver({ isServer: true, maxPayload: maxBytes })
  readonly #frames = new FrameReader(maxBytes)

  constructor() {
    const { heard } = this
    this.#receiver.on(
      "message",
      (data: Buffer, binary: boolean) => void heard.push(`${binary} ${data.toString("hex")}`)
    )
    this.#receiver.on("ping", (data: Buffer) => void heard.push(`ping ${data.toString("hex")}`))
    this.#receiver.on("pong", (data: Buffer) => void heard.push(`pong ${data.toString("hex")}`))
    this.#receiver.on("conclude", (code: number, reason: Buffer) => this.#end(`close ${code} ${reason.toString()}`))
    this.#receiver.on("error", (error: Error & { code: string }) => this.#end(error.code))
  }

  #end(how: string): void {
    this.heard.push(how)
    this.#open = false
  }

  text(bytes: Buffer, start: number, end: number): void {
    this.handed++
    this.heard.push(`false ${bytes.toString("hex", start, end)}`)
  }

  /** A chunk in a buffer that is used again. */
  async read(chunk: Buffer, direct: boolean): Promise<void> {
    const shared = Buffer.concat([chunk, Buffer.from("of the chunk before")])
    const at = direct && this.#open ? this.#frames.read(shared, chunk.length, this) : 0
    const rest = Buffer.from(shared.subarray(at, chunk.length))
    shared.fill(0)
    this.bytes += rest.length
    if (rest.length > 0 && this.#open) this.#receiver.write(rest)
    // as Node has it, ticks come before the next chunk
    await new Promise((resolve) => process.nextTick(resolve))
  }
}

const both = async (stream: Buffer, cuts: ReadonlyArray<number>) => {
  const bare = new Server()
  const direct = new Server()
  const places = [...new Set([0, ...cuts, stream.length])].filter((cut) => cut <= stream.length).sort((a, b) => a - b)
  for (let n = 1; n < places.length; n++) {
    const chunk = stream.subarray(places[n - 1], places[n])
    await bare.read(chunk, false)
    await direct.read(chunk, true)
  }
  return { bare, direct }
}

const payload = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme" }).map((said) => Buffer.from(said)) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000, 70_001)
      .map((n) => Buffer.alloc(n, "ä"))
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)) },
  // what looks like a frame, once its mask is on it
  { weight: 1, arbitrary: fc.constant(wire({ first: 0x80, payload: wire(text("not said")) }).subarray(6)) }
)
const frame = (...firsts: ReadonlyArray<number>) =>
  fc.record<Frame>({
    first: fc.constantFrom(...firsts),
    payload,
    masked: fc.oneof({ weight: 40, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
    // the second looks like the head of a frame
    mask: fc.constantFrom([1, 2, 254, 77], [0x81, 0x80, 0x81, 0x80]),
    lengthBytes: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(2, 8) })
  })
const fragment = fc.oneof(
  { weight: 4, arbitrary: frame(0x00) },
  { weight: 2, arbitrary: frame(0x89, 0x8a) },
  { weight: 1, arbitrary: frame(0x81) }
)
/** Text, fragmented or not, binary, control; legal and not. */
const said = fc.oneof(
  { weight: 8, arbitrary: frame(0x81).map((one) => [one]) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(frame(0x01, 0x02), fc.array(fragment, { maxLength: 3 }), frame(0x80))
      .map(([begin, between, end]) => [begin, ...between, end])
  },
  { weight: 2, arbitrary: frame(0x82, 0x89, 0x8a).map((one) => [one]) },
  { weight: 1, arbitrary: frame(0x88, 0x00, 0x80, 0x09, 0x83, 0x8b, 0x91, 0xa1, 0xc1).map((one) => [one]) }
)

/** Where the stream is cut, from the start of a frame: there, in its head, behind it, in its payload. */
const cutsOfOne = fc.array(fc.oneof(fc.constantFrom(0, 6), fc.nat(14), fc.nat(70_000)), { maxLength: 2 })

describe("frames that need no ws", () => {
  it("are heard with the others as `ws` alone hears them, wherever the stream is cut", async () => {
    let handed = 0
    let left = 0
    await fc.assert(
      fc.asyncProperty(fc.array(said, { maxLength: 8 }), fc.infiniteStream(cutsOfOne), async (messages, cutting) => {
        const wires = messages.flat().map(wire)
        const starts = wires.map((_, n) => Buffer.concat(wires.slice(0, n)).length)
        const cuts = starts.flatMap((start) => (cutting.next().value ?? []).map((offset: number) => start + offset))
        const { bare, direct } = await both(Buffer.concat(wires), cuts)
        expect(direct.heard).toEqual(bare.heard)
        handed += direct.handed
        left += direct.bytes
      }),
      { numRuns: 1500, seed: 20_261_122 }
    )
    // or nothing was shown
    expect(handed).toBeGreaterThan(300)
    expect(left).toBeGreaterThan(100_000)
  })

  it("are heard so wherever it is cut in two, byte by byte", async () => {
    const fragments: ReadonlyArray<Frame> = [
      { first: 0x01, payload: Buffer.from("in ") },
      { first: 0x89, payload: Buffer.from("?") },
      { first: 0x80, payload: Buffer.from("two") }
    ]
    const frames = [
      text("a"),
      text("b".repeat(200)),
      ...fragments,
      text("c"),
      { ...text("d"), lengthBytes: 8 },
      text("é")
    ]
    const stream = Buffer.concat([...frames, { first: 0x88, payload: Buffer.from([3, 232]) }, text("late")].map(wire))
    for (let cut = 0; cut <= stream.length; cut++) {
      const { bare, direct } = await both(stream, [cut])
      expect(direct.heard).toEqual(bare.heard)
      expect(direct.heard).toHaveLength(8)
    }
  })

  it("are all text frames of a chunk that holds them whole, one of 16 bits of length too", async () => {
    const { direct } = await both(Buffer.concat([text("a"), text("x".repeat(1000)), text("")].map(wire)), [])
    expect(direct.heard).toHaveLength(3)
    expect(direct.bytes).toBe(0)
  })

  it("are those behind the end of one that came in two chunks, from the next chunk on", async () => {
    const long = wire(text("x".repeat(1000)))
    const { direct } = await both(Buffer.concat([long, wire(text("a")), wire(text("b"))]), [500, long.length + 7])
    expect(direct.heard).toHaveLength(3)
    expect(direct.bytes).toBe(long.length + 7)
  })

  it("are those behind one of eight bytes of length, in the next chunk", async () => {
    const long = wire({ ...text("x"), lengthBytes: 8 })
    const { direct } = await both(Buffer.concat([long, wire(text("a"))]), [long.length])
    expect(direct.heard).toHaveLength(2)
    expect(direct.bytes).toBe(long.length)
  })

  it("are none between fragments, behind a ping either: `ws` refuses it", async () => {
    const begin = Buffer.concat(
      [
        { first: 0x01, payload: Buffer.from("a") },
        { first: 0x89, payload: Buffer.from("?") }
      ].map(wire)
    )
    const { direct } = await both(Buffer.concat([begin, wire(text("b"))]), [begin.length])
    expect(direct.heard).toEqual(["ping 3f", "WS_ERR_INVALID_OPCODE"])
  })

  it("are none behind what `ws` will find wrong a tick later", async () => {
    const stream = Buffer.concat([text("a"), { first: 0x83, payload: Buffer.alloc(0) }, text("b")].map(wire))
    const { direct } = await both(stream, [])
    expect(direct.heard).toEqual([`false ${Buffer.from("a").toString("hex")}`, "WS_ERR_INVALID_OPCODE"])
  })

  it("are none that are not UTF-8: those are left as they came", async () => {
    const { direct } = await both(wire({ first: 0x81, payload: Buffer.from([0xc3, 0x28]) }), [])
    expect(direct.heard).toEqual(["WS_ERR_INVALID_UTF8"])
  })
})
