/**
 * Everybody else, as a stubbed behaviour meets them: an address that takes mail, handles none, and shows it to the test.
 *
 * Floor 5; made by StubRuntime for each child the behaviour spawns and each address it names. A real cell, so that sends,
 * asks, forwards and watches reach it by the code that reaches any actor; it never starts, and its mailbox is a list.
 * Law 4: an ask in it has one outcome: the test's answer, the asker's own end, or `ActorStopped` when it is ended.
 * No bound: it is the test's memory.
 */
import { Exit } from "effect"
import type { Offer } from "../kernel/Envelope.ts"
import { ActorStopped } from "../kernel/Errors.ts"
import { Ask } from "../actor/Ask.ts"
import { Cell } from "../actor/Cell.ts"
import type { Program } from "../actor/Plan.ts"
import type { Address } from "../kernel/Address.ts"

/** A message that reached somebody else. */
export class Received {
  readonly tag: string
  readonly payload: unknown
  readonly #ask: Ask | undefined
  readonly #after: () => void

  constructor(tag: string, payload: unknown, ask: Ask | undefined, after: () => void) {
    this.tag = tag
    this.payload = payload
    this.#ask = ask
    this.#after = after
  }

  /** Whether it is an ask that somebody still waits on. */
  get waiting(): boolean {
    return this.#ask !== undefined && this.#ask.exit === undefined
  }

  /** Answers the ask, and lets the behaviour go on. False when nobody waits. */
  reply(value: unknown): boolean {
    return this.settle(Exit.succeed(value))
  }

  /** Answers the ask with an error of its Rpc, or a refusal such as `AskTimeout`. False when nobody waits. */
  fail(error: unknown): boolean {
    return this.settle(Exit.fail(error))
  }

  /** Internal. */
  settle(exit: Exit.Exit<unknown, unknown>): boolean {
    const settled = this.#ask?.settle(exit) ?? false
    this.#after()
    return settled
  }
}

export class Bystander extends Cell {
  readonly inbox: Array<Received> = []
  readonly #address: Address | undefined
  readonly #after: () => void

  /** `address`: of one that was only named; a child's follows from its parent. `after`: lets the behaviour go on. */
  constructor(
    program: Program,
    key: string | number,
    parent: Cell | undefined,
    address: Address | undefined,
    after: () => void
  ) {
    super(program, key, parent)
    this.#address = address
    this.#after = after
  }

  override get address(): Address {
    return this.#address ?? super.address
  }

  override offer(tag: number, payload: unknown, origin: unknown): Offer {
    if (!this.open) return "closed"
    this.inbox.push(new Received(this.tagName(tag), payload, origin instanceof Ask ? origin : undefined, this.#after))
    return "accepted"
  }

  override lend(): boolean {
    return false
  }

  /** It never runs. */
  override start(): void {}

  /** Its life has ended: who still waits for it is told. */
  ended(): void {
    const error = new ActorStopped({ address: this.address, draining: false })
    for (const received of this.inbox) if (received.waiting) received.settle(Exit.fail(error))
  }
}
