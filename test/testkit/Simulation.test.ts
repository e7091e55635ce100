import { describe, expect, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Effect, Exit, Fiber, Random, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, Agent } from "troupe"
import { Simulation } from "troupe/testkit"

const Tally = Actor.make("Tally", {
  state: Schema.Struct({ sum: Schema.Int, seen: Schema.Array(Schema.String) }),
  protocol: [
    Rpc.make("Add", { payload: { by: Schema.Int, who: Schema.String } }),
    Rpc.make("Sum", { success: Schema.Int })
  ]
})
const seen: Array<string> = []
const tally = Tally.behavior({
  initial: () => {
    seen.length = 0
    return { sum: 0, seen: [] }
  },
  supervision: { backoff: { min: "10 millis" } },
  on: {
    Add: (state, { by, who }) => {
      seen.push(who)
      return { sum: state.sum + by, seen: [...state.seen, who] }
    },
    Sum: (state) => Actor.reply(state.sum)
  }
})

/** Three senders, beside each other; it breaks when something big of z's comes right behind something big of x's. */
const adders: Simulation.Program<number, unknown> = (sim) =>
  Effect.gen(function* () {
    const ref = yield* ActorSystem.spawn(tally, "one")
    const sender = (who: string) =>
      Effect.gen(function* () {
        const chance = sim.chanceOf(who)
        for (let n = chance.below(10); n > 0; n--) {
          const by = chance.below(20)
          sim.note(`${who} adds ${by}`)
          yield* ref.tell("Add", { by, who: by > 10 ? `big ${who}` : who })
          yield* Effect.sleep(chance.below(3))
        }
      })
    yield* Effect.all(["x", "y", "z"].map(sender), { concurrency: "unbounded" })
    const sum = yield* ref.ask("Sum")
    const met = seen.some((who, i) => who === "big x" && seen[i + 1] === "big z")
    sim.check(!met, "x and z have met")
    return sum
  })

/** What a search or a run fails with. */
const failureOf = <A>(run: Effect.Effect<A, Simulation.SimulationFailed>) => Effect.flip(run)

