import { describe, expect, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Agent, type Deferral } from "troupe"
import { BehaviorStub, type StubEffect, TestProbe, TestSystem } from "troupe/testkit"
import { expectTypeOf } from "vitest"
import { type Me, scripted } from "../actor/Scripted.ts"

class Empty extends Schema.TaggedError<Empty>()("Empty", { left: Schema.Int }) {}

const Till = Actor.make("Till", {
  state: Schema.Struct({ coins: Schema.Int }),
  protocol: [
    Rpc.make("Put", { payload: { coins: Schema.Int } }),
    Rpc.make("Take", { payload: { coins: Schema.Int }, success: Schema.Int, error: Empty }),
    Rpc.make("Break")
  ]
})
const Ledger = Actor.make("Ledger", {
  state: Schema.Struct({}),
  protocol: [
    Rpc.make("Line", { payload: { text: Schema.String } }),
    Rpc.make("Audit", { payload: { coins: Schema.Int }, success: Schema.Boolean })
  ]
})
const ledger = Ledger.at("main")
const till = Till.behavior({
  initial: { coins: 0 },
  on: {
    Put: ({ coins }, payload, self) => {
      self.send(ledger, "Line", { text: `put ${payload.coins}` })
      return { coins: coins + payload.coins }
    },
    Take: (state, { coins }, self) => {
      self.send(ledger, "Line", { text: `took ${coins}` })
      if (coins > state.coins) return Effect.fail(new Empty({ left: state.coins }))
      return Actor.reply(coins, { coins: state.coins - coins })
    },
    Break: (state, _, self) => {
      self.send(ledger, "Line", { text: "broke" })
      if (state.coins >= 0) throw new Error("glass")
      return state
    }
  }
})

/** A stub of an actor whose handlers are given with the message. */
const script = (options: Parameters<typeof scripted>[0] = {}) => {
  const { behavior, log } = scripted(options)
  const stub = BehaviorStub.make(behavior)
  const run = (body: (self: Me, state: unknown) => unknown): ReadonlyArray<StubEffect> => {
    stub.send("Run", body)
    return stub.effects
  }
  return { stub, run, log }
}
const tags = (effects: ReadonlyArray<StubEffect>) => effects.map((effect) => effect._tag)

