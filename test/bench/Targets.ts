/**
 * What Troupe aims at, as ratios to the floor of the same run, and what a run reached.
 *
 * A target is at least or at most; one whose rows are not in the run is not judged. `behind` names every other peer that was faster than Troupe with
 * plain handlers, in any scenario.
 */
import type { Median } from "./Round.ts"

/** Scenario -> peer -> its median. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, Median>>

interface Target {
  readonly scenario: string
  readonly what: string
  readonly limit: number
  readonly most?: true
  readonly read: (peers: ReadonlyMap<string, Median>) => number | undefined
}

export interface Judged {
  readonly scenario: string
  readonly what: string
  readonly target: string
  readonly reached: string
  readonly met: boolean
}

const quotient = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined || b === 0 ? undefined : a / b

const rate =
  (peer = "troupe") =>
  (peers: ReadonlyMap<string, Median>) =>
    quotient(peers.get(peer)?.rate, peers.get("floor")?.rate)

const p99 = (peers: ReadonlyMap<string, Median>) => peers.get("troupe")?.row.p99_us

/** Of the socket scenarios: Troupe's figure to that of bare `ws`. */
const toBare = (figure: (median: Median) => number | undefined) => (peers: ReadonlyMap<string, Median>) => {
  const [ours, bare] = [peers.get("troupe"), peers.get("floor")]
  return ours && bare && quotient(figure(ours), figure(bare))
}

const atLeast = (scenario: string, limit: number): Target => ({ scenario, what: "rate to floor", limit, read: rate() })

const targets: ReadonlyArray<Target> = [
  atLeast("pingpong", 0.4),
  atLeast("counting", 0.45),
  atLeast("forkjoin", 0.45),
  atLeast("threadring", 0.4),
  atLeast("big", 0.6),
  atLeast("skynet", 0.5),
  atLeast("ask-seq", 0.3),
  atLeast("ask-1000", 0.3),
  atLeast("wake", 0.6),
  { scenario: "wake", what: "p99, us", limit: 50, most: true, read: p99 },
  { scenario: "fairness", what: "p99 of the quiet, us", limit: 1900, most: true, read: p99 },
  atLeast("spawn-idle-1m", 0.4),
  {
    scenario: "spawn-idle-1m",
    what: "heap an actor, B",
    limit: 350,
    most: true,
    read: (peers) => peers.get("troupe")?.row.heap_bytes_per_actor
  },
  { scenario: "pingpong", what: "Effect.sync, rate to floor", limit: 0.2, read: rate("troupe-sync") },
  { scenario: "pingpong", what: "Effect.fnUntraced, rate to floor", limit: 0.06, read: rate("troupe-fn") },
  { scenario: "ws-echo", what: "messages/s to bare ws", limit: 0.95, read: rate() },
  { scenario: "ws-echo", what: "p99 to bare ws", limit: 1.5, most: true, read: toBare(({ row }) => row.p99_us) },
  {
    scenario: "ws-echo",
    what: "idle RSS a connection to bare ws",
    limit: 1.25,
    most: true,
    read: toBare(({ row }) => row.notes?.["rss_bytes_per_connection"])
  },
  {
    scenario: "ws-echo",
    what: "busy RSS to bare ws",
    limit: 2,
    most: true,
    read: toBare(({ row }) => row.notes?.["rss_busy_mb"])
  }
]

const short = (n: number) => (n >= 100 ? n.toFixed(0) : n.toFixed(n >= 10 ? 1 : 3))

export const judge = (results: Results): ReadonlyArray<Judged> =>
  targets.flatMap(({ limit, most, read, scenario, what }) => {
    const reached = read(results.get(scenario) ?? new Map<string, Median>())
    if (reached === undefined) return []
    const met = most ? reached <= limit : reached >= limit
    return [{ scenario, what, target: `${most ? "at most" : "at least"} ${limit}`, reached: short(reached), met }]
  })

const yardsticks = ["floor", "frozen"]

/** A line for each other peer that was ahead of Troupe: by its rate, in `fairness` by its p99. */
export const behind = (results: Results): ReadonlyArray<string> =>
  [...results].flatMap(([scenario, peers]) => {
    const ours = peers.get("troupe")?.score
    if (ours === undefined) return []
    return [...peers].flatMap(([peer, { score }]) =>
      yardsticks.includes(peer) || peer.startsWith("troupe") || score <= ours
        ? []
        : [`${scenario}: ${peer}, ${(score / ours).toFixed(2)} times as good`]
    )
  })
