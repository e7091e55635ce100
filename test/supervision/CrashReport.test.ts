import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type CrashReport, type Host, type Limits } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { maxCauseChars, maxSteps } from "../../src/supervision/CrashReport.ts"
import type { SystemOptions } from "../../src/supervision/System.ts"
import { run, scripted } from "../actor/Scripted.ts"

const Fail = Rpc.make("Fail", { payload: { text: Schema.String } })
const Leave = Rpc.make("Leave")
const Hire = Rpc.make("Hire", { success: Schema.Any })
const Worker = Actor.make("Worker", { state: Schema.Int, protocol: [Fail, Leave, Hire] })
const quick = { backoff: { min: "1 millis", factor: 1, jitter: false }, intensity: { restarts: 1_000_000 } } as const
const worker = (limits: Limits = {}) =>
  Worker.behavior({
    supervision: quick,
    ...limits,
    initial: 0,
    on: {
      Fail: (_, { text }) => {
        throw new Error(text)
      },
      Leave: (state, _, self) => {
        self.fork(Effect.die(new Error("of a fork")))
        return state
      },
      Hire: (state, _, self): ReturnType<typeof Actor.reply<unknown, number>> =>
        Actor.reply(self.spawn(worker({ ...limits, supervision: { directive: () => "escalate" } })), state)
    }
  })

/** A system whose log lines and reports are collected. */
const observed = (
  body: (host: Host, lines: Array<string>, reports: Array<CrashReport>) => Effect.Effect<void, unknown, ActorSystem>,
  options: SystemOptions = {}
) => {
  const lines: Array<string> = []
  const reports: Array<CrashReport> = []
  const logger = Logger.make(({ message, logLevel }) => void lines.push(`${logLevel}: ${String(message)}`))
  return Effect.gen(function* () {
    const host = yield* ActorSystem
    yield* Effect.forkChild(Stream.runForEach(host.failures, (report) => Effect.sync(() => void reports.push(report))))
    yield* Effect.yieldNow
    yield* body(host, lines, reports)
  }).pipe(
    Effect.provide(Layer.provideMerge(TestSystem.layerOf(options), Logger.layer([logger]))),
    Effect.as({ lines, reports })
  )
}

const fail = (ref: ActorRef<typeof Fail>, text = "asked to") => {
  ref.tellUnsafe("Fail", { text })
  return TestClock.adjust(1)
}