describe("BehaviorStub", () => {
  it("a message changes the state and lists what was staged; the answer is the asker's", () => {
    const stub = BehaviorStub.make(till, { key: "front" })
    expect(stub.ref.address).toBe("Till/front")
    expect(stub.send("Put", { coins: 3 })).toEqual(Exit.succeed(undefined))
    expect(stub.state).toEqual({ coins: 3 })
    expect(stub.effects).toEqual([{ _tag: "Send", to: ledger, tag: "Line", payload: { text: "put 3" } }])
    expect(stub.send("Take", { coins: 2 })).toEqual(Exit.succeed(2))
    expect(stub.reply).toEqual(Exit.succeed(2))
    expect(stub.state).toEqual({ coins: 1 })
    expect(stub.inbox(ledger).map(({ payload }) => payload)).toEqual([{ text: "put 3" }, { text: "took 2" }])
    expectTypeOf(stub.state).toEqualTypeOf<{ readonly coins: number }>()
    expectTypeOf(() => stub.send("Take", { coins: 1 }))
      .returns.extract<Exit.Success<unknown, unknown>>()
      .toExtend<Exit.Success<number, unknown>>()
    // @ts-expect-error: no such message
    expect(() => stub.send("Nothing")).toThrow('unknown message "Nothing"')
    // @ts-expect-error: a payload of another shape
    stub.send("Put", { coins: "three" })
  })

  it("a typed error is the answer: state kept, staged effects gone, no failure", () => {
    const stub = BehaviorStub.make(till, { state: { coins: 1 } })
    expect(stub.send("Take", { coins: 2 })).toEqual(Exit.fail(new Empty({ left: 1 })))
    expect(stub.state).toEqual({ coins: 1 })
    expect(stub.effects).toEqual([])
    expect(stub.failure).toBeUndefined()
    expect(stub.inbox(ledger)).toEqual([])
  })

  it("a handler that throws: the Cause is there, the effects are not, the next message finds the old state", () => {
    const stub = BehaviorStub.make(till, { state: { coins: 1 } })
    const reply = stub.send("Break")
    expect(reply !== undefined && Exit.isFailure(reply) && String(reply.cause)).toContain("CalleeFailed")
    expect(stub.failure).toMatchObject({ tag: "Break" })
    expect(Cause.pretty(stub.failure!.cause)).toContain("glass")
    expect(stub.effects).toEqual([])
    stub.send("Put", { coins: 1 })
    expect(stub.failure).toBeUndefined()
    expect(stub.state).toEqual({ coins: 2 })
  })

  it("state is frozen, a state given is not run through initial", () => {
    const coins = { coins: 7 }
    const stub = BehaviorStub.make(till, { state: coins })
    expect(Object.isFrozen(stub.state)).toBe(true)
    expect(stub.state).toBe(coins)
  })

  it("initial gets key and input; one that fails leaves a failure and no state", () => {
    const make = (initial: (key: string, input: number) => string | Effect.Effect<string, string>) =>
      Actor.make("I", { state: Schema.String, protocol: [Rpc.make("Go")] }).behavior({
        initial: (key: string, _: unknown, input: number) => initial(key, input),
        on: { Go: (state) => state }
      })
    const stub = BehaviorStub.make(
      make((key, input) => `${key}${input}`),
      { key: "k", input: 4 }
    )
    expect(stub.state).toBe("k4")
    // @ts-expect-error: its initial needs an input
    expect(BehaviorStub.make(make(() => "none")).state).toBe("none")
    const refused = make(() => Effect.fail("no disk"))
    const failed = BehaviorStub.make(refused, { input: 1 })
    expect(failed.failure?.tag).toBe("initial")
    expect(() => failed.state).toThrow("has no state")
    expect(() => failed.send("Go")).toThrow("has no state, initial failed")
  })

  it.effect("one that suspends is waited for; time is the stub's, also under a test clock", () =>
    Effect.gen(function* () {
      const stub = BehaviorStub.make(scripted({ initial: Effect.as(Effect.sleep("20 seconds"), "up") }).behavior)
      expect(stub.suspended).toBe(true)
      expect(() => stub.state).toThrow("has no state")
      stub.advance("20 seconds")
      yield* stub.settled
      expect(stub.state).toBe("up")
    })
  )

  it("refuses options that it does not know, by name", () => {
    expect(() => BehaviorStub.make(till, { sate: 1 } as object)).toThrow("stub.sate")
  })
})

