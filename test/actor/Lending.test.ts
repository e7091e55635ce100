import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type ActorRef, ActorSystem, type Limits } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { type Me, type P, run, scripted, send } from "./Scripted.ts"

/** A sender and who hears of it. `heard`: what was handled by then. */
const stage = (mailbox: NonNullable<Limits["mailbox"]> = {}) =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    const sender = yield* ActorSystem.spawn(scripted({ type: "Sender" }).behavior, "s")
    const { behavior, log } = scripted({ type: "Receiver", mailbox })
    const receiver = yield* ActorSystem.spawn(behavior, "r")
    const heard = Effect.as(
      waitUntil(() => host.quiet, "it rests"),
      log
    )
    return { host, sender, receiver, behavior, log, heard }
  })

const failing = (sender: ActorRef<P>, script: (self: Me) => unknown) =>
  Effect.map(Effect.exit(run(sender, script)), (exit) => expect(Exit.isFailure(exit)).toBe(true))

/** Makes it busy until the clock goes on. */
const busy = (ref: ActorRef<P>) => Effect.sync(() => send(ref, () => Effect.sleep(100)))

describe("a send of a handler counts with its commit", () => {
  it.effect("a handler that fails has sent nothing: not to others, not to itself, not to a busy one", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, behavior, heard } = yield* stage()
      const other = yield* ActorSystem.spawn(behavior, "other")
      yield* busy(other)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      const { accepted } = host.snapshot()
      yield* failing(sender, (self) => {
        for (const to of [receiver, other, receiver, self.ref, other]) self.send(to, "Note", "lost")
        throw new Error("after its sends")
      })
      // the ask alone
      expect(host.snapshot().accepted).toBe(accepted + 1)
      yield* TestClock.adjust(1000)
      expect(yield* heard).toEqual([])
      expect(host.snapshot().deadLetters).toEqual({})
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("what was sent before by others, and by itself, stays", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage()
      yield* busy(receiver)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      receiver.tellUnsafe("Note", "of a stranger")
      yield* run(sender, (self) => self.send(receiver, "Note", "committed"))
      send(sender, (self, state) => {
        self.send(receiver, "Note", "with nothing else")
        return state
      })
      yield* failing(sender, (self) => {
        self.send(receiver, "Note", "lost")
        receiver.tellUnsafe("Note", "at once")
        self.send(receiver, "Note", "lost too")
        throw new Error("after its sends")
      })
      yield* TestClock.adjust(1000)
      expect(yield* heard).toEqual(["of a stranger", "committed", "with nothing else", "at once"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that goes on as a fiber has sent nothing until it has ended", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, log, heard } = yield* stage()
      send(sender, (self) => {
        self.send(receiver, "Note", "first")
        self.send(receiver, "Note", "second")
        return Effect.andThen(
          Effect.sleep(10),
          Effect.sync(() => self.send(receiver, "Note", "third"))
        )
      })
      yield* waitUntil(() => host.snapshot().running === 1, "it sleeps")
      expect(host.snapshot().queued).toBe(0)
      yield* TestClock.adjust(9)
      expect(log).toEqual([])
      yield* TestClock.adjust(1)
      expect(yield* heard).toEqual(["first", "second", "third"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("nor has one that sends as its fiber begins", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, log, heard } = yield* stage()
      for (const fails of [false, true]) {
        send(sender, (self) =>
          Effect.gen(function* () {
            self.send(receiver, "Note", `fails: ${fails}`)
            yield* Effect.sleep(10)
            if (fails) return yield* Effect.die("in its fiber")
          })
        )
        yield* waitUntil(() => host.snapshot().running === 1, "it sleeps")
        expect([log, host.snapshot().queued]).toEqual([fails ? ["fails: false"] : [], 0])
        yield* TestClock.adjust(10)
        expect(yield* heard).toEqual(["fails: false"])
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that fails as a fiber, or is stopped in it, has sent nothing at all", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage()
      yield* failing(sender, (self) => {
        self.send(receiver, "Note", "lost")
        return Effect.fail("typed")
      })
      send(sender, (self) => {
        self.send(receiver, "Note", "lost")
        return Effect.never
      })
      yield* waitUntil(() => host.snapshot().running === 1, "it hangs")
      yield* sender.stop()
      expect(yield* heard).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("nor has one that was killed in its handler, whatever that returns", () =>
    Effect.gen(function* () {
      const { host, receiver, heard } = yield* stage()
      for (const outcome of ["the same state", "another state"]) {
        const sender = yield* ActorSystem.spawn(scripted({ type: "Killed" }).behavior, outcome)
        send(sender, (self, state) => {
          self.send(receiver, "Note", "lost")
          Effect.runFork(sender.stop({ mode: "kill" }))
          return outcome === "the same state" ? state : "another"
        })
        yield* waitUntil(() => host.state(sender) === "stopped", "it is dead")
      }
      expect(yield* heard).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one to an actor that drains is refused", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage()
      yield* busy(receiver)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      const stopping = yield* Effect.forkChild(receiver.stop({ mode: "drain" }))
      yield* waitUntil(() => host.state(receiver) === "draining", "it drains")
      yield* run(sender, (self) => self.send(receiver, "Note", "too late"))
      expect(host.snapshot().deadLetters).toEqual({ draining: 1 })
      yield* TestClock.adjust(1000)
      yield* Fiber.join(stopping)
      expect(yield* heard).toEqual(["stop drained"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("has no caller and no client behind it", () =>
    Effect.gen(function* () {
      const { sender, receiver, heard } = yield* stage()
      const callers: Array<unknown> = []
      const look = (self: Me) => void callers.push(self.caller, self.client)
      yield* run(sender, (self) => self.send(receiver, "Run", look))
      yield* heard
      expect(callers).toEqual([undefined, undefined])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("outputs of other kinds keep their place among the sends", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage()
      const { behavior, log } = scripted({ type: "Child" })
      const sends = (key: string) => (self: Me) => {
        self.send(receiver, "Note", `${key} 1`)
        const child = self.spawn(behavior, key)
        self.send(child, "Note", key)
        self.send(receiver, "Note", `${key} 2`)
      }
      yield* run(sender, sends("plain"))
      yield* run(sender, (self) => {
        sends("fiber")(self)
        return Effect.yieldNow
      })
      expect(yield* heard).toEqual(["plain 1", "plain 2", "fiber 1", "fiber 2"])
      expect(log).toEqual(["plain", "fiber"])
      // one that has stopped itself takes no more, also not of itself
      yield* run(sender, (self) => {
        self.stop()
        self.send(self.ref, "Note", "too late")
      })
      yield* heard
      expect(host.snapshot().deadLetters).toEqual({ draining: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a mailbox that drops the oldest loses none to a handler that fails", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage({ capacity: 2, overflow: "dropOldest" })
      yield* busy(receiver)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      receiver.tellUnsafe("Note", "one")
      receiver.tellUnsafe("Note", "two")
      yield* failing(sender, (self) => {
        self.send(receiver, "Note", "lost")
        throw new Error("after its send")
      })
      const other = yield* ActorSystem.spawn(scripted({ type: "Sender" }).behavior, "other")
      yield* run(other, (self) => self.send(receiver, "Note", "three"))
      yield* TestClock.adjust(1000)
      expect(yield* heard).toEqual(["two", "three"])
      expect(host.snapshot().deadLetters).toEqual({ dropOldest: 1 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("nor does such a mailbox drop what a handler has yet to send for what comes at once", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage({ capacity: 2, overflow: "dropOldest" })
      yield* busy(receiver)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      yield* failing(sender, (self) => {
        self.send(receiver, "Note", "lost")
        receiver.tellUnsafe("Note", "one")
        receiver.tellUnsafe("Note", "two")
        throw new Error("after its send")
      })
      yield* TestClock.adjust(1000)
      expect(yield* heard).toEqual(["one", "two"])
      expect(host.snapshot().deadLetters).toEqual({})
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a full mailbox has its room again", () =>
    Effect.gen(function* () {
      const { host, sender, receiver, heard } = yield* stage({ capacity: 2 })
      yield* busy(receiver)
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      yield* failing(sender, (self) => {
        for (let i = 0; i < 3; i++) self.send(receiver, "Note", "lost")
        throw new Error("after its sends")
      })
      expect([receiver.tellUnsafe("Note", "one"), receiver.tellUnsafe("Note", "two")]).toEqual(["accepted", "accepted"])
      expect(receiver.tellUnsafe("Note", "three")).toBe("full")
      yield* TestClock.adjust(1000)
      expect(yield* heard).toEqual(["one", "two"])
      expect(host.snapshot().deadLetters).toEqual({})
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "a receiver that dies before the commit takes what lies there with it, whatever becomes of the handler",
    () =>
      Effect.gen(function* () {
        const { host, sender, behavior, heard } = yield* stage()
        for (const fails of [false, true]) {
          const doomed = yield* ActorSystem.spawn(behavior, `doomed-${fails}`)
          yield* busy(doomed)
          yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
          yield* Effect.exit(
            run(sender, (self) => {
              self.send(doomed, "Note", "for a dead one")
              Effect.runSync(doomed.stop({ mode: "kill" }))
              if (fails) throw new Error("after the kill")
            })
          )
          yield* TestClock.adjust(1000)
        }
        expect((yield* heard).filter((line) => !line.startsWith("stop"))).toEqual([])
        expect(host.snapshot().deadLetters).toEqual({ stopped: 2 })
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that was only lent a message wakes for nothing, and stays idle", () =>
    Effect.gen(function* () {
      const { sender, heard } = yield* stage()
      const idle = yield* ActorSystem.spawn(scripted({ type: "Idle", idleAfter: 10 }).behavior, "i")
      yield* heard
      yield* TestClock.adjust(10)
      expect(idle.cell?.lifecycle).toBe(2)
      const steps: Array<string> = []
      const { onChange } = (yield* ActorSystem).system
      onChange.add(({ ref, to }) => ref.address === idle.address && steps.push(to))
      yield* failing(sender, (self) => {
        self.send(idle, "Note", "lost")
        throw new Error("after its send")
      })
      yield* heard
      expect(steps).toEqual([])
      expect(idle.cell?.mailbox).toBeUndefined()
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
