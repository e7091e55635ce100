/**
 * The WebSocket edge: hosts agents at `ws://host:port/agents/{Type}/{key}`, JSON-RPC 2.0 in text frames.
 *
 * ```ts
 * Gateway.layer({ port: 4000, agents: [room] })   // needs ActorSystem, and the services of the agents' handlers
 * ```
 *
 * Floor 3; an Effect service with a lifetime: opened with its scope, drained when it closes or when the system shuts down,
 * whichever comes first. Beside it `GET /healthz` answers the counters as JSON; other paths 404.
 * Drain (`Drain.ts`): no new connections; batch by batch nothing more is read; what was read is answered; then close 1012,
 * last, with a retry hint. A request without a reply after a clean 1012 was never accepted.
 * One timer for all connections, the system's: ping every 25 s, a 25th of them a step; two unanswered pings end one; a
 * paused one gets no pong and misses none, but is closed 1013 when nothing of it finishes for 60 s.
 * Law 11: in a system whose order comes from a seed it is refused by name, `RealIoInSimulation`.
 * Sources: RFC 6455 (close codes 7.4.1), JSON-RPC 2.0.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { type WebSocket, WebSocketServer } from "ws"
import { ActorRef } from "../actor/ActorRef.ts"
import { type AnyBehavior, Behavior } from "../actor/Behavior.ts"
import * as Address from "../kernel/Address.ts"
import { InvalidOption, RealIoInSimulation } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { Deadline } from "../kernel/Timers.ts"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import * as Edge from "../supervision/Edge.ts"
import * as Codec from "./Codec.ts"
import { Connection, type House, type Tally } from "./Connection.ts"
import { Conversation } from "./Conversation.ts"
import * as Drain from "./Drain.ts"
import type { DrainReport } from "./Drain.ts"
import { check, type LimitOptions, type Limits } from "./Limits.ts"
import * as Sessions from "./Sessions.ts"

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
  /** Sessions, and those of them that wait for their client. */
  readonly sessions: number
  readonly away: number
  /** Bytes of wire that all connections and sessions hold. */
  readonly heldBytes: number
  /** Of these, what sessions keep for clients that may come back. */
  readonly keptBytes: number
  /** Of these, bytes not yet taken by sockets. */
  readonly queuedBytes: number
  readonly framesIn: number
  readonly framesOut: number
  /** Messages that were no valid call. */
  readonly invalid: number
  /** Calls that the agent did not take. */
  readonly refused: number
  /** Events that gave way to newer ones, for clients that were too slow: any, and those of the same key. */
  readonly droppedEvents: number
  readonly coalescedEvents: number
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
  /** Lets all clients go, as the end of its scope does, and tells what was finished and what was lost. Done once. */
  readonly drain: Effect.Effect<DrainReport>
}

/** A behaviour of any protocol and any needs. */
type AnyAgent = AnyBehavior<unknown>

type ServicesOf<A> = A extends AnyBehavior<infer R> ? R : never

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
        const drain = yield* Effect.cached(Effect.uninterruptible(edge.drain))
        const drained = Effect.asVoid(drain)
        const listen = Effect.map(edge.listen, (listening): OpenGateway => ({ ...listening, drain }))
        return yield* Effect.acquireRelease(
          Effect.tap(listen, () => Effect.sync(() => host.system.edges.add(drained))),
          () =>
            Effect.ensuring(
              drained,
              Effect.sync(() => host.system.edges.delete(drained))
            )
        )
      })
    )
  }
}

/** Sockets that have not been upgraded, besides `maxConnections`; how long they may take. */
const maxHandshakes = 1024
const handshakeMillis = 10_000

/** `/healthz` may use a fiftieth of the loop's time. */
const lookShare = 50

/** A heartbeat goes round in so many steps. */
const slices = 25

/** A frame sent in crumbs costs a Buffer a crumb. */
const maxPieces = 4096

const destroy = function (this: Duplex): void {
  this.destroy()
}

