/**
 * A random world of actors, supervisors, clients and senders, as a program for Simulation: what the laws are run on.
 *
 *   Actors     twenty hosted types, two dozen names of them       Outside   three senders, three clients
 *   Trees      supervisors over the same kinds, and commanders    chaos     stops, kills, cuts whoever it comes upon
 *
 * `Ledger` and `TreeLedger` hold it to the laws. What is drawn is drawn where it happens, 0 being nothing, so that a shrunk
 * schedule has few steps that do anything.
 *
 * To add a feature (a new kind of reply): a case in `stage`, `work` or `outside`, and a model in `Ledger`.
 */
import { Effect } from "effect"
import { ActorRef, ActorSystem } from "troupe"
import type { Simulation } from "troupe/testkit"
import { World } from "./Actors.ts"
import type { Ledger } from "./Ledger.ts"
import { client, outside } from "./Outside.ts"
import type { P } from "./Words.ts"

/** How much happens. */
export interface Size {
  /** Steps of each of the three senders and three clients. */
  readonly rounds: number
}

/** The program; it answers with the ledger, whose figures say how much there was to look at. */
export const world =
  ({ rounds }: Size): Simulation.Program<Ledger, never> =>
  (sim) =>
    Effect.gen(function* () {
      const all = new World(sim)
      for (const [i, kind] of all.kinds.entries()) {
        yield* Effect.orDie(ActorSystem.host(kind))
        // made by the first message: a schedule that sends nothing starts nobody
        all.refs.push(new ActorRef<P>(kind.plan.protocol, `n${i}`, undefined))
      }
      // everybody lives, unless a shrunk schedule can do without
      if (sim.chance.below(2 ** 16) !== 0) {
        for (const ref of all.refs) ref.tellUnsafe("Do", all.ledger.mail("w", ref.address, 2))
      }
      yield* Effect.forkChild(sim.chaos({ every: "40 millis", ...(all.calm && { stops: [] }) }))
      yield* Effect.all(
        [
          ...["x", "y", "z"].map((name) => outside(all, name, rounds)),
          ...all.trees.commanders(Math.ceil(rounds / 2)),
          ...["client 1", "client 2", "client 3"].map((name) => client(all, name, rounds))
        ],
        { concurrency: "unbounded" }
      )
      yield* Effect.sleep("2 seconds")
      yield* sim.settled
      all.ledger.rested()
      all.ledger.trees.rested()
      yield* all.trees.listed
      sim.atEnd(() => all.ledger.ended())
      return all.ledger
    })
