/**
 * What asks, pipes and the fibers of a handler come to when their actor ends: place x end, as tables.
 *
 * Law 4: every accepted ask gets exactly one outcome, in each mode and at a restart. The expectation follows from the rules:
 * a stash is mail (a drain and a restart handle it); a deferred ask lives as long as its incarnation; what was committed
 * goes out, or its asker is told; what lies with somebody else is theirs; who waits for room is not accepted yet.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import { type Me, type P, run, scripted, send } from "../actor/Scripted.ts"
import { Tally, settled, structures, uncut } from "./Tally.ts"

const layer = Layer.provideMerge(TestSystem.layerOf(uncut), Logger.layer([]))

/** Milliseconds: a handler in the way takes BLOCK, a restart waits BACKOFF. */
const [BLOCK, BACKOFF] = [50, 1] as const
const ends = ["now", "drain", "kill", "restart"] as const
type End = (typeof ends)[number]

interface Place {
  readonly script: (b: ActorRef<P>) => (self: Me) => unknown
  readonly before?: (a: ActorRef<P>, b: ActorRef<P>) => void
  readonly full?: true
  readonly hears: Readonly<Record<End, string>>
  /** Dead letters at each end. */
  readonly dead?: ReadonlyArray<End>
}

const block = (ref: ActorRef<P>): void => send(ref, () => Effect.sleep(BLOCK))
const forward = (b: ActorRef<P>) => (self: Me) => {
  self.forward(b, "Run", () => Actor.reply("done"))
  return Actor.noReply()
}

const places: Record<string, Place> = {
  queued: {
    before: block,
    script: () => () => Actor.reply("done"),
    hears: { now: "ActorStopped", drain: "done", kill: "ActorStopped", restart: "done" },
    dead: ["now", "kill"]
  },
  stashed: {
    script: () => {
      let first = true
      return (self) => {
        if (!first) return Actor.reply("done")
        first = false
        self.stash()
        return Actor.noReply()
      }
    },
    hears: { now: "ActorStopped", drain: "done", kill: "ActorStopped", restart: "done" },
    dead: ["now", "kill"]
  },
  "waiting for room": {
    before: (a) => {
      block(a)
    },
    full: true,
    script: () => () => Actor.reply("done"),
    hears: { now: "ActorStopped", drain: "ActorStopped", kill: "ActorStopped", restart: "done" }
  },
  deferred: {
    script: () => (self) => {
      self.defer<string>()
      return Actor.noReply()
    },
    hears: { now: "ActorStopped", drain: "ActorStopped", kill: "ActorStopped", restart: "CalleeFailed" }
  },
  "forwarded, queued there": {
    before: (_, b) => block(b),
    script: forward,
    hears: { now: "done", drain: "done", kill: "done", restart: "done" }
  },
  "forwarded, deferred there": {
    script: (b) => (self) => {
      self.forward(b, "Run", (other: Me) => {
        const later = other.defer<string>()
        other.fork(
          Effect.andThen(
            Effect.sleep(BLOCK),
            Effect.sync(() => later.succeed("done"))
          )
        )
        return Actor.noReply()
      })
      return Actor.noReply()
    },
    hears: { now: "done", drain: "done", kill: "done", restart: "done" }
  },
  "forwarded, waiting for room there": {
    before: (_, b) => block(b),
    full: true,
    script: forward,
    // committed, so a drain and a restart let it wait; in a stop what can go goes, and there is no room
    hears: { now: "MailboxFull", drain: "done", kill: "MailboxFull", restart: "done" }
  }
}

const heard = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return String(exit.value)
  const reason = exit.cause.reasons[0]!
  return reason._tag === "Fail" ? (reason.error as { readonly _tag: string })._tag : reason._tag
}

