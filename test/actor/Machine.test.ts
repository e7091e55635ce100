import { describe, expect, it } from "@effect/vitest"
import { vi } from "vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, ActorSystem, InvalidOption } from "troupe"
import { TestProbe, TestSystem } from "troupe/testkit"
import {
  type AnyEventObject,
  type AnyStateMachine,
  assign,
  createMachine,
  emit,
  enqueueActions,
  fromPromise,
  log,
  type MachineConfig,
  type MachineContext,
  raise,
  sendTo,
  setup,
  stopChild
} from "xstate"

const delayed = sendTo(({ self }) => self, { type: "INNER" }, { delay: 50 })

const door = setup({
  types: {
    context: {} as { readonly opened: number },
    events: {} as
      | { readonly type: "OPEN" }
      | { readonly type: "CLOSE" }
      | { readonly type: "BREAK"; readonly how: string }
  },
  actions: {
    count: assign({ opened: ({ context }) => context.opened + 1 }),
    shatter: ({ event }) => {
      if (event.type === "BREAK" && event.how === "badly") throw new Error("glass everywhere")
    }
  }
}).createMachine({
  id: "door",
  context: { opened: 0 },
  initial: "closed",
  states: {
    closed: { on: { OPEN: "open", BREAK: { target: "broken", actions: "shatter" } } },
    open: { entry: "count", on: { CLOSE: "closed" }, after: { 5000: "closed" } },
    broken: { type: "final" }
  }
})

/** Why the only actor of its kind failed, asked to GO. */
const failureOf = async (machine: AnyStateMachine, options: Parameters<typeof Actor.fromMachine>[2]) => {
  const reports: Array<string> = []
  const program = Effect.gen(function* () {
    const host = yield* ActorSystem
    host.system.onFailure.add(({ error }) => void reports.push(String(error.cause)))
    yield* Effect.exit(host.spawnUnsafe(Actor.fromMachine("E", machine, options), "e").ask("GO"))
  })
  await Effect.runPromise(program.pipe(Effect.provide(Layer.provideMerge(ActorSystem.layer, Logger.layer([])))))
  return reports.join()
}

const going = (actions: NonNullable<Exclude<MachineConfig<MachineContext, AnyEventObject>["entry"], undefined>>) =>
  createMachine({ context: {}, initial: "a", states: { a: { on: { GO: { actions } } } } })

const meter = setup({
  types: {
    context: {} as { readonly name: string; readonly read: number },
    input: {} as { readonly name: string },
    events: {} as { readonly type: "READ"; readonly value: number } | { readonly type: "SLIP" },
    emitted: {} as { readonly type: "measured"; readonly name: string; readonly value: number }
  },
  actions: {
    slip: () => {
      throw new Error("slipped")
    }
  }
}).createMachine({
  context: ({ input }) => ({ name: input.name, read: 0 }),
  on: {
    READ: {
      actions: [
        assign({ read: ({ context }) => context.read + 1 }),
        emit(({ context, event }) => ({ type: "measured", name: context.name, value: event.value }))
      ]
    },
    SLIP: { actions: [emit(({ context }) => ({ type: "measured", name: context.name, value: -1 })), "slip"] }
  }
})

const Book = Actor.make("Book", {
  state: Schema.Void,
  protocol: [Rpc.make("Line", { payload: { text: Schema.String } })]
})

