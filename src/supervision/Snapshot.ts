/**
 * The system read at one moment: counters by kind, the tree, and whether the books balance.
 *
 * Floor 2; made on demand from plain integers; O(actors). Nothing here is kept up to date while messages flow.
 * Law 4, conservation, at every turn boundary:
 *   accepted = finished + dead-lettered + queued + running      an actor, and for the system the sum of all, plus the dead
 */
import type { Cell } from "../actor/Cell.ts"
import type { Address } from "../kernel/Address.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import type { System, Zombie } from "./System.ts"

export interface Books {
  /** Messages taken from their senders. */
  readonly accepted: number
  /** Handled: with success, a typed error, a failure, or cancelled on the way. */
  readonly finished: number
  readonly deadLettered: number
  /** In mailboxes and stashes. */
  readonly queued: number
  /** Handlers on the stack or suspended. */
  readonly running: number
}

export interface Snapshot extends Books {
  /** Sent to other nodes and not acknowledged yet. */
  readonly inTransit: number
  readonly actors: number
  readonly spawned: number
  readonly byState: Readonly<Record<Lifecycle.State, number>>
  readonly byType: Readonly<Record<string, { readonly living: number; readonly spawned: number }>>
  readonly deadLetters: Readonly<Partial<Record<DeadReason, number>>>
  readonly failed: number
  readonly cancelled: number
  readonly restarts: number
  readonly unheardErrors: number
  readonly revokedCalls: number
  readonly zombies: ReadonlyArray<Zombie>
  /** Armed for actors and asks: those of the log's own windows are not counted. */
  readonly timers: number
  /** In use, of the system options by these names. */
  readonly memberships: number
  readonly names: number
  readonly scheduler: { readonly sweeps: number; readonly lagMillis: number; readonly maxLagMillis: number }
}

/** One actor and what hangs below it. */
export interface TreeNode extends Books {
  readonly address: Address
  readonly state: Lifecycle.State
  readonly incarnation: number
  readonly children: ReadonlyArray<TreeNode>
}

const books = (cell: Cell): Books => ({
  accepted: cell.accepted,
  finished: cell.finished,
  deadLettered: cell.deadLettered,
  queued: cell.queued,
  running: cell.running
})

export const take = (system: System): Snapshot => {
  const sum = {
    accepted: system.nowhere.accepted,
    finished: 0,
    deadLettered: system.nowhere.dead,
    queued: 0,
    running: 0
  }
  const byState = { connecting: 0, active: 0, idle: 0, draining: 0, stopped: 0 }
  const byType: Record<string, { living: number; spawned: number }> = {}
  let actors = 0
  let spawned = 0
  for (const [type, kind] of system.registry.kinds) {
    sum.accepted += kind.retired.accepted
    sum.finished += kind.retired.finished
    sum.deadLettered += kind.retired.dead
    byType[type] = { living: kind.living, spawned: kind.spawned }
    actors += kind.living
    spawned += kind.spawned
  }
  for (const cell of system.cells()) {
    const own = books(cell)
    for (const name of ["accepted", "finished", "deadLettered", "queued", "running"] as const) sum[name] += own[name]
    byState[Lifecycle.states[cell.lifecycle]!]++
  }
  const { failed, cancelled, unheardErrors, revokedCalls } = system.counts
  const { sweeps, lagMillis, maxLagMillis } = system.scheduler
  return {
    ...sum,
    inTransit: 0,
    actors,
    spawned,
    byState,
    byType,
    deadLetters: { ...system.deadLetters.counts },
    failed,
    cancelled,
    restarts: system.restarts,
    unheardErrors,
    revokedCalls,
    zombies: [...system.zombies],
    timers: system.timers.size - system.flood.size,
    memberships: system.groups.size,
    names: system.names.size,
    scheduler: { sweeps, lagMillis, maxLagMillis }
  }
}

export const tree = (system: System): ReadonlyArray<TreeNode> => {
  const node = (cell: Cell): TreeNode => ({
    address: cell.address,
    state: Lifecycle.states[cell.lifecycle]!,
    incarnation: cell.incarnation,
    ...books(cell),
    children: [...(cell.extra?.children ?? [])].map(node)
  })
  return [...system.registry.kinds.values()].flatMap((kind) => [...kind.cells.values()].map(node))
}

/** Where the books do not balance: empty when law 4 holds. */
export const imbalances = (system: System): ReadonlyArray<string> => {
  const found: Array<string> = []
  const check = (who: string, b: Books): void => {
    const out = b.finished + b.deadLettered + b.queued + b.running
    if (b.accepted === out) return
    const { accepted, finished, deadLettered, queued, running } = b
    found.push(
      `${who}: accepted ${accepted} != finished ${finished} + dead ${deadLettered} + queued ${queued} + running ${running}`
    )
  }
  for (const cell of system.cells()) check(cell.address, books(cell))
  check("system", take(system))
  return found
}

export const stateOf = (cell: Cell): Lifecycle.State => Lifecycle.states[cell.lifecycle]!
