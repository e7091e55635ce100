/**
 * Blocking and CPU-bound functions on worker threads: such work never holds the loop.
 *
 *   call -> a free thread, else the queue (bounded) -> the thread imports the module, calls the function -> result
 *              timed out or interrupted: the thread ends in the midst of it, and another takes its place
 *              crashed: that call fails, no other; another thread takes its place
 *
 * Floor 3; used by handlers; knows no actor. Threads are piscina's: it makes, reuses and replaces them. The queue is here, for
 * piscina's knows one overflow policy.
 * Law 3: calls under way and calls that wait are bounded. Law 5: what happens to the call too many is chosen; none is dropped
 * in silence. Law 8: an interrupted call has ended when its thread has. Law 11: time-outs are by Effect's clock; in a seeded
 * system threads are refused by name, `layerInline` stands in for them.
 * Without threads (`threads: 0`, or none that starts) calls are run on the loop, one after the other, and the log says so:
 * slower and in the way, but answered. There nothing ends a call: given up, it goes on, and the others wait until it has ended.
 * Cost: a call 0.15 ms there and back, a thread in place of one that was ended 50 ms, and the copy of arguments and result
 * (structured clone): for work of milliseconds.
 */
import { Context, Effect, Exit, Layer, Semaphore } from "effect"
import type { Duration } from "effect"
import { availableParallelism } from "node:os"
import { realIo } from "../actor/Runtime.ts"
import * as Options from "../kernel/Options.ts"
import { type OffloadError, OffloadFailed, OffloadTimeout, OffloadUnfit } from "./Errors.ts"
import { Permit, type LineOverflow, lineOverflows, Permits } from "./Permits.ts"
import { type Call, type Ended, perform } from "./Thread.ts"
import { Threads } from "./Threads.ts"

/** Each is checked when the layer is built. */
export interface OffloadOptions {
  /** Worker threads at the most; made when there is work, ended when idle. 0-64, default one less than cores, at least one. */
  readonly threads?: number
  /** Calls that wait for a thread. 0-1,000,000, default 1,024. */
  readonly maxQueued?: number
  /** What happens to a call when so many wait. Default `fail`; `suspend` lets it wait in its fiber. */
  readonly overflow?: LineOverflow
  /** How long a call may be on its thread. Default 30 s. */
  readonly timeout?: Duration.Input | "infinity"
  /** Heap of a thread, MiB; one that needs more crashes. 64-1,048,576, default V8's. */
  readonly maxHeapMb?: number
}

/** A module whose functions run elsewhere; made by `Offload.module`. */
export interface Module<M> {
  readonly url: string
  /** Of types alone. */
  readonly exports?: M
}

type FunctionsOf<M> = { [K in keyof M & string as M[K] extends (...args: never) => unknown ? K : never]: M[K] }
type ArgsOf<F> = F extends (...args: infer A) => unknown ? Readonly<A> : never
type ResultOf<F> = F extends (...args: never) => infer A ? Awaited<A> : never

/** What `call` may set for itself. */
export interface CallOptions {
  /** Instead of the layer's. */
  readonly timeout?: Duration.Input | "infinity"
}

export interface OffloadStats {
  /** Threads that live. */
  readonly threads: number
  /** Calls that have a thread, or the loop. */
  readonly running: number
  readonly queued: number
  /** There are no threads, and there will be none. */
  readonly inline: boolean
}

interface Service {
  readonly call: (call: Call, options: CallOptions | undefined) => Effect.Effect<unknown, OffloadError>
  readonly stats: () => OffloadStats
}

const names = ["threads", "maxQueued", "overflow", "timeout", "maxHeapMb"] as const
const outcome = ({ module, fn }: Call, ended: Ended): Exit.Exit<unknown, OffloadError> => {
  if (ended._tag === "Returned") return Exit.succeed(ended.value)
  if (ended._tag === "Threw") return Exit.fail(new OffloadFailed({ module, fn, cause: ended.error }))
  return Exit.fail(new OffloadUnfit({ module, fn, why: ended.why }))
}

export class Offload extends Context.Service<Offload, Service>()("troupe/Offload") {
  /** Threads of its own, ended with its scope; calls that are on them then fail. Fails by name (`InvalidOption`). */
  static layer(options: OffloadOptions = {}): Layer.Layer<Offload> {
    return Layer.effect(Offload, make(options))
  }

  /** Without threads or real time: `answer` stands in for what would be called. For tests, seeded ones too. */
  static layerTest(answer: (call: Call) => Effect.Effect<unknown, OffloadError>): Layer.Layer<Offload> {
    const stats = (): OffloadStats => ({ threads: 0, running: 0, queued: 0, inline: true })
    return Layer.succeed(Offload, { call: (call) => answer(call), stats })
  }

