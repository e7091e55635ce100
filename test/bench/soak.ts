/**
 * `npm run soak [-- --seconds 60 --actors 10000 --seed 1 --json]`: does anything stay behind?
 *
 * Two cycles on one system, drawn from one seed: `--actors` actors, a half of them under a dynamic supervisor, the rest roots
 * with children, are spawned, told, asked, cancelled, crashed, linked, watched, stopped in every mode and spawned again, for
 * half of the time; the second cycle repeats as many steps as the first took. After each, all are stopped: no actor, fiber,
 * timer, queued message or membership may be left, and the books must balance. heapUsed + external after two forced
 * collections is, after the second cycle, within 5 % of that after the first. Exit status 1 if not.
 */
import { Cause, Effect, Exit, Layer, Logger, Metric, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, ActorSystem, Groups, type Host, Supervisor } from "troupe"
import { Seed } from "troupe/testkit"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    actors: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false }
  }
})
const seconds = Math.min(3600, Math.max(2, Number(values.seconds)))
const actors = Math.min(200_000, Math.max(10, Number(values.actors)))
if (!Number.isFinite(seconds) || !Number.isInteger(actors)) throw new Error("--seconds S and --actors N are numbers")
if (globalThis.gc === undefined) throw new Error("needs node --expose-gc (npm run soak)")

const Soaker = Actor.make("Soaker", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Add", { success: Schema.Int }),
    Rpc.make("Slow", { success: Schema.Int }),
    Rpc.make("Later", { success: Schema.Int }),
    Rpc.make("Keep", { success: Schema.Int }).annotate(Actor.Committed, true),
    Rpc.make("Fail"),
    Rpc.make("FailSlow"),
    Rpc.make("Busy"),
    Rpc.make("Meet", { payload: { peer: Schema.Any } }),
    Rpc.make("Leave")
  ]
})
type P = typeof Soaker extends { at(key: string): ActorRef<infer Q> } ? Q : never
const crowd = Groups.key(Soaker, "crowd")

