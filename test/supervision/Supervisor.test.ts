import { describe, expect, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Schedule, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import {
  Actor,
  type ActorRef,
  ActorSystem,
  type Behavior,
  type Directive,
  type ExitReason,
  RestartsExhausted,
  Supervisor
} from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import * as Policy from "../../src/actor/Policy.ts"
import * as Strategy from "../../src/supervision/Strategy.ts"

const Worker = Actor.make("Worker", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Fail", { payload: Schema.String }),
    Rpc.make("Add", { success: Schema.Int }),
    Rpc.make("Rest"),
    Rpc.make("Leave")
  ]
})
type P = typeof Worker extends { at(key: string): ActorRef<infer Q> } ? Q : never

interface WorkerOptions {
  readonly log?: Array<string>
  /** What `initial` does in which of its runs, 1 first; default: nothing. */
  readonly start?: (run: number) => Effect.Effect<unknown, unknown>
  readonly stop?: Effect.Effect<unknown>
}

/** Writes what happens to it into `log`: `+a` started, `-a` stopped. */
const worker = (name: string, { log = [], start, stop }: WorkerOptions = {}): Behavior<P, never> => {
  let runs = 0
  return Worker.behavior({
    initial: () => {
      log.push(`+${name}`)
      return start === undefined ? 0 : Effect.as(start(++runs), 0)
    },
    mailbox: { capacity: 2, overflow: "stop" },
    on: {
      Fail: (_, text) => {
        throw new Error(text)
      },
      Add: (n) => Actor.reply(n + 1, n + 1),
      *Rest(n) {
        yield* Effect.never
        return n
      },
      Leave: (n, _, self) => {
        self.stop()
        return n
      }
    },
    onStop: () =>
      Effect.andThen(
        stop ?? Effect.void,
        Effect.sync(() => void log.push(`-${name}`))
      )
  })
}

/** A child, once all have been started. */
const at = (sup: ActorRef, id: string) =>
  Effect.as(Effect.orDie((sup as unknown as Sup).ask("CountChildren")), Worker.at(id, sup))

type Sup = ActorRef<Supervisor.Messages>

const states = (sup: Sup) =>
  Effect.map(Effect.orDie(sup.ask("WhichChildren")), (all) => all.map(({ id, state }) => `${id} ${state}`))

const pass = TestClock.adjust(1)

// ---- the option matrix: strategy x restart type x exit reason x position, on Strategy alone and on a real system

const strategies = ["one_for_one", "one_for_all", "rest_for_one"] as const
const restarts = ["permanent", "transient", "temporary"] as const
const reasons = ["failed", "normal", "stopped", "drained", "killed", "overflow"] as const
const ids = ["a", "b", "c"]

interface Case {
  readonly strategy: (typeof strategies)[number]
  /** Of the child that ends; its siblings are permanent, but for the last one where `mixed`. */
  readonly restart: (typeof restarts)[number]
  readonly reason: (typeof reasons)[number]
  readonly position: number
  readonly mixed: boolean
}

interface After {
  /** Children that were started again, in that order. */
  readonly started: ReadonlyArray<string>
  readonly states: ReadonlyArray<string>
}

const typeOf = (c: Case, i: number): Policy.RestartType =>
  i === c.position ? c.restart : c.mixed && i === 2 ? "temporary" : "permanent"

/** OTP's `supervisor` manual, as a model of its own. */
const otp = (c: Case): After => {
  const normal = c.reason === "normal" || c.reason === "stopped" || c.reason === "drained"
  const back = c.restart === "permanent" || (c.restart === "transient" && !normal)
  const group =
    c.strategy === "one_for_all" ? ids : c.strategy === "rest_for_one" ? ids.slice(c.position) : [ids[c.position]!]
  const started: Array<string> = []
  const states: Array<string> = []
  ids.forEach((id, i) => {
    const down = i === c.position || (back && group.includes(id))
    if (!down) return states.push(`${id} running`)
    if (typeOf(c, i) === "temporary") return
    if (!back) return states.push(`${id} undefined`)
    started.push(id)
    return states.push(`${id} running`)
  })
  return { started, states }
}

