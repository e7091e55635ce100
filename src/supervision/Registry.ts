/**
 * Which actors live where: by type, then by key.
 *
 * Floor 2; used by the system. Nested maps, not one of whole paths: 238 B against 270 B an actor, and no string is built to
 * send. A child stands in its parent's record, so a tree lives and dies together.
 * Law 4: a type keeps the counters of its dead, so the system's sums never lose a message.
 * A hosted type makes an actor on the first message; an actor out of restarts leaves its key quarantined, 60 s doubling to
 * 10 min, at most `maxQuarantined` keys a type (the oldest is let go first).
 */
import type { Cell } from "../actor/Cell.ts"
import type { Program } from "../actor/Plan.ts"

const maxQuarantined = 10_000
const minQuarantineMillis = 60_000
const maxQuarantineMillis = 600_000

interface Quarantine {
  readonly until: number
  readonly millis: number
}

/** All actors of one type. */
export class Kind {
  readonly type: string
  /** Roots by key. */
  readonly cells = new Map<string | number, Cell>()
  /** How the actors of a hosted type are made. */
  hosted: Program | undefined = undefined
  living = 0
  spawned = 0
  /** Counters of those that have died. */
  readonly retired = { accepted: 0, finished: 0, dead: 0 }
  readonly #quarantined = new Map<string | number, Quarantine>()

  constructor(type: string) {
    this.type = type
  }

  retire(cell: Cell): void {
    this.living--
    this.retired.accepted += cell.accepted
    this.retired.finished += cell.finished
    this.retired.dead += cell.deadLettered
  }

  quarantine(key: string | number, now: number): void {
    const last = this.#quarantined.get(key)
    // out again soon after the last time: twice as long
    const again = last !== undefined && now < last.until + last.millis
    const millis = again ? Math.min(maxQuarantineMillis, last.millis * 2) : minQuarantineMillis
    this.#quarantined.delete(key)
    if (this.#quarantined.size >= maxQuarantined) {
      for (const oldest of this.#quarantined.keys()) {
        this.#quarantined.delete(oldest)
        break
      }
    }
    this.#quarantined.set(key, { until: now + millis, millis })
  }

  /** How long the key is set aside still, in ms. */
  remaining(key: string | number, now: number): number {
    const entry = this.#quarantined.get(key)
    if (entry === undefined) return 0
    if (now >= entry.until + entry.millis) this.#quarantined.delete(key)
    return Math.max(0, entry.until - now)
  }
}

export class Registry {
  readonly kinds = new Map<string, Kind>()

  kind(type: string): Kind {
    let kind = this.kinds.get(type)
    if (kind === undefined) {
      kind = new Kind(type)
      this.kinds.set(type, kind)
    }
    return kind
  }
}