  /** A module by its URL, and by its type: `import type * as Hash from "./hash.ts"`, and see `call`. */
  static module<M>(url: URL | string): Module<M> {
    return { url: String(url) }
  }

  /**
   * Calls an exported function on a thread and answers with what it returns, or resolves to. Arguments, result and error are
   * copied (structured clone). Interrupted, or timed out, it ends in the midst of what it does, and its thread with it.
   *
   * Fails `OffloadFailed` with what the function threw; `OffloadTimeout`; `OffloadCrashed` when its thread ended by itself;
   * `OffloadUnfit` for what cannot be called or copied; `LimitReached` or `Dropped` when too many wait.
   *
   * ```ts
   * const hash = Offload.module<typeof Hash>(new URL("./hash.ts", import.meta.url))
   * const digest = yield* Offload.call(hash, "pbkdf2", ["correct horse", 100_000])
   * ```
   */
  static override call<M, K extends keyof FunctionsOf<M> & string>(
    module: Module<M>,
    fn: K,
    args: ArgsOf<FunctionsOf<M>[K]>,
    options?: CallOptions
  ): Effect.Effect<ResultOf<FunctionsOf<M>[K]>, OffloadError, Offload> {
    const call: Call = { module: module.url, fn, args: args as ReadonlyArray<unknown> }
    return Effect.flatMap(Offload, (offload) => offload.call(call, options)) as Effect.Effect<
      ResultOf<FunctionsOf<M>[K]>,
      OffloadError,
      Offload
    >
  }

  static readonly stats: Effect.Effect<OffloadStats, never, Offload> = Effect.map(Offload, (offload) => offload.stats())
}

/** Internal; `entry`: what threads load, for tests of threads that do not start. */
export const make = Effect.fnUntraced(function* (options: OffloadOptions, entry?: URL) {
  Options.known("offload", options, names)
  const count = Options.integer("offload.threads", options.threads, Math.max(1, availableParallelism() - 1), 0, 64)
  const maxQueued = Options.integer("offload.maxQueued", options.maxQueued, 1024, 0, 1_000_000)
  const overflow = Options.oneOf<LineOverflow>("offload.overflow", options.overflow, "fail", lineOverflows)
  const timeoutMillis = Options.millis("offload.timeout", options.timeout, 30_000)
  const { maxHeapMb } = options
  if (maxHeapMb !== undefined) Options.integer("offload.maxHeapMb", maxHeapMb, 64, 64, 1_048_576)

  const services = yield* Effect.context()
  const inTurn = Semaphore.makeUnsafe(1)
  /** Nothing ends it: who gives up leaves, and its turn lasts until it has ended by itself. */
  const inline = (call: Call): Effect.Effect<Ended> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(inTurn.take(1)), () => {
        const ended = perform(call).finally(() => Effect.runSync(inTurn.release(1)))
        return restore(Effect.promise(() => ended))
      })
    )
  const log = (why: string): void =>
    void Effect.runForkWith(services)(
      Effect.logWarning(`Offload has no worker threads (${why}): calls run on the event loop, one after the other`)
    )

  let threads: Threads | undefined
  const lose = (why: string): void => {
    threads = undefined
    log(why)
  }
  if (count === 0) log("option threads is 0")
  else threads = new Threads({ count, entry, maxHeapMb, lost: lose, instead: inline })
  yield* Effect.addFinalizer(() => Effect.promise(async () => threads?.close()))

  const permits = new Permits("Offload", Math.max(1, count), maxQueued, overflow)
  const run = (call: Call, millis: number): Effect.Effect<unknown, OffloadError> => {
    const ended = Effect.suspend(() => threads?.run(call) ?? inline(call))
    const outcomeOf = Effect.flatMap(ended, (how) => outcome(call, how))
    if (millis === Number.POSITIVE_INFINITY) return outcomeOf
    const { module, fn } = call
    return Effect.timeoutOrElse(outcomeOf, {
      duration: millis,
      orElse: () => Effect.fail(new OffloadTimeout({ module, fn, millis }))
    })
  }
  const call: Service["call"] = (each, own) =>
    Effect.suspend(() => {
      const millis = Options.millis("offload.call.timeout", own?.timeout, timeoutMillis)
      const permit = new Permit()
      return permit
        .acquire(permits)
        .pipe(Effect.andThen(run(each, millis)), Effect.ensuring(Effect.sync(() => permit.release())))
    })
  const checked = (each: Call, own: CallOptions | undefined): ReturnType<Service["call"]> =>
    Effect.andThen(realIo(`Offload.call "${each.fn}"`), call(each, own))
  return Offload.of({
    call: checked,
    stats: () => ({
      threads: threads?.size ?? 0,
      running: permits.taken,
      queued: permits.queued,
      inline: threads === undefined
    })
  })
})
