/**
 * The swarm's processes as objects: an order goes out, a report comes back.
 *
 * As many of well-behaved clients as the open-files limit asks for, and one of rogues, so that what rogues cost their own
 * process is not measured as the host's. Each process is ended by its id, and ends when this one does.
 */
import { type ChildProcess, execFileSync, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { block } from "./Polite.ts"
import type { Order, Report } from "./Worker.ts"

/** Files that a process needs besides its clients' sockets, some of which are being opened again. */
const spareFiles = 2000
const mostClients = 10_000

/** The clients of each process. */
export const shares = (clients: number): ReadonlyArray<number> => {
  const limit = execFileSync("sh", ["-c", "ulimit -n"]).toString().trim()
  const files = limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit)
  const room = Math.max(block, Math.min(mostClients, files - spareFiles))
  const most = room - (room % block)
  return Array.from({ length: Math.ceil(clients / most) }, (_, i) => Math.min(most, clients - i * most))
}

export class Ship {
  readonly #child: ChildProcess
  readonly #heard: Array<(report: Report) => void> = []
  #failure: Error | undefined = undefined
  readonly #failed: Array<(error: Error) => void> = []

  constructor() {
    const file = fileURLToPath(new URL("Worker.ts", import.meta.url))
    this.#child = fork(file, [], { execArgv: ["--no-warnings"], stdio: ["ignore", "inherit", "inherit", "ipc"] })
    this.#child.on("message", (report: Report) => {
      for (const hear of this.#heard.slice()) hear(report)
    })
    this.#child.once("exit", (code) => {
      this.#failure = new Error(`a process of the swarm ended with ${code}`)
      for (const fail of this.#failed.splice(0)) fail(this.#failure)
    })
  }

  on(hear: (report: Report) => void): void {
    this.#heard.push(hear)
  }

  /** Sends an order, and waits for the report with that tag (and of `Opened` the last). */
  order<T extends Report["_tag"]>(order: Order, tag: T, millis: number): Promise<Extract<Report, { _tag: T }>> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${order._tag}: not within ${millis} ms`)), millis)
      const done = (act: () => void): void => {
        clearTimeout(late)
        this.#heard.splice(this.#heard.indexOf(hear), 1)
        act()
      }
      const hear = (report: Report): void => {
        if (report._tag !== tag || (report._tag === "Opened" && !report.all)) return
        done(() => resolve(report as Extract<Report, { _tag: T }>))
      }
      this.on(hear)
      if (this.#failure !== undefined) return done(() => reject(this.#failure))
      this.#failed.push((error) => done(() => reject(error)))
      this.#child.send(order)
    })
  }

  end(): void {
    this.#child.removeAllListeners("exit")
    if (this.#child.connected) this.#child.disconnect()
    else this.#child.kill()
  }
}
