/**
 * How a gateway lets its clients go: batch by batch, each when it has its answers, and told when to come back.
 *
 *   batch 1   stops reading, answers, 1012 ........................ may be back
 *   batch 2     serves on | stops reading, answers, 1012 ............... may be back
 *   batch 3     serves on           | stops reading, answers, 1012 ......... may be back
 *             |<------------- drainSpread ------------>|<------------ drainSpread ------------>|
 *
 * Floor 3; owned by Gateway, which lets nobody in from then on. Those whose batch has not come are served as
 * ever. What sessions that are away asked for is finished, too, though nobody comes back to hear of it; their streams end at once.
 * Law 3: within `drainTimeout`, then the rest is cut; streams are ended after half of it. Law 4: a request that was read is
 * answered before the close frame, or counted as lost in the report; one without an answer behind a clean 1012 was never taken.
 * The retry hint is a time, even and without chance: nobody is back before the last batch has gone, and all come back as
 * slowly as they went. With one batch it is 0. It stands in the close frame's reason, for eyes and programs alike:
 * `service restart; retry after 1234 ms`.
 * Cost: a look a millisecond while it waits; nothing before.
 */
import { Effect } from "effect"
import { RESTART } from "./CloseCode.ts"
import type { Connection } from "./Connection.ts"
import type { Limits } from "./Limits.ts"
import type { Sessions } from "./Sessions.ts"

/** What a drain finished, and what it lost. */
export interface DrainReport {
  readonly millis: number
  /** Connections that were answered all that was read of them, and closed 1012. */
  readonly closed: number
  /** Connections that were not done within `drainTimeout`: their requests took longer, or their peers did not read. */
  readonly cut: number
  /** Connections that went by themselves meanwhile, or that their agents closed. */
  readonly left: number
  /** Sessions whose clients were away: what was kept for them is gone. */
  readonly away: number
  /** Messages under way when their connection's turn came that have finished; of sessions that were away, requests. */
  readonly finished: number
  /** Requests that were read and not answered: their handlers were interrupted, or never began. */
  readonly lost: number
  /** Bytes of answers and events that sockets had not taken when they were cut. */
  readonly unsentBytes: number
}

/** The reason in a close frame of 1012. */
export const reason = (backAt: number, now: number): string =>
  `service restart; retry after ${Math.max(0, Math.ceil(backAt - now))} ms`

/** The same for who comes to a host that drains: `Retry-After`, in seconds, and not before the next. */
export const retryAfter = (backAt: number, now: number): string => String(Math.max(1, Math.ceil((backAt - now) / 1000)))

/** Whether everybody got what was theirs. */
export const lossless = (r: DrainReport): boolean => r.cut + r.away + r.lost + r.unsentBytes === 0

/** One line for the log: a warning where something was lost, else for debugging. */
export const describe = (r: DrainReport): string => {
  const done = `drained in ${Math.round(r.millis)} ms: ${r.closed} connections closed, ${r.left} left, ${r.finished} messages finished`
  if (lossless(r)) return `${done}, nothing lost`
  return `${done}; lost: ${r.cut} connections cut, ${r.away} sessions away, ${r.lost} requests, ${r.unsentBytes} unsent bytes`
}

/** When each connection's turn comes, and when it may be back: in ms from the beginning of the drain. */
export const schedule = (connections: number, batch: number, spread: number) => {
  const batches = Math.ceil(connections / batch)
  const pause = batches > 1 ? spread / batches : 0
  return {
    goesAt: (n: number): number => Math.floor(n / batch) * pause,
    backAt: (n: number): number => (batches > 1 ? spread + (n / connections) * spread : 0)
  }
}

/** Of `drainTimeout`: how long streams may take to end by themselves. */
const streamShare = 0.5

/** A cut socket is gone after the event loop's next turns. */
const looksAtCut = 100

/** What a drain needs of its gateway. */
export interface Draining {
  readonly connections: ReadonlySet<Connection>
  /** Under way. */
  readonly posts: ReadonlySet<unknown>
  readonly sessions: Sessions
  readonly limits: Limits
  /** The system clock's time, in ms. */
  readonly now: () => number
}

export const drain = ({ connections, posts, sessions, limits, now }: Draining): Effect.Effect<DrainReport> =>
  Effect.gen(function* () {
    const { drainMillis, drainBatch, drainSpreadMillis } = limits
    const beganAt = now()
    const queue = [...connections]
    const { goesAt, backAt } = schedule(queue.length, drainBatch, drainSpreadMillis)
    const drained: Array<{ readonly connection: Connection; readonly owed: number }> = []
    let turn = 0
    let impatient = false
    const owedAway = sessions.underwayAway
    // nobody comes back to hear them
    sessions.endStreams()
    const busy = (): boolean => connections.size + posts.size > 0 || sessions.underwayAway > 0
    while (busy() && now() < beganAt + drainMillis) {
      for (; turn < queue.length && beganAt + goesAt(turn) <= now(); turn++) {
        const connection = queue[turn]!
        if (!connections.has(connection)) continue
        drained.push({ connection, owed: connection.owing })
        connection.drain(beganAt + backAt(turn))
        if (impatient) connection.endStreams()
      }
      yield* Effect.sleep(1)
      if (impatient || now() < beganAt + drainMillis * streamShare) continue
      impatient = true
      for (const { connection } of drained) connection.endStreams()
      sessions.endStreams()
    }
    const stubborn = [...connections]
    let [closed, finished, lost, unsentBytes] = [0, 0, sessions.underwayAway + posts.size, 0]
    finished += Math.max(0, owedAway - sessions.underwayAway)
    for (const { connection, owed } of drained) {
      finished += Math.max(0, owed - connection.owing)
      if (!connections.has(connection) && connection.closeCode === RESTART) closed++
    }
    for (const connection of stubborn) {
      lost += connection.owing
      unsentBytes += connection.outbox.unsent
      connection.terminate()
    }
    const { away } = sessions
    for (let n = 0; n < looksAtCut && connections.size > 0; n++) yield* Effect.sleep(1)
    sessions.endAll(RESTART, "service restart")
    const cut = stubborn.length
    return {
      millis: now() - beganAt,
      closed,
      cut,
      left: queue.length - closed - cut,
      away,
      finished,
      lost,
      unsentBytes
    }
  })
