/**
 * An actor system for a test: state is frozen, and when the test ends the books must balance.
 *
 * Floor 5; used as a layer in place of `ActorSystem.layer`. It takes the clock it finds: under `it.effect` that is the
 * TestClock, under `it.live` the real one.
 * Law 4, conservation, by name: `imbalances()` is empty before the shutdown and after it; after it nothing is queued or
 * running, no actor, connection, gateway or armed timer is left, and no fiber of a handler or a fork, detached ones included.
 * Each fault names what leaked (`Leftovers`). A test that leaves a zombie on purpose says so by `zombies`.
 * Law 11: under a test clock budgets count virtual cost, so a run does not depend on the machine; `seeded` makes the order
 * of ready actors, and their budgets, a function of a seed.
 */
import { Clock, Context, Effect, Layer, Metric, Random } from "effect"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import type { SystemOptions } from "../supervision/System.ts"
import { type Connected, leftovers, notice } from "./Leftovers.ts"
import { LiveFibers } from "./LiveFibers.ts"
import { Seed } from "./Seed.ts"
import { VirtualCost } from "./VirtualCost.ts"
import { printTree } from "./WaitUntil.ts"

/** Options of a system, and what the test leaves behind on purpose. */
export interface TestSystemOptions extends SystemOptions {
  /** Zombies that may be left when the system has stopped. Default 0. */
  readonly zombies?: number
}

const complain = (when: string, faults: ReadonlyArray<string>, host: Host): Effect.Effect<void> =>
  faults.length === 0
    ? Effect.void
    : Effect.die(new Error(`law 4, conservation, ${when}:\n  ${faults.join("\n  ")}\nthe system:\n${printTree(host)}`))

/** Looks before fibers that were told to end are taken for leaked. */
const looks = 100

const open = ({ zombies = 0, ...options }: TestSystemOptions) =>
  Effect.gen(function* () {
    const fibers = new LiveFibers(yield* Metric.FiberRuntimeMetrics)
    let host = undefined as Host | undefined
    let connected: Connected = []
    // finalizers run in reverse: this one after the system's own shutdown, the one below before it
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        if (host === undefined) return
        for (let n = 0; n < looks && fibers.of(host.system).length > 0; n++) yield* Effect.yieldNow
        yield* complain("after shutdown", leftovers(host, connected, fibers, zombies), host)
      })
    )
    const clock = yield* Clock.Clock
    const live = clock === Context.get(Context.empty(), Clock.Clock)
    // where time is virtual, budgets are too: a slow machine must not cut a turn elsewhere than a fast one
    const scheduler = live ? options.scheduler : { cost: new VirtualCost().read, ...options.scheduler }
    const observed = Metric.FiberRuntimeMetrics.context(fibers)
    const system = ActorSystem.layerOf({ freeze: true, ...options, ...(scheduler !== undefined && { scheduler }) })
    const services = yield* Effect.provideContext(Layer.build(system), observed)
    const opened = Context.get(services, ActorSystem)
    host = opened
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        connected = notice(opened)
        return complain("when the test ended", opened.imbalances(), opened)
      })
    )
    // handlers have the services of whoever spawned them: the test's
    return Context.merge(services, observed)
  })

export class TestSystem {
  /** A system with default options. */
  static readonly layer: Layer.Layer<ActorSystem> = Layer.effectContext(Effect.suspend(() => open({})))

  /** The same with options. */
  static layerOf(options: TestSystemOptions): Layer.Layer<ActorSystem> {
    return Layer.effectContext(Effect.suspend(() => open(options)))
  }

  /** The order of ready actors and the jitter are drawn from `seed`, budgets count virtual cost. For a test clock. */
  static seeded(
    seed: number,
    options: TestSystemOptions = {},
    cost: VirtualCost = new VirtualCost()
  ): Layer.Layer<ActorSystem> {
    const chance = new Seed(seed)
    const pick = (ready: number): number => chance.below(ready)
    const scheduler = { pick, cost: cost.read, ...options.scheduler }
    return Layer.effectContext(Effect.suspend(() => Random.withSeed(open({ ...options, scheduler }), seed)))
  }
}
