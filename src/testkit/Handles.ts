/**
 * What holds the process: sockets, servers, child processes, timers; and a check that a test leaves none behind.
 *
 * ```ts
 * import { afterEach, beforeEach } from "vitest"
 * noLeaks({ beforeEach, afterEach }) // in a file of vitest's `setupFiles`: for every test
 * ```
 *
 * Floor 5; used by test runners' setup; knows no runner: it is given the hooks.
 * Node's `process.getActiveResourcesInfo()` names the kind of each handle; what stood before the test (the runner's pipes, a
 * host opened in `beforeAll`) is the baseline, so only what is more counts. Timers cannot be told apart so, since the
 * runner's own come and go: those that a test makes by the global `setTimeout` and `setInterval` are followed one by one, and
 * named by where they were made. (`async_hooks` would see those of `node:timers` too; with one enabled this project's tests,
 * full of Effect's suspensions, took half as long again and more.)
 * A handle that is closing is gone in a moment: the check looks again, a few milliseconds apart, and fails with the names of
 * what stays. `unref`ed timers hold nothing and do not count.
 */
import { fileURLToPath } from "node:url"

/** Ends of work in progress that no test owns (files that the runner reads, the loop's next step), and timers: see above. */
const passing = new Set([
  "Immediate",
  "Timeout",
  "FSReqCallback",
  "FSReqPromise",
  "CloseReq",
  "TickObject",
  "MessagePort"
])

/** How many looks, and how far apart, before what is left is a leak: about a second. */
const looks = 100
const pauseMillis = 10

/** Frames of a stack in which the place of a timer is looked for. */
const frames = 20

interface Hooks {
  readonly beforeEach: (run: () => void) => void
  readonly afterEach: (run: () => Promise<void>) => void
}

/** The handles of the process at one moment: how many of each kind. */
export class Handles {
  readonly counts: ReadonlyMap<string, number>

  constructor(kinds: ReadonlyArray<string>) {
    const counts = new Map<string, number>()
    for (const kind of kinds) if (!passing.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1)
    this.counts = counts
  }

  static now(): Handles {
    return new Handles(process.getActiveResourcesInfo())
  }

  /** What is here and was not before: `["1 TCPServerWrap", "2 ProcessWrap"]`. */
  since(before: Handles): ReadonlyArray<string> {
    return [...this.counts]
      .map(([kind, count]) => [kind, count - (before.counts.get(kind) ?? 0)] as const)
      .filter(([, more]) => more > 0)
      .map(([kind, more]) => `${more} ${kind}`)
  }
}

const here = fileURLToPath(import.meta.url)

/** Where a timer was made: the first frame outside of libraries. */
const place = (stack: string): string => {
  const frames = stack.split("\n").filter((line) => /:\d+:\d+\)?$/.test(line))
  const callers = frames.filter((line) => !line.includes(here) && !line.includes("node:"))
  const at = callers.find((line) => !line.includes("/node_modules/")) ?? callers[0] ?? "a place without a name"
  return at.trim().replace(/^at /, "")
}

/** Node's own mark of a timer that has fired or was cleared: `Handles.test.ts` fails when Node drops it. */
interface Made extends NodeJS.Timeout {
  readonly _destroyed: boolean
}

/** Timers remembered before those that are over are let go of. */
const remembered = 1024

type Make = (...args: ReadonlyArray<unknown>) => NodeJS.Timeout

/** The timers that are made by the globals between `start` and `stop`, until they have fired or were cleared. */
export class TimerWatch {
  #made: Array<{ readonly timer: Made; readonly at: Error }> = []
  #room = remembered
  #restore: Array<() => void> = []

  start(): void {
    this.stop()
    this.#made = []
    for (const name of ["setTimeout", "setInterval"] as const) {
      const original = globalThis[name] as Make
      const followed: Make = (...args) => this.#follow(original(...args))
      // util.promisify finds its own form of it among the properties
      Object.defineProperties(followed, Object.getOwnPropertyDescriptors(original))
      Object.assign(globalThis, { [name]: followed })
      this.#restore.push(() => {
        if (globalThis[name] === followed) Object.assign(globalThis, { [name]: original })
      })
    }
  }

  stop(): void {
    for (const restore of this.#restore.splice(0)) restore()
  }

  #follow(timer: NodeJS.Timeout): NodeJS.Timeout {
    if (this.#made.length >= this.#room) {
      this.#made = this.#made.filter((made) => !made.timer._destroyed)
      this.#room = 2 * this.#made.length + remembered
    }
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = frames
    this.#made.push({ timer: timer as Made, at: new Error("made") })
    Error.stackTraceLimit = limit
    return timer
  }

  /** Those that hold the process: `["a timer made at file.ts:3:5"]`. */
  get armed(): ReadonlyArray<string> {
    const holding = this.#made.filter(({ timer }) => !timer._destroyed && timer.hasRef())
    return holding.map(({ at }) => `a timer made at ${place(at.stack ?? "")}`)
  }
}

/** What `find` finds, once what is closing has closed: it looks `patience` times more, a few milliseconds apart. */
export const settled = async (
  find: () => ReadonlyArray<string>,
  patience: number = looks
): Promise<ReadonlyArray<string>> => {
  for (let look = 1; ; look++) {
    const found = find()
    if (found.length === 0 || look > patience) return found
    // unref: the pause itself is not to be found by the next look
    await new Promise<void>((resolve) => void setTimeout(resolve, pauseMillis).unref())
  }
}

/** Fails each test that leaves handles or timers behind, by name. For a runner that runs one test at a time. */
export const noLeaks = ({ beforeEach, afterEach }: Hooks): void => {
  const timers = new TimerWatch()
  let before = Handles.now()
  beforeEach(() => {
    before = Handles.now()
    timers.start()
  })
  afterEach(async () => {
    const leaked = await settled(() => [...Handles.now().since(before), ...timers.armed])
    timers.stop()
    if (leaked.length > 0) throw new Error(`the test leaked ${leaked.join(", ")}`)
  })
}