describe("A crash", () => {
  it.effect("is no stop of its own: a permanent actor that comes back from one is told of, and not logged", () =>
    observed((host, lines, reports) =>
      Effect.gen(function* () {
        const { behavior } = scripted({ supervision: { ...quick, restart: "permanent" } })
        const ref = host.spawnUnsafe(behavior, "a")
        yield* run(ref, (self) => self.stop())
        yield* TestClock.adjust(1)
        expect(host.state(ref)).toBe("active")
        expect(reports.map(({ decision }) => decision)).toEqual(["stopped itself, restarts in 1 ms"])
        expect(lines).toEqual([])
      })
    )
  )

  it.effect("leaves a report: who, in which state and message, why, how often before, and what was decided", () =>
    observed((host, lines, reports) =>
      Effect.gen(function* () {
        const ref = host.spawnUnsafe(worker(), "a")
        yield* TestClock.adjust("1 second")
        yield* fail(ref, "one")
        yield* TestClock.adjust("1 second")
        yield* fail(ref, "two")
        expect(reports).toHaveLength(2)
        const [, report] = reports
        expect(report).toMatchObject({
          decision: "restarts in 1 ms",
          type: "Worker",
          state: "active",
          restarts: 1,
          payload: undefined,
          at: 2001,
          time: 2001,
          error: { _tag: "ActorFailed", address: "Worker/a", incarnation: 2, tag: "Fail" }
        })
        const first = reports[0]!.error.incident
        expect(report!.steps).toEqual([
          { from: "active", to: "connecting", at: 1000, why: `failed (${first})` },
          { from: "connecting", to: "active", at: 1001, why: "ready" }
        ])
        expect(Cause.pretty(report!.error.cause as Cause.Cause<unknown>)).toContain("Error: two")
        expect(lines).toHaveLength(2)
        const [head, when, before, after, cause, stack] = lines[1]!.split("\n")
        expect(head).toBe(
          `Warn: Worker/a (incarnation 2): failed in "Fail" (incident ${report!.error.incident}): restarts in 1 ms`
        )
        expect(when).toBe("  at 1970-01-01T00:00:02.001Z, active, 1 restart so far")
        expect(before).toBe(`  1001 ms before: active -> connecting (failed (${first}))`)
        expect(after).toBe("  1000 ms before: connecting -> active (ready)")
        expect(cause).toBe("Error: two")
        expect(stack).toMatch(/^ +at .*CrashReport\.test\.ts/)
      })
    )
  )

  it.effect("shows the message only where the behaviour says reportPayload, 1,024 characters of it at the most", () =>
    observed((host, lines, reports) =>
      Effect.gen(function* () {
        yield* fail(host.spawnUnsafe(worker(), "secret"), "hunter2")
        yield* fail(host.spawnUnsafe(worker({ reportPayload: true }), "open"), "hello")
        yield* fail(host.spawnUnsafe(worker({ reportPayload: true }), "long"), "x".repeat(5000))
        const payloads = reports.map((report) => report.payload)
        expect(payloads.slice(0, 2)).toEqual([undefined, '{text: "hello"}'])
        expect(payloads[2]).toHaveLength(1024)
        expect(lines.map((line) => /\n {2}payload: (.{0,20})/.exec(line)?.[1])).toEqual([
          undefined,
          '{text: "hello"}',
          '{text: "xxxxxxxxxxxx'
        ])
      })
    )
  )

  it.effect("shows the message of a suspended handler and of a timer too, and of a hook nothing", () =>
    observed((host, _, reports) =>
      Effect.gen(function* () {
        const Late = Actor.make("Late", { state: Schema.Int, protocol: [Fail] })
        const late = Late.behavior({
          supervision: { directive: () => "resume" },
          reportPayload: true,
          initial: (_key, self) => {
            self.timers.once("later", "10 millis", "Fail", { text: "by a timer" })
            self.watch(Worker.at("nobody"))
            return 0
          },
          on: {
            *Fail(_state, { text }) {
              yield* Effect.sleep(1)
              throw new Error(text)
            }
          },
          onTerminated: () => {
            throw new Error("of a hook")
          }
        })
        const ref = host.spawnUnsafe(late, "a")
        yield* TestClock.adjust(1)
        yield* ref.tell("Fail", { text: "by a message" })
        yield* TestClock.adjust(20)
        expect(reports.map(({ error, payload }) => [error.tag, payload])).toEqual([
          ["Terminated", undefined],
          ["Fail", '{text: "by a message"}'],
          ["Fail", '{text: "by a timer"}']
        ])
      })
    )
  )

  it.effect(
    "of a fork has no message to show, and that of a child stands in its parent's report as the child allows",
    () =>
      observed((host, lines, reports) =>
        Effect.gen(function* () {
          const open = host.spawnUnsafe(worker({ reportPayload: true }), "open")
          open.tellUnsafe("Leave")
          yield* TestClock.adjust(1)
          const child = (yield* open.ask("Hire")) as ActorRef<typeof Fail>
          yield* fail(child, "from below")
          expect(reports.map(({ error, payload }) => [error.address, error.tag, payload])).toEqual([
            ["Worker/open", "fork", undefined],
            ["Worker/open/Worker/~1", "Fail", '{text: "from below"}'],
            ["Worker/open", "child Worker/open/Worker/~1", '{text: "from below"}']
          ])
          expect(reports[1]!.error.incident).toBe(reports[2]!.error.incident)
          expect(lines).toHaveLength(3)
        })
      )
  )

  it.effect(`has the actor's last ${maxSteps} steps, without those between active and idle`, () =>
    observed((host, _, reports) =>
      Effect.gen(function* () {
        const ref = host.spawnUnsafe(worker({ idleAfter: "10 millis" }), "a")
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("1 second") // to idle, and back by the next message
          yield* fail(ref)
        }
        const { steps } = reports.at(-1)!
        expect(steps).toHaveLength(maxSteps)
        expect(steps.map(({ from, to }) => `${from} ${to}`)).toEqual(
          Array.from({ length: maxSteps }, (_step, i) => (i % 2 === 0 ? "active connecting" : "connecting active"))
        )
        expect(steps.at(-1)!.at).toBe(9009)
      })
    )
  )

  it.effect("an actor that never failed nor stopped keeps no steps, whatever else it has", () =>
    observed((host) =>
      Effect.gen(function* () {
        const slow = worker({ idleAfter: "10 millis", supervision: { restart: "temporary" } })
        const ref = host.spawnUnsafe(slow, "a", { supervision: { restart: "temporary" } })
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("1 second")
          yield* ref.ask("Hire")
        }
        expect(ref.cell?.extra).toBeDefined()
        expect(ref.cell?.extra?.steps).toBeUndefined()
      })
    )
  )

  it.effect("is reported though its cause is long, empty, or cannot be printed", () =>
    observed((host, lines) =>
      Effect.gen(function* () {
        const Odd = Actor.make("Odd", { state: Schema.Int, protocol: [Rpc.make("Die", { payload: Schema.Any })] })
        const odd = Odd.behavior({
          initial: 0,
          supervision: quick,
          on: { Die: (_, cause: Cause.Cause<never>) => Effect.failCause(cause) }
        })
        const evil = Object.defineProperty(new Error("evil"), "stack", {
          get: () => {
            throw new Error("not even its stack")
          }
        })
        for (const cause of [Cause.die(new Error("x".repeat(100_000))), Cause.empty, Cause.die(evil)]) {
          host.spawnUnsafe(odd).tellUnsafe("Die", cause)
          yield* TestClock.adjust(1)
        }
        expect(lines).toHaveLength(3)
        expect(lines[0]!.length).toBeLessThan(maxCauseChars + 500)
        expect(lines[0]).toMatch(/x{1000}\.\.\. \(\d{6} characters\)$/)
        expect(lines[1]).toMatch(/\(an empty cause\)$/)
        expect(lines[2]).toMatch(/\na cause that cannot be printed: Error "not even its stack"$/)
      })
    )
  )
})