describe("Simulation.run", () => {
  it.effect(
    "is a function of its seed: the traces of two runs are equal byte for byte, those of two seeds are not",
    () =>
      Effect.gen(function* () {
        const traces = new Set<string>()
        for (let seed = 1; seed <= 10; seed++) {
          const [once, again] = yield* Effect.all([
            Effect.exit(Simulation.run(seed, adders)),
            Effect.exit(Simulation.run(seed, adders))
          ])
          const text = (exit: typeof once) =>
            Exit.isSuccess(exit)
              ? exit.value.trace.join("\n")
              : String(exit.cause.reasons.map((reason) => "error" in reason && reason.error.message))
          expect(text(again)).toBe(text(once))
          traces.add(text(once))
        }
        expect(traces.size).toBe(10)
      })
  )

  it.effect("lets virtual time pass as soon as nothing else can go on, TestClock's adjust included", () =>
    Effect.gen(function* () {
      const { value, millis } = yield* Simulation.run(1, () =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(Effect.as(Effect.sleep("1 hour"), "slept"))
          yield* Effect.sleep("30 minutes")
          expect(fiber.pollUnsafe()).toBeUndefined()
          yield* TestClock.adjust("30 minutes")
          expect(fiber.pollUnsafe()).toEqual(Exit.succeed("slept"))
          return yield* Clock.currentTimeMillis
        })
      )
      expect(value).toBe(3_600_000)
      expect(millis).toBe(7_200_000)
    })
  )

  it.effect("draws Math.random and Effect's Random from the seed, and gives Math.random back", () =>
    Effect.gen(function* () {
      const real = Math.random
      const draws = () => Effect.map(Random.next, (effect) => [effect, Math.random()])
      const one = yield* Simulation.run(7, draws)
      const two = yield* Simulation.run(7, draws)
      const other = yield* Simulation.run(8, draws)
      expect(two.value).toEqual(one.value)
      expect(other.value).not.toEqual(one.value)
      yield* failureOf(Simulation.run(7, () => Effect.die("in the middle")))
      expect(Math.random).toBe(real)
    })
  )

  it.effect("chooses which of two waiting senders goes first, and keeps the order of each", () =>
    Effect.gen(function* () {
      const orders = new Set<string>()
      const program: Simulation.Program<ReadonlyArray<string>, unknown> = () =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(tally, "one")
          const sender = (who: string) =>
            Effect.forEach([1, 2, 3], (n) =>
              Effect.andThen(Effect.yieldNow, ref.tell("Add", { by: 1, who: `${who}${n}` }))
            )
          yield* Effect.all([sender("x"), sender("y")], { concurrency: "unbounded" })
          yield* ref.ask("Sum")
          return [...seen]
        })
      for (let seed = 1; seed <= 60; seed++) {
        const { value } = yield* Simulation.run(seed, program)
        for (const who of ["x", "y"]) {
          expect(value!.filter((name) => name.startsWith(who))).toEqual([1, 2, 3].map((n) => `${who}${n}`))
        }
        orders.add(value!.join(" "))
      }
      // all 20 ways to merge three with three
      expect(orders.size).toBe(20)
    })
  )

  it.effect("a program that waits for a promise is told so: there is no outside", () =>
    Effect.gen(function* () {
      const { failure, message } = yield* failureOf(Simulation.run(1, () => Effect.promise(() => Promise.resolve(1))))
      expect(failure.kind).toBe("stuck")
      expect(message).toContain("outside of the simulation")
    })
  )

  it.effect("a program that waits for itself is told so, however many actors sleep", () =>
    Effect.gen(function* () {
      const program = () =>
        Effect.andThen(ActorSystem.spawn(tally, "one"), Effect.flatMap(Deferred.make<number>(), Deferred.await))
      expect((yield* failureOf(Simulation.run(1, program))).failure.kind).toBe("stuck")
    })
  )

  it.effect("a run that does not end within maxSteps has failed, in fibers as in actors", () =>
    Effect.gen(function* () {
      const Loop = Actor.make("Loop", { state: Schema.Int, protocol: [Rpc.make("Again")] })
      const loop = Loop.behavior({
        initial: 0,
        on: {
          Again: (state, _, self) => {
            self.send(self.ref, "Again")
            return state + 1
          }
        }
      })
      const turns = () =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(loop, "one")
          yield* ref.tell("Again")
          yield* ref.watch()
        })
      for (const program of [turns, () => Effect.forever(Effect.yieldNow)]) {
        const { failure } = yield* failureOf(Simulation.run(1, program, { maxSteps: 2000 }))
        expect(failure.kind).toBe("endless")
      }
      // nothing of them is left
      expect((yield* Simulation.run(1, () => Effect.succeed("fine"))).value).toBe("fine")
    })
  )

  it.effect("a program that dies has failed, with its error", () =>
    Effect.gen(function* () {
      const { failure } = yield* failureOf(Simulation.run(1, () => Effect.die(new Error("mine"))))
      expect(failure.kind).toBe("program")
      expect(failure.text).toContain("mine")
    })
  )

  it.effect("asks the invariant at every turn boundary, and stops at the first that does not hold", () =>
    Effect.gen(function* () {
      let looks = 0
      const invariant = (): ReadonlyArray<string> => (++looks < 5 ? [] : ["the fifth look"])
      const { failure } = yield* failureOf(Simulation.run(3, adders, { invariant }))
      expect(failure).toEqual({ kind: "invariant", text: "the fifth look" })
      expect(looks).toBe(5)
    })
  )

  it.effect("an invariant that throws breaks the run", () =>
    Effect.gen(function* () {
      const invariant = (): never => {
        throw new Error("no look")
      }
      const { message } = yield* failureOf(Simulation.run(3, adders, { invariant }))
      expect(message).toContain("the invariant itself threw: Error: no look")
      expect(message).toContain("Simulation.test.ts")
    })
  )

  it.effect("books that do not balance break it, with law 4 and the actor", () =>
    Effect.gen(function* () {
      const program: Simulation.Program<void, unknown> = () =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(tally, "one")
          yield* ref.ask("Sum")
          ref.cell!.accepted++
          yield* Effect.exit(ref.tell("Add", { by: 1, who: "x" }))
        })
      const { message } = yield* failureOf(Simulation.run(1, program))
      expect(message).toContain("law 4, conservation: Tally/one: accepted")
    })
  )

  it.effect("an actor that holds more than it may breaks it, with law 3", () =>
    Effect.gen(function* () {
      const program: Simulation.Program<void, unknown> = () =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(tally, "one")
          yield* ref.ask("Sum")
          ref.cell!.record().sending = 2000
          yield* ref.ask("Sum")
        })
      expect((yield* failureOf(Simulation.run(1, program))).message).toContain(
        "law 3, bounds: Tally/one: waiting sends"
      )
    })
  )

  it.effect("stops the actors that the program leaves, with all the time they take", () =>
    Effect.gen(function* () {
      let ended = 0
      const slow = Tally.behavior({
        initial: { sum: 0, seen: [] },
        shutdown: "1 minute",
        on: { Add: (state) => state, Sum: () => Actor.reply(0) },
        onStop: () =>
          Effect.andThen(
            Effect.sleep("30 seconds"),
            Effect.sync(() => ended++)
          )
      })
      const { failure } = yield* Simulation.run(1, (sim) => {
        sim.atEnd(() => sim.check(ended === 1, "its finalizer has not run"))
        return Effect.asVoid(ActorSystem.spawn(slow, "one"))
      })
      expect(failure).toBeUndefined()
      expect(ended).toBe(1)
    })
  )

  it.effect("refuses what is no seed and no schedule, by name", () =>
    Effect.gen(function* () {
      for (const seed of ["t1.!!", "t1._w", "hello", 0.5]) {
        const exit = yield* Effect.exit(Simulation.run(seed, adders))
        expect(String(Exit.isFailure(exit) && Cause.squash(exit.cause))).toContain("simulation.seed")
      }
    })
  )
})

