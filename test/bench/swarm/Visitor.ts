/**
 * A client of one agent that keeps the rules of the wire, on the bare `ws`: for the swarm and the herd.
 *
 *   due -> unanswered (by id) -> socket -> answer, once        not answered when the socket goes: sent again, or lost
 *
 * With a session its requests bear request keys; after any close it comes back with its token, reads the replay, and sends
 * again what has no answer. Without one it sends again only what a clean 1012 left unanswered: that was never taken.
 * After 1012 it stays away for as long as the close frame says. Whatever should not happen is counted in its `Findings`.
 */
import { WebSocket } from "ws"

/** What went wrong or was remarkable, over all visitors that share it. */
export interface Findings {
  /** Requests that will have no answer. */
  lost: number
  /** A second answer to a request; a frame that was seen before; something handled twice. */
  duplicated: number
  /** Answers that do not fit what was asked. */
  wrong: number
  /** Answers that were errors, other than busy; connections that could not be kept. */
  errors: number
  /** Answered -32001, and asked again. */
  busy: number
  /** Own sockets that were cut, on purpose. */
  cuts: number
  /** Came back to the session that it had. */
  resumed: number
  /** Came back to a session that the host did not know any more. */
  afresh: number
  /** Told that something meant for it is gone, in a session that went on. */
  gaps: number
  /** Requests sent again. */
  resent: number
  /** Frames replayed. */
  replayed: number
  /** Upgrades refused, or nobody there. */
  refused: number
  /** Closed by the host, by code. */
  readonly closed: Record<number, number>
  /** The first few things that went wrong, in words. */
  readonly notes: Array<string>
}

export const findings = (): Findings => ({
  lost: 0,
  duplicated: 0,
  wrong: 0,
  errors: 0,
  busy: 0,
  cuts: 0,
  resumed: 0,
  afresh: 0,
  gaps: 0,
  resent: 0,
  replayed: 0,
  refused: 0,
  closed: {},
  notes: []
})

const maxNotes = 20

export const note = (found: Findings, text: string): void => {
  if (found.notes.length < maxNotes) found.notes.push(text)
}

interface Answer {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string }
}

interface Frame extends Answer {
  readonly id?: number
  readonly seq?: number
  readonly method?: string
  readonly params?: unknown
}

interface Asked {
  readonly text: string
  readonly done: (answer: Answer) => void
  sent: number
}

export interface VisitorOptions {
  /** `ws://host:port/agents/Type/key` */
  readonly url: string
  readonly session: boolean
  readonly localAddress?: string
  readonly found: Findings
  readonly hear: (event: string, params: unknown) => void
  /** It may send, for the first time or again. */
  readonly opened?: () => void
}

const BUSY = -32001
const NORMAL = 1000
const RESTART = 1012
const busyMillis = 100
const minBackoffMillis = 50
const maxBackoffMillis = 3000

/** What a close frame of 1012 asks for. */
export const hinted = (reason: string): number | undefined => {
  const hint = /; retry after (\d+) ms$/.exec(reason)?.[1]
  return hint === undefined ? undefined : Number(hint)
}

let visitors = 0

export class Visitor {
  /** It may send. */
  ready = false
  /** It was cut, and is not back yet. */
  cut = false
  /** How often its socket has gone. */
  losses = 0
  /** When the host let it go last, and how it was hinted to come back. */
  hint: number | undefined = undefined
  readonly #options: VisitorOptions
  readonly #found: Findings
  readonly #unanswered = new Map<number, Asked>()
  readonly #name = `v${++visitors}`
  #socket: WebSocket | undefined = undefined
  #ids = 0
  #token: string | undefined = undefined
  #after = 0
  #behind = 0
  #attempts = 0
  #cutsNext = false
  #timer: NodeJS.Timeout | undefined = undefined
  #leaving = false
  #wasOpen: Array<() => void> = []
  #closed: Array<(code: number) => void> = []

  constructor(options: VisitorOptions) {
    this.#options = options
    this.#found = options.found
  }

  get unanswered(): number {
    return this.#unanswered.size
  }

  /** Connects; it is open when it may send. Comes back by itself from then on. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      this.#wasOpen.push(resolve)
      this.#connect()
    })
  }

  /** Asks, now or as soon as it may; `done` once, with the answer. */
  ask(method: string, params: unknown, done: Asked["done"]): void {
    const id = ++this.#ids
    const requestKey = this.#options.session ? { requestKey: `${this.#name}-${id}` } : {}
    const asked: Asked = { text: JSON.stringify({ jsonrpc: "2.0", id, method, params, ...requestKey }), done, sent: 0 }
    this.#unanswered.set(id, asked)
    if (this.ready) this.#send(asked)
  }

  /** Cuts its own socket, now, or in the midst of the next request. */
  cutOff(midFrame: boolean): void {
    if (!this.ready || this.cut) return
    if (midFrame) this.#cutsNext = true
    else this.#cutNow()
  }

