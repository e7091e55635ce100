import { execFile } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Lifecycle } from "troupe"
import { describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))
const run = promisify(execFile)

/** What the header says under "Expected output:", without the comment's margin. */
const expected = (source: string): ReadonlyArray<string> => {
  const header = source.slice(0, source.indexOf("*/"))
  const lines = header.slice(header.indexOf("Expected output:")).split("\n").slice(1)
  return lines.map((line) => line.replace(/^ \* {2,3}/, "").trimEnd()).filter((line) => line !== "" && line !== " ")
}

const examples = readdirSync(`${root}examples`).filter((name) => /^\d\d-.*\.ts$/.test(name))

describe("examples", () => {
  it("there are some", () => {
    expect(examples.length).toBeGreaterThanOrEqual(3)
  })

  it.each(examples)("%s prints what its header says", async (name) => {
    const file = `${root}examples/${name}`
    const { stdout } = await run(process.execPath, ["--no-warnings", file], { cwd: root, timeout: 15_000 })
    const lines = expected(readFileSync(file, "utf8"))
    expect(lines.length).toBeGreaterThan(0)
    const printed = stdout.trimEnd().split("\n")
    // of a machine that was busy: no business of the example's
    expect(printed.filter((line) => !/ WARN .* held the event loop for \d+ ms/.test(line))).toEqual(lines)
  })
})

describe("README", () => {
  it("shows the counter of examples/10-hello.ts, word for word", () => {
    const readme = readFileSync(`${root}README.md`, "utf8")
    const source = readFileSync(`${root}examples/10-hello.ts`, "utf8")
    const code = source.slice(source.indexOf("*/") + 3).trim()
    expect(readme).toContain(code)
  })

  it("shows the agent of examples/50-agent.ts, word for word", () => {
    const source = readFileSync(`${root}examples/50-agent.ts`, "utf8")
    const code = source.slice(source.indexOf("const Room ="), source.indexOf("const client ="))
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(code.trim())
  })

  it("shows the client of examples/55-client.ts, word for word", () => {
    const source = readFileSync(`${root}examples/55-client.ts`, "utf8")
    const code = source.slice(source.indexOf("const lobby ="), source.indexOf("await first.stop()"))
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(code.trim())
  })

  it("shows the program of examples/57-effect-rpc.ts, word for word", () => {
    const source = readFileSync(`${root}examples/57-effect-rpc.ts`, "utf8")
    const code = source.slice(source.indexOf("const program ="), source.indexOf("const both ="))
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(code.trim())
  })

  it("shows the supervisor of examples/32-supervisor.ts, word for word", () => {
    const source = readFileSync(`${root}examples/32-supervisor.ts`, "utf8")
    const code = source.slice(source.indexOf("const shop ="), source.indexOf("const market ="))
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(code.trim())
  })

  it("shows the pool of examples/80-work-pool.ts, word for word", () => {
    const source = readFileSync(`${root}examples/80-work-pool.ts`, "utf8")
    const code = source.slice(source.indexOf("const thumbnails ="), source.indexOf("const program ="))
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(code.trim())
  })

  it("shows the lifecycle as the machine has it", () => {
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(Lifecycle.diagram())
  })

  it("shows how examples/40-testing.ts tests, word for word", () => {
    const source = readFileSync(`${root}examples/40-testing.ts`, "utf8")
    const tests = source.slice(source.indexOf("// alone: one message in")).trim()
    expect(readFileSync(`${root}README.md`, "utf8")).toContain(tests)
  })

  it("shows the second example's handlers, word for word", () => {
    const readme = readFileSync(`${root}README.md`, "utf8")
    const source = readFileSync(`${root}examples/20-staging.ts`, "utf8")
    const handlers = source.slice(source.indexOf("      Sell: ("), source.indexOf("      Break: ("))
    expect(readme).toContain(handlers.replace(/^ {4}/gm, "").trim())
  })
})
