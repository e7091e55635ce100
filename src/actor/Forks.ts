/**
 * Fibers of an incarnation: what `self.fork` and `self.pipe` start, and the contexts that handlers and forks run in.
 *
 * Floor 1; used by Context, Startup, Streaming, Turn, Teardown. Law 8: a fork belongs to its incarnation, not to the message that
 * started it; a restart or stop interrupts it and waits for its finalizers.
 * Law 3: at most `held` of them an actor, ends of pipes that wait in its mailbox among them: those have slots that are never refused.
 * A fork's failure is the actor's failure unless asked otherwise (`onFailure: "log"`); one that comes when its incarnation
 * ends or has ended is reported.
 */
import { Cause, Context, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import { LimitReached } from "../kernel/Errors.ts"
import { CurrentStrand, Strand } from "../kernel/FiberScheduler.ts"
import type { Cell } from "./Cell.ts"

/** The scope of this incarnation: closed when it ends. */
export const scope = (cell: Cell): Scope.Closeable => {
  const extra = cell.record()
  return (extra.scope ??= Scope.makeUnsafe())
}

/** The scope of an incarnation that has ended. */
export const closedScope: Scope.Closeable = Scope.makeUnsafe()
Scope.closeUnsafe(closedScope, Exit.void)

/** What a fiber of an actor runs in: the behaviour's services, its strand, a scope. */
export interface Handling {
  readonly strand: Strand
  /** A message's, closed when it has been handled; of `initial` and of forks: the incarnation's. */
  readonly scope: Scope.Closeable
  readonly context: Context.Context<never>
  /** Whether the scope ends with the message. */
  readonly closes: boolean
}

const make = (cell: Cell, handles: boolean, closes: boolean): Handling => {
  const strand = new Strand(cell, handles)
  const own = closes ? Scope.makeUnsafe() : scope(cell)
  const context = cell.program.context.pipe(Context.add(CurrentStrand, strand), Context.add(Scope.Scope, own))
  return { strand, scope: own, context, closes }
}

/** Of a message: lent to one after the other, as long as none leaves fibers or finalizers behind. */
export const handling = (cell: Cell): Handling => {
  const extra = cell.record()
  return (extra.handling ??= make(cell, true, true))
}

/** Of `initial`. */
export const starting = (cell: Cell): Handling => make(cell, true, false)

/** Of forks and finalizers. */
export const forking = (cell: Cell): Handling => {
  const extra = cell.record()
  return (extra.forking ??= make(cell, false, false))
}

/** Starts a fiber: a handler's at once, in its actor's turn; any other goes through the run queue. */
export const start = (
  cell: Cell,
  { strand, context }: Handling,
  effect: Effect.Effect<unknown, unknown>
): Fiber.Fiber<unknown, unknown> => cell.program.runtime.fibers.start(strand, context, effect)

/** Whether a handler has left finalizers in its message's scope. */
export const acquired = ({ closes, scope }: Handling): boolean => closes && scope.state._tag === "Open"

/** Closes a message's scope, and then ends as its handler did, or as said. */
export const release = (
  cell: Cell,
  handling: Handling,
  exit: Exit.Exit<unknown, unknown>,
  end = exit
): Fiber.Fiber<unknown, unknown> =>
  start(cell, handling, Effect.uninterruptible(Effect.andThen(Scope.close(handling.scope, exit), end)))

/** The message has been handled. */
export const handled = (cell: Cell, { strand, scope }: Handling): void => {
  strand.active = false
  strand.root = undefined
  if (!strand.spread && strand.queued === 0 && scope.state._tag === "Empty") return
  strand.over = true
  if (cell.extra?.handling?.strand === strand) cell.extra.handling = undefined
}

/** Refuses one more of what an actor may hold. */
export const checkHeld = (cell: Cell, size: number, what: string): void => {
  const { held } = cell.program.plan
  if (size < held) return
  throw new LimitReached({ what: `${cell.address}: ${what}`, limit: held, option: "behavior option held" })
}

/** Starts a fiber of this incarnation; `ended` is called when it ends, whatever has become of the incarnation. */
export const held = (
  cell: Cell,
  effect: Effect.Effect<unknown, unknown, unknown>,
  ended: (exit: Exit.Exit<unknown, unknown>) => void
): Fiber.Fiber<unknown, unknown> => {
  const extra = cell.record()
  const forks = (extra.forks ??= new Set())
  const fiber = start(cell, forking(cell), effect as Effect.Effect<unknown, unknown>)
  forks.add(fiber)
  fiber.addObserver((exit) => {
    forks.delete(fiber)
    const { teardown } = extra
    ended(exit)
    if (teardown !== undefined && cell.alive) cell.advance()
  })
  return fiber
}

/** The same for `self.fork` and `self.pipe`; `done` is called when it ends, while the incarnation lives. */
export const fork = (
  cell: Cell,
  effect: Effect.Effect<unknown, unknown, unknown>,
  done: (exit: Exit.Exit<unknown, unknown>) => void
): Fiber.Fiber<unknown, unknown> => {
  const extra = cell.record()
  // the producers of live streams stand among the forks and have a limit of their own
  checkHeld(cell, (extra.forks?.size ?? 0) - (extra.streams?.size ?? 0) + extra.piped, "forks")
  const { incarnation } = extra
  return held(cell, effect, (exit) => {
    const { teardown } = extra
    // a restart waits for the forks of the incarnation that ends: its number has moved on already
    const lives = cell.alive && extra.incarnation === incarnation
    // an actor that drains still takes what it has waited for
    if (lives && (teardown === undefined || (teardown.mode === "drain" && !teardown.drained))) done(exit)
    else late(cell, "fork", exit)
  })
}

/** A fiber that a stop or restart has overtaken: what it failed of is reported, never supervised. */
export const late = (cell: Cell, tag: string, exit: Exit.Exit<unknown, unknown>): void => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  const { runtime } = cell.program
  runtime.reported(cell, { incident: runtime.incident(), tag, cause: exit.cause })
}

/** What a fork's end means for its actor, by default. */
export const failure = (cell: Cell, exit: Exit.Exit<unknown, unknown>, onFailure: "fail" | "log"): void => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  const { runtime } = cell.program
  const report = { incident: runtime.incident(), tag: "fork", cause: exit.cause }
  if (onFailure === "log") runtime.reported(cell, report)
  else runtime.failed(cell, report)
}
