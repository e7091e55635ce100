/**
 * What a client touches, by hand: a clock that goes when told, chance that is what it is set to, sockets without a net.
 *
 * A test opens sockets, hands over frames and cuts them; nothing happens by itself. `late` is a machine that slept: time has
 * passed and every timer in it fires at the end.
 */
import type { ClientOptions, Socket } from "troupe/client"

type Handler = ((event: never) => void) | null

interface Timer {
  readonly due: number
  readonly callback: () => void
}

interface Sent {
  readonly id?: number | string
  readonly requestKey?: string
  readonly method: string
  readonly params?: unknown
}

export class FakeSocket implements Socket {
  readonly url: string
  readonly protocols: ReadonlyArray<string> | undefined
  readyState = 0
  bufferedAmount = 0
  onopen: Handler = null
  onmessage: Handler = null
  onerror: Handler = null
  onclose: Handler = null
  readonly sent: Array<Sent> = []
  /** What the client closed it with. */
  closedBy: readonly [code: number | undefined, reason: string | undefined] | undefined = undefined

  constructor(url: string, protocols?: ReadonlyArray<string>) {
    this.url = url
    this.protocols = protocols
  }

  send(text: string): void {
    if (this.readyState !== 1) throw new Error(`sent in state ${this.readyState}`)
    this.sent.push(JSON.parse(text) as Sent)
  }
  close(code?: number, reason?: string): void {
    this.closedBy = [code, reason]
    this.readyState = 2
  }

  #fire(handler: Handler, event: object): void {
    handler?.(event as never)
  }
  open(): void {
    this.readyState = 1
    this.#fire(this.onopen, {})
  }
  /** A frame has come: text as it is, anything else as JSON. */
  receive(frame: unknown): void {
    this.#fire(this.onmessage, { data: typeof frame === "string" ? frame : JSON.stringify(frame) })
  }
  receiveBinary(): void {
    this.#fire(this.onmessage, { data: new ArrayBuffer(1) })
  }
  answer(id: number | string | undefined, result: unknown): void {
    this.receive({ jsonrpc: "2.0", id, result })
  }
  refuse(id: number | string | undefined, error: object): void {
    this.receive({ jsonrpc: "2.0", id, error })
  }
  event(method: string, params: unknown): void {
    this.receive({ jsonrpc: "2.0", method, params })
  }
  /** The first frame of a connection with a session. */
  session(params: object = {}): void {
    this.event("$/session", { token: "t1", seq: 0, gap: false, behind: 0, ...params })
  }
  /** Answers a request of a session. */
  answerAt(seq: number, id: number, result: unknown): void {
    this.receive({ seq, jsonrpc: "2.0", id, result })
  }
  /** Sends an event, or elements, in a session. */
  eventAt(seq: number, method: string, params: unknown): void {
    this.receive({ seq, jsonrpc: "2.0", method, params })
  }
  error(message: string): void {
    this.#fire(this.onerror, { message })
  }
  end(code: number, reason = ""): void {
    this.readyState = 3
    this.#fire(this.onclose, { code, reason, wasClean: code !== 1006 })
  }

  get methods(): ReadonlyArray<string> {
    return this.sent.map((message) => message.method)
  }
  get ids(): ReadonlyArray<number | string | undefined> {
    return this.sent.map((message) => message.id)
  }
  get query(): string {
    return new URL(this.url).search
  }
}

export class World {
  now = 0
  /** What chance says, until set otherwise. */
  random = 0.5
  readonly sockets: Array<FakeSocket> = []
  readonly reported: Array<unknown> = []
  #timers: Array<Timer> = []

  options(more: ClientOptions = {}): ClientOptions {
    const { sockets } = this
    return {
      session: false,
      WebSocket: class extends FakeSocket {
        constructor(url: string, protocols?: ReadonlyArray<string>) {
          super(url, protocols)
          sockets.push(this)
        }
      },
      clock: {
        now: () => this.now,
        setTimeout: (callback, millis) => {
          const timer = { due: this.now + millis, callback }
          this.#timers.push(timer)
          return timer
        },
        clearTimeout: (timer) => {
          this.#timers = this.#timers.filter((one) => one !== timer)
        }
      },
      random: () => this.random,
      report: (error) => this.reported.push(error),
      ...more
    }
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!
  }

  /** How long until the next timer fires; undefined without one. */
  get next(): number | undefined {
    return this.#first === undefined ? undefined : this.#first.due - this.now
  }
  get pending(): number {
    return this.#timers.length
  }
  get #first(): Timer | undefined {
    return this.#timers.toSorted((a, b) => a.due - b.due)[0]
  }

  #run(timer: Timer): void {
    this.#timers = this.#timers.filter((one) => one !== timer)
    timer.callback()
  }

  /** Lets time pass; timers fire when due. */
  advance(millis: number): void {
    const until = this.now + millis
    for (let timer = this.#first; timer !== undefined && timer.due <= until; timer = this.#first) {
      this.now = timer.due
      this.#run(timer)
    }
    this.now = until
  }

  /** Time passes while nothing runs; what was due fires now, late. */
  late(millis: number): void {
    this.now += millis
    for (const timer of this.#timers.filter((one) => one.due <= this.now)) this.#run(timer)
  }
}

/** Lets promises go on. */
export const settled = async (): Promise<void> => {
  for (let n = 0; n < 10; n++) await Promise.resolve()
}

/** How a promise ends, as a value. */
export const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error
  )