describe("Actor.fromMachine", () => {
  it.effect("hands on what the machine emits, by `self`; of a turn that fails nothing leaves", () =>
    Effect.gen(function* () {
      const book = yield* TestProbe.make(Book)
      const behavior = Actor.fromMachine("Meter", meter, {
        input: (key) => ({ name: `meter ${key}` }),
        onEmit: ({ name, value }, self) => self.send(book.ref, "Line", { text: `${name} by ${self.key}: ${value}` })
      })
      const [one, two] = [yield* ActorSystem.spawn(behavior, "1"), yield* ActorSystem.spawn(behavior, "2")]
      yield* one.tell("READ", { value: 7 })
      expect(yield* book.expect("Line")).toEqual({ text: "meter 1 by 1: 7" })
      yield* two.tell("READ", { value: 8 })
      expect(yield* book.expect("Line")).toEqual({ text: "meter 2 by 2: 8" })
      expect((yield* Effect.flip(two.ask("SLIP")))._tag).toBe("CalleeFailed")
      yield* two.tell("READ", { value: 9 })
      yield* TestClock.adjust("1 second")
      expect(yield* book.expect("Line")).toEqual({ text: "meter 2 by 2: 9" })
      yield* book.expectNone("1 second")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("makes the context of a life once, not at each step", () =>
    Effect.gen(function* () {
      let made = 0
      const counting = createMachine({
        context: () => ({ made: ++made }),
        initial: "a",
        states: { a: { on: { GO: "b" } }, b: { on: { GO: "a" } } }
      })
      const behavior = Actor.fromMachine("C", counting)
      made = 0
      const ref = yield* ActorSystem.spawn(behavior, "c")
      for (const state of ["b", "a", "b"]) expect(yield* ref.ask("GO")).toBe(state)
      expect(made).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("refuses an onEmit that is missing, no function, or whose Effect nobody would run, by name", async () => {
    const emitting = going(emit({ type: "out" }))
    expect(await failureOf(emitting, { onEmit: (() => Effect.void) as never })).toContain("E.onEmit: an Effect")
    const late = (): void => void 0
    const onEmit = (() => Promise.reject(new Error("nobody hears")).then(late)) as typeof late
    expect(await failureOf(emitting, { onEmit })).toContain("E.onEmit: a Promise")
    expect(() => Actor.fromMachine("E", emitting, { onEmit: "log" as never })).toThrow("E.onEmit")
  })

  it.each<[string, AnyStateMachine]>([
    ["E", going(emit({ type: "out" }))],
    ["m", createMachine({ id: "m", entry: emit({ type: "out" }) })],
    ["m", createMachine({ id: "m", initial: "a", states: { a: { exit: emit({ type: "out" }) } } })],
    ["m", createMachine({ id: "m", initial: { target: "a", actions: emit({ type: "out" }) }, states: { a: {} } })],
    ["m", createMachine({ id: "m", initial: "a", states: { a: { always: { actions: emit({ type: "out" }) } } } })],
    [
      "m",
      createMachine({ id: "m", initial: "a", states: { a: { after: { 5: { actions: emit({ type: "out" }) } } } } })
    ],
    ["m", setup({ actions: { tell: emit({ type: "out" }) } }).createMachine({ id: "m", entry: "tell" })],
    ["m", setup({ actions: { tell: emit({ type: "out" }) } }).createMachine({ id: "m", entry: { type: "tell" } })]
  ])("refuses a machine that emits to nobody when it is made, by the machine's id %s and the event", (id, machine) => {
    const message = `E.onEmit: undefined is not a function: machine "${id}" emits "out", which nobody would hear`
    expect(() => Actor.fromMachine("E", machine)).toThrow(message)
    expect(() => Actor.fromMachine("E", machine, { onEmit: () => {} })).not.toThrow()
  })

  it("refuses what a machine shows only when it runs by the same words, at the first emit", async () => {
    const hiding = going(enqueueActions(({ enqueue }) => enqueue.emit({ type: "out" })))
    expect(await failureOf(hiding, {})).toContain(
      'E.onEmit: undefined is not a function: machine "E" emits "out", which nobody would hear'
    )
    const computed = going(emit(() => ({ type: "out" })))
    expect(() => Actor.fromMachine("E", computed)).toThrow('machine "E" emits an event, which nobody would hear')
  })

  it("refuses a machine that names an action it has not, when it is made", () => {
    const machine = createMachine({ id: "m", initial: "a", states: { a: { entry: "say" } } })
    expect(() => Actor.fromMachine("E", machine)).toThrow('m.a.actions: "say" is not an action that the machine has')
    expect(() => Actor.fromMachine("E", machine.provide({ actions: { say: () => {} } }))).not.toThrow()
  })

  it("refuses a machine that names a delay it has not, when it is made: XState would not wait at all", () => {
    const after = createMachine({ id: "m", initial: "a", states: { a: { after: { soon: "b" } }, b: {} } } as object)
    const message = (at: string) => `${at}.delays: "soon" is not a delay that the machine has (by setup or provide)`
    expect(() => Actor.fromMachine("E", after)).toThrow(message("m.a"))
    expect(() => Actor.fromMachine("E", after.provide({ delays: { soon: 5 } }))).not.toThrow()
    expect(() => Actor.fromMachine("E", after.provide({ delays: { soon: () => 5 } }))).not.toThrow()
    const soon = { delay: "soon" } as object
    expect(() => Actor.fromMachine("E", going(raise({ type: "OUT" }, soon)))).toThrow(message("E.a"))
    expect(() => Actor.fromMachine("E", going(sendTo(({ self }) => self, { type: "OUT" }, soon)))).toThrow(
      message("E.a")
    )
  })

  it("fails with the name of a missing action that only enqueueActions shows, and of one that gives an Effect", async () => {
    const hiding = going(enqueueActions(({ enqueue }) => enqueue("say" as never)))
    expect(await failureOf(hiding, {})).toContain('E.actions: "say" is not an action that the machine has')
    const say = () => Effect.void
    expect(await failureOf(going(say), {})).toContain('E.actions: an Effect, which "say" gives, is not run by anyone')
  })

  it("an action's Promise that is rejected is the failure of its actor, and of nothing else", async () => {
    const unhandled: Array<unknown> = []
    const hear = (error: unknown) => void unhandled.push(error)
    process.on("unhandledRejection", hear)
    const late = going((() => Promise.reject(new Error("too late"))) as () => void)
    expect(await failureOf(late, { supervision: { restart: "temporary" } })).toContain("too late")
    await new Promise((resolve) => void setImmediate(resolve))
    process.off("unhandledRejection", hear)
    expect(unhandled).toEqual([])
  })

  it.effect("takes the machine's events as messages and answers with the state that follows", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      expect(yield* front.ask("OPEN")).toBe("open")
      expect(yield* front.ask("OPEN")).toBe("open")
      expect(yield* front.ask("CLOSE")).toBe("closed")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("runs `after` on the system's clock, and only while the state lasts", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      yield* front.ask("OPEN")
      yield* TestClock.adjust("4 seconds")
      expect(yield* front.ask("CLOSE")).toBe("closed")
      expect(yield* front.ask("OPEN")).toBe("open")
      yield* TestClock.adjust("2 seconds") // the first delay would have been over by now
      expect(host.snapshot().timers).toBeGreaterThan(0)
      const states: Array<unknown> = []
      for (const cell of host.system.cells()) states.push((cell.state as { readonly value: unknown }).value)
      expect(states).toEqual(["open"])
      yield* TestClock.adjust("4 seconds")
      for (const cell of host.system.cells()) states.push((cell.state as { readonly value: unknown }).value)
      expect(states).toEqual(["open", "closed"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("leaving a state cancels its delay: no timer is left armed", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      yield* front.ask("OPEN")
      expect(host.snapshot().timers).toBe(1)
      yield* front.ask("CLOSE")
      expect(host.snapshot().timers).toBe(0)
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("stops in a final state, and restarts when an action throws", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const front = host.spawnUnsafe(Actor.fromMachine("Door", door), "front")
      expect((yield* Effect.flip(front.ask("BREAK", { how: "badly" })))._tag).toBe("CalleeFailed")
      yield* TestClock.adjust("1 second")
      expect(host.tree()[0]).toMatchObject({ state: "active", incarnation: 2 })
      expect(yield* front.ask("BREAK", { how: "gently" })).toBe("broken")
      yield* TestClock.adjust(1)
      expect(host.state(front)).toBe("stopped")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("sends itself what the machine sends to itself, now and later", () =>
    Effect.gen(function* () {
      const echoing = createMachine({
        initial: "a",
        states: {
          a: {
            on: {
              NOW: { actions: sendTo(({ self }) => self, { type: "INNER" }) },
              LATER: { actions: delayed },
              INNER: "b"
            }
          },
          b: { on: { BACK: "a" } }
        }
      })
      const host = yield* ActorSystem
      const ref = host.spawnUnsafe(Actor.fromMachine("Echoing", echoing), "e")
      expect(yield* ref.ask("NOW")).toBe("a")
      expect(yield* ref.ask("BACK")).toBe("a")
      expect(yield* ref.ask("LATER")).toBe("a")
      yield* TestClock.adjust(50)
      expect(host.snapshot().timers).toBe(0)
      expect(yield* ref.ask("INNER")).toBe("b")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("delivers each delayed event, also where two of one type have no id", () =>
    Effect.gen(function* () {
      const twice = createMachine({
        context: { ticks: 0 },
        entry: [raise({ type: "TICK" }, { delay: 10 }), raise({ type: "TICK" }, { delay: 20 })],
        initial: "none",
        on: { TICK: { actions: assign({ ticks: ({ context }) => (context as { ticks: number }).ticks + 1 }) } },
        states: {
          none: { always: { target: "both", guard: ({ context }) => (context as { ticks: number }).ticks === 2 } },
          both: {}
        }
      })
      const ref = yield* ActorSystem.spawn(Actor.fromMachine("Twice", twice), "t")
      yield* TestClock.adjust(20)
      expect(yield* ref.ask("TICK")).toBe("both")
      const again = yield* ActorSystem.spawn(Actor.fromMachine("Once", twice), "t")
      yield* TestClock.adjust(10)
      expect(yield* again.ask("TICK")).toBe("both")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("lets an action send to itself by XState's self, in its turn, and log", () =>
    Effect.gen(function* () {
      const logged = vi.spyOn(console, "log").mockImplementation(() => {})
      let late: (() => void) | undefined
      const machine = createMachine({
        initial: "a",
        states: {
          a: {
            on: {
              GO: {
                actions: [
                  ({ self }) => {
                    late = () => self.send({ type: "NEXT" })
                    self.send({ type: "NEXT" })
                  },
                  log("went")
                ]
              },
              NEXT: "b"
            }
          },
          b: { on: { GO: { actions: () => {} } } }
        }
      })
      const [one, two] = [
        yield* ActorSystem.spawn(Actor.fromMachine("S", machine), "one"),
        yield* ActorSystem.spawn(Actor.fromMachine("S", machine), "two")
      ]
      yield* one.ask("GO")
      expect(yield* one.ask("GO")).toBe("b")
      expect(yield* two.ask("NEXT")).toBe("b")
      expect(logged.mock.calls).toEqual([["went"]])
      logged.mockRestore()
      expect(late).toThrow("S.self.send")
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it("refuses actors spawned in assign, and what its actor would say of itself, by name", async () => {
    const child = fromPromise(() => Promise.resolve(1))
    expect(await failureOf(going(assign(({ spawn }) => ({ child: spawn(child) }))), {})).toContain("E.spawn")
    const born = createMachine({ context: ({ spawn }) => ({ child: spawn(child) }), on: { GO: { actions: () => {} } } })
    expect(await failureOf(born, { supervision: { restart: "temporary" } })).toContain("E.spawn")
    expect(
      await failureOf(
        going(({ self }) => void self.getSnapshot()),
        {}
      )
    ).toContain("E.self.getSnapshot")
  })

  it("refuses partial wildcards, and what speaks to actors of XState, by name", async () => {
    const wild = createMachine({ initial: "a", states: { a: { on: { "mouse.*": "a" } } } })
    expect(() => Actor.fromMachine("W", wild)).toThrow("W.mouse.*")
    expect(await failureOf(going(stopChild("nobody")), {})).toContain("E.xstate.stopChild")
  })

  it("refuses a machine that invokes actors, by name", () => {
    const invoking = createMachine({
      id: "caller",
      initial: "calling",
      states: { calling: { invoke: { src: fromPromise(() => Promise.resolve(1)) } } }
    })
    expect(() => Actor.fromMachine("Caller", invoking)).toThrow(InvalidOption)
    expect(() => Actor.fromMachine("Caller", invoking)).toThrow("caller.calling.invoke")
    const states = { calling: { invoke: { src: fromPromise(() => Promise.resolve(1)) } } }
    const unnamed = createMachine({ initial: "calling", states })
    expect(() => Actor.fromMachine("Caller", unnamed)).toThrow(/^Caller\.calling\.invoke: /)
    const root = createMachine({ invoke: { src: fromPromise(() => Promise.resolve(1)) } })
    expect(() => Actor.fromMachine("Caller", root)).toThrow(/^Caller\.invoke: /)
  })
})
