/**
 * A connection that comes back: one socket at a time, and the wait between two.
 *
 *   connecting: credential, socket, session -> open -> waiting -> connecting ...     closed, for good, from any of them
 *
 * Used by Client, which decides what to do with messages and when a socket counts as open; knows frames as text only. What
 * a close code means and how long to wait is `Backoff`'s. A socket that was given up is deaf from then on: nothing of it
 * arrives late. The status is told last, when all is settled, so a listener may close the client or send at once.
 * Only a client that ends sends 1000: a server ends the session at that.
 */
import * as Backoff from "./Backoff.ts"
import type { Credential, Settings, Socket } from "./Settings.ts"

export type Status =
  /** `attempt` counts those before it, anew after a stable connection. */
  | { readonly state: "connecting"; readonly attempt: number }
  | { readonly state: "open" }
  /** The next attempt is `delayMillis` away; the last connection ended with `code` (1006: without a close frame). */
  | {
      readonly state: "waiting"
      readonly attempt: number
      readonly delayMillis: number
      readonly code: number
      readonly reason: string
    }
  /** By `close()` (`local`), or by a code that forbids to come back. */
  | { readonly state: "closed"; readonly code: number; readonly reason: string; readonly local: boolean }

/** What a socket is opened with. */
export interface Target {
  readonly url: string
  readonly protocols: Array<string> | undefined
}

/** What a link tells its owner. */
export interface LinkOwner {
  /** What to open. */
  target(credential: string | undefined): Target
  /** A socket is open: `establish` is to follow. */
  connected(): void
  received(data: unknown): void
  /** The socket is gone; another one may come (`again`). */
  lost(code: number, reason: string, again: boolean): void
  changed(status: Status): void
}

/** RFC 6455, 7.1.5: no close frame was received. */
const ABNORMAL = 1006
const OPEN = 1

/** `ws` throws an error that nobody hears. */
const ignore = (): void => {}

export class Link {
  status: Status = { state: "connecting", attempt: 0 }
  /** What the server is to know this client by. */
  credential: Credential | undefined
  readonly #settings: Settings
  readonly #owner: LinkOwner
  #socket: Socket | undefined = undefined
  /** The attempt that waits for its credential. */
  #asking: object | undefined = undefined
  #openedAt: number | undefined = undefined
  /** Why the connection was lost, when nobody says so. */
  #fault = ""
  /** Attempts since the last stable connection. */
  #attempt = 0
  /** How often the delay has doubled. */
  #step = 0
  #timer: unknown = undefined

  constructor(settings: Settings, owner: LinkOwner) {
    this.credential = settings.credential
    this.#settings = settings
    this.#owner = owner
  }

  /** Whether a frame may be written. */
  get isOpen(): boolean {
    return this.#openedAt !== undefined && this.#socket?.readyState === OPEN
  }

  /** Bytes that the socket has not passed on. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  /** Only while `isOpen`. */
  send(frame: string): void {
    this.#socket!.send(frame)
  }

  /** Makes an attempt. */
  connect(): void {
    const { clock, connectTimeoutMillis } = this.#settings
    const { credential } = this
    this.#fault = `no connection within ${connectTimeoutMillis} ms`
    this.#timer = clock.setTimeout(() => this.drop(this.#fault), connectTimeoutMillis)
    if (typeof credential === "function") this.#ask(credential)
    else this.#dial(credential)
    if (this.status.state !== "closed") this.#change({ state: "connecting", attempt: this.#attempt })
  }

  #ask(credential: () => string | Promise<string>): void {
    const asking = {}
    this.#asking = asking
    new Promise<string>((resolve) => resolve(credential())).then(
      (token) => {
        if (this.#asking === asking) this.#dial(token)
      },
      (error: unknown) => {
        if (this.#asking === asking) this.#lost(ABNORMAL, `no credential: ${String(error)}`)
      }
    )
  }

  #dial(credential: string | undefined): void {
    const { WebSocket, connectTimeoutMillis } = this.#settings
    let socket: Socket
    try {
      const { url, protocols } = this.#owner.target(credential)
      socket = new WebSocket(url, protocols)
    } catch (error) {
      // an address that this platform does not open: it will not the next time
      return this.close(ABNORMAL, String(error), false)
    }
    this.#asking = undefined
    this.#socket = socket
    let fault = "no connection"
    socket.onopen = () => {
      fault = "connection lost"
      this.#fault = `no $/session within ${connectTimeoutMillis} ms (session: false for a server that has none)`
      this.#owner.connected()
    }
    socket.onmessage = (event: { readonly data: unknown }) => this.#owner.received(event.data)
    socket.onerror = (event: { readonly message?: unknown }) => {
      if (typeof event.message === "string" && event.message !== "") fault = event.message
    }
    socket.onclose = (event: { readonly code: number; readonly reason: string }) =>
      this.#lost(event.code, event.reason === "" && event.code === ABNORMAL ? fault : event.reason)
  }

  /** Frames may be written from now on; `first` before anybody hears of it. */
  establish(first: () => void): void {
    const { clock } = this.#settings
    clock.clearTimeout(this.#timer)
    this.#openedAt = clock.now()
    first()
    this.#change({ state: "open" })
  }

  /** Gives the socket up, as if it had been cut. */
  drop(reason: string): void {
    const socket = this.#socket
    this.#lost(ABNORMAL, reason)
    socket?.close()
  }

  /** Closes for good. */
  close(code: number, reason: string, local: boolean): void {
    if (this.status.state === "closed") return
    const socket = this.#socket
    this.#release()
    this.#owner.lost(code, reason, false)
    // a page may only say 1000 or 3000-4999
    socket?.close(local || code >= 3000 ? code : 1000, reason)
    this.#change({ state: "closed", code, reason, local })
  }

  #release(): void {
    this.#settings.clock.clearTimeout(this.#timer)
    this.#openedAt = this.#asking = undefined
    const socket = this.#socket
    if (socket === undefined) return
    this.#socket = undefined
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.onerror = ignore
  }

  #lost(code: number, reason: string): void {
    const { clock, random, stableMillis, minDelayMillis, maxDelayMillis, maxAttempts } = this.#settings
    if (this.#openedAt !== undefined && clock.now() - this.#openedAt >= stableMillis) {
      this.#attempt = this.#step = 0
    }
    this.#release()
    const verdict = Backoff.verdict(code, typeof this.credential === "function")
    const again = verdict !== "stop" && ++this.#attempt < maxAttempts
    this.#owner.lost(code, reason, again)
    if (!again) return this.#change({ state: "closed", code, reason, local: false })
    this.#step = Backoff.step(this.#step, verdict)
    const hint = Math.min(maxDelayMillis, Backoff.hint(code, reason))
    const delayMillis = hint + Backoff.delay(this.#step++, minDelayMillis, maxDelayMillis, random())
    this.#timer = clock.setTimeout(() => this.connect(), delayMillis)
    this.#change({ state: "waiting", attempt: this.#attempt, delayMillis, code, reason })
  }

  #change(status: Status): void {
    this.status = status
    this.#owner.changed(status)
  }
}
