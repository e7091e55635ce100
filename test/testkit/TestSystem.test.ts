import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { type ActorRef, ActorSystem, Agent, type Host } from "troupe"
import { Gateway } from "troupe/gateway"
import { StubClient, TestSystem, type TestSystemOptions } from "troupe/testkit"
import { Deadline } from "../../src/kernel/Timers.ts"
import * as Edge from "../../src/supervision/Edge.ts"
import { run, scripted } from "../actor/Scripted.ts"

/** What the test kit says at the end of a test. */
const faults = <A, E>(test: Effect.Effect<A, E, ActorSystem>, options: TestSystemOptions = {}) =>
  Effect.map(Effect.exit(test.pipe(Effect.provide(TestSystem.layerOf(options)))), (exit) =>
    Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "none"
  )

const system = Effect.map(ActorSystem, (host: Host) => host.system)

const Room = Agent.make("Room", { state: Schema.Struct({}), clients: [Rpc.make("Hush")] })
const room = Room.behavior({ initial: {}, on: { Hush: (state) => state } })

describe("TestSystem", () => {
  it.effect("a test that ends what it began has no fault", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
        yield* run(ref, (self) => {
          self.fork(Effect.never)
          self.timers.every("t", "1 second", "Note", "tick")
        })
        const host = yield* ActorSystem
        yield* ActorSystem.spawn(room, "r")
        const client = new StubClient(Room.protocol)
        Edge.connect(host.system, Room.at("r") as ActorRef<never>, client)
        yield* Effect.forkChild(run(ref, () => Effect.never))
        yield* Effect.yieldNow
      })
      expect(yield* faults(program)).toBe("none")
    })
  )

  it.effect("a fiber that a handler detached is named by its actor, and so is one of a fork", () =>
    Effect.gen(function* () {
      const leaked: Array<Fiber.Fiber<unknown, unknown>> = []
      const detach = Effect.map(Effect.forkDetach(Effect.never), (fiber) => void leaked.push(fiber))
      const handler = Effect.gen(function* () {
        const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
        yield* run(ref, () => detach)
      })
      expect(yield* faults(handler)).toContain("S/a: 1 fiber of a handler")
      const fork = Effect.gen(function* () {
        const ref = (yield* ActorSystem).spawnUnsafe(scripted().behavior, "b")
        yield* run(ref, (self) => void self.fork(Effect.andThen(detach, detach)))
        yield* Effect.yieldNow
      })
      expect(yield* faults(fork)).toContain("S/b: 2 fibers of a fork")
      expect(leaked).toHaveLength(3)
      yield* Fiber.interruptAll(leaked)
    })
  )

  it.effect("a fiber that the test forked itself is its own", () =>
    Effect.gen(function* () {
      const own = yield* Effect.forkChild(Effect.never)
      expect(yield* faults(Effect.forkChild(Effect.never))).toBe("none")
      yield* Fiber.interrupt(own)
    })
  )

  it.effect("a zombie is named once, by what it is; left on purpose it is no fault", () =>
    Effect.gen(function* () {
      let end = (): void => {}
      const stubborn = Effect.gen(function* () {
        const ref = yield* ActorSystem.spawn(scripted().behavior, "z")
        const hang = Effect.uninterruptible(Effect.callback<void>((resume) => void (end = () => resume(Effect.void))))
        yield* ref.tell("Run", () => hang)
        yield* Effect.yieldNow
        yield* ref.stop({ mode: "kill" })
      })
      const text = yield* faults(stubborn)
      end()
      expect(text).toContain("zombies: S/z (handler of Run)")
      expect(text).not.toContain("fiber of a handler")
      expect(yield* faults(stubborn, { zombies: 1 })).toBe("none")
      end()
    })
  )

  it.effect("an armed timer, an open edge and a connection are named", () =>
    Effect.gen(function* () {
      const timer = Effect.map(system, ({ timers }) => timers.arm(new Deadline(() => {}), 1234))
      expect(yield* faults(timer)).toContain("a deadline of 1234 ms is armed")
      const edge = Effect.map(system, ({ edges }) => void edges.add(Effect.void))
      expect(yield* faults(edge)).toContain("1 edge (gateway) open")
      const connection = Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = yield* ActorSystem.spawn(room, "r")
        const client = new StubClient(Room.protocol, { id: "ann" })
        Edge.connect(host.system, ref as ActorRef<never>, client)
        yield* ref.ask("Hush")
        // as a runtime would leave it that forgot to let go of connections
        const clients = new Set([client])
        Object.defineProperty(ref.cell!.extra, "clients", { get: () => clients, set: () => {} })
      })
      expect(yield* faults(connection)).toContain("client ann is connected to Room/r")
    })
  )

  it.effect("books that do not balance are named by the actor", () =>
    Effect.gen(function* () {
      const cooked = Effect.gen(function* () {
        const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
        ref.cell!.accepted++
      })
      expect(yield* faults(cooked)).toContain("S/a: accepted 1 != finished 0")
    })
  )
})

describe("a seeded system", () => {
  const opened = (layer: Layer.Layer<ActorSystem>) => {
    const gateway = Gateway.layer({ port: 0, agents: [room] }).pipe(Layer.provide(layer))
    return Effect.exit(Effect.scoped(Effect.map(Layer.build(gateway), (services) => Context.get(services, Gateway))))
  }

  it.effect("refuses a gateway by name: real I/O is no function of the seed", () =>
    Effect.gen(function* () {
      const exit = yield* opened(TestSystem.seeded(1))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
        _tag: "RealIoInSimulation",
        what: "gateway on 127.0.0.1:0"
      })
    })
  )

  it.live("an ordinary test system does not", () =>
    Effect.gen(function* () {
      expect(Exit.isSuccess(yield* opened(TestSystem.layer))).toBe(true)
    })
  )
})
