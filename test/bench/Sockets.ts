/**
 * The socket scenarios: a server in a process of its own, and the load generator `sockets/wsload.c` beside it.
 *
 * - `ws-echo`: 10,000 connections, 500 messages of 64 B in flight; to Troupe's demo host each is a JSON-RPC request that an agent answers, to bare
 *   `ws`, the floor, it is what comes back. Messages a second; resident memory a connection, idle (after collection) and busy; CPU a message.
 * - `ws-churn`: 100 cycles in flight of connect, handshake, one echo, close. Cycles a second.
 * The generator is C, since one in JavaScript would be the bottleneck; it is compiled once, by `cc`, into the folder of what the benchmark installs. A
 * connection that did not open or was lost, and an answer that is an error, is missing in the row's count.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { watched } from "./Children.ts"
import type { Row } from "./Peer.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const source = `${root}test/bench/sockets/wsload.c`
const binary = `${root}test/bench/foreign/node_modules/.cache/wsload`
const collect = `${root}test/bench/sockets/collect.mjs`

export const socketScenarios = ["ws-echo", "ws-churn"] as const

/** Seconds of warming up and of measuring. */
const warmupSeconds = 2
const echoSeconds = 8

/** The script, and how the generator is to speak to it. */
const servers: Readonly<Record<string, { readonly script: string; readonly speak: ReadonlyArray<string> }>> = {
  floor: { script: `${root}test/bench/sockets/bare.mjs`, speak: [] },
  troupe: { script: `${root}examples/host.ts`, speak: ["-j", "Echo"] }
}

export const serves = (peer: string) => Object.hasOwn(servers, peer)

/** Compiles the generator when it is missing or older than its source; false where there is no `cc`. */
export const hasGenerator = (): boolean => {
  if (existsSync(binary) && statSync(binary).mtimeMs > statSync(source).mtimeMs) return true
  mkdirSync(fileURLToPath(new URL(".", `file://${binary}`)), { recursive: true })
  try {
    execFileSync("cc", ["-O2", "-o", binary, source], { stdio: ["ignore", "ignore", "pipe"] })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false
    throw error
  }
}

interface Load {
  readonly cycles?: number
  readonly cycles_per_s: number
  readonly messages: number
  readonly msgs_per_s: number
  readonly conns: number
  readonly rss_per_conn: number
  readonly rss_busy_kb: number
  readonly rss_kb: number
  readonly server_cpu_us: number
  readonly lost: number
  readonly errors: number
  readonly p50_us: number
  readonly p99_us: number
}

const serve = (script: string, flags: ReadonlyArray<string>, touch: boolean) =>
  new Promise<{ readonly child: ChildProcess; readonly port: string }>((resolve, reject) => {
    const child = watched(
      spawn(process.execPath, ["--no-warnings", ...flags, "--import", collect, script], {
        cwd: root,
        env: {
          ...process.env,
          NODE_ENV: "production",
          NO_COLOR: "1",
          PORT: "0",
          LOG_LEVEL: "Info",
          MAX_CONNECTIONS: "20000",
          TOUCH: touch ? "1" : "0"
        },
        stdio: ["ignore", "pipe", "inherit"]
      })
    )
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text
      const port = /listening on ws:\/\/[^:]+:(\d+)\//.exec(output)?.[1]
      if (port !== undefined) resolve({ child, port })
    })
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
  })

const load = (args: ReadonlyArray<string>, limitMilliseconds: number) =>
  new Promise<Load>((resolve, reject) => {
    const child = watched(
      spawn(binary, args, {
        stdio: ["ignore", "pipe", "inherit"],
        timeout: limitMilliseconds,
        killSignal: "SIGKILL"
      })
    )
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.once("error", reject)
    child.once("close", (code, signal) =>
      code === 0
        ? resolve(JSON.parse(output) as Load)
        : reject(new Error(`wsload: ${signal === null ? `exit code ${code}` : "over its time limit"}`))
    )
  })

const ended = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    child.once("exit", () => resolve())
    child.kill("SIGKILL")
  })

/** One load on one server; `connections` is how many of them are open. */
const measure = async (
  peer: string,
  flags: ReadonlyArray<string>,
  limit: number,
  args: ReadonlyArray<string>,
  touch = false
) => {
  const server = servers[peer]
  if (server === undefined) throw new Error(`${peer} has no sockets`)
  const { child, port } = await serve(server.script, flags, touch)
  try {
    const common = ["-p", port, "-P", String(child.pid), "-a", "32", "-r", "15000", ...server.speak]
    return await load([...common, ...args], limit)
  } finally {
    await ended(child)
  }
}

/** What one echo run of so many connections shows; `touch`: with the young generation in resident memory before they come (collect.mjs). */
export const echo = async (
  peer: string,
  flags: ReadonlyArray<string>,
  limit: number,
  connections: number,
  inFlight: number,
  { seconds = echoSeconds, touch = false } = {}
): Promise<Row> => {
  const args = ["-c", connections, "-n", inFlight, "-t", seconds, "-w", warmupSeconds].map(String)
  const result = await measure(peer, flags, limit, [...args, "-g"], touch)
  const amiss = connections - result.conns + result.lost + result.errors
  return {
    n: result.messages,
    milliseconds: (result.messages / result.msgs_per_s) * 1000,
    completed: result.messages,
    expected: result.messages + amiss,
    p50_us: result.p50_us,
    p99_us: result.p99_us,
    notes: {
      connections,
      in_flight: inFlight,
      rss_bytes_per_connection: result.rss_per_conn,
      rss_busy_mb: Math.round(result.rss_busy_kb / 1024),
      cpu_us: result.server_cpu_us
    }
  }
}

const churn = async (peer: string, flags: ReadonlyArray<string>, limit: number, inFlight: number): Promise<Row> => {
  const args = ["-x", "-n", inFlight, "-c", inFlight * 2, "-t", echoSeconds, "-w", warmupSeconds].map(String)
  const result = await measure(peer, flags, limit, args)
  const cycles = result.cycles ?? 0
  return {
    n: cycles,
    milliseconds: (cycles / result.cycles_per_s) * 1000,
    completed: cycles,
    expected: cycles + result.errors,
    p50_us: result.p50_us,
    p99_us: result.p99_us,
    notes: { in_flight: inFlight, cpu_us: result.server_cpu_us }
  }
}

export const socketRow = (
  peer: string,
  scenario: string,
  flags: ReadonlyArray<string>,
  limitMilliseconds: number,
  scale: number
): Promise<Row> => {
  const sized = (n: number) => Math.max(1, Math.round(n * scale))
  return scenario === "ws-churn"
    ? churn(peer, flags, limitMilliseconds, sized(100))
    : echo(peer, flags, limitMilliseconds, sized(10_000), sized(500))
}
