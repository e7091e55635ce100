import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, InvalidOption } from "troupe"
import { TestSystem } from "troupe/testkit"
import { assign, createMachine, emit, fromPromise, sendTo, setup } from "xstate"

const delayed = sendTo(({ self }) => self, { type: "INNER" }, { delay: 50 })

const door = setup({
  types: {
    context: {} as { readonly opened: number },
    events: {} as
      | { readonly type: "OPEN" }
      | { readonly type: "CLOSE" }
      | { readonly type: "BREAK"; readonly how: string }
  },
  actions: {
    count: assign({ opened: ({ context }) => context.opened + 1 }),
    shatter: ({ event }) => {
      if (event.type === "BREAK" && event.how === "badly") throw new Error("glass everywhere")
    }
  }
}).createMachine({
  id: "door",
  context: { opened: 0 },
  initial: "closed",
  states: {
    closed: { on: { OPEN: "open", BREAK: { target: "broken", actions: "shatter" } } },
    open: { entry: "count", on: { CLOSE: "closed" }, after: { 5000: "closed" } },
    broken: { type: "final" }
  }
})

describe("Actor.fromMachine", () => {
  it.effect("takes the machine's events as messages and answers with the state that follows", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      expect(yield* front.ask("OPEN")).toBe("open")
      expect(yield* front.ask("OPEN")).toBe("open")
      expect(yield* front.ask("CLOSE")).toBe("closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("runs `after` on the system's clock, and only while the state lasts", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      yield* front.ask("OPEN")
      yield* TestClock.adjust("4 seconds")
      expect(yield* front.ask("CLOSE")).toBe("closed")
      expect(yield* front.ask("OPEN")).toBe("open")
      yield* TestClock.adjust("2 seconds") // the first delay would have been over by now
      expect(host.snapshot().timers).toBeGreaterThan(0)
      const states: Array<unknown> = []
      for (const cell of host.system.cells()) states.push((cell.state as { readonly value: unknown }).value)
      expect(states).toEqual(["open"])
      yield* TestClock.adjust("4 seconds")
      for (const cell of host.system.cells()) states.push((cell.state as { readonly value: unknown }).value)
      expect(states).toEqual(["open", "closed"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("leaving a state cancels its delay: no timer is left armed", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      yield* front.ask("OPEN")
      expect(host.snapshot().timers).toBe(1)
      yield* front.ask("CLOSE")
      expect(host.snapshot().timers).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("stops in a final state, and restarts when an action throws", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      expect((yield* Effect.flip(front.ask("BREAK", { how: "badly" })))._tag).toBe("CalleeFailed")
      yield* TestClock.adjust("1 second")
      expect(host.tree()[0]).toMatchObject({ state: "active", incarnation: 2 })
      expect(yield* front.ask("BREAK", { how: "gently" })).toBe("broken")
      yield* TestClock.adjust(1)
      expect(host.state(front)).toBe("stopped")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("sends itself what the machine sends to itself, now and later", () =>
    Effect.gen(function* () {
      const echoing = createMachine({
        initial: "a",
        states: {
          a: {
            on: {
              NOW: { actions: sendTo(({ self }) => self, { type: "INNER" }) },
              LATER: { actions: delayed },
              INNER: "b"
            }
          },
          b: { on: { BACK: "a" } }
        }
      })
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(Actor.fromMachine("Echoing", echoing), "e")
      expect(yield* ref.ask("NOW")).toBe("a")
      expect(yield* ref.ask("BACK")).toBe("a")
      expect(yield* ref.ask("LATER")).toBe("a")
      yield* TestClock.adjust(50)
      expect(host.snapshot().timers).toBe(0)
      expect(yield* ref.ask("INNER")).toBe("b")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("refuses partial wildcards, and what speaks to actors of XState, by name", async () => {
    const wild = createMachine({ initial: "a", states: { a: { on: { "mouse.*": "a" } } } })
    expect(() => Actor.fromMachine("W", wild)).toThrow("W.mouse.*")
    const emitting = createMachine({ initial: "a", states: { a: { on: { GO: { actions: emit({ type: "out" }) } } } } })
    const reports: Array<string> = []
    const program = Effect.gen(function* () {
      const host = yield* ActorSystem
      host.system.onFailure.add(({ error }) => void reports.push(String(error.cause)))
      yield* Effect.exit(host.spawnUnsafe(Actor.fromMachine("E", emitting), "e").ask("GO"))
    })
    await Effect.runPromise(program.pipe(Effect.provide(Layer.provideMerge(ActorSystem.layer, Logger.layer([])))))
    expect(reports.join()).toContain("E.xstate.emit")
  })

  it("refuses a machine that invokes actors, by name", () => {
    const invoking = createMachine({
      id: "caller",
      initial: "calling",
      states: { calling: { invoke: { src: fromPromise(() => Promise.resolve(1)) } } }
    })
    expect(() => Actor.fromMachine("Caller", invoking)).toThrow(InvalidOption)
    expect(() => Actor.fromMachine("Caller", invoking)).toThrow("caller.calling.invoke")
  })
})
