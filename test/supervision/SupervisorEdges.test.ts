/**
 * A supervisor at its edges: children that end, fail or are ordered about while others go down and come back.
 *
 * Each test names what OTP's `supervisor` does there; `Supervisor.test.ts` has the option matrix.
 */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type Host, Supervisor } from "troupe"
import { TestSystem } from "troupe/testkit"
import { fromAddress } from "../../src/actor/ActorRef.ts"
import { type P, run, scripted, send } from "../actor/Scripted.ts"
import { settled } from "../laws/Tally.ts"

type Sup = ActorRef<Supervisor.Messages>

/** Children that write their starts and stops into one log. */
const crew = (starts: (name: string, n: number) => unknown = () => 0) => {
  const log: Array<string> = []
  const counts = new Map<string, number>()
  const member = (name: string) =>
    scripted({
      initial: () => {
        const n = (counts.get(name) ?? 0) + 1
        counts.set(name, n)
        log.push(`+${name}`)
        return starts(name, n)
      },
      onStop: () => Effect.sync(() => void log.push(`-${name}`))
    }).behavior
  return { log, member }
}

const { protocol } = scripted().behavior.plan
const child = (sup: ActorRef<never>, id: string): ActorRef<P> =>
  fromAddress(protocol, `${sup.address}/S/${id}`) as ActorRef as ActorRef<P>

const states = (sup: Sup) =>
  Effect.map(Effect.orDie(sup.ask("WhichChildren")), (all) => all.map(({ id, state }) => `${id} ${state}`))

const down = (): never => {
  throw new Error("down")
}

const decisionsOf = (host: Host): Array<string> => {
  const decisions: Array<string> = []
  host.system.onFailure.add(({ decision }) => void decisions.push(decision))
  return decisions
}

