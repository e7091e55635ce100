/**
 * Tests the tests: applies one deliberate fault after the other to a copy of the project, and wants `npm test` to fail.
 *
 * npm run mutants                       all of them, two at a time
 * npm run mutants -- --only a,b         these
 * npm run mutants -- --sample 6         so many, others each day
 * npm run mutants -- --list             their ids
 * npm run mutants -- --write            all of them, and keeps in caught.json which test file caught each
 *
 * That file is asked first, alone; only where it passes does the whole suite run. First of all the suite must pass in a copy without any fault: where it does not, a run that fails would tell nothing.
 * A fault is text of a file replaced by other text (see the lists beside this file); text that does not stand there exactly
 * once is an error, so the list cannot go stale in silence. A run that fails, or that hangs past its limit, has caught the
 * fault. Exit status 1 when one was not caught. The suite runs in a copy, with the project's node_modules; nothing here is touched.
 */
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { end, watched } from "../bench/Children.ts"
import type { Fault } from "./Fault.ts"
import { breakers } from "./breakers.ts"
import { clients } from "./clients.ts"
import { effectRpc } from "./effectRpc.ts"
import { clientSessions } from "./clientSessions.ts"
import { counters } from "./counters.ts"
import { doors } from "./doors.ts"
import { drains } from "./drains.ts"
import { fanOuts } from "./fanOuts.ts"
import { httpPools } from "./httpPools.ts"
import { llmAgents } from "./llmAgents.ts"
import { intakes } from "./intakes.ts"
import { lives } from "./lives.ts"
import { machines } from "./machines.ts"
import { messages } from "./messages.ts"
import { offloads } from "./offloads.ts"
import { sessions } from "./sessions.ts"
import { supervisors } from "./supervisors.ts"
import { throttles } from "./throttles.ts"
import { topics } from "./topics.ts"
import { turns } from "./turns.ts"
import { windows } from "./windows.ts"
import { workPools } from "./workPools.ts"

const faults = [
  ...messages,
  ...lives,
  ...supervisors,
  ...clients,
  ...sessions,
  ...effectRpc,
  ...clientSessions,
  ...drains,
  ...doors,
  ...counters,
  ...windows,
  ...intakes,
  ...offloads,
  ...machines,
  ...workPools,
  ...fanOuts,
  ...httpPools,
  ...throttles,
  ...breakers,
  ...topics,
  ...llmAgents,
  ...turns
]

const root = fileURLToPath(new URL("../..", import.meta.url))
const parts = ["src", "actors", "test", "examples", "package.json", "tsconfig.json", "README.md"]
const limitMillis = 240_000
const knownMillis = 60_000

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    sample: { type: "string" },
    list: { type: "boolean" },
    write: { type: "boolean" },
    jobs: { type: "string" }
  }
})

/** By the fault's id, the test file that caught it last. */
const record = fileURLToPath(new URL("caught.json", import.meta.url))
const caughtBy = JSON.parse(readFileSync(record, "utf8")) as Record<string, string>

const chosen = (): ReadonlyArray<Fault> => {
  if (values.only !== undefined) {
    const ids = values.only.split(",")
    const unknown = ids.filter((id) => !faults.some((fault) => fault.id === id))
    if (unknown.length > 0) throw new Error(`no such fault: ${unknown.join(", ")} (--list names them)`)
    return faults.filter((fault) => ids.includes(fault.id))
  }
  if (values.sample === undefined) return faults
  const count = Number(values.sample)
  const day = Math.floor(Date.now() / 86_400_000)
  return Array.from({ length: Math.min(count, faults.length) }, (_, i) => faults[(day * count + i) % faults.length]!)
}

/** A copy of the project with the fault in it. */
const plant = (fault: Fault): string => {
  const copy = mkdtempSync(`${tmpdir()}/troupe-mutant-`)
  for (const part of parts)
    if (existsSync(`${root}${part}`)) cpSync(`${root}${part}`, `${copy}/${part}`, { recursive: true, force: true })
  symlinkSync(`${root}node_modules`, `${copy}/node_modules`)
  for (const [file, text, instead] of fault.edits) {
    const path = `${copy}/src/${file}`
    const source = readFileSync(path, "utf8")
    const found = source.split(text).length - 1
    if (found !== 1) throw new Error(`${fault.id}: its text stands ${found} times in ${file}: ${JSON.stringify(text)}`)
    writeFileSync(
      path,
      source.replace(text, () => instead)
    )
  }
  return copy
}

