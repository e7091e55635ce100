import { Cause, Effect, Exit, Fiber, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem } from "troupe"
import { Offload, type OffloadOptions } from "troupe/compute"
import { TestSystem } from "troupe/testkit"
import { describe, expect, it } from "vitest"
import { make } from "../../src/compute/Offload.ts"
import type * as Work from "./work.ts"

const work = Offload.module<typeof Work>(new URL("./work.ts", import.meta.url))

const logged: Array<string> = []
const listening = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])

const run = <A, E>(effect: Effect.Effect<A, E, Offload>, options: OffloadOptions = { threads: 2 }): Promise<A> =>
  Effect.runPromise(
    effect.pipe(Effect.scoped, Effect.provide(Offload.layer(options).pipe(Layer.provideMerge(listening))))
  )

const failure = <A, E>(effect: Effect.Effect<A, E, Offload>, options?: OffloadOptions): Promise<E> =>
  run(Effect.flip(effect), options)

/** [counted so far, told to stop] */
const counter = (): Int32Array => new Int32Array(new SharedArrayBuffer(8))

const counts = (of: Int32Array): Effect.Effect<void> =>
  Effect.gen(function* () {
    while (Atomics.load(of, 0) === 0) yield* Effect.sleep(1)
  })

/** Whether it counts no more while another thread begins and works. */
const stopped = async (of: Int32Array): Promise<boolean> => {
  const before = Atomics.load(of, 0)
  await run(Offload.call(work, "add", [1, 1]))
  return Atomics.load(of, 0) === before
}