describe("rest_for_one", () => {
  it.effect("a child killed before the group comes to it waits its turn: those before it are not forgotten", () =>
    Effect.gen(function* () {
      const { log, member } = crew((name, n) => (name === "a" && n === 2 ? Effect.as(Effect.sleep(10), 0) : 0))
      const children = ["a", "b", "c"].map((id) => ({ id, behavior: member(id) }))
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", { strategy: "rest_for_one", intensity: { restarts: 3 }, children }),
        "s"
      )
      expect(yield* states(sup)).toHaveLength(3)
      log.length = 0
      send(child(sup, "a"), down)
      yield* TestClock.adjust(5)
      expect(log).toEqual(["+a"])
      yield* child(sup, "c").stop({ mode: "kill" })
      yield* TestClock.adjust(20)
      expect(log).toEqual(["+a", "+b", "+c"])
      expect(yield* states(sup)).toEqual(["a running", "b running", "c running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("directives", () => {
  it.effect("resume of a start that failed is a restart: there is no state to keep", () =>
    Effect.gen(function* () {
      const ref = yield* ActorSystem.spawn(
        scripted({
          initial: (
            (n) => () =>
              ++n === 1 ? Effect.die("not yet") : n
          )(0),
          supervision: { directive: () => "resume", backoff: { min: 1, jitter: false } }
        }).behavior,
        "a"
      )
      yield* TestClock.adjust(1)
      expect(yield* run(ref, (_, state) => Actor.reply(state))).toBe(2)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one that answers with no directive stops the actor, and the report says what it answered", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const decisions = decisionsOf(host)
      const causes: Array<string> = []
      host.system.onFailure.add(({ error }) => void causes.push(Cause.pretty(error.cause as never)))
      const ref = yield* ActorSystem.spawn(
        scripted({ supervision: { directive: () => "retry" as never } }).behavior,
        "a"
      )
      send(ref, down)
      expect((yield* ref.watch())._tag).toBe("failed")
      expect(decisions).toEqual(["its directive or backoff threw, stopped"])
      expect(causes[0]).toContain("retry")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("a backoff Schedule", () => {
  it.effect("goes on from failure to failure, and begins anew after resetAfter without one", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted({
        supervision: { backoff: Schedule.exponential("1 second"), resetAfter: "1 minute" }
      })
      const ref = yield* ActorSystem.spawn(behavior, "a")
      for (const [since, wait] of [
        [0, 1000],
        [0, 2000],
        [57_999, 4000],
        [60_000, 1000]
      ] as const) {
        yield* TestClock.adjust(Math.max(1, since))
        send(ref, down)
        yield* TestClock.adjust(wait - 1)
        expect(host.state(ref)).toBe("connecting")
        yield* TestClock.adjust(1)
        expect(host.state(ref)).toBe("active")
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("a backoff Schedule that throws", () => {
  const broken = Schedule.modifyDelay(Schedule.forever, () => Effect.die("broken schedule"))
  for (const how of ["stops itself", "is killed", "fails"] as const) {
    it.effect(`stops a permanent child that ${how}: reported, its supervisor goes on`, () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const decisions = decisionsOf(host)
        const { member } = crew()
        const sup = yield* ActorSystem.spawn(
          Supervisor.make("Sup", {
            strategy: "one_for_one",
            children: [{ id: "a", behavior: member("a"), backoff: broken }]
          }),
          "s"
        )
        yield* states(sup)
        const a = child(sup, "a")
        const ended = yield* Effect.forkChild(a.watch(), { startImmediately: true })
        if (how === "is killed") yield* Effect.forkChild(a.stop({ mode: "kill" }), { startImmediately: true })
        else send(a, how === "fails" ? down : (self) => self.stop())
        yield* TestClock.adjust(1)
        expect(ended.pollUnsafe()).toBeDefined()
        expect(decisions).toHaveLength(1)
        expect(decisions[0]).toContain("its directive or backoff threw")
        expect(yield* states(sup)).toEqual(["a undefined"])
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

describe("a dynamic child that is due to come back", () => {
  const pool = (options: object = {}) =>
    Supervisor.make("Pool", {
      strategy: "dynamic",
      child: {
        behavior: crew().member("w"),
        restart: "permanent",
        backoff: { min: 1000, max: 1000, jitter: false }
      },
      ...options
    })
  it.effect("keeps its key and its place, is told as restarting, and can be terminated", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(pool({ maxChildren: 1 }), "p")
      const a = yield* sup.ask("StartChild", { key: "a" })
      yield* a.stop({ mode: "kill" })
      expect((yield* sup.ask("WhichChildren")).map(({ id, state, ref }) => [id, state, ref])).toEqual([
        ["a", "restarting", undefined]
      ])
      expect(yield* sup.ask("CountChildren")).toMatchObject({ specs: 1, active: 0, workers: 1 })
      expect(yield* Effect.flip(sup.ask("StartChild", { key: "a" }))).toMatchObject({ _tag: "NameTaken" })
      expect(yield* Effect.flip(sup.ask("StartChild", { key: "b" }))).toMatchObject({ _tag: "TooManyChildren" })
      yield* sup.ask("TerminateChild", "a")
      yield* TestClock.adjust(2000)
      expect(yield* sup.ask("WhichChildren")).toEqual([])
      const again = yield* sup.ask("StartChild", { key: "a" })
      yield* again.stop({ mode: "kill" })
      yield* sup.ask("TerminateChild", again)
      yield* TestClock.adjust(2000)
      expect(yield* sup.ask("WhichChildren")).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("all_significant: it is still one of them", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Pool", {
          strategy: "dynamic",
          autoShutdown: "all_significant",
          child: {
            behavior: crew().member("w"),
            restart: "transient",
            significant: true,
            backoff: { min: 1000, max: 1000, jitter: false }
          }
        }),
        "p"
      )
      const [a, b] = [yield* sup.ask("StartChild", { key: "a" }), yield* sup.ask("StartChild", { key: "b" })]
      yield* a.stop({ mode: "kill" })
      yield* b.stop()
      yield* TestClock.adjust(1)
      expect((yield* ActorSystem).state(sup)).toBe("active")
      yield* TestClock.adjust(1000)
      expect((yield* sup.ask("WhichChildren")).map(({ id, state }) => `${id} ${state}`)).toEqual(["a running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("one without a key is terminated by the id that WhichChildren tells", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(pool(), "p")
      yield* sup.ask("StartChild", {})
      const [first] = yield* sup.ask("WhichChildren")
      yield* sup.ask("TerminateChild", first!.id)
      expect(yield* sup.ask("WhichChildren")).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("a group that goes down", () => {
  for (const restart of ["permanent", "transient", "temporary"] as const) {
    for (const how of ["fails", "stops itself", "is killed"] as const) {
      it.effect(`a ${restart} sibling that ${how} on the way is not counted, and shuts nothing down`, () =>
        Effect.gen(function* () {
          const host = yield* ActorSystem
          const decisions = decisionsOf(host)
          const { log, member } = crew()
          const significant = restart !== "permanent"
          const sup = yield* ActorSystem.spawn(
            Supervisor.make("Sup", {
              strategy: "one_for_all",
              autoShutdown: "any_significant",
              children: [
                { id: "a", behavior: member("a"), restart, significant },
                { id: "b", behavior: member("b") }
              ]
            }),
            "s"
          )
          yield* states(sup)
          // b's fork takes its time to end: a is told to go down after that
          yield* run(child(sup, "b"), (self) => {
            self.fork(Effect.onInterrupt(Effect.never, () => Effect.sleep(10)))
          })
          yield* settled(host)
          log.length = 0
          send(child(sup, "b"), down)
          yield* TestClock.adjust(5)
          if (how === "is killed") yield* child(sup, "a").stop({ mode: "kill" })
          else send(child(sup, "a"), how === "fails" ? down : (self) => self.stop())
          yield* TestClock.adjust(20)
          expect(host.state(sup)).toBe("active")
          expect(log.filter((line) => line.startsWith("+"))).toEqual(restart === "temporary" ? ["+b"] : ["+a", "+b"])
          const told = { fails: "goes down with its siblings", stops: "stopped itself, goes down with its siblings" }
          const second =
            how === "fails" ? [told.fails] : how === "stops itself" && restart === "permanent" ? [told.stops] : []
          expect(decisions).toEqual(["restarts in 0 ms", ...second])
        }).pipe(Effect.provide(TestSystem.layer))
      )
    }
  }
  for (const how of ["terminated", "gone"] as const) {
    it.effect(`comes back with those that had ended before (${how}), as OTP starts all of them`, () =>
      Effect.gen(function* () {
        const { log, member } = crew()
        const children = ["a", "b", "c"].map((id) => ({ id, behavior: member(id), restart: "transient" as const }))
        const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
        yield* states(sup)
        if (how === "terminated") yield* sup.ask("TerminateChild", "a")
        else {
          yield* child(sup, "a").stop()
        }
        expect(yield* states(sup)).toEqual(["a undefined", "b running", "c running"])
        log.length = 0
        send(child(sup, "b"), down)
        yield* TestClock.adjust(1)
        expect(log).toEqual(["+a", "+b", "+c"])
        expect(yield* states(sup)).toEqual(["a running", "b running", "c running"])
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

describe("a group whose last member is terminated", () => {
  it.effect("is over: who is started then does not wait for it, and what ends it counts", () =>
    Effect.gen(function* () {
      const decisions = decisionsOf(yield* ActorSystem)
      const { log, member } = crew()
      const backoff = { min: 1000, max: 1000, jitter: false }
      const sup: Sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "rest_for_one",
          intensity: { restarts: 3 },
          children: ["a", "b"].map((id) => ({ id, behavior: member(id), backoff }))
        }),
        "s"
      )
      yield* states(sup)
      send(child(sup, "b"), down)
      expect(yield* states(sup)).toEqual(["a running", "b restarting"])
      yield* sup.ask("TerminateChild", "b")
      yield* sup.ask("RestartChild", "b")
      expect(yield* states(sup)).toEqual(["a running", "b running"])
      send(child(sup, "b"), down)
      expect(yield* states(sup)).toEqual(["a running", "b restarting"])
      yield* TestClock.adjust(2000)
      expect(log).toEqual(["+a", "+b", "+b", "+b"])
      expect(decisions).toEqual(["restarts in 1000 ms", "restarts in 1000 ms"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("a group on its way up", () => {
  for (const how of ["fails", "is killed"] as const) {
    it.effect(`one that ${how} while one before it stops by itself takes down who comes after it`, () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const decisions = decisionsOf(host)
        const kinds: Record<string, "permanent" | "transient"> = { a: "transient", b: "permanent", c: "permanent" }
        const slow = (name: string, n: number) => (name === "c" && n === 2 ? Effect.as(Effect.sleep(10), 0) : 0)
        const { log, member } = crew(slow)
        const sup: Sup = yield* ActorSystem.spawn(
          Supervisor.make("Sup", {
            strategy: "rest_for_one",
            intensity: { restarts: 3 },
            children: ["a", "b", "c"].map((id) => ({ id, behavior: member(id), restart: kinds[id]! }))
          }),
          "s"
        )
        yield* states(sup)
        send(child(sup, "a"), down)
        yield* TestClock.adjust(1)
        const coming = ["a", "b", "c"].map((id) => host.state(child(sup, id)))
        expect(coming).toEqual(["active", "active", "connecting"])
        // a's fork takes its time to end
        yield* run(child(sup, "a"), (self) => {
          self.fork(Effect.onInterrupt(Effect.never, () => Effect.sleep(5)))
          self.stop()
        })
        log.length = 0
        if (how === "fails") send(child(sup, "b"), down)
        else yield* child(sup, "b").stop({ mode: "kill" })
        yield* TestClock.adjust(20)
        expect(log.filter((line) => line.startsWith("+"))).toEqual(["+b", "+c"])
        expect(yield* states(sup)).toEqual(["a undefined", "b running", "c running"])
        expect(decisions).toEqual([
          "restarts in 0 ms",
          how === "fails" ? "restarts in 0 ms" : "killed, made anew in 0 ms"
        ])
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})

describe("a budget of its own", () => {
  it.effect("leaves its siblings' alone; out of it, the child stops alone", () =>
    Effect.gen(function* () {
      const { member } = crew()
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          intensity: { restarts: 1 },
          children: [
            { id: "a", behavior: member("a"), intensity: { restarts: 3 } },
            { id: "b", behavior: member("b") }
          ]
        }),
        "s"
      )
      yield* states(sup)
      for (const id of ["a", "a", "b", "a"]) {
        send(child(sup, id), down)
        yield* TestClock.adjust(1)
        expect(yield* states(sup)).toEqual(["a running", "b running"])
      }
      send(child(sup, "a"), down)
      yield* TestClock.adjust(1)
      expect(yield* states(sup)).toEqual(["a undefined", "b running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a significant child that is killed once too often has ended for good, and counts", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          autoShutdown: "any_significant",
          children: [
            {
              id: "a",
              behavior: crew().member("a"),
              restart: "transient",
              significant: true,
              intensity: { restarts: 1 }
            }
          ]
        }),
        "s"
      )
      yield* states(sup)
      for (let n = 0; n < 2; n++) yield* child(sup, "a").stop({ mode: "kill" })
      expect(yield* sup.watch()).toEqual({ _tag: "shutdown" })
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe('shutdown "kill"', () => {
  it.effect("is a kill, also of a child that would end at once", () =>
    Effect.gen(function* () {
      // nothing to wait for: a stop would find it gone before any time has passed
      const plain = Actor.make("Plain", { state: Schema.Int, protocol: [] }).behavior({ initial: 0, on: {} })
      const children = [
        { id: "a", behavior: plain },
        { id: "b", behavior: plain, shutdown: "kill" as const }
      ]
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_one", children }), "s")
      const refs = (yield* sup.ask("WhichChildren")).map(({ ref }) => ref!.watch())
      const ends = yield* Effect.forkChild(Effect.all(refs, { concurrency: 2 }), { startImmediately: true })
      yield* sup.stop()
      expect(yield* Fiber.join(ends)).toEqual([{ _tag: "shutdown" }, { _tag: "killed" }])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("by order", () => {
  it.effect("a RestartChild that is killed before it is ready keeps its place", () =>
    Effect.gen(function* () {
      const { member } = crew((_, n) => (n === 2 ? Effect.as(Effect.sleep(10), 0) : 0))
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", { strategy: "one_for_one", children: [{ id: "a", behavior: member("a") }] }),
        "s"
      )
      yield* states(sup)
      yield* sup.ask("TerminateChild", "a")
      const starting = yield* Effect.forkChild(Effect.flip(sup.ask("RestartChild", "a")), { startImmediately: true })
      yield* TestClock.adjust(5)
      yield* child(sup, "a").stop({ mode: "kill" })
      expect(yield* Fiber.join(starting)).toMatchObject({ _tag: "StartFailed" })
      expect(yield* states(sup)).toEqual(["a undefined"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "a TerminateChild is done when the child has ended: a group that begins then brings it back, as in OTP",
    () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const backoff = { min: 10, max: 10, jitter: false }
        const b = scripted().behavior
        const a = scripted({
          initial: () => void log.push("+a"),
          // b's turn comes before the supervisor goes on with its command
          onStop: (why) => Effect.sync(() => why._tag === "shutdown" && send(child(sup, "b"), down))
        }).behavior
        const children = [
          { id: "a", behavior: a, backoff },
          { id: "b", behavior: b, backoff }
        ]
        const sup: Sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
        expect(yield* states(sup)).toEqual(["a running", "b running"])
        yield* sup.ask("TerminateChild", "a")
        expect(yield* states(sup)).toEqual(["a restarting", "b restarting"])
        yield* TestClock.adjust(10)
        expect(yield* states(sup)).toEqual(["a running", "b running"])
        expect(log).toEqual(["+a", "+a"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it("maxChildren may be as many as it says", () => {
    const big = Supervisor.make("Pool", {
      strategy: "dynamic",
      child: { behavior: crew().member("w") },
      maxChildren: 2_000_000
    })
    expect(big.plan.children).toBe(2_000_000)
  })
})
