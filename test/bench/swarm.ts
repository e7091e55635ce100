/**
 * `npm run swarm -- [--agents N] [--seconds S] [--chaos] [--sessions] [--url ws://...] [--json]`: many clients on one host.
 *
 * Starts the demo host as a child process unless `--url` names one; opens N connections (default 10,000) from several
 * 127.x.y.z source addresses, by well-behaved clients (`swarm/Polite.ts`): a half with an Echo agent each, a quarter with a
 * Counter each, a quarter in Rooms of eight; for S seconds (default 10) they send `--rate` messages a second (default a fifth
 * of N). Latencies count from the time a message was due. Prints a progress line and a table.
 *
 *   --sessions        with sessions and request keys
 *   --chaos           so, and 0.5 % of them are cut each second, in the midst of frames too, and a twentieth as many rogues
 *                     (`swarm/Rogue.ts`) do their worst
 *   --cycles C        the same C times on one host, and its heapUsed + external after each
 *   --pairs P         P times without chaos and with it, in turns: the medians
 *   --company         with nobody else; with a stalled reader and a flooder in a room of their own; in a room of others
 *   --herd            N clients (default 5,000) with sessions, their host restarted under them (`swarm/Herd.ts`)
 *
 * Exit status 1 if anything was lost, duplicated or wrong for a well-behaved client. Bounded in count and time; ends by itself.
 */
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { herd } from "./swarm/Herd.ts"
import { type Outcome, type Row, swarm, type SwarmOptions } from "./swarm/Run.ts"

const { values } = parseArgs({
  options: {
    agents: { type: "string" },
    seconds: { type: "string", default: "10" },
    rate: { type: "string" },
    chaos: { type: "boolean", default: false },
    sessions: { type: "boolean", default: false },
    cycles: { type: "string", default: "1" },
    pairs: { type: "string" },
    company: { type: "boolean", default: false },
    herd: { type: "boolean", default: false },
    url: { type: "string" },
    json: { type: "boolean", default: false }
  }
})

const number = (name: string, text: string, min: number, max: number): number => {
  const n = Number(text)
  if (text.trim() === "" || !Number.isFinite(n)) throw new Error(`--${name} is a number from ${min} to ${max}`)
  return Math.min(max, Math.max(min, n))
}

const agents = Math.round(number("agents", values.agents ?? (values.herd ? "5000" : "10000"), 1, 100_000))
const cycles = Math.round(number("cycles", values.cycles, 1, 20))
if (values.url !== undefined && cycles > 1) throw new Error("--cycles needs a host of its own: without --url")

let shown = 0
const progress = (text: string): void => {
  if (values.json) return
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (performance.now() - shown > 5000) {
    shown = performance.now()
    process.stderr.write(`${text}\n`)
  }
}

const options: SwarmOptions = {
  agents,
  seconds: number("seconds", values.seconds, 0, 3600),
  rate: number("rate", values.rate ?? String(Math.max(20, agents / 5)), 0.001, 1_000_000),
  sessions: values.sessions,
  chaos: values.chaos,
  cycles,
  url: values.url,
  progress
}

const table = (columns: Readonly<Record<string, Row>>): void => {
  const names = [...new Set(Object.values(columns).flatMap((row) => Object.keys(row)))]
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")
  console.table(
    names.map((what) => ({
      what,
      ...Object.fromEntries(Object.entries(columns).map(([name, row]) => [name, row[what] ?? ""]))
    }))
  )
}

const load = (): string =>
  `load average ${loadavg()
    .map((n) => n.toFixed(1))
    .join(" ")}`

/** What is worth saying beside the figures. */
const tell = ({ got, notes, closed, health }: Outcome): void => {
  for (const [kind, what] of Object.entries(got)) {
    const all = Object.entries(what).toSorted(([, a], [, b]) => b - a)
    console.log(`${kind}: ${all.map(([name, n]) => `${name} ${n}`).join(", ")}`)
  }
  if (Object.keys(closed).length > 0) console.log("well-behaved clients closed by the host, by code:", closed)
  if (health !== undefined) console.log("the host's counters:", JSON.stringify(health.gateway))
  for (const text of notes.slice(0, 20)) console.log(`! ${text}`)
}

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!

const mebibytes = (memory: ReadonlyArray<number>): string =>
  memory.map((bytes) => (bytes / 1_048_576).toFixed(1)).join(", ")

const one = async (): Promise<boolean> => {
  const outcome = await swarm(options)
  const { row, got, memory } = outcome
  const [first, second] = memory
  const growth = first === undefined || second === undefined ? undefined : (second / first - 1) * 100
  if (values.json) {
    console.log(JSON.stringify({ ...row, got, memory, host: outcome.health?.gateway, notes: outcome.notes }))
  } else {
    table({ figure: row })
    tell(outcome)
    if (growth !== undefined) {
      console.log(
        `heapUsed + external after each cycle: ${mebibytes(memory)} MiB; the second against the first ${growth.toFixed(1)} %`
      )
    }
    console.log(load())
  }
  return outcome.sound && (growth === undefined || growth <= 5)
}

const pairs = async (times: number): Promise<boolean> => {
  const ratios: Array<number> = []
  let sound = true
  for (let pair = 1; pair <= times; pair++) {
    const plain = await swarm({ ...options, chaos: false, sessions: true })
    const chaos = await swarm({ ...options, chaos: true })
    sound &&= plain.sound && chaos.sound
    ratios.push(chaos.row["p99_ms"]! / plain.row["p99_ms"]!)
    if (values.json) console.log(JSON.stringify({ pair, plain: plain.row, chaos: chaos.row, got: chaos.got }))
    else {
      table({ "without chaos": plain.row, "with chaos": chaos.row })
      tell(chaos)
      for (const text of plain.notes) console.log(`! without chaos: ${text}`)
      console.log(`pair ${pair} of ${times}: p99 with chaos / without ${ratios.at(-1)!.toFixed(2)}; ${load()}`)
    }
  }
  console.log(`p99 with chaos / without, median of ${times}: ${median(ratios).toFixed(2)}`)
  return sound
}

const company = async (): Promise<boolean> => {
  const runs: Array<readonly [string, Outcome]> = []
  for (const kind of ["nobody", "own room", "shared room"] as const) {
    runs.push([kind, await swarm({ ...options, company: kind })])
  }
  if (values.json)
    console.log(JSON.stringify(Object.fromEntries(runs.map(([name, { row, got }]) => [name, { row, got }]))))
  else {
    table(Object.fromEntries(runs.map(([name, { row }]) => [name, row])))
    for (const [name, outcome] of runs) {
      console.log(`- ${name}`)
      tell(outcome)
    }
    console.log(load())
  }
  return runs.every(([, { sound }]) => sound)
}

const restarted = async (): Promise<boolean> => {
  const { faults, ...row } = await herd({ clients: agents, progress })
  if (values.json) console.log(JSON.stringify({ ...row, faults }))
  else {
    table({ figure: row })
    for (const fault of faults) console.log(`! ${fault}`)
    console.log(load())
  }
  return faults.length === 0
}

const main = async (): Promise<boolean> => {
  if (values.herd) return restarted()
  if (values.company) return company()
  if (values.pairs !== undefined) return pairs(Math.round(number("pairs", values.pairs, 1, 20)))
  return one()
}

process.exit((await main()) ? 0 : 1)
