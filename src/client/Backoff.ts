/**
 * What a close code means to a client, and how long it waits before it comes back. Pure rules.
 *
 * Used by Link; knows no socket and no clock. Full jitter: a random part of a bound that doubles, so that ten thousand
 * clients of one host do not come back as one.
 *
 *   1001 agent stopped, 1012 host restarts   again: from the first bound (50 ms), since somebody is there to come back to;
 *                                            after 1012 not before the time that its reason names, `maxDelayMillis` at most
 *   1013 try again later                     later: from the sixth bound (1.6 s)
 *   1006 and what else networks do           again: the bound goes on doubling, up to 30 s
 *   1000, 1003, 1007, 1008, 1009, 1010       stop: a farewell, or this client's fault: coming back would repeat it
 *   4401 the credential has expired          again, if there is a way to another one
 *   3000-4999, such as 4001                  stop: the application's, for the application to judge
 * The bound starts anew after a connection that was open for `stableMillis`. A refused upgrade (HTTP 404, 503) is not told
 * apart by the WebSocket API: it counts as lost before it was open, and backs off.
 * Source: RFC 6455, 7.2.3 and 7.4; Brooker, "Exponential Backoff And Jitter".
 */

export type Verdict = "again" | "later" | "stop"

/** The host restarts: all that it read before this close frame, it answered. */
export const RESTART = 1012
const TRY_LATER = 1013
/** Another socket has come with this one's session. */
export const TAKEN_OVER = 4001
const EXPIRED = 4401

const stops: ReadonlySet<number> = new Set([1000, 1003, 1007, 1008, 1009, 1010])

/** What to do after a close with `code`. `renewable`: another credential can be had. */
export const verdict = (code: number, renewable: boolean): Verdict => {
  if (code === EXPIRED && renewable) return "again"
  return stops.has(code) || code >= 3000 ? "stop" : code === TRY_LATER ? "later" : "again"
}

/** What a "later" begins with at least. */
const laterStep = 5

/** How often the delay has doubled: `steps` so far. */
export const step = (steps: number, after: Verdict): number => (after === "later" ? Math.max(steps, laterStep) : steps)

/** What a host that restarts says about when to come back: `service restart; retry after 1234 ms`. In ms; 0 when nothing. */
export const hint = (code: number, reason: string): number =>
  code === RESTART ? Number(/retry after (\d{1,9}) ms/.exec(reason)?.[1] ?? 0) : 0

/** How long to wait when the delay has doubled `steps` times, in ms. `random` is in [0, 1). */
export const delay = (steps: number, minMillis: number, maxMillis: number, random: number): number =>
  random * Math.min(maxMillis, minMillis * 2 ** Math.min(steps, 40))
