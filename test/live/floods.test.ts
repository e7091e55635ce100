/**
 * What a client that sends without end takes from the others: its turn of the event loop, and no more.
 */
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { connect as connectTls, TLSSocket } from "node:tls"
import { describe, expect, it } from "vitest"
import { Bare } from "./Bare.ts"
import { BINARY, closing, CONTINUATION, frame, heard, PING, PONG, TEXT, upgrade } from "./Frames.ts"
import { type LabOptions, type Live, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"
import { stage } from "./Stage.ts"
import { selfSigned } from "./SelfSigned.ts"

const at = stage()

const lab = (options: LabOptions = {}): Promise<Live> => at.open(options)

/** One that is let in, and hangs up only when it is told to. */
class Flooder {
  readonly socket: Socket
  bytes: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    // to be cut while it writes is what it is after
    socket.on("error", () => {})
    socket.on("data", (chunk: Buffer) => (this.bytes = Buffer.concat([this.bytes, chunk])))
  }

  static async open(secure = false): Promise<Flooder> {
    const { port } = at.live.gateway
    const to = { port, host: "127.0.0.1", allowHalfOpen: true }
    const flooder = new Flooder(secure ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to))
    flooder.socket.write(upgrade("/agents/Lab/flood"))
    await until("it is let in", () => flooder.heard[0] === "101")
    return flooder
  }

  get heard(): ReadonlyArray<string> {
    return heard(this.bytes)
  }

  /** Sends it over and over, until it is cut. */
  async pump(block: Buffer): Promise<void> {
    while (!this.socket.closed) {
      if (this.socket.write(block)) continue
      await new Promise<void>((goOn) => this.socket.once("drain", goOn).once("close", () => goOn()))
    }
  }
}

const pongs = (bytes: number, payload = 125): Buffer => {
  const pong = frame(PONG, "x".repeat(payload))
  return Buffer.concat(Array.from({ length: Math.ceil(bytes / pong.length) }, () => pong))
}
const ask = (id: number, method = "Kept", params?: unknown): Buffer =>
  frame(TEXT, JSON.stringify(call(id, method, params)))
const MIB = 1_048_576
const bye = { code: 4000, reason: "bye" }

describe("who sends without end", () => {
  it.each([
    ["pings", PING],
    ["pongs", PONG]
  ])("%s is slowed, then closed 1008", async (_, opcode) => {
    await lab({ maxMessageRate: 100, floodTimeout: 1 })
    const bare = await Bare.open(at.live.gateway.port)
    await bare.write(upgrade("/agents/Lab/flood"))
    await bare.until("101")
    let slowed = 0
    while (!bare.closed) {
      expect(at.live.gateway.stats().paused).toBe(at.live.gateway.stats().slowed)
      // few at a time, or `ws` cuts it for pongs that it does not take
      if (at.live.gateway.stats().slowed === 0) for (let n = 0; n < 20; n++) bare.socket.write(frame(opcode))
      else slowed++
      await turn()
    }
    expect(slowed).toBeGreaterThan(0)
    expect(bare.heard.at(-1)).toBe("close 1008 too many messages")
    await until("its place is free", () => at.live.gateway.stats().connections === 0)
    expect(at.live.gateway.stats()).toMatchObject({ slowed: 0, closed: { 1008: 1 } })
  })

  it.each([
    ["ws", false],
    ["wss, in records as small as they may be", true]
  ])("takes turns with the others: %s", async (_, secure) => {
    await lab({ maxMessageRate: 1_000_000, ...(secure && { tls: selfSigned() }) })
    const polite = await Raw.open(`${at.live.url}/polite`, { rejectUnauthorized: false })
    const flooder = await Flooder.open(secure)
    if (flooder.socket instanceof TLSSocket) flooder.socket.setMaxSendFragment(512)
    flooder.socket.write(Buffer.concat([pongs(16 * MIB), ask(1)]))
    let answers = 0
    while (!flooder.heard.includes("1: 0")) {
      polite.send(call(++answers, "Kept"))
      await polite.answer(answers)
    }
    // not the few that it takes libuv to read as much
    expect(answers).toBeGreaterThan(32)
    flooder.socket.destroy()
    polite.socket.terminate()
  })
})

describe("who rests after a sip", () => {
  it("goes on, however many rest with it", async () => {
    await lab({ maxMessageRate: 1_000_000 })
    const flooders = [await Flooder.open(), await Flooder.open(), await Flooder.open()]
    for (const { socket } of flooders) socket.write(Buffer.concat([pongs(2 * MIB), ask(1)]))
    await until("all are answered", () => flooders.every(({ heard }) => heard.includes("1: 0")))
    for (const { socket } of flooders) socket.destroy()
  })

  it("is not read by that while its window is full", async () => {
    await lab({ maxUnfinished: 4, maxMessageRate: 1_000_000 })
    const flooder = await Flooder.open()
    const [held, noted] = [4, 8000]
    const asks = Array.from({ length: held }, (_, id) => ask(id, "Hold", { n: id }))
    const notes = Array.from({ length: noted }, (_, n) => ask(held + n, "Kept"))
    flooder.socket.write(Buffer.concat([...asks, ...notes]))
    await until("it is not read", () => at.live.gateway.stats().paused === 1)
    const { framesIn } = at.live.gateway.stats()
    for (let n = 0; n < 20; n++) await turn()
    expect(at.live.gateway.stats()).toMatchObject({ connections: 1, paused: 1, framesIn })
    at.gate.stayOpen()
    await until("all are answered", () => at.live.gateway.stats().framesOut === held + noted)
    flooder.socket.destroy()
  })
})

