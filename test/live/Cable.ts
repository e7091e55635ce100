/**
 * What lies between a client and a gateway, in the test's hands: bytes pass on until it is cut or stalled.
 *
 * A listener of its own on a free port, which leads to whatever port `to` names at the time, so a gateway may restart behind
 * it. Close it with `close`.
 */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

export class Cable {
  readonly #server: Server
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  /** Connections so far. */
  connections = 0
  /** False: new ones are refused. */
  plugged = true

  /** `to`: the port that a new connection leads to; undefined refuses it. */
  constructor(to: () => number | undefined) {
    this.#server = createServer((near) => {
      const port = to()
      if (port === undefined || !this.plugged) return void near.destroy()
      this.connections++
      const far = connect(port, "127.0.0.1")
      const pair = [near, far] as const
      this.#pairs.add(pair)
      for (const end of pair) {
        end.on("error", () => {})
        end.on("close", () => {
          this.#pairs.delete(pair)
          near.destroy()
          far.destroy()
        })
      }
      near.pipe(far)
      far.pipe(near)
    })
  }

  /** The gateway's URL, by this way. */
  listen(): Promise<string> {
    return new Promise((resolve) =>
      this.#server.listen(0, "127.0.0.1", () => {
        resolve(`ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`)
      })
    )
  }

  /** Without a word. */
  cut(): void {
    for (const [near, far] of this.#pairs) {
      near.destroy()
      far.destroy()
    }
  }

  /** Nothing arrives any more, and nobody says so. */
  stall(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).pause()
      far.unpipe(near).pause()
    }
  }

  close(): void {
    this.#server.close()
    this.cut()
  }
}
