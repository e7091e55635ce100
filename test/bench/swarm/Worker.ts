/**
 * A process of the swarm's: well-behaved clients, or rogues. Started by `Fleet.ts`, which tells it what to do.
 *
 *   Open -> Opened ... Opened -> Load -> Progress ... Loaded (the report) -> Last | Leave -> Closed
 *   Rampage -> Rampaging (all have come) -> Stop -> Stopped (what they got)
 */
import { setPriority } from "node:os"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Crowd } from "./Polite.ts"
import { type Got, Rogues } from "./Rogue.ts"
import { type Findings, note } from "./Visitor.ts"

interface Place {
  readonly url: string
  readonly run: string
  /** Source addresses lie in it: `127.x.y`; none for a host elsewhere. */
  readonly network: string | undefined
}

export type Order =
  | ({ readonly _tag: "Open"; readonly from: number; readonly clients: number; readonly session: boolean } & Place)
  | { readonly _tag: "Load"; readonly seconds: number; readonly perSecond: number; readonly cutsPerSecond: number }
  | { readonly _tag: "Last" }
  | { readonly _tag: "Leave" }
  | ({
      readonly _tag: "Rampage"
      readonly clients: number
      readonly only?: ReadonlyArray<readonly ["staller" | "flooder", path: string, millis: number]> | undefined
    } & Place)
  | { readonly _tag: "Stop" }

export interface Loaded {
  readonly _tag: "Loaded"
  readonly found: Findings
  readonly answered: number
  readonly events: number
  readonly seconds: number
  /** How late this process was itself: the 99th of 100 delays of its event loop, and the longest, in ms. */
  readonly lag: readonly [p99: number, max: number]
  readonly latencies: ReadonlyArray<number>
  readonly cutLatencies: ReadonlyArray<number>
  readonly roomLatencies: ReadonlyArray<number>
}

export type Report =
  | { readonly _tag: "Opened"; readonly clients: number; readonly all: boolean }
  | { readonly _tag: "Progress"; readonly answered: number; readonly connected: number }
  | Loaded
  | { readonly _tag: "Rampaging" }
  | { readonly _tag: "Closed"; readonly codes: Readonly<Record<number, number>> }
  | { readonly _tag: "Stopped"; readonly got: Got }

/** Source addresses: each has some 28,000 ports, and few in use are found fast. */
const addresses = 32
const openTogether = 200
const tickMillis = 5
/** How long what is under way may take at the end. */
const settleMillis = 60_000

const address =
  (network: string | undefined, first: number) =>
  (i: number): string | undefined =>
    network === undefined ? undefined : `${network}.${first + (i % addresses)}`

const send = (report: Report): void => void process.send!(report)

let crowd: Crowd | undefined
let rogues: Rogues | undefined

const load = async (seconds: number, perSecond: number, cutsPerSecond: number): Promise<void> => {
  const visitors = crowd!
  const lag = monitorEventLoopDelay({ resolution: 5 })
  lag.enable()
  const began = performance.now()
  const until = began + seconds * 1000
  let k = 0
  let cuts = 0
  const progress = setInterval(
    () => send({ _tag: "Progress", answered: visitors.answered, connected: visitors.connected }),
    1000
  )
  const tick = (): void => {
    const now = Math.min(performance.now(), until)
    // a stride of a prime: neighbours do not speak one after the other
    for (let at = began + (k * 1000) / perSecond; at <= now; at = began + (k * 1000) / perSecond)
      visitors.due(k++ * 7919, at)
    for (; cuts < ((now - began) / 1000) * cutsPerSecond; cuts++) {
      visitors.cutOff(cuts % 2 === 0 ? "latest" : Math.floor(Math.random() * 1e9), Math.random() < 0.5)
    }
  }
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      tick()
      if (performance.now() < until) return
      clearInterval(timer)
      resolve()
    }, tickMillis)
  })
  const loadSeconds = (performance.now() - began) / 1000
  lag.disable()
  const { answered, events } = visitors
  const deadline = performance.now() + settleMillis
  while (!visitors.settled && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  visitors.close()
  clearInterval(progress)
  send({
    _tag: "Loaded",
    found: visitors.found,
    answered,
    events,
    seconds: loadSeconds,
    lag: [lag.percentile(99) / 1e6, lag.max / 1e6],
    latencies: visitors.latencies.counts,
    cutLatencies: visitors.cutLatencies.counts,
    roomLatencies: visitors.roomLatencies.counts
  })
}

const closed = (codes: ReadonlyArray<number>): void => {
  const counts: Record<number, number> = {}
  for (const code of codes) counts[code] = (counts[code] ?? 0) + 1
  send({ _tag: "Closed", codes: counts })
}

const obey = async (order: Order): Promise<void> => {
  switch (order._tag) {
    case "Open": {
      const { url, run, network, from, clients, session } = order
      crowd = new Crowd({ url, run, from, clients, session, localAddress: address(network, 2) })
      await crowd.open(openTogether, (n) => send({ _tag: "Opened", clients: n, all: n === clients }))
      return
    }
    case "Load":
      return load(order.seconds, order.perSecond, order.cutsPerSecond)
    case "Last":
      return closed(await crowd!.last())
    case "Leave":
      return closed(await crowd!.leave())
    case "Rampage": {
      const { url, run, network, clients, only } = order
      // on few cores: the work of being bad is not the host's, nor the others'
      setPriority(10)
      rogues = new Rogues({ url, run, clients, only, localAddress: address(network, 2 + addresses) })
      await rogues.start()
      return send({ _tag: "Rampaging" })
    }
    case "Stop":
      await rogues!.stop()
      return send({ _tag: "Stopped", got: rogues!.got })
  }
}

process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) => {
    if (crowd !== undefined) note(crowd.found, String(error))
    console.error(error)
    process.exit(1)
  })
})
// whoever started it is gone
process.on("disconnect", () => process.exit(1))