describe("a batch", () => {
  it("counts as its messages against the rate; who has gone is slowed no more", async () => {
    await lab({ maxMessageRate: 1 })
    const raw = await Raw.open(`${at.live.url}/a`)
    raw.send([...Array.from({ length: 30 }, (_, id) => call(id, "Hold", { n: id })), call("bye", "HangUp", bye)])
    await until("it is slowed", () => at.live.gateway.stats().slowed === 1)
    at.gate.stayOpen()
    expect(await raw.closed).toBe(bye.code)
    await until("it is gone", () => at.live.gateway.stats().connections === 0)
    expect(at.live.gateway.stats()).toMatchObject({ slowed: 0, framesIn: 1 })
  })
})

describe("a message in fragments", () => {
  it.each([
    [65_536, 32],
    [1024, 16]
  ])(
    "of at most %i bytes may have %i, empty ones too; with one more it is closed 1008",
    async (maxFrameBytes, most) => {
      await lab({ maxFrameBytes })
      const text = JSON.stringify(call(1, "Kept"))
      const inFragments = (count: number): Buffer =>
        Buffer.concat([
          frame(TEXT, "", { fin: false }),
          ...Array.from({ length: count - 2 }, () => frame(CONTINUATION, "", { fin: false })),
          frame(CONTINUATION, text)
        ])
      const bare = await Bare.open(at.live.gateway.port)
      await bare.write(upgrade("/agents/Lab/a"))
      await bare.until("101")
      await bare.write(inFragments(most))
      await bare.until("1: 0")
      await bare.write(inFragments(most + 1))
      await bare.gone()
      expect(bare.heard).toEqual(["101", "1: 0", "close 1008"])
    }
  )
})

describe("what comes in crumbs", () => {
  const text = JSON.stringify(call(1, "Others", { text: "x".repeat(900) }))
  const crumbsOf = (whole: Buffer, bytes: number): ReadonlyArray<Buffer> =>
    Array.from({ length: Math.ceil(whole.length / bytes) }, (_, n) => whole.subarray(n * bytes, (n + 1) * bytes))

  it("is a frame where they are few, and closed 1008 where they cost more than it holds", async () => {
    await lab({ maxFrameBytes: 1024 })
    const bare = await Bare.open(at.live.gateway.port)
    await bare.write(upgrade("/agents/Lab/a"))
    await bare.until("101")
    await bare.write(...crumbsOf(frame(TEXT, text), 20))
    await bare.until("1: 0")
    await bare.write(...crumbsOf(frame(TEXT, text), 1))
    await bare.gone()
    expect(bare.heard).toEqual(["101", "1: 0", "close 1008"])
  })

  it("is a body of a POST, and held against the bytes of all while it comes", async () => {
    await lab()
    const bare = await Bare.open(at.live.gateway.port)
    const half = text.length >> 1
    await bare.write(
      `POST /agents/Lab/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n`,
      ...crumbsOf(Buffer.from(text.slice(0, half)), 1)
    )
    await until("half of it is held", () => at.live.gateway.stats().heldBytes === half)
    await bare.write(...crumbsOf(Buffer.from(text.slice(half)), 1))
    await bare.gone()
    expect(bare.heard).toEqual(["200 1: 0"])
    await until("nothing is held", () => at.live.gateway.stats().heldBytes === 0)
  })
})

describe("what follows a close frame", () => {
  // who does not answer a close frame is not given up by the clock
  const patient: LabOptions = { handshakeTimeout: "1 hour" }

  it("is not begun, though it came in one chunk with what it was closed for", async () => {
    await lab({ ...patient, maxInvalid: 0 })
    const flooder = await Flooder.open()
    flooder.socket.write(Buffer.concat([ask(1, "Note", { n: 1 }), ask(2, "Nope"), ask(3, "Note", { n: 3 })]))
    await until("it is closed", () => flooder.heard.at(-1)?.startsWith("close") === true)
    expect(flooder.heard.slice(2)).toEqual(["close 1008 too many invalid messages"])
    expect(at.gate.noted).toEqual([1])
    flooder.socket.destroy()
  })

  it.each([
    ["the server's", frame(BINARY, "x"), 1003],
    ["the server's, for no proper frame", frame(TEXT, "x", { masked: false }), 1002],
    ["the client's", closing(1000), 1000]
  ])("is thrown away, a MiB of it, then the socket is cut: %s", async (_, first, code) => {
    await lab(patient)
    const flooder = await Flooder.open()
    flooder.socket.write(first)
    await until("it hears so", () => flooder.heard[1]?.startsWith(`close ${code}`) === true)
    await flooder.pump(pongs(65_536))
    await until("its place is free", () => at.live.gateway.stats().connections === 0)
    expect(at.live.gateway.stats().closed).toEqual({ [code]: 1 })
  })

  it("is read for the client's own: one that was only fast is let go in peace", async () => {
    await lab(patient)
    const flooder = await Flooder.open()
    const notes = Array.from({ length: 2000 }, () => ask(1, "Note", { n: 1 }))
    flooder.socket.write(Buffer.concat([frame(BINARY, "x"), ...notes, pongs(MIB / 2), closing(1003)]))
    await once(flooder.socket, "end")
    expect(flooder.heard).toEqual(["101", "close 1003 text frames only"])
    expect(at.gate.noted).toEqual([])
    flooder.socket.end()
    await until("its place is free", () => at.live.gateway.stats().connections === 0)
  })

  it("does not keep the socket of one that left with its window full", async () => {
    await lab(patient)
    const flooder = await Flooder.open()
    const asks = Array.from({ length: 80 }, (_, id) => ask(id, "Hold", { n: 1 }))
    flooder.socket.end(Buffer.concat([...asks, closing(1000), pongs(MIB / 4)]))
    await until("its place is free", () => at.live.gateway.stats().connections === 0)
    expect(at.live.gateway.stats().closed).toEqual({ 1000: 1 })
  })
})
