import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"

const Node = Actor.make("Node", {
  state: Schema.Undefined,
  protocol: [Rpc.make("Grow", { payload: { depth: Schema.Int } }), Rpc.make("Hang"), Rpc.make("Peer")]
})

/** A tree whose last actor hangs in its finalizer; every actor would grant itself an hour. */
const node = (ended: Array<string>, peer?: ActorRef<never>) => {
  const behavior: ReturnType<typeof make> = make()
  function make() {
    return Node.behavior({
      initial: undefined,
      shutdown: "1 hour",
      stuckAfter: "30 seconds",
      on: {
        Grow: (state, { depth }, self) => {
          if (depth > 0) self.send(self.spawn(behavior, `d${depth}`), "Grow", { depth: depth - 1 })
          return state
        },
        *Hang() {
          yield* Effect.never
          return undefined
        },
        *Peer(state, _, self) {
          yield* Effect.exit(self.ask(peer as ActorRef<Rpc.Rpc<"Hang">>, "Hang", undefined, { timeout: "infinity" }))
          return state
        }
      },
      onStop: (_, why, self) =>
        Effect.sync(() => ended.push(`${self.key} ${why._tag}`)).pipe(
          Effect.andThen(self.key === "d1" ? Effect.uninterruptible(Effect.sleep("10 hours")) : Effect.void)
        )
    })
  }
  return behavior
}

describe("A stop's deadline", () => {
  it.effect(
    "passes down absolute: each level has what remains minus 10 %, so parents outlive their children's grace",
    () =>
      Effect.gen(function* () {
        const ended: Array<string> = []
        const host = yield* ActorSystem
        const root = host.spawnUnsafe(node(ended), "root")
        root.tellUnsafe("Grow", { depth: 3 })
        yield* TestClock.adjust(1)
        expect(host.snapshot().actors).toBe(4)
        const stopped = yield* Effect.forkChild(root.stop({ mode: "drain", within: 1000 }))
        yield* TestClock.adjust(1)
        expect(ended).toEqual(["d1 shutdown"])
        // d3 has 900 ms, d2 810, d1 729: the hung one goes first, and nobody above it is killed
        yield* TestClock.adjust(720)
        expect(host.snapshot().actors).toBe(4)
        yield* TestClock.adjust(20)
        yield* Fiber.join(stopped)
        expect(ended).toEqual(["d1 shutdown", "d2 shutdown", "d3 shutdown", "root drained"])
        expect(host.snapshot()).toMatchObject({ actors: 0, zombies: [{ what: "finalizer" }] })
        yield* TestClock.adjust("10 hours")
        expect(host.snapshot().zombies).toEqual([])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("cuts an infinite one too", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      const host = yield* ActorSystem
      const root = host.spawnUnsafe(node(ended), "d1")
      const forever = yield* Effect.forkChild(root.stop({ within: "infinity" }))
      yield* TestClock.adjust("2 hours")
      expect(host.state(root)).toBe("draining")
      // a later, sooner deadline counts
      yield* Effect.forkChild(root.stop({ within: "1 second" }))
      yield* TestClock.adjust("1 second")
      expect(host.state(root)).toBe("stopped")
      yield* Fiber.join(forever)
      yield* TestClock.adjust("10 hours")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("A handler that stays suspended", () => {
  it.effect("is reported once after stuckAfter, with what it awaits", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const host = yield* ActorSystem
      const callee = host.spawnUnsafe(node([]), "callee")
      const asker = host.spawnUnsafe(node([], callee as ActorRef<never>), "asker")
      asker.tellUnsafe("Peer")
      yield* TestClock.adjust("29 seconds")
      expect(lines).toEqual([])
      yield* TestClock.adjust("2 minutes")
      expect(lines.toSorted()).toEqual([
        'Node/asker: handler of "Peer" suspended for 30000 ms, awaits the answer of Node/callee to "Hang" (behavior option stuckAfter)',
        'Node/callee: handler of "Hang" suspended for 30000 ms, awaits something outside of the actor system (behavior option stuckAfter)'
      ])
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([logger]))))
  })
})

describe("An `initial` that takes too long", () => {
  it.effect("is interrupted after connectTimeout; one that cannot be is reported after stuckAfter", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const Slow = Actor.make("Slow", { state: Schema.Undefined, protocol: [] })
    const slow = Slow.behavior({
      initial: Effect.as(Effect.uninterruptible(Effect.sleep("1 minute")), undefined),
      connectTimeout: "1 second",
      stuckAfter: "10 seconds",
      supervision: { restart: "temporary" },
      on: {}
    })
    return Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(slow, "a")
      yield* TestClock.adjust("10 seconds")
      expect(lines).toEqual([])
      yield* TestClock.adjust("49 seconds")
      expect(lines).toEqual([
        'Slow/a: handler of "initial" suspended for 11000 ms, awaits its uninterruptible end (behavior option stuckAfter)'
      ])
      expect(host.state(ref)).toBe("connecting")
      yield* TestClock.adjust("1 second")
      expect(host.state(ref)).toBe("stopped")
    }).pipe(Effect.provide(Layer.provideMerge(TestSystem.layer, Logger.layer([logger]))))
  })
})
