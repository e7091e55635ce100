/**
 * A sender that waits for room in a full `suspend` mailbox: a fiber, an ask, or the outputs of a handler.
 *
 * Floor 1; kept in the receiver's line (`Cell.enqueue`), first come first served.
 * Law 2: it keeps its place, and later sends of anybody queue behind it. Law 4: until it is admitted its message is not
 * accepted; withdrawn or refused, it is the sender's again. Law 1: inside a handler it waits `offerTimeout` at the most.
 */
import { Deadline } from "../kernel/Timers.ts"
import type { Cell } from "./Cell.ts"

export class Suspended {
  readonly target: Cell
  readonly tag: number
  readonly payload: unknown
  readonly origin: unknown
  readonly #done: (admitted: boolean, expired: boolean) => void
  #deadline: Deadline | undefined = undefined
  #over = false

  constructor(
    target: Cell,
    tag: number,
    payload: unknown,
    origin: unknown,
    millis: number,
    done: (admitted: boolean, expired: boolean) => void
  ) {
    this.target = target
    this.tag = tag
    this.payload = payload
    this.origin = origin
    this.#done = done
    if (Number.isFinite(millis)) {
      this.#deadline = new Deadline(() => {
        target.withdraw(this)
        this.finish(false, true)
      })
      target.program.runtime.timers.arm(this.#deadline, millis)
    }
    target.enqueue(this)
  }

  /** What its sender waits for, in words; undefined when it waits no more. */
  get awaited(): string | undefined {
    return this.#over ? undefined : `room in the mailbox of ${this.target.address}`
  }

  /** The receiver took the message. */
  admitted(): void {
    this.finish(true, false)
  }

  /** The receiver has closed. */
  refused(): void {
    this.finish(false, false)
  }

  /** The message is wanted no more, and its sender goes on. */
  leave(): void {
    this.target.withdraw(this)
    this.finish(false, false)
  }

  /** The sender gives up. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.disarm()
    this.target.withdraw(this)
  }

  private finish(admitted: boolean, expired: boolean): void {
    if (this.#over) return
    this.#over = true
    this.disarm()
    this.#done(admitted, expired)
  }

  private disarm(): void {
    if (this.#deadline !== undefined) this.target.program.runtime.timers.cancel(this.#deadline)
  }
}
