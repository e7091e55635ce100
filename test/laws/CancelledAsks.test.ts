/**
 * Cancellation by askers: each way to give an ask up x where the ask is by then, as one table.
 *
 * The asker gives up 10 ms after it asked. Each row asserts what it hears, the state of both actors afterwards, dead
 * letters, the handlers counted as cancelled, finalizers, `onCancel`, when the next message is handled (virtual time), and
 * conservation (TestSystem). What is expected follows from law 8 by the place of the ask: not accepted: nothing happened;
 * queued: a dead letter; its handler running: interrupted, nothing of it counts; committed: only the answer is discarded.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import { type Me, type P, run, scripted, send } from "../actor/Scripted.ts"
import { Tally, settled, structures, uncut } from "./Tally.ts"

/** Milliseconds: the asker gives up at LEAVES; a handler takes WORK, one that is in the way BLOCK. */
const [LEAVES, SLOW, WORK, BLOCK] = [10, 5, 30, 50] as const

const hows = ["it times out", "it is interrupted", "its actor stops", "its actor is killed"] as const
type How = (typeof hows)[number]

interface World {
  readonly tally: Tally
  readonly a: ActorRef<P>
  /** Takes one message and lets senders wait. */
  readonly b: ActorRef<P>
  /** How often a deferred ask was told that its asker left. */
  left: number
  /** What completing its handle answered. */
  readonly completed: Array<boolean>
}

interface Situation {
  /** Where the ask is when its asker leaves. */
  readonly at: "waiting for room" | "queued" | "running" | "committed" | "running on"
  readonly tag?: "Sure"
  /** What is done before the ask is sent, step by step, and what after it. */
  readonly before?: (world: World) => ReadonlyArray<() => void>
  readonly after?: (world: World) => void
  /** Whom it is sent to; default `a`. */
  readonly to?: "b"
  readonly script: (world: World) => (self: Me) => unknown
  /** Who is sent the next message, after 5 ms, and when it is handled. */
  readonly next: readonly [to: "a" | "b", at: number]
  /** Handlers of `a` that committed before the asker left, though the ask went on. */
  readonly passedOn?: true
  readonly left?: 1
  readonly cancelled?: number
  /** What was begun in the handler, and must be finalized once when the asker leaves. */
  readonly guards?: ReadonlyArray<string>
  /** What was begun and belongs to the incarnation: not finalized when the asker leaves. */
  readonly lives?: ReadonlyArray<string>
}

const done = Actor.reply("done", "changed")
const sleeps = Effect.as(Effect.sleep(WORK), done)
const block = (ref: ActorRef<P>) => (): void => send(ref, () => Effect.sleep(BLOCK))
const fill = (ref: ActorRef<P>) => (): void => send(ref, () => undefined)

/** A script that is stashed when it comes first. */
const stashes = (then: () => unknown) => {
  let first = true
  return (self: Me): unknown => {
    if (!first) return then()
    first = false
    self.stash()
    return Actor.noReply("changed")
  }
}

/** A script that puts the ask at `b`, which does with it as `then` says. */
const forwarded =
  (then: (world: World) => (self: Me) => unknown) =>
  (world: World) =>
  (self: Me): unknown => {
    self.forward(world.b, "Run", then(world))
    return Actor.noReply("changed")
  }

const deferring = (world: World) => (self: Me) => {
  const later = self.defer<string>()
  later.onCancel(() => void world.left++)
  self.fork(
    Effect.andThen(
      Effect.sleep(WORK),
      Effect.sync(() => world.completed.push(later.succeed("done")))
    )
  )
  return Actor.noReply("changed")
}

const guarded = ({ tally }: World) => tally.guard("handler", sleeps)
const running = { at: "running", next: ["a", LEAVES], guards: ["handler"] } as const

