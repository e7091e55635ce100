/**
 * The WebSocket edge: hosts agents at `ws://host:port/agents/{Type}/{key}`, JSON-RPC 2.0 in text frames.
 *
 * ```ts
 * Gateway.layer({ port: 4000, agents: [room] })   // needs ActorSystem, and the services of the agents' handlers
 * ```
 *
 * Floor 3; an Effect service with a lifetime: opened with its scope, drained when it closes or when the system shuts down,
 * whichever comes first. Beside it `GET /healthz` answers the counters as JSON; other paths 404.
 * Drain: no new connections; nothing more is read; what was read is answered; then close 1012, last. A request without a
 * reply after a clean 1012 was never accepted.
 * One timer for all connections, the system's: ping every 25 s, a 25th of them a step; two unanswered pings end one; a
 * paused one gets no pong and misses none, but is closed 1013 when nothing of it finishes for 60 s.
 * Law 11: in a system whose order comes from a seed it is refused by name, `RealIoInSimulation`.
 * Sources: RFC 6455 (close codes 7.4.1), JSON-RPC 2.0.
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { Rpc } from "effect/rpc"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { WebSocketServer } from "ws"
import { ActorRef } from "../actor/ActorRef.ts"
import type { Behavior } from "../actor/Behavior.ts"
import * as Address from "../kernel/Address.ts"
import { InvalidOption, RealIoInSimulation } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { Deadline } from "../kernel/Timers.ts"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import * as Edge from "../supervision/Edge.ts"
import * as Codec from "./Codec.ts"
import { Connection, type House, type Tally } from "./Connection.ts"
import { check, type LimitOptions, type Limits } from "./Limits.ts"

export interface GatewayOptions<A> extends LimitOptions {
  /** Default 4000; 0 takes a free one. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** The behaviours of agents. A type that is not hosted yet is hosted. */
  readonly agents: ReadonlyArray<A>
}

/** The port could not be opened. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  host: Schema.String,
  port: Schema.Int,
  reason: Schema.String
}) {
  override get message(): string {
    return `cannot listen on ${this.host}:${this.port}: ${this.reason}`
  }
}

export interface GatewayStats {
  readonly connections: number
  readonly paused: number
  /** Bytes of wire that all connections hold. */
  readonly heldBytes: number
  /** Of these, bytes not yet taken by sockets. */
  readonly queuedBytes: number
  readonly framesIn: number
  readonly framesOut: number
  /** Messages that were no valid call. */
  readonly invalid: number
  /** Calls that the agent did not take. */
  readonly refused: number
  /** Connections closed so far, by close code. */
  readonly closed: Readonly<Record<number, number>>
}

/** An open gateway. */
export interface OpenGateway {
  readonly host: string
  readonly port: number
  /** `ws://host:port` */
  readonly url: string
  readonly stats: () => GatewayStats
}

/** A behaviour of any protocol and any needs. */
type AnyAgent = Behavior<Rpc.Any, unknown>

type ServicesOf<A> = A extends Behavior<infer _P, infer R> ? R : never

export class Gateway extends Context.Service<Gateway, OpenGateway>()("troupe/Gateway") {
  static layer<const A extends AnyAgent>(
    options: GatewayOptions<A>
  ): Layer.Layer<Gateway, ListenError, ActorSystem | ServicesOf<A>> {
    return Layer.effect(
      Gateway,
      Effect.gen(function* () {
        const services = yield* Effect.context<ActorSystem | ServicesOf<A>>()
        const host = Context.get(services as Context.Context<ActorSystem>, ActorSystem)
        const edge = new Listener(host, options)
        if (host.system.scheduler.seeded) return yield* Effect.die(new RealIoInSimulation({ what: edge.name }))
        for (const agent of options.agents) yield* edge.host(agent, services as Context.Context<unknown>)
        const drain = yield* Effect.cached(edge.drain)
        return yield* Effect.acquireRelease(
          Effect.tap(edge.listen, () => Effect.sync(() => host.system.edges.add(drain))),
          () =>
            Effect.ensuring(
              drain,
              Effect.sync(() => host.system.edges.delete(drain))
            )
        )
      })
    )
  }
}

