/**
 * Clients that behave badly, each in a way of its own, over and over: what the swarm's well-behaved ones must not notice.
 *
 *   cutter        asks, and is gone: in the midst of a frame, too            garbage       JSON and JSON-RPC that is none
 *   staller       asks for much in a hall that is loud, and reads nothing    violator      frames and handshakes that are none
 *   flooder       2,000 messages a second and more                    reconnector   comes, and goes at once
 *   lurker        connects and never shakes hands, or a letter at a time
 *
 * Bounded: a fixed number of them, each with one socket at a time. What each kind got is counted in words. They are strangers
 * to each other: each comes at a time of its own within ten seconds, for those that came together would stall in step for ever.
 */
import { connect, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { WebSocket } from "ws"
import { frames, good, handshakes, texts } from "./Violations.ts"

export type Got = Record<string, Record<string, number>>

/** Of a hundred. The rest are flooders: see `floodersOf`. */
const shares = { cutter: 25, staller: 10, garbage: 20, violator: 20, reconnector: 15, lurker: 10 } as const

/** How many flood: each is a fair load by itself. */
const floodersOf = (clients: number): number => Math.max(1, Math.floor(clients / 125))

const halls = 10
const floodFrames = 200
const floodMillis = 100
/** Of what it says in a room. */
const floodText = "spam ".repeat(200)
/** Within this time all have come; those told by name do so at once. */
const comeMillis = 10_000
/** How long one waits for the host to do something about it. */
const patienceMillis = 5000

export type Kind = keyof typeof shares | "flooder"

export interface RogueOptions {
  readonly url: string
  readonly clients: number
  /** These alone, each with the agent that it visits and how often it floods, instead of some of each kind. */
  readonly only?: ReadonlyArray<readonly ["staller" | "flooder", path: string, millis: number]> | undefined
  readonly run: string
  readonly localAddress: (i: number) => string | undefined
}

export class Rogues {
  readonly got: Got = {}
  readonly #options: RogueOptions
  #stopped = false
  readonly #sockets = new Set<WebSocket | Socket>()
  #running: ReadonlyArray<Promise<void>> = []

  constructor(options: RogueOptions) {
    this.#options = options
  }

  /** Until all have come. */
  async start(): Promise<void> {
    const { clients, only, run } = this.#options
    if (only !== undefined) {
      this.#running = only.map(([kind, path, millis], i) => this.#loop(kind, i, path, 0, millis))
      return
    }
    const hall = (i: number): string => `Room/${run}-hall-${i % halls}`
    const flooders = floodersOf(clients)
    const kinds: Array<Kind> = Array.from({ length: flooders }, () => "flooder" as const)
    for (const [kind, share] of Object.entries(shares) as ReadonlyArray<[keyof typeof shares, number]>) {
      const n = Math.max(1, Math.round(((clients - flooders) * share) / 100))
      for (let i = 0; i < n; i++) kinds.push(kind)
    }
    this.#running = kinds.map((kind, i) =>
      this.#loop(kind, i, kind === "flooder" && i % 2 === 0 ? `Echo/${this.#key(i)}` : hall(i), comeMillis)
    )
    await this.#pause(comeMillis)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const socket of this.#sockets) this.#end(socket)
    await Promise.all(this.#running)
  }

  #end(socket: WebSocket | Socket): void {
    if (socket instanceof WebSocket) socket.terminate()
    else socket.destroy()
  }

  #note(kind: string, what: string): void {
    const got = (this.got[kind] ??= {})
    got[what] = (got[what] ?? 0) + 1
  }

  async #loop(kind: Kind, i: number, path: string, within: number, millis = floodMillis): Promise<void> {
    await this.#pause(Math.random() * within)
    for (let n = 0; !this.#stopped; n++) {
      this.#note(kind, "times")
      await this[kind](i, n, path, millis)
      await this.#pause(200 + Math.random() * 400)
    }
  }

  async #pause(millis: number): Promise<void> {
    if (!this.#stopped) await sleep(millis)
  }

  /** A socket that is open; undefined, and noted, when it was refused. */
  async #open(kind: string, i: number, path: string): Promise<WebSocket | undefined> {
    const { url, localAddress } = this.#options
    const address = localAddress(i)
    const local = address === undefined ? {} : { localAddress: address }
    const socket = new WebSocket(`${url}/agents/${path}`, { ...local, perMessageDeflate: false })
    this.#sockets.add(socket)
    socket.on("close", (code) => {
      this.#sockets.delete(socket)
      if (!this.#stopped && code !== 1006) this.#note(kind, `closed ${code}`)
    })
    return new Promise((resolve) => {
      socket.once("open", () => resolve(socket))
      socket.on("error", (error) => {
        if (!this.#stopped) this.#note(kind, /\d{3}/.exec(error.message)?.[0] ?? error.message.slice(0, 60))
        resolve(undefined)
      })
    })
  }

  /** Whether it is closed, in time. */
  #ended(socket: WebSocket | Socket, millis: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), this.#stopped ? 0 : millis)
      socket.once("close", () => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  #key(i: number): string {
    return `${this.#options.run}-rogue-${i}`
  }

  async cutter(i: number, n: number): Promise<void> {
    const socket = await this.#open("cutter", i, `Echo/${this.#key(i)}`)
    if (socket === undefined) return
    for (let id = 0; id < 5; id++)
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "Echo", params: { text: "x" } }))
    await this.#pause(Math.random() * 100)
    if (socket.readyState !== WebSocket.OPEN) return
    const raw = (socket as unknown as { readonly _socket: Socket })._socket
    if (n % 2 === 0) raw.end(Buffer.from([0x81, 0x80 | 100, 1, 2, 3, 4, 5, 6]))
    socket.terminate()
    this.#note("cutter", n % 2 === 0 ? "cut in a frame" : "cut")
  }

  async staller(i: number, _: number, path: string): Promise<void> {
    const socket = await this.#open("staller", i, path)
    if (socket === undefined) return
    socket.pause()
    for (let id = 0; id < 64; id++) {
      socket.send(JSON.stringify({ jsonrpc: "2.0", id, method: "Say", params: { text: "y".repeat(4096) } }))
    }
    await this.#pause(10_000)
    // looks at last: a close frame is found behind all that was not read
    socket.resume()
    if (!(await this.#ended(socket, 2000))) this.#note("staller", "still open after 10 s")
    this.#end(socket)
  }

  async flooder(i: number, _: number, path: string, millis: number): Promise<void> {
    const asks = path.startsWith("Echo/")
    const socket = await this.#open("flooder", i, path)
    if (socket === undefined) return
    let answers = 0
    let sent = 0
    socket.on("message", () => void answers++)
    while (!this.#stopped && socket.readyState === WebSocket.OPEN) {
      // no more than a MiB waits in this process
      if (socket.bufferedAmount < 1_048_576) {
        for (let k = 0; k < floodFrames; k++) {
          const id = asks ? { id: sent } : {}
          const call = asks
            ? { method: "Echo", params: { text: "spam" } }
            : { method: "Say", params: { text: floodText } }
          socket.send(JSON.stringify({ jsonrpc: "2.0", ...id, ...call }))
          sent++
        }
      } else this.#note("flooder", "slowed")
      await this.#pause(millis)
    }
    const got = (this.got["flooder"] ??= {})
    got["sent"] = (got["sent"] ?? 0) + sent
    got["frames got"] = (got["frames got"] ?? 0) + answers
  }

  async garbage(i: number, n: number): Promise<void> {
    const socket = await this.#open("garbage", i, `Echo/${this.#key(i)}`)
    if (socket === undefined) return
    const [what, text, times] = texts[(i + n) % texts.length]!
    socket.on("message", (data) => {
      const codes = [JSON.parse((data as Buffer).toString()) as unknown].flat() as ReadonlyArray<{
        error?: { code: number }
      }>
      for (const { error } of codes)
        this.#note("garbage", error === undefined ? `${what}: answered` : `error ${error.code}`)
    })
    for (let k = 0; k < times; k++) socket.send(text)
    if (n % 7 === 0) socket.send(Buffer.from([0, 1, 2]))
    await this.#ended(socket, 300)
    this.#end(socket)
  }

  async reconnector(i: number, n: number): Promise<void> {
    const session = n % 2 === 0 ? "" : "?session=new"
    const socket = await this.#open("reconnector", i, `Echo/${this.#key(i)}${session}`)
    if (socket === undefined) return
    // a session that is cut off waits for its client: few of them
    if (n % 20 === 1 || session === "") this.#end(socket)
    else socket.close(1000)
    await this.#ended(socket, patienceMillis)
  }

  async violator(i: number, n: number): Promise<void> {
    const k = (i + n) % (handshakes.length + frames.length)
    const path = `/agents/Echo/${this.#key(i)}`
    const { bytes, what } =
      k < handshakes.length
        ? { what: handshakes[k]![0], bytes: Buffer.from(handshakes[k]![1], "latin1") }
        : {
            what: frames[k - handshakes.length]![0],
            bytes: Buffer.concat([Buffer.from(good(path)), frames[k - handshakes.length]![1]])
          }
    this.#note("violator", await this.#raw(i, what, bytes))
  }

  async lurker(i: number, n: number): Promise<void> {
    this.#note(
      "lurker",
      await this.#raw(i, "silence", Buffer.from(n % 2 === 0 ? "" : "GET /agents/Echo/x HTTP/1.1\r\nHost:"), 15_000)
    )
  }

  /** Sends bytes over a bare socket, and tells what came of it. */
  #raw(i: number, what: string, bytes: Buffer, millis = patienceMillis): Promise<string> {
    const { hostname, port } = new URL(this.#options.url)
    const localAddress = this.#options.localAddress(i)
    const socket = connect({
      host: hostname,
      port: Number(port),
      ...(localAddress === undefined ? {} : { localAddress })
    })
    this.#sockets.add(socket)
    const chunks: Array<Buffer> = []
    socket.on("error", () => {})
    socket.on("data", (chunk) => void chunks.push(chunk))
    socket.on("connect", () => socket.write(bytes))
    return this.#ended(socket, millis).then((ended) => {
      this.#sockets.delete(socket)
      this.#end(socket)
      if (this.#stopped) return "stopped"
      return ended || chunks.length > 0
        ? outcome(what, Buffer.concat(chunks), ended)
        : `nothing for ${what} in ${millis} ms`
    })
  }
}

/** What a host's bytes say: a refusal, a close code, or nothing. */
const outcome = (what: string, bytes: Buffer, ended: boolean): string => {
  const status = /^HTTP\/1.1 (\d{3})/.exec(bytes.toString("latin1"))?.[1]
  if (status === undefined) return "cut"
  if (status !== "101") return `HTTP ${status}`
  let at = bytes.indexOf("\r\n\r\n") + 4
  while (at + 2 <= bytes.length) {
    const length = bytes[at + 1]!
    const code = (bytes[at]! & 15) === 8
    if (code) return length >= 2 ? `closed ${bytes.readUInt16BE(at + 2)}` : "closed without a code"
    if (length === 127) break
    at += length === 126 ? 4 + bytes.readUInt16BE(at + 2) : 2 + length
  }
  return ended ? "cut behind the upgrade" : `still open: ${what}`
}
