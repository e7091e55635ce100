/**
 * Fibers of an incarnation: what `self.fork` and `self.pipe` start, and the contexts that handlers and forks run in.
 *
 * Floor 1; used by Context, Startup, Turn, Teardown. Law 8: a fork belongs to its incarnation, not to the message that
 * started it; a restart or stop interrupts it and waits for its finalizers. Law 3: at most `held` of them an actor.
 * A fork's failure is the actor's failure unless asked otherwise (`onFailure: "log"`).
 */
import { Cause, Context, Effect, Exit, Scope } from "effect"
import type { Fiber } from "effect"
import { InvalidUse } from "../kernel/Errors.ts"
import { CurrentStrand } from "../kernel/FiberScheduler.ts"
import type { Cell } from "./Cell.ts"

/** The scope of this incarnation: closed when it ends. */
export const scope = (cell: Cell): Scope.Closeable => {
  const extra = cell.record()
  return (extra.scope ??= Scope.makeUnsafe())
}

const make = (cell: Cell, handling: boolean): Context.Context<never> =>
  cell.program.context.pipe(
    Context.add(CurrentStrand, { owner: cell, handling }),
    Context.add(Scope.Scope, scope(cell))
  )

/** What a handler's fiber runs in: the behaviour's services, this actor's strand, this incarnation's scope. */
export const handlerContext = (cell: Cell): Context.Context<never> => {
  const extra = cell.record()
  return (extra.handlerContext ??= make(cell, true))
}

export const forkContext = (cell: Cell): Context.Context<never> => {
  const extra = cell.record()
  return (extra.forkContext ??= make(cell, false))
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
    if (!cell.alive) return
    // a restart waits for the forks of the incarnation that ends: its number has moved on already
    if (extra.teardown !== undefined) return cell.advance()
    if (extra.incarnation === incarnation) done(exit)
  })
  return fiber
}

/** What a fork's end means for its actor, by default. */
export const failure = (cell: Cell, exit: Exit.Exit<unknown, unknown>, onFailure: "fail" | "log"): void => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  const { runtime } = cell.program
  const report = { incident: runtime.incident(), tag: "fork", cause: exit.cause }
  if (onFailure === "log") runtime.reported(cell, report)
  else runtime.failed(cell, report)
}
