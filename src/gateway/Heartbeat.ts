/**
 * One timer that looks at everybody: pings, gives up who does not answer or is stalled, ends sessions that waited too long.
 *
 *   round   [ slice 1 | slice 2 | ... | slice 25 ]     each connection once a round; a round takes 80 to 120 % of `heartbeat`
 *
 * Floor 3; owned by Gateway. Two unanswered pings end a connection; a paused one gets no pong and misses none, but is closed
 * 1013 when nothing of it finishes for `stallTimeout`. In slices, so that ten thousand pings do not hold the loop at once; of
 * a random length, so that hosts that began together do not stay together (law 11: by Effect's Random).
 * Who was looked at goes to the end of the set. No iterator lasts from slice to slice: it would keep each table that the set
 * has outgrown or shrunk from, and so all that have gone in a round (3.6 kB each: 36 MB for 10,000).
 * Cost: no timer a connection.
 */
import { Deadline, type Timers } from "../kernel/Timers.ts"
import type { Connection } from "./Connection.ts"
import type { Limits } from "./Limits.ts"
import type { Sessions } from "./Sessions.ts"

/** A round's steps. */
const slices = 25

/** How long a round takes, of the heartbeat that was asked for; `random` is in [0, 1). */
export const stretch = (random: number): number => 0.8 + 0.4 * random

/** What it looks at. */
export interface Watched {
  readonly connections: Set<Connection>
  readonly sessions: Sessions
  readonly limits: Limits
  readonly timers: Timers
  /** In [0, 1). */
  readonly random: () => number
}

export class Heartbeat {
  readonly #watched: Watched
  readonly #beat = new Deadline(() => this.#look())
  /** This round: its number, how many connections a slice, how many slices are done, and how long one takes. */
  #round = 0
  #quota = 0
  #slice = 0
  #sliceMillis = 0

  constructor(watched: Watched) {
    this.#watched = watched
  }

  start(): void {
    this.#begin()
    this.#watched.timers.arm(this.#beat, this.#sliceMillis)
  }

  stop(): void {
    this.#watched.timers.cancel(this.#beat)
  }

  #begin(): void {
    const { connections, limits, random } = this.#watched
    this.#round++
    this.#quota = Math.ceil(connections.size / slices)
    this.#sliceMillis = Math.max(1, (limits.heartbeatMillis * stretch(random())) / slices)
  }

  #look(): void {
    const { connections, sessions, limits, timers } = this.#watched
    if (this.#slice === 0) this.#begin()
    const now = timers.now()
    let left = this.#quota
    for (const connection of connections) {
      if (connection.round === this.#round || left-- === 0) break
      connection.round = this.#round
      connections.delete(connection)
      connections.add(connection)
      connection.beat(now - limits.stallMillis)
    }
    sessions.expire(now - limits.graceMillis)
    this.#slice = (this.#slice + 1) % slices
    timers.arm(this.#beat, this.#sliceMillis)
  }
}
