/**
 * The system read at one moment: counters by kind, the tree, and whether the books balance.
 *
 * Floor 2; made on demand from plain integers; O(actors), 0.03 us each. Nothing here is kept up to date while messages flow.
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
  /** Incarnations that followed another one of the same life, whoever's failure it was. */
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

/** A snapshot, and where the books do not balance: empty when law 4 holds. */
export interface Audit {
  readonly snapshot: Snapshot
  readonly imbalances: ReadonlyArray<string>
}

const books = (cell: Cell): Books => ({
  accepted: cell.accepted,
  finished: cell.finished,
  deadLettered: cell.deadLettered,
  queued: cell.queued,
  running: cell.running
})

const fault = (who: string, b: Books): string =>
  `${who}: accepted ${b.accepted} != finished ${b.finished} + dead ${b.deadLettered} + queued ${b.queued} + running ${b.running}`

export const audit = (system: System): Audit => {
  const imbalances: Array<string> = []
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
  const inState = Lifecycle.states.map(() => 0)
  system.visit((cell) => {
    const { accepted, finished, deadLettered, queued, running, lifecycle } = cell
    if (accepted !== finished + deadLettered + queued + running) imbalances.push(fault(cell.address, books(cell)))
    sum.accepted += accepted
    sum.finished += finished
    sum.deadLettered += deadLettered
    sum.queued += queued
    sum.running += running
    inState[lifecycle]!++
  })
  Lifecycle.states.forEach((state, i) => (byState[state] = inState[i]!))
  if (sum.accepted !== sum.finished + sum.deadLettered + sum.queued + sum.running) imbalances.push(fault("system", sum))
  const { failed, cancelled, unheardErrors, revokedCalls } = system.counts
  const { sweeps, lagMillis, maxLagMillis } = system.scheduler
  const snapshot: Snapshot = {
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
  return { snapshot, imbalances }
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

export const stateOf = (cell: Cell): Lifecycle.State => Lifecycle.states[cell.lifecycle]!