describe("Offload.call", () => {
  it("runs a function on another thread, and answers with what it returns or resolves to", async () => {
    const [sum, text, thread] = await run(
      Effect.all([
        Offload.call(work, "add", [2, 3]),
        Offload.call(work, "later", ["done"]),
        Offload.call(work, "where", [])
      ])
    )
    expect([sum, text, thread > 0]).toEqual([5, "done", true])
  })

  it("runs as many at once as there are threads, and no more", async () => {
    const counters = [counter(), counter(), counter()]
    await run(
      Effect.gen(function* () {
        const fibers = yield* Effect.forEach(counters, (each) => Effect.forkChild(Offload.call(work, "spin", [each])))
        yield* counts(counters[0]!)
        yield* counts(counters[1]!)
        expect(yield* Offload.stats).toEqual({ threads: 2, running: 2, queued: 1, inline: false })
        Atomics.store(counters[0]!, 1, 1)
        yield* Fiber.join(fibers[0]!)
        yield* counts(counters[2]!)
        for (const each of counters) Atomics.store(each, 1, 1)
        yield* Effect.forEach(fibers, Fiber.join)
        expect(yield* Offload.stats).toMatchObject({ running: 0, queued: 0 })
      })
    )
  })

  it("fails with what the function threw, as far as it can be copied", async () => {
    const threw = await failure(Offload.call(work, "fail", ["odd"]))
    expect([threw._tag, (threw as { cause: unknown }).cause]).toEqual(["OffloadFailed", new Error("odd")])
    const rejected = await failure(Offload.call(work, "reject", []))
    expect([rejected._tag, (rejected as { cause: unknown }).cause]).toEqual(["OffloadFailed", "no error at all"])
    const oddly = await failure(Offload.call(work, "failOddly", []))
    expect([oddly._tag, (oddly as { cause: unknown }).cause]).toEqual(["OffloadFailed", new Error("[object Object]")])
  })

  it.each([
    ["no module", Offload.module<{ f: () => void }>("file:///nowhere.ts"), "f", [], /cannot be imported/],
    ["no function", Offload.module<{ f: () => void }>(work.url), "f", [], /exports no function "f"/],
    ["what is no function", Offload.module<{ f: () => void }>(work.url), "notAFunction", [], /exports no function/],
    ["what is inherited", Offload.module<{ f: () => void }>(work.url), "toString", [], /exports no function/],
    ["a result that cannot be copied", work, "uncopyable", [], /could not be cloned/],
    ["an argument that cannot be copied", work, "later", [() => {}], /could not be cloned/]
  ])("refuses %s by name", async (_, module, fn, args, why) => {
    const error = await failure(Offload.call(module as typeof work, fn as "later", args as unknown as [string]))
    expect([error._tag, error.message]).toEqual(["OffloadUnfit", expect.stringMatching(why)])
  })

  it("times out: the work has ended, and its thread is replaced", async () => {
    const held = counter()
    const [error, sum, threads] = await run(
      Effect.gen(function* () {
        const timedOut = yield* Effect.flip(Offload.call(work, "spin", [held], { timeout: "100 millis" }))
        expect(yield* Effect.promise(() => stopped(held))).toBe(true)
        return [timedOut, yield* Offload.call(work, "add", [1, 1]), (yield* Offload.stats).threads]
      }),
      { threads: 1 }
    )
    expect([(error as Error).message.replace(/.*work.ts/, ""), sum, threads]).toEqual([
      ": not done within 100 ms (option timeout)",
      2,
      1
    ])
  })

  it("interrupted, has ended when its work has", async () => {
    const held = counter()
    await run(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Offload.call(work, "spin", [held], { timeout: "infinity" }))
        yield* counts(held)
        yield* Fiber.interrupt(fiber)
        expect(yield* Effect.promise(() => stopped(held))).toBe(true)
        expect(yield* Offload.call(work, "add", [1, 1])).toBe(2)
      }),
      { threads: 1 }
    )
  })

  it("interrupted in the line, was never begun", async () => {
    const [held, next] = [counter(), counter()]
    await run(
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Offload.call(work, "spin", [held]))
        yield* counts(held)
        const waiting = yield* Effect.forkChild(Offload.call(work, "spin", [next]))
        while ((yield* Offload.stats).queued === 0) yield* Effect.sleep(1)
        yield* Fiber.interrupt(waiting)
        Atomics.store(held, 1, 1)
        yield* Fiber.join(fiber)
        yield* Offload.call(work, "add", [1, 1])
        expect(Atomics.load(next, 0)).toBe(0)
      }),
      { threads: 1 }
    )
  })

  it.each([
    ["exits", "exit", [3], /exited with code: 3/],
    ["runs out of memory", "hoard", [], /memory/]
  ] as const)("whose thread %s fails, and no other", async (_, fn, args, why) => {
    const held = counter()
    await run(
      Effect.gen(function* () {
        const other = yield* Effect.forkChild(Offload.call(work, "spin", [held]))
        yield* counts(held)
        const error = yield* Effect.flip(Offload.call(work, fn as "exit", args as unknown as [number]))
        expect([error._tag, why.test(error.message)]).toEqual(["OffloadCrashed", true])
        Atomics.store(held, 1, 1)
        expect(yield* Fiber.join(other)).toBeGreaterThan(0)
        expect(yield* Offload.call(work, "add", [1, 1])).toBe(2)
      }),
      { threads: 2, maxHeapMb: 64 }
    )
  })

  it("goes on after a thread that failed behind its answer", async () => {
    const answers = await run(
      Effect.gen(function* () {
        const first = yield* Offload.call(work, "failLater", [])
        while ((yield* Offload.stats).threads > 0) {
          const last = yield* Effect.exit(Offload.call(work, "later", ["x"]))
          if (Exit.isFailure(last)) break
        }
        return [first, yield* Offload.call(work, "later", ["y"])]
      }),
      { threads: 1 }
    )
    expect(answers).toEqual(["answered", "y"])
  })

  it("too many are refused by the policy, those that wait are not", async () => {
    const held = counter()
    await run(
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(Offload.call(work, "spin", [held]))
        yield* counts(held)
        const second = yield* Effect.forkChild(Offload.call(work, "add", [1, 1]))
        while ((yield* Offload.stats).queued === 0) yield* Effect.sleep(1)
        const third = yield* Effect.flip(Offload.call(work, "add", [2, 2]))
        Atomics.store(held, 1, 1)
        yield* Fiber.join(first)
        expect([third._tag, yield* Fiber.join(second)]).toEqual(["LimitReached", 2])
      }),
      { threads: 1, maxQueued: 1 }
    )
  })
})

