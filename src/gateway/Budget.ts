/**
 * Bytes that gateways hold for their clients: unfinished, in backlogs, not taken by sockets, kept for who may come back.
 *
 * Floor 3; one a gateway; what all gateways of the process hold is one sum, for they share its memory.
 * Law 3: from 80 % of `maxHeldBytes` on nobody new comes in; beyond it each connection has a window of one message; what
 * sessions keep may be half of it. Cost: two additions where bytes come or go.
 */
let ofAll = 0
let keptByAll = 0

/** New connections are refused when so much of the budget is used. */
const closedShare = 0.8

/** What sessions keep is at most this share. */
const keptShare = 0.5

export class Budget {
  /** This gateway's. */
  held = 0
  /** Of these, what sessions keep. */
  kept = 0
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** So many bytes more are held, or fewer. */
  hold(bytes: number): void {
    this.held += bytes
    ofAll += bytes
  }

  /** The same for what sessions keep. */
  keep(bytes: number): void {
    this.hold(bytes)
    this.kept += bytes
    keptByAll += bytes
  }

  /** No room for somebody new. */
  get closed(): boolean {
    return ofAll >= closedShare * this.#max
  }

  /** No room for more than a message of each connection's. */
  get spent(): boolean {
    return ofAll >= this.#max
  }

  /** No room for what sessions keep. */
  get keepsTooMuch(): boolean {
    return keptByAll > keptShare * this.#max
  }
}