/** The stub: the pure rules alone, no actors. */
const onStub = (c: Case): After => {
  const policy = Policy.make("p", { restart: c.restart, backoff: { min: 1 } })
  const tag = c.reason === "stopped" ? "normal" : c.reason
  const decision =
    tag === "failed"
      ? Strategy.decide(policy, Strategy.empty, { at: 0, random: 0, cause: Cause.die("x") })._tag === "restart"
      : Strategy.returns(c.restart, tag)
  const [from, to] = Strategy.affected(c.strategy, ids.length, c.position)
  const down = (i: number): boolean => i === c.position || (decision && i >= from && i < to)
  const back = (i: number): boolean => decision && typeOf(c, i) !== "temporary"
  return {
    started: ids.filter((_, i) => down(i) && back(i)),
    states: ids.flatMap((id, i) => {
      if (!down(i) || back(i)) return [`${id} running`]
      return typeOf(c, i) === "temporary" ? [] : [`${id} undefined`]
    })
  }
}

const onSystem = (c: Case) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const sup = yield* ActorSystem.spawn(
      Supervisor.make("Sup", {
        strategy: c.strategy,
        intensity: { restarts: 5 },
        children: ids.map((id, i) => ({ id, behavior: worker(id, { log }), restart: typeOf(c, i) }))
      }),
      "s"
    )
    yield* pass
    const ref = yield* at(sup, ids[c.position]!)
    log.length = 0
    if (c.reason === "failed") yield* ref.tell("Fail", "told to")
    else if (c.reason === "normal") yield* ref.tell("Leave")
    else if (c.reason === "stopped") yield* ref.stop()
    else if (c.reason === "drained") yield* ref.stop({ mode: "drain" })
    else if (c.reason === "killed") yield* ref.stop({ mode: "kill" })
    else {
      yield* ref.tell("Rest")
      yield* pass
      for (let i = 0; i < 3; i++) ref.tellUnsafe("Add")
    }
    yield* pass
    const after: After = {
      started: log.filter((line) => line.startsWith("+")).map((line) => line.slice(1)),
      states: yield* states(sup)
    }
    return after
  })

