/**
 * `npm run bench -- [scenario...] [--json] [--peers a,b] [--rounds n] [--loader tsx|strip]`: peers side by side, a process each round.
 *
 * 1. The rounds of the peers are interleaved (a b a b ...), so that what else the machine does hits all alike.
 * 2. Of each peer the round with the middle rate counts, whole: its figures belong together.
 * 3. `--json` prints that as a line a peer and scenario; otherwise a table with the ratio to the floor and the spread of the rates.
 * A round that fails, or whose counts are off, ends the run with exit code 1: there is no row without proof that the work was done. A peer in
 * TypeScript is run by Node's own type stripping, as `npm start` is; `--loader tsx` shows the difference: esbuild's keepNames wraps every named
 * function in a `defineProperty`, 0.3 us each time one is made (ping-pong 2.7 instead of 4.1 M/s).
 */
import { spawn } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Row } from "./Peer.ts"
import { scenarios } from "./scenarios.mjs"

const peerFiles: Readonly<Record<string, string>> = { floor: "floor.mjs", troupe: "troupe.ts" }
const flags = ["--expose-gc", "--min-semi-space-size=16"]
const roundMilliseconds = 180_000
const defaultScenarios = ["pingpong", "counting", "spawn-idle"]

interface Round {
  readonly row: Row
  readonly rate: number
}

class BenchError extends Error {}

const round = (peer: string, scenario: string, loader: string) =>
  new Promise<Round>((resolve, reject) => {
    const file = peerFiles[peer] ?? ""
    const load = loader === "tsx" && file.endsWith(".ts") ? ["--import", "tsx"] : []
    const child = spawn(process.execPath, [...flags, ...load, "test/bench/round.mjs", file, scenario], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      env: { ...process.env, NODE_ENV: "production" },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: roundMilliseconds,
      killSignal: "SIGKILL"
    })
    let output = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text))
    child.once("error", reject)
    child.once("close", (code, signal) => {
      if (code !== 0) {
        const why =
          signal === null ? `exit code ${code}` : `ended by ${signal}, the limit is ${roundMilliseconds / 1000} s`
        return reject(new BenchError(`${scenario} on ${peer} failed: ${why}`))
      }
      const row = JSON.parse(output.trim().split("\n").at(-1) ?? "") as Row
      resolve({ row, rate: (row.n / row.milliseconds) * 1000 })
    })
  })

const middle = (rounds: ReadonlyArray<Round>) => {
  const sorted = rounds.toSorted((a, b) => a.rate - b.rate)
  const median = sorted[Math.floor((sorted.length - 1) / 2)]
  const least = sorted[0]
  const most = sorted.at(-1)
  if (median === undefined || least === undefined || most === undefined) throw new BenchError("no rounds")
  return { ...median, spread: (most.rate - least.rate) / median.rate }
}

/** The line of the format: names and order are a contract. */
const line = (peer: string, scenario: string, { rate, row }: Round) => ({
  peer,
  scenario,
  n: row.n,
  seconds: Number((row.milliseconds / 1000).toFixed(4)),
  rate_per_s: Math.round(rate),
  heap_bytes_per_actor: row.heap_bytes_per_actor,
  p50_us: row.p50_us,
  p99_us: row.p99_us
})

const rateText = (rate: number) => (rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} M/s` : `${(rate / 1e3).toFixed(1)} k/s`)

const details = (row: Row) =>
  Object.entries({
    heap_bytes_per_actor: row.heap_bytes_per_actor,
    p50_us: row.p50_us,
    p99_us: row.p99_us,
    ...row.notes
  })
    .flatMap(([name, value]) => (value === undefined ? [] : `${name} ${value}`))
    .join(", ")

const columns = (cells: ReadonlyArray<string>) =>
  [16, 8, 12, 9, 8].map((width, i) => (cells[i] ?? "").padEnd(width)).join("") + (cells[5] ?? "")

const options = () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      peers: { type: "string", default: Object.keys(peerFiles).join(",") },
      rounds: { type: "string", default: "5" },
      loader: { type: "string", default: "strip" }
    }
  })
  const known = (what: string, names: ReadonlyArray<string>, all: Readonly<Record<string, unknown>>) => {
    const unknown = names.find((name) => !Object.hasOwn(all, name))
    if (unknown === undefined) return names
    throw new BenchError(`${what} is "${unknown}", should be one of ${Object.keys(all).join(" ")}`)
  }
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new BenchError(`--rounds is ${values.rounds}, should be 1 to 1000`)
  }
  return {
    names: known("scenario", positionals.length > 0 ? positionals : defaultScenarios, scenarios),
    peers: known("--peers", values.peers.split(","), peerFiles),
    loader: known("--loader", [values.loader], { tsx: true, strip: true })[0] ?? "strip",
    json: values.json,
    rounds
  }
}

const run = async () => {
  const { json, loader, names, peers, rounds } = options()
  if (!json) {
    console.log(
      `node ${process.version}, ${availableParallelism()} cores, NODE_ENV=production, ${flags.join(" ")}, TypeScript by ${loader}`
    )
    console.log(`${rounds} interleaved rounds, a process each; the median round, spread = (most - least) / median`)
    console.log(columns(["scenario", "peer", "rate", "to floor", "spread"]))
  }
  for (const scenario of names) {
    const all = new Map<string, Array<Round>>(peers.map((peer) => [peer, []]))
    for (let i = 0; i < rounds; i++) for (const [peer, done] of all) done.push(await round(peer, scenario, loader))
    const floor = all.get("floor")
    const floorRate = floor === undefined ? undefined : middle(floor).rate
    for (const [peer, done] of all) {
      const median = middle(done)
      if (json) {
        console.log(JSON.stringify(line(peer, scenario, median)))
        continue
      }
      const ratio = floorRate === undefined ? "-" : (median.rate / floorRate).toFixed(3)
      const spread = `${(median.spread * 100).toFixed(0)} %`
      console.log(columns([scenario, peer, rateText(median.rate), ratio, spread, details(median.row)]))
    }
  }
}

try {
  await run()
} catch (error) {
  console.error(error instanceof BenchError || error instanceof TypeError ? `bench: ${error.message}` : error)
  process.exitCode = 1
}
