import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type Host, InvalidOption, NameTaken, Names } from "troupe"
import { TestSystem } from "troupe/testkit"
import { expectTypeOf } from "vitest"
import { run, scripted, send } from "../actor/Scripted.ts"

const Note = Rpc.make("Note", { payload: Schema.String })
const Person = Actor.make("S", { state: Schema.Any, protocol: [Note] })
const leader = Names.key(Person, "leader")

const pair = (host: Host) => {
  const backoff = { min: "1 millis", jitter: false } as const
  const { behavior, log } = scripted({ supervision: { backoff } })
  return { a: host.spawnUnsafe(behavior, "a"), b: host.spawnUnsafe(behavior, "b"), behavior, log }
}

describe("Names", () => {
  it.effect("a name has one holder; another one is refused until the name is given up", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { a, b, log } = pair(host)
      expect(yield* Names.whereis(leader)).toBeUndefined()
      yield* Names.register(leader, a)
      yield* Names.register(leader, a) // holds it already
      const error = yield* Effect.flip(Names.register(leader, b))
      expect(error).toBeInstanceOf(NameTaken)
      expect(error.message).toBe("S/leader: the name is taken")
      expect(() => Names.registerUnsafe(leader, b)).toThrow(NameTaken)
      const found = yield* Names.whereis(leader)
      yield* found!.tell("Note", "for the leader")
      yield* TestClock.adjust(1)
      expect([String(found), log]).toEqual(["S/a", ["for the leader"]])
      expect([yield* Names.unregister(leader, b), yield* Names.unregister(leader, a)]).toEqual([false, true])
      yield* Names.register(leader, b)
      expect(String(Names.whereisUnsafe(leader))).toBe("S/b")
      expect(Names.unregisterUnsafe(leader, b)).toBe(true)
      expect([host.snapshot().names, a.cell?.extra?.watchers?.size, b.cell?.extra?.watchers?.size]).toEqual([0, 0, 0])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("names are unique by type and text, and an actor may have many", () =>
    Effect.gen(function* () {
      const { a, b } = pair(yield* ActorSystem)
      const Other = Actor.make("Other", { state: Schema.Any, protocol: [Note] })
      yield* Names.register(leader, a)
      yield* Names.register(Names.key(Other, "leader"), b)
      yield* Names.register(Names.key(Person, "deputy"), a)
      const found = yield* Effect.forEach([leader, Names.key(Other, "leader"), Names.key(Person, "deputy")], (key) =>
        Names.whereis(key)
      )
      expect(found.map(String)).toEqual(["S/a", "S/b", "S/a"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a holder's death frees its name at once, a restart keeps it, and its new life does not have it", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { a, b, behavior } = pair(host)
      yield* Names.register(leader, a)
      send(a, () => {
        throw new Error("asked to")
      })
      yield* TestClock.adjust(1)
      expect(String(yield* Names.whereis(leader))).toBe("S/a")
      // in one turn of another actor: the holder is killed, the name taken over
      yield* run(b, (self) => {
        a.cell!.stop({ mode: "kill", millis: undefined, reason: undefined })
        expect(Names.whereisUnsafe(leader)).toBeUndefined()
        Names.registerUnsafe(leader, self.ref)
      })
      expect(String(yield* Names.whereis(leader))).toBe("S/b")
      const again = host.spawnUnsafe(behavior, "a")
      yield* again.tell("Note", "alive")
      expect([String(yield* Names.whereis(leader)), yield* Names.unregister(leader, again)]).toEqual(["S/b", false])
      yield* b.stop()
      expect([yield* Names.whereis(leader), host.snapshot().names]).toEqual([undefined, 0])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a holder that drains keeps its name until it has stopped", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const slow = host.spawnUnsafe(scripted({ onStop: () => Effect.sleep(100) }).behavior, "slow")
      const { a } = pair(host)
      yield* Names.register(leader, slow)
      yield* Effect.forkChild(slow.stop())
      yield* Effect.yieldNow
      expect(String(yield* Names.whereis(leader))).toBe("S/slow")
      expect((yield* Effect.flip(Names.register(leader, a)))._tag).toBe("NameTaken")
      yield* TestClock.adjust(100)
      yield* Names.register(leader, a)
      expect(String(yield* Names.whereis(leader))).toBe("S/a")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a hosted actor is made when it is registered; one that does not live is refused by name", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const nobody = Person.at("v")
      expect((yield* Effect.flip(Names.register(leader, nobody)))._tag).toBe("NoSuchActor")
      yield* ActorSystem.host(scripted().behavior)
      yield* Names.register(leader, nobody)
      expect([host.state(nobody), String(yield* Names.whereis(leader))]).toEqual(["active", "S/v"])
      yield* nobody.stop()
      expect([host.state(nobody), yield* Names.whereis(leader)]).toEqual(["stopped", undefined])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("names are bounded by the system's option", () =>
    Effect.gen(function* () {
      const { a } = pair(yield* ActorSystem)
      yield* Names.register(leader, a)
      const error = yield* Effect.flip(Names.register(Names.key(Person, "deputy"), a))
      expect([error._tag, error.message]).toEqual(["LimitReached", "names: all 1 are in use (system option names)"])
      yield* Names.unregister(leader, a)
      yield* Names.register(Names.key(Person, "deputy"), a)
    }).pipe(Effect.provide(TestSystem.layerOf({ names: 1 })))
  )

  it.effect("an actor may take its name when it begins, and keeps it through restarts", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const Self = Actor.make("Self", { state: Schema.Int, protocol: [Note] })
      const role = Names.key(Self, "role")
      const began: Array<number> = []
      const behavior = Self.behavior({
        supervision: { backoff: { min: "1 millis", jitter: false } },
        initial: (_key, self) => {
          began.push(self.incarnation)
          return Effect.as(Effect.orDie(Names.register(role, self.ref)), 0)
        },
        on: {
          Note: () => {
            throw new Error("asked to")
          }
        }
      })
      const ref = host.spawnUnsafe(behavior, "a")
      yield* TestClock.adjust(1)
      yield* ref.tell("Note", "fail")
      yield* TestClock.adjust(2)
      expect([began, String(yield* Names.whereis(role)), host.snapshot().names]).toEqual([[1, 2], "Self/a", 1])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("what is found has the protocol of the key's definition, and nothing else can be registered", () => {
    const _ = (ref: ActorRef<never>) => {
      expectTypeOf(Names.whereisUnsafe(leader)).toEqualTypeOf<ActorRef<typeof Note> | undefined>()
      // @ts-expect-error it understands nothing that is known
      Names.registerUnsafe(leader, ref)
    }
    expect(() => Names.key(Person, "x".repeat(257))).toThrow(InvalidOption)
  })
})