const situations: Record<string, Situation> = {
  "waiting for room in a full mailbox": {
    at: "waiting for room",
    to: "b",
    before: ({ b }) => [block(b), fill(b)],
    script: () => () => done,
    next: ["b", BLOCK]
  },
  "queued behind a handler": {
    at: "queued",
    before: ({ a }) => [block(a)],
    script: () => () => done,
    next: ["a", BLOCK]
  },
  "queued, Committed": {
    at: "queued",
    tag: "Sure",
    before: ({ a }) => [block(a)],
    script: () => () => done,
    next: ["a", BLOCK]
  },
  stashed: {
    at: "queued",
    script: () => stashes(() => done),
    next: ["a", 5],
    passedOn: true
  },
  "back from the stash, behind a handler": {
    at: "queued",
    before: ({ a }) => {
      const stashing = stashes(() => Effect.sleep(BLOCK))
      return [() => send(a, stashing)]
    },
    script: () => stashes(() => done),
    after: ({ a }) => send(a, (self) => self.unstash()),
    next: ["a", BLOCK],
    passedOn: true
  },
  "a suspended handler": { ...running, script: (world) => () => guarded(world) },
  "a suspended handler with a slow finalizer": {
    ...running,
    script:
      ({ tally }) =>
      () =>
        tally.guard("handler", sleeps, Effect.sleep(SLOW)),
    next: ["a", LEAVES + SLOW]
  },
  "a handler suspended uninterruptibly": {
    ...running,
    script: (world) => () => Effect.uninterruptible(guarded(world)),
    next: ["a", WORK]
  },
  "a suspended Committed handler": {
    at: "running on",
    tag: "Sure",
    script: (world) => () => guarded(world),
    next: ["a", WORK],
    guards: ["handler"]
  },
  "a handler that has staged sends, a timer, a child and its own stop": {
    ...running,
    script: (world) => (self) => {
      self.send(self.ref, "Note", "never")
      self.timers.once("never", 1, "Note", "never")
      self.spawn(scripted({ type: "Child" }).behavior)
      self.stop()
      return guarded(world)
    }
  },
  ...Object.fromEntries(
    Object.entries(structures).map(([name, [work, guards]]) => [
      `a handler in ${name}`,
      {
        ...running,
        script:
          ({ tally }: World) =>
          () =>
            Effect.as(work(tally, WORK), done),
        guards
      }
    ])
  ),
  "a handler that forked children, one with a slow finalizer": {
    ...running,
    script:
      ({ tally }) =>
      () =>
        Effect.gen(function* () {
          yield* Effect.forkChild(tally.guard("x", Effect.never))
          yield* Effect.forkChild(tally.guard("y", Effect.never, Effect.sleep(SLOW)))
          return yield* sleeps
        }),
    guards: ["x", "y"],
    next: ["a", LEAVES + SLOW]
  },
  "a handler whose self.fork, self.pipe and forkScoped belong to the incarnation": {
    ...running,
    script: (world) => (self) => {
      self.fork(world.tally.guard("fork", Effect.never))
      self.pipe(world.tally.guard("pipe", Effect.never), () => ["Note", "piped"])
      return Effect.andThen(
        Effect.forkScoped(world.tally.guard("scoped", Effect.never)).pipe(Scope.provide(self.scope)),
        guarded(world)
      )
    },
    lives: ["fork", "pipe", "scoped"]
  },
  "a handler that waits for an ask of its own": {
    ...running,
    script: (world) => (self) =>
      world.tally.guard(
        "handler",
        Effect.as(
          self.ask(world.b, "Run", () => world.tally.guard("inner", sleeps), { timeout: "infinity" }),
          done
        )
      ),
    guards: ["handler", "inner"],
    cancelled: 2
  },
  "a handler that waits for an ask that is queued": {
    ...running,
    before: ({ b }) => [block(b)],
    script: (world) => (self) =>
      world.tally.guard(
        "handler",
        Effect.as(
          self.ask(world.b, "Run", () => done, { timeout: "infinity" }),
          done
        )
      )
  },
  deferred: { at: "committed", script: deferring, next: ["a", 5], left: 1 },
  "deferred, not committed": {
    ...running,
    script: (world) => (self) => {
      self.defer<string>().onCancel(() => void world.left++)
      return Effect.as(guarded(world), Actor.noReply("changed"))
    },
    left: 1
  },
  "forwarded, not committed": {
    ...running,
    script: (world) => (self) => {
      self.forward(world.b, "Run", () => done)
      return Effect.as(guarded(world), Actor.noReply("changed"))
    }
  },
  "stashed, not committed": {
    ...running,
    script: (world) => (self) => {
      self.stash()
      return Effect.as(guarded(world), Actor.noReply("changed"))
    }
  },
  "forwarded, waiting for room in a full mailbox": {
    at: "waiting for room",
    before: ({ b }) => [block(b), fill(b)],
    script: forwarded(() => () => done),
    next: ["a", LEAVES],
    passedOn: true
  },
  "forwarded, queued behind a handler": {
    at: "queued",
    before: ({ b }) => [block(b)],
    script: forwarded(() => () => done),
    next: ["a", 5],
    passedOn: true
  },
  "forwarded, in a suspended handler": {
    ...running,
    script: forwarded((world) => () => guarded(world)),
    next: ["b", LEAVES],
    passedOn: true
  },
  "forwarded, deferred": {
    at: "committed",
    script: forwarded(deferring),
    next: ["b", 5],
    left: 1,
    passedOn: true
  }
  // streamed: test/actor/Streaming.test.ts
}

