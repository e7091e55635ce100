/**
 * One run of the swarm: a host (its own, or one that is there), clients that know the rules, rogues if asked for, figures.
 *
 * Bounded in count and time. With `cycles` the same happens again on the same host, and what its memory holds after forced
 * collections is compared, once all connections and sessions have gone.
 */
import { readFileSync } from "node:fs"
import { type Health, type HostProcess, start } from "../../live/HostProcess.ts"
import { shares, Ship } from "./Fleet.ts"
import { Latencies } from "./Latencies.ts"
import { firstRoom } from "./Polite.ts"
import type { Got } from "./Rogue.ts"
import { type Findings, findings } from "./Visitor.ts"
import type { Loaded } from "./Worker.ts"

export type Company = "nobody" | "own room" | "shared room"

export interface SwarmOptions {
  readonly agents: number
  readonly seconds: number
  /** Messages a second, of all together. */
  readonly rate: number
  readonly sessions: boolean
  readonly chaos: boolean
  readonly cycles: number
  /** A host that runs elsewhere. */
  readonly url: string | undefined
  /** A staller and a flooder instead of chaos: in a room of their own, or in that of eight others. */
  readonly company?: Company | undefined
  readonly progress: (text: string) => void
}

/** Figures by name; what is not known is null. */
export type Row = Record<string, number | null>

export interface Outcome {
  readonly row: Row
  readonly got: Got
  readonly notes: ReadonlyArray<string>
  readonly closed: Readonly<Record<number, number>>
  /** The host's counters at the end of each cycle. */
  readonly health: Health | undefined
  /** heapUsed + external of the host after each cycle, in bytes. */
  readonly memory: ReadonlyArray<number>
  readonly sound: boolean
}

/** Of the well-behaved, so many rogues; so many of them are cut a second. */
const rogueShare = 1 / 20
const cutShare = 1 / 200

const patienceMillis = 120_000
/** A session that was left is kept for 60 s, and found at the next heartbeat. */
const emptyMillis = 100_000

const rss = (pid: number): number => {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
  return line === null ? 0 : Number(line[1]) * 1024
}

const merge = (into: Record<string, number>, from: Readonly<Record<string, number>>): void => {
  for (const [key, n] of Object.entries(from)) into[key] = (into[key] ?? 0) + n
}

const mergeFindings = (all: Findings, one: Findings): void => {
  for (const [key, value] of Object.entries(one)) {
    if (typeof value === "number") (all as unknown as Record<string, number>)[key]! += value
  }
  merge(all.closed, one.closed)
  all.notes.push(...one.notes)
}

/** The highest of what the host's counters showed, a second at a time. */
class Peaks {
  paused = 0
  queuedBytes = 0
  heldBytes = 0
  sessionsAway = 0
  readonly #timer: NodeJS.Timeout | undefined