const soaker = Soaker.behavior({
  initial: 0,
  mailbox: { capacity: 64 },
  idleAfter: "2 seconds",
  supervision: { backoff: { min: 1, max: 20 }, intensity: { restarts: 1000 } },
  on: {
    Add: (n) => Actor.reply(n + 1, n + 1),
    *Slow(n) {
      yield* Effect.sleep(1 + (n % 5))
      return Actor.reply(n, n + 1)
    },
    Later: (n, _, self) => {
      const later = self.defer<number>()
      self.pipe(Effect.sleep(2), () => (later.succeed(n), ["Add"]))
      return Actor.noReply()
    },
    *Keep(n) {
      yield* Effect.all([Effect.sleep(1), Effect.sleep(2)], { concurrency: 2 })
      return Actor.reply(n, n + 1)
    },
    Fail: () => {
      throw new Error("soaked")
    },
    *FailSlow() {
      yield* Effect.sleep(1)
      return yield* Effect.die("soaked")
    },
    Busy: (n, _, self) => {
      if ((self.ref.address.match(/\//g)?.length ?? 0) < 6) self.send(self.spawn(soaker), "Slow")
      self.timers.every("tick", 5, "Add")
      self.fork(
        Effect.acquireUseRelease(
          Effect.void,
          () => Effect.sleep(50),
          () => Effect.sleep(1)
        )
      )
      Groups.joinUnsafe(crowd, self.ref)
      return n
    },
    Meet: (n, { peer }, self) => {
      self.watch(peer as ActorRef)
      if (n % 3 === 0) self.link(peer as ActorRef)
      return n
    },
    Leave: (n, _, self) => {
      self.stop({ mode: "drain" })
      return n
    }
  },
  onTerminated: (n) => n + 1,
  onStop: () => Effect.sleep(1)
})

/** Fibers alive in the whole process, but for those of this program itself. */
let fibers = 0
const counting = Layer.succeed(Metric.FiberRuntimeMetrics)({
  recordFiberStart: () => void fibers++,
  recordFiberEnd: () => void fibers--
})

interface Cycle {
  readonly steps: number
  readonly bytes: number
  readonly faults: ReadonlyArray<string>
}

const modes = ["now", "drain", "kill"] as const
const tags = ["Add", "Slow", "Later", "Keep", "Fail", "FailSlow", "Busy", "Leave"] as const

const measure = Effect.promise(async () => {
  for (let i = 0; i < 2; i++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    globalThis.gc!()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
})

const cycle = (host: Host, cycleSeconds: number | undefined, cycleSteps: number) =>
  Effect.gen(function* () {
    const chance = new Seed(Number(values.seed))
    // the one sleep of all timers goes on until the time that it was for, though nobody waits for it any more
    const others = (): number => fibers - (host.system.timers.sleeping ? 1 : 0)
    const before = others()
    const pool = Supervisor.make("Pool", { strategy: "dynamic", child: { behavior: soaker, restart: "permanent" } })
    const sup = yield* ActorSystem.spawn(pool, "pool")
    const spawn = (i: number) =>
      i % 2 === 0 ? Effect.orDie(sup.ask("StartChild", {})) : Effect.orDie(ActorSystem.spawn(soaker))
    const refs: Array<ActorRef<P>> = []
    for (let i = 0; i < actors; i++) refs.push(yield* spawn(i))
    const until = performance.now() + (cycleSeconds ?? Number.POSITIVE_INFINITY) * 1000
    const limit = cycleSeconds === undefined ? cycleSteps : Number.POSITIVE_INFINITY
    let steps = 0
    while (steps < limit && performance.now() < until) {
      steps++
      const at = chance.below(refs.length)
      const ref = refs[at]!
      const tag = chance.pick(tags)
      switch (chance.below(8)) {
        case 0:
        case 1:
        case 2:
          ref.tellUnsafe(tag)
          break
        case 3:
          ref.tellUnsafe("Meet", { peer: chance.pick(refs) })
          break
        case 4:
        case 5: {
          const asking = Effect.exit(ref.ask(chance.pick(["Add", "Slow", "Later", "Keep"]), undefined, { timeout: 50 }))
          const fiber = yield* Effect.forkDetach(asking, { startImmediately: true })
          if (chance.oneIn(3)) fiber.interruptUnsafe()
          break
        }
        case 6:
          if (host.state(ref as ActorRef) === "stopped") refs[at] = yield* spawn(at)
          break
        default:
          if (chance.oneIn(4)) yield* Effect.forkDetach(ref.stop({ mode: chance.pick(modes), within: 20 }))
      }
      if (steps % 64 === 0) yield* Effect.sleep(0)
    }
    yield* sup.stop({ within: "1 second" })
    for (const ref of refs) yield* Effect.forkDetach(ref.stop({ mode: chance.pick(modes), within: 50 }))
    const left = (): ReadonlyArray<string> => {
      const { actors: living, queued, running, timers, zombies, memberships } = host.snapshot()
      const counts = {
        living,
        queued,
        running,
        timers,
        zombies: zombies.length,
        memberships,
        fibers: others() - before
      }
      return Object.entries(counts).flatMap(([what, n]) => (n === 0 ? [] : [`${n} ${what}`]))
    }
    for (let i = 0; i < 400 && left().length > 0; i++) yield* Effect.sleep(25)
    const bytes = yield* measure
    return { steps, bytes, faults: [...left(), ...host.imbalances()] } satisfies Cycle
  })

const program = Effect.gen(function* () {
  const host = yield* ActorSystem
  const first = yield* cycle(host, seconds / 2, 0)
  const second = yield* cycle(host, undefined, first.steps)
  const { accepted, restarts, failed, cancelled, deadLettered, spawned } = host.snapshot()
  const growth = second.bytes / first.bytes - 1
  const faults = [...first.faults, ...second.faults]
  if (growth > 0.05) faults.push(`memory grew by ${(growth * 100).toFixed(1)} %`)
  const mib = (bytes: number) => Number((bytes / 1_048_576).toFixed(1))
  const result = {
    actors,
    steps: first.steps,
    spawned,
    accepted,
    restarts,
    failed,
    cancelled,
    deadLettered,
    mibAfterFirst: mib(first.bytes),
    mibAfterSecond: mib(second.bytes),
    growthPercent: Number((growth * 100).toFixed(2)),
    faults
  }
  console.log(values.json ? JSON.stringify(result) : result)
  return faults.length === 0
})

const layers = Layer.mergeAll(Logger.layer([]), counting)
const exit = await Effect.runPromiseExit(program.pipe(Effect.provide(Layer.provideMerge(ActorSystem.layer, layers))))
if (Exit.isFailure(exit)) console.error(Cause.pretty(exit.cause))
process.exitCode = Exit.isSuccess(exit) && exit.value ? 0 : 1
