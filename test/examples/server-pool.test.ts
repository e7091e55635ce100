import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { durations, sum } from "../../examples/server-pool/tasks.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const run = promisify(execFile)
const seconds = (millis: number): string => `${(millis / 1000).toFixed(1)} s`
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

describe("examples/server-pool", () => {
  it("measures what the same list gives by hand: whoever is free first takes the next, or ten wait for the slowest", async () => {
    const tasks = await Effect.runPromise(durations(1000, 1))
    const free = Array.from({ length: 10 }, () => 0)
    for (const millis of tasks) free[free.indexOf(Math.min(...free))]! += millis
    const pooled = Math.max(...free)
    const batched = sum(Array.from({ length: 100 }, (_, at) => Math.max(...tasks.slice(10 * at, 10 * at + 10))))

    const { stdout } = await run(process.execPath, ["--no-warnings", "examples/server-pool/main.ts"], {
      cwd: root,
      timeout: 15_000
    })
    const [list, pool, batches, least, ...servers] = stdout.trimEnd().split("\n")
    expect(list).toBe("1000 tasks, 1560.0 s of work, the longest 21.4 s; 5 servers of 2 slots")
    expect(pool).toBe(`pool: ${percent(sum(tasks) / (10 * pooled))} utilised, ${seconds(pooled)}, 1000 tasks done`)
    expect(batches).toBe(`batches of 10: ${percent(sum(tasks) / (10 * batched))} utilised, ${seconds(batched)}`)
    expect(least).toBe("the least possible: 156.0 s")
    expect(sum(servers.map((line) => Number(/: (\d+) tasks, /.exec(line)?.[1])))).toBe(1000)
    // three times as much of the servers' time
    expect([pool, batches].map((line) => Number(/: ([\d.]+) %/.exec(line!)?.[1]))).toEqual([94.4, 29.2])
  })

  it("its durations are log-normal: half below a second, their logarithms with a deviation of 1", async () => {
    const logs = (await Effect.runPromise(durations(1000, 1)))
      .map((millis) => Math.log(millis / 1000))
      .toSorted((a, b) => a - b)
    const mean = sum(logs) / logs.length
    const deviation = Math.sqrt(sum(logs.map((log) => (log - mean) ** 2)) / logs.length)
    expect([Math.abs(logs[500]!) < 0.1, Math.abs(deviation - 1) < 0.05]).toEqual([true, true])
  })
})
