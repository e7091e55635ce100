/**
 * Random programs over a small world of actors, as a function of a seed: what the property tests of laws 1, 4 and 11 run.
 *
 * Every actor understands `Do` (a tell), `Ask` (an ask with a typed error) and `Sure` (an ask that is Committed). What a
 * handler does about it is drawn from one seeded source, in the order the seeded scheduler runs handlers, so a run is one
 * number. `turn` is called at every turn boundary; `trace` holds what happened, for comparing runs and for failures.
 */
import { Effect, Exit, Fiber, Layer, Logger, Random, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, type Behavior, type Host, type Self } from "troupe"
import { printTree, Seed, TestSystem } from "troupe/testkit"

export class Oops extends Schema.TaggedError<Oops>()("Oops", {}) {}

const Do = Rpc.make("Do", { payload: Schema.Int })
const Ask = Rpc.make("Ask", { payload: Schema.Int, success: Schema.Int, error: Oops })
const Sure = Rpc.make("Sure", { payload: Schema.Int, success: Schema.Int }).annotate(Actor.Committed, true)
const Never = Rpc.make("Idle")
export type P = typeof Do | typeof Ask | typeof Sure | typeof Never

export interface World {
  readonly seed: number
  readonly chance: Seed
  readonly trace: Array<string>
  readonly refs: Array<ActorRef<P>>
  /** Handlers on the stack or suspended, by address: never above 1 (law 1). */
  readonly inside: Map<string, number>
  readonly overlaps: Array<string>
  asked: number
  outcomes: number
  host: Host | undefined
}

const say = (world: World, line: string): void => void world.trace.push(line)