/** Sockets that have not been upgraded, besides `maxConnections`; how long they may take. */
const maxHandshakes = 1024
const handshakeMillis = 10_000

/** A heartbeat goes round in so many steps. */
const slices = 25

/** A frame sent in crumbs costs a Buffer a crumb. */
const maxPieces = 4096

const destroy = function (this: Duplex): void {
  this.destroy()
}

const route = /^\/agents\/([^/]+)\/([^/]+)$/

/** The server and its connections. */
class Listener {
  readonly #host: Host
  readonly #limits: Limits
  readonly #port: number
  readonly #address: string
  readonly #server: Server
  readonly #sockets: WebSocketServer
  readonly #codecs = new Map<string, Codec.Codec>()
  readonly #connections = new Set<Connection>()
  readonly #tally: Tally = { framesIn: 0, framesOut: 0, invalid: 0, refused: 0, closed: {} }
  readonly #house: House
  readonly #beat = new Deadline(() => this.#heartbeat())
  readonly #beatMillis: number
  /** Of this heartbeat: the connections still to be pinged, how many at a time, and how many slices are done. */
  #round: Iterator<Connection, undefined> = new Set<Connection>().values()
  #quota = 0
  #slice = 0
  #draining = false

  constructor(host: Host, options: GatewayOptions<unknown>) {
    this.#host = host
    const { port: _port, host: _host, agents: _agents, ...limits } = options
    this.#limits = check(limits)
    this.#port = Options.integer("gateway.port", options.port, 4000, 0, 65_535)
    this.#address = options.host ?? "127.0.0.1"
    if (typeof this.#address !== "string" || this.#address === "") {
      throw new InvalidOption({ field: "gateway.host", value: String(this.#address), range: "a name or an address" })
    }
    this.#beatMillis = Math.max(1, this.#limits.heartbeatMillis / slices)
    const { system } = host
    this.#house = {
      held: 0,
      limits: this.#limits,
      tally: this.#tally,
      now: system.timers.now,
      fault: (text) => {
        const incident = system.incident()
        system.log(Effect.logWarning(`${text} (incident ${incident})`))
        return incident
      },
      left: (connection) => void this.#connections.delete(connection)
    }
    // sockets that have not become connections are bounded too: in number, and in the time they may take for it
    this.#server = createServer(
      { headersTimeout: handshakeMillis, requestTimeout: handshakeMillis },
      (request, response) => this.#respond(request, response)
    )
    this.#server.maxConnections = this.#limits.maxConnections + maxHandshakes
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      // plain JSON-RPC has no subprotocol: to agree to one would be to speak it
      handleProtocols: () => false,
      maxFragments: maxPieces,
      maxBufferedChunks: maxPieces,
      maxPayload: this.#limits.maxFrameBytes
    })
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head))
  }

  get name(): string {
    return `gateway on ${this.#address}:${this.#port}`
  }

  host(agent: AnyAgent, services: Context.Context<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { protocol } = agent.plan
      if (protocol.clients.size === 0) {
        const range = "an agent, made by Agent.make with clients"
        return Effect.die(new InvalidOption({ field: "gateway.agents", value: protocol.type, range }))
      }
      this.#codecs.set(protocol.type, Codec.of(protocol))
      const { hosted } = this.#host.system.registry.kind(protocol.type)
      if (hosted === undefined) return Effect.orDie(this.#host.hostWith(agent, services))
      if (hosted.plan === agent.plan) return Effect.void
      const range = "the behavior that its type is hosted with"
      return Effect.die(new InvalidOption({ field: "gateway.agents", value: protocol.type, range }))
    })
  }

  readonly listen: Effect.Effect<OpenGateway, ListenError> = Effect.callback((resume) => {
    const server = this.#server
    const failed = (error: Error): void =>
      resume(Effect.fail(new ListenError({ host: this.#address, port: this.#port, reason: error.message })))
    server.once("error", failed)
    server.listen({ port: this.#port, host: this.#address, backlog: 4096 }, () => {
      server.off("error", failed)
      server.on("error", (error) => this.#host.system.log(Effect.logError("gateway", error)))
      const { timers } = this.#host.system
      timers.arm(this.#beat, this.#beatMillis)
      const { port } = server.address() as AddressInfo
      const name = this.#address.includes(":") ? `[${this.#address}]` : this.#address
      resume(Effect.succeed({ host: this.#address, port, url: `ws://${name}:${port}`, stats: () => this.#stats() }))
    })
  })

  /** Closes the edge: see the header. Within `drainTimeout`; then the rest is cut. */
  get drain(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      this.#draining = true
      this.#host.system.timers.cancel(this.#beat)
      this.#server.close()
      this.#server.closeIdleConnections()
      for (const connection of this.#connections) connection.drain()
      const { system } = this.#host
      const until = system.timers.now() + this.#limits.drainMillis
      while (this.#connections.size > 0 && system.timers.now() < until) yield* Effect.sleep(1)
      for (const connection of this.#connections) connection.terminate()
      this.#server.closeAllConnections()
    })
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", destroy)
    const refuse = (status: string): void => {
      // a peer that never hangs up itself must not hold a half-open socket
      socket.once("finish", destroy)
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
    }
    if (this.#draining) return refuse("503 Service Unavailable")
    const [, type, encodedKey] = route.exec((request.url ?? "").split("?", 1)[0]!) ?? []
    const codec = type === undefined ? undefined : this.#codecs.get(type)
    if (codec === undefined || encodedKey === undefined) return refuse("404 Not Found")
    let key: string
    try {
      key = Address.checkKey(decodeURIComponent(encodedKey))
    } catch {
      return refuse("400 Bad Request")
    }
    if (this.#crowded) return refuse("503 Service Unavailable")
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const connection = new Connection(webSocket, socket, codec, this.#house)
      const line = Edge.connect(this.#host.system, new ActorRef(codec.protocol, key, undefined), connection)
      this.#connections.add(connection)
      if (line instanceof Edge.Line) return connection.open(line)
      this.#tally.refused++
      connection.close(1013, "agent unavailable")
    })
  }

  /** No room for one more: connections, or four fifths of the bytes that all may hold. */
  get #crowded(): boolean {
    const { maxConnections, maxHeldBytes } = this.#limits
    return this.#connections.size >= maxConnections || this.#house.held >= 0.8 * maxHeldBytes
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== "GET" || request.url !== "/healthz") {
      response.writeHead(404, { "content-length": 0 }).end()
      return
    }
    const { system } = this.#host
    const imbalances = this.#host.imbalances()
    const body = JSON.stringify({
      status: this.#draining ? "draining" : "ok",
      balanced: imbalances.length === 0,
      gateway: this.#stats(),
      system: this.#host.snapshot(),
      memory: process.memoryUsage(),
      now: system.timers.now()
    })
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" }).end(body)
  }

  /** A slice of the connections, so that ten thousand pings do not hold the loop at once. */
  #heartbeat(): void {
    const { timers } = this.#host.system
    if (this.#slice === 0) {
      this.#round = this.#connections.values()
      this.#quota = Math.ceil(this.#connections.size / slices)
    }
    const stalledBefore = timers.now() - this.#limits.stallMillis
    for (let n = 0; n < this.#quota; n++) {
      const { value } = this.#round.next()
      if (value === undefined) break
      value.beat(stalledBefore)
    }
    this.#slice = (this.#slice + 1) % slices
    timers.arm(this.#beat, this.#beatMillis)
  }

  #stats(): GatewayStats {
    let paused = 0
    let queuedBytes = 0
    for (const connection of this.#connections) {
      if (connection.pausedSince !== undefined) paused++
      queuedBytes += connection.outbox.bytes
    }
    return {
      connections: this.#connections.size,
      paused,
      heldBytes: this.#house.held,
      queuedBytes,
      ...this.#tally,
      closed: { ...this.#tally.closed }
    }
  }
}
