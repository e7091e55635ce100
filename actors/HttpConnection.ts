/**
 * One connection to one host: an undici Client, and the socket that it dials or has open.
 *
 * Owned by HttpHosts, which gives it to one request at a time: HTTP/1.1, no pipelining, no HTTP/2. The Client frames and parses,
 * dials when there is a request and no socket, and lets an idle socket go after `keepAliveMillis`.
 * What a Client does not do is here: a socket that is still being dialled ends with the request that wanted it, at once, not when
 * the dial has come to its end (10 s to a host that does not answer); and its closing is over when the socket's is.
 * Its own time-outs of headers and bodies are off: the pool's are by Effect's clock. O(1) each.
 */
import { buildConnector, Client } from "undici"
import type { HttpTlsOptions } from "./HttpTls.ts"

export interface HttpConnectionOptions {
  readonly tls: HttpTlsOptions
  readonly connectMillis: number
  readonly keepAliveMillis: number
  readonly maxBodyBytes: number
}

type Socket = NonNullable<Parameters<buildConnector.Callback>[1]>

export class HttpConnection {
  readonly origin: string
  readonly client: Client
  /** Whether it has a socket that is connected. */
  isOpen = false
  readonly #lost: () => unknown
  #socket: Socket | undefined = undefined
  #closed: (() => void) | undefined = undefined

  /** `lost` is called when its socket has closed by itself: the server's doing, or after `keepAliveMillis`. */
  constructor(origin: string, options: HttpConnectionOptions, lost: () => unknown) {
    this.origin = origin
    this.#lost = lost
    const { ca, ...tls } = options.tls
    const trusted = ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] }
    // it returns the socket at once, though its type does not say so
    const dial = buildConnector({ ...tls, ...trusted, timeout: options.connectMillis, allowH2: false }) as (
      ...args: Parameters<buildConnector.connector>
    ) => Socket
    this.client = new Client(origin, {
      connect: (target, done) => {
        const socket = dial(target, (...dialled) => {
          this.isOpen = dialled[0] === null
          done(...dialled)
        })
        this.#socket = socket
        socket.once("close", () => this.#end(socket))
      },
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: options.keepAliveMillis,
      keepAliveMaxTimeout: options.keepAliveMillis,
      maxResponseSize: options.maxBodyBytes
    })
  }

  #end(socket: Socket): void {
    if (this.#socket !== socket) return
    this.#socket = undefined
    this.isOpen = false
    if (this.#closed === undefined) this.#lost()
    else this.#closed()
  }

  /** Ends what is under way, by `why`. Done when the socket has closed. */
  close(why = new Error("closed")): Promise<void> {
    return new Promise((resolve) => {
      this.#closed = resolve
      void this.client.destroy(why)
      if (this.#socket === undefined) resolve()
      else if (!this.isOpen) this.#socket.destroy(why)
    })
  }
}
