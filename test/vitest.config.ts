import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

// `.ci/run` reads the numbers of a run from this file; by hand nothing is written.
const report = process.env["TROUPE_TEST_REPORT"]

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    include: ["test/**/*.test.ts", "actors/**/*.test.ts"],
    // each test: what it opens it closes
    setupFiles: ["test/setup.ts"],
    // Two processes that keep their modules from file to file. Most of a file's time is loading Effect: 30 small files
    // take 0.5 s so, 6.5 s when each file gets a process or thread of its own. Hence a test leaves no global state behind.
    pool: "forks",
    isolate: false,
    maxWorkers: 2,
    testTimeout: 20_000,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]]
  }
})
