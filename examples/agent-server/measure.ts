/** What a process holds after collecting garbage, and a summary of latencies. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

export const memory = () => {
  for (let n = 0; n < 3; n++) collect()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { heap: heapUsed + external, rss }
}

export const each = (before: ReturnType<typeof memory>, after: ReturnType<typeof memory>, count: number): string =>
  `heap ${Math.round((after.heap - before.heap) / count)} B, RSS ${Math.round((after.rss - before.rss) / count)} B`

export const percentiles = (millis: ReadonlyArray<number>): string => {
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (share: number): string => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!.toFixed(2)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}
