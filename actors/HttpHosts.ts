/**
 * Connections to many hosts within limits, in all and per host, and a bounded line of requests that wait for one.
 *
 *   enter -> free in all, and at its host: a connection, an idle one of the host before a new one
 *         -> else the end of its host's line; hosts are served in turn, so that a busy one holds up no other
 *         -> as many wait as may: refused
 *   leave -> the connection goes back, idle, if its answer is complete; else it is closed at once, dialled or half read
 *         -> no room for a new one beside the idle ones: the one idle longest is closed for it
 *
 * Owned by HttpPool; a mutable object without Effect. Law 3: at most `maxConnections` are dialled, in use or idle (who is being
 * closed apart); a host is forgotten with its last. Law 5: who is refused hears it at once. O(1) a request. One request at a time
 * on a connection: requests in flight are connections in use. Considered undici's Pool and Agent, rejected: a Pool's limits end
 * at one host, its line has no bound, an aborted request keeps its place until its dial has ended, and an Agent keeps the hosts
 * of aborted requests for good. Effect's PartitionedSemaphore has no limit for a partition, nor a bound of its line.
 */
import { HttpConnection, type HttpConnectionOptions } from "./HttpConnection.ts"
import type { Host, Place, Told } from "./HttpPlace.ts"

export interface HttpHostsOptions extends HttpConnectionOptions {
  readonly maxConnections: number
  readonly maxPerHost: number
  readonly maxQueued: number
}

export class HttpHosts {
  /** Requests that have a connection. */
  inFlight = 0
  queued = 0
  readonly #options: HttpHostsOptions
  readonly #hosts = new Map<string, Host>()
  /** Hosts with a line and room for its first; who has been so for longest is first. */
  readonly #ready = new Set<Host>()
  readonly #connections = new Set<HttpConnection>()
  /** Oldest first. */
  readonly #idle = new Map<HttpConnection, Host>()
  readonly #closing = new Set<Promise<void>>()
  #closed = false

  constructor(options: HttpHostsOptions) {
    this.#options = options
  }

  get size(): { readonly hosts: number; readonly connections: number } {
    return { hosts: this.#hosts.size, connections: this.#connections.size }
  }

  /** `told` is called once, later, where it "waits". */
  enter(origin: string, place: Place, told: Told): "taken" | "waits" | "full" | "closed" {
    if (this.#closed) return "closed"
    const host: Host = this.#hosts.get(origin) ?? { origin, line: new Set(), idle: [], inFlight: 0 }
    const hasRoom = host.inFlight < this.#options.maxPerHost
    const isFree = hasRoom && this.inFlight < this.#options.maxConnections
    if (!isFree && this.queued >= this.#options.maxQueued) return "full"
    this.#hosts.set(origin, host)
    place.host = host
    if (isFree) {
      this.#connect(place, host)
      return "taken"
    }
    place.told = told
    host.line.add(place)
    this.queued++
    if (hasRoom) this.#ready.add(host)
    return "waits"
  }

  /** "complete": its answer has been read to the end; else its connection is closed, which ends what is under way by `how`. */
  leave(place: Place, how: "complete" | Error = new Error("given up")): void {
    const { connection, host } = place
    if (host === undefined) return
    place.host = place.connection = undefined
    if (connection === undefined) this.#step(place, host)
    else {
      this.inFlight--
      host.inFlight--
      if (how !== "complete" || !connection.isOpen || this.#closed) this.#drop(connection, how)
      else {
        host.idle.push(connection)
        this.#idle.set(connection, host)
      }
      if (host.line.size > 0) this.#ready.add(host)
      this.#serve()
    }
    this.#forget(host)
  }

  /** Refuses who waits, ends what is under way by `why`; done with the last socket. */
  async close(why: Error): Promise<void> {
    this.#closed = true
    for (const place of [...this.#hosts.values()].flatMap(({ line }) => [...line])) {
      this.leave(place)
      place.told?.("closed")
    }
    for (const connection of this.#connections) this.#drop(connection, why)
    await Promise.all(this.#closing)
  }

  #serve(): void {
    while (this.inFlight < this.#options.maxConnections) {
      const [host] = this.#ready
      const [place] = host?.line ?? []
      if (host === undefined || place === undefined) return
      this.#step(place, host)
      // behind the others, if it is ready still
      this.#ready.delete(host)
      this.#connect(place, host)
      if (host.line.size > 0 && host.inFlight < this.#options.maxPerHost) this.#ready.add(host)
      place.told?.()
    }
  }

  /** Out of the line. */
  #step(place: Place, host: Host): void {
    if (host.line.delete(place)) this.queued--
    if (host.line.size === 0) this.#ready.delete(host)
  }

  #connect(place: Place, host: Host): void {
    this.inFlight++
    host.inFlight++
    place.connection = host.idle.pop()
    if (place.connection !== undefined) return void this.#idle.delete(place.connection)
    const [longest] = this.#idle.keys()
    if (this.#connections.size >= this.#options.maxConnections && longest !== undefined) this.#drop(longest)
    const made = new HttpConnection(host.origin, this.#options, () => this.#idle.has(made) && this.#drop(made))
    this.#connections.add(made)
    place.connection = made
  }

  #drop(connection: HttpConnection, why?: "complete" | Error): void {
    if (!this.#connections.delete(connection)) return
    const host = this.#idle.get(connection)
    if (this.#idle.delete(connection)) host?.idle.splice(host.idle.indexOf(connection), 1)
    const closing: Promise<void> = connection
      .close(why instanceof Error ? why : undefined)
      .then(() => void this.#closing.delete(closing))
    this.#closing.add(closing)
    if (host !== undefined) this.#forget(host)
  }

  #forget(host: Host): void {
    if (host.inFlight + host.line.size + host.idle.length === 0) this.#hosts.delete(host.origin)
  }
}
