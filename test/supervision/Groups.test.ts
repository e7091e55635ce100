import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Groups, type Host, InvalidOption, InvalidUse } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import { expectTypeOf } from "vitest"
import { run, scripted, send } from "../actor/Scripted.ts"

const Job = Rpc.make("Job", { payload: { id: Schema.Int } })
const Done = Rpc.make("Done", { success: Schema.Array(Schema.Int) })
const Worker = Actor.make("Worker", { state: Schema.Array(Schema.Int), protocol: [Job, Done] })
const limits = { supervision: { backoff: { min: "1 millis", jitter: false }, intensity: { restarts: 1 } } } as const
const worker = Worker.behavior({
  ...limits,
  mailbox: { capacity: 2 },
  initial: [],
  on: {
    Job: (state, { id }) => {
      if (id < 0) throw new Error("asked to")
      return [...state, id]
    },
    Done: (state) => Actor.reply(state)
  }
})
const pool = Groups.key(Worker, "pool")

/** For any scripted actor: all of them take notes. */
const Scripted = Actor.make("S", { state: Schema.Any, protocol: [Rpc.make("Note", { payload: Schema.String })] })
const crew = Groups.key(Scripted, "crew")

type Hand = ActorRef<typeof Job | typeof Done>
const three = (host: Host): readonly [Hand, Hand, Hand] => [
  host.spawnUnsafe(worker, "a"),
  host.spawnUnsafe(worker, "b"),
  host.spawnUnsafe(worker, "c")
]
const names = (refs: ReadonlyArray<ActorRef>) => refs.map(String)
/** Nothing is kept of any group, in the system or at the actors. */
const isEmpty = (host: Host, refs: ReadonlyArray<ActorRef<never>>) => {
  expect(host.snapshot().memberships).toBe(0)
  expect(refs.map((ref) => ref.cell?.extra?.watchers?.size ?? 0)).toEqual(refs.map(() => 0))
}

