/**
 * `npm run memory [-- --connections 10000 --cycles 5 --json]`: does a connection that is gone leave anything behind?
 *
 * On one host, C times: N connections from several source addresses, 200 at a time, each asks once and goes: a third closes
 * 1000, a third begins a session and ends it so, a third is cut. Each cycle is the same, to the keys of the agents, which live
 * on. After each the host collects garbage twice: heapUsed + external after the second cycle is within 5 % of that after the
 * first, and after the last within 5 % of that after the one before. Exit status 1 if not.
 */
import { parseArgs } from "node:util"
import { WebSocket } from "ws"
import { type HostProcess, start } from "../live/HostProcess.ts"

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10000" },
    cycles: { type: "string", default: "5" },
    json: { type: "boolean", default: false }
  }
})
const connections = Math.min(100_000, Math.max(1, Number(values.connections)))
const cycles = Math.min(20, Math.max(2, Number(values.cycles)))
if (!Number.isInteger(connections) || !Number.isInteger(cycles))
  throw new Error("--connections and --cycles are numbers")

const together = 200
const most = 0.05
const patienceMillis = 30_000
const addresses = 64

let failed = 0

/** One connection from its beginning to its end. */
const visit = (url: string, i: number, network: string): Promise<void> =>
  new Promise((resolve) => {
    const how = i % 3
    const query = how === 1 ? "?session=new" : ""
    const socket = new WebSocket(`${url}/agents/Echo/memory-${i}${query}`, {
      localAddress: `${network}.${2 + (i % addresses)}`,
      perMessageDeflate: false
    })
    let answered = false
    const late = setTimeout(() => socket.terminate(), patienceMillis)
    socket.on("error", () => {})
    socket.on("open", () =>
      socket.send(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "Echo", params: { text: "x" } }))
    )
    socket.on("message", (data) => {
      if ((JSON.parse((data as Buffer).toString()) as { readonly id?: number }).id !== 1) return
      answered = true
      if (how === 2) socket.terminate()
      else socket.close(1000)
    })
    socket.on("close", () => {
      clearTimeout(late)
      if (!answered) failed++
      resolve()
    })
  })

const gone = async (host: HostProcess): Promise<void> => {
  const until = performance.now() + patienceMillis
  while (performance.now() < until) {
    const { gateway } = await host.health()
    if (gateway.connections + gateway.sessions === 0) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`connections are left after ${patienceMillis} ms`)
}

const mebibytes = (bytes: number): number => Number((bytes / 1_048_576).toFixed(2))

const host = await start({ NODE_ENV: "production" }, true)
const sizes: Array<number> = []
try {
  for (let cycle = 0; cycle < cycles; cycle++) {
    // ports of the cycle before linger
    const network = `127.${2 + (process.pid % 200)}.${1 + cycle}`
    const began = performance.now()
    for (let at = 0; at < connections; at += together) {
      const batch = Array.from({ length: Math.min(together, connections - at) }, (_, k) =>
        visit(host.url, at + k, network)
      )
      await Promise.all(batch)
    }
    const seconds = (performance.now() - began) / 1000
    await gone(host)
    const { heapUsed, external, rss } = await host.measure()
    sizes.push(heapUsed + external)
    if (values.json) continue
    const [held, resident] = [mebibytes(heapUsed + external), mebibytes(rss)]
    const rate = Math.round(connections / seconds)
    console.log(
      `cycle ${cycle + 1}: ${connections} connections, ${rate} a second; ${held} MiB, ${resident} MiB resident`
    )
  }
} finally {
  await host.stop()
}
const growth = (from: number, to: number): number => sizes.at(to)! / sizes.at(from)! - 1
const [second, last] = [growth(0, 1), growth(-2, -1)]
const result = {
  connections,
  cycles,
  mib: sizes.map(mebibytes),
  second_against_first_percent: Number((second * 100).toFixed(2)),
  last_against_one_before_percent: Number((last * 100).toFixed(2)),
  failed
}
console.log(values.json ? JSON.stringify(result) : result)
process.exit(failed === 0 && second <= most && last <= most ? 0 : 1)
