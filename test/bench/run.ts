/**
 * `npm run bench -- [scenario...] [--peers a,b] [--rounds n] [--json] [--write] [--limit s] [--scale x] [--frozen dir] [--loader strip|tsx]`: peers
 * side by side, a process each round.
 *
 * 1. The rounds of the peers are interleaved (a b a b ...), so that what else the machine does hits all alike; the median round counts.
 * 2. Without a scenario all are run, without `--peers` all that this machine has; one that it has not is named, with how to get it.
 * 3. `--json` prints a line a peer and scenario; otherwise a table with ratios, then the targets and who was ahead. `--write` makes results.md of it.
 * 4. A round over `--limit` seconds (60) cuts its peer out of the scenario; a row whose count is off is refused. When it is one of ours that
 *    failed or was cut, or any row that was refused, the run ends with exit code 1: there is no row without proof that the work was done.
 * `--scale` shrinks every scenario, for a look at the harness itself. `--frozen` runs the yardstick in that folder too (`floor.mjs SCENARIO`, printing
 * `rate_per_s`), as a peer `frozen`: our floor must come within 5 % of it. A peer in TypeScript is run by Node's own type stripping, as `npm start`
 * is; `--loader tsx` shows the difference: esbuild's keepNames wraps every named function in a `defineProperty`, 0.3 us each time one is made
 * (ping-pong 2.7 instead of 4.1 M/s).
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { missing, peers as kinds, unfit } from "./Peers.ts"
import { closing, heading, line, markdown, preamble, rows } from "./Report.ts"
import { flags, type Median, median, type Round, round, RoundError, type Settings } from "./Round.ts"
import { scenarios } from "./scenarios.mjs"
import { socketScenarios } from "./Sockets.ts"

const resultsFile = new URL("results.md", import.meta.url)
const allScenarios = [...Object.keys(scenarios), ...socketScenarios]

class UsageError extends Error {}

const numberOf = (name: string, text: string, least: number, most: number) => {
  const value = Number(text)
  if (value >= least && value <= most) return value
  throw new UsageError(`--${name} is ${text}, should be ${least} to ${most}`)
}

const known = (what: string, names: ReadonlyArray<string>, all: ReadonlyArray<string>) => {
  const unknown = names.find((name) => !all.includes(name))
  if (unknown === undefined) return names
  throw new UsageError(`${what} is "${unknown}", should be one of ${all.join(" ")}`)
}

const options = () => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      peers: { type: "string", default: Object.keys(kinds).join(",") },
      rounds: { type: "string", default: "5" },
      limit: { type: "string", default: "60" },
      scale: { type: "string", default: process.env["SCALE"] ?? "1" },
      frozen: { type: "string" },
      loader: { type: "string", default: "strip" }
    }
  })
  return {
    names: known("scenario", positionals.length > 0 ? positionals : allScenarios, allScenarios),
    peers: known("--peers", values.peers.split(","), Object.keys(kinds)),
    loader: known("--loader", [values.loader], ["tsx", "strip"])[0] ?? "strip",
    rounds: Math.round(numberOf("rounds", values.rounds, 1, 1000)),
    limitSeconds: numberOf("limit", values.limit, 1, 3600),
    scale: numberOf("scale", values.scale, 1e-6, 100),
    json: values.json,
    write: values.write,
    frozen: values.frozen
  }
}

/** The frozen yardstick's rate in one scenario. */
const frozenRound = (folder: string, scenario: string, { limitSeconds, scale }: Settings): Round => {
  const { status, stderr, stdout } = spawnSync(process.execPath, [...flags, "floor.mjs", scenario], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NODE_ENV: "production", SCALE: String(scale) },
    timeout: limitSeconds * 1000
  })
  if (status !== 0) throw new RoundError("failed", `${/Error: .*/.exec(stderr)?.[0] ?? "over its limit"}`)
  const { n, rate_per_s: rate } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as {
    n: number
    rate_per_s: number
  }
  return { rate, score: rate, row: { n, milliseconds: (n / rate) * 1000, completed: n, expected: n } }
}

let failed = false

/** All peers in one scenario: the medians, and why some have none. */
const run = async (
  scenario: string,
  peers: ReadonlyArray<string>,
  rounds: number,
  settings: Settings,
  frozen?: string
) => {
  const done = new Map<string, Array<Round>>()
  const gaps = new Map<string, string>()
  for (const peer of peers) {
    const why = unfit(peer, scenario)
    if (why === undefined) done.set(peer, [])
    else gaps.set(peer, why)
  }
  if (frozen !== undefined && Object.hasOwn(scenarios, scenario) && scenario !== "fairness") done.set("frozen", [])
  for (let i = 0; i < rounds; i++) {
    for (const [peer, soFar] of done) {
      try {
        soFar.push(
          frozen !== undefined && peer === "frozen"
            ? frozenRound(frozen, scenario, settings)
            : await round(peer, scenario, settings)
        )
      } catch (error) {
        if (!(error instanceof RoundError)) throw error
        done.delete(peer)
        gaps.set(peer, `${error.why}: ${error.message}`)
        if (error.why === "refused" || kinds[peer]?.ours) {
          failed = true
          console.error(`bench: ${scenario} on ${peer} ${error.why}: ${error.message}`)
        }
      }
    }
  }
  const medians = new Map<string, Median>([...done].map(([peer, all]) => [peer, median(all)]))
  return { medians, gaps }
}

const main = async () => {
  const { frozen, json, loader, names, peers, rounds, write, ...rest } = options()
  const intro = preamble(rounds, loader)
  const absent = new Map(
    peers.flatMap((peer) => {
      const why = missing(peer)
      return why === undefined ? [] : [[peer, why] as const]
    })
  )
  if (!json) console.log([...intro, heading].join("\n"))
  const results = new Map<string, ReadonlyMap<string, Median>>()
  const gaps = new Map<string, ReadonlyMap<string, string>>()
  for (const scenario of names) {
    const here = peers.filter((peer) => !absent.has(peer))
    const ran = await run(scenario, here, rounds, { loader, ...rest }, frozen)
    results.set(scenario, ran.medians)
    gaps.set(scenario, ran.gaps)
    if (json) {
      for (const [peer, all] of ran.medians) console.log(JSON.stringify(line(peer, scenario, all)))
      for (const [peer, why] of ran.gaps) console.error(`no row: ${scenario} on ${peer} (${why})`)
    } else for (const text of rows(scenario, ran.medians, ran.gaps)) console.log(text)
  }
  const skipped = [...absent].map(([peer, why]) => `skipped ${peer}: ${why}`)
  const say = json ? console.error : console.log
  for (const text of [...closing(results), ...skipped]) say(text)
  if (!write) return
  const command = ["npm run bench --", ...process.argv.slice(2)].join(" ")
  writeFileSync(resultsFile, markdown(results, gaps, command, [...intro, ...skipped]))
  say(`written ${fileURLToPath(resultsFile)}`)
}

try {
  await main()
} catch (error) {
  console.error(error instanceof UsageError || error instanceof TypeError ? `bench: ${error.message}` : error)
  failed = true
}
if (failed) process.exitCode = 1
