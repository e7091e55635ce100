/**
 * Fibers of an incarnation: what `self.fork` and `self.pipe` start, and the contexts that handlers and forks run in.
 *
 * Floor 1; used by Context, Startup, Turn, Teardown. Law 8: a fork belongs to its incarnation, not to the message that
 * started it; a restart or stop interrupts it and waits for its finalizers. Law 3: at most `held` of them an actor.
 * A fork's failure is the actor's failure unless asked otherwise (`onFailure: "log"`); one that comes when its incarnation
 * ends or has ended is reported.
 */
import { Cause, Context, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import { InvalidUse } from "../kernel/Errors.ts"
import { CurrentStrand, Strand } from "../kernel/FiberScheduler.ts"
import type { Cell } from "./Cell.ts"

/** The scope of this incarnation: closed when it ends. */
export const scope = (cell: Cell): Scope.Closeable => {
  const extra = cell.record()
  return (extra.scope ??= Scope.makeUnsafe())
}

const make = (cell: Cell, strand: Strand): Context.Context<never> =>
  cell.program.context.pipe(Context.add(CurrentStrand, strand), Context.add(Scope.Scope, scope(cell)))

/** What a handler's fiber runs in: the behaviour's services, its strand, this incarnation's scope. */
export interface Handling {
  readonly strand: Strand
  readonly context: Context.Context<never>
}

/** Lent to one message after the other, as long as none leaves fibers behind. */
export const handling = (cell: Cell): Handling => {
  const extra = cell.record()
  if (extra.handling !== undefined) return extra.handling
  const strand = new Strand(cell, true)
  return (extra.handling = { strand, context: make(cell, strand) })
}

/** The message of that strand has been handled. */
export const handled = (cell: Cell, strand: Strand): void => {
  strand.root = undefined
  if (!strand.spread && strand.queued === 0) return
  strand.over = true
  if (cell.extra?.handling?.strand === strand) cell.extra.handling = undefined
}

export const forkContext = (cell: Cell): Context.Context<never> => {
  const extra = cell.record()
  return (extra.forkContext ??= make(cell, new Strand(cell, false)))
}

/** Refuses one more of what an actor may hold. */
export const checkHeld = (cell: Cell, size: number, what: string): void => {
  const { held } = cell.program.plan
  if (size < held) return
  throw new InvalidUse({ address: cell.address, reason: `holds ${held} ${what} already (behavior option held)` })
}

/** Starts a fiber of this incarnation; `done` is called when it ends, while the incarnation lives. */
export const fork = (
  cell: Cell,
  effect: Effect.Effect<unknown, unknown, unknown>,
  done: (exit: Exit.Exit<unknown, unknown>) => void
): Fiber.Fiber<unknown, unknown> => {
  const extra = cell.record()
  const forks = (extra.forks ??= new Set())
  checkHeld(cell, forks.size, "forks")
  const { incarnation } = extra
  const fiber = Effect.runForkWith(forkContext(cell))(effect as Effect.Effect<unknown, unknown>)
  forks.add(fiber)
  fiber.addObserver((exit) => {
    forks.delete(fiber)
    const { teardown } = extra
    const lives = cell.alive && extra.incarnation === incarnation
    // an actor that drains still takes what it has waited for
    if (lives && (teardown === undefined || (teardown.mode === "drain" && !teardown.drained))) return done(exit)
    late(cell, "fork", exit)
    if (cell.alive && teardown !== undefined) cell.advance()
  })
  return fiber
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
