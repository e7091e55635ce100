import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

const root = fileURLToPath(new URL("../..", import.meta.url))
const run = promisify(execFile)

it("examples/price-comparison has every sound supplier's price, names the others, keeps its limits, and leaves no socket", async () => {
  const args = ["--no-warnings", "examples/price-comparison/main.ts", "--delay", "10", "--deadline", "2000"]
  const { stdout } = await run(process.execPath, args, { cwd: root, timeout: 60_000 })
  // of a machine that was busy: no business of the example's
  const lines = stdout.split("\n").filter((line) => !/ WARN .* held the event loop for \d+ ms/.test(line))
  const seconds = /\d+\.\d\d s/
  const shown = lines.map((line) => line.replace(seconds, "_ s").trim())
  const [failed, rest] = [
    shown.filter((line) => line.startsWith("failed")),
    shown.filter((line) => !line.startsWith("failed"))
  ]
  const most = Number(/at the most: (\d+) requests/.exec(stdout)?.[1])
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(20)
  expect(rest).toEqual([
    "30 suppliers, 10 ms each",
    "one after another: 30 prices in _ s, the cheapest 103",
    "all at once: 30 prices in _ s, the cheapest 103",
    "500 suppliers, 40 ms each, 100 at a time through 20 connections",
    "497 prices in _ s, the cheapest 100 from supplier-194",
    `on the wire at the most: ${most} requests`,
    "10 suppliers, 2000 ms to answer",
    "9 prices in _ s, the cheapest 111 from supplier-8",
    "late: supplier-4",
    "sockets left: 0 at the suppliers, 0 in this process",
    ""
  ])
  expect(failed.toSorted()).toEqual([
    "failed: supplier-100, status 500",
    "failed: supplier-200, ECONNRESET",
    "failed: supplier-300, Unexpected token '<', \"<p>Welcome\"... is not valid JSON"
  ])
}, 90_000)
