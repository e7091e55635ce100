import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { Threads } from "../../src/compute/Threads.ts"
import type { Call } from "../../src/compute/Thread.ts"

const call = (fn: string, ...args: ReadonlyArray<unknown>): Call => ({
  module: new URL("./work.ts", import.meta.url).href,
  fn,
  args
})

describe("Threads", () => {
  it("none that starts: it is told once, and calls that waited are run instead", async () => {
    const lost: Array<string> = []
    const threads = new Threads({
      count: 2,
      maxHeapMb: undefined,
      entry: new URL("./broken.ts", import.meta.url),
      lost: (why) => void lost.push(why),
      instead: ({ fn }) => Effect.succeed({ _tag: "Returned", value: `${fn} instead` })
    })
    const ended = await Effect.runPromise(
      Effect.all([threads.run(call("add", 1, 1)), threads.run(call("where"))], { concurrency: "unbounded" })
    )
    expect(ended.map((each) => each._tag === "Returned" && each.value)).toEqual(["add instead", "where instead"])
    expect([lost, threads.size]).toEqual([["does not start"], 0])
    await threads.close()
  })
  it("a process that may make none: calls run on the loop, and the log says so", async () => {
    const file = fileURLToPath(new URL("./forbidden.ts", import.meta.url))
    const args = ["--no-warnings", "--permission", "--allow-fs-read=*", file]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 15_000 })
    expect(stdout).toContain("2 on thread 0")
    expect(stdout.match(/Offload has no worker threads \(Access to this API has been restricted/g)).toHaveLength(1)
  })
})
