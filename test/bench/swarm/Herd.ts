/**
 * The herd: many clients with sessions, and their host restarted under them as a deploy does.
 *
 *   open, ask on and on -> SIGTERM -> drained, ended -> started again on the same port -> all are back -> settle -> count
 *
 * By the rules of the wire each request is answered once; and, since what a clean 1012 leaves unanswered was never taken, it
 * is handled once, by the old host or by the new one: the hosts' own books are compared with what was asked.
 */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Word } from "./TillHost.ts"
import { findings, Visitor } from "./Visitor.ts"

export interface HerdOptions {
  readonly clients: number
  /** Of the hosts: so many at a time, over so many ms. */
  readonly drainBatch?: number
  readonly drainSpread?: number
  readonly progress?: (text: string) => void
}

export interface HerdReport {
  readonly clients: number
  readonly asked: number
  readonly answered: number
  /** Unanswered when the old host was told to end; sent again to the new one. */
  readonly underway: number
  readonly resent: number
  readonly busy: number
  /** Requests that the old host and the new one have handled. */
  readonly handled_before: number
  readonly handled_after: number
  readonly drain_ms: number
  readonly drained_closed: number
  readonly drained_finished: number
  readonly drained_lost: number
  /** From the SIGTERM on, in ms: the old host's end, the new one's first word, the first client and the last one back. */
  readonly ended_ms: number
  readonly listening_ms: number
  readonly first_back_ms: number
  readonly last_back_ms: number
  /** The most that came back within 100 ms. */
  readonly most_back_in_100_ms: number
  readonly refused: number
  readonly hint_min_ms: number
  readonly hint_max_ms: number
  /** What should not be. */
  readonly faults: ReadonlyArray<string>
}

const openTogether = 200
/** Of all clients together. */
const perSecond = 1500
const slowShare = 0.2
const slowMillis = 300
const patienceMillis = 120_000

class Host {
  readonly #child: ChildProcess
  readonly #words: Array<Word> = []
  readonly ended: Promise<void>
  #wake: () => void = () => {}

