import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Random, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Agent, type Client, NameTaken, Quarantined } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import type { Encoded } from "../../src/actor/Client.ts"
import * as Edge from "../../src/supervision/Edge.ts"

const Counter = Actor.make("Counter", {
  state: Schema.Int,
  protocol: [Rpc.make("Add", { success: Schema.Int }), Rpc.make("Fail"), Rpc.make("Adopt", { success: Schema.String })]
})
const counter = Counter.behavior({
  initial: 0,
  supervision: { backoff: { min: "1 millis", jitter: false }, intensity: { restarts: 2, within: "1 minute" } },
  on: {
    Add: (state) => Actor.reply(state + 1, state + 1),
    Fail: () => {
      throw new Error("asked to")
    },
    Adopt: (state, _, self): ReturnType<typeof Actor.reply<string, number>> => {
      const child = self.spawn(counter, "a/b %")
      return Actor.reply(child.address, state)
    }
  }
})

describe("ActorSystem", () => {
  it.effect("tells where the books do not balance: of one actor, and of all", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { cell } = yield* ActorSystem.spawn(counter, "a")
      const { retired } = host.system.registry.kind("Counter")
      const told = (wrong: { accepted: number }): ReadonlyArray<string> => {
        wrong.accepted++
        const found = host.imbalances().map((text) => text.split(":", 1)[0]!)
        wrong.accepted--
        return found
      }
      expect([told(cell!), told(retired), host.imbalances()]).toEqual([["Counter/a", "system"], ["system"], []])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("spawn refuses a name that lives, and gives it out again after its life", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(counter, "a")
      expect(yield* Effect.flip(ActorSystem.spawn(counter, "a"))).toBeInstanceOf(NameTaken)
      yield* ref.stop()
      const again = yield* ActorSystem.spawn(counter, "a")
      expect(yield* again.ask("Add")).toBe(1)
      // the old ref names whoever lives there now
      expect(yield* ref.ask("Add")).toBe(2)
      expect(ref.address).toBe("Counter/a")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "is quiet while an actor waits for its backoff, whatever mail it has: a shutdown does not wait for it",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const ref = yield* ActorSystem.spawn(counter, "a")
        for (const tag of ["Fail", "Add"] as const) ref.tellUnsafe(tag)
        yield* waitUntil(() => host.state(ref) === "connecting", "it has failed")
        expect(host.snapshot().queued).toBe(1)
        expect(host.quiet).toBe(true)
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("Law 11: the jitter of a backoff is drawn from Effect's Random", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const late = Counter.behavior({
        initial: 0,
        supervision: { backoff: { min: "1 second" } },
        on: {
          Add: (state) => Actor.reply(state),
          Fail: () => Effect.die("asked to"),
          Adopt: (state) => Actor.reply("", state)
        }
      })
      const ref = yield* ActorSystem.spawn(late, "a")
      ref.tellUnsafe("Fail")
      yield* waitUntil(() => host.state(ref) === "connecting", "it has failed")
      yield* TestClock.adjust(249)
      expect(host.state(ref)).toBe("connecting")
      yield* TestClock.adjust(1)
      yield* waitUntil(() => host.state(ref) === "active", "it is back")
    }).pipe(
      Effect.provide(TestSystem.layer),
      Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0.25, nextIntUnsafe: () => 0 })
    )
  )

  it.effect("host makes an actor on its first message, and never for a question about it", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const ref = Counter.at("v")
      expect((yield* Effect.flip(ref.ask("Add")))._tag).toBe("NoSuchActor")
      yield* ActorSystem.host(counter)
      expect(host.state(ref)).toBe("stopped")
      yield* ref.stop()
      expect((yield* ref.watch())._tag).toBe("noSuchActor")
      expect(host.snapshot().actors).toBe(0)
      expect(yield* ref.ask("Add")).toBe(1)
      expect(yield* Counter.at("v").ask("Add")).toBe(2)
      expect(host.snapshot().actors).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a hosted actor out of restarts is quarantined for a minute, then made anew", () =>
    Effect.gen(function* () {
      yield* ActorSystem.host(counter)
      const ref = Counter.at("v")
      for (let i = 0; i < 3; i++) {
        yield* ref.tell("Fail")
        yield* TestClock.adjust("10 millis")
      }
      const error = yield* Effect.flip(ref.ask("Add"))
      expect(error).toBeInstanceOf(Quarantined)
      yield* TestClock.adjust("59 seconds")
      expect((yield* Effect.flip(ref.tell("Add")))._tag).toBe("Quarantined")
      yield* TestClock.adjust("1 second")
      expect(yield* ref.ask("Add")).toBe(1)
      for (let i = 0; i < 3; i++) {
        yield* ref.tell("Fail")
        yield* TestClock.adjust("10 millis")
      }
      yield* TestClock.adjust("61 seconds") // out again soon after: twice as long
      expect((yield* Effect.flip(ref.ask("Add")))._tag).toBe("Quarantined")
      yield* TestClock.adjust("1 minute")
      expect(yield* ref.ask("Add")).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("refs are values: equal by address, readable back by their Schema, reaching children too", () =>
    Effect.gen(function* () {
      const parent = yield* ActorSystem.spawn(counter, "p")
      const address = yield* parent.ask("Adopt")
      expect(address).toBe("Counter/p/Counter/a%2Fb %25")
      const child = yield* Schema.decodeUnknownEffect(Counter.ref)(address)
      expect(yield* child.ask("Add")).toBe(1)
      expect(yield* Schema.encodeEffect(Counter.ref)(child)).toBe(address)
      const host = yield* ActorSystem
      expect(host.lookup(Counter, address)?.address).toBe(address)
      expect(host.tree()).toMatchObject([{ address: "Counter/p", children: [{ address, state: "active" }] }])
      const bad = yield* Effect.flip(Schema.decodeUnknownEffect(Counter.ref)("Other/x"))
      expect(String(bad)).toContain("Counter")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("changes is a stream of lifecycle steps, with their reasons", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(host.changes, 5)))
      yield* Effect.yieldNow
      const ref = yield* ActorSystem.spawn(counter, "a")
      yield* ref.tell("Fail")
      yield* TestClock.adjust("10 millis")
      yield* ref.stop({ mode: "drain" })
      const steps = (yield* Fiber.join(seen)).map(({ from, to, ref: who }) => `${who.address}: ${from} -> ${to}`)
      expect(steps).toEqual([
        "Counter/a: connecting -> active",
        "Counter/a: active -> connecting",
        "Counter/a: connecting -> active",
        "Counter/a: active -> draining",
        "Counter/a: draining -> stopped"
      ])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("shutdown stops everything, children first, and reports what was dead-lettered", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const Slow = Actor.make("Slow", { state: Schema.Int, protocol: [Rpc.make("Wait"), Rpc.make("Have")] })
      const slow = Slow.behavior({
        initial: 0,
        on: {
          *Wait(state) {
            yield* Effect.never
            return state
          },
          Have: (state, _, self) => {
            self.spawn(slow, "child")
            return state
          }
        },
        onStop: (_, why, self) => void order.push(`${self.key}: ${why._tag}`)
      })
      const host = yield* ActorSystem
      const one = host.spawnUnsafe(slow, "one")
      one.tellUnsafe("Have")
      yield* TestClock.adjust(1)
      one.tellUnsafe("Wait")
      for (let i = 0; i < 3; i++) one.tellUnsafe("Wait")
      const report = yield* host.shutdown()
      expect(report).toMatchObject({ stopped: 1, killed: 0, deadLetters: { stopped: 3 }, zombies: [] })
      expect(order).toEqual(["child: shutdown", "one: shutdown"])
      expect((yield* Effect.flip(one.tell("Wait")))._tag).toBe("ActorStopped")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("shutdown leaves actors the time for onStop, however long the edges took to close", () =>
    Effect.gen(function* () {
      let stopped = false
      const Tidy = Actor.make("Tidy", { state: Schema.Int, protocol: [Rpc.make("Wait")] })
      const tidy = Tidy.behavior({
        initial: 0,
        on: { Wait: (state) => state },
        onStop: () =>
          Effect.andThen(
            Effect.repeat(Effect.yieldNow, { times: 10 }),
            Effect.sync(() => void (stopped = true))
          )
      })
      const host = yield* ActorSystem
      yield* ActorSystem.spawn(tidy, "one")
      const { edges } = host.system
      const edge: Effect.Effect<void> = Effect.andThen(
        Effect.sleep("1 hour"),
        Effect.sync(() => void edges.delete(edge))
      )
      edges.add(edge)
      const shutdown = yield* Effect.forkChild(host.shutdown())
      yield* TestClock.adjust("1 hour")
      expect(yield* Fiber.join(shutdown)).toMatchObject({ stopped: 1, killed: 0 })
      expect(stopped).toBe(true)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Edge", () => {
  const Room = Agent.make("Room", {
    state: Schema.Array(Schema.String),
    clients: [Rpc.make("Say", { success: Schema.String }), Rpc.make("Fail")],
    events: [Rpc.make("Said", { payload: { from: Schema.String } })]
  })
  const noted: Array<string> = []
  const room = Room.behavior({
    initial: [],
    supervision: { backoff: { min: "1 millis", jitter: false } },
    on: {
      Say: (state, _, self) => {
        const from = self.client?.id ?? "nobody"
        self.broadcast("Said", { from }, { except: self.client })
        return Actor.reply(from, [...state, from])
      },
      Fail: (_, __, self) => {
        self.broadcast("Said", { from: "never" })
        throw new Error("asked to")
      }
    },
    onConnect: (_, client, __, why) => void noted.push(`${client.id} ${why}`),
    onDisconnect: (_, client, why) => void noted.push(`${client.id} gone ${why.code}`)
  })

  class FakeClient implements Client {
    readonly id: string
    readonly principal = undefined
    readonly session = undefined
    readonly away = false
    readonly events: Array<unknown> = []
    readonly closed: Array<number> = []
    constructor(id: string) {
      this.id = id
    }
    sendNow(event: string, payload: unknown): boolean {
      this.events.push([event, payload])
      return true
    }
    sendShared(event: string, payload: unknown, _shared: Encoded): boolean {
      return this.sendNow(event, payload)
    }
    close(code: number): void {
      this.closed.push(code)
    }
  }

  it.effect("a connection survives a restart: onConnect runs again before any mail; onDisconnect comes last", () =>
    Effect.gen(function* () {
      noted.length = 0
      const host = yield* ActorSystem
      yield* ActorSystem.host(room)
      const [ann, bob] = [new FakeClient("ann"), new FakeClient("bob")]
      const lines = [ann, bob].map(
        (client) => Edge.connect(host.system, Room.at("r") as ActorRef<never>, client) as Edge.Line
      )
      const answers: Array<string> = []
      lines[0]!.request(1, undefined, 1000, (exit) => answers.push(exit._tag))
      lines[0]!.request(0, undefined, 1000, (exit) => answers.push(exit._tag === "Success" ? String(exit.value) : "?"))
      yield* TestClock.adjust("10 millis")
      expect(answers).toEqual(["Failure", "ann"])
      expect(noted).toEqual(["ann connected", "bob connected", "ann restarted", "bob restarted"])
      expect(bob.events).toEqual([["Said", { from: "ann" }]])
      expect(ann.events).toEqual([])
      lines[1]!.notify(0, undefined, () => answers.push("told"))
      lines[1]!.disconnect({ code: 1006, reason: "" })
      yield* TestClock.adjust(1)
      expect(answers.at(-1)).toBe("told")
      expect(noted.at(-1)).toBe("bob gone 1006")
      yield* Room.at("r").stop()
      expect(ann.closed).toEqual([1001])
      expect(bob.closed).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an event that one client cannot be sent reaches the others, and is reported once", () =>
    Effect.gen(function* () {
      class Broken extends FakeClient {
        override sendShared(_event: string, _payload: unknown, shared: Encoded): boolean {
          shared.frame = "encoded"
          throw new Error("its coalesce threw")
        }
      }
      const host = yield* ActorSystem
      yield* ActorSystem.host(room)
      const reports: Array<string> = []
      host.system.onFailure.add(({ error, decision }) => reports.push(`${error.tag} ${decision}`))
      const clients = [new FakeClient("ann"), new Broken("bob"), new Broken("cid"), new FakeClient("dan")]
      const [line] = clients.map(
        (client) => Edge.connect(host.system, Room.at("r") as ActorRef<never>, client) as Edge.Line
      )
      line!.notify(0, undefined, () => {})
      yield* TestClock.adjust(1)
      expect(clients.map(({ events }) => events.length)).toEqual([0, 0, 0, 1])
      expect(reports).toEqual(["Said reported"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a request that is cancelled while queued is taken back, and never handled", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      yield* ActorSystem.host(room)
      const line = Edge.connect(host.system, Room.at("r") as ActorRef<never>, new FakeClient("ann")) as Edge.Line
      const answers: Array<string> = []
      const request = line.request(0, undefined, 1000, (exit) => answers.push(exit._tag))
      if ("cancel" in request) request.cancel()
      yield* TestClock.adjust("1 second")
      expect(answers).toEqual(["Failure"])
      expect(host.snapshot().deadLetters).toEqual({ cancelled: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
