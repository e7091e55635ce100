/**
 * Laws 3 and 4 looked at in one walk over all actors: what every turn boundary of a simulated run is asked.
 *
 * Floor 5; used by Simulation. Law 4: accepted = finished + dead-lettered + queued + running, an actor and the system.
 * Law 3: mailbox, stash, timers, forks, streams, deferred asks and watches within what the behaviour allows. `unstash` puts
 * back more than a mailbox takes, but never more than stash and mailbox together.
 * Cost: reads integers and builds no text unless something is wrong: 0.1 us an actor, where `imbalances()` takes 1 us.
 */
import type { Cell } from "../actor/Cell.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import type { Host } from "../supervision/ActorSystem.ts"

/** What is over its bound, in words; mostly nothing. */
const overfull = (cell: Cell): string | undefined => {
  const { mailbox, extra } = cell
  const { capacity, stash, held } = cell.program.plan
  if (mailbox !== undefined && mailbox.size - mailbox.reserved > capacity + stash) {
    return `mailbox ${mailbox.size - mailbox.reserved} of ${capacity} + ${stash}`
  }
  if (extra === undefined) return undefined
  if (extra.stash !== undefined && extra.stash.length > stash) return `stash ${extra.stash.length} of ${stash}`
  const streams = extra.streams?.size ?? 0
  if (streams > held) return `streams ${streams} of ${held}`
  if (extra.timers !== undefined && extra.timers.size > held) return `timers ${extra.timers.size} of ${held}`
  const forks = (extra.forks?.size ?? 0) - streams + extra.piped
  if (forks > held || extra.piped < 0) return `forks ${forks} of ${held}, ${extra.piped} of them ends of pipes`
  if (extra.deferred !== undefined && extra.deferred.size > held) return `deferred ${extra.deferred.size} of ${held}`
  if (extra.watching !== undefined && extra.watching.size > held) return `watches ${extra.watching.size} of ${held}`
  if (extra.sending > held) return `waiting sends ${extra.sending} of ${held}`
  return undefined
}

/** Accepted less all that became of it: 0 while the books balance. */
const difference = (cell: Cell): number =>
  cell.accepted - cell.finished - cell.deadLettered - cell.queued - cell.running

interface Found {
  faults: Array<string> | undefined
  unbalanced: boolean
  dead: number
}

const walk = (cell: Cell, found: Found): void => {
  if (difference(cell) !== 0) found.unbalanced = true
  found.dead += cell.deadLettered
  if (!cell.alive)
    (found.faults ??= []).push(`law 4, conservation: ${cell.address} has ended, and is counted as living still`)
  const over = overfull(cell)
  if (over !== undefined) (found.faults ??= []).push(`law 3, bounds: ${cell.address}: ${over}`)
  const children = cell.extra?.children
  if (children !== undefined) for (const child of children) walk(child, found)
}

const none: ReadonlyArray<string> = []

/** Where laws 3 and 4 do not hold now; empty when they do. */
export const audit = (host: Host): ReadonlyArray<string> => {
  const { registry, nowhere, deadLetters } = host.system
  const found: Found = { faults: undefined, unbalanced: nowhere.accepted !== nowhere.dead, dead: nowhere.dead }
  for (const { cells, retired } of registry.kinds.values()) {
    if (retired.accepted !== retired.finished + retired.dead) found.unbalanced = true
    found.dead += retired.dead
    for (const cell of cells.values()) walk(cell, found)
  }
  let listed = 0
  for (const reason in deadLetters.counts) listed += deadLetters.counts[reason as DeadReason] ?? 0
  if (listed !== found.dead) {
    ;(found.faults ??= []).push(`law 4, conservation: ${found.dead} dead letters, ${listed} of them with a reason`)
  }
  if (!found.unbalanced) return found.faults ?? none
  return [...host.imbalances().map((fault) => `law 4, conservation: ${fault}`), ...(found.faults ?? [])]
}
