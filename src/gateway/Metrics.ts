/**
 * The gateway's and the system's counters as Effect metrics: read when somebody asks, never kept.
 *
 * Floor 3; one a gateway. They stand in the registry of the layer's context while the gateway is open, so `/metrics` shows
 * them beside the program's own, and any exporter of Effect's sends them.
 * Text by Effect's `PrometheusMetrics` (exposition format 0.0.4).
 * Cost: nothing while nobody reads; then what a look costs, O(actors), as `/healthz`.
 */
import { type Context, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import type { Snapshot } from "../supervision/Snapshot.ts"
import type { GatewayStats } from "./Gateway.ts"

/** What one look at the host found. */
export interface Look {
  /** Law 4 holds. */
  readonly balanced: boolean
  readonly gateway: GatewayStats
  readonly system: Snapshot
  readonly memory: NodeJS.MemoryUsage
}

interface Row {
  readonly name: string
  readonly description: string
  readonly read: (look: Look) => number
}

const row = (name: string, description: string, read: (look: Look) => number): Row => ({ name, description, read })

const gauges: ReadonlyArray<Row> = [
  row("troupe_gateway_connections", "Open connections", ({ gateway }) => gateway.connections),
  row("troupe_gateway_paused", "Connections that are not read", ({ gateway }) => gateway.paused),
  row("troupe_gateway_slowed", "Connections over their message rate", ({ gateway }) => gateway.slowed),
  row("troupe_gateway_posts", "POSTs under way", ({ gateway }) => gateway.posts),
  row("troupe_gateway_sessions", "Sessions", ({ gateway }) => gateway.sessions),
  row("troupe_gateway_sessions_away", "Sessions that wait for their client", ({ gateway }) => gateway.away),
  row("troupe_gateway_kept_bytes", "Bytes kept for clients that may come back", ({ gateway }) => gateway.keptBytes),
  row("troupe_gateway_held_bytes", "Bytes of wire that connections hold", ({ gateway }) => gateway.heldBytes),
  row("troupe_gateway_queued_bytes", "Bytes not yet taken by sockets", ({ gateway }) => gateway.queuedBytes),
  row("troupe_actors", "Living actors", ({ system }) => system.actors),
  row("troupe_messages_queued", "Messages in mailboxes and stashes", ({ system }) => system.queued),
  row("troupe_messages_running", "Handlers that run or are suspended", ({ system }) => system.running),
  row("troupe_timers", "Timers armed", ({ system }) => system.timers),
  row("troupe_zombies", "What would not end", ({ system }) => system.zombies.length),
  row("troupe_loop_lag_milliseconds", "How late the scheduler was last", ({ system }) => system.scheduler.lagMillis),
  row("troupe_heap_used_bytes", "V8's heap in use", ({ memory }) => memory.heapUsed),
  row("troupe_external_bytes", "Buffers outside V8's heap", ({ memory }) => memory.external),
  row("troupe_resident_bytes", "Memory of the process", ({ memory }) => memory.rss)
]

const counters: ReadonlyArray<Row> = [
  row("troupe_gateway_frames_in_total", "Frames received", ({ gateway }) => gateway.framesIn),
  row("troupe_gateway_frames_out_total", "Frames sent", ({ gateway }) => gateway.framesOut),
  row("troupe_gateway_invalid_total", "Messages that were no valid call", ({ gateway }) => gateway.invalid),
  row("troupe_gateway_refused_total", "Calls that agents did not take", ({ gateway }) => gateway.refused),
  row("troupe_gateway_dropped_events_total", "Events dropped for slow clients", ({ gateway }) => gateway.droppedEvents),
  row(
    "troupe_gateway_coalesced_events_total",
    "Events superseded for slow clients",
    ({ gateway }) => gateway.coalescedEvents
  ),
  row("troupe_spawned_total", "Actors that have begun", ({ system }) => system.spawned),
  row("troupe_messages_accepted_total", "Messages taken from senders", ({ system }) => system.accepted),
  row("troupe_messages_finished_total", "Messages handled", ({ system }) => system.finished),
  row("troupe_messages_failed_total", "Messages whose handler failed", ({ system }) => system.failed),
  row("troupe_messages_cancelled_total", "Asks given up", ({ system }) => system.cancelled),
  row("troupe_restarts_total", "Restarts", ({ system }) => system.restarts)
]

/** Counters with a label, whose values come up as they happen. */
const families: ReadonlyArray<
  Row & { readonly label: string; readonly of: (look: Look) => Readonly<Record<string, number>> }
> = [
  {
    ...row("troupe_gateway_closed_total", "Connections closed, by code", () => 0),
    label: "code",
    of: ({ gateway }) => gateway.closed
  },
  {
    ...row(
      "troupe_gateway_not_admitted_total",
      "Requests not let in, by HTTP status, and sockets cut at the door",
      () => 0
    ),
    label: "status",
    of: ({ gateway }) => gateway.notAdmitted
  },
  {
    ...row(
      "troupe_gateway_evicted_frames_total",
      "Frames kept for sessions that went before their time, by what had no room",
      () => 0
    ),
    label: "by",
    of: ({ gateway }) => gateway.evicted
  },
  {
    ...row("troupe_gateway_gaps_total", "Clients that came back to a gap, or to a session not known here", () => 0),
    label: "kind",
    of: ({ gateway }) => gateway.gaps
  },
  {
    ...row("troupe_dead_letters_total", "Messages that nobody handled, by reason", () => 0),
    label: "reason",
    of: ({ system }) => system.deadLetters
  }
]

const ignore = (): void => {}

export class Metrics {
  readonly #context: Context.Context<never>
  readonly #look: () => Look
  #attributes: Readonly<Record<string, string>> = {}
  readonly #registered: Array<Metric.Registration> = []
  readonly #seen = new Set<string>()

  constructor(context: Context.Context<never>, look: () => Look) {
    this.#context = context
    this.#look = look
  }

  /** `gateway` tells two in one process apart. */
  open(gateway: string): void {
    this.#attributes = { gateway }
    for (const { name, description, read } of gauges) {
      const gauge = Metric.gauge(name, { description, attributes: this.#attributes })
      const get = () => ({ value: read(this.#look()) })
      this.#registered.push(Metric.registerUnsafe(gauge, this.#context, { get, update: ignore, modify: ignore }))
    }
    for (const { name, description, read } of counters) this.#counter(name, description, this.#attributes, read)
  }

  close(): void {
    for (const registration of this.#registered.splice(0)) registration.remove()
  }

  /** All metrics of the context, for Prometheus. */
  text(): string {
    const look = this.#look()
    for (const { name, description, label, of } of families) {
      for (const value of Object.keys(of(look))) {
        if (this.#seen.has(`${name} ${value}`)) continue
        this.#seen.add(`${name} ${value}`)
        this.#counter(name, description, { ...this.#attributes, [label]: value }, (now) => of(now)[value] ?? 0)
      }
    }
    return PrometheusMetrics.formatUnsafe(this.#context)
  }

  #counter(
    name: string,
    description: string,
    attributes: Readonly<Record<string, string>>,
    read: (look: Look) => number
  ): void {
    const counter = Metric.counter(name, { description, attributes, incremental: true })
    const get = () => ({ count: read(this.#look()), incremental: true })
    this.#registered.push(Metric.registerUnsafe(counter, this.#context, { get, update: ignore, modify: ignore }))
  }
}
