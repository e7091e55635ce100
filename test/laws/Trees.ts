/**
 * Trees of supervisors in the random world, and whoever gives them orders.
 *
 *   T0 one_for_all ── c0 K12, c1 T1 rest_for_one ── c0 ..., c1 ...        drawn anew in each run: strategy, intensity,
 *                  └─ c2 K30 (not started: for StartChild)                autoShutdown, restart types, shutdowns, depth
 *
 * Their workers are the world's: they get its mail, are asked, watched, linked, stopped and killed like everybody. Beside
 * that each supervisor has one who starts, terminates, restarts, deletes, lists its children, one command after the other,
 * and tells them to crash, to stop, to hang. `TreeLedger` holds it all to law 9.
 */
import { Cause, Effect, Exit } from "effect"
import { ActorRef, ActorSystem, type Behavior, Supervisor } from "troupe"
import type { Simulation } from "troupe/testkit"
import { type Budget, type Command, longestBackoff, type PlaceSpec, type TreeSpec } from "./Family.ts"
import type { Ledger, Order } from "./Ledger.ts"
import type { P, Ref } from "./Words.ts"

const strategies = ["one_for_one", "one_for_all", "rest_for_one", "dynamic"] as const
const types = ["permanent", "transient", "temporary"] as const
const autos = ["never", "never", "any_significant", "all_significant"] as const
const shutdowns = [undefined, "20 millis", "infinity", "kill"] as const
const orders: ReadonlyArray<Order> = ["crash", "stop", "hang"]
const dynamicKeys = ["c0", "c1", "c2", "c3"]

type Boss = ActorRef<Supervisor.Messages>

/** A supervisor, and where it stands. */
interface Tree {
  readonly spec: TreeSpec
  readonly behavior: Behavior<Supervisor.Messages, never>
  /** Given to StartChild, by id. */
  readonly options: ReadonlyMap<string, Record<string, unknown>>
  readonly nested: ReadonlyArray<readonly [id: string, tree: Tree]>
}

export class Trees {
  readonly #sim: Simulation.Sim
  readonly #ledger: Ledger
  readonly #kinds: ReadonlyArray<Behavior<P, never>>
  readonly #roots: ReadonlyArray<Tree>
  /** Supervisors, with their trees. */
  readonly #bosses: Array<readonly [Boss, Tree]> = []
  /** Whoever may once be a worker of theirs. */
  readonly workers: Array<Ref> = []
  #count = 0

  constructor(sim: Simulation.Sim, ledger: Ledger, kinds: ReadonlyArray<Behavior<P, never>>, most: number) {
    this.#sim = sim
    this.#ledger = ledger
    this.#kinds = kinds
    this.#roots = Array.from({ length: sim.chance.below(most + 1) }, () => this.#grow(2))
    for (const root of this.#roots) this.#place(root, new ActorRef(root.behavior.plan.protocol, "t", undefined))
  }

  #budget(): Budget {
    const { chance } = this.#sim
    return { restarts: 1 + chance.below(3), within: chance.pick([4, 200, 1000]) }
  }

  #grow(depth: number): Tree {
    const { chance } = this.#sim
    const type = `T${this.#count++}`
    const strategy = strategies[chance.below(4)]!
    const auto = autos[chance.below(4)]!
    const shared = strategy === "dynamic" && chance.oneIn(2) ? undefined : this.#budget()
    const nested: Array<readonly [string, Tree]> = []
    const options = new Map<string, Record<string, unknown>>()
    const children: Array<PlaceSpec> = []
    for (let i = strategy === "dynamic" ? 1 : 3 + chance.below(2); i > 0; i--) {
      const id = `c${children.length}`
      const tree = depth > 0 && strategy !== "dynamic" && chance.oneIn(3) ? this.#grow(depth - 1) : undefined
      if (tree !== undefined) nested.push([id, tree])
      const behavior = tree?.behavior ?? chance.pick(this.#kinds)
      const restart = types[chance.below(3)]!
      const significant = restart !== "permanent" && auto !== "never" && chance.oneIn(2)
      const own = (strategy === "dynamic" ? shared === undefined : chance.oneIn(8)) ? this.#budget() : undefined
      const shutdown = chance.pick(shutdowns)
      const waits = strategy === "dynamic" || chance.oneIn(2)
      options.set(id, {
        id,
        behavior,
        restart,
        significant,
        ...(own && { intensity: { restarts: own.restarts, within: own.within } }),
        ...(shutdown !== undefined && { shutdown }),
        ...(waits ? { backoff: { min: 10, max: longestBackoff } } : {})
      })
      children.push({ id, type: behavior.plan.protocol.type, restart, significant, own })
    }
    const first = strategy === "dynamic" ? [] : children.slice(0, 2 + chance.below(2)).map(({ id }) => id)
    const common = { strategy, autoShutdown: auto, ...(shared && { intensity: { ...shared } }) }
    const { id: _, ...child } = options.get("c0")!
    const made =
      strategy === "dynamic"
        ? { ...common, child, maxChildren: 3 }
        : { ...common, children: first.map((id) => options.get(id)) }
    const behavior = Supervisor.make(type, made as never) as unknown as Tree["behavior"]
    const ids = new Set(nested.map(([id]) => id))
    const spec: TreeSpec = { type, strategy, auto, shared, children, first, nested: ids }
    this.#ledger.trees.add(spec)
    return { spec, behavior, options, nested }
  }

