/**
 * A request's place: in its host's line, then with a connection, then left; and what is known of a host.
 *
 *   in the line: `host`, `told`  ->  on the wire: `host`, `connection`  ->  left: neither
 *
 * Written by HttpHosts, which keeps both within limits; HttpExchange reads the connection. A mutable record each, made a request
 * and a host; a host is kept while it has a request, a line or an idle connection. `told` is how a place hears, once, that it
 * has a connection, or that the pool has closed; the line is a Set, so that who gives up leaves it in O(1) from anywhere.
 */
import type { HttpConnection } from "./HttpConnection.ts"

export interface Host {
  readonly origin: string
  readonly line: Set<Place>
  /** Newest last. */
  readonly idle: Array<HttpConnection>
  inFlight: number
}

export type Told = (closed?: "closed") => void

export class Place {
  host: Host | undefined = undefined
  connection: HttpConnection | undefined = undefined
  told: Told | undefined = undefined
}
