/**
 * The twenty kinds of actors of the random world: five shapes of mailbox, priority and idleness, each with four ways to start.
 *
 * A part of `Actors`, which says what their handlers do; here is what surrounds these: limits, starts, hooks.
 */
import { Effect, Exit, Schema, type Scope } from "effect"
import { Agent, type Behavior, type Self } from "troupe"
import type { Simulation } from "troupe/testkit"
import type { World } from "./Actors.ts"
import type { Ledger, Step } from "./Ledger.ts"
import { Ask, Do, type Me, type P, Said, type State, Sure, Tail } from "./Words.ts"

/** Timers, forks, watches, ... of an actor: few, so that the bound is met. */
export const held = 6

/** Something that its scope holds. */
export const kept = (ledger: Ledger, what: string): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => ledger.acquire(what)),
    (id) => Effect.sync(() => ledger.release(id))
  )

/** With these handlers. */
export const kinds = (
  { sim, ledger }: Pick<World, "sim" | "ledger">,
  on: unknown
): ReadonlyArray<Behavior<P, never>> => {
  const of = (key: string): Simulation.Chance => sim.chanceOf(`${key} starting`)
  const shapes = [
    { mailbox: { capacity: 8, overflow: "fail" }, priority: "normal" },
    { mailbox: { capacity: 3, overflow: "suspend" }, priority: "high", offerTimeout: "50 millis" },
    { mailbox: { capacity: 2, overflow: "dropNewest" }, priority: "critical" },
    { mailbox: { capacity: 2, overflow: "dropOldest" }, priority: "low" },
    { idleAfter: "40 millis", supervision: { restart: "permanent", intensity: { restarts: 5 } } }
  ] as const
  // a tree in which every other start fails never gets to live
  const slowest = (key: string): number => (key.startsWith("c") ? 20 : 30)
  const mishap = (key: string): number => (key.startsWith("c") ? 15 : 3)
  const starts: ReadonlyArray<unknown> = [
    { n: 0 },
    () => ({ n: 0 }),
    (key: string) =>
      Effect.as(Effect.andThen(kept(ledger, `initial of ${key}`), Effect.sleep(1 + of(key).below(slowest(key)))), {
        n: 0
      }),
    (key: string) => (of(key).oneIn(mishap(key)) ? Effect.die("initial") : Effect.as(Effect.yieldNow, { n: 0 }))
  ]
  const limits = {
    supervision: { backoff: { min: "4 millis", max: "50 millis" }, intensity: { restarts: 30 } },
    shutdown: "100 millis",
    connectTimeout: "20 millis",
    idleAfter: "60 millis",
    stash: 4,
    held
  } as const
  const me = (self: Me): Self<never> => self as unknown as Self<never>
  const hook = (self: Me, state: State, look: (step: Step) => void): State => {
    const step = ledger.enter(me(self), state.n)
    look(step)
    ledger.leave(step, state.n, Exit.succeed(state.n + 100), true)
    return { n: state.n + 100 }
  }
  return shapes.flatMap((shape, i) =>
    starts.map((initial, j) =>
      Agent.make(`K${i}${j}`, {
        state: Schema.Struct({ n: Schema.Int }),
        clients: [Do, Ask, Sure],
        protocol: [Tail],
        events: [Said]
      }).behavior({
        ...limits,
        ...shape,
        initial: initial as State,
        on: on as never,
        onTerminated: (state, { ref }, self) => hook(self, state, (step) => ledger.terminated(step, ref.address)),
        onConnect: (state, client, self) => hook(self, state, () => ledger.client(me(self), client.id, "connects")),
        onDisconnect: (state, client, _, self) => hook(self, state, () => ledger.client(me(self), client.id, "leaves")),
        onStop: (_, _why, self) => {
          ledger.stops(me(self))
          const chance = sim.chanceOf(`${self.ref.address} stopping`)
          return chance.oneIn(4) ? Effect.sleep(chance.below(150)) : undefined
        }
      })
    )
  )
}