describe("A flood of crashes", () => {
  const loop = (host: Host) =>
    Effect.gen(function* () {
      const ref = host.spawnUnsafe(worker(), "loop")
      for (let i = 0; i < 200; i++) yield* fail(ref)
    })
  const siblings = (host: Host) =>
    Effect.gen(function* () {
      const refs = Array.from({ length: 1000 }, () =>
        host.spawnUnsafe(worker({ supervision: { restart: "temporary" } }))
      )
      for (const ref of refs) ref.tellUnsafe("Fail", { text: "together" })
    })
  it.effect.each([
    ["of one actor in a loop", loop, 200, "195 more failures in 10 s", "restarted 195"],
    ["of a thousand siblings at once", siblings, 1000, "995 more failures in 10 s", "stopped 995"]
  ] as const)(
    "%s is five entries and a summary in the log, and all of it in host.failures",
    ([, crash, n, more, what]) =>
      observed((host, lines, reports) =>
        Effect.gen(function* () {
          yield* crash(host)
          yield* waitUntil(() => reports.length === n, `${n} failures were reported`)
          expect(lines).toHaveLength(5)
          expect([host.snapshot().timers, host.system.timers.size]).toEqual([0, 1])
          yield* TestClock.adjust("10 seconds")
          expect(lines).toHaveLength(6)
          const last = reports.at(-1)!.error.incident
          expect(lines[5]).toBe(`Warn: Worker "Fail": ${more}, last incident ${last}, decisions ${what}`)
          expect(host.system.timers.size).toBe(0)
        })
      )
  )

  it.effect("is summed up at shutdown, when its window is open still", () =>
    Effect.gen(function* () {
      const { lines } = yield* observed(loop)
      expect(lines).toHaveLength(6)
      expect(lines[5]).toContain("195 more failures in 0.2 s")
    })
  )

  it.effect("is cut where the system's option says", () =>
    observed(
      (host, lines) =>
        Effect.gen(function* () {
          yield* loop(host)
          expect(lines).toHaveLength(12)
          expect(lines.filter((line) => line.includes("95 more failures in 0.1 s"))).toHaveLength(2)
        }),
      { reports: { inFull: 5, within: "100 millis", windows: 8 } }
    )
  )
})
