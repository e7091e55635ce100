/**
 * The WebSocket edge: hosts agents at `ws://host:port/agents/{Type}/{key}`, JSON-RPC 2.0 in text frames (or `effect-rpc`).
 *
 * ```ts
 * Gateway.layer({ port: 4000, agents: [room] })   // needs ActorSystem, and the services of the agents' handlers
 * ```
 *
 * Floor 3; an Effect service with a lifetime: opened with its scope, drained when it closes or when the system shuts down,
 * whichever comes first. Who may come in is Admission's to say, before the upgrade; the plain HTTP beside it is Http's.
 * Drain (`Drain.ts`): it listens on, but lets nobody in (503, and when to come again); batch by batch nothing more is read;
 * what was read is answered; then close 1012, last, with a retry hint. A request without a reply after a clean 1012 was never
 * accepted. One timer for all connections (`Heartbeat`). What `expiresAt` and the rate of messages ask for has one timer each,
 * while anybody waits for it.
 * Law 11: in a system whose order comes from a seed it is refused by name, `RealIoInSimulation`.
 * Sources: RFC 6455 (close codes 7.4.1), JSON-RPC 2.0.
 */
import { Clock, Context, Effect, Layer, Random } from "effect"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { type ServerOptions, WebSocketServer } from "ws"
import { ActorRef } from "../actor/ActorRef.ts"
import { type AnyBehavior, Behavior } from "../actor/Behavior.ts"
import type { Principal } from "../actor/Client.ts"
import { InvalidOption, RealIoInSimulation } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import * as Edge from "../supervision/Edge.ts"
import { Admission, type AdmissionOptions, type Pass, Refusal, rules } from "./Admission.ts"
import { Budget, type Evicted } from "./Budget.ts"
import { TRY_LATER } from "./CloseCode.ts"
import * as Codec from "./Codec.ts"
import { Connection, type Gap, type House, type Tally } from "./Connection.ts"
import { Conversation } from "./Conversation.ts"
import * as Dialect from "./Dialect.ts"
import * as Drain from "./Drain.ts"
import type { DrainReport } from "./Drain.ts"
import { Expiry } from "./Expiry.ts"
import { Heartbeat } from "./Heartbeat.ts"
import { Http } from "./Http.ts"
import * as Intake from "./Intake.ts"
import { check, type LimitOptions, type Limits } from "./Limits.ts"
import * as Listen from "./Listen.ts"
import { Metrics } from "./Metrics.ts"
import { Brake } from "./RateLimit.ts"
import { Sessions } from "./Sessions.ts"
import { type Resume, wish } from "./Wish.ts"

export interface GatewayOptions<A, P extends Principal = Principal, RA = never, RZ = never>
  extends LimitOptions, AdmissionOptions<P, RA, RZ> {
  /** Default 4000; 0 takes a free one. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** The behaviours of agents. A type that is not hosted yet is hosted. */
  readonly agents: ReadonlyArray<A>
  /** Key and certificate as of `https.createServer`: then all is wss and https. */
  readonly tls?: Listen.TlsOptions
  /** Another port for /healthz, /readyz, /metrics, which then are not on the public one; plain HTTP. Host 127.0.0.1. */
  readonly admin?: { readonly port: number; readonly host?: string }
}

export interface GatewayStats {
  readonly connections: number
  /** Sessions, and those of them that wait for their client. */
  readonly sessions: number
  readonly away: number
  readonly paused: number
  /** Of these, for sending more messages a second than they may. */
  readonly slowed: number
  /** Bytes of wire that all connections hold. */
  readonly heldBytes: number
  /** Of these, what sessions keep for clients that may come back. */
  readonly keptBytes: number
  /** Of these, bytes not yet taken by sockets, and events that wait behind them. */
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
  /**
   * Frames kept for sessions that went before the grace had passed, so far: for more than `maxReplay`, for more than
   * `maxReplayBytes`, and because all sessions together keep too much. Most had arrived: what was lost in earnest is in `gaps`.
   */
  readonly evicted: Readonly<Record<Evicted, number>>
  /**
   * Clients that came back and were told `gap: true`, so far: something `missed` is not kept any more, or the session is not
   * known here and a `fresh` one was begun.
   */
  readonly gaps: Readonly<Record<Gap, number>>
  /** POSTs under way. */
  readonly posts: number
  /** Requests that were not let in so far, by HTTP status; `door`: sockets that were cut before they asked for anything. */
  readonly notAdmitted: Readonly<Record<string, number>>
  /** Connections closed so far, by close code; `client`: by clients, with another than 1000, 1001, 1005, 1006. */
  readonly closed: Readonly<Record<string, number>>
}

