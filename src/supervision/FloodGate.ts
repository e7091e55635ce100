/**
 * Which failures are logged in full, and which are only counted: a crash loop must not drown the log it should explain.
 *
 * Floor 2; asked by the system once a failure, knows neither actors nor the log. Failures are of one kind when they have
 * the actor's type and the message's tag in common, so a loop of one actor and a crash of its thousand siblings are the same.
 *
 *   full  full  full  full  full  counted ... counted | 10 s after the first: one summary | full ...
 *
 * Law 3: at most 1,024 kinds have a window open; one more closes the oldest, with its summary. So a kind costs the log
 * `inFull` + 1 entries a window, however often it fails. Law 7: no window, no timer.
 * Law 11: the windows are nodes of the system's timers. Nothing is lost in silence: closing the gate says all that is pending.
 */
import type { Duration } from "effect"
import * as Options from "../kernel/Options.ts"
import { TimerNode, type Timers } from "../kernel/Timers.ts"

export interface FloodOptions {
  /** Reports of one kind logged in full in a window. 0-1,000,000, default 5. Fewer: less to go by; more: a longer log. */
  readonly inFull?: number
  /** How long a window is. Default 10 seconds. Shorter: more summaries of a long loop; longer: later ones. */
  readonly within?: Duration.Input | "infinity"
  /** Windows open at once. 1-1,048,576, default 1,024. */
  readonly windows?: number
}

/** Decisions told apart in a summary; further ones are `other`. */
const maxDecisions = 16

/** The failures of one kind that were not logged. */
export interface Summary {
  readonly type: string
  readonly tag: string
  readonly count: number
  readonly millis: number
  readonly lastIncident: string
  readonly decisions: ReadonlyMap<string, number>
}

/** `restarts in 93 ms` -> `restarted`; `escalated to Room/a` -> `escalated`. */
const verdict = (decision: string): string =>
  decision.startsWith("restarts") ? "restarted" : decision.replace(/( to |:).*$/s, "")

/** Failures that a parent has from its children are of one kind, whichever child it was. */
const kindOf = (tag: string): string => (tag.startsWith("child ") ? "child" : tag)

class Window extends TimerNode {
  readonly key: string
  readonly type: string
  readonly tag: string
  readonly since: number
  full = 0
  count = 0
  lastIncident = ""
  readonly decisions = new Map<string, number>()
  readonly #end: (window: Window) => void

  constructor(key: string, type: string, tag: string, since: number, end: (window: Window) => void) {
    super()
    this.key = key
    this.type = type
    this.tag = tag
    this.since = since
    this.#end = end
  }

  add(incident: string, decision: string): void {
    this.count++
    this.lastIncident = incident
    const known = verdict(decision)
    const name = this.decisions.has(known) || this.decisions.size < maxDecisions ? known : "other"
    this.decisions.set(name, (this.decisions.get(name) ?? 0) + 1)
  }

  expired(): void {
    this.#end(this)
  }
}

export class FloodGate {
  readonly #inFull: number
  readonly #millis: number
  readonly #maxWindows: number
  readonly #timers: Timers
  readonly #summarise: (summary: Summary) => void
  /** The oldest first. */
  readonly #windows = new Map<string, Window>()
  #closed = false

  constructor(options: FloodOptions | undefined, timers: Timers, summarise: (summary: Summary) => void) {
    Options.known("system.reports", options, ["inFull", "within", "windows"])
    this.#inFull = Options.integer("system.reports.inFull", options?.inFull, 5, 0, 1_000_000)
    this.#millis = Options.millis("system.reports.within", options?.within, 10_000)
    this.#maxWindows = Options.integer("system.reports.windows", options?.windows, 1024, 1, 1_048_576)
    this.#timers = timers
    this.#summarise = summarise
  }

  /** Windows open. */
  get size(): number {
    return this.#windows.size
  }

  /** Whether this failure is to be logged in full; otherwise it is counted. */
  admit(type: string, tag: string, incident: string, decision: string): boolean {
    // nobody would say the summary any more
    if (this.#closed) return true
    const kind = kindOf(tag)
    const key = `${type} ${kind}`
    const window = this.#windows.get(key) ?? this.#open(key, type, kind)
    if (window.full < this.#inFull) {
      window.full++
      return true
    }
    window.add(incident, decision)
    return false
  }

  /** Summarises what is pending; from now on everything is let through. */
  close(): void {
    this.#closed = true
    for (const window of this.#windows.values()) this.#end(window)
  }

  #open(key: string, type: string, tag: string): Window {
    if (this.#windows.size >= this.#maxWindows) {
      for (const oldest of this.#windows.values()) {
        this.#end(oldest)
        break
      }
    }
    const window = new Window(key, type, tag, this.#timers.now(), (ended) => this.#end(ended))
    this.#windows.set(key, window)
    this.#timers.arm(window, this.#millis)
    return window
  }

  #end(window: Window): void {
    this.#timers.cancel(window)
    this.#windows.delete(window.key)
    const { type, tag, count, since, lastIncident, decisions } = window
    if (count === 0) return
    this.#summarise({ type, tag, count, millis: this.#timers.now() - since, lastIncident, decisions })
  }
}

/** For the log: `Worker "Fail": 993 more failures in 10 s, last incident x-1f, decisions restarted 990, stopped 3`. */
export const text = (summary: Summary): string => {
  const { type, tag, count, millis, lastIncident } = summary
  const decisions = [...summary.decisions].map(([name, n]) => `${name} ${n}`).join(", ")
  const seconds = Math.round(millis / 100) / 10
  return `${type} "${tag}": ${count} more ${count === 1 ? "failure" : "failures"} in ${seconds} s, last incident ${lastIncident}, decisions ${decisions}`
}