  /** Finds out who may once live under a supervisor at this place. */
  #place(tree: Tree, at: Boss): void {
    this.#bosses.push([at, tree])
    const { spec, nested } = tree
    for (const [id, below] of nested) {
      this.#place(below, new ActorRef(below.behavior.plan.protocol, id, at.address))
    }
    const kind = (type: string) => this.#kinds.find(({ plan }) => plan.protocol.type === type)
    for (const id of spec.strategy === "dynamic" ? dynamicKeys : spec.children.map((child) => child.id)) {
      const worker = kind((spec.children.find((child) => child.id === id) ?? spec.children[0]!).type)
      if (worker !== undefined) this.workers.push(new ActorRef<P>(worker.plan.protocol, id, at.address))
    }
  }

  /** Those who give orders, each to one supervisor. */
  commanders(rounds: number): ReadonlyArray<Effect.Effect<void, never, ActorSystem>> {
    return this.#bosses.map(([boss, tree]) => this.#commander(boss, tree, rounds))
  }

  readonly #commander = Effect.fnUntraced(function* (this: Trees, boss: Boss, tree: Tree, rounds: number) {
    const { address } = boss
    const chance = this.#sim.chanceOf(`orders to ${address}`)
    const ids = tree.spec.strategy === "dynamic" ? dynamicKeys : tree.spec.children.map(({ id }) => id)
    const below = this.workers.filter((worker) => worker.address.startsWith(`${address}/`))
    if (boss.isRoot) yield* this.#plant(tree)
    for (let round = 0; round < rounds; round++) {
      const id = chance.pick(ids)
      switch (chance.below(11)) {
        case 1:
          yield* this.#command(boss, tree, { what: "StartChild", id })
          break
        case 2:
          yield* this.#command(boss, tree, { what: "TerminateChild", id })
          break
        case 3:
          yield* this.#command(boss, tree, { what: "RestartChild", id })
          break
        case 4:
          yield* this.#command(boss, tree, { what: "DeleteChild", id })
          break
        case 5:
          yield* this.#command(boss, tree, { what: chance.oneIn(2) ? "CountChildren" : "WhichChildren", id })
          break
        case 6:
        case 7:
        case 8: {
          // one after the other: some while their siblings go down, or wait to come up
          const order = chance.pick(orders)
          const kills = chance.oneIn(2)
          for (const ref of below) {
            if (!chance.oneIn(2)) continue
            if (kills) yield* Effect.forkDetach(ref.stop({ mode: "kill" }), { startImmediately: true })
            else ref.tellUnsafe("Do", this.#ledger.mail(`orders to ${address}`, ref.address, 1, { order }))
            if (chance.oneIn(2)) yield* Effect.sleep(1)
          }
          break
        }
        case 9:
          if (boss.isRoot) yield* this.#plant(tree)
          break
        default:
          yield* Effect.sleep(1 + chance.below(25))
      }
    }
  }).bind(this)

  /** Makes a root, unless it lives. */
  #plant(tree: Tree): Effect.Effect<void, never, ActorSystem> {
    return Effect.asVoid(Effect.exit(ActorSystem.spawn(tree.behavior, "t")))
  }

  #command(boss: Boss, { spec, options }: Tree, command: Command): Effect.Effect<void> {
    const { what, id } = command
    const dynamic = spec.strategy === "dynamic"
    if (dynamic && (what === "RestartChild" || what === "DeleteChild")) return Effect.void
    return Effect.suspend(() => {
      this.#sim.note(`${boss.address}: ${what} ${id}`)
      const answered = this.#ledger.trees.commands(boss, command)
      const payload = what === "StartChild" ? (dynamic ? { key: id } : options.get(id)) : id
      const listing = what === "WhichChildren" || what === "CountChildren"
      const asks = boss.ask(what, (listing ? undefined : payload) as never, { timeout: "infinity" })
      return Effect.map(Effect.exit(asks as Effect.Effect<unknown, { readonly _tag: string }>), (exit) => {
        const outcome = Exit.isSuccess(exit) ? "ok" : (Cause.squash(exit.cause) as { readonly _tag: string })._tag
        this.#sim.note(`${boss.address}: ${what} ${id}: ${outcome}`)
        answered(outcome, Exit.isSuccess(exit) ? exit.value : undefined)
      })
    })
  }

  /** At rest each supervisor is asked once more. */
  get listed(): Effect.Effect<void> {
    return Effect.forEach(
      this.#bosses.flatMap(([boss, tree]) =>
        (["WhichChildren", "CountChildren"] as const).map((what) => ({ boss, tree, what }))
      ),
      ({ boss, tree, what }) => this.#command(boss, tree, { what, id: "" }),
      { discard: true }
    )
  }
}
