import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type Host } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import * as Edge from "../../src/supervision/Edge.ts"
import { client, type Me, type P, run, scripted, send } from "../actor/Scripted.ts"

/** A full `suspend` mailbox: capacity 1, its handler waits until `go`. */
const full = (host: Host, capacity = 1) =>
  Effect.gen(function* () {
    const { behavior, log } = scripted({ type: "Full", mailbox: { capacity, overflow: "suspend" } })
    const ref = yield* ActorSystem.spawn(behavior, "f")
    send(ref, () => Effect.sleep(100))
    yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
    for (let i = 0; i < capacity; i++) ref.tellUnsafe("Note", `in ${i}`)
    return { ref, log }
  })

describe("Law 2, order", () => {
  it.effect("sends of a fork to a full suspend mailbox wait in its line, and arrive in order", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { ref, log } = yield* full(host)
      const sender = yield* ActorSystem.spawn(scripted().behavior, "s")
      yield* run(sender, (self) => {
        self.fork(
          Effect.sync(() => {
            for (let i = 1; i <= 3; i++) self.send(ref, "Note", `fork ${i}`)
          })
        )
      })
      yield* TestClock.adjust(200)
      expect(log).toEqual(["in 0", "fork 1", "fork 2", "fork 3"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("those of a handler too, and the actor with them: offerTimeout at the most, then it goes on", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { ref, log } = yield* full(host)
      const sender = yield* ActorSystem.spawn(scripted({ offerTimeout: 10 }).behavior, "s")
      send(sender, (self) => self.send(ref, "Note", "late"))
      const next = yield* Effect.forkChild(run(sender, () => undefined))
      yield* TestClock.adjust(9)
      expect(next.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(next.pollUnsafe()).toBeDefined()
      yield* TestClock.adjust(200)
      expect(log).toEqual(["in 0"])
      expect(host.snapshot().deadLetters).toEqual({ mailboxFull: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("those that are let in together are told before any of them goes on: one may take back another's ask", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { ref, log } = yield* full(host, 2)
      const leaving: Array<Fiber.Fiber<unknown, unknown>> = []
      const interrupt = Effect.sync(() => leaving[0]!.interruptUnsafe())
      const first = ref.tell("Note", "first").pipe(Effect.andThen(interrupt))
      const teller = yield* Effect.forkChild(first, { startImmediately: true })
      const begun: Array<string> = []
      leaving.push(
        yield* Effect.forkChild(
          ref.ask("Run", () => void begun.push("second")),
          { startImmediately: true }
        )
      )
      yield* TestClock.adjust(200)
      yield* Fiber.join(teller)
      expect([log, begun]).toEqual([["in 0", "in 1", "first"], []])
      expect(host.snapshot().deadLetters).toEqual({ cancelled: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("they wait offerTimeout at the most, and are dead letters then", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { ref, log } = yield* full(host)
      const sender = yield* ActorSystem.spawn(scripted({ offerTimeout: 10 }).behavior, "s")
      yield* run(sender, (self) => void self.fork(Effect.sync(() => self.send(ref, "Note", "late"))))
      yield* TestClock.adjust(200)
      expect(log).toEqual(["in 0"])
      expect(host.snapshot().deadLetters).toEqual({ mailboxFull: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("while somebody waits, newcomers queue behind, also in the moment when a message has just been taken", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted({ mailbox: { capacity: 1, overflow: "suspend" } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const offers: Array<string> = []
      send(ref, () => void offers.push(ref.tellUnsafe("Note", "newcomer")))
      const waiting = yield* Effect.forkChild(ref.tell("Note", "waited"), { startImmediately: true })
      yield* Fiber.join(waiting)
      yield* waitUntil(() => host.quiet, "all is handled")
      expect(offers).toEqual(["full"])
      expect(log).toEqual(["waited"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("onDisconnect stays behind notifications of its connection that wait for room", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const seen: Array<string> = []
      const Gate = Actor.make("Gate", {
        state: Schema.Undefined,
        protocol: [Rpc.make("Hold"), Rpc.make("Note", { payload: Schema.Int })]
      })
      const gate = Gate.behavior({
        initial: undefined,
        mailbox: { capacity: 1, overflow: "suspend" },
        on: { Hold: () => Effect.as(Effect.sleep(10), undefined), Note: (_, n) => void seen.push(`${n}`) as undefined },
        onDisconnect: () => void seen.push("gone")
      })
      const ref = host.spawnUnsafe(gate, "g")
      const line = Edge.connect(host.system, ref as ActorRef<never>, client) as Edge.Line
      ref.tellUnsafe("Hold")
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      for (const n of [1, 2, 3]) line.notify(1, n, () => {})
      line.disconnect({ code: 1006, reason: "" })
      yield* TestClock.adjust(50)
      expect(seen).toEqual(["1", "2", "3", "gone"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a suspended sender is let in as soon as there is room, also while a handler is suspended", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({ mailbox: { capacity: 1, overflow: "suspend" } })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      send(ref, () => Effect.sleep(1000))
      const told = yield* Effect.forkChild(ref.tell("Note", "first"), { startImmediately: true })
      const second = yield* Effect.forkChild(ref.tell("Note", "second"), { startImmediately: true })
      yield* waitUntil(() => host.snapshot().running === 1, "the handler has begun")
      yield* waitUntil(() => told.pollUnsafe() !== undefined, "there was room for the first")
      expect(second.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(second)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 8, cancellation arrives", () => {
  it.effect(
    "a given-up ask that was forwarded to a full suspend mailbox is never handled; what was staged behind it goes on",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const { ref, log } = yield* full(host)
        const other = scripted({ type: "Other" })
        const o = yield* ActorSystem.spawn(other.behavior, "o")
        const forwarder = yield* ActorSystem.spawn(scripted().behavior, "s")
        let handled = 0
        const script = (self: Me) => {
          self.forward(ref, "Run", () => void handled++)
          self.send(o, "Note", "behind")
          return Actor.noReply()
        }
        const asking = yield* Effect.forkChild(Effect.exit(forwarder.ask("Run", script, { timeout: 20 })))
        yield* TestClock.adjust(21)
        expect(String(yield* Fiber.join(asking))).toContain("AskTimeout")
        yield* TestClock.adjust(1)
        expect(other.log).toEqual(["behind"])
        yield* TestClock.adjust(300)
        expect(handled).toBe(0)
        expect(log).toEqual(["in 0"])
      }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Law 1, one turn at a time", () => {
  it.effect("a chain of asks ends where its asker has given up: no false AskCycle", () =>
    Effect.gen(function* () {
      const Peer = Actor.make("Peer", {
        state: Schema.Int,
        protocol: [
          Rpc.make("Hello", { success: Schema.Int }),
          Rpc.make("Keep", { success: Schema.String }).annotate(Actor.Committed, true),
          Rpc.make("Go", { success: Schema.String })
        ]
      })
      let other = Peer.at("b")
      const outcomes: Array<string> = []
      const peer = Peer.behavior({
        initial: 0,
        on: {
          Hello: (n) => Actor.reply(n),
          *Keep(_, __, self) {
            yield* Effect.sleep(50)
            const exit = yield* Effect.exit(self.ask(Peer.at("a"), "Hello"))
            outcomes.push(Exit.isSuccess(exit) ? "answered" : String(exit))
            return Actor.reply("kept")
          },
          *Go(_, __, self) {
            yield* Effect.exit(self.ask(other, "Keep", undefined, { timeout: 10 }))
            yield* Effect.sleep(100)
            return Actor.reply("went on")
          }
        }
      })
      const a = yield* ActorSystem.spawn(peer, "a")
      other = yield* ActorSystem.spawn(peer, "b")
      const going = yield* Effect.forkChild(a.ask("Go"))
      yield* TestClock.adjust(200)
      expect(yield* Fiber.join(going)).toBe("went on")
      expect(outcomes).toEqual(["answered"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an ask of a child that this very handler has made could only wait for itself: AskCycle", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      const child = scripted({ type: "C" }).behavior
      const exit = yield* run(ref, (self) =>
        Effect.map(Effect.exit(self.spawn(child, "c").ask("Run", () => undefined)), (out) => Actor.reply(String(out)))
      )
      expect(exit).toContain("AskCycle")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Rule: a restart", () => {
  it.effect("waits for committed sends that wait for room: they are no dead letters", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { ref, log } = yield* full(host)
      const sender = yield* ActorSystem.spawn(scripted({ supervision: { backoff: { min: 1, max: 1 } } }).behavior, "s")
      send(sender, (self) => {
        self.fork(Effect.delay(Effect.die("fork"), 10))
        for (const n of [1, 2]) self.send(ref, "Note", `committed ${n}`)
      })
      yield* TestClock.adjust(300)
      expect(log).toEqual(["in 0", "committed 1", "committed 2"])
      expect(host.snapshot()).toMatchObject({ deadLetters: {}, restarts: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("greets each live client once, whatever the last incarnation left ungreeted", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const seen: Array<string> = []
      const Door = Actor.make("Door", { state: Schema.Undefined, protocol: [Rpc.make("Fail")] })
      const door = Door.behavior({
        initial: undefined,
        supervision: { backoff: { min: 1, max: 1 } },
        on: {
          Fail: () => {
            throw new Error("down")
          }
        },
        onConnect: (_, client, self, why) => {
          seen.push(`${self.incarnation} ${client.id} ${why}`)
          if (why === "restarted" && self.incarnation === 2) throw new Error("down again")
        }
      })
      const ref = host.spawnUnsafe(door, "d")
      const lines = ["c1", "c2", "c3"].map((id) => {
        return Edge.connect(host.system, ref as ActorRef<never>, { ...client, id }) as Edge.Line
      })
      yield* TestClock.adjust(1)
      seen.length = 0
      ref.tellUnsafe("Fail")
      yield* TestClock.adjust(10)
      expect(seen).toEqual(["2 c1 restarted", "3 c1 restarted", "3 c2 restarted", "3 c3 restarted"])
      for (const line of lines) line.disconnect({ code: 1000, reason: "" })
      yield* TestClock.adjust(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("Rule: a stop", () => {
  it.effect("makes no children any more: refused by name, and none is left behind", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const child = scripted({ type: "C", onStop: () => Effect.sleep(10) }).behavior
      const late = scripted({ type: "Late" }).behavior
      const reports: Array<string> = []
      host.system.onFailure.add(({ error }) => void reports.push(String(error.cause)))
      const ref = yield* ActorSystem.spawn(scripted().behavior, "p")
      yield* run(ref, (self) => {
        self.spawn(child, "c")
        self.fork(
          Effect.delay(
            Effect.sync(() => void self.spawn(late, "l")),
            5
          ),
          { onFailure: "log" }
        )
      })
      const stopping = yield* Effect.forkChild(ref.stop())
      yield* TestClock.adjust(50)
      yield* Fiber.join(stopping)
      expect(host.snapshot().actors).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("drain takes no new firings of timers, however quick: it ends once accepted mail is handled", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(scripted().behavior, "a")
      yield* run(ref, (self) => self.timers.every("t", 2, "Run", () => Effect.sleep(5)))
      yield* TestClock.adjust(20)
      const stopping = yield* Effect.forkChild(ref.stop({ mode: "drain" }))
      yield* TestClock.adjust(20)
      yield* Fiber.join(stopping)
      expect(yield* ref.watch()).toEqual({ _tag: "drained" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("A program", () => {
  it.effect("is one for all actors of a behaviour, whatever the spans and fibers they are spawned from", () =>
    Effect.gen(function* () {
      const { behavior } = scripted()
      const programs = new Set<unknown>()
      for (let i = 0; i < 5; i++) {
        const spawn = ActorSystem.spawn(behavior) as Effect.Effect<ActorRef<P>, never, ActorSystem>
        const ref = yield* i % 2 === 0 ? spawn : Effect.withSpan(spawn, `span ${i}`)
        programs.add(ref.cell!.program)
      }
      expect(programs.size).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