interface Verdict {
  readonly caught: boolean
  readonly how: string
}

/** Runs the suite, or some of it. */
const test = (copy: string, ...files: ReadonlyArray<string>): Promise<Verdict> =>
  new Promise((resolve) => {
    const millis = files.length === 1 ? knownMillis : limitMillis
    const vitest = `${copy}/node_modules/vitest/vitest.mjs`
    const args = [vitest, "run", "--config", "test/vitest.config.ts", "--bail", "1", "--reporter", "verbose", ...files]
    const child = watched(
      spawn(process.execPath, args, {
        cwd: copy,
        detached: true,
        env: { ...process.env, NO_COLOR: "1", TROUPE_MUTANT: "1" }
      })
    )
    let output = ""
    const hear = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-200_000)
    }
    child.stdout.on("data", hear)
    child.stderr.on("data", hear)
    let late = false
    const limit = setTimeout(() => {
      late = true
      // its workers, too: one that hangs would take a core from all that follow
      end(child)
    }, millis)
    child.once("close", (status) => {
      clearTimeout(limit)
      const first = /^\s*(?:×|FAIL)\s+(.*)$/m.exec(output)?.[1] ?? "the run failed"
      resolve({ caught: status !== 0, how: late ? `hung for ${millis / 1000} s` : first.trim().slice(0, 140) })
    })
  })

/** Where the laws of a folder of `src/`, or of what stands beside it, are tested, the nearest first. */
const near: Readonly<Record<string, ReadonlyArray<string>>> = {
  kernel: ["test/kernel", "test/actor", "test/laws"],
  actor: ["test/actor", "test/laws"],
  supervision: ["test/supervision"],
  gateway: ["test/gateway", "test/live"],
  client: ["test/client"],
  testkit: ["test/testkit"],
  "..": ["test/actors"]
}

/** The file that has caught it before, or its folder's, and then everything. */
const judge = async (fault: Fault, copy: string): Promise<Verdict> => {
  const known = caughtBy[fault.id]
  const nearest =
    known !== undefined && existsSync(`${copy}/${known}`) ? [known] : near[fault.edits[0]![0].split("/")[0]!]
  if (nearest !== undefined) {
    const verdict = await test(copy, ...nearest)
    if (verdict.caught) return verdict
  }
  return test(copy)
}

const work = async (queue: Array<Fault>, missed: Array<string>): Promise<void> => {
  for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
    const began = performance.now()
    const copy = plant(fault)
    try {
      const { caught, how } = await judge(fault, copy)
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      console.log(
        `${caught ? "caught" : "MISSED"}  ${fault.id.padEnd(28)} ${seconds.padStart(3)} s  ${caught ? how : fault.law}`
      )
      if (!caught) missed.push(fault.id)
      const file = /^\S+\.test\.ts/.exec(how)?.[0]
      if (caught && file !== undefined) caughtBy[fault.id] = file
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  }
}

if (values.list === true) for (const { id, law } of faults) console.log(`${id.padEnd(28)} ${law}`)
else {
  const queue = [...chosen()]
  const all = queue.length
  const sound = plant({ id: "none", law: "", edits: [] })
  const { caught: broken, how } = await test(sound)
  rmSync(sound, { recursive: true, force: true })
  if (broken) throw new Error(`the suite fails without a fault: ${how}`)
  const missed: Array<string> = []
  await Promise.all(Array.from({ length: Number(values.jobs ?? 2) }, () => work(queue, missed)))
  if (values.write === true) {
    const known = faults.flatMap(({ id }) => (caughtBy[id] === undefined ? [] : [[id, caughtBy[id]]]))
    writeFileSync(record, `${JSON.stringify(Object.fromEntries(known), null, 2)}\n`)
  }
  console.log(
    `${all - missed.length} of ${all} faults caught${missed.length > 0 ? `; missed: ${missed.join(", ")}` : ""}`
  )
  process.exitCode = missed.length > 0 ? 1 : 0
}
