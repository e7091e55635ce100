/**
 * Who wants to know when whom has died.
 *
 * Floor 2; called by the system. Law 10: exactly one `Terminated { ref, reason }` a watcher and watch, also for an actor
 * already dead; restart is no death. Law 2: it keeps its place behind what the dead actor had sent before, in a slot that
 * was reserved when the watch was made, so it is never refused. Law 3: at most `held` watches an actor.
 */
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import { checkHeld } from "../actor/Forks.ts"
import { TERMINATED } from "../kernel/Envelope.ts"

const deliver = (watcher: Cell, ref: ActorRef<never>, cell: Cell | undefined, reason: ExitReason.ExitReason): void => {
  const died: ExitReason.Terminated = { ref, reason }
  watcher.deliver(TERMINATED, died, { cell })
}

/** A second watch of the same life is the first. */
export const watch = (watcher: Cell, ref: ActorRef<never>, target: Cell | undefined): void => {
  if (target === undefined || !target.alive) {
    checkHeld(watcher, watcher.mailbox?.reserved ?? 0, "messages of watches and timers that wait")
    return deliver(watcher, ref, undefined, ref.cell?.extra?.exit ?? ExitReason.noSuchActor)
  }
  const watching = (watcher.record().watching ??= new Set())
  if (watching.has(target)) return
  checkHeld(watcher, watching.size, "watches")
  watching.add(target)
  ;(target.record().watchers ??= new Set()).add(watcher)
}

export const unwatch = (watcher: Cell, ref: ActorRef<never>, target: Cell | undefined): void => {
  if (target !== undefined) {
    watcher.extra?.watching?.delete(target)
    target.extra?.watchers?.delete(watcher)
  }
  const { address } = ref
  const entry = watcher.mailbox?.remove(
    (tag, payload) => tag === TERMINATED && (payload as ExitReason.Terminated).ref.address === address
  )
  if (entry === undefined) return
  // the life that has ended: a new one may stand under its address
  watcher.extra?.watching?.delete((entry[2] as { readonly cell: Cell }).cell)
  watcher.bury(TERMINATED, entry[1], "unwatched")
}

type Listener = (reason: ExitReason.ExitReason, died: Cell) => void

const nobody: ReadonlyArray<Listener> = []

/** A life has ended: its watchers hear of it, and it watches no more. */
export const ended = (cell: Cell): ReadonlyArray<Listener> => {
  const { extra } = cell
  if (extra === undefined) return nobody
  if (extra.watching !== undefined) for (const target of extra.watching) target.extra?.watchers?.delete(cell)
  extra.watching = undefined
  const { watchers } = extra
  if (watchers === undefined) return nobody
  extra.watchers = undefined
  const listeners: Array<Listener> = []
  for (const watcher of watchers) {
    if (typeof watcher === "function") listeners.push(watcher)
    else deliver(watcher, cell.ref, cell, extra.exit ?? ExitReason.normal)
  }
  return listeners
}
