/**
 * A client without manners: a TCP socket that writes what it is told, and keeps every byte that it hears.
 *
 * Waits on facts, never on time. It hangs up when it is sent a close frame, as a client must that wants no more of the server
 * than to be let go.
 */
import { connect, type Socket } from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import * as Frames from "./Frames.ts"
import { until } from "./Lab.ts"

export class Bare {
  readonly socket: Socket
  /** Has closed: by whomever. */
  closed = false
  #bytes: Buffer = Buffer.alloc(0)

  private constructor(port: number, localAddress: string | undefined) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true, ...(localAddress && { localAddress }) })
    // what is cut while it writes is what some tests are after
    this.socket.on("error", () => {})
    this.socket.on("close", () => (this.closed = true))
    this.socket.on("end", () => this.socket.end())
    this.socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      if (!this.socket.writableEnded && this.isClosing) this.socket.end()
    })
  }

  static async open(port: number, localAddress?: string): Promise<Bare> {
    const bare = new Bare(port, localAddress)
    await new Promise<void>((resolve, reject) => bare.socket.once("connect", resolve).once("error", reject))
    return bare
  }

  /** All that it was sent. */
  get bytes(): Buffer {
    return this.#bytes
  }

  get heard(): ReadonlyArray<string> {
    return Frames.heard(this.#bytes)
  }

  /** Whether it was sent a close frame. */
  get isClosing(): boolean {
    return this.heard.some((words) => words.startsWith("close"))
  }

  /** Writes each piece in a packet of its own, as far as the system lets it. */
  async write(...pieces: ReadonlyArray<Buffer | string>): Promise<void> {
    this.socket.setNoDelay(true)
    for (const piece of pieces) {
      if (this.socket.destroyed || this.socket.writableEnded) return
      this.socket.write(piece)
      if (pieces.length > 1) await turn()
    }
  }

  /** Waits until it hears so, or is cut. */
  async until(words: string): Promise<void> {
    await until(`it hears ${words}`, () => this.closed || this.heard.includes(words))
  }

  async gone(): Promise<void> {
    await until(`it is let go; it heard ${this.heard.join("; ")}`, () => this.closed)
  }
}
