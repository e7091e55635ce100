/**
 * What a stopped system must not hold, each by name: address and what.
 *
 * Floor 5; used by TestSystem. `notice` looks at the actors before the shutdown, so that what they then still have can be
 * named although the registry has forgotten them.
 * Law 4: nothing queued, nothing running, the books balance. Law 7: no timer armed. Law 8: no fiber of a handler or a fork.
 * An actor, a connection or an edge that outlives its system is a leak too. O(actors + timers), once a test.
 */
import { ActorTimer } from "../actor/ActorTimers.ts"
import { Ask } from "../actor/Ask.ts"
import type { Cell } from "../actor/Cell.ts"
import type { Client } from "../actor/Client.ts"
import type { TimerNode } from "../kernel/Timers.ts"
import type { Host } from "../supervision/ActorSystem.ts"
import type { LiveFibers } from "./LiveFibers.ts"

/** The clients that were connected when the test ended, by agent. */
export type Connected = ReadonlyArray<readonly [Cell, Client]>

export const notice = ({ system }: Host): Connected =>
  [...system.cells()].flatMap((cell) => [...(cell.extra?.clients ?? [])].map((client) => [cell, client] as const))

const describe = (node: TimerNode): string => {
  if (node instanceof ActorTimer) return `timer "${node.key}" of ${node.cell.address} is armed`
  if (node instanceof Ask)
    return `the deadline of the ask "${node.target.tagName(node.tag)}" to ${node.target.address} is armed`
  return `a deadline of ${node.lane?.millis} ms is armed`
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`

/** Faults by name; empty when nothing is left. `zombies`: how many the test leaves on purpose. */
export const leftovers = (
  host: Host,
  connected: Connected,
  fibers: LiveFibers,
  zombies: number
): ReadonlyArray<string> => {
  const { system } = host
  const faults = [...host.imbalances()]
  for (const cell of system.cells()) {
    const { address, queued, running } = cell
    faults.push(`${address} lives`)
    if (queued > 0) faults.push(`${address}: ${count(queued, "message")} queued`)
    if (running > 0) faults.push(`${address}: its handler runs`)
  }
  const { actors, queued, running } = host.snapshot()
  const known = [...system.cells()].length
  if (actors > known) faults.push(`${count(actors - known, "actor")} counted as living beyond those`)
  if (faults.length === 0 && queued + running > 0) faults.push(`${queued} queued, ${running} running`)
  for (const node of system.timers.armed()) faults.push(describe(node))
  for (const [cell, client] of connected) {
    if (cell.extra?.clients?.has(client) === true) faults.push(`client ${client.id} is connected to ${cell.address}`)
  }
  if (system.edges.size > 0) faults.push(`${count(system.edges.size, "edge")} (gateway) open`)
  const undead = [...system.zombies]
  if (undead.length > zombies) faults.push(`zombies: ${undead.map((z) => `${z.address} (${z.what})`).join(", ")}`)
  // a zombie is listed above or left on purpose: its fibers are no leak besides
  for (const { address, what } of fibers.of(system)) {
    if (!undead.some((zombie) => zombie.address === address)) faults.push(`${address}: ${what}`)
  }
  return faults
}