const noSuchPath = "no such path: agents are at /agents/{Type}/{key}, and type names are case-sensitive"

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
  readonly #tally: Tally = {
    framesIn: 0,
    framesOut: 0,
    invalid: 0,
    refused: 0,
    droppedEvents: 0,
    coalescedEvents: 0,
    closed: {}
  }
  readonly #house: House
  readonly #sessions: Sessions.Sessions
  readonly #beat = new Deadline(() => this.#heartbeat())
  readonly #beatMillis: number
  /** Of this heartbeat: the connections still to be pinged, how many at a time, and how many slices are done. */
  #round: Iterator<Connection, undefined> = new Set<Connection>().values()
  #quota = 0
  #slice = 0
  #draining = false
  /** The last answer of `/healthz`, and when a new one may be made. */
  #looked = ""
  #lookAgainAt = 0

  constructor(host: Host, options: GatewayOptions<unknown>) {
    this.#host = host
    this.#limits = check(options)
    if (Options.list("gateway.agents", options.agents, "agents").length === 0) {
      throw new InvalidOption({ field: "gateway.agents", value: "an empty list", range: "a list of agents" })
    }
    this.#port = Options.integer("gateway.port", options.port, 4000, 0, 65_535)
    this.#address = options.host ?? "127.0.0.1"
    if (typeof this.#address !== "string" || this.#address === "") {
      throw new InvalidOption({ field: "gateway.host", value: String(this.#address), range: "a name or an address" })
    }
    this.#beatMillis = Math.max(1, this.#limits.heartbeatMillis / slices)
    const { system } = host
    this.#house = {
      held: 0,
      keptBytes: 0,
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
    this.#sessions = new Sessions.Sessions(this.#house)
    // sockets that have not become connections are bounded too: in number, and in the time they may take for it
    this.#server = createServer(
      { headersTimeout: handshakeMillis, requestTimeout: handshakeMillis, connectionsCheckingInterval: 1000 },
      (request, response) => this.#respond(request, response)
    )
    // nor may one hold its slot by not reading, or queue requests behind one another
    this.#server.timeout = handshakeMillis
    this.#server.maxRequestsPerSocket = 1
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
      const { protocol } = Options.made("gateway.agents", agent, Behavior, "definition.behavior(...)").plan
      if (protocol.clients.size === 0) {
        const range = "an agent, made by Agent.make with clients"
        return Effect.die(new InvalidOption({ field: "gateway.agents", value: protocol.type, range }))
      }
      if (this.#codecs.has(protocol.type)) {
        const value = `"${protocol.type}" twice`
        return Effect.die(new InvalidOption({ field: "gateway.agents", value, range: "a list of different agents" }))
      }
      this.#codecs.set(protocol.type, Codec.of(protocol))
      const { hosted } = this.#host.system.registry.kind(protocol.type)
      if (hosted === undefined) return Effect.orDie(this.#host.hostWith(agent, services))
      if (hosted.plan === agent.plan) return Effect.void
      const range = "the behavior that its type is hosted with"
      return Effect.die(new InvalidOption({ field: "gateway.agents", value: protocol.type, range }))
    })
  }

  readonly listen: Effect.Effect<Omit<OpenGateway, "drain">, ListenError> = Effect.callback((resume) => {
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

  /** Closes the edge: see the header. */
  get drain(): Effect.Effect<DrainReport> {
    return Effect.gen({ self: this }, function* () {
      const { system } = this.#host
      this.#draining = true
      system.timers.cancel(this.#beat)
      this.#server.close()
      this.#server.closeIdleConnections()
      const report = yield* Drain.drain({
        connections: this.#connections,
        sessions: this.#sessions,
        limits: this.#limits,
        now: system.timers.now
      })
      this.#server.closeAllConnections()
      const text = `${this.name}: ${Drain.describe(report)}`
      system.log(Drain.lossless(report) ? Effect.logDebug(text) : Effect.logWarning(text))
      return report
    })
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", destroy)
    const refuse = (status: string, why: string): void => {
      // a peer that never hangs up itself must not hold a half-open socket
      socket.once("finish", destroy)
      const head = `Connection: close\r\nContent-Type: text/plain\r\nContent-Length: ${why.length + 1}`
      socket.end(`HTTP/1.1 ${status}\r\n${head}\r\n\r\n${why}\n`)
    }
    if (this.#draining) return refuse("503 Service Unavailable", "this host is closing")
    const [codec, encodedKey] = this.#routed(request)
    if (codec === undefined || encodedKey === undefined) return refuse("404 Not Found", noSuchPath)
    let key: string
    try {
      key = Address.checkKey(decodeURIComponent(encodedKey))
    } catch {
      return refuse("400 Bad Request", "the key is not URL-encoded text of 1 to 256 UTF-16 units")
    }
    const wish = Sessions.wish(request.url ?? "")
    if (wish._tag === "Malformed") return refuse("400 Bad Request", wish.why)
    const former = wish._tag === "Resume" ? this.#sessions.find(wish.token, codec, key, undefined) : undefined
    const full = former === undefined && (this.#crowded || this.#populated(codec, key))
    if (full) return refuse("503 Service Unavailable", "this host is full")
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (former !== undefined) {
        const connection = new Connection(webSocket, socket, former, this.#house)
        this.#connections.add(connection)
        former.resume(connection, (wish as Sessions.Resume).after)
        return connection.open()
      }
      this.#begin(webSocket, socket, codec, key, wish)
    })
  }

  /** A new client of an agent. */
  #begin(webSocket: WebSocket, socket: Duplex, codec: Codec.Codec, key: string, wish: Sessions.Wish): void {
    const session = wish._tag === "None" ? undefined : this.#sessions.make(codec, key, undefined)
    const conversation = session ?? new Conversation(codec, this.#house)
    const connection = new Connection(webSocket, socket, conversation, this.#house)
    const line = Edge.connect(this.#host.system, new ActorRef(codec.protocol, key, undefined), conversation)
    this.#connections.add(connection)
    if (line instanceof Edge.Line) {
      conversation.begin(line)
      if (wish._tag === "Resume") session!.replace(connection)
      else conversation.attach(connection)
      return connection.open()
    }
    if (session !== undefined) this.#sessions.abandon(session)
    this.#tally.refused++
    connection.close(1013, "agent unavailable")
  }

  /** No room for one more: connections, or four fifths of the bytes that all may hold. */
  get #crowded(): boolean {
    const { maxConnections, maxHeldBytes } = this.#limits
    return this.#connections.size + this.#sessions.away >= maxConnections || this.#house.held >= 0.8 * maxHeldBytes
  }

  /** As many agents live as may, and this key would make one more. */
  #populated(codec: Codec.Codec, key: string): boolean {
    const { registry } = this.#host.system
    let living = 0
    for (const type of this.#codecs.keys()) living += registry.kind(type).living
    return living >= this.#limits.maxAgents && !registry.kind(codec.protocol.type).cells.has(key)
  }

  /** The agent type and the key, still encoded, that a path names. */
  #routed(request: IncomingMessage): readonly [codec: Codec.Codec | undefined, key: string | undefined] {
    const [, type, key] = route.exec((request.url ?? "").split("?", 1)[0]!) ?? []
    return [type === undefined ? undefined : this.#codecs.get(type), key]
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader("connection", "close")
    if (request.method !== "GET" || request.url !== "/healthz") {
      const agent = this.#routed(request)[0] !== undefined
      if (agent) response.setHeader("upgrade", "websocket")
      response.writeHead(agent ? 426 : 404, { "content-type": "text/plain" })
      response.end(agent ? "an agent speaks WebSocket here\n" : `${noSuchPath}\n`)
      return
    }
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" }).end(this.#health())
  }

  /** Looking at every actor takes a while where there are many: asked more often, the last look is told again. */
  #health(): string {
    const { system } = this.#host
    const began = performance.now()
    if (began < this.#lookAgainAt) return this.#looked
    this.#looked = JSON.stringify({
      status: this.#draining ? "draining" : "ok",
      balanced: this.#host.imbalances().length === 0,
      gateway: this.#stats(),
      system: this.#host.snapshot(),
      memory: process.memoryUsage(),
      now: system.timers.now()
    })
    const ended = performance.now()
    this.#lookAgainAt = ended + lookShare * (ended - began)
    return this.#looked
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
    this.#sessions.expire(timers.now() - this.#limits.graceMillis)
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
      sessions: this.#sessions.size,
      away: this.#sessions.away,
      heldBytes: this.#house.held,
      keptBytes: this.#house.keptBytes,
      queuedBytes,
      ...this.#tally,
      closed: { ...this.#tally.closed }
    }
  }
}
