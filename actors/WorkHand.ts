/**
 * The hand on one task of a WorkPool: who asked for it, which fiber is at it, and how far its retries have come.
 *
 * Made by WorkDesk when the task is taken on; gone when the task has come to its end. Of a task that nobody waits for it keeps the
 * task, too, so that the log can say what was lost where the pool ends before it.
 * A mutable record, one a task, in one incarnation. Law 8: `left` says that it is given up, and from then on nobody is told of it;
 * its worker is free when its fiber has ended.
 * Not state: a fiber and a handle to answer by belong to an incarnation, and no Schema says what is in them.
 */
import { Cause, Effect, Exit, type Fiber } from "effect"
import type { Deferral } from "troupe"
import type { Course, Ending } from "./WorkAttempt.ts"
import { type Me, TaskDied } from "./WorkProtocol.ts"
import { show } from "./WorkUnheard.ts"

export class Hand implements Course {
  step: Course["step"] = undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** It is given up: its fiber is being interrupted. */
  left = false
  /** A worker has had it, be it in vain. */
  begun = false
  /** Nobody's, where it was submitted or told. */
  readonly ask: Deferral<unknown, unknown> | undefined
  readonly task: unknown
  constructor(ask: Deferral<unknown, unknown> | undefined, task: unknown) {
    this.ask = ask
    this.task = task
  }

  get heard(): boolean {
    return this.left || this.ask?.waiting === true
  }

  /** Tells whoever waits what has become of it, and the log where nobody does, or where it died. */
  ended(self: Me, id: number, worker: number, exit: Exit.Exit<Ending>): "done" | "failed" | "cancelled" {
    if (Exit.isSuccess(exit)) {
      const { value: ending } = exit
      if (ending.how === "done") this.ask?.succeed(ending.value)
      if (ending.how === "failed") this.ask?.fail(ending.error)
      return ending.how === "retried" ? "cancelled" : ending.how
    }
    const { address } = self.ref
    const interrupted = Cause.hasInterruptsOnly(exit.cause)
    const isHeard = this.ask?.fail(new TaskDied({ address, id, worker, interrupted })) === true || this.left
    const what = `${address}: task ${id} ${interrupted ? "interrupted itself" : "died"} on worker ${worker}: ${show(this.task)}`
    if (interrupted && !isHeard) self.fork(Effect.logWarning(what))
    if (!interrupted) self.fork(Effect.logError(what, exit.cause))
    return interrupted && this.left ? "cancelled" : "failed"
  }
}
