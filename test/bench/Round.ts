/**
 * A round: one scenario on one peer, alone in a process, with a limit to its time.
 *
 * It prints its row as the last line of its output, whatever its language. A row whose `completed` is not its `expected` is refused, a round over its
 * limit is killed: neither yields a figure. Of several rounds the one with the middle score counts, whole: its figures belong together.
 */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { startFlags } from "../live/HostProcess.ts"
import { watched } from "./Children.ts"
import type { Row } from "./Peer.ts"
import { type PeerKind, peers } from "./Peers.ts"
import { socketRow, socketScenarios } from "./Sockets.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Of every round on Node: the young generation of `npm start`, and a heap's limit for peers that need kilobytes an actor. */
export const flags = ["--expose-gc", "--min-semi-space-size=16", "--max-old-space-size=12288"]
/** Of servers: those of `npm start`. */
export const serverFlags = ["--expose-gc", ...startFlags]

export interface Round {
  readonly row: Row
  readonly rate: number
  /** What is compared, more being better: the rate; where the load is given (`fairness`), the p99's inverse. */
  readonly score: number
}

export interface Median extends Round {
  /** (most - least) / median of the scores. */
  readonly spread: number
  readonly rounds: number
}

export interface Settings {
  readonly loader: string
  readonly limitSeconds: number
  readonly scale: number
}

export class RoundError extends Error {
  readonly why: "cut" | "failed" | "refused"

  constructor(why: "cut" | "failed" | "refused", message: string) {
    super(message)
    this.why = why
  }
}

const argsOf = (kind: PeerKind, scenario: string, { loader }: Settings, scale: number): ReadonlyArray<string> => {
  if (kind.command !== "node") return [`test/bench/${kind.file}`, scenario, String(scale)]
  const load = loader === "tsx" && kind.file.endsWith(".ts") ? ["--import", "tsx"] : []
  return ["--no-warnings", ...flags, ...load, "test/bench/round.mjs", kind.file, scenario]
}

const processRow = (kind: PeerKind, scenario: string, settings: Settings) =>
  new Promise<Row>((resolve, reject) => {
    const scale = kind.scale * settings.scale
    const command = kind.command === "node" ? process.execPath : kind.command
    const child = watched(
      spawn(command, argsOf(kind, scenario, settings, scale), {
        cwd: root,
        env: { ...process.env, NODE_ENV: "production", SCALE: String(scale) },
        stdio: ["ignore", "pipe", "pipe"],
        timeout: settings.limitSeconds * 1000,
        killSignal: "SIGKILL"
      })
    )
    let output = ""
    let complaint = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (complaint = (complaint + text).slice(-2000)))
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (signal === "SIGKILL") return reject(new RoundError("cut", `over ${settings.limitSeconds} s`))
      if (code !== 0) return reject(new RoundError("failed", `exit code ${code}: ${complaint.trim()}`))
      resolve(JSON.parse(output.trim().split("\n").at(-1) ?? "") as Row)
    })
  })

/** The round of a row, which is refused when its count is off. */
export const counted = (scenario: string, row: Row): Round => {
  if (row.completed !== row.expected) throw new RoundError("refused", `${row.completed} done of ${row.expected}`)
  const rate = (row.n / row.milliseconds) * 1000
  return { row, rate, score: scenario === "fairness" && row.p99_us !== undefined ? 1e6 / row.p99_us : rate }
}

/** Runs one; fails with a `RoundError`. */
export const round = async (peer: string, scenario: string, settings: Settings): Promise<Round> => {
  const kind = peers[peer]
  if (kind === undefined) throw new RoundError("failed", `no peer ${peer}`)
  const row = (socketScenarios as ReadonlyArray<string>).includes(scenario)
    ? await socketRow(peer, scenario, serverFlags, settings.limitSeconds * 1000, settings.scale).catch(
        (error: Error) => {
          throw new RoundError("failed", error.message)
        }
      )
    : await processRow(kind, scenario, settings)
  return counted(scenario, row)
}

export const median = (rounds: ReadonlyArray<Round>): Median => {
  const sorted = rounds.toSorted((a, b) => a.score - b.score)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  const least = sorted[0]
  const most = sorted.at(-1)
  if (middle === undefined || least === undefined || most === undefined) throw new Error("no rounds")
  return { ...middle, spread: (most.score - least.score) / middle.score, rounds: rounds.length }
}