/** An open gateway. */
export interface OpenGateway {
  readonly host: string
  readonly port: number
  /** `ws://host:port`, or `wss://` */
  readonly url: string
  /** `http://host:port` of the port for /healthz, /readyz, /metrics, where it is another. */
  readonly adminUrl: string | undefined
  readonly stats: () => GatewayStats
  /** Lets all clients go, as the end of its scope does, and tells what was finished and what was lost. Done once. */
  readonly drain: Effect.Effect<DrainReport>
}

/** A behaviour of any protocol and any needs. */
type AnyAgent = AnyBehavior<unknown>

type ServicesOf<A> = A extends AnyBehavior<infer R> ? R : never

export class Gateway extends Context.Service<Gateway, OpenGateway>()("troupe/Gateway") {
  static layer<const A extends AnyAgent, P extends Principal = Principal, RA = never, RZ = never>(
    options: GatewayOptions<A, P, RA, RZ>
  ): Layer.Layer<Gateway, Listen.ListenError, ActorSystem | ServicesOf<A> | RA | RZ> {
    return Layer.effect(
      Gateway,
      Effect.gen(function* () {
        const services = yield* Effect.context<ActorSystem | ServicesOf<A> | RA | RZ>()
        const host = Context.get(services as Context.Context<ActorSystem>, ActorSystem)
        // what P, RA and RZ stand for matters to the caller alone
        const any = options as unknown as GatewayOptions<unknown, Principal, unknown, unknown>
        const edge = new Listener(host, any, services as Context.Context<unknown>)
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

/**
 * A frame sent in crumbs costs a Buffer a crumb, 350 bytes of memory for one of wire: so many, or one for each so many bytes
 * that it may have.
 */
const minCrumbs = 64
const crumbBytes = 256

/**
 * A fragment costs its reading, and keeps the chunk that it came in, up to 64 KiB, until its message is whole; the message
 * counts as one.
 */
const minFragments = 16
const fragmentBytes = 2048

const destroy = function (this: Duplex): void {
  this.destroy()
}

/** The server and its connections. */
class Listener {
  readonly #host: Host
  readonly #limits: Limits
  /** With the port that was taken, from then on. */
  #place: Listen.Place
  readonly #adminPlace: Listen.Place | undefined
  readonly #secure: boolean
  readonly #server: Listen.AnyServer
  readonly #adminServer: Listen.AnyServer | undefined
  readonly #admission: Admission
  readonly #http: Http
  readonly #metrics: Metrics
  readonly #expiry: Expiry
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
    evicted: { count: 0, bytes: 0, budget: 0 },
    gaps: { missed: 0, fresh: 0 },
    closed: {}
  }
  readonly #house: House
  readonly #sessions: Sessions
  readonly #heartbeat: Heartbeat
  #draining = false
  /** When who comes while it drains may be back: with the last of its clients. */
  #backAt = 0

  constructor(
    host: Host,
    options: GatewayOptions<unknown, Principal, unknown, unknown>,
    services: Context.Context<unknown>
  ) {
    this.#host = host
    this.#limits = check(options)
    if (Options.list("gateway.agents", options.agents, "agents").length === 0) {
      throw new InvalidOption({ field: "gateway.agents", value: "an empty list", range: "a list of agents" })
    }
    this.#place = Listen.place("gateway", options, 4000)
    Options.known("gateway.admin", options.admin, ["port", "host"])
    this.#adminPlace = options.admin && Listen.place("gateway.admin", options.admin, 0)
    Options.known("gateway.tls", options.tls, Object.keys(options.tls ?? {}))
    this.#secure = options.tls !== undefined
    const { system } = host
    this.#house = {
      budget: new Budget(this.#limits.maxHeldBytes),
      limits: this.#limits,
      tally: this.#tally,
      now: system.timers.now,
      fault: (text) => {
        const incident = system.incident()
        system.log(Effect.logWarning(`${text} (incident ${incident})`))
        return incident
      },
      brake: new Brake(system.timers),
      renew: (connection, token, done) =>
        this.#admission.renew(connection.pass, token, (renewal) => {
          if (renewal.ok) this.#expiry.set(connection, renewal.expiresAt)
          done(renewal)
        }),
      left: (connection, kept) => {
        this.#connections.delete(connection)
        this.#expiry.delete(connection)
        if (!kept) this.#admission.leave(connection.pass)
      }
    }
    this.#sessions = new Sessions(this.#house, (pass) => this.#admission.leave(pass))
    const { timers } = system
    const chance = Context.get(system.services, Random.Random)
    this.#heartbeat = new Heartbeat({
      connections: this.#connections,
      sessions: this.#sessions,
      limits: this.#limits,
      timers,
      random: () => chance.nextDoubleUnsafe()
    })
    const clock = Context.get(system.services, Clock.Clock)
    const wall = (): number => clock.currentTimeMillisUnsafe()
    const closed = (returns: boolean): string | undefined => this.#closed(returns)
    this.#expiry = new Expiry(system.timers, wall)
    this.#admission = new Admission(
      {
        system,
        codecs: this.#codecs,
        wall,
        closed,
        seat: (asked) => this.#sessions.seat(asked),
        populated: () => this.#populated
      },
      rules(options, this.#limits, services)
    )
    this.#http = new Http({
      host,
      admission: this.#admission,
      house: this.#house,
      types: this.#codecs,
      stats: () => this.#stats(),
      closed: () => closed(false),
      headers: (refusal) => this.#headers(refusal),
      draining: () => this.#draining
    })
    this.#metrics = new Metrics(services as Context.Context<never>, this.#http.look)
    this.#http.metrics = this.#metrics
    const { handshakeMillis, maxConnections, maxConnectionsPerAddress, trustProxy } = this.#limits
    const apart = this.#adminPlace !== undefined
    const { refused } = this.#http
    this.#server = Listen.serve(
      (request, response) => this.#http.answer(request, response, !apart, true),
      { millis: handshakeMillis, maxConnections, refused },
      options.tls
    )
    if (trustProxy === 0) Listen.boundAddresses(this.#server, maxConnectionsPerAddress, refused)
    if (apart) {
      this.#adminServer = Listen.serve((request, response) => this.#http.answer(request, response, true, false), {
        millis: handshakeMillis,
        maxConnections: 0,
        refused
      })
    }
    // the types of `ws` leave the last one out
    const socketOptions: ServerOptions & { readonly closeTimeout: number } = {
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: Dialect.agree,
      maxFragments: Math.max(minFragments, this.#limits.maxFrameBytes / fragmentBytes),
      maxBufferedChunks: Math.max(minCrumbs, this.#limits.maxFrameBytes / crumbBytes),
      maxPayload: this.#limits.maxFrameBytes,
      // who does not answer a close frame keeps its place so long
      closeTimeout: handshakeMillis
    }
    this.#sockets = new WebSocketServer(socketOptions)
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head))
  }

  get name(): string {
    return `gateway on ${this.#place.host}:${this.#place.port}`
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

  get listen(): Effect.Effect<Omit<OpenGateway, "drain">, Listen.ListenError> {
    return Effect.gen({ self: this }, function* () {
      const port = yield* this.#open(this.#server, this.#place)
      this.#place = { ...this.#place, port }
      const adminServer = this.#adminServer
      const adminPlace = this.#adminPlace!
      const adminPort = adminServer && (yield* this.#open(adminServer, adminPlace))
      this.#heartbeat.start()
      const { host } = this.#place
      this.#metrics.open(`${host}:${port}`)
      return {
        host,
        port,
        url: Listen.urlOf(this.#secure ? "wss" : "ws", host, port),
        adminUrl: adminPort === undefined ? undefined : Listen.urlOf("http", adminPlace.host, adminPort),
        stats: () => this.#stats()
      }
    }).pipe(Effect.onError(() => Effect.sync(() => this.#server.close())))
  }

  #open(server: Listen.AnyServer, place: Listen.Place): Effect.Effect<number, Listen.ListenError> {
    return Effect.tap(Listen.listen(server, place), () =>
      Effect.sync(() => server.on("error", (error) => this.#host.system.log(Effect.logError("gateway", error))))
    )
  }

  /** Closes the edge: see the header. */
  get drain(): Effect.Effect<DrainReport> {
    return Effect.gen({ self: this }, function* () {
      const { system } = this.#host
      const { drainBatch, drainSpreadMillis } = this.#limits
      const { size } = this.#connections
      this.#draining = true
      this.#backAt = system.timers.now() + Drain.schedule(size, drainBatch, drainSpreadMillis).backAt(size)
      this.#heartbeat.stop()
      this.#admission.close()
      const report = yield* Drain.drain({
        connections: this.#connections,
        posts: this.#http.posts,
        sessions: this.#sessions,
        limits: this.#limits,
        now: system.timers.now
      })
      this.#metrics.close()
      for (const server of [this.#server, this.#adminServer]) {
        server?.close()
        server?.closeAllConnections()
      }
      const text = `${this.name}: ${Drain.describe(report)}`
      system.log(Drain.lossless(report) ? Effect.logDebug(text) : Effect.logWarning(text))
      return report
    })
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", destroy)
    if (this.#http.served(socket)) return void socket.destroy()
    Intake.open(socket, head, this.#limits.maxFrameBytes)
    let vetting = true
    const left = (): void => {
      giveUp()
      if (vetting) socket.destroy()
    }
    const giveUp = this.#admission.admit(request, (verdict) => {
      vetting = false
      // it would keep the request as long as the connection
      socket.off("close", left).off("end", left)
      if (verdict instanceof Refusal) Listen.refuse(socket, verdict, this.#headers(verdict))
      else this.#connect(request, socket, head, verdict)
    })
    if (!vetting) return
    // nobody reads it yet: without this it would not be seen to go. Half-closed is gone, too
    socket.read(0)
    socket.once("close", left).once("end", left)
  }

  #connect(request: IncomingMessage, socket: Duplex, head: Buffer, pass: Pass): void {
    let connection: Connection | undefined
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const asked = wish(request.url ?? "")
      const former = this.#sessions.find(asked, pass)
      const session = former ?? (asked._tag === "None" ? undefined : this.#sessions.make(pass))
      const conversation =
        session ?? new Conversation(pass, this.#house, Dialect.of(request.headers["sec-websocket-protocol"]))
      connection = new Connection(webSocket, socket, pass, conversation, this.#house)
      this.#connections.add(connection)
      this.#expiry.set(connection, pass.principal?.expiresAt)
      if (former !== undefined) former.resume(connection, (asked as Resume).after)
      else if (!this.#begin(conversation, pass)) {
        if (session !== undefined) this.#sessions.abandon(session)
        return connection.hangUp(TRY_LATER, "agent unavailable")
      } else if (asked._tag === "Resume") session!.replace(connection)
      else conversation.attach(connection)
      connection.open()
    })
    // no upgrade after all, as `ws` has told its sender
    if (connection === undefined) this.#admission.leave(pass)
  }

  /** Brings the client to its agent; false when the agent does not take it. */
  #begin(conversation: Conversation, pass: Pass): boolean {
    const ref = new ActorRef(pass.codec.protocol, pass.key, undefined)
    const line = Edge.connect(this.#host.system, ref, conversation)
    if (line instanceof Edge.Line) conversation.begin(line)
    else this.#tally.refused++
    return line instanceof Edge.Line
  }

  /**
   * Why nobody may come in: it closes; connections, or four fifths of the bytes that all may hold, leave no room. Sessions that
   * are away count as connections, but for one whose client `returns`; a socket whose session was taken over counts no more.
   */
  #closed(returns: boolean): string | undefined {
    if (this.#draining) return "this host is closing"
    const { maxConnections } = this.#limits
    const places = this.#connections.size + this.#sessions.away - this.#sessions.leaving - (returns ? 1 : 0)
    const full = places >= maxConnections || (!returns && this.#house.budget.closed)
    return full ? "this host is full" : undefined
  }

  /** Of the answer to who is not let in. */
  #headers({ status, headers }: Refusal): Readonly<Record<string, string>> {
    if (!this.#draining || status !== 503) return headers
    return { ...headers, "Retry-After": Drain.retryAfter(this.#backAt, this.#house.now()) }
  }

  /** As many agents live as may. */
  get #populated(): boolean {
    const { registry } = this.#host.system
    let living = 0
    for (const type of this.#codecs.keys()) living += registry.kind(type).living
    return living >= this.#limits.maxAgents
  }

  #stats(): GatewayStats {
    let paused = 0
    let queuedBytes = 0
    for (const connection of this.#connections) {
      if (connection.pausedSince !== undefined) paused++
      queuedBytes += connection.outbox.unsent
    }
    return {
      connections: this.#connections.size,
      paused,
      slowed: this.#house.brake.size,
      sessions: this.#sessions.size,
      away: this.#sessions.away,
      heldBytes: this.#house.budget.held,
      keptBytes: this.#house.budget.kept,
      queuedBytes,
      posts: this.#http.posts.size,
      notAdmitted: this.#http.notAdmitted,
      ...this.#tally,
      evicted: { ...this.#tally.evicted },
      gaps: { ...this.#tally.gaps },
      closed: { ...this.#tally.closed }
    }
  }
}
