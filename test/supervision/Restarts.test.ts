import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorRef, ActorSystem, Supervisor } from "troupe"
import { Simulation, TestSystem } from "troupe/testkit"
import { type P, run, scripted } from "../actor/Scripted.ts"

const Worker = Actor.make("Worker", { state: Schema.Int, protocol: [Rpc.make("Fail", { payload: Schema.String })] })

/** `start`: what `initial` does in which of its runs, 1 first. */
const worker = (start: (run: number) => Effect.Effect<unknown, unknown> = () => Effect.void) => {
  let runs = 0
  return Worker.behavior({
    initial: () => Effect.as(start(++runs), 0),
    on: {
      Fail: (_, text) => {
        throw new Error(text)
      }
    }
  })
}

type Sup = ActorRef<Supervisor.Messages>

const { protocol } = scripted().behavior.plan
const member = (id: string, sup: ActorRef) => new ActorRef(protocol, id, sup.address) as ActorRef<P>

const ids = ["a", "b", "c"]
const pass = TestClock.adjust(1)

/** A child, once all have been started. */
const at = (sup: ActorRef, id: string) =>
  Effect.as(Effect.orDie((sup as unknown as Sup).ask("CountChildren")), Worker.at(id, sup))

const states = (sup: Sup) =>
  Effect.map(Effect.orDie(sup.ask("WhichChildren")), (all) => all.map(({ id, state }) => `${id} ${state}`))