describe("Simulation.explore", () => {
  it.effect("finds the seed that breaks, shrinks it to the least there is, and both replay exactly", () =>
    Effect.gen(function* () {
      const found = yield* failureOf(Simulation.explore({ runs: 100, program: adders }))
      expect(found.seed).toBeGreaterThanOrEqual(1)
      expect(found.failure.text).toBe("x and z have met")
      // x and z send once each, 11 each: two choices a sender, and who is first, if that matters
      expect(found.choices).toBeLessThanOrEqual(6)
      expect(found.trace.filter((line) => line.includes(" adds "))).toHaveLength(2)
      expect(found.foundChoices).toBeGreaterThan(found.choices)
      expect(found.message).toContain(`Simulation.run(${found.seed}, program)`)
      expect(found.message).toContain(`Simulation.run("${found.schedule}", program)`)
      const short = yield* failureOf(Simulation.run(found.schedule, adders))
      expect(short.trace.join("\n")).toBe(found.trace.join("\n"))
      expect(short.failure).toEqual(found.failure)
      expect(short.schedule).toBe(found.schedule)
      const long = yield* failureOf(Simulation.run(found.seed!, adders))
      expect(long.choices).toBe(found.foundChoices)
    })
  )

  it.effect("does not shrink into another failure", () =>
    Effect.gen(function* () {
      // the simplest run of all fails too, in another way
      const program: Simulation.Program<void, unknown> = (sim) =>
        Effect.sync(() => {
          const n = sim.chance.below(1000)
          sim.check(n !== 0, "nothing was drawn")
          sim.check(n < 100, "too high")
        })
      const found = yield* failureOf(Simulation.explore({ runs: 50, program }))
      expect(found.failure.text).toBe("too high")
      expect(found.trace.at(-1)).toContain("too high")
    })
  )

  it.effect("tells of the runs that hold, and begins none after its time", () =>
    Effect.gen(function* () {
      const seeds: Array<number> = []
      const program = () => Effect.void
      const explored = yield* Simulation.explore({ runs: 5, seed: 40, program, onRun: (_, seed) => seeds.push(seed) })
      expect(seeds).toEqual([40, 41, 42, 43, 44])
      expect(explored.runs).toBe(5)
      expect((yield* Simulation.explore({ runs: 1_000_000, maxMillis: 0, program })).runs).toBe(0)
    })
  )
})