describe("effects", () => {
  const other = scripted({ type: "Other" }).behavior

  it("names each thing that self does, in the order in which it took effect", () => {
    const { stub, run } = script()
    const held: Array<Deferral<unknown, unknown>> = []
    const peer = Actor.make("Peer", { state: Schema.Any, protocol: [Rpc.make("Note", { payload: Schema.String })] })
    const effects = run((self) => {
      self.send(peer.at("p"), "Note", "hi")
      self.watch(peer.at("p") as ActorRef<never>)
      self.timers.once("a", "5 seconds", "Note", "a")
      self.timers.every("b", 10, "Note", "b")
      self.timers.cancel("b")
      self.spawn(other, "kid", { input: undefined })
      self.fork(Effect.never)
      self.pipe(Effect.void, () => ["Note", "piped"] as const)
      held.push(self.defer())
      self.unstash(2)
      self.unwatch(peer.at("p") as ActorRef<never>)
      return Actor.noReply()
    })
    const atOnce = ["Watched", "Forked", "Piped", "Deferred", "Unwatched"]
    const atCommit = ["Send", "TimerSet", "TimerSet", "TimerCancelled", "Spawned", "Unstashed"]
    expect(tags(effects)).toEqual([...atOnce, ...atCommit])
    expect(effects[6]).toEqual({ _tag: "TimerSet", key: "a", millis: 5000, repeats: false, tag: "Note", payload: "a" })
    expect(effects[9]).toMatchObject({ behavior: other, key: "kid", ref: { key: "kid" } })
    expect(stub.children.map((child) => child.address)).toEqual(["S/stub/Other/kid"])
    expect(stub.timers).toEqual(["a"])
    expect(stub.reply).toBeUndefined()
    expect(held[0]!.succeed("later")).toBe(true)
    expect(stub.reply).toEqual(Exit.succeed("later"))
    expect(stub.queued).toBe(1)
    expect(stub.next()).toBe(true)
    expect(stub.next()).toBe(false)
  })

  it("of a handler that fails: the staged are gone, children never started; what acts at once stands", () => {
    const { stub, run } = script()
    const effects = run((self) => {
      self.spawn(other, "kid")
      self.timers.once("t", 1, "Note", "t")
      self.watch(stub.ref as ActorRef<never>)
      self.send(self.ref, "Note", "never")
      self.stop()
      throw new Error("no")
    })
    expect(tags(effects)).toEqual(["Watched"])
    expect(stub.children).toEqual([])
    expect(stub.timers).toEqual([])
    expect(stub.queued).toBe(0)
    expect(stub.exit).toBeUndefined()
  })

  it("a send beyond the release's own: a deferral answered by a typed error is a success of the turn", () => {
    const { stub, run } = script()
    const effects = run((self) => {
      self.send(self.ref, "Note", "kept")
      self.defer<never, string>().fail("typed")
      return Actor.noReply()
    })
    expect(tags(effects)).toEqual(["Deferred", "Send"])
    expect(stub.reply).toEqual(Exit.fail("typed"))
  })

  it("stash puts the message aside without an answer, unstash brings it back for next()", () => {
    const { stub, run, log } = script()
    let early = true
    const body = (self: Me) => {
      if (!early) return Actor.reply("now")
      self.stash()
      return Actor.noReply()
    }
    expect(tags(run(body))).toEqual(["Stashed"])
    const waiting = stub.queued
    early = false
    expect(tags(run((self) => self.unstash()))).toEqual(["Unstashed"])
    expect([waiting, stub.queued]).toEqual([1, 1])
    stub.next()
    expect(stub.queued).toBe(0)
    expect(log).toEqual([])
  })

  it("forward: the receiver in the inbox has the asker, and its answer is the reply", () => {
    const { stub, run } = script()
    const effects = run((self) => {
      self.forward(ledger, "Audit", { coins: 3 })
      return Actor.noReply()
    })
    expect(effects).toEqual([{ _tag: "Forwarded", to: ledger, tag: "Audit", payload: { coins: 3 } }])
    expect(stub.reply).toBeUndefined()
    expect(stub.inbox(ledger)[0]!.reply(true)).toBe(true)
    expect(stub.reply).toEqual(Exit.succeed(true))
    expect(stub.inbox(ledger)[0]!.reply(false)).toBe(false)
  })

  it("a message is handled before mail that waits; next() handles that, one by one", () => {
    const { stub, run, log } = script()
    run((self) => {
      self.send(self.ref, "Note", "first of its own")
      self.send(self.ref, "Note", "second of its own")
    })
    stub.send("Note", "the test's")
    expect(log).toEqual(["the test's"])
    expect([stub.next(), log.length, stub.next(), stub.next()]).toEqual([true, 2, true, false])
    expect(log).toEqual(["the test's", "first of its own", "second of its own"])
  })

  it("a timer's firing and a death are handled before mail that waits, too", () => {
    const { stub, run, log } = script()
    run((self) => {
      self.send(self.ref, "Note", "its own")
      self.timers.once("t", "1 day", "Note", "fired")
      self.watch(ledger)
    })
    stub.fireTimer("t")
    stub.terminated(ledger)
    expect(log).toEqual(["fired", "Ledger/main normal"])
    expect(stub.queued).toBe(1)
  })

  it("a taken child name is refused as in a system, and free again when the child has ended", () => {
    const { stub, run } = script()
    run((self) => void self.spawn(other, "kid"))
    run((self) => void self.spawn(other, "kid"))
    expect(String(stub.failure?.cause)).toContain("NameTaken")
    run((self) => self.watch(stub.children[0]! as ActorRef<never>))
    stub.terminated(stub.children[0]! as ActorRef<never>)
    run((self) => void self.spawn(other, "kid"))
    expect(stub.failure).toBeUndefined()
    expect(stub.children).toHaveLength(1)
  })

  it("what a fork does later is listed when it does it; its failure is the actor's", () => {
    const { stub, run } = script()
    run((self) => {
      self.fork(
        Effect.andThen(Effect.sleep(10), () => {
          self.send(ledger, "Line", { text: "forked" })
          return Effect.die("fork down")
        })
      )
    })
    expect(tags(stub.effects)).toEqual(["Forked"])
    stub.advance(10)
    expect(tags(stub.effects)).toEqual(["Send"])
    expect(stub.failure?.tag).toBe("fork")
  })
})

