/**
 * What becomes of an event whose client is too slow to be sent it.
 *
 *   close         the connection is closed 1013 (default); with a session the event is replayed when the client is back
 *   dropOldest    it waits, within bounds; the oldest of those that wait gives way
 *   coalesce      as dropOldest, and of those with the same key only the latest waits
 *
 * Floor 1, since it belongs to an agent's definition; kept by the gateway's outbox (law 5: chosen, never surprising).
 */
import { Context } from "effect"
import type { Rpc } from "effect/rpc"
import { InvalidOption } from "../kernel/Errors.ts"

export interface Coalesce {
  readonly coalesce: (payload: never) => string
}

export type EventOverflow = "close" | "dropOldest" | Coalesce

/** Annotates an event: `Rpc.make("Moved", { ... }).annotate(Agent.Overflow, "dropOldest")`. */
export const Overflow: Context.Reference<EventOverflow> = Context.Reference<EventOverflow>("troupe/Agent/Overflow", {
  defaultValue: () => "close"
})

/** Of events with the same key only the latest waits for a slow client. */
export const coalesce = <A>(key: (payload: A) => string): EventOverflow => ({ coalesce: key })

/** An event's policy; one that is none is refused by name. */
export const policyOf = (type: string, event: Rpc.AnyWithProps): EventOverflow => {
  const policy: unknown = Context.get(event.annotations, Overflow)
  if (policy === "close" || policy === "dropOldest") return policy
  if (typeof policy === "object" && policy !== null && "coalesce" in policy && typeof policy.coalesce === "function") {
    return policy as Coalesce
  }
  throw new InvalidOption({
    field: `${type}.events.${event._tag}.Overflow`,
    value: String(policy),
    range: '"close", "dropOldest", or made by Agent.coalesce'
  })
}
