/**
 * What waits behind a full outbox: events that may be dropped, and what was sent after them.
 *
 * Floor 3; made by Outbox for a client that is slow, gone when it has caught up. Law 5: the oldest event gives way to the
 * newest, one with a key to the next with the same; an answer never gives way. Law 2: nothing overtakes.
 * Law 3: bounded by the outbox's own limits once more.
 */
interface Frame {
  readonly frame: string | Buffer
  readonly bytes: number
  /** Whether it may be dropped. */
  readonly event: boolean
  readonly key: string | undefined
}

export class Late {
  bytes = 0
  readonly #frames = new Set<Frame>()
  readonly #keyed = new Map<string, Frame>()

  get size(): number {
    return this.#frames.size
  }

  push(frame: string | Buffer, event: boolean, key: string | undefined): void {
    const bytes = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length
    const late = { frame, bytes, event, key }
    this.#frames.add(late)
    if (key !== undefined) this.#keyed.set(key, late)
    this.bytes += bytes
  }

  /** Whether an event with the same key gave way to the one that comes. */
  supersede(key: string): boolean {
    const former = this.#keyed.get(key)
    if (former !== undefined) this.#remove(former)
    return former !== undefined
  }

  /** Drops the oldest event. False when there is none but the newest. */
  dropOldest(): boolean {
    let passed = 0
    for (const late of this.#frames) {
      if (++passed === this.#frames.size) return false
      if (!late.event) continue
      this.#remove(late)
      return true
    }
    return false
  }

  /** Takes the oldest. */
  take(): string | Buffer | undefined {
    for (const late of this.#frames) {
      this.#remove(late)
      return late.frame
    }
    return undefined
  }

  #remove(late: Frame): void {
    this.#frames.delete(late)
    this.bytes -= late.bytes
    if (late.key !== undefined && this.#keyed.get(late.key) === late) this.#keyed.delete(late.key)
  }
}
