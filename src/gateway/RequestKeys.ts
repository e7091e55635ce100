/**
 * The requests of a session that bear a `requestKey`: one sent again is not handled again.
 *
 *   first time           handled; its outcome is kept
 *   again, running       the answer to come answers both
 *   again, finished      the kept outcome, under the repeat's id; nothing where that very answer was sent on this connection
 *   again, other content -32600
 *
 * Floor 3; owned by Session. Law 3: 1,024 keys a session, then the oldest answered one is forgotten; outcomes by the bytes of
 * `maxReplayBytes`, then the oldest is let go and a repeat of it is told -32005, never handled twice; by age, once the client surely
 * has the outcome: one that may not have arrived is kept as long as its session; of one that has, the key is enough: a
 * repeat is told -32005 if the outcome was long. All of a gateway by their room in its Budget: outcomes go first, then keys.
 * A session's keys are bounded by their count alone: weighed with the outcomes, 240 of them would leave no room for any.
 * A request that the agent did not take (`busy`) is no outcome: its key is free again.
 */
import { hash } from "node:crypto"
import type { Holder } from "./Budget.ts"
import type { House, Pending } from "./Connection.ts"
import type { Call, Id } from "./JsonRpc.ts"
import * as JsonRpc from "./JsonRpc.ts"

const maxKeys = 1024

/** Bytes of an entry besides its key's and its outcome's. */
const entryBytes = 240

/** A repeat that waits for the outcome. */
export interface Repeat {
  readonly id: Id
  readonly pending: Pending
}

export interface Keyed {
  readonly key: string
  readonly content: string
  /** Of its first arrival. */
  readonly id: Id
  readonly repeats: Array<Repeat>
  /** The members of the answer; undefined while it runs. */
  outcome: string | undefined
  /** The number of the frame that answered it under its own id; 0 when that is not known. */
  seq: number
  /** When its answer was sent; Infinity before. */
  sentAt: number
  /** Besides its outcome's. */
  readonly bytes: number
}

/** Stands for an outcome that was let go. */
const letGo = JsonRpc.errorOf(JsonRpc.outcomeLost)

const contentOf = (call: Call): string =>
  hash("sha256", JSON.stringify([call.method, call.params ?? null]), "base64url")

export class RequestKeys implements Holder {
  /** With the outcomes. */
  keptBytes = 0
  readonly #house: House
  readonly #keys = new Map<string, Keyed>()
  /** Of outcomes. */
  #bytes = 0
  /** Those whose outcome is longer than what stands for one that was let go, in the order in which they finished. */
  readonly #long = new Set<Keyed>()
  #repeating = 0
  /** Those whose answer was sent, in that order. */
  readonly #sent = new Set<Keyed>()
  /** Those whose answer goes with the others of its batch. */
  readonly #batches = new WeakMap<ReadonlyArray<string>, Array<Keyed>>()

  constructor(house: House) {
    this.#house = house
    house.budget.keys.enter(this)
  }

  /** Repeats that wait for an outcome, on whatever sockets they came. */
  get repeating(): number {
    return this.#repeating
  }

  /** The outcome to come answers this one, too. */
  wait(keyed: Keyed, repeat: Repeat): void {
    keyed.repeats.push(repeat)
    this.#repeating++
  }

  /** What is known of the call's key: nothing, that it is another request's, or the request. */
  find(call: Call): Keyed | "other" | undefined {
    const known = this.#keys.get(call.requestKey!)
    if (known === undefined) return undefined
    return known.content === contentOf(call) ? known : "other"
  }

  begin(call: Call): void {
    const key = call.requestKey!
    if (this.#keys.size >= maxKeys) this.#forgetOldest()
    const id = call.id!
    const bytes = entryBytes + 2 * key.length + (typeof id === "string" ? 2 * id.length : 0)
    this.#keys.set(key, {
      key,
      content: contentOf(call),
      id,
      repeats: [],
      outcome: undefined,
      seq: 0,
      sentAt: Number.POSITIVE_INFINITY,
      bytes
    })
    this.#keep(bytes)
    this.#house.budget.keys.fit(this)
  }

  /** The request has ended so, and is answered by the frame `seq`, or with `batch`. Answers with the repeats that wait for it. */
  finish(key: string, outcome: string, seq: number, batch: ReadonlyArray<string> | undefined): ReadonlyArray<Repeat> {
    const keyed = this.#keys.get(key)
    if (keyed === undefined) return []
    keyed.outcome = outcome
    keyed.seq = seq
    if (batch === undefined) this.#answered(keyed)
    else this.#batches.set(batch, [...(this.#batches.get(batch) ?? []), keyed])
    this.#weigh(outcome.length)
    if (outcome.length > letGo.length) this.#long.add(keyed)
    const repeats = this.#release(keyed)
    if (this.#bytes > this.#house.limits.maxReplayBytes) this.#lighten()
    this.#house.budget.keys.fit(this)
    return repeats
  }

  /** The answers of a batch are sent. */
  sent(batch: ReadonlyArray<string>): void {
    for (const keyed of this.#batches.get(batch) ?? []) this.#answered(keyed)
  }

  #answered(keyed: Keyed): void {
    keyed.sentAt = this.#house.now()
    this.#sent.add(keyed)
  }

  /** The request was not taken: the key is free again. Answers with the repeats that wait for it. */
  forget(key: string): ReadonlyArray<Repeat> {
    const keyed = this.#keys.get(key)
    if (keyed === undefined) return []
    this.#keys.delete(key)
    this.#sent.delete(keyed)
    this.#long.delete(keyed)
    this.#weigh(-(keyed.outcome?.length ?? 0))
    this.#keep(-keyed.bytes)
    return this.#release(keyed)
  }

  #release({ repeats }: Keyed): ReadonlyArray<Repeat> {
    this.#repeating -= repeats.length
    return repeats.splice(0)
  }

  /** What was answered before has surely arrived: lets long outcomes go, and forgets what is old of it. */
  expire(receivedBefore: number, old: number): void {
    for (const keyed of this.#long) if (keyed.sentAt < receivedBefore) this.#letGo(keyed)
    for (const { key, sentAt } of this.#sent) {
      if (sentAt >= Math.min(receivedBefore, old)) return
      this.forget(key)
    }
  }

  shed(): boolean {
    for (const keyed of this.#long) return this.#letGo(keyed)
    return this.#forgetOldest()
  }

  /** Forgets all. Answers with the repeats that wait. */
  clear(): ReadonlyArray<Repeat> {
    this.#house.budget.keys.leave(this)
    return [...this.#keys.keys()].flatMap((key) => this.forget(key))
  }

  /** False: none was answered. */
  #forgetOldest(): boolean {
    for (const { key } of this.#sent) {
      this.forget(key)
      return true
    }
    return false
  }

  /** Lets outcomes go, the oldest first, until what is left fits. */
  #lighten(): void {
    for (const keyed of this.#long) {
      if (this.#bytes <= this.#house.limits.maxReplayBytes) return
      this.#letGo(keyed)
    }
  }

  #letGo(keyed: Keyed): true {
    this.#long.delete(keyed)
    this.#weigh(letGo.length - keyed.outcome!.length)
    keyed.outcome = letGo
    return true
  }

  #weigh(bytes: number): void {
    this.#bytes += bytes
    this.#keep(bytes)
  }

  #keep(bytes: number): void {
    this.keptBytes += bytes
    this.#house.budget.keys.keep(bytes)
  }
}