/** One actor's handler for any message: what it does is drawn. Depth bounds how far sends go on. */
const steps = (world: World, spawnable: () => Behavior<P, never>) => {
  type S = { readonly n: number }
  const { chance } = world
  const any = (): ActorRef<P> => chance.pick(world.refs)
  const held: Array<{ readonly self: Self<P>; readonly answer: () => boolean }> = []

  const stage = (self: Self<P>, depth: number): void => {
    switch (chance.below(16)) {
      case 0:
      case 1:
      case 2:
        if (depth > 0) self.send(any(), "Do", depth - 1)
        return
      case 3:
        if (depth > 0) for (let i = 0; i < 3; i++) self.send(any(), "Do", depth - 1)
        return
      case 4:
        return self.timers.once(`t${chance.below(3)}`, 1 + chance.below(50), "Do", 0)
      case 5:
        return self.timers.every(`t${chance.below(3)}`, 5 + chance.below(50), "Do", 0)
      case 6:
        return self.timers.cancel(`t${chance.below(3)}`)
      case 7:
        return self.unstash(chance.below(3) + 1)
      case 8:
        return self.watch(any() as ActorRef<never>)
      case 9:
        return self.unwatch(any() as ActorRef<never>)
      case 10:
        if (self.clients.size === 0 && depth > 0 && world.refs.length < 40) {
          const child = self.spawn(spawnable())
          if (chance.oneIn(2)) world.refs.push(child)
        }
        return
      case 11:
        return void self.fork(
          Effect.sleep(chance.below(30)).pipe(
            Effect.andThen(chance.oneIn(4) ? Effect.die("fork") : Effect.void),
            chance.oneIn(3) ? Effect.onInterrupt(() => Effect.sleep(3)) : (e) => e
          ),
          chance.oneIn(2) ? { onFailure: "log" } : {}
        )
      case 12:
        return self.pipe(Effect.sleep(chance.below(20)), () => ["Do", 0])
      case 13:
        return self.idleTimeout("Idle")
      case 14: {
        const one = held.splice(chance.below(held.length + 1), 1)[0]
        if (one !== undefined) say(world, `${self.ref.address} completes ${one.self.ref.address}: ${one.answer()}`)
        return
      }
      default:
        return
    }
  }

  const act = (state: S, depth: number, self: Self<P>): void => {
    for (let n = chance.below(4); n > 0; n--) stage(self, depth)
    if (chance.oneIn(40)) self.stop({ mode: chance.pick(["drain", "now", "kill"]) })
    if (chance.oneIn(30)) throw new Error(`thrown at ${state.n}`)
  }

  /** A suspending step: yields, sleeps, asks; it may be interrupted at any of them. */
  const work = (depth: number, self: Self<P>): Effect.Effect<void, Oops> =>
    Effect.gen(function* () {
      for (let n = chance.below(3); n >= 0; n--) {
        switch (chance.below(9)) {
          case 0:
            yield* Effect.yieldNow
            break
          case 1:
            yield* Effect.sleep(1 + chance.below(40))
            break
          case 2:
            yield* Effect.uninterruptible(Effect.sleep(1 + chance.below(20)))
            break
          case 3:
          case 4:
            if (depth > 0) yield* Effect.exit(self.ask(any(), "Ask", depth - 1, { timeout: 1 + chance.below(100) }))
            break
          case 5:
            if (depth > 0) yield* Effect.exit(any().tell("Do", depth - 1))
            break
          case 6:
            if (chance.oneIn(3)) return yield* Effect.die("died")
            break
          case 7:
            if (chance.oneIn(8)) yield* any().stop({ mode: chance.pick(["drain", "now", "kill"]), within: 50 })
            break
          default:
            yield* Effect.onInterrupt(Effect.sleep(chance.below(20)), () => Effect.sleep(2))
        }
        stage(self, depth)
      }
    })

  const within = <A, E>(self: Self<P>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.acquireUseRelease(
      Effect.sync(() => enter(self)),
      () => effect,
      () => Effect.sync(() => leave(self))
    )
  const enter = (self: Self<P>): void => {
    const address = `${self.ref.address}#${self.incarnation}`
    const n = (world.inside.get(address) ?? 0) + 1
    world.inside.set(address, n)
    if (n > 1) world.overlaps.push(address)
  }
  const leave = (self: Self<P>): void => {
    const address = `${self.ref.address}#${self.incarnation}`
    world.inside.set(address, world.inside.get(address)! - 1)
  }

  const tell = (state: S, depth: number, self: Self<P>) => {
    say(world, `${self.ref.address} Do ${depth} at ${state.n}`)
    if ((world.inside.get(`${self.ref.address}#${self.incarnation}`) ?? 0) > 0)
      world.overlaps.push(`${self.ref.address} (plain)`)
    if (chance.oneIn(12)) {
      self.stash()
      return Actor.noReply()
    }
    if (chance.oneIn(4)) {
      return within(self, Effect.as(Effect.orDie(work(depth, self)), { n: state.n + 1 }))
    }
    act(state, depth, self)
    return { n: state.n + 1 }
  }

  const ask = (state: S, depth: number, self: Self<P>) => {
    say(world, `${self.ref.address} Ask ${depth} at ${state.n}`)
    if ((world.inside.get(`${self.ref.address}#${self.incarnation}`) ?? 0) > 0)
      world.overlaps.push(`${self.ref.address} (plain)`)
    switch (chance.below(10)) {
      case 0:
        self.stash()
        return Actor.noReply()
      case 1: {
        const handle = self.defer<number, Oops>()
        held.push({ self, answer: () => (chance.oneIn(4) ? handle.fail(new Oops({})) : handle.succeed(depth)) })
        if (chance.oneIn(3)) handle.onCancel(() => say(world, `${self.ref.address} hears of a cancel`))
        return Actor.noReply()
      }
      case 2:
        self.forward(any(), "Ask", depth)
        return Actor.noReply()
      case 3:
        return Effect.fail(new Oops({}))
      case 4:
      case 5:
      case 6:
        return within(self, Effect.as(work(depth, self), Actor.reply(state.n, { n: state.n + 1 })))
      default:
        act(state, depth, self)
        return Actor.reply(state.n)
    }
  }
  const sure = (state: S, depth: number, self: Self<P>) =>
    within(self, Effect.as(Effect.orDie(work(depth, self)), Actor.reply(state.n)))
  return { tell, ask, sure }
}

const kinds = (world: World): ReadonlyArray<Behavior<P, never>> => {
  const made: Array<Behavior<P, never>> = []
  const { tell, ask, sure } = steps(world, () => world.chance.pick(made))
  const shapes = [
    { mailbox: { capacity: 8, overflow: "fail" }, priority: "normal" },
    { mailbox: { capacity: 3, overflow: "suspend" }, priority: "high", offerTimeout: "50 millis" },
    { mailbox: { capacity: 2, overflow: "dropNewest" }, priority: "critical" },
    { mailbox: { capacity: 2, overflow: "dropOldest" }, priority: "low" },
    { idleAfter: "40 millis", supervision: { restart: "permanent", intensity: { restarts: 5 } } }
  ] as const
  for (const [i, shape] of shapes.entries()) {
    const definition = Actor.make(`K${i}`, {
      state: Schema.Struct({ n: Schema.Int }),
      protocol: [Do, Ask, Sure, Never]
    })
    const starts = [
      { n: 0 },
      () => ({ n: 0 }),
      () => Effect.as(Effect.sleep(1 + world.chance.below(30)), { n: 0 }),
      () => (world.chance.oneIn(3) ? Effect.die("initial") : Effect.as(Effect.yieldNow, { n: 0 }))
    ] as const
    const supervision = { backoff: { min: "4 millis", max: "50 millis" }, intensity: { restarts: 30 } } as const
    const limits = { supervision, shutdown: "100 millis", connectTimeout: "20 millis", stash: 4, held: 16 } as const
    const hooks = {
      onTerminated: (state: { readonly n: number }) => ({ n: state.n + 100 }),
      onStop: () => (world.chance.oneIn(4) ? Effect.sleep(world.chance.below(150)) : undefined)
    }
    const on = { Do: tell, Ask: ask, Sure: sure, Idle: (state: { readonly n: number }) => state }
    for (const initial of starts) {
      made.push(
        definition.behavior({ ...limits, ...shape, ...hooks, initial: initial as never, on: on as never }) as never
      )
    }
  }
  return made
}

/** Senders outside of any actor: tell, ask, give up, stop, spawn again. */
const sender = (world: World, behaviors: ReadonlyArray<Behavior<P, never>>, rounds: number) =>
  Effect.gen(function* () {
    const { chance } = world
    for (let round = 0; round < rounds; round++) {
      const ref = chance.pick(world.refs)
      switch (chance.below(12)) {
        case 0:
        case 1:
        case 2:
          // not awaited: a full mailbox would hold up the one who moves the clock
          yield* Effect.forkChild(Effect.exit(ref.tell("Do", 3)), { startImmediately: true })
          break
        case 3:
          for (let i = 0; i < 6; i++) ref.tellUnsafe("Do", 1)
          break
        case 4:
        case 5:
        case 6: {
          const tag = chance.oneIn(4) ? "Sure" : "Ask"
          world.asked++
          const asks = ref.ask(tag, 3, { timeout: 1 + chance.below(200) })
          const counted = Effect.onExit(asks, (exit) =>
            Effect.sync(() => {
              world.outcomes++
              say(world, `asked ${ref.address}: ${Exit.isSuccess(exit) ? exit.value : "failed"}`)
            })
          )
          const fiber = yield* Effect.forkChild(Effect.exit(counted), { startImmediately: true })
          if (chance.oneIn(3)) {
            if (chance.oneIn(2)) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
          }
          break
        }
        case 7:
          if (chance.oneIn(3)) {
            const mode = chance.pick(["drain", "now", "kill"] as const)
            yield* Effect.forkChild(ref.stop({ mode, within: 1 + chance.below(100) }), { startImmediately: true })
          }
          break
        case 8: {
          const key = `a${chance.below(10)}`
          const made = yield* Effect.exit(ActorSystem.spawn(chance.pick(behaviors), key))
          if (Exit.isSuccess(made)) world.refs.push(made.value)
          if (world.refs.length > 30) world.refs.splice(0, 10)
          break
        }
        case 9:
          yield* TestClock.adjust(chance.below(25))
          break
        default:
          yield* Effect.yieldNow
      }
    }
  })

export interface Outcome {
  readonly world: World
  /** The first fault that a look at a turn boundary found. */
  readonly fault: string | undefined
  readonly turns: number
}

const quiet = Logger.layer([])

/** Runs the world of `seed`: `look` is asked at every turn boundary; its first answer is kept as the fault. */
export const run = (
  seed: number,
  look: (host: Host) => ReadonlyArray<string>,
  rounds: number = 150
): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    const chance = new Seed(seed)
    const world: World = {
      seed,
      chance,
      trace: [],
      refs: [],
      inside: new Map(),
      overlaps: [],
      asked: 0,
      outcomes: 0,
      host: undefined
    }
    let fault: string | undefined
    let turns = 0
    const order = new Seed(seed + 1)
    const check = (): void => {
      turns++
      if (fault !== undefined || world.host === undefined) return
      const faults = look(world.host)
      if (faults.length > 0) fault = report(world, faults)
    }
    const pick = (ready: number): number => {
      check()
      return order.below(ready)
    }
    const program = Effect.gen(function* () {
      const host = yield* ActorSystem
      world.host = host
      const behaviors = kinds(world)
      for (let i = 0; i < 10; i++) world.refs.push(yield* ActorSystem.spawn(chance.pick(behaviors), `a${i}`))
      yield* Effect.all(
        [1, 2, 3].map(() => sender(world, behaviors, rounds)),
        { concurrency: "unbounded" }
      )
      for (let i = 0; i < 40; i++) {
        yield* TestClock.adjust("200 millis")
        check()
      }
    })
    const system = TestSystem.seeded(seed, { scheduler: { pick }, zombies: 1000 })
    return program.pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(system, Layer.merge(TestClock.layer(), quiet)), { local: true }),
      Random.withSeed(seed),
      Effect.orDie,
      Effect.map(() => ({ world, fault, turns }))
    )
  })

/** What went wrong, with the seed to run again and the last steps before it. */
export const report = (world: World, faults: ReadonlyArray<string>): string => {
  const last = world.trace.slice(-12).join("\n  ")
  const tree = world.host === undefined ? "" : printTree(world.host)
  return `seed ${world.seed}:\n  ${faults.join("\n  ")}\nlast steps:\n  ${last}\n${tree}`
}
