/**
 * The demo host as a child process on a free port, for live tests and the swarm.
 *
 * Starts `examples/host.ts` on the Node that runs this, with the flags of `npm start`, waits for its line with the URL, reads
 * its `/healthz`, ends it by its id. Used only where real sockets are the point.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
  readonly scripts: { readonly start: string }
}
/** Of Node, in `npm start`. */
export const startFlags = scripts.start.match(/--\S+/g) ?? []

export interface Health {
  readonly status: string
  readonly balanced: boolean
  readonly gateway: {
    readonly connections: number
    readonly paused: number
    readonly sessions: number
    readonly away: number
    readonly heldBytes: number
    readonly keptBytes: number
    readonly queuedBytes: number
    readonly droppedEvents: number
    readonly framesIn: number
    readonly framesOut: number
    readonly invalid: number
    readonly refused: number
    readonly closed: Readonly<Record<string, number>>
  }
  readonly system: {
    readonly actors: number
    readonly accepted: number
    readonly finished: number
    readonly deadLettered: number
    readonly deadLetters: Readonly<Record<string, number>>
    readonly queued: number
    readonly running: number
  }
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly external: number }
}

type Signal = "SIGTERM" | "SIGINT"

/** What is left after forced collections, in bytes. */
export interface Measure {
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
}

export class HostProcess {
  readonly url: string
  readonly output: () => string
  readonly #child: ChildProcess

  constructor(url: string, output: () => string, child: ChildProcess) {
    this.url = url
    this.output = output
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid!
  }

  async health(): Promise<Health> {
    const response = await fetch(`${this.url.replace(/^ws/, "http")}/healthz`)
    return (await response.json()) as Health
  }

  /** Collects garbage there, and tells what is left; of one started `measured`. */
  measure(): Promise<Measure> {
    return new Promise((resolve) => {
      this.#child.once("message", (measure) => resolve(measure as Measure))
      this.#child.send("measure")
    })
  }

  /** Asks it to drain; answers with its exit code, null where a signal killed it. */
  async stop(signal: Signal = "SIGTERM"): Promise<number | null> {
    const { exitCode, signalCode } = this.#child
    if (exitCode !== null || signalCode !== null) return exitCode
    const ended = new Promise<number | null>((resolve) => this.#child.once("exit", resolve))
    this.signal(signal)
    return ended
  }

  signal(signal: Signal): void {
    this.#child.kill(signal)
  }
}

/** Starts it; `measured`: so that it can be asked for its memory. */
export const start = (environment: Record<string, string> = {}, measured = false): Promise<HostProcess> =>
  new Promise((resolve, reject) => {
    const measuring = measured ? ["--expose-gc", "--import", `${root}test/bench/swarm/Measured.ts`] : []
    const args = ["--no-warnings", ...startFlags, ...measuring, `${root}examples/host.ts`]
    const child = spawn(process.execPath, args, {
      cwd: root,
      env: { ...process.env, PORT: "0", HOST: "127.0.0.1", NO_COLOR: "1", ...environment },
      stdio: ["ignore", "pipe", "pipe", ...(measured ? (["ipc"] as const) : [])]
    })
    let output = ""
    const read = (chunk: Buffer): void => {
      output += chunk.toString()
      const url = /listening on (ws:\/\/[^/]+)\//.exec(output)?.[1]
      if (url !== undefined) resolve(new HostProcess(url, () => output, child))
    }
    child.stdout?.on("data", read)
    child.stderr?.on("data", read)
    child.once("error", reject)
    child.once("exit", (code) => reject(new Error(`the host ended with ${code}: ${output}`)))
  })