describe("Law 9, supervision is OTP's", () => {
  const cases: Array<Case> = []
  for (const strategy of strategies)
    for (const restart of restarts)
      for (const reason of reasons)
        for (const position of [0, 1, 2])
          for (const mixed of position < 2 ? [false, true] : [false])
            cases.push({ strategy, restart, reason, position, mixed })

  it(`on Strategy alone: ${cases.length} cases`, () => {
    for (const c of cases) expect({ ...c, ...onStub(c) }).toEqual({ ...c, ...otp(c) })
  })

  for (const strategy of strategies) {
    for (const restart of restarts) {
      it.effect(`on a system: ${strategy}, a ${restart} child, every exit reason and position`, () =>
        Effect.gen(function* () {
          for (const c of cases.filter((each) => each.strategy === strategy && each.restart === restart)) {
            const after = yield* Effect.provide(onSystem(c), TestSystem.layer, { local: true })
            expect({ ...c, ...after }).toEqual({ ...c, ...otp(c) })
          }
        })
      )
    }
  }

  for (const budget of [0, 1, 2, 3]) {
    for (const strategy of strategies) {
      it.effect(
        `${strategy}: ${budget} restarts in 5 s are granted to all children together, one more fails the supervisor`,
        () =>
          Effect.gen(function* () {
            const sup = yield* ActorSystem.spawn(
              Supervisor.make("Sup", {
                strategy,
                intensity: { restarts: budget, within: "5 seconds" },
                children: ids.map((id) => ({ id, behavior: worker(id) }))
              }),
              "s"
            )
            yield* pass
            for (let n = 0; n < budget; n++) {
              yield* (yield* at(sup, ids[n % 3]!)).tell("Fail", "told to")
              yield* pass
              expect(yield* states(sup)).toEqual(ids.map((id) => `${id} running`))
            }
            const end = yield* Effect.forkChild(sup.watch(), { startImmediately: true })
            yield* (yield* at(sup, "b")).tell("Fail", "the last straw")
            yield* pass
            const reason = end.pollUnsafe()
            expect(reason).toMatchObject({ value: { _tag: "failed" } })
            const { cause } = (reason as unknown as { value: ExitReason & { _tag: "failed" } }).value
            const out = cause.reasons.find(Cause.isFailReason)?.error
            expect(out).toBeInstanceOf(RestartsExhausted)
            expect(out).toMatchObject({ address: "Sup/s/Worker/b", restarts: budget, withinMillis: 5000 })
            expect(Cause.pretty(cause)).toContain("the last straw")
            expect((yield* ActorSystem).snapshot().actors).toBe(0)
          }).pipe(Effect.provide(TestSystem.layer))
      )
    }
  }

  it.effect("a restart exactly the period ago still counts, one a millisecond older does not", () =>
    Effect.gen(function* () {
      for (const [gap, lives] of [
        [5000, false],
        [5001, true]
      ] as const) {
        const one = Supervisor.make("Sup", {
          strategy: "one_for_one",
          children: [{ id: "a", behavior: worker("a") }]
        })
        const sup = yield* ActorSystem.spawn(one, `${gap}`)
        yield* (yield* at(sup, "a")).tell("Fail", "1")
        yield* Effect.yieldNow
        yield* TestClock.adjust(gap)
        yield* (yield* at(sup, "a")).tell("Fail", "2")
        yield* pass
        expect((yield* ActorSystem).state(sup)).toBe(lives ? "active" : "stopped")
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("start and stop", () => {
  it.effect("children start left to right, each once the one before it is ready, and stop right to left", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const slow = {
        log,
        start: () =>
          Effect.andThen(
            Effect.sleep(5),
            Effect.sync(() => log.push("ready"))
          )
      }
      const children = ids.map((id) => ({ id, behavior: worker(id, slow) }))
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_one", children }), "s")
      yield* TestClock.adjust(20)
      expect(log).toEqual(["+a", "ready", "+b", "ready", "+c", "ready"])
      log.length = 0
      yield* sup.stop()
      expect(log).toEqual(["-c", "-b", "-a"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a start that fails stops what was started, in reverse, and fails the supervisor", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          children: [
            { id: "a", behavior: worker("a", { log }) },
            { id: "b", behavior: worker("b", { log }) },
            { id: "c", behavior: worker("c", { log, start: () => Effect.die("no") }) },
            { id: "d", behavior: worker("d", { log }) }
          ]
        }),
        "s"
      )
      const reason = yield* sup.watch()
      expect(reason._tag).toBe("failed")
      expect(log).toEqual(["+a", "+b", "+c", "-b", "-a"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child is given its grace, then killed; kill gives none; the supervisor waits for each", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const stubborn = { log, stop: Effect.uninterruptible(Effect.sleep("1 hour")) }
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          children: [
            { id: "a", behavior: worker("a", { log, stop: Effect.sleep("1 minute") }), shutdown: "infinity" },
            { id: "b", behavior: worker("b", stubborn), shutdown: "2 seconds" },
            { id: "c", behavior: worker("c", stubborn), shutdown: "kill" }
          ]
        }),
        "s"
      )
      yield* pass
      const host = yield* ActorSystem
      const stopping = yield* Effect.forkChild(sup.stop({ within: "infinity" }), { startImmediately: true })
      expect(host.tree()[0]!.children.map(({ address }) => address)).toEqual(["Sup/s/Worker/a", "Sup/s/Worker/b"])
      yield* TestClock.adjust("1999 millis")
      expect(host.snapshot().actors).toBe(3)
      yield* TestClock.adjust("1 millis")
      expect(host.snapshot().actors).toBe(2)
      yield* TestClock.adjust("1 minute")
      expect(stopping.pollUnsafe()).toBeDefined()
      expect(log.slice(-1)).toEqual(["-a"])
      expect(host.snapshot().zombies).toHaveLength(2)
      yield* TestClock.adjust("2 hours")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("restarts of a group", () => {
  it.effect("one_for_all: down right to left, the failed one first; up left to right; mail of all survives", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const host = yield* ActorSystem
      host.system.onChange.add(({ ref, to }) => void (ref.protocol.type === "Worker" && order.push(`${ref.key} ${to}`)))
      const children = ids.map((id) => ({ id, behavior: worker(id) }))
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
      yield* pass
      order.length = 0
      const [a, b, c] = [yield* at(sup, "a"), yield* at(sup, "b"), yield* at(sup, "c")]
      b.tellUnsafe("Fail", "now")
      const answers = yield* Effect.forkChild(
        Effect.all([b.ask("Add"), c.ask("Add"), a.ask("Add")], { concurrency: 3 })
      )
      yield* pass
      expect(yield* Fiber.join(answers)).toEqual([1, 1, 1])
      expect(order.filter((line) => !line.endsWith("idle"))).toEqual([
        "b connecting",
        "c connecting",
        "a connecting",
        "a active",
        "b active",
        "c active"
      ])
      expect(c.address).toBe("Sup/s/Worker/c")
      expect(host.snapshot()).toMatchObject({ failed: 1, restarts: 3 })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("up left to right, each once the one before it is ready", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const slow = {
        log,
        start: () =>
          Effect.andThen(
            Effect.sleep(5),
            Effect.sync(() => log.push("ready"))
          )
      }
      const children = ids.map((id) => ({ id, behavior: worker(id, slow) }))
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "one_for_all", children }), "s")
      yield* TestClock.adjust(20)
      log.length = 0
      yield* (yield* at(sup, "b")).tell("Fail", "told to")
      yield* TestClock.adjust(20)
      expect(log).toEqual(["+a", "ready", "+b", "ready", "+c", "ready"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child that fails while the group comes up starts it over, within the same budget", () =>
    Effect.gen(function* () {
      for (const [budget, lives] of [
        [3, true],
        [2, false]
      ] as const) {
        const log: Array<string> = []
        const flaky = worker("c", { log, start: (run) => (run === 2 || run === 3 ? Effect.die("flaky") : Effect.void) })
        const sup = yield* ActorSystem.spawn(
          Supervisor.make("Sup", {
            strategy: "rest_for_one",
            intensity: { restarts: budget },
            children: [
              { id: "a", behavior: worker("a", { log }) },
              { id: "b", behavior: worker("b", { log }) },
              { id: "c", behavior: flaky }
            ]
          }),
          `${budget}`
        )
        yield* pass
        log.length = 0
        yield* (yield* at(sup, "b")).tell("Fail", "told to")
        yield* pass
        expect((yield* ActorSystem).state(sup)).toBe(lives ? "active" : "stopped")
        // b is up again when c fails: only c and what is right of it start over
        const starts = log.filter((line) => line.startsWith("+"))
        expect(starts).toEqual(lives ? ["+b", "+c", "+c", "+c"] : ["+b", "+c", "+c"])
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("waits for the child's backoff, any Schedule; when the Schedule is done it is out of restarts", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const backoff = Schedule.upTo(Schedule.spaced("1 second"), { times: 2 })
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          intensity: { restarts: 100 },
          children: [{ id: "a", behavior: worker("a", { log }), backoff }]
        }),
        "s"
      )
      const a = yield* at(sup, "a")
      for (const n of [1, 2]) {
        yield* a.tell("Fail", `${n}`)
        yield* TestClock.adjust("999 millis")
        expect(yield* states(sup)).toEqual(["a restarting"])
        yield* pass
        expect(yield* states(sup)).toEqual(["a running"])
      }
      yield* a.tell("Fail", "3")
      yield* pass
      expect((yield* sup.watch())._tag).toBe("failed")
      expect((yield* ActorSystem).state(sup)).toBe("stopped")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("directives", () => {
  const given = (directive: Directive) =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          children: [
            {
              id: "a",
              behavior: worker("a"),
              directive: (cause) => (Cause.pretty(cause).includes("told to") ? directive : "restart")
            }
          ]
        }),
        "s"
      )
      const a = yield* at(sup, "a")
      yield* a.ask("Add")
      yield* a.tell("Fail", "told to")
      yield* pass
      const state = (yield* ActorSystem).state(sup)
      const children = state === "stopped" ? [] : yield* states(sup)
      const count = children[0] === "a running" ? yield* a.ask("Add") : undefined
      return { state, children, count }
    }).pipe(Effect.orDie, Effect.provide(TestSystem.layer, { local: true }))

  it.effect(
    "restart begins a new incarnation, resume keeps the state, stop leaves its place, escalate fails the supervisor",
    () =>
      Effect.gen(function* () {
        expect(yield* given("restart")).toEqual({ state: "active", children: ["a running"], count: 1 })
        expect(yield* given("resume")).toEqual({ state: "active", children: ["a running"], count: 2 })
        expect(yield* given("stop")).toEqual({ state: "active", children: ["a undefined"], count: undefined })
        expect(yield* given("escalate")).toEqual({ state: "stopped", children: [], count: undefined })
      })
  )
})

describe("a child that fails while it stops", () => {
  it.effect("is reported, not supervised: nothing escalates, nothing restarts", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const decisions: Array<string> = []
      host.system.onFailure.add(({ decision }) => void decisions.push(decision))
      const sup = yield* ActorSystem.spawn(
        Supervisor.make("Sup", {
          strategy: "one_for_one",
          children: [{ id: "a", behavior: worker("a"), restart: "temporary", directive: () => "escalate" }]
        }),
        "s"
      )
      const b = yield* sup.ask("StartChild", {
        id: "b",
        behavior: worker("b"),
        restart: "transient",
        directive: () => "escalate"
      })
      ;(b as unknown as ActorRef<P>).tellUnsafe("Fail", "while it drains")
      yield* b.stop({ mode: "drain" })
      expect(decisions).toEqual(["ignored: it is stopping"])
      expect(host.state(sup)).toBe("active")
      expect(yield* states(sup)).toEqual(["a running", "b undefined"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("autoShutdown", () => {
  const family = (autoShutdown: "any_significant" | "all_significant", log: Array<string>) =>
    Supervisor.make("Sup", {
      strategy: "one_for_one",
      autoShutdown,
      intensity: { restarts: 5 },
      children: [
        { id: "a", behavior: worker("a", { log }), restart: "transient", significant: true },
        { id: "b", behavior: worker("b", { log }), restart: "temporary", significant: true },
        { id: "c", behavior: worker("c", { log }), restart: "transient" },
        { id: "d", behavior: worker("d", { log }) }
      ]
    })

  it.effect("any_significant: the first that ends by itself ends the supervisor, reason shutdown", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const sup = yield* ActorSystem.spawn(family("any_significant", log), "s")
      yield* (yield* at(sup, "c")).tell("Leave")
      yield* (yield* at(sup, "a")).tell("Fail", "restarted, so no end")
      yield* pass
      expect((yield* ActorSystem).state(sup)).toBe("active")
      yield* (yield* at(sup, "a")).tell("Leave")
      expect(yield* sup.watch()).toEqual({ _tag: "shutdown" })
      expect(log.slice(-3)).toEqual(["-a", "-d", "-b"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("all_significant: the last of them does", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(family("all_significant", []), "s")
      yield* (yield* at(sup, "b")).tell("Fail", "temporary")
      yield* pass
      expect(yield* states(sup)).toEqual(["a running", "c running", "d running"])
      yield* (yield* at(sup, "a")).tell("Leave")
      expect(yield* sup.watch()).toEqual({ _tag: "shutdown" })
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a significant child that its supervisor terminates does not count", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(family("any_significant", []), "s")
      yield* sup.ask("TerminateChild", "a")
      yield* sup.ask("TerminateChild", "b")
      expect(yield* states(sup)).toEqual(["a undefined", "c running", "d running"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("the end of a supervisor goes up: a permanent one is started again by its own", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const inner = family("any_significant", log)
      const outer = Supervisor.make("Top", { strategy: "one_for_one", children: [{ id: "in", behavior: inner }] })
      const top = yield* ActorSystem.spawn(outer, "t")
      yield* pass
      const [first] = yield* top.ask("WhichChildren")
      expect(first).toMatchObject({ id: "in", supervisor: true, state: "running" })
      log.length = 0
      yield* (yield* at(first!.ref!, "a")).tell("Leave")
      yield* pass
      expect(log.filter((line) => line.startsWith("+"))).toEqual(["+a", "+b", "+c", "+d"])
      expect(yield* states(first!.ref as unknown as Sup)).toHaveLength(4)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("children by order", () => {
  const empty = Supervisor.make("Sup", { strategy: "one_for_one", children: [] })

  it.effect("StartChild, TerminateChild, RestartChild, DeleteChild, as in OTP", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(empty, "s")
      const a = yield* sup.ask("StartChild", { id: "a", behavior: worker("a") })
      expect(a.address).toBe("Sup/s/Worker/a")
      expect(yield* Effect.flip(sup.ask("StartChild", { id: "a", behavior: worker("a") }))).toMatchObject({
        _tag: "AlreadyPresent",
        state: "running"
      })
      expect(yield* Effect.flip(sup.ask("DeleteChild", "a"))).toMatchObject({
        _tag: "AlreadyPresent",
        state: "running"
      })
      expect(yield* Effect.flip(sup.ask("RestartChild", "a"))).toMatchObject({ _tag: "AlreadyPresent" })
      yield* sup.ask("TerminateChild", "a")
      expect(yield* states(sup)).toEqual(["a undefined"])
      expect(yield* Effect.flip(sup.ask("StartChild", { id: "a", behavior: worker("a") }))).toMatchObject({
        _tag: "AlreadyPresent",
        state: "undefined"
      })
      yield* sup.ask("RestartChild", "a")
      expect(yield* states(sup)).toEqual(["a running"])
      expect(yield* sup.ask("CountChildren")).toEqual({ specs: 1, active: 1, supervisors: 0, workers: 1 })
      yield* sup.ask("TerminateChild", "a")
      yield* sup.ask("DeleteChild", "a")
      expect(yield* states(sup)).toEqual([])
      for (const tag of ["TerminateChild", "RestartChild", "DeleteChild"] as const) {
        expect(yield* Effect.flip(sup.ask(tag, "a"))).toMatchObject({ _tag: "NoSuchChild", id: "a" })
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a StartChild that fails says so, with the incident of its report, and keeps nothing", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(empty, "s")
      const behavior = worker("a", { start: () => Effect.die("no") })
      const error = yield* Effect.flip(sup.ask("StartChild", { id: "a", behavior }))
      expect(error).toMatchObject({ _tag: "StartFailed", id: "a", address: "Sup/s/Worker/a" })
      expect(yield* states(sup)).toEqual([])
      expect(yield* Effect.flip(sup.ask("StartChild", { id: "b", behavior, restart: "often" as never }))).toMatchObject(
        {
          _tag: "InvalidOption",
          field: "Sup.StartChild.restart"
        }
      )
      expect((yield* ActorSystem).state(sup)).toBe("active")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a terminated child that is started again takes its old place: siblings still stop right to left", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const children = ids.map((id) => ({ id, behavior: worker(id, { log }) }))
      const sup = yield* ActorSystem.spawn(Supervisor.make("Sup", { strategy: "rest_for_one", children }), "s")
      yield* sup.ask("TerminateChild", "a")
      yield* sup.ask("RestartChild", "a")
      log.length = 0
      yield* sup.stop()
      expect(log).toEqual(["-c", "-b", "-a"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a child that waits for its backoff can be terminated, and does not come back", () =>
    Effect.gen(function* () {
      const sup = yield* ActorSystem.spawn(empty, "s")
      const a = yield* sup.ask("StartChild", { id: "a", behavior: worker("a"), backoff: { min: "1 second" } })
      yield* (a as unknown as ActorRef<P>).tell("Fail", "told to")
      yield* Effect.yieldNow
      yield* sup.ask("TerminateChild", "a")
      yield* TestClock.adjust("1 minute")
      expect(yield* states(sup)).toEqual(["a undefined"])
      expect((yield* ActorSystem).snapshot().actors).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.each([
    ["Sup.strategy", { strategy: "all_for_one", children: [] }],
    ["Sup.intensity.restarts", { strategy: "one_for_one", intensity: { restarts: -1 }, children: [] }],
    ["Sup.autoShutdown", { strategy: "one_for_one", autoShutdown: "always", children: [] }],
    ["Sup.children", { strategy: "one_for_one", children: {} }],
    ["Sup.child", { strategy: "one_for_one", children: [], child: {} }],
    ["Sup.children[0].behavior", { strategy: "one_for_one", children: [{ id: "a", behavior: Worker }] }],
    ["key", { strategy: "one_for_one", children: [{ id: "", behavior: worker("a") }] }],
    [
      "Sup.children[0].restart",
      { strategy: "one_for_one", children: [{ id: "a", behavior: worker("a"), restart: "x" }] }
    ],
    [
      "Sup.children[0].shutdown",
      { strategy: "one_for_one", children: [{ id: "a", behavior: worker("a"), shutdown: -1 }] }
    ],
    [
      "Sup.children[1].id",
      { strategy: "one_for_one", children: ["a", "a"].map((id) => ({ id, behavior: worker("a") })) }
    ],
    [
      "Sup.children[0].significant",
      {
        strategy: "one_for_one",
        children: [{ id: "a", behavior: worker("a"), restart: "transient", significant: true }]
      }
    ],
    [
      "Sup.children[0].significant",
      {
        strategy: "one_for_one",
        autoShutdown: "any_significant",
        children: [{ id: "a", behavior: worker("a"), significant: true }]
      }
    ],
    ["Sup.maxChildren", { strategy: "dynamic", child: { behavior: worker("a") }, maxChildren: 0 }]
  ])("refuses %s by name", (field, options) => {
    expect(() => Supervisor.make("Sup", options as never)).toThrow(
      expect.objectContaining({ _tag: "InvalidOption", field })
    )
  })
})

describe("dynamic", () => {
  it.effect("starts children of one kind by key, or without; refuses a key that is taken and one too many", () =>
    Effect.gen(function* () {
      const pool = Supervisor.make("Pool", { strategy: "dynamic", child: { behavior: worker("w") }, maxChildren: 2 })
      const sup = yield* ActorSystem.spawn(pool, "p")
      const a = yield* sup.ask("StartChild", { key: "a" })
      expect(yield* Effect.flip(sup.ask("StartChild", { key: "a" }))).toMatchObject({ _tag: "NameTaken" })
      expect(yield* Effect.flip(sup.ask("StartChild", { key: "" }))).toMatchObject({ _tag: "InvalidOption" })
      const b = yield* sup.ask("StartChild", {})
      expect([a.address, b.address]).toEqual(["Pool/p/Worker/a", "Pool/p/Worker/~1"])
      expect(yield* Effect.flip(sup.ask("StartChild", {}))).toMatchObject({ _tag: "TooManyChildren", maxChildren: 2 })
      expect(yield* a.ask("Add")).toBe(1)
      expect(yield* sup.ask("CountChildren")).toEqual({ specs: 2, active: 2, supervisors: 0, workers: 2 })
      yield* sup.ask("TerminateChild", b)
      yield* sup.ask("TerminateChild", "a")
      expect(yield* Effect.flip(sup.ask("TerminateChild", "a"))).toMatchObject({ _tag: "NoSuchChild" })
      expect(yield* sup.ask("WhichChildren")).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("each child has a budget of its own: one out of restarts stops alone", () =>
    Effect.gen(function* () {
      const backoff = { min: 1, max: 1 }
      const pool = Supervisor.make("Pool", { strategy: "dynamic", child: { behavior: worker("w"), backoff } })
      const sup = yield* ActorSystem.spawn(pool, "p")
      const [a, b] = [yield* sup.ask("StartChild", { key: "a" }), yield* sup.ask("StartChild", { key: "b" })]
      for (let i = 0; i < 10; i++) {
        for (const ref of [a, b]) yield* ref.tell("Fail", "again")
        yield* TestClock.adjust(2)
      }
      yield* a.tell("Fail", "the last straw")
      expect((yield* a.watch())._tag).toBe("failed")
      expect((yield* sup.ask("WhichChildren")).map(({ id }) => id)).toEqual(["b"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a permanent child that is killed is made anew under its key, with its input, and its budget goes on", () =>
    Effect.gen(function* () {
      const Named = Actor.make("Named", {
        state: Schema.String,
        protocol: [Rpc.make("Name", { success: Schema.String })]
      })
      const named = Named.behavior({
        initial: (key, _self, input: string) => `${key} ${input}`,
        on: { Name: (state) => Actor.reply(state) }
      })
      const pool = Supervisor.make("Pool", {
        strategy: "dynamic",
        child: { behavior: named, restart: "permanent", backoff: { min: 1, max: 1 }, intensity: { restarts: 2 } }
      })
      const sup = yield* ActorSystem.spawn(pool, "p")
      const a = yield* sup.ask("StartChild", { key: "a", input: "x" })
      for (let i = 0; i < 2; i++) {
        yield* a.stop({ mode: "kill" })
        yield* TestClock.adjust(2)
        expect(yield* a.ask("Name")).toBe("a x")
      }
      yield* a.stop({ mode: "kill" })
      yield* TestClock.adjust("1 second")
      expect(yield* sup.ask("WhichChildren")).toEqual([])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect(
    "100,000 children: 1 % crash at random, all come back, siblings untouched; they stop in parallel",
    () =>
      Effect.gen(function* () {
        const host = yield* ActorSystem
        let stopping = 0
        let stopped = 0
        const go = yield* Deferred.make<void>()
        const crowd = Worker.behavior({
          initial: 0,
          on: {
            Fail: () => {
              throw new Error("crash")
            },
            Add: (n) => Actor.reply(n + 1, n + 1),
            Rest: (n) => n,
            Leave: (n) => n
          },
          onStop: () => {
            stopping++
            return Effect.andThen(
              Deferred.await(go),
              Effect.sync(() => void stopped++)
            )
          }
        })
        const pool = Supervisor.make("Pool", {
          strategy: "dynamic",
          child: { behavior: crowd, restart: "permanent", backoff: { min: 1, max: 1 } }
        })
        const sup = yield* ActorSystem.spawn(pool, "p")
        const refs: Array<ActorRef<P>> = []
        for (let i = 0; i < 100_000; i++) refs.push(yield* sup.ask("StartChild", {}))
        for (const ref of refs) yield* ref.ask("Add")
        const crashed = refs.filter((_, i) => (i * 7919) % 100 === 0)
        expect(crashed).toHaveLength(1000)
        for (const ref of crashed) ref.tellUnsafe("Fail", "")
        yield* TestClock.adjust(10)
        const victims = new Set(crashed)
        let wrong = 0
        for (const ref of refs) if ((yield* ref.ask("Add")) !== (victims.has(ref) ? 1 : 2)) wrong++
        expect(wrong).toBe(0)
        expect(host.snapshot()).toMatchObject({ actors: 100_001, restarts: 1000 })
        const ended = yield* Effect.forkChild(sup.stop({ within: "infinity" }), { startImmediately: true })
        yield* waitUntil(() => stopping === 100_000, "all have been told to stop")
        expect(stopped).toBe(0)
        yield* Deferred.succeed(go, undefined)
        yield* Fiber.join(ended)
        expect(stopped).toBe(100_000)
        expect(host.snapshot().actors).toBe(0)
      }).pipe(Effect.provide(TestSystem.layer)),
    60_000
  )
})
