import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type ActorRef, ActorSystem, type CrashReport } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type P, run, scripted, send } from "../actor/Scripted.ts"

const fail = () => {
  throw new Error("down")
}

const world = Effect.gen(function* () {
  const host = yield* ActorSystem
  const reports: Array<string> = []
  host.system.onFailure.add(({ error }: CrashReport) => void reports.push(`${error.address} ${error.tag}`))
  const supervision = { backoff: { min: 1, jitter: false }, intensity: { restarts: 3 } } as const
  const { behavior } = scripted({ supervision })
  const refs: Array<ActorRef<P>> = []
  for (const key of ["a", "b", "c"]) refs.push(yield* ActorSystem.spawn(behavior, key))
  const [a, b, c] = refs as [ActorRef<P>, ActorRef<P>, ActorRef<P>]
  return { host, reports, a, b, c }
})

describe("Links", () => {
  it.effect(
    "one fails, the other fails with LinkBroken and is supervised by itself; after that they are strangers",
    () =>
      Effect.gen(function* () {
        const { a, b, reports } = yield* world
        yield* run(a, (self) => self.link(b))
        send(a, fail)
        yield* TestClock.adjust(2)
        expect(reports).toEqual(["S/a Run", "S/b link"])
        send(b, fail)
        yield* TestClock.adjust(2)
        expect(reports).toEqual(["S/a Run", "S/b link", "S/b Run"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("both ways, and along a chain", () =>
    Effect.gen(function* () {
      const { a, b, c, reports } = yield* world
      yield* run(a, (self) => self.link(b))
      yield* run(b, (self) => self.link(c))
      send(c, fail)
      yield* TestClock.adjust(2)
      expect(reports).toEqual(["S/c Run", "S/b link", "S/a link"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a normal or drained end breaks nothing, a kill does, a shutdown shuts down", () =>
    Effect.gen(function* () {
      const { a, b, c, host, reports } = yield* world
      yield* run(a, (self) => self.link(b))
      yield* run(a, (self) => self.link(c))
      yield* b.stop()
      yield* TestClock.adjust(2)
      expect(reports).toEqual([])
      yield* c.stop({ mode: "kill" })
      yield* TestClock.adjust(2)
      expect(reports).toEqual(["S/a link"])
      const parent = yield* ActorSystem.spawn(scripted({ type: "Parent" }).behavior, "p")
      const child = scripted({ type: "Child" }).behavior
      yield* run(parent, (self) => {
        const ref = self.spawn(child, "c")
        ref.tellUnsafe("Run", (own: { link(ref: ActorRef<P>): void }) => own.link(a))
      })
      yield* TestClock.adjust(2)
      const died = yield* Effect.forkChild(a.watch(), { startImmediately: true })
      yield* parent.stop()
      yield* TestClock.adjust(2)
      expect(died.pollUnsafe()).toMatchObject({ value: { _tag: "shutdown" } })
      expect(host.snapshot().actors).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("unlink ends it; a handler that fails has linked nothing", () =>
    Effect.gen(function* () {
      const { a, b, c, reports } = yield* world
      yield* run(a, (self) => self.link(b))
      yield* run(b, (self) => self.unlink(a))
      yield* Effect.exit(
        run(a, (self) => {
          self.link(c)
          fail()
        })
      )
      yield* TestClock.adjust(2)
      expect(reports).toEqual(["S/a Run"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("to a child that its parent's handler has not committed yet does not start it before its time", () =>
    Effect.gen(function* () {
      const { a, b, host } = yield* world
      let starts = 0
      const child = scripted({ type: "Child", initial: () => ++starts }).behavior
      let made: ActorRef<P> | undefined
      send(a, (self) => {
        made = self.spawn(child, "c")
        return Effect.sleep(50)
      })
      yield* waitUntil(() => made !== undefined, "it is made")
      yield* run(b, (self) => self.link(made!))
      send(b, fail)
      yield* TestClock.adjust(20)
      expect([starts, host.state(made!)]).toEqual([0, "connecting"])
      yield* TestClock.adjust(100)
      expect([starts, host.state(made!)]).toEqual([1, "active"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "are bounded by held, on either side: refused in the handler, or reported when the other has too many",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const reports: Array<string> = []
        host.system.onFailure.add(({ error, decision }) => void reports.push(`${error.address} ${decision}`))
        const few = scripted({ held: 1 }).behavior
        const refs: Array<ActorRef<P>> = []
        for (const key of ["a", "b", "c"]) refs.push(yield* ActorSystem.spawn(few, key))
        const [a, b, c] = refs as [ActorRef<P>, ActorRef<P>, ActorRef<P>]
        yield* run(a, (self) => self.link(b))
        expect(yield* Effect.flip(run(a, (self) => self.link(c)))).toMatchObject({ _tag: "LimitReached" })
        const { behavior, log } = scripted({ type: "Log" })
        const sink = yield* ActorSystem.spawn(behavior, "log")
        yield* run(c, (self) => {
          self.link(b)
          self.send(sink, "Note", "what is staged behind it leaves")
        })
        yield* run(sink, () => undefined)
        expect(log).toEqual(["what is staged behind it leaves"])
        expect(reports).toEqual(["S/a reported", "S/c reported"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a link to nobody is broken at once", () =>
    Effect.gen(function* () {
      const { a, b, reports } = yield* world
      yield* b.stop()
      yield* run(a, (self) => self.link(b))
      yield* TestClock.adjust(2)
      expect(reports).toEqual(["S/a link"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
