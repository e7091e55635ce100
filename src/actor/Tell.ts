/**
 * `ref.tell` as an Effect: one small object that offers, and suspends its fiber only for room in a `suspend` mailbox.
 *
 * Floor 1; made by ActorRef. Law 2: a suspended tell keeps its place. Law 1: a handler's tell waits `offerTimeout` at the
 * most, and never for its own mailbox. Interrupted while it waits, the message was never accepted (law 4).
 */
import { type Effect, Exit, type Fiber } from "effect"
import type { TellError } from "../kernel/Errors.ts"
import * as PrivateFiber from "../kernel/Fiber.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Cell } from "./Cell.ts"
import * as Refusal from "./Refusal.ts"
import * as Runtime from "./Runtime.ts"
import { Suspended } from "./Suspended.ts"

export class Tell extends PrivateFiber.Primitive<void, TellError> {
  readonly #ref: ActorRef<never>
  readonly #tag: number
  readonly #payload: unknown

  constructor(ref: ActorRef<never>, tag: number, payload: unknown) {
    super()
    this.#ref = ref
    this.#tag = tag
    this.#payload = payload
  }

  run(fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void, TellError> {
    const ref = this.#ref
    const runtime = Runtime.of(fiber)
    const offer = ref.offer(this.#tag, this.#payload, undefined, runtime)
    if (offer === "accepted") return Exit.void
    const cell = offer === "closed" ? undefined : ref.find(runtime)
    if (cell === undefined) return Exit.fail(Refusal.closed(ref, runtime()))
    const sender = cell.program.runtime.scheduler.handling ? cell.program.runtime.scheduler.current : undefined
    if (cell.program.plan.overflow !== "suspend" || sender === cell) {
      return Exit.fail(Refusal.full(cell, this.#tag, this.#payload))
    }
    return this.wait(fiber, cell, sender as Cell | undefined)
  }

  private wait(fiber: Fiber.Fiber<unknown, unknown>, cell: Cell, sender: Cell | undefined): Effect.Effect<never> {
    const millis = sender === undefined ? Number.POSITIVE_INFINITY : sender.program.plan.offerMillis
    const { runtime } = cell.program
    let suspended = true
    const waiter = new Suspended(cell, this.#tag, this.#payload, undefined, millis, (admitted, expired) => {
      const exit = admitted
        ? Exit.void
        : Exit.fail(expired ? Refusal.full(cell, this.#tag, this.#payload) : Refusal.closed(this.#ref, runtime))
      // the fiber may have been interrupted between the turn that admitted it and its end
      Runtime.after(runtime, { deliver: () => void (suspended && PrivateFiber.resume(fiber, exit)) })
    })
    if (sender !== undefined) sender.record().awaiting = waiter
    return PrivateFiber.suspend(fiber, () => {
      suspended = false
      waiter.cancel()
    })
  }
}