describe("without threads", () => {
  it("calls run on the loop one after the other, and the log says so", async () => {
    logged.length = 0
    const threads = await run(
      Effect.all([Offload.call(work, "where", []), Offload.call(work, "later", ["x"]), Offload.stats], {
        concurrency: "unbounded"
      }),
      { threads: 0 }
    )
    expect(threads.slice(0, 2)).toEqual([0, "x"])
    expect(logged.filter((text) => /no worker threads \(option threads is 0\)/.test(text))).toHaveLength(1)
  })

  it("a call that is given up is left, not waited for; those behind it wait until it has ended", async () => {
    const tags = await run(
      Effect.gen(function* () {
        const late = yield* Effect.flip(Offload.call(work, "wait", [], { timeout: 1 }))
        const behind = yield* Effect.flip(Offload.call(work, "where", [], { timeout: 1 }))
        yield* Effect.promise(async () => (await import("./work.ts")).letGo())
        return [late._tag, behind._tag, yield* Offload.call(work, "add", [1, 1])]
      }),
      { threads: 0 }
    )
    expect(tags).toEqual(["OffloadTimeout", "OffloadTimeout", 2])
  })

  it("none that starts: the log says so once, and what waited runs on the loop, one after the other", async () => {
    logged.length = 0
    const counts = counter()
    const broken = Layer.effect(Offload, make({ threads: 3 }, new URL("./broken.ts", import.meta.url)))
    const stats = await Effect.runPromise(
      Effect.gen(function* () {
        const calls = Array.from({ length: 9 }, () => Offload.call(work, "together", [counts]))
        yield* Effect.all(calls, { concurrency: "unbounded" })
        return yield* Offload.stats
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(broken, listening)))
    )
    expect(stats).toEqual({ threads: 0, running: 0, queued: 0, inline: true })
    expect([counts[1], logged.filter((text) => /no worker threads \(does not start\)/.test(text)).length]).toEqual([
      1, 1
    ])
  })
})

describe("Offload.layer", () => {
  it.each([
    [{ threads: 65 }, "offload.threads: 65 is not a whole number from 0 to 64"],
    [{ maxQueued: -1 }, "offload.maxQueued: -1 is not a whole number from 0 to 1000000"],
    [{ overflow: "stop" }, 'offload.overflow: "stop" is not one of fail, suspend, dropNewest, dropOldest'],
    [{ timeout: 0 }, 'offload.timeout: 0 is not a duration above zero, such as "5 seconds"'],
    [{ maxHeapMb: 0 }, "offload.maxHeapMb: 0 is not a whole number from 64 to 1048576"],
    [{ thread: 1 }, "offload.thread: unknown, it is not one of threads, maxQueued, overflow, timeout, maxHeapMb"]
  ])("refuses %j", async (options, why) => {
    const exit = await Effect.runPromiseExit(Effect.scoped(Layer.build(Offload.layer(options as OffloadOptions))))
    expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toContain(why)
  })

  it("ends its threads, and the calls on them, with its scope", async () => {
    const held = counter()
    await run(
      Effect.gen(function* () {
        yield* Effect.forkDetach(Effect.exit(Offload.call(work, "spin", [held])))
        yield* counts(held)
      })
    )
    expect(await stopped(held)).toBe(true)
  })

  const Hash = Actor.make("Hash", {
    state: Schema.Null,
    protocol: [Rpc.make("Add", { payload: { a: Schema.Int }, success: Schema.Int })]
  })
  const hash = Hash.behavior({
    initial: null,
    on: {
      Add: Effect.fnUntraced(function* (_: null, { a }: { readonly a: number }) {
        return Actor.reply(yield* Effect.orDie(Offload.call(work, "add", [a, 1])))
      })
    }
  })
  const ask = Effect.gen(function* () {
    const ref = yield* ActorSystem.spawn(hash, "a")
    return yield* ref.ask("Add", { a: 1 })
  })

  it("serves handlers", async () => {
    const layers = Layer.provideMerge(ActorSystem.layer, Offload.layer({ threads: 1 }))
    expect(await Effect.runPromise(Effect.scoped(ask).pipe(Effect.provide(layers)))).toBe(2)
  })

  it("is refused by name in a seeded system", async () => {
    const seen: Array<unknown> = []
    const seeing = Hash.behavior({
      initial: null,
      on: {
        *Add(_, { a }) {
          const exit = yield* Effect.exit(Offload.call(work, "add", [a, 1]))
          if (Exit.isFailure(exit)) seen.push(Cause.squash(exit.cause))
          return Actor.reply(0)
        }
      }
    })
    const asked = Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(seeing, "a")
      return yield* ref.ask("Add", { a: 1 })
    })
    const layers = Layer.provideMerge(TestSystem.seeded(1), Offload.layer({ threads: 1 }))
    await Effect.runPromise(Effect.scoped(asked).pipe(Effect.provide(layers)))
    expect(seen).toMatchObject([{ _tag: "RealIoInSimulation", what: 'Offload.call "add"' }])
  })

  it("has a stand-in for tests, which takes what would be called", async () => {
    const answers = Offload.layerTest(({ fn, args }) => Effect.succeed(`${fn} ${args.join()}`.length))
    const layers = Layer.provideMerge(TestSystem.layer, answers)
    expect(await Effect.runPromise(Effect.scoped(ask).pipe(Effect.provide(layers)))).toBe(7)
  })
})
