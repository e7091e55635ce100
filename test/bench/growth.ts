/**
 * `npm run bench:growth -- [--actors 1000,10000,...] [--connections 100,1000,...] [--rounds n] [--limit s]`: what one more costs, the more there are.
 *
 * Of 1 k to 1 M actors: spawning one, its heap, a message to a random one; of 100 to 18 k connections: resident memory each, the server's processor time a
 * message of 64 B with 50 in flight. Each beside the floor: bare objects, bare `ws`, whose own growth is the machine's (caches, pages). Every
 * size in a process of its own, the peers interleaved, medians. A cost over 1.5 times that of the smallest size is marked.
 * A run of all sizes plots to growth-actors.svg and growth-connections.svg; one of chosen sizes only prints. An empty list leaves a half out.
 */
import { writeFileSync } from "node:fs"
import { parseArgs } from "node:util"
import { unfit } from "./Peers.ts"
import { type Panel, svg } from "./Plot.ts"
import { counted, type Median, median, type Round, round, serverFlags } from "./Round.ts"
import { echo } from "./Sockets.ts"

const sizes = { actors: "1000,10000,100000,1000000", connections: "100,1000,10000,18000" }
const inFlight = 50
const echoSeconds = 6
const flat = 1.5

const { values } = parseArgs({
  options: {
    actors: { type: "string", default: sizes.actors },
    connections: { type: "string", default: sizes.connections },
    rounds: { type: "string", default: "3" },
    limit: { type: "string", default: "120" }
  }
})

const list = (name: string, text: string): ReadonlyArray<number> => {
  const all = text === "" ? [] : text.split(",").map(Number)
  if (all.every((n) => Number.isInteger(n) && n >= 1 && n <= 1e7)) return all
  throw new TypeError(`--${name} is ${text}, should be numbers, with commas`)
}
const rounds = Math.min(100, Math.max(1, Number(values.rounds)))
const limitSeconds = Math.min(3600, Math.max(1, Number(values.limit)))
if (!Number.isInteger(rounds) || Number.isNaN(limitSeconds)) throw new TypeError("--rounds and --limit are numbers")

interface Cost {
  readonly title: string
  readonly read: (median: Median) => number
}

const note = (name: string) => (one: Median) => one.row.notes?.[name] ?? Number.NaN

const actorCosts: ReadonlyArray<Cost> = [
  { title: "spawn, ns an actor", read: note("spawn_ns") },
  { title: "heap, B an actor", read: (one) => one.row.heap_bytes_per_actor ?? Number.NaN },
  { title: "message, ns", read: note("message_ns") }
]
const connectionCosts: ReadonlyArray<Cost> = [
  { title: "memory, B a connection", read: note("rss_bytes_per_connection") },
  { title: "processor, us a message", read: note("cpu_us") }
]

type Grown = ReadonlyArray<readonly [size: number, peers: ReadonlyMap<string, Median>]>

/** Peers interleaved, size by size. */
const measure = async (
  all: ReadonlyArray<number>,
  run: (peer: string, size: number) => Promise<Round>
): Promise<Grown> => {
  const grown: Array<readonly [number, ReadonlyMap<string, Median>]> = []
  for (const size of all) {
    const done = { floor: [] as Array<Round>, troupe: [] as Array<Round> }
    for (let i = 0; i < rounds; i++)
      for (const peer of ["floor", "troupe"] as const) done[peer].push(await run(peer, size))
    grown.push([size, new Map(Object.entries(done).map(([peer, of]) => [peer, median(of)]))])
  }
  return grown
}

const panels = (grown: Grown, costs: ReadonlyArray<Cost>, floor: string): ReadonlyArray<Panel> =>
  costs.map(({ read, title }) => ({
    title,
    series: [
      [floor, "floor"],
      ["Troupe", "troupe"]
    ].map(([name = "", peer = ""]) => ({
      name,
      points: grown.flatMap(([size, peers]) => {
        const one = peers.get(peer)
        return one === undefined ? [] : [[size, read(one)] as const]
      })
    }))
  }))

const print = (axis: string, all: ReadonlyArray<Panel>) => {
  for (const { series, title } of all) {
    for (const { name, points } of series) {
      const first = points[0]?.[1] ?? Number.NaN
      const cells = points.map(([x, y]) => {
        const times = y / first
        return `${x}: ${Number(y.toPrecision(3))}${times > flat ? ` (x${times.toFixed(1)}!)` : ""}`
      })
      console.log(`${title.padEnd(26)}${name.padEnd(14)}by ${axis}: ${cells.join("   ")}`)
    }
  }
}

const show = (axis: string, file: string, all: ReadonlyArray<Panel>, whole: boolean) => {
  print(axis, all)
  if (!whole) return
  writeFileSync(new URL(file, import.meta.url), svg(axis, all))
  console.log(`written test/bench/${file}`)
}

const settings = { loader: "strip", limitSeconds, scale: 1 }
const actors = list("actors", values.actors)
if (actors.length > 0) {
  const grown = await measure(actors, (peer, size) => round(peer, `growth-${size}`, settings))
  show("actors", "growth-actors.svg", panels(grown, actorCosts, "floor"), values.actors === sizes.actors)
}
const connections = list("connections", values.connections)
const hindered = unfit("troupe", "ws-echo")
if (connections.length > 0 && hindered !== undefined) console.log(`no connections: ${hindered}`)
else if (connections.length > 0) {
  const grown = await measure(connections, async (peer, size) => {
    const row = await echo(peer, serverFlags, limitSeconds * 1000, size, Math.min(size, inFlight), {
      seconds: echoSeconds,
      touch: true
    })
    return counted("ws-echo", row)
  })
  const all = panels(grown, connectionCosts, "bare ws")
  show("connections", "growth-connections.svg", all, values.connections === sizes.connections)
}