  constructor(host: HostProcess | undefined) {
    if (host === undefined) return
    const look = async (): Promise<void> => {
      const { gateway } = await host.health()
      this.paused = Math.max(this.paused, gateway.paused)
      this.queuedBytes = Math.max(this.queuedBytes, gateway.queuedBytes)
      this.heldBytes = Math.max(this.heldBytes, gateway.heldBytes)
      this.sessionsAway = Math.max(this.sessionsAway, gateway.away)
    }
    // a look that finds nobody is one less: the host may be too busy to be asked
    this.#timer = setInterval(() => void look().catch(() => {}), 1000)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const emptied = async (host: HostProcess): Promise<void> => {
  const until = performance.now() + emptyMillis
  while (performance.now() < until) {
    const { connections, sessions } = (await host.health()).gateway
    if (connections === 0 && sessions === 0) return
    await new Promise((resolve) => setTimeout(resolve, 500))
  }
  throw new Error(`the host still has connections or sessions after ${emptyMillis} ms`)
}

/** By itself it floods ten times as fast: 20,000 a second, more than an agent takes. */
const company = (kind: Company, run: string) => {
  if (kind === "nobody") return []
  const [room, millis] = kind === "shared room" ? [`Room/${firstRoom(run)}`, 100] : [`Room/${run}-own`, 10]
  return [["staller", room, millis] as const, ["flooder", room, millis] as const]
}

export const swarm = async (options: SwarmOptions): Promise<Outcome> => {
  const { agents, seconds, rate, chaos, cycles, progress } = options
  const host = options.url === undefined ? await start({ NODE_ENV: "production" }, true) : undefined
  const url = options.url ?? host!.url
  const run = `swarm-${process.pid}`
  // each run takes others, since ports linger
  const local = new URL(url).hostname === "127.0.0.1"
  const network = local
    ? `127.${1 + (process.pid % 250)}.${1 + (Math.floor(performance.timeOrigin / 1000) % 250)}`
    : undefined
  const place = { url, run, network }
  const ships: Array<Ship> = []
  const memory: Array<number> = []
  try {
    for (let cycle = 1; ; cycle++) {
      const before = host === undefined ? 0 : rss(host.pid)
      const parts = shares(agents)
      const crowd = parts.map(() => new Ship())
      ships.push(...crowd)
      const of = cycles > 1 ? `cycle ${cycle} of ${cycles}: ` : ""

      const opened = parts.map(() => 0)
      const openedFrom = performance.now()
      await Promise.all(
        crowd.map((ship, i) => {
          ship.on((report) => {
            if (report._tag !== "Opened") return
            opened[i] = report.clients
            progress(`${of}${opened.reduce((a, b) => a + b)} of ${agents} connected`)
          })
          const from = parts.slice(0, i).reduce((a, b) => a + b, 0)
          const order = {
            _tag: "Open",
            from,
            clients: parts[i]!,
            session: options.sessions || chaos,
            ...place
          } as const
          return ship.order(order, "Opened", patienceMillis)
        })
      )
      const openSeconds = (performance.now() - openedFrom) / 1000
      const held = await host?.health()
      const perConnection = host === undefined ? null : Math.round((rss(host.pid) - before) / agents)

      const rampage = chaos ? {} : options.company === undefined ? undefined : { only: company(options.company, run) }
      const rogues = rampage === undefined ? undefined : new Ship()
      if (rogues !== undefined) {
        ships.push(rogues)
        const clients = Math.max(7, Math.round(agents * rogueShare))
        progress(`${of}the rogues come`)
        await rogues.order({ _tag: "Rampage", clients, ...rampage!, ...place }, "Rampaging", patienceMillis)
      }
      const shown = parts.map(() => ({ answered: 0, connected: 0 }))
      const peaks = new Peaks(host)
      const loads = crowd.map((ship, i) => {
        ship.on((report) => {
          if (report._tag !== "Progress") return
          shown[i] = report
          const sum = (what: "answered" | "connected"): number => shown.reduce((n, each) => n + each[what], 0)
          progress(`${of}${sum("answered")} answered, ${sum("connected")} connected`)
        })
        const share = parts[i]! / agents
        const perSecond = Math.max(0.001, rate * share)
        const cutsPerSecond = chaos ? Math.max(0.2, parts[i]! * cutShare) : 0
        return ship.order(
          { _tag: "Load", seconds, perSecond, cutsPerSecond },
          "Loaded",
          seconds * 1000 + patienceMillis
        )
      })
      const loaded = await Promise.all(loads)
      const { got } = (await rogues?.order({ _tag: "Stop" }, "Stopped", patienceMillis)) ?? { got: {} }
      peaks.stop()
      rogues?.end()

      const health = await host?.health()
      const drains = host !== undefined && cycles === 1
      const order = { _tag: drains ? "Last" : "Leave" } as const
      const closing = Promise.all(crowd.map((ship) => ship.order(order, "Closed", patienceMillis)))
      // the server closes first, so that no port of ours lingers: by its drain, or asked to
      if (drains) await host.stop()
      const codes: Record<number, number> = {}
      for (const report of await closing) merge(codes, report.codes)
      for (const ship of crowd) ship.end()
      if (host !== undefined && cycles > 1) {
        progress(`${of}waiting until the last session has ended`)
        await emptied(host)
        const { heapUsed, external } = await host.measure()
        memory.push(heapUsed + external)
      }
      const row = rowOf(options, loaded, peaks)
      const cleanly = codes[drains ? 1012 : 1000] ?? 0
      Object.assign(row, {
        held_by_host: held?.gateway.connections ?? null,
        agents_on_host: held?.system.actors ?? null,
        connections_per_s: Math.round(agents / openSeconds),
        rss_bytes_per_connection: perConnection,
        closed_cleanly: cleanly
      })
      const all = findings()
      for (const { found } of loaded) mergeFindings(all, found)
      const faultless = all.lost + all.duplicated + all.wrong === 0 && cleanly === agents
      if (faultless && cycle < cycles) continue
      const exitCode = await host?.stop()
      const balanced = health === undefined || health.balanced
      const sound = faultless && (exitCode ?? 0) === 0 && balanced
      return { row, got, notes: all.notes, closed: all.closed, health, memory, sound }
    }
  } finally {
    for (const ship of ships) ship.end()
    await host?.stop()
  }
}

const rowOf = (options: SwarmOptions, loaded: ReadonlyArray<Loaded>, peaks: Peaks): Row => {
  const all = findings()
  const [stayed, cut, room] = [new Latencies(), new Latencies(), new Latencies()]
  for (const each of loaded) {
    mergeFindings(all, each.found)
    stayed.merge(each.latencies)
    cut.merge(each.cutLatencies)
    room.merge(each.roomLatencies)
  }
  const sum = (what: "answered" | "events"): number => loaded.reduce((n, each) => n + each[what], 0)
  const loadSeconds = Math.max(...loaded.map((each) => each.seconds))
  return {
    connected: options.agents,
    messages: sum("answered"),
    messages_per_s: Math.round(sum("answered") / loadSeconds),
    events_per_s: Math.round(sum("events") / loadSeconds),
    p50_ms: stayed.at(0.5),
    p99_ms: stayed.at(0.99),
    p999_ms: stayed.at(0.999),
    ...(cut.size > 0 ? { p50_of_cut_ms: cut.at(0.5), p99_of_cut_ms: cut.at(0.99) } : {}),
    ...(options.company === undefined ? {} : { p99_of_first_room_ms: room.at(0.99) }),
    own_lag_p99_ms: Math.round(Math.max(...loaded.map(({ lag }) => lag[0]))),
    own_lag_max_ms: Math.round(Math.max(...loaded.map(({ lag }) => lag[1]))),
    errors: all.errors,
    lost: all.lost,
    duplicated: all.duplicated,
    wrong: all.wrong,
    busy: all.busy,
    refused: all.refused,
    ...(options.sessions || options.chaos
      ? {
          cuts: all.cuts,
          resumed: all.resumed,
          afresh: all.afresh,
          gaps: all.gaps,
          resent: all.resent,
          replayed: all.replayed
        }
      : {}),
    peak_paused: peaks.paused,
    peak_queued_bytes: peaks.queuedBytes,
    peak_held_bytes: peaks.heldBytes,
    peak_sessions_away: peaks.sessionsAway
  }
}