const layer = TestSystem.layerOf(uncut)

const check = ({ how, where }: { readonly how: How; readonly where: string }) =>
  Effect.gen(function* () {
    const situation = situations[where]!
    const { at, next, guards = [], lives = [] } = situation
    const host = yield* ActorSystem
    const tally = new Tally()
    const a = yield* ActorSystem.spawn(scripted({ initial: "before" }).behavior, "a")
    const one = { capacity: 1, overflow: "suspend" } as const
    const b = yield* ActorSystem.spawn(scripted({ initial: "before", mailbox: one }).behavior, "b")
    const world: World = { tally, a, b, left: 0, completed: [] }
    for (const step of situation.before?.(world) ?? []) {
      step()
      yield* settled(host)
    }

    const timeout = how === "it times out" ? LEAVES : "infinity"
    const asking = (situation.to === "b" ? b : a).ask(situation.tag ?? "Run", situation.script(world), { timeout })
    const asker = yield* ActorSystem.spawn(scripted().behavior, "asker")
    let exit: Exit.Exit<unknown, unknown> | undefined
    const noted = Effect.onExit(asking, (end) => Effect.sync(() => void (exit = end)))
    const outside = how === "it times out" || how === "it is interrupted"
    const fiber = outside ? yield* Effect.forkChild(noted, { startImmediately: true }) : undefined
    if (!outside) send(asker, () => Effect.exit(noted))
    yield* settled(host)
    situation.after?.(world)
    yield* settled(host)
    yield* TestClock.adjust(5)
    let nextAt = -1
    const then = () => void (nextAt = host.system.timers.now())
    yield* Effect.forkChild((next[0] === "a" ? a : b).tell("Run", then), { startImmediately: true })
    yield* TestClock.adjust(LEAVES - 5)
    if (how === "it is interrupted") yield* Fiber.interrupt(fiber!)
    else if (!outside) yield* asker.stop({ mode: how === "its actor stops" ? "now" : "kill" })
    yield* settled(host)

    const started = at !== "queued" && at !== "waiting for room"
    const error = exit !== undefined && Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
    expect(error?._tag).toBe(how === "it times out" ? "Fail" : "Interrupt")
    if (error?._tag === "Fail") expect(error.error).toMatchObject({ _tag: "AskTimeout", started })
    yield* TestClock.adjust(2 * BLOCK)

    const interrupted = at === "running" ? 1 : 0
    const reason = how === "it times out" ? "timedOut" : "cancelled"
    const { cancelled, deadLetters, queued, running: runs, failed } = host.snapshot()
    expect({
      next: [next[0], nextAt],
      a: yield* run(a, (_, state) => Actor.reply(state)),
      b: yield* run(b, (_, state) => Actor.reply(state)),
      left: world.left,
      // a handler of the asking actor is overtaken too
      cancelled: cancelled - (outside ? 0 : 1),
      deadLetters,
      queued,
      runs,
      failed
    }).toEqual({
      next,
      a:
        situation.passedOn || (at !== "running" && at !== "queued" && at !== "waiting for room") ? "changed" : "before",
      b: at === "committed" && next[0] === "b" ? "changed" : "before",
      left: situation.left ?? 0,
      cancelled: situation.cancelled ?? interrupted,
      deadLetters:
        at === "queued" || where.endsWith("that is queued") ? { [at === "queued" ? reason : "cancelled"]: 1 } : {},
      queued: 0,
      runs: 0,
      failed: 0
    })
    expect(world.completed).toEqual(at === "committed" ? [false] : [])
    expect(tally.begun.toSorted()).toEqual([...guards, ...lives].toSorted())
    expect(guards.map((name) => tally.times(name))).toEqual(guards.map(() => 1))
    expect(lives.map((name) => tally.times(name))).toEqual(lives.map(() => 0))
    for (const ref of [a, b]) yield* ref.stop()
    expect(tally.faults()).toEqual([])
    expect(host.imbalances()).toEqual([])
  }).pipe(Effect.provide(layer))