describe("a handler that suspends", () => {
  it.effect("is run by run: its asks are answered from the inbox", () =>
    Effect.gen(function* () {
      const stub = BehaviorStub.make(scripted().behavior)
      const body = (self: Me) => {
        self.send(ledger, "Line", { text: "asked" })
        return Effect.map(ledger.ask("Audit", { coins: 1 }), (ok) => Actor.reply(ok, "audited"))
      }
      const fiber = yield* Effect.forkChild(stub.run("Run", body), { startImmediately: true })
      expect(stub.suspended).toBe(true)
      expect(stub.effects).toEqual([])
      expect(() => stub.send("Note", "x")).toThrow("law 1")
      const [asked] = stub.inbox(ledger)
      expect(asked).toMatchObject({ tag: "Audit", payload: { coins: 1 }, waiting: true })
      asked!.reply(true)
      expect(yield* Fiber.join(fiber)).toEqual(Exit.succeed(true))
      expect(stub.state).toBe("audited")
      expect(tags(stub.effects)).toEqual(["Send"])
      expect(stub.inbox(ledger).map(({ tag }) => tag)).toEqual(["Audit", "Line"])
    })
  )

  it("send refuses it by name, and says what to use", () => {
    const stub = BehaviorStub.make(scripted().behavior)
    expect(() => stub.send("Run", () => Effect.sleep(5))).toThrow('yield* stub.run("Run", ...)')
    stub.advance(5)
    expect(stub.suspended).toBe(false)
  })

  it.effect(
    "an ask of it times out in the stub's time; interrupted, run withdraws and the handler is interrupted",
    () =>
      Effect.gen(function* () {
        const stub = BehaviorStub.make(scripted().behavior)
        const ask = () => Effect.map(Effect.flip(ledger.ask("Audit", { coins: 1 })), (e) => Actor.reply(e._tag))
        const fiber = yield* Effect.forkChild(stub.run("Run", ask), { startImmediately: true })
        stub.advance("5 seconds")
        expect(yield* Fiber.join(fiber)).toEqual(Exit.succeed("AskTimeout"))
        let interrupted = 0
        const never = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
        const other = yield* Effect.forkChild(stub.run("Run", never), { startImmediately: true })
        yield* Fiber.interrupt(other)
        expect(interrupted).toBe(1)
        expect(stub.suspended).toBe(false)
        expect(stub.effects).toEqual([])
      })
  )

  it.effect("goes on with promises and services of the real world", () =>
    Effect.gen(function* () {
      class Bank extends Context.Service<Bank, { readonly rate: Effect.Effect<number> }>()("test/Bank") {}
      const Asker = Actor.make("Asker", { state: Schema.Int, protocol: [Rpc.make("Go", { success: Schema.Int })] })
      const asker = Asker.behavior({
        initial: 1,
        on: {
          *Go(state) {
            const { rate } = yield* Bank
            const next = yield* rate
            return Actor.reply(state, next)
          }
        }
      })
      const rate = Effect.promise(() => Promise.resolve(42))
      const stub = BehaviorStub.make(asker, { services: Context.make(Bank, { rate }) })
      expect(yield* stub.run("Go")).toEqual(Exit.succeed(1))
      expect(stub.state).toBe(42)
      // @ts-expect-error: its handlers need a Bank
      const without = () => BehaviorStub.make(asker)
      expect(without).toBeTypeOf("function")
    })
  )
})

describe("timers and time", () => {
  it("fireTimer fires one now and handles it; one that is not set is refused with those that are", () => {
    const { stub, run, log } = script()
    run((self) => {
      self.timers.once("late", "1 day", "Note", "late")
      self.timers.every("tick", "1 minute", "Note", "tick")
    })
    stub.fireTimer("late")
    stub.fireTimer("tick")
    stub.fireTimer("tick")
    expect(log).toEqual(["late", "tick", "tick"])
    expect(stub.timers).toEqual(["tick"])
    expect(() => stub.fireTimer("late")).toThrow('has no timer "late" (set: tick)')
  })

  it("advance fires what is due, in order, and handles it", () => {
    const { stub, run, log } = script()
    run((self) => {
      self.timers.every("e", 4, "Note", "e")
      self.timers.once("o", 6, "Note", "o")
    })
    stub.advance(12)
    expect(log).toEqual(["e", "o", "e", "e"])
  })

  it("fires idleTimeout after idleAfter", () => {
    const { stub, run, log } = script({ idleAfter: "10 seconds" })
    expect(tags(run((self) => self.idleTimeout("Note", "idle")))).toEqual(["IdleTimeout"])
    stub.advance("10 seconds")
    expect(log).toEqual(["idle"])
  })
})

