import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { Handles, settled, TimerWatch } from "../../src/testkit/Handles.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

describe("Handles", () => {
  it("names what is more than before, by kind and number", () => {
    const before = new Handles(["PipeWrap", "Timeout"])
    const after = new Handles(["TCPServerWrap", "ProcessWrap", "PipeWrap", "Immediate", "ProcessWrap", "Timeout"])
    expect(after.since(before)).toEqual(["1 TCPServerWrap", "2 ProcessWrap"])
    expect(before.since(after)).toEqual([])
  })

  it("a server is one while it listens, and none when it has closed, if only in a moment", async () => {
    const before = Handles.now()
    const server = createServer()
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()))
    expect(await settled(() => Handles.now().since(before), 2)).toEqual(["1 TCPServerWrap"])
    server.close()
    expect(await settled(() => Handles.now().since(before))).toEqual([])
  })

  it("a timer is named by its place until it has fired or was cleared; unref'ed ones hold nothing", async () => {
    const timers = new TimerWatch()
    const original = setTimeout
    timers.start()
    expect(await promisify(setTimeout)(1, "still promisified")).toBe("still promisified")
    const first = setInterval(() => {}, 1000)
    const second = setTimeout(() => {}, 1000)
    setTimeout(() => {}, 1)
    second.unref()
    const named = expect.stringMatching(/^a timer made at .*Handles\.test\.ts/) as string
    expect(await settled(() => (timers.armed.length > 1 ? timers.armed : []))).toEqual([])
    expect(timers.armed).toEqual([named])
    clearInterval(first)
    clearTimeout(second)
    expect(await settled(() => timers.armed)).toEqual([])
    timers.stop()
    expect(setTimeout).toBe(original)
  })
})

interface Result {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{
      readonly title: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

describe("noLeaks", () => {
  it("in the project's configuration each planted leak fails its test by name, in every file; clean tests pass", async () => {
    const folder = mkdtempSync(join(tmpdir(), "troupe-leaky-"))
    const file = join(folder, "report.json")
    const config = ["--config", "test/testkit/leaky/vitest.config.ts"]
    const args = ["node_modules/vitest/vitest.mjs", "run", ...config, "--reporter=json", `--outputFile=${file}`]
    const output = await new Promise<string>((resolve) => {
      execFile(process.execPath, args, { cwd: root, timeout: 60_000 }, (_failed, ...texts) => resolve(texts.join("")))
    })
    expect(existsSync(file) ? "a report" : output).toBe("a report")
    const { testResults } = JSON.parse(readFileSync(file, "utf8")) as Result
    rmSync(folder, { recursive: true })
    const outcomes = testResults.flatMap(({ assertionResults }) =>
      assertionResults.map(({ title, status, failureMessages }) => [
        title,
        status === "passed" ? "passed" : /the test leaked (.*?)(?:\n|$)/.exec(failureMessages.join())?.[1]
      ])
    )
    expect(Object.fromEntries(outcomes)).toEqual({
      "leaves a server": "1 TCPServerWrap",
      "leaves a socket": expect.stringContaining("TCPSocketWrap"),
      "leaves a timer": expect.stringContaining("a timer made at"),
      "leaves a process": "1 ProcessWrap",
      "is clean: what it opens it closes": "passed",
      "leaves a timer in a second file": expect.stringContaining("two.fixture.ts"),
      "is clean in a second file": "passed"
    })
  }, 90_000)
})
