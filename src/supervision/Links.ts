/**
 * Two actors that fail together.
 *
 * Floor 2; called by the system. OTP's links, between incarnations: when one of the two fails (restarted or not, also by its
 * siblings' failure) or is killed, the other fails too, with `LinkBroken`, and its own supervision decides; when one is shut
 * down, so is the other; a normal or drained end breaks nothing. Breaking a link ends it: a new incarnation links anew, in
 * `initial`. A link to nobody is broken at once. Where Troupe departs from OTP: no exit trapping, since `watch` is for that.
 * Law 3: at most `held` links an actor; one too many is refused in the handler, or, where the other has too many, reported. Order: the other hears after the turn at hand. Cost: O(links) at an end.
 */
import { Cause } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import { checkHeld } from "../actor/Forks.ts"
import * as Runtime from "../actor/Runtime.ts"
import { LinkBroken } from "../kernel/Errors.ts"

export const link = (cell: Cell, ref: ActorRef<never>, other: Cell | undefined): void => {
  if (other === undefined || !other.alive)
    return fail(cell, cell.incarnation, ref.address, cell.program.runtime.incident())
  if (other === cell) return
  const links = (cell.record().links ??= new Set())
  if (links.has(other)) return
  const theirs = (other.record().links ??= new Set())
  try {
    checkHeld(cell, links.size, "links")
    checkHeld(other, theirs.size, "links")
  } catch (error) {
    // the turn that asked for it has been committed: nobody is left to refuse it to
    const { runtime } = cell.program
    return runtime.reported(cell, { incident: runtime.incident(), tag: "link", cause: Cause.fail(error) })
  }
  links.add(other)
  theirs.add(cell)
}

export const unlink = (cell: Cell, other: Cell | undefined): void => {
  if (other === undefined) return
  cell.extra?.links?.delete(other)
  other.extra?.links?.delete(cell)
}

/** The others are no longer linked to it; answers with who they were. */
export const dissolve = (cell: Cell): ReadonlyArray<Cell> => {
  const links = cell.extra?.links
  if (links === undefined) return []
  cell.extra!.links = undefined
  for (const other of links) other.extra?.links?.delete(cell)
  return [...links]
}

/** An incarnation has failed: those linked to it fail too. */
export const broken = (cell: Cell, incident: string): void => {
  for (const other of dissolve(cell)) fail(other, other.incarnation, cell.address, incident)
}

const nobody = (): void => {}

/**
 * A life has ended; to be told to those linked to it, as they are now, once its supervisor has heard of it: whoever it
 * takes down with that child does not fail beside.
 */
export const ended = (cell: Cell, reason: ExitReason.ExitReason): (() => void) => {
  if (cell.extra?.links === undefined) return nobody
  const others = dissolve(cell).map((other) => [other, other.incarnation] as const)
  return () => {
    for (const [other, incarnation] of others) {
      if (reason._tag === "failed") fail(other, incarnation, cell.address, reason.incident)
      else if (reason._tag === "killed" || reason._tag === "overflow") {
        fail(other, incarnation, cell.address, cell.program.runtime.incident())
      } else if (reason._tag === "shutdown") {
        const order = { mode: "now", millis: undefined, reason: ExitReason.shutdown } as const
        Runtime.after(other.program.runtime, { deliver: () => void other.stop(order) })
      }
    }
  }
}

const fail = (cell: Cell, incarnation: number, address: string, incident: string): void => {
  const { runtime } = cell.program
  const failure = {
    incident: runtime.incident(),
    tag: "link",
    cause: Cause.fail(new LinkBroken({ address, incident }))
  }
  Runtime.after(runtime, {
    deliver: () => {
      if (cell.alive && cell.incarnation === incarnation) runtime.failed(cell, failure)
    }
  })
}
