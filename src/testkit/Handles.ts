/**
 * What holds the process: sockets, servers, child processes, timers; and a check that a test leaves none behind.
 *
 * ```ts
 * import { afterEach, beforeEach } from "vitest"
 * noLeaks({ beforeEach, afterEach }) // in a file of vitest's `setupFiles`: for every test
 * ```
 *
 * Floor 5; used by test runners' setup; knows no runner but by the path of its timers: it is given the hooks.
 * Node's `process.getActiveResourcesInfo()` names the kind of each handle; what stood before the test (the runner's pipes, a
 * host opened in `beforeAll`) is the baseline, so only what is more counts. Timers cannot be told apart so, since the
 * runner's own come and go: those are followed one by one (`async_hooks`, without promises) and named by where they were made.
 * A handle that is closing is gone in a moment: the check looks again, a few milliseconds apart, and fails with the names of
 * what stays. `unref`ed timers hold nothing and do not count.
 */
import { type AsyncHook, createHook } from "node:async_hooks"
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

/** Where a timer is made: the first frame outside of libraries; undefined for a timer of the runner's own. */
const place = (): string | undefined => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = frames
  const stack = new Error("place").stack ?? ""
  Error.stackTraceLimit = limit
  const own = stack.split("\n").filter((line) => /:\d+:\d+\)?$/.test(line) && !line.includes(here))
  const callers = own.filter((line) => !line.includes("node:"))
  const [first] = callers
  if (first === undefined || /\/node_modules\/(?:@vitest|vitest)\//.test(first)) return undefined
  const at = callers.find((line) => !line.includes("/node_modules/")) ?? first
  return at.trim().replace(/^at /, "")
}

/** The timers made since `start`, until they have fired or were cleared. */
export class TimerWatch {
  readonly #made = new Map<number, { readonly timer: NodeJS.Timeout; readonly place: string }>()
  readonly #hook: AsyncHook

  constructor() {
    const options = {
      // promises are many, and no timers
      trackPromises: false,
      init: (id: number, type: string, _trigger: number, timer: object): void => {
        const made = type === "Timeout" ? place() : undefined
        if (made !== undefined) this.#made.set(id, { timer: timer as NodeJS.Timeout, place: made })
      },
      destroy: (id: number): void => void this.#made.delete(id)
    }
    this.#hook = createHook(options)
  }

  start(): void {
    this.#made.clear()
    this.#hook.enable()
  }

  stop(): void {
    this.#hook.disable()
  }

  /** Those that hold the process: `["a timer made at file.ts:3:5"]`. */
  get armed(): ReadonlyArray<string> {
    const holding = [...this.#made.values()].filter(({ timer }) => timer.hasRef())
    return holding.map((made) => `a timer made at ${made.place}`)
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
