import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { run, scripted, send } from "./Scripted.ts"

/** How often the depth of stacks was set while `body` ran: twice an error that is made without one. */
const depthsSet = <A, E, R>(body: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    let limit = Error.stackTraceLimit
    let set = 0
    Object.defineProperty(Error, "stackTraceLimit", {
      configurable: true,
      get: () => limit,
      set: (value: number) => {
        set++
        limit = value
      }
    })
    const restore = Effect.sync(() =>
      Object.defineProperty(Error, "stackTraceLimit", { value: limit, writable: true, configurable: true })
    )
    return Effect.ensuring(
      Effect.map(body, () => set),
      restore
    )
  })

/** An actor that is busy and has one message waiting. */
const blocked = (capacity: number) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const ref = yield* ActorSystem.spawn(
      scripted({ type: "Full", mailbox: { capacity, overflow: "fail" } }).behavior,
      "f"
    )
    send(ref, () => Effect.sleep(100))
    yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
    ref.tellUnsafe("Note", "first")
    return { host, ref }
  })

const Nobody = Actor.make("Nobody", { state: Schema.Void, protocol: [Rpc.make("Note", { payload: Schema.String })] })

describe("Refusal", () => {
  it.effect("a send of a handler to a full mailbox is a dead letter, and no error is made of it", () =>
    Effect.gen(function* () {
      const { host, ref } = yield* blocked(1)
      const sender = yield* ActorSystem.spawn(scripted().behavior, "s")
      const set = yield* depthsSet(
        run(sender, (self) => {
          for (let i = 0; i < 10; i++) self.send(ref, "Note", "late")
        })
      )
      expect(host.snapshot().deadLetters).toEqual({ mailboxFull: 10 })
      expect(set).toBe(0)
      yield* TestClock.adjust(200)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("an error for a sender lists no frames of the runtime, and leaves the depth of other stacks alone", () =>
    Effect.gen(function* () {
      const { ref } = yield* blocked(2)
      const depth = Error.stackTraceLimit
      const late = yield* Effect.forkChild(Effect.flip(ref.ask("Run", () => 1, { timeout: 10 })), {
        startImmediately: true
      })
      yield* TestClock.adjust(10)
      const timedOut = yield* Fiber.join(late)
      ref.tellUnsafe("Note", "in the place of the ask")
      const full = yield* Effect.flip(ref.tell("Note", "late"))
      expect([timedOut, full]).toMatchObject([{ _tag: "AskTimeout" }, { _tag: "MailboxFull" }])
      for (const error of [timedOut, full]) expect((error as Error).stack).not.toMatch(/\n\s+at /)
      expect(String(full)).toContain("Full/f: mailbox full at 2 messages")
      expect(Error.stackTraceLimit).toBe(depth)
      yield* TestClock.adjust(200)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("the word of the dead letter is that of the error: no such actor, stopped, draining", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({ type: "T" })
      const sender = yield* ActorSystem.spawn(scripted().behavior, "s")
      const stopped = yield* ActorSystem.spawn(behavior, "stopped")
      yield* stopped.stop()
      const draining = yield* ActorSystem.spawn(behavior, "draining")
      send(draining, () => Effect.sleep(100))
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      const end = yield* Effect.forkChild(draining.stop({ mode: "drain" }), { startImmediately: true })
      const nobody = Nobody.at("n")
      const errors: Array<unknown> = []
      for (const ref of [stopped, draining]) {
        yield* run(sender, (self) => self.send(ref, "Note", "late"))
        errors.push(yield* Effect.flip(ref.tell("Note", "late")))
      }
      yield* run(sender, (self) => self.send(nobody, "Note", "late"))
      errors.push(yield* Effect.flip(nobody.tell("Note", "late")))
      expect(errors).toMatchObject([
        { _tag: "ActorStopped", draining: false },
        { _tag: "ActorStopped", draining: true },
        { _tag: "NoSuchActor", address: "Nobody/n" }
      ])
      expect(host.snapshot().deadLetters).toEqual({ stopped: 1, draining: 1, noSuchActor: 1 })
      yield* TestClock.adjust(200)
      yield* Fiber.join(end)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