const Room = Agent.make("Room", {
  state: Schema.Struct({ here: Schema.Array(Schema.String) }),
  clients: [Rpc.make("Say", { payload: { text: Schema.String }, success: Schema.String })],
  events: [Rpc.make("Said", { payload: { text: Schema.String } })],
  protocol: [Rpc.make("Sweep")]
})
const room = Room.behavior({
  initial: { here: [] },
  on: {
    Say: (_, { text }, self) => {
      self.broadcast("Said", { text }, { except: self.client })
      if (self.client !== undefined) self.push(self.client, "Said", { text: "you" })
      return Actor.reply(self.client?.id ?? "nobody")
    },
    Sweep: (state, _, self) => {
      for (const client of self.clients) self.close(client, 4000, "swept")
      self.broadcast("Said", { text: 1 as unknown as string })
      return state
    }
  },
  onConnect: ({ here }, client, _, why) => ({ here: [...here, `${client.id} ${why}`] }),
  onDisconnect: ({ here }, client, { code }) => ({ here: [...here, `${client.id} left ${code}`] })
})

describe("clients", () => {
  it("connect and disconnect run the hooks; events reach the clients", () => {
    const stub = BehaviorStub.make(room)
    const [ann, bob] = [stub.connect({ id: "ann" }), stub.connect({ id: "bob", principal: { id: "b" } })]
    expect(stub.send("Say", { text: "hi" }, { client: ann })).toEqual(Exit.succeed("ann"))
    expect(stub.effects).toEqual([
      { _tag: "Broadcast", tag: "Said", payload: { text: "hi" }, except: [ann] },
      { _tag: "Push", client: ann, tag: "Said", payload: { text: "you" } }
    ])
    expect(bob.events).toEqual([{ tag: "Said", payload: { text: "hi" } }])
    expect(ann.events).toEqual([{ tag: "Said", payload: { text: "you" } }])
    stub.disconnect(ann, { code: 1001, reason: "" })
    expect(stub.state.here).toEqual(["ann connected", "bob connected", "ann left 1001"])
    expect(() => stub.disconnect(ann)).toThrow("client ann is not connected")
  })

  it("may send only what stands in clients; an event that its Schema refuses is reported", () => {
    const stub = BehaviorStub.make(room)
    const ann = stub.connect()
    expect(() => stub.send("Sweep", undefined, { client: ann })).toThrow('clients may not send "Sweep"')
    stub.send("Sweep")
    expect(ann.closed).toEqual({ code: 4000, reason: "swept" })
    expect(tags(stub.effects)).toEqual(["Closed", "Broadcast"])
    // the close is behind what was sent before, so the event was still for ann
    expect(stub.reports.map(({ tag }) => tag)).toEqual(["Said"])
    expect(ann.events).toEqual([])
  })
})

describe("deaths and the end", () => {
  it("terminated runs onTerminated for who is watched, with the reason; others are refused", () => {
    const { stub, run, log } = script()
    expect(() => stub.terminated(ledger)).toThrow("does not watch Ledger/main")
    run((self) => self.watch(ledger))
    stub.terminated(ledger, { _tag: "failed", incident: "x", cause: Cause.empty })
    expect(log).toEqual(["Ledger/main failed"])
    run((self) => self.send(ledger, "Line", { text: "to nobody" }))
    expect(stub.deadLetters).toMatchObject([{ address: "Ledger/main", tag: "Line", reason: "noSuchActor" }])
  })

  it("who asks an actor that ends is told ActorStopped", () => {
    const { stub, run, log } = script()
    run((self) => {
      self.watch(ledger)
      self.pipe(Effect.flip(ledger.ask("Audit", { coins: 1 })), (exit) => [
        "Note",
        Exit.isSuccess(exit) ? exit.value._tag : "no error"
      ])
    })
    expect(stub.inbox(ledger)).toMatchObject([{ tag: "Audit", waiting: true }])
    stub.terminated(ledger)
    stub.next()
    expect(log).toEqual(["Ledger/main normal", "ActorStopped"])
  })

  it("stop runs onStop once, ends children and fails who waits", () => {
    const { stub, run, log } = script()
    let answer: Deferral<unknown, unknown> | undefined
    run((self) => {
      self.spawn(scripted({ type: "Other" }).behavior, "kid")
      answer = self.defer()
      return Actor.noReply()
    })
    stub.stop()
    expect(log).toEqual(["stop normal"])
    expect(stub.exit).toEqual({ _tag: "normal" })
    expect(stub.children).toEqual([])
    expect(answer!.waiting).toBe(false)
    expect(String(stub.reply)).toContain("ActorStopped")
    expect(() => stub.send("Note", "late")).toThrow("it has stopped (normal)")
    expect(() => stub.state).toThrow("has stopped")
  })

  it.effect("an onStop that takes time is waited for by settled; self.stop is an effect and is carried out", () =>
    Effect.gen(function* () {
      const { stub, run, log } = script({ onStop: () => Effect.sleep(50) })
      expect(tags(run((self) => self.stop({ mode: "drain" })))).toEqual(["Stopped"])
      expect(stub.exit).toBeUndefined()
      expect(stub.suspended).toBe(true)
      stub.advance(50)
      yield* stub.settled
      expect(stub.exit).toEqual({ _tag: "drained" })
      expect(log).toEqual(["stop drained"])
    })
  )

  it("a drain handles the mail that waits first; a stop makes dead letters of it", () => {
    const notes = (mode: "drain" | "now") => {
      const { stub, run, log } = script()
      run((self) => {
        self.send(self.ref, "Note", "one")
        self.send(self.ref, "Note", "two")
      })
      stub.stop({ mode })
      return [log, stub.deadLetters.length]
    }
    expect(notes("drain")).toEqual([["one", "two", "stop drained"], 0])
    expect(notes("now")).toEqual([["stop normal"], 2])
  })
})