describe("restarts, as the random world has found them", () => {
  const empty = Supervisor.make("Sup", { strategy: "one_for_one", children: [] })

  it.effect("comes up after a backoff that the clock's nanoseconds do not tell exactly", () =>
    Simulation.explore({
      runs: 20,
      program: () =>
        Effect.gen(function* () {
          const backoff = { min: 2 } as const
          const children = ids.map((id) => ({ id, behavior: worker(), backoff }))
          const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
          yield* (yield* at(sup, "b")).tell("Fail", "told to")
          yield* Effect.sleep(10)
          expect(yield* states(sup)).toEqual(["a running", "b running", "c running"])
        })
    })
  )

  it.effect("a child with a budget of its own spends nothing of its siblings', failed or killed", () =>
    Effect.gen(function* () {
      const children = [
        { id: "a", behavior: worker(), intensity: { restarts: 2 } },
        { id: "b", behavior: worker() }
      ]
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_one", children }), "s")
      yield* (yield* at(sup, "a")).tell("Fail", "told to")
      yield* pass
      yield* (yield* at(sup, "a")).stop({ mode: "kill" })
      yield* pass
      expect(yield* states(sup)).toEqual(["a running", "b running"])
      yield* (yield* at(sup, "b")).tell("Fail", "told to")
      yield* pass
      expect(yield* states(sup)).toEqual(["a running", "b running"])
      yield* (yield* at(sup, "a")).stop({ mode: "kill" })
      yield* pass
      expect(yield* states(sup)).toEqual(["a undefined", "b running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a StartChild that fails is answered once the child has ended: its id is free again", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(empty, "s")
      const slow = Effect.andThen(
        Effect.addFinalizer(() => Effect.sleep(10)),
        Effect.die("no")
      )
      const behavior = worker((run) => (run === 1 ? (slow as never) : Effect.void))
      const failing = yield* Effect.forkChild(Effect.flip(sup.ask("StartChild", { id: "a", behavior })))
      yield* TestClock.adjust(9)
      expect(failing.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "StartFailed" })
      yield* sup.ask("StartChild", { id: "a", behavior })
      expect(yield* states(sup)).toEqual(["a running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child that is stopped before RestartChild has it ready keeps its place", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(empty, "s")
      const behavior = worker((run) => (run === 2 ? Effect.never : Effect.void))
      const a = yield* sup.ask("StartChild", { id: "a", behavior })
      yield* sup.ask("TerminateChild", "a")
      const failing = yield* Effect.forkChild(Effect.flip(sup.ask("RestartChild", "a")))
      yield* pass
      yield* Worker.at("a", sup).stop({ mode: "kill" })
      expect(yield* Fiber.join(failing)).toMatchObject({ _tag: "StartFailed", address: a.address })
      expect(yield* states(sup)).toEqual(["a undefined"])
      yield* sup.ask("RestartChild", "a")
      expect(yield* states(sup)).toEqual(["a running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("rest_for_one: one that is killed while it waits to come up forgets nobody to its left", () =>
    Effect.gen(function* () {
      const slow = worker((run) => (run === 2 ? Effect.sleep(10) : Effect.void))
      const children = ids.map((id) => ({ id, behavior: id === "a" ? slow : worker() }))
      const intensity = { restarts: 2 }
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", { strategy: "rest_for_one", intensity, children }),
        "s"
      )
      yield* (yield* at(sup, "a")).tell("Fail", "told to")
      yield* pass
      yield* Worker.at("c", sup).stop({ mode: "kill" })
      yield* TestClock.adjust(5)
      const host = yield* ActorSystem
      expect(ids.map((id) => host.state(Worker.at(id, sup)))).toEqual(["connecting", "connecting", "stopped"])
      yield* TestClock.adjust(10)
      expect(yield* states(sup)).toEqual(["a running", "b running", "c running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "a child that its group brings back after its end begins with a budget of its own, whatever it had once",
    () =>
      Effect.gen(function* () {
        const children = [
          { id: "a", behavior: worker(), restart: "transient", intensity: { restarts: 1 } },
          { id: "b", behavior: worker() }
        ] as const
        const options = { strategy: "one_for_all", intensity: { restarts: 5 }, children } as const
        const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", options), "s")
        yield* (yield* at(sup, "a")).stop({ mode: "kill" })
        yield* pass
        yield* Worker.at("a", sup).stop()
        yield* pass
        expect(yield* states(sup)).toEqual(["a undefined", "b running"])
        yield* Worker.at("b", sup).tell("Fail", "told to")
        yield* pass
        yield* Worker.at("a", sup).stop({ mode: "kill" })
        yield* pass
        expect(yield* states(sup)).toEqual(["a running", "b running"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "an end is the supervisor's to hear of first: a linked sibling that goes down with it does not fail beside",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        const { behavior } = scripted()
        const member = (id: string, sup: Sup) => new ActorRef(behavior.plan.protocol, id, sup.address) as ActorRef<P>
        const children = ids.map((id) => ({ id, behavior }))
        const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
        yield* states(sup)
        yield* run(member("a", sup), (self) => self.link(member("c", sup)))
        yield* pass // outside of any turn, whoever is told hears at once
        const decisions: Array<string> = []
        host.system.onFailure.add(({ error, decision }) => void decisions.push(`${error.address} ${decision}`))
        yield* member("c", sup).stop({ mode: "kill" })
        yield* pass
        expect(decisions).toEqual(["Sup/s/S/c killed, made anew in 0 ms"])
        expect(yield* states(sup)).toEqual(["a running", "b running", "c running"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a group makes nobody anew whose StartChild fails meanwhile", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior } = scripted()
      const children = ["a", "b"].map((id) => ({ id, behavior }))
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
      yield* states(sup)
      const { behavior: slow } = scripted({ initial: () => Effect.never })
      const starting = yield* Effect.forkChild(Effect.flip(sup.ask("StartChild", { id: "c", behavior: slow })))
      yield* pass
      yield* run(member("b", sup), (self) => self.link(member("c", sup)))
      yield* pass // b fails by its link before StartChild goes on
      yield* member("c", sup).stop({ mode: "kill" })
      yield* pass
      expect(yield* Fiber.join(starting)).toMatchObject({ _tag: "StartFailed" })
      expect(host.state(member("b", sup))).toBe("active")
      expect(host.state(member("c", sup))).toBe("stopped")
      expect(yield* states(sup)).toEqual(["a running", "b running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child whose awaited start ends by its own auto shutdown has not started, and nobody is charged", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const sup = yield* ActorSystem.spawn(empty, "s")
      const { behavior } = scripted()
      const { behavior: slow } = scripted({ type: "Slow", initial: () => Effect.never })
      const tree = Supervisor.make("Tree", {
        strategy: "one_for_one",
        autoShutdown: "any_significant",
        children: [
          { id: "a", behavior, restart: "transient", significant: true },
          { id: "b", behavior: slow }
        ]
      })
      const decisions: Array<string> = []
      host.system.onFailure.add(({ decision }) => void decisions.push(decision))
      const starting = yield* Effect.forkChild(Effect.flip(sup.ask("StartChild", { id: "t", behavior: tree })))
      yield* pass
      yield* member("a", new ActorRef(tree.plan.protocol, "t", sup.address)).stop()
      yield* pass
      expect(yield* Fiber.join(starting)).toMatchObject({ _tag: "StartFailed" })
      expect(decisions).toEqual([])
      expect(yield* states(sup)).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
