/**
 * The bare `ws` client, with all that it has received: for live tests.
 *
 * Waits on frames, never on time: `frame` and `answer` settle when what they look for has come, now or later, and fail when
 * the socket closes first.
 */
import { type ClientOptions, WebSocket } from "ws"

/** A request by name. */
export const call = (id: number | string | null, method: string, params?: unknown) => ({
  jsonrpc: "2.0",
  id,
  method,
  params
})

/** The same without an answer. */
export const notice = (method: string, params?: unknown) => ({ jsonrpc: "2.0", method, params })

export interface Frame {
  readonly id?: number | string | null
  readonly seq?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

/** The bare `ws` client, with what it has received. */
export class Raw {
  readonly socket: WebSocket
  readonly frames: Array<Frame | ReadonlyArray<Frame>> = []
  readonly closed: Promise<number>
  #waiting: Array<() => void> = []

  private constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once("close", resolve))
    socket.on("message", (data) => {
      this.frames.push(JSON.parse((data as Buffer).toString()) as Frame)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    void this.closed.then(() => {
      for (const wake of this.#waiting.splice(0)) wake()
    })
    socket.on("error", () => {})
  }

  static open(url: string, options: ClientOptions = {}): Promise<Raw> {
    const socket = new WebSocket(url, options)
    const raw = new Raw(socket)
    return new Promise((resolve, reject) => {
      socket.once("open", () => resolve(raw))
      socket.once("error", reject)
    })
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message))
  }

  /** The first frame for which `test` holds, now or later; fails when the socket closes first. */
  async frame(test: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.flat().find((f) => test(f as Frame))
      if (found !== undefined) return found as Frame
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error("the socket closed first")
      await new Promise<void>((wake) => this.#waiting.push(wake))
    }
  }

  answer(id: number | string | null): Promise<Frame> {
    return this.frame((frame) => frame.id === id && frame.method === undefined)
  }
}
