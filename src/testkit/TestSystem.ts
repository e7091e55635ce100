/**
 * An actor system for a test: state is frozen, and when the test ends the books must balance.
 *
 * Floor 5; used as a layer in place of `ActorSystem.layer`. It takes the clock it finds: under `it.effect` that is the
 * TestClock, under `it.live` the real one.
 * Law 4, conservation, by name: `imbalances()` is empty before the shutdown and after it; after it nothing is queued or
 * running, no actor lives and no timer is armed. A test that leaves a zombie on purpose says so by `zombies`.
 * Law 11: under a test clock budgets count virtual cost, so a run does not depend on the machine; `seeded` makes the order of ready actors, and their budgets, a function of a seed.
 */
import { Clock, Context, Effect, Layer, Random } from "effect"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import type { SystemOptions } from "../supervision/System.ts"
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

/** What a stopped system must not hold. */
const leftovers = (host: Host, zombies: number): ReadonlyArray<string> => {
  const { actors, queued, running, timers, zombies: undead } = host.snapshot()
  const faults = [...host.imbalances()]
  if (actors > 0) faults.push(`${actors} actors live`)
  if (queued > 0) faults.push(`${queued} messages are queued`)
  if (running > 0) faults.push(`${running} handlers run`)
  if (timers > 0) faults.push(`${timers} timers are armed`)
  if (undead.length > zombies) faults.push(`zombies: ${undead.map((z) => `${z.address} (${z.what})`).join(", ")}`)
  return faults
}

const open = ({ zombies = 0, ...options }: TestSystemOptions) =>
  Effect.gen(function* () {
    let host = undefined as Host | undefined
    // finalizers run in reverse: this one after the system's own shutdown, the one below before it
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() =>
        host === undefined ? Effect.void : complain("after shutdown", leftovers(host, zombies), host)
      )
    )
    const clock = yield* Clock.Clock
    const live = clock === Context.get(Context.empty(), Clock.Clock)
    // where time is virtual, budgets are too: a slow machine must not cut a turn elsewhere than a fast one
    const scheduler = live ? options.scheduler : { cost: new VirtualCost().read, ...options.scheduler }
    const services = yield* Layer.build(
      ActorSystem.layerOf({ freeze: true, ...options, ...(scheduler !== undefined && { scheduler }) })
    )
    const opened = Context.get(services, ActorSystem)
    host = opened
    yield* Effect.addFinalizer(() => Effect.suspend(() => complain("when the test ended", opened.imbalances(), opened)))
    return opened
  })

export class TestSystem {
  /** A system with default options. */
  static readonly layer: Layer.Layer<ActorSystem> = Layer.effect(
    ActorSystem,
    Effect.suspend(() => open({}))
  )

  /** The same with options. */
  static layerOf(options: TestSystemOptions): Layer.Layer<ActorSystem> {
    return Layer.effect(
      ActorSystem,
      Effect.suspend(() => open(options))
    )
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
    return Layer.effect(
      ActorSystem,
      Effect.suspend(() => Random.withSeed(open({ ...options, scheduler }), seed))
    )
  }
}
