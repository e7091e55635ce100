/**
 * `npm run bench:guard [-- --write] [--rounds n]`: has Troupe become slower against the floor than it was when guard.json was written?
 *
 * Both run in this one process, interleaved, and are compared by the processor time that they took, so that what else the machine does, and its speed,
 * cancel out as far as they can; each has a copy of the scenarios of its own, so that neither spoils the other's inline caches. The first
 * round only warms; of the others the median of the ratios counts. Exit code 1 when one has fallen by more than a quarter. These ratios are not
 * those of `npm run bench`, where each has a process to itself: they are for comparing with themselves. `--write` writes guard.json.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import type { Peer, Scenario } from "./Peer.ts"

const file = new URL("guard.json", import.meta.url)
const names = ["pingpong", "counting", "forkjoin", "threadring", "big", "chameneos", "bndbuffer", "ask-seq", "ask-1000"]
const most = 0.25

const { values } = parseArgs({
  options: { write: { type: "boolean", default: false }, rounds: { type: "string", default: "7" } }
})
const rounds = Math.min(100, Math.max(1, Number(values.rounds)))
if (!Number.isInteger(rounds)) throw new TypeError("--rounds is a number")

process.env["SCALE"] = "0.2" // read when the scenarios are loaded

interface Side {
  readonly peer: Peer
  readonly scenarios: Readonly<Record<string, Scenario>>
}

const load = async (peerFile: string, copy: string): Promise<Side> => {
  const { scenarios } = (await import(`./scenarios.mjs?${copy}`)) as Pick<Side, "scenarios">
  const { peer } = (await import(peerFile)) as Pick<Side, "peer">
  return { peer, scenarios }
}

/** Processor time of one run, in microseconds. */
const cost = async ({ peer, scenarios }: Side, name: string) => {
  const scenario = scenarios[name]
  if (scenario === undefined) throw new Error(`no scenario ${name}`)
  const before = process.cpuUsage()
  const { completed, expected } = await scenario(peer)
  const { system, user } = process.cpuUsage(before)
  if (completed !== expected) throw new Error(`${name} on ${peer.name}: ${completed} done of ${expected}`)
  return user + system
}

const floor = await load("./peers/floor.mjs", "floor")
const troupe = await load("./peers/troupe.ts", "troupe")

const committed = values.write ? {} : (JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, number>>)
const reached: Record<string, number> = {}
let fallen = 0
for (const name of names) {
  const ratios: Array<number> = []
  for (let i = 0; i <= rounds; i++) {
    const bare = await cost(floor, name)
    const ours = await cost(troupe, name)
    if (i > 0) ratios.push(bare / ours)
  }
  const ratio = ratios.toSorted((a, b) => a - b)[Math.floor((rounds - 1) / 2)] ?? 0
  reached[name] = Number(ratio.toFixed(3))
  const was = committed[name]
  const change = was === undefined ? "" : ` was ${was.toFixed(3)}, ${((ratio / was - 1) * 100).toFixed(0)} %`
  const hasFallen = was !== undefined && ratio < was * (1 - most)
  if (hasFallen) fallen++
  console.log(`${name.padEnd(12)}${ratio.toFixed(3)}${change}${hasFallen ? "  FALLEN" : ""}`)
}
if (values.write) writeFileSync(file, `${JSON.stringify(reached, null, 2)}\n`)
process.exit(fallen > 0 ? 1 : 0)
