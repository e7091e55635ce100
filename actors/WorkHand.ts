/**
 * The hand on one task of a WorkPool: who asked for it, which fiber is at it, and how far its retries have come.
 *
 * Made by WorkDesk when the task is taken on, or when a worker begins what nobody waits for; gone when the task has come to its end.
 * A mutable record, one a task, in one incarnation. Law 8: `left` says that it is given up, and from then on nobody is told of it;
 * its worker is free when its fiber has ended.
 * Not state: a fiber and a handle to answer by belong to an incarnation, and no Schema says what is in them.
 */
import type { Fiber } from "effect"
import type { Deferral } from "troupe"
import type { Course } from "./WorkAttempt.ts"

export class Hand implements Course {
  step: Course["step"] = undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** It is given up: its fiber is being interrupted. */
  left = false
  readonly ask: Deferral<unknown, unknown> | undefined
  constructor(ask: Deferral<unknown, unknown> | undefined) {
    this.ask = ask
  }

  get heard(): boolean {
    return this.left || this.ask?.waiting === true
  }
}