  #cutNow(): void {
    this.#found.cuts++
    this.cut = true
    this.#socket!.terminate()
  }

  /** Stays away when it is closed next. */
  last(): Promise<number> {
    this.#leaving = true
    clearTimeout(this.#timer)
    return new Promise((resolve) => {
      if (this.#socket === undefined || this.#socket.readyState === WebSocket.CLOSED) resolve(0)
      else this.#closed.push(resolve)
    })
  }

  /** Closes for good. */
  leave(): Promise<number> {
    const closed = this.last()
    this.#socket?.close(NORMAL)
    return closed
  }

  #connect(): void {
    const { url, session, localAddress } = this.#options
    const query = !session
      ? ""
      : this.#token === undefined
        ? "?session=new"
        : `?session=${this.#token}&after=${this.#after}`
    const local = localAddress === undefined ? {} : { localAddress }
    const socket = new WebSocket(`${url}${query}`, { ...local, perMessageDeflate: false, handshakeTimeout: 30_000 })
    this.#socket = socket
    let opened = false
    socket.on("open", () => {
      opened = true
      if (!session) this.#begin()
    })
    socket.on("message", (data) => this.#receive((data as Buffer).toString()))
    socket.on("error", (error) => {
      if (opened) return
      this.#found.refused++
      if (!/ECONNREFUSED|ECONNRESET|socket hang up/.test(error.message)) note(this.#found, error.message)
    })
    socket.on("close", (code, reason) => {
      if (socket === this.#socket) this.#gone(opened, code, reason.toString())
    })
  }

  #begin(): void {
    this.ready = true
    this.cut = false
    this.#attempts = 0
    for (const asked of this.#unanswered.values()) this.#send(asked)
    for (const wake of this.#wasOpen.splice(0)) wake()
    this.#options.opened?.()
  }

  #send(asked: Asked): void {
    if (this.cut) return
    if (asked.sent++ > 0) this.#found.resent++
    if (!this.#cutsNext) return this.#socket!.send(asked.text)
    this.#cutsNext = false
    // a masked text frame that says it were one byte longer than what comes of it
    const raw = (this.#socket as unknown as { readonly _socket: { write: (bytes: Buffer) => void } })._socket
    const text = Buffer.from(asked.text)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(text.length + 1)
    raw.write(Buffer.concat([Buffer.from([0x81, 0x80 | 126]), length, Buffer.alloc(4), text]))
    this.#cutNow()
  }

  #gone(opened: boolean, code: number, reason: string): void {
    this.ready = false
    this.losses++
    this.#socket = undefined
    for (const tell of this.#closed.splice(0)) tell(code)
    if (this.#leaving) return
    if (opened && !this.cut) this.#found.closed[code] = (this.#found.closed[code] ?? 0) + 1
    if (!this.#options.session && code !== RESTART && this.#unanswered.size > 0) {
      // whether these were handled is unknown
      this.#found.lost += this.#unanswered.size
      note(this.#found, `${this.#unanswered.size} without an answer at a close ${code} ${reason}`)
      this.#unanswered.clear()
    }
    const hint = code === RESTART ? hinted(reason) : undefined
    if (code === RESTART) this.hint = hint
    const backoff = Math.random() * Math.min(maxBackoffMillis, minBackoffMillis * 2 ** this.#attempts++)
    this.#timer = setTimeout(() => this.#connect(), (hint ?? 0) + backoff)
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as Frame
    if (frame.method === "$/session") return this.#greeted(frame.params as Greeting)
    if (frame.seq !== undefined) {
      if (frame.seq <= this.#after) {
        this.#found.duplicated++
        return note(this.#found, `seq ${frame.seq} after ${this.#after}`)
      }
      this.#after = frame.seq
    }
    if (frame.method === undefined) this.#answered(frame)
    else this.#options.hear(frame.method, frame.params)
    if (this.#behind > 0 && --this.#behind === 0) this.#begin()
  }

  #greeted({ token, seq, gap, behind }: Greeting): void {
    if (this.#token === undefined) this.#after = seq
    else if (token !== this.#token) {
      this.#found.afresh++
      this.#after = seq
    } else {
      this.#found.resumed++
      if (gap) this.#found.gaps++
    }
    this.#token = token
    this.#behind = behind
    this.#found.replayed += behind
    if (behind === 0) this.#begin()
  }

  #answered(frame: Frame): void {
    const asked = this.#unanswered.get(frame.id!)
    if (asked === undefined) {
      this.#found.duplicated++
      return note(this.#found, `an answer to nothing: ${JSON.stringify(frame)}`)
    }
    if (frame.error?.code === BUSY) {
      // not taken, so its key is free again
      this.#found.busy++
      setTimeout(() => {
        if (this.ready) this.#send(asked)
      }, busyMillis)
      return
    }
    this.#unanswered.delete(frame.id!)
    if (frame.error !== undefined) {
      this.#found.errors++
      note(this.#found, `error ${frame.error.code} ${frame.error.message}`)
    }
    asked.done(frame)
  }
}

interface Greeting {
  readonly token: string
  readonly seq: number
  readonly gap: boolean
  readonly behind: number
}