const rows = Object.keys(situations).flatMap((where) => hows.map((how) => ({ how, where })))

describe("Law 8, cancellation arrives", () => {
  it.effect.each(rows)("an ask whose asker gives up ($how) while it is $where", check)
})

/** Handlers that never suspend: their asker is interrupted by their own code, or by the next message of the same turn. */
const onStack = [
  { where: "a plain handler", script: (leave: () => void) => () => (leave(), done), state: "before" },
  {
    where: "an Effect that needs no fiber",
    script: (leave: () => void) => () => Effect.sync(() => (leave(), done)),
    state: "before"
  },
  {
    where: "an Effect that does not suspend",
    script: (leave: () => void) => () => Effect.andThen(Effect.sync(leave), Effect.succeed(done)),
    state: "before"
  },
  {
    where: "an Effect that then suspends",
    script: (leave: () => void) => () => Effect.andThen(Effect.sync(leave), sleeps),
    state: "before"
  },
  {
    where: "a plain handler, Committed",
    tag: "Sure",
    script: (leave: () => void) => () => (leave(), done),
    state: "changed"
  },
  {
    where: "an Effect that then suspends, Committed",
    tag: "Sure",
    script: (leave: () => void) => () => Effect.andThen(Effect.sync(leave), sleeps),
    state: "changed"
  },
  { where: "the next handler of the turn", script: () => () => done, next: true, state: "changed" }
] as const

/** Behind another message; with nothing ready the turn runs on the asker's own stack. */
const onStacks = onStack.flatMap((row) =>
  ("next" in row ? [true] : [true, false]).map((queued) => ({ ...row, queued }))
)

describe("Law 8: until its turn commits, the handler of an ask counts for nothing once its asker has gone", () => {
  it.effect.each(onStacks)("interrupted on the stack, by $where, queued: $queued; the state is $state", (row) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const a = yield* ActorSystem.spawn(scripted({ initial: "before" }).behavior, "a")
      const askers: Array<Fiber.Fiber<unknown, unknown>> = []
      const leave = (): void => askers[0]!.interruptUnsafe()
      const asking = Effect.withFiber((fiber) => {
        askers.push(fiber)
        return a.ask("tag" in row ? row.tag : "Run", row.script(leave))
      })
      yield* settled(host)
      if (row.queued) send(a, () => undefined)
      const asker = yield* Effect.forkChild(asking, { startImmediately: true })
      if ("next" in row) send(a, leave)
      yield* settled(host)
      expect(Exit.isFailure(yield* Fiber.await(asker))).toBe(true)
      yield* TestClock.adjust(WORK)
      expect(yield* run(a, (_, state) => Actor.reply(state))).toBe(row.state)
      expect(host.snapshot()).toMatchObject({ deadLetters: {}, failed: 0, queued: 0 })
    }).pipe(Effect.provide(layer))
  )
})