describe("sim, the handle", () => {
  const Room = Agent.make("Room", {
    state: Schema.Array(Schema.String),
    clients: [
      Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.Int }),
      Rpc.make("Think", { success: Schema.Int })
    ],
    events: [Rpc.make("Said", { payload: Schema.String })],
    protocol: [Rpc.make("Hush")]
  })
  const heard: Array<string> = []
  const room = Room.behavior({
    initial: () => {
      heard.length = 0
      return []
    },
    on: {
      Say: (lines, { text }, self) => {
        self.broadcast("Said", text, { except: self.client })
        return Actor.reply(lines.length + 1, [...lines, text])
      },
      *Think() {
        yield* Effect.onInterrupt(Effect.sleep("1 minute"), () => Effect.sync(() => heard.push("interrupted")))
        return Actor.reply(42)
      },
      Hush: (_, __, self) => {
        for (const client of self.clients) self.close(client, 4000, "hush")
        return []
      }
    },
    onConnect: (_, { id }) => void heard.push(`${id} connects`),
    onDisconnect: (_, { id }, { code }) => void heard.push(`${id} leaves ${code}`)
  })

  it.effect("a client calls what stands in clients, and hears events", () =>
    Effect.gen(function* () {
      const { value } = yield* Simulation.run(1, (sim) =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(room, "lobby")
          const one = yield* sim.client(ref)
          const other = yield* sim.client(ref)
          const first = yield* one.request("Say", { text: "hi" })
          expect(one.notify("Say", { text: "again" })).toBe(true)
          yield* sim.settled
          expect(() => one.notify("Hush")).toThrow(/nothing that clients may call/)
          return { first, one: one.events.length, other: other.events }
        })
      )
      expect(value).toEqual({
        first: 1,
        one: 0,
        other: [
          { tag: "Said", payload: "hi" },
          { tag: "Said", payload: "again" }
        ]
      })
    })
  )

  it.effect("a cut interrupts the requests of a client, and the agent hears of it", () =>
    Effect.gen(function* () {
      const { value } = yield* Simulation.run(1, (sim) =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(room, "lobby")
          const client = yield* sim.client(ref)
          const thinking = yield* Effect.forkChild(client.request("Think"))
          yield* Effect.sleep(10)
          expect([client.cut(), client.cut()]).toEqual([true, false])
          const exit = yield* Fiber.await(thinking)
          yield* sim.settled
          expect(client.notify("Say", { text: "gone" })).toBe(false)
          return { interrupted: Exit.hasInterrupts(exit), heard: [...heard] }
        })
      )
      expect(value).toEqual({ interrupted: true, heard: ["c1 connects", "interrupted", "c1 leaves 1006"] })
    })
  )

  it.effect("an agent that closes a client, or ends, is heard of by the client", () =>
    Effect.gen(function* () {
      const { value } = yield* Simulation.run(1, (sim) =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(room, "lobby")
          const one = yield* sim.client(ref)
          yield* ref.tell("Hush")
          yield* sim.settled
          const other = yield* sim.client(ref)
          yield* ref.stop()
          yield* sim.settled
          const late = yield* Effect.flip(sim.client(ref))
          return [one.closed?.code, other.closed?.code, late._tag]
        })
      )
      expect(value).toEqual([4000, 1001, "ActorStopped"])
    })
  )

  /** A tally that does something when it is asked. */
  const summing = (first: () => void) =>
    Tally.behavior({
      initial: { sum: 0, seen: [] },
      on: {
        Add: (state) => state,
        Sum: () => {
          first()
          return Actor.reply(1)
        }
      }
    })

  it.effect("failHere fails always at 1, never at 0", () =>
    Effect.gen(function* () {
      const asked = (p: number) =>
        Simulation.run(1, (sim) =>
          Effect.gen(function* () {
            const ref = yield* ActorSystem.spawn(
              summing(() => sim.failHere(p)),
              "one"
            )
            return (yield* Effect.exit(ref.ask("Sum")))._tag
          })
        )
      for (let n = 0; n < 20; n++) {
        expect((yield* asked(0)).value).toBe("Success")
        expect((yield* asked(1)).value).toBe("Failure")
      }
    })
  )

  it.effect("a handler that is slow lets time pass and holds up everybody's timers", () =>
    Effect.gen(function* () {
      const { value } = yield* Simulation.run(1, (sim) =>
        Effect.gen(function* () {
          const ref = yield* ActorSystem.spawn(
            summing(() => sim.slow(80)),
            "one"
          )
          const late = yield* Effect.forkChild(Effect.andThen(Effect.sleep(10), Clock.currentTimeMillis), {
            startImmediately: true
          })
          yield* ref.ask("Sum")
          return yield* Fiber.join(late)
        })
      )
      expect(value).toBe(80)
    })
  )

  it.effect("a faulty behaviour fails before or after its handler, and nothing of it is kept", () =>
    Effect.gen(function* () {
      for (const rates of [
        { before: 1, after: 0 },
        { before: 0, after: 1 }
      ]) {
        const { value } = yield* Simulation.run(1, (sim) =>
          Effect.gen(function* () {
            const faulty = sim.faulty(tally, { slow: 0, suspend: 0, ...rates })
            const ref = yield* ActorSystem.spawn(faulty, "one")
            const exit = yield* Effect.flip(ref.ask("Add", { by: 1, who: "x" }))
            return [exit._tag, seen.length]
          })
        )
        expect(value).toEqual(["CalleeFailed", rates.before === 1 ? 0 : 1])
      }
    })
  )

  it.effect("a faulty behaviour that is only late answers as it would", () =>
    Effect.gen(function* () {
      for (const rates of [{ slow: 1 }, { suspend: 1 }]) {
        const { value, millis } = yield* Simulation.run(2, (sim) =>
          Effect.gen(function* () {
            const faulty = sim.faulty(tally, { before: 0, after: 0, slow: 0, suspend: 0, maxMillis: 500, ...rates })
            const ref = yield* ActorSystem.spawn(faulty, "one")
            yield* ref.ask("Add", { by: 3, who: "x" })
            return yield* ref.ask("Sum")
          })
        )
        expect(value).toBe(3)
        expect(millis).toBeGreaterThan(3_600_000)
      }
    })
  )

  it.effect("rates that are no shares, or more than 1 in all, are refused by name", () =>
    Effect.gen(function* () {
      const message = (rates: Simulation.FaultRates) =>
        Effect.map(
          failureOf(Simulation.run(1, (sim) => Effect.sync(() => sim.faulty(tally, rates)))),
          (failed) => failed.message
        )
      expect(yield* message({ slow: 2 })).toContain("faulty.slow")
      expect(yield* message({ slow: 0.6, suspend: 0.6 })).toContain("faulty: 1.24 is not 1 in all")
    })
  )

  it.effect("chaos stops actors in all modes and cuts clients off, but spares whom it is told to", () =>
    Effect.gen(function* () {
      const { trace, value } = yield* Simulation.run(5, (sim) =>
        Effect.gen(function* () {
          const spared = yield* ActorSystem.spawn(tally, "spared")
          yield* ActorSystem.host(room)
          yield* Effect.forkChild(sim.chaos({ every: "5 millis", spares: (ref) => ref.address === spared.address }))
          for (let n = 0; n < 100; n++) {
            yield* Effect.exit(sim.client(Room.at(`r${n % 3}`)))
            yield* Effect.sleep(5)
          }
          return sim.host.state(spared)
        })
      )
      expect(value).toBe("active")
      const text = trace.join("\n")
      for (const mode of ["drain", "now", "kill"])
        expect(text).toMatch(new RegExp(`fault: Room/r\\d is stopped \\(${mode}\\)`))
      expect(text).toMatch(/fault: client c\d+ is cut off/)
      expect(text).not.toContain("Tally/spared is stopped")
    })
  )
})