describe("a stub and the real system", () => {
  it.effect("agree on what a turn means: state, answer, timers, sends, children of the same scripts", () =>
    Effect.gen(function* () {
      const scripts: ReadonlyArray<(self: Me, state: unknown) => unknown> = [
        () => Actor.reply("a", 1),
        (self) => {
          self.send(self.ref, "Note", "sent")
          return Actor.reply("b")
        },
        (self) => {
          self.send(self.ref, "Note", "never")
          throw new Error("down")
        },
        (self) => {
          self.send(self.ref, "Note", "never")
          return Effect.fail("typed")
        },
        (self, state) => Actor.reply(self.timers.once("t", 10, "Note", "t"), state),
        (self) => Effect.map(Effect.sleep(5), () => Actor.reply(self.timers.has("t"), 2)),
        (self) => {
          self.stash()
          return Actor.noReply(3)
        },
        (self) => self.unstash()
      ]
      const real = scripted({ supervision: { directive: () => "resume" } })
      const ref = yield* ActorSystem.spawn(real.behavior, "stub")
      const stubbed = scripted()
      const stub = BehaviorStub.make(stubbed.behavior)
      for (const [at, body] of scripts.entries()) {
        let state: unknown
        const ask = yield* Effect.forkChild(Effect.exit(ref.ask("Run", body)), { startImmediately: true })
        const run = yield* Effect.forkChild(stub.run("Run", body), { startImmediately: true })
        yield* TestClock.adjust(5)
        stub.advance(5)
        while (stub.next());
        const reply = yield* Fiber.join(run)
        // a stashed one has no answer yet: the stub says so, the real asker waits
        if (reply !== undefined) expect([at, answer(reply)]).toEqual([at, answer(yield* Fiber.join(ask))])
        else yield* Fiber.interrupt(ask)
        yield* ref.ask("Run", (_self: Me, now: unknown) => void (state = now))
        expect([at, stub.state]).toEqual([at, state])
        expect([at, stubbed.log]).toEqual([at, real.log])
      }
    }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("a probe of a real system gets what a stub sends, and its death is heard", () =>
    Effect.gen(function* () {
      const probe = yield* TestProbe.make(Ledger)
      const { stub, run, log } = script()
      run((self) => {
        self.send(probe.ref, "Line", { text: "over there" })
        self.watch(probe.ref as ActorRef<never>)
      })
      yield* probe.expectMessage("Line", { text: "over there" })
      yield* probe.ref.stop()
      yield* Effect.yieldNow
      while (stub.next());
      expect(log).toEqual([`${probe.ref.address} normal`])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

/** Incidents differ. */
const answer = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isSuccess(exit) ? exit.value : exit.cause.reasons.map((r) => (Cause.isFailReason(r) ? tagOf(r.error) : r._tag))
const tagOf = (error: unknown) => (typeof error === "object" ? (error as { readonly _tag: string })._tag : error)