describe("Law 4: an ask whose actor ends gets exactly one outcome", () => {
  const rows = Object.keys(places).flatMap((where) => ends.map((end) => ({ where, end })))

  it.effect.each(rows)("$where, at $end", ({ where, end }) =>
    Effect.gen(function* () {
      const place = places[where]!
      const host = yield* ActorSystem
      const one = { capacity: 1, overflow: "suspend" } as const
      const there = where.startsWith("forwarded")
      const supervision = { backoff: { min: BACKOFF, jitter: false } } as const
      const a = yield* ActorSystem.spawn(
        scripted({ supervision, ...(place.full && !there && { mailbox: one }) }).behavior,
        "a"
      )
      const b = yield* ActorSystem.spawn(scripted(place.full && there ? { mailbox: one } : {}).behavior, "b")
      // fails later, on its own: the mailbox may be full
      if (end === "restart") {
        yield* run(a, (self) => void self.fork(Effect.andThen(Effect.sleep(5), Effect.die("down"))))
      }
      place.before?.(a, b)
      yield* settled(host)
      if (place.full) send(there ? b : a, () => undefined)
      let outcomes = 0
      const asking = a.ask("Run", place.script(b), { timeout: "infinity" })
      const asker = yield* Effect.forkChild(Effect.exit(asking).pipe(Effect.tap(() => Effect.sync(() => outcomes++))), {
        startImmediately: true
      })
      yield* settled(host)
      if (end !== "restart") yield* Effect.forkChild(a.stop({ mode: end }), { startImmediately: true })
      yield* TestClock.adjust(3 * BLOCK)
      yield* settled(host)
      expect(heard(yield* Fiber.join(asker))).toBe(place.hears[end])
      expect(outcomes).toBe(1)
      expect(host.state(a)).toBe(end === "restart" ? "active" : "stopped")
      const filler = place.full && !there && (end === "now" || end === "kill") ? 1 : 0
      const dead = (place.dead?.includes(end) ? 1 : 0) + filler
      expect(host.snapshot()).toMatchObject({ deadLetters: dead === 0 ? {} : { stopped: dead }, queued: 0, running: 0 })
      expect(host.imbalances()).toEqual([])
    }).pipe(Effect.provide(layer))
  )
})

describe("Law 8: the fibers of a handler end with it", () => {
  const modes = ["now", "kill", "restart"] as const
  const rows = Object.keys(structures).flatMap((name) => modes.map((end) => ({ name, end })))

  it.effect.each(rows)("$name in a handler, at $end: each finalizer once, nothing committed", ({ name, end }) =>
    Effect.gen(function* () {
      const [work, guards] = structures[name]!
      const host = yield* ActorSystem
      const tally = new Tally()
      const supervision = { backoff: { min: BACKOFF, jitter: false } } as const
      const { behavior } = scripted({ initial: "before", supervision })
      const a = yield* ActorSystem.spawn(behavior, "a")
      if (end === "restart") {
        yield* run(a, (self) => void self.fork(Effect.andThen(Effect.sleep(5), Effect.die("down"))))
      }
      const asking = run(a, () => Effect.as(work(tally, BLOCK), Actor.reply("done", "changed")))
      const asker = yield* Effect.forkChild(Effect.exit(asking), { startImmediately: true })
      yield* settled(host)
      expect(tally.begun.toSorted()).toEqual(guards)
      yield* TestClock.adjust(5)
      if (end !== "restart") yield* a.stop({ mode: end })
      yield* settled(host)
      expect(heard(yield* Fiber.join(asker))).toBe(end === "restart" ? "CalleeFailed" : "ActorStopped")
      expect(guards.map((guard) => tally.times(guard))).toEqual(guards.map(() => 1))
      expect(tally.faults()).toEqual([])
      yield* TestClock.adjust(2 * BLOCK)
      if (end === "restart") expect(yield* run(a, (_, state) => Actor.reply(state))).toBe("before")
      expect(host.snapshot()).toMatchObject({ cancelled: 1, zombies: [] })
      expect(tally.faults()).toEqual([])
    }).pipe(Effect.provide(layer))
  )
})

describe("While its actor drains", () => {
  const begin = (work: (self: Me) => void) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const { behavior, log } = scripted()
      const a = yield* ActorSystem.spawn(behavior, "a")
      yield* run(a, work)
      block(a)
      yield* settled(host)
      const draining = yield* Effect.forkChild(a.stop({ mode: "drain" }), { startImmediately: true })
      yield* TestClock.adjust(BLOCK)
      yield* Fiber.join(draining)
      return log
    })

  it.effect("a pipe that ends comes back as mail, and is handled", () =>
    Effect.gen(function* () {
      const log = yield* begin((self) => self.pipe(Effect.sleep(BLOCK / 2), () => ["Note", "piped"]))
      expect(log).toEqual(["piped", "stop drained"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a timer that has not fired is no accepted mail, and does not", () =>
    Effect.gen(function* () {
      const log = yield* begin((self) => self.timers.once("t", BLOCK / 2, "Note", "fired"))
      expect(log).toEqual(["stop drained"])
    }).pipe(Effect.provide(layer))
  )

  it.effect("a fork that fails is reported and the drain goes on", () =>
    Effect.gen(function* () {
      const decisions: Array<string> = []
      ;(yield* ActorSystem).system.onFailure.add(({ decision }) => void decisions.push(decision))
      const log = yield* begin((self) => void self.fork(Effect.andThen(Effect.sleep(BLOCK / 2), Effect.die("down"))))
      expect(log).toEqual(["stop drained"])
      expect(decisions).toEqual(["ignored: it is stopping"])
    }).pipe(Effect.provide(layer))
  )
})
