/**
 * `npm run swarm -- [--agents N] [--seconds S] [--url ws://...] [--json]`: many clients, an agent each, on one host.
 *
 * Starts the demo host as a child process unless `--url` names one; opens N connections (default 10,000) from several
 * 127.x.y.z source addresses, 200 at a time; sends each a message and waits for its answer; then, for S seconds (default 0),
 * keeps 500 requests in flight over random connections. Prints a table: connected, answered, messages/s, p50/p99, RSS a
 * connection, lost, duplicated. Exit status 1 if anything was lost or duplicated. Bounded in count and time; ends by itself.
 * Client and server are two processes, so each holds N sockets: the open-files limit is per process.
 */
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { WebSocket } from "ws"
import { type HostProcess, start } from "../live/HostProcess.ts"

const { values } = parseArgs({
  options: {
    agents: { type: "string", default: "10000" },
    seconds: { type: "string", default: "0" },
    url: { type: "string" },
    json: { type: "boolean", default: false }
  }
})
const agents = Math.min(100_000, Math.max(1, Number(values.agents)))
const seconds = Math.min(600, Math.max(0, Number(values.seconds)))
if (!Number.isInteger(agents) || !Number.isFinite(seconds)) throw new Error("--agents N and --seconds S are numbers")

const openTogether = 200
/** Source addresses: each has some 28,000 ports, and few in use are found fast. Each run takes others, since ports linger. */
const addresses = 32
const network = `127.${1 + (process.pid % 250)}.${1 + (Math.floor(process.pid / 250) % 250)}`
const inFlight = 500
const patienceMillis = 60_000

let lost = 0
let duplicated = 0
let wrong = 0

/** One connection, one agent, one request at a time. */
class Client {
  readonly socket: WebSocket
  #id = 0
  #text = ""
  #resolve: ((millis: number) => void) | undefined = undefined
  #sentAt = 0
  readonly closed: Promise<number>

  constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) => socket.once("close", resolve))
    socket.on("message", (data) => this.#receive((data as Buffer).toString()))
    socket.on("close", () => {
      if (this.#resolve !== undefined) lost++
    })
  }

  /** Echoes one text; answers with the milliseconds it took. */
  echo(text: string): Promise<number> {
    this.#id++
    this.#text = text
    this.#sentAt = performance.now()
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", id: this.#id, method: "Echo", params: { text } }))
    return new Promise((resolve) => (this.#resolve = resolve))
  }

  #receive(frame: string): void {
    const { id, result } = JSON.parse(frame) as { readonly id: number; readonly result?: { readonly text: string } }
    const resolve = this.#resolve
    if (id !== this.#id || resolve === undefined) {
      duplicated++
      return
    }
    if (result?.text !== this.#text) wrong++
    this.#resolve = undefined
    resolve(performance.now() - this.#sentAt)
  }
}

const isLocal = (url: string): boolean => new URL(url).hostname === "127.0.0.1"

const open = (url: string, i: number): Promise<Client> =>
  new Promise((resolve, reject) => {
    const local = isLocal(url) ? { localAddress: `${network}.${2 + (i % addresses)}` } : {}
    const socket = new WebSocket(`${url}/agents/Echo/swarm-${i}`, { ...local, perMessageDeflate: false })
    socket.once("open", () => resolve(new Client(socket)))
    socket.once("error", reject)
  })

const within = <A>(promise: Promise<A>, what: string): Promise<A> => {
  let timer: NodeJS.Timeout
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${patienceMillis} ms`)), patienceMillis)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

const rss = (pid: number): number => {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return line === null ? 0 : Number(line[1]) * 1024
}

const percentile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted.length === 0 ? 0 : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!

const main = async (host: HostProcess | undefined, url: string): Promise<boolean> => {
  const before = host === undefined ? 0 : rss(host.pid)
  const clients: Array<Client> = []
  const openedFrom = performance.now()
  for (let i = 0; i < agents; i += openTogether) {
    const batch = Array.from({ length: Math.min(openTogether, agents - i) }, (_, k) => open(url, i + k))
    clients.push(...(await within(Promise.all(batch), "opening connections")))
  }
  const openSeconds = (performance.now() - openedFrom) / 1000
  const first = await within(Promise.all(clients.map((client, i) => client.echo(`hello ${i}`))), "the first answers")
  const held = await host?.health()
  const perConnection = host === undefined ? 0 : (rss(host.pid) - before) / agents

  let messages = 0
  const latencies: Array<number> = []
  const loadFrom = performance.now()
  const until = loadFrom + seconds * 1000
  const worker = async (k: number): Promise<void> => {
    for (let n = k; performance.now() < until; n += inFlight) {
      latencies.push(await clients[n % agents]!.echo(`message ${n}`))
      messages++
    }
  }
  const workers = Math.min(inFlight, agents)
  if (seconds > 0) await within(Promise.all(Array.from({ length: workers }, (_, k) => worker(k))), "the load")
  const loadSeconds = (performance.now() - loadFrom) / 1000
  latencies.sort((a, b) => a - b)

  const after = await host?.health()
  // the server closes first, so that no port of ours lingers: by its drain, or asked to
  if (host === undefined) for (const { socket } of clients) socket.close(1000)
  const exitCode = await host?.stop()
  const codes = await within(Promise.all(clients.map(({ closed }) => closed)), "the closes")
  const drained = codes.filter((code) => code === (host === undefined ? 1000 : 1012)).length
  const row = {
    connected: clients.length,
    answered: first.length,
    held_by_host: held?.gateway.connections ?? null,
    agents_on_host: held?.system.actors ?? null,
    connections_per_s: Math.round(agents / openSeconds),
    rss_bytes_per_connection: Math.round(perConnection),
    messages,
    rate_per_s: seconds > 0 ? Math.round(messages / loadSeconds) : 0,
    p50_us: Math.round(percentile(latencies, 0.5) * 1000),
    p99_us: Math.round(percentile(latencies, 0.99) * 1000),
    lost,
    duplicated,
    wrong,
    closed_cleanly: drained,
    host_exit_code: exitCode ?? null,
    balanced: after?.balanced ?? null
  }
  if (values.json) console.log(JSON.stringify(row))
  else console.table(Object.entries(row).map(([what, figure]) => ({ what, figure })))
  const heldAll = held === undefined || held.gateway.connections === agents
  if (drained !== agents || (exitCode !== undefined && exitCode !== 0)) return false
  return lost === 0 && duplicated === 0 && wrong === 0 && heldAll && row.balanced !== false
}

const host = values.url === undefined ? await start({ NODE_ENV: "production" }) : undefined
let sound = false
try {
  sound = await main(host, values.url ?? host!.url)
} finally {
  await host?.stop()
}
process.exit(sound ? 0 : 1)