describe("Groups", () => {
  it.effect("members are those who joined and have not left, once each, in the order they joined", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const [a, b, c] = three(host)
      expect(yield* Groups.members(pool)).toEqual([])
      for (const ref of [b, a, c, b]) yield* Groups.join(pool, ref)
      expect(names(yield* Groups.members(pool))).toEqual(["Worker/b", "Worker/a", "Worker/c"])
      // a key is a value
      expect(names(yield* Groups.members(Groups.key(Worker, "pool")))).toHaveLength(3)
      expect(yield* Groups.members(Groups.key(Worker, "spare"))).toEqual([])
      expect([yield* Groups.leave(pool, a), yield* Groups.leave(pool, a)]).toEqual([true, false])
      expect(names(yield* Groups.members(pool))).toEqual(["Worker/b", "Worker/c"])
      for (const ref of [b, c]) yield* Groups.leave(pool, ref)
      isEmpty(host, [a, b, c])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a member's death ends its membership, whichever way it dies; a restart does not", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const [failing, stopped, drained] = three(host)
      const killed = host.spawnUnsafe(worker, "d")
      const refs = [failing, stopped, drained, killed]
      for (const ref of refs) {
        yield* Groups.join(pool, ref)
        yield* Groups.join(Groups.key(Worker, "spare"), ref)
      }
      yield* failing.tell("Job", { id: -1 })
      yield* TestClock.adjust(1)
      expect(names(yield* Groups.members(pool))).toHaveLength(4)
      yield* failing.tell("Job", { id: -1 }) // out of restarts
      yield* TestClock.adjust(1)
      yield* stopped.stop()
      yield* drained.stop({ mode: "drain" })
      expect(names(yield* Groups.members(pool))).toEqual(["Worker/d"])
      yield* killed.stop({ mode: "kill" })
      expect(yield* Groups.members(pool)).toEqual([])
      isEmpty(host, refs)
      // a new life under the old key is no member
      host.spawnUnsafe(worker, "d")
      expect(yield* Groups.members(pool)).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a hosted actor is made when it joins, and dropped when that life ends", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      yield* ActorSystem.host(worker)
      yield* Groups.join(pool, Worker.at("v"))
      expect([host.state(Worker.at("v")), names(yield* Groups.members(pool))]).toEqual(["active", ["Worker/v"]])
      yield* Worker.at("v").stop()
      expect(yield* Groups.leave(pool, Worker.at("v"))).toBe(false)
      expect([host.state(Worker.at("v")), yield* Groups.members(pool)]).toEqual(["stopped", []])
      yield* Worker.at("v").tell("Job", { id: 1 })
      expect(yield* Groups.members(pool)).toEqual([])
      isEmpty(host, [])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("who does not live, drains or is quarantined is refused by name", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const refused = (ref: Hand) => Effect.map(Effect.flip(Groups.join(pool, ref)), (error) => error._tag)
      expect(yield* refused(Worker.at("nobody"))).toBe("NoSuchActor")
      const dead = host.spawnUnsafe(worker, "dead")
      yield* dead.stop()
      expect(yield* refused(dead)).toBe("ActorStopped")
      const slow = scripted({ onStop: () => Effect.sleep(100) })
      const draining = host.spawnUnsafe(slow.behavior, "slow")
      yield* Effect.forkChild(draining.stop())
      yield* Effect.yieldNow
      expect(yield* Effect.flip(Groups.join(crew, draining))).toMatchObject({ _tag: "ActorStopped", draining: true })
      yield* TestClock.adjust(100)
      yield* ActorSystem.host(worker)
      for (let i = 0; i < 2; i++) {
        yield* Worker.at("q").tell("Job", { id: -1 })
        yield* TestClock.adjust(10)
      }
      expect(yield* refused(Worker.at("q"))).toBe("Quarantined")
      isEmpty(host, [])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("memberships of all groups together are bounded; one that ends makes room", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const [a, b] = three(host)
      yield* Groups.join(pool, a)
      yield* Groups.join(Groups.key(Worker, "spare"), a)
      yield* Groups.join(pool, a) // is one already
      const error = yield* Effect.flip(Groups.join(pool, b))
      expect([error._tag, error.message]).toEqual([
        "LimitReached",
        "memberships: all 2 are in use (system option memberships)"
      ])
      expect(() => Groups.joinUnsafe(pool, b)).toThrow(error.message)
      expect(names(yield* Groups.members(pool))).toEqual(["Worker/a"])
      yield* Groups.leave(pool, a)
      yield* Groups.join(pool, b)
      expect(names(yield* Groups.members(pool))).toEqual(["Worker/b"])
    }).pipe(Effect.provide(TestSystem.layerOf({ memberships: 2 })))
  )

  it.effect("publish tells every member and answers how many took it; it waits for none", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const refs = three(host)
      expect(yield* Groups.publish(pool, "Job", { id: 1 })).toBe(0)
      for (const ref of refs) yield* Groups.join(pool, ref)
      expect(yield* Groups.publish(pool, "Job", { id: 2 }, { except: Worker.at("b") })).toBe(2)
      const jobs = Effect.andThen(
        TestClock.adjust(1),
        Effect.forEach(refs, (ref) => ref.ask("Done"))
      )
      expect(yield* jobs).toEqual([[2], [], [2]])
      for (let i = 0; i < 2; i++) refs[0].tellUnsafe("Job", { id: 3 }) // its mailbox is full now
      expect(Groups.publishUnsafe(pool, "Job", { id: 4 })).toBe(2)
      expect(yield* jobs).toEqual([[2, 3, 3], [4], [2, 4]])
      expect(() => Groups.publishUnsafe(pool, "Nothing" as never)).toThrow(InvalidUse)
      const option = { exempt: refs[0] } as unknown as Groups.PublishOptions
      expect(() => Groups.publishUnsafe(pool, "Job", { id: 5 }, option)).toThrow(InvalidOption)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a member may be of another type that understands the same messages; others are refused", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const heard: Array<number> = []
      // Job stands in another place here
      const Clerk = Actor.make("Clerk", { state: Schema.Int, protocol: [Rpc.make("Rest"), Done, Job] })
      const clerk = Clerk.behavior({
        initial: 0,
        on: {
          Rest: (n) => n,
          Done: () => Actor.reply([]),
          Job: (n, { id }) => {
            heard.push(id)
            return n
          }
        }
      })
      const one = host.spawnUnsafe(worker, "one")
      const two = host.spawnUnsafe(clerk, "two")
      const Idler = Actor.make("Idler", { state: Schema.Int, protocol: [Done] })
      const idler = host.spawnUnsafe(Idler.behavior({ initial: 0, on: { Done: () => Actor.reply([]) } }), "i")
      for (const ref of [two, one] as const) yield* Groups.join(pool, ref)
      expect(yield* Groups.publish(pool, "Job", { id: 7 })).toBe(2)
      expect([yield* one.ask("Done"), heard]).toEqual([[7], [7]])
      const exit = yield* Effect.exit(Groups.join(pool, idler as never))
      expect(JSON.stringify(exit)).toContain(String.raw`does not understand \"Job\" of Worker/pool`)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("in a handler, plain or not, it is the handler's own system, also where several live", () =>
    Effect.gen(function* () {
      const other = Context.get(yield* Layer.build(TestSystem.layerOf({ deadLetters: 3 })), ActorSystem)
      const host = yield* ActorSystem
      const { behavior } = scripted()
      const [here, there] = [host.spawnUnsafe(behavior, "a"), other.spawnUnsafe(behavior, "a")]
      const counts: Array<unknown> = []
      send(here, (self) => {
        Groups.joinUnsafe(crew, self.ref)
        counts.push(Groups.membersUnsafe(crew).length, Groups.publishUnsafe(crew, "Note", "plain"))
      })
      yield* TestClock.adjust(1)
      send(there, (self) =>
        Effect.gen(function* () {
          counts.push((yield* Groups.members(crew)).length, yield* Groups.publish(crew, "Note", "x"))
          yield* Groups.join(crew, self.ref)
          yield* Effect.sleep(5)
          counts.push((yield* Groups.members(crew))[0] === self.ref, Groups.membersUnsafe(crew).length)
          counts.push(Groups.leaveUnsafe(crew, self.ref))
        })
      )
      yield* TestClock.adjust(10)
      expect(counts).toEqual([1, 1, 0, 0, true, 1, true])
      expect([host.snapshot().memberships, other.snapshot().memberships]).toEqual([1, 0])
      // outside of handlers: the one provided, and no guess without
      expect(names(yield* Groups.members(crew))).toEqual(["S/a"])
      expect(() => Groups.membersUnsafe(crew)).toThrow(InvalidUse)
      expect(Exit.isFailure(yield* Effect.exit(Effect.promise(() => Effect.runPromise(Groups.members(crew)))))).toBe(
        true
      )
    }).pipe(Effect.scoped, Effect.provide(TestSystem.layer))
  )

  it.effect("who dies in the turn at hand is no member any more; a child whose parent failed never stays one", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted(limits)
      const [boss, victim] = [host.spawnUnsafe(behavior, "boss"), host.spawnUnsafe(behavior, "victim")]
      yield* Groups.join(crew, victim)
      const seen = yield* run(boss, () => {
        victim.cell!.stop({ mode: "kill", millis: undefined, reason: undefined })
        return Actor.reply(Groups.membersUnsafe(crew).length)
      })
      expect(seen).toBe(0)
      const during: Array<number> = []
      send(boss, (self) => {
        Groups.joinUnsafe(crew, self.spawn(behavior, "child"))
        during.push(Groups.membersUnsafe(crew).length)
        throw new Error("asked to")
      })
      yield* TestClock.adjust(1)
      expect([during, yield* Groups.members(crew)]).toEqual([[1], []])
      isEmpty(host, [boss, victim])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("changes says who is in now, then again after each change; a slow reader gets the latest", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const refs = three(host)
      yield* Groups.join(pool, refs[0])
      const seen: Array<ReadonlyArray<string>> = []
      let slow = false
      const reader = yield* Effect.forkChild(
        Stream.runForEach(Groups.changes(pool), (members) => {
          seen.push(names(members))
          return slow ? Effect.sleep(100) : Effect.void
        })
      )
      const until = (n: number) => waitUntil(() => seen.length === n, `${n} changes were seen`)
      yield* until(1)
      yield* Groups.join(pool, refs[1])
      yield* until(2)
      slow = true
      yield* refs[0].stop()
      yield* until(3)
      yield* Groups.join(pool, refs[2])
      yield* Groups.leave(pool, refs[1])
      yield* Groups.join(Groups.key(Worker, "spare"), refs[1]) // another group's
      yield* TestClock.adjust(1000)
      expect(seen).toEqual([["Worker/a"], ["Worker/a", "Worker/b"], ["Worker/b"], ["Worker/c"]])
      yield* Fiber.interrupt(reader)
      yield* Groups.join(pool, refs[1])
      yield* TestClock.adjust(1000)
      expect(seen).toHaveLength(4)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("ten thousand members in ten groups each leave nothing behind when they stop", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const keys = Array.from({ length: 10 }, (_, i) => Groups.key(Worker, `g${i}`))
      const refs = Array.from({ length: 10_000 }, () => host.spawnUnsafe(worker))
      for (const ref of refs) for (const key of keys) Groups.joinUnsafe(key, ref)
      expect(host.snapshot().memberships).toBe(100_000)
      expect(yield* Groups.publish(keys[3]!, "Job", { id: 1 })).toBe(10_000)
      yield* Effect.forEach(refs, (ref) => ref.stop(), { discard: true })
      isEmpty(host, refs)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("members have the protocol of the key's definition, and nothing else can join", () => {
    const _ = (ref: ActorRef<typeof Done>) => {
      expectTypeOf(Groups.membersUnsafe(pool)).toEqualTypeOf<ReadonlyArray<ActorRef<typeof Job | typeof Done>>>()
      // @ts-expect-error it does not understand Job
      Groups.joinUnsafe(pool, ref)
      // @ts-expect-error an unknown tag
      Groups.publishUnsafe(pool, "Rest")
      // @ts-expect-error a payload of another shape
      Groups.publishUnsafe(pool, "Job", { id: "1" })
      // @ts-expect-error a payload that is missing
      Groups.publishUnsafe(pool, "Job")
    }
    expect(() => Groups.key(Worker, "")).toThrow(InvalidOption)
    expect(String(pool)).toBe("Worker/pool")
  })
})
