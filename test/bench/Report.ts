/**
 * What a run prints: a table on the terminal, a line of JSON a row, or the Markdown of results.md.
 *
 * Every rate stands beside its ratio to the floor of the same run, how many times as good Troupe was, the spread over the rounds and the size that was
 * run. Ratios and spread are of the rates; in `fairness`, whose load is given, of the p99.
 */
import { execFileSync } from "node:child_process"
import { availableParallelism, cpus, release, totalmem } from "node:os"
import type { Row } from "./Peer.ts"
import { flags, type Median, type Round, serverFlags } from "./Round.ts"
import { behind, judge, type Results } from "./Targets.ts"

/** Why a peer has no row in a scenario. */
export type Gaps = ReadonlyMap<string, ReadonlyMap<string, string>>

/** The line of the issue's format: names and order are a contract. */
export const line = (peer: string, scenario: string, { rate, row }: Round) => ({
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

const sizeText = (n: number) =>
  n >= 1e6 ? `${Number((n / 1e6).toPrecision(3))} M` : n >= 1e3 ? `${Number((n / 1e3).toPrecision(3))} k` : String(n)

const details = (row: Row) =>
  Object.entries({
    heap_bytes_per_actor: row.heap_bytes_per_actor,
    p50_us: row.p50_us,
    p99_us: row.p99_us,
    ...row.notes
  })
    .flatMap(([name, value]) => (value === undefined ? [] : `${name} ${value}`))
    .join(", ")

const figures = (peer: string, median: Median, peers: ReadonlyMap<string, Median>) => {
  const floor = peers.get("floor")?.score
  const ours = peers.get("troupe")?.score
  return [
    rateText(median.rate),
    floor === undefined ? "-" : (median.score / floor).toFixed(3),
    ours === undefined || peer === "troupe" ? "-" : `${(ours / median.score).toPrecision(3)} x`,
    `${(median.spread * 100).toFixed(0)} %`,
    sizeText(median.row.n),
    details(median.row)
  ]
}

/** Reason -> the peers without a row for it. */
const reasons = (gaps: ReadonlyMap<string, string>): ReadonlyArray<readonly [string, string]> => {
  const names = new Map<string, Array<string>>()
  for (const [peer, why] of gaps) {
    const reason = why.split("\n")[0] ?? ""
    names.set(reason, [...(names.get(reason) ?? []), peer])
  }
  return [...names].map(([why, all]) => [all.join(", "), why])
}

const columns = (cells: ReadonlyArray<string>) =>
  [15, 15, 12, 9, 9, 8, 9].map((width, i) => (cells[i] ?? "").padEnd(width)).join("") + (cells[7] ?? "")

export const heading = columns(["scenario", "peer", "rate", "to floor", "troupe", "spread", "n"])

export const rows = (scenario: string, peers: ReadonlyMap<string, Median>, gaps: ReadonlyMap<string, string>) => [
  ...[...peers].map(([peer, median]) => columns([scenario, peer, ...figures(peer, median, peers)])),
  ...reasons(gaps).map(([names, why]) => `${columns([scenario]).slice(0, 15)}no row: ${names} (${why})`)
]

export const closing = (results: Results): ReadonlyArray<string> => [
  ...judge(results).map(
    ({ met, reached, scenario, target, what }) =>
      `${met ? "reached" : "MISSED "} ${scenario.padEnd(15)}${what.padEnd(34)}${target.padEnd(16)}${reached}`
  ),
  ...behind(results).map((text) => `BEHIND  ${text}`)
]

const version = (command: string, args: ReadonlyArray<string>) => {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return "none"
  }
}

/** The machine, in a line each. */
const machine = (): ReadonlyArray<string> => {
  const otp = version("erl", ["-noshell", "-eval", "io:put_chars(erlang:system_info(otp_release)),halt()."])
  return [
    `${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? "?"}; ${Math.round(totalmem() / 2 ** 30)} GiB; ${process.platform} ${release()}`,
    `Node ${process.version}, NODE_ENV=production, ${flags.join(" ")} (servers: ${serverFlags.join(" ")}); ${version("python3", ["--version"])}; Erlang/OTP ${otp}`
  ]
}

export const preamble = (rounds: number, loader: string): ReadonlyArray<string> => [
  ...machine(),
  `TypeScript by ${loader}; ${rounds} interleaved rounds, a process each; the median round; spread = (most - least) / median; ratios are of the rates, in fairness of the p99`
]

const table = (head: ReadonlyArray<string>, body: ReadonlyArray<ReadonlyArray<string>>) =>
  [head, head.map(() => "--"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

export const markdown = (results: Results, gaps: Gaps, command: string, intro: ReadonlyArray<string>): string => {
  const ahead = behind(results)
  const judged = judge(results).map(({ met, reached, scenario, target, what }) => [
    scenario,
    what,
    target,
    met ? reached : `**${reached}**`
  ])
  const floors = [...results].flatMap(([scenario, peers]) => {
    const floor = peers.get("floor")
    return floor === undefined ? [] : [[scenario, rateText(floor.rate), `${(floor.spread * 100).toFixed(0)} %`]]
  })
  const sections = [...results].map(([scenario, peers]) => {
    const measured = [...peers].map(([peer, median]) => [peer, ...figures(peer, median, peers)])
    const absent = reasons(gaps.get(scenario) ?? new Map()).map(([names, why]) => `No row: ${names} (${why}).`)
    const head = ["peer", "rate", "to floor", "Troupe is", "spread", "n", "more"]
    return [`## ${scenario}`, table(head, measured), ...absent].join("\n\n")
  })
  return [
    "# Results of the benchmark",
    `Made by \`${command}\` on ${new Date().toISOString().slice(0, 10)}; what each scenario and peer is stands at the head of its file in this folder.`,
    intro.map((text) => `- ${text}`).join("\n"),
    ahead.length === 0
      ? "No other peer of this run was ahead of Troupe in any scenario."
      : `Ahead of Troupe:\n\n${ahead.map((text) => `- ${text}`).join("\n")}`,
    `## Targets\n\nIn bold: missed.\n\n${table(["scenario", "what", "target", "reached"], judged)}`,
    `## The floors\n\n${table(["scenario", "rate", "spread"], floors)}`,
    ...sections
  ]
    .join("\n\n")
    .concat("\n")
}
