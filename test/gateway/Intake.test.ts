import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import { describe, expect, it } from "vitest"
import type { WebSocket } from "ws"
import * as Intake from "../../src/gateway/Intake.ts"

/** A `ws` that notes what it gets of its socket. */
class Reader {
  readonly OPEN = 1
  readyState = 1
  isPaused = false
  bytes = 0
  readonly raw: Socket

  constructor(raw: Socket) {
    this.raw = raw
    raw.on("data", (chunk: Buffer) => void (this.bytes += chunk.length))
  }
  pause(): void {
    this.isPaused = true
    this.raw.pause()
  }
  resume(): void {
    this.isPaused = false
    this.raw.resume()
  }
}

/** An accepted socket whose upgrade is asked for, with `head` behind it; `grant` listens to it as `ws` does. */
const asked = async (head: Buffer = Buffer.alloc(0)) => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const client = connect((server.address() as { readonly port: number }).port, "127.0.0.1").setNoDelay(true)
  const [raw] = (await once(server, "connection")) as [Socket]
  server.close()
  Intake.open(raw, head, 65_536)
  raw.read(0)
  const grant = () => {
    if (head.length > 0) raw.unshift(head)
    const reader = new Reader(raw)
    const texts: Array<string> = []
    const text = (bytes: Buffer, start: number, end: number) => void texts.push(bytes.toString("utf8", start, end))
    Intake.take(raw, reader as unknown as WebSocket, { text })
    const pause = () => Intake.pause(raw, reader as unknown as WebSocket)
    return { client, raw, reader, texts, pause }
  }
  return { client, raw, grant }
}

const opened = async () => (await asked()).grant()

const round = () => new Promise((resolve) => setImmediate(resolve))
const until = async (fact: () => boolean) => {
  while (!fact()) await round()
}

/** Masked with zeros. */
const frame = (text: string | Buffer): Buffer => {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

describe("what comes while `ws` is paused", () => {
  it("is kept, a bounded part of it: then the peer is held up; and goes to `ws`, whole, when it resumes", async () => {
    const { client, raw, reader, texts, pause } = await opened()
    client.write(frame("before"))
    await until(() => texts.length === 1)
    pause()
    const flood = Buffer.concat(Array.from({ length: 320_000 }, () => frame("x".repeat(100))))
    client.write(flood)
    for (const again of [() => {}, pause]) {
      for (let n = 0; n < 200; n++) {
        again()
        await round()
      }
      expect(raw.readableLength).toBeGreaterThan(0)
      expect(raw.readableLength).toBeLessThanOrEqual(3 * 65_536)
    }
    expect(client.writableLength).toBeGreaterThan(0)
    expect([reader.bytes, texts.length]).toEqual([0, 1])
    const kept = raw.readableLength
    reader.resume()
    // each byte is one's or the other's
    const heard = () => reader.bytes + (texts.length - 1) * frame("x".repeat(100)).length
    await until(() => heard() >= flood.length)
    expect(heard()).toBe(flood.length)
    expect(reader.bytes).toBeGreaterThanOrEqual(kept)
    client.write(frame("behind"))
    await until(() => texts.at(-1) === "behind")
    client.destroy()
    await once(raw, "close")
  })

  it("does not hide that the peer has cut it off, though a sip ended with it", async () => {
    const { client, raw, texts, pause } = await opened()
    client.write(frame("before"))
    await until(() => texts.length === 1)
    pause()
    client.write(Buffer.alloc(30_000))
    await until(() => raw.readableLength === 30_000)
    client.write(Buffer.alloc(35_400))
    await until(() => raw.readableLength === 65_400)
    await round()
    client.resetAndDestroy()
    await expect(once(raw, "close")).rejects.toThrow("ECONNRESET")
  })

  it("does not hide it where the chunk of text that paused it ended a sip", async () => {
    const { client, raw, texts, pause } = await opened()
    for (let n = 0; n < 600; n++) client.write(frame("x".repeat(100)))
    await until(() => texts.length === 600)
    // the next chunk is a sip's last
    texts.push = (...said) => {
      pause()
      return Array.prototype.push.apply(texts, said)
    }
    client.write(Buffer.concat(Array.from({ length: 100 }, () => frame("y".repeat(100)))))
    await until(() => texts.length === 700)
    for (let n = 0; n < 3; n++) await round()
    client.resetAndDestroy()
    await expect(once(raw, "close")).rejects.toThrow("ECONNRESET")
  })

  it("is kept in 256 pieces at the most, however small they are: the rest is not read, and nothing is lost", async () => {
    const { client, raw, reader, pause } = await opened()
    pause()
    const sent = 2000
    for (let n = 0; n < sent; n++) {
      client.write("x")
      await round()
    }
    // a piece now and then is of two bytes
    expect(raw.readableLength).toBeGreaterThanOrEqual(256)
    expect(raw.readableLength).toBeLessThan(500)
    const kept = raw.readableLength
    pause()
    for (let n = 0; n < 20; n++) await round()
    expect(raw.readableLength).toBe(kept)
    reader.resume()
    await until(() => reader.bytes === sent)
    // again, once that has been read
    pause()
    client.write("x")
    await until(() => raw.readableLength === 1)
    client.destroy()
    raw.destroy()
  })

  it("does not hide that the peer is gone", async () => {
    const { client, raw, pause } = await opened()
    pause()
    client.end()
    await once(raw, "end")
    await once(raw, "close")
  })
})

describe("what comes before the upgrade is granted", () => {
  it("is a part of the stream: what looks like a frame in the rest of one is none", async () => {
    const whole = frame(Buffer.concat([Buffer.from(".."), frame("not said")]))
    const { client, grant } = await asked(whole.subarray(0, 8))
    const { reader, texts } = grant()
    client.write(whole.subarray(8))
    await until(() => reader.bytes === whole.length)
    client.write(frame("said"))
    await until(() => texts.length > 0)
    expect(texts).toEqual(["said"])
    client.destroy()
    await once(reader.raw, "close")
  })

  it("waits in 256 pieces at the most, and is read on when it is granted", async () => {
    const { client, raw, grant } = await asked()
    const sent = 1000
    for (let n = 0; n < sent; n++) {
      client.write("x")
      await round()
    }
    expect(raw.readableLength).toBeGreaterThanOrEqual(256)
    expect(raw.readableLength).toBeLessThan(500)
    const { reader } = grant()
    await until(() => reader.bytes === sent)
    client.destroy()
    await once(raw, "close")
  })

  it("waits up to the stream's mark: its peer is held up, and all of it is read when it is granted", async () => {
    const { client, raw, grant } = await asked()
    const flood = Buffer.alloc(32_000_000)
    client.write(flood)
    for (let n = 0; n < 200; n++) await round()
    expect(raw.readableLength).toBeGreaterThan(0)
    expect(raw.readableLength).toBeLessThanOrEqual(3 * 65_536)
    const { reader } = grant()
    await until(() => reader.bytes === flood.length)
    client.destroy()
    await once(raw, "close")
  })
})
