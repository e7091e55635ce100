/**
 * Worker threads for calls: made when there is work, replaced when one ends, gone when idle.
 *
 * Floor 3; owned by Offload, which gives it no more calls than threads. piscina makes and reuses them; what it does not do is
 * here: to wait until the thread of a call that was given up has ended, and to notice that no thread will start any more.
 * Law 8: an interrupted call has ended when its thread has.
 */
import { Effect, Exit } from "effect"
import { Piscina } from "piscina"
import { OffloadCrashed, OffloadUnfit } from "./Errors.ts"
import { type Call, type Ended, said } from "./Thread.ts"

/** A thread without work goes after so long. */
const idleMillis = 10_000

export interface ThreadsOptions {
  readonly count: number
  readonly maxHeapMb: number | undefined
  /** What a thread loads. Default `Thread.ts`. */
  readonly entry: URL | undefined
  /** None starts, and none will. */
  readonly lost: (why: string) => void
  /** What then becomes of calls that wait for one. */
  readonly instead: (call: Call) => Effect.Effect<Ended>
}

export class Threads {
  readonly #piscina: Piscina
  readonly #instead: (call: Call) => Effect.Effect<Ended>
  readonly #tellLost: (why: string) => void
  #lost = false

  constructor({ count, entry, instead, lost, maxHeapMb }: ThreadsOptions) {
    this.#instead = instead
    this.#tellLost = lost
    this.#piscina = new Piscina({
      filename: (entry ?? new URL("Thread.ts", import.meta.url)).href,
      name: "perform",
      minThreads: 0,
      maxThreads: count,
      idleTimeout: idleMillis,
      execArgv: [],
      ...(maxHeapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } })
    })
    // a thread that failed without a call; of one that never began to work piscina makes no other
    this.#piscina.on("error", (error: unknown) => {
      if (this.#lost || this.size > 0 || this.#piscina.queueSize === 0) return
      this.#lost = true
      lost(said(error))
      void this.close()
    })
  }

  get size(): number {
    return this.#piscina.threads.length
  }

  run(call: Call): Effect.Effect<Ended, OffloadUnfit | OffloadCrashed> {
    const { module, fn } = call
    return Effect.callback((resume) => {
      const abort = new AbortController()
      let running: Promise<unknown>
      try {
        running = this.#piscina.run(call, { signal: abort.signal })
      } catch (error) {
        return resume(this.#unmade(call, said(error)))
      }
      running.then(
        (ended) => resume(Exit.succeed(ended as Ended)),
        (error: unknown) => {
          if (this.#lost) return resume(this.#instead(call))
          const why = said(error)
          const isUnfit = error instanceof Error && error.stack?.startsWith("DataCloneError") === true
          const unfit = { module, fn, why: `it cannot be sent to another thread: ${why}` }
          resume(Exit.fail(isUnfit ? new OffloadUnfit(unfit) : new OffloadCrashed({ module, fn, why })))
        }
      )
      return Effect.promise(() => this.#end(abort))
    })
  }

  /**
   * The system made no thread: it forbids them, or has no more. Where others live only this call fails; else none will start.
   * piscina keeps the call in its queue, as a promise that nobody has: so it is left to itself, not closed.
   */
  #unmade(call: Call, why: string): Effect.Effect<Ended, OffloadCrashed> {
    const { module, fn } = call
    if (this.size > 0) return new OffloadCrashed({ module, fn, why: `another could not be made: ${why}` })
    if (!this.#lost) {
      this.#lost = true
      this.#tellLost(why)
    }
    return this.#instead(call)
  }

  /** Ends the call's thread, if it has one. */
  async #end(abort: AbortController): Promise<void> {
    const before = this.#piscina.threads
    abort.abort()
    const { threads } = this.#piscina
    const ending = before.filter((thread) => !threads.includes(thread))
    await Promise.all(ending.map((thread) => new Promise((resolve) => thread.once("exit", resolve))))
  }

  close(): Promise<void> {
    return this.#piscina.destroy()
  }
}