  constructor(port: number, { drainBatch, drainSpread }: HerdOptions) {
    const file = fileURLToPath(new URL("TillHost.ts", import.meta.url))
    const settings = {
      PORT: String(port),
      DRAIN_BATCH: String(drainBatch ?? ""),
      DRAIN_SPREAD: String(drainSpread ?? "")
    }
    this.#child = fork(file, [], {
      execArgv: ["--no-warnings"],
      env: { ...process.env, ...settings, NODE_ENV: "production" },
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    this.#child.on("message", (word: Word) => {
      this.#words.push(word)
      this.#wake()
    })
    this.ended = new Promise((resolve) => {
      this.#child.once("exit", () => {
        this.#wake()
        resolve()
      })
    })
  }

  async word<T extends Word["_tag"]>(tag: T): Promise<Extract<Word, { _tag: T }>> {
    for (;;) {
      const found = this.#words.find((word) => word._tag === tag)
      if (found !== undefined) return found as Extract<Word, { _tag: T }>
      if (this.#child.exitCode !== null)
        throw new Error(`a host ended with ${this.#child.exitCode} before it said ${tag}`)
      await new Promise<void>((wake) => (this.#wake = wake))
    }
  }

  term(): void {
    this.#child.kill("SIGTERM")
  }

  kill(): void {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL")
  }
}

const until = async (what: string, fact: () => boolean): Promise<void> => {
  const deadline = performance.now() + patienceMillis
  while (!fact()) {
    if (performance.now() > deadline) throw new Error(`not within ${patienceMillis} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

interface Member {
  readonly visitor: Visitor
  asked: number
  answered: number
}

export const herd = async (options: HerdOptions): Promise<HerdReport> => {
  const { clients, progress = () => {} } = options
  const found = findings()
  const faults: Array<string> = []
  const backAt: Array<number> = []
  const members: Array<Member> = []
  const timers = new Set<NodeJS.Timeout>()
  let asking = true
  const old = new Host(0, options)
  let young: Host | undefined
  try {
    const { url } = await old.word("Listening")
    const pauseMillis = (2 * clients * 1000) / perSecond
    const ask = (member: Member, i: number): void => {
      if (!asking) return
      const n = ++member.asked
      const millis = Math.random() < slowShare ? Math.ceil(Math.random() * slowMillis) : 0
      member.visitor.ask("Put", { n, millis }, ({ result }) => {
        member.answered++
        if (result !== n) faults.push(`client ${i}: ${n} was answered ${String(result)}`)
        const timer = setTimeout(() => {
          timers.delete(timer)
          ask(member, i)
        }, Math.random() * pauseMillis)
        timers.add(timer)
      })
    }
    for (let i = 0; i < clients; i++) {
      const localAddress = `127.0.${1 + (process.pid % 250)}.${2 + (i % 32)}`
      const visitor = new Visitor({
        url: `${url}/agents/Till/${i}`,
        session: true,
        localAddress,
        found,
        hear: () => {},
        opened: () => void backAt.push(performance.now())
      })
      members.push({ visitor, asked: 0, answered: 0 })
    }
    for (let at = 0; at < clients; at += openTogether) {
      await Promise.all(members.slice(at, at + openTogether).map(({ visitor }) => visitor.open()))
      progress(`${Math.min(clients, at + openTogether)} of ${clients} connected`)
    }
    backAt.length = 0
    for (const [i, member] of members.entries()) ask(member, i)
    await until("each was answered", () => members.every(({ answered }) => answered > 0))

    const underway = members.reduce((n, { visitor }) => n + visitor.unanswered, 0)
    const terminatedAt = performance.now()
    old.term()
    progress(`restarted with ${underway} requests under way`)
    const { report, handled: before } = await old.word("Ended")
    await old.ended
    const endedAt = performance.now()
    young = new Host(Number(new URL(url).port), options)
    await young.word("Listening")
    const listeningAt = performance.now()
    await until("all are back", () => {
      progress(`${backAt.length} of ${clients} back`)
      return members.every(({ visitor }) => visitor.ready)
    })
    const lastBackAt = Math.max(...backAt)
    const then = members.map(({ answered }) => answered)
    await until("each was answered again", () => members.every(({ answered }, i) => answered > then[i]!))
    asking = false
    await until("nothing is unanswered", () => members.every(({ visitor }) => visitor.unanswered === 0))
    await Promise.all(members.map(({ visitor }) => visitor.leave()))
    young.term()
    const { handled: after } = await young.word("Ended")

    const times = new Map<string, number>()
    for (const put of [...before, ...after]) times.set(put, (times.get(put) ?? 0) + 1)
    for (const [i, { asked, answered }] of members.entries()) {
      if (asked !== answered) faults.push(`client ${i}: ${asked} asked, ${answered} answered`)
      for (let n = 1; n <= asked; n++) {
        const handled = times.get(`${i} ${n}`) ?? 0
        if (handled !== 1) faults.push(`client ${i}: ${n} was handled ${handled} times`)
      }
    }
    const { lost, duplicated, errors, afresh } = found
    if (lost + duplicated + errors > 0)
      faults.push(`${lost} lost, ${duplicated} duplicated, ${errors} errors`, ...found.notes)
    if (afresh !== clients) faults.push(`${afresh} of ${clients} were told that their session is not known any more`)
    if (report.closed !== clients || report.lost + report.away > 0) faults.push(`the drain: ${JSON.stringify(report)}`)
    const codes = Object.keys(found.closed).join(", ")
    if (codes !== "1012") faults.push(`closed ${codes}`)
    const hints = members.map(({ visitor }) => visitor.hint ?? -1)
    if (hints.includes(-1)) faults.push(`${hints.filter((hint) => hint === -1).length} closed without a hint`)
    const sum = (what: "asked" | "answered"): number => members.reduce((n, member) => n + member[what], 0)
    const since = (at: number): number => Math.round(at - terminatedAt)
    const within = new Map<number, number>()
    for (const at of backAt) within.set(Math.floor(at / 100), (within.get(Math.floor(at / 100)) ?? 0) + 1)
    return {
      clients,
      asked: sum("asked"),
      answered: sum("answered"),
      underway,
      resent: found.resent,
      busy: found.busy,
      handled_before: before.length,
      handled_after: after.length,
      drain_ms: Math.round(report.millis),
      drained_closed: report.closed,
      drained_finished: report.finished,
      drained_lost: report.lost,
      ended_ms: since(endedAt),
      listening_ms: since(listeningAt),
      first_back_ms: since(Math.min(...backAt)),
      last_back_ms: since(lastBackAt),
      most_back_in_100_ms: Math.max(...within.values()),
      refused: found.refused,
      hint_min_ms: Math.min(...hints),
      hint_max_ms: Math.max(...hints),
      faults
    }
  } finally {
    asking = false
    for (const timer of timers) clearTimeout(timer)
    await Promise.all(members.map(({ visitor }) => visitor.leave()))
    for (const host of [old, young]) host?.kill()
    await Promise.all([old.ended, young?.ended])
  }
}
