import { getShortestPaths, getSimplePaths } from "@xstate/graph"
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { createActor } from "xstate"
import { describe, expect, it } from "vitest"
import { Actor, ActorSystem, Lifecycle } from "troupe"
import { TestSystem } from "troupe/testkit"

const events = Lifecycle.events.map((type) => ({ type }))

describe("Lifecycle", () => {
  it("the table is the machine, for every state and event", () => {
    for (const [s, value] of Lifecycle.states.entries()) {
      for (const [e, type] of Lifecycle.events.entries()) {
        const snapshot = Lifecycle.machine.resolveState({ value })
        const actor = createActor(Lifecycle.machine, { snapshot })
        actor.start()
        const knows = value !== "stopped" && actor.getSnapshot().can({ type })
        if (value !== "stopped") actor.send({ type })
        const to = Lifecycle.states.indexOf(actor.getSnapshot().value as Lifecycle.State)
        expect([value, type, Lifecycle.next(s, e)]).toEqual([value, type, knows ? to : Lifecycle.NONE])
      }
    }
  })

  it("from every state there is a way to stopped, and none out of it", () => {
    for (const [s, state] of Lifecycle.states.entries()) {
      const to = Lifecycle.events.map((_, e) => Lifecycle.next(s, e))
      if (state === "stopped") expect(to.every((next) => next === Lifecycle.NONE)).toBe(true)
      else expect(to).toContain(Lifecycle.STOPPED)
    }
    expect(getShortestPaths(Lifecycle.machine, { events }).length).toBe(Lifecycle.states.length)
  })
})

const Ping = Rpc.make("Ping")
const Fail = Rpc.make("Fail")
const paths = getSimplePaths(Lifecycle.machine, { events })

/** What makes a real cell take a step of the machine, through the public API and the clock. */
const walk = (steps: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    let ready = false
    const behavior = Actor.make("L", { state: Schema.Int, protocol: [Ping, Fail] }).behavior({
      // connecting ends when the test says so
      initial: () =>
        Effect.as(
          Effect.gen(function* () {
            while (!ready) yield* Effect.sleep(1)
            ready = false
          }),
          0
        ),
      idleAfter: 10,
      shutdown: 1000,
      supervision: { backoff: { min: 1, jitter: false } },
      on: { Ping: (n) => n, Fail: () => Effect.die("failed") },
      // draining takes a while, so that it can be seen
      onStop: () => Effect.sleep(20)
    })
    const ref = yield* ActorSystem.spawn(behavior, "a")
    const settle = (millis: number) => TestClock.adjust(millis)
    const ran: Array<string> = []
    yield* settle(0)
    for (const step of steps) {
      const from = host.state(ref)
      if (step === "READY") {
        ready = true
        yield* settle(1)
        yield* settle(1)
      } else if (step === "REST") yield* settle(10)
      else if (step === "MAIL") ref.tellUnsafe("Ping")
      else if (step === "RESTART" && from !== "connecting") {
        ref.tellUnsafe("Fail")
        yield* settle(0)
      } else if (step === "RESTART") {
        yield* settle(0)
      } else if (step === "STOP") yield* Effect.forkChild(ref.stop(), { startImmediately: true })
      else if (step === "DONE") yield* settle(20)
      else if (step === "KILL") yield* Effect.forkChild(ref.stop({ mode: "kill" }), { startImmediately: true })
      yield* settle(0)
      ran.push(`${step} ${host.state(ref)}`)
    }
    return ran
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.provideMerge(TestSystem.layerOf({ zombies: 10 }), Layer.merge(TestClock.layer(), Logger.layer([]))),
      { local: true }
    )
  )

describe("Lifecycle of a real cell", () => {
  it("there are paths to walk", () => expect(paths.length).toBeGreaterThan(10))

  for (const path of paths) {
    const steps = path.steps.map((step) => step.event.type as string).filter((type) => type !== "xstate.init")
    const end = path.state.value as string
    // a draining actor without `onStop` to wait for (it never had a state) is done at once
    it(`${steps.join(", ") || "nothing"} leads to ${end}`, async () => {
      const ran = await Effect.runPromise(walk(steps))
      const seen = ran.at(-1)?.split(" ")[1] ?? "connecting"
      const early = end === "draining" && !steps.includes("READY")
      expect({ ran, seen }).toEqual({ ran, seen: early ? "stopped" : end })
    })
  }
})
