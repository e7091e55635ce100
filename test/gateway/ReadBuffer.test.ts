import { once } from "node:events"
import { connect, createServer, Socket } from "node:net"
import { PassThrough } from "node:stream"
import { describe, expect, it } from "vitest"
import * as ReadBuffer from "../../src/gateway/ReadBuffer.ts"

interface Read {
  readonly client: Socket
  readonly raw: Socket
  /** Each read, as text. */
  readonly reads: Array<string>
  /** Of the shared buffer. */
  readonly from: Set<Buffer>
  readonly taken: boolean
}

/** Both ends of a connection on this host, the accepted one read by the shared buffer. */
const opened = async (): Promise<Read> => {
  const server = createServer()
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as { readonly port: number }
  const client = connect(port, "127.0.0.1")
  const [raw] = (await once(server, "connection")) as [Socket]
  server.close()
  const reads: Array<string> = []
  const from = new Set<Buffer>()
  const taken = ReadBuffer.take(raw, function (this, bytes, buffer) {
    expect(this).toBe(raw)
    from.add(buffer)
    reads.push(buffer.toString("latin1", 0, bytes))
  })
  raw.on("data", () => reads.push("a chunk of its own"))
  return { client, raw, reads, from, taken }
}

const round = () => new Promise((resolve) => setImmediate(resolve))

const heard = async (reads: ReadonlyArray<string>, bytes: number): Promise<void> => {
  while (reads.join("").length < bytes) await round()
}

describe("all sockets are read into one buffer", () => {
  it("on this Node: when this fails, the names have changed by which ReadBuffer asks for it", async () => {
    const a = await opened()
    const b = await opened()
    expect([a.taken, b.taken]).toEqual([true, true])
    for (let n = 0; n < 10; n++) {
      a.client.write(`a${n}`)
      b.client.write(`b${n}`)
      await heard(a.reads, 2 * n + 2)
      await heard(b.reads, 2 * n + 2)
    }
    expect(a.reads.join("")).toBe("a0a1a2a3a4a5a6a7a8a9")
    expect(b.reads.join("")).toBe("b0b1b2b3b4b5b6b7b8b9")
    expect(new Set([...a.from, ...b.from]).size).toBe(1)
    a.client.destroy()
    b.client.destroy()
  })

  it("in pieces of it, when more comes", async () => {
    const { client, reads } = await opened()
    const text = Array.from({ length: 50_000 }, (_, n) => String(n)).join(" ")
    client.write(text)
    await heard(reads, text.length)
    expect(reads.join("")).toBe(text)
    expect(Math.max(...reads.map(({ length }) => length))).toBe(65_536)
    client.destroy()
  })

  it("not while one is paused: its peer is held up", async () => {
    const { client, raw, reads } = await opened()
    raw.pause()
    while (client.write("x".repeat(65_536)));
    for (let n = 0; n < 20; n++) await round()
    expect(reads).toEqual([])
    const { bytesWritten } = client
    raw.resume()
    await heard(reads, bytesWritten)
    expect(reads.join("")).toBe("x".repeat(bytesWritten))
    client.destroy()
  })

  it("to their end", async () => {
    const { client, raw, reads } = await opened()
    client.end("bye")
    await once(raw, "end")
    expect(reads).toEqual(["bye"])
    await once(raw, "close")
  })

  it("but not what a program made itself, nor one with bytes that wait in it", async () => {
    const read = () => {}
    expect(ReadBuffer.take(new PassThrough(), read)).toBe(false)
    const { client, raw } = await opened()
    expect(ReadBuffer.take(Object.setPrototypeOf(raw, Object.create(Socket.prototype)), read)).toBe(false)
    Object.setPrototypeOf(raw, Socket.prototype)
    raw.pause()
    raw.unshift(Buffer.from("what came behind the head of the request"))
    expect(ReadBuffer.take(raw, read)).toBe(false)
    raw.destroy()
    expect(ReadBuffer.take(raw, read)).toBe(false)
    client.destroy()
  })
})
