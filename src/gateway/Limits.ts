/**
 * The gateway's limits: one line each, with unit, default and range.
 *
 * Floor 3; read by Gateway and Connection; checked once, when the layer is built (law 12).
 * Law 3: everything a client can make the server hold is in this list. Defaults are safe for strangers; raise
 * `maxConnections` with the open-files limit, the rest with measurements.
 */
import type { Duration } from "effect"
import * as Options from "../kernel/Options.ts"
import type { RateLimits } from "./RateLimit.ts"

export interface LimitOptions {
  /** Open connections; one more gets HTTP 503. 1-1,000,000, default 16,384. */
  readonly maxConnections?: number
  /**
   * Connections of one address, POSTs under way among them, IPv6 by its first 64 bits; one more gets HTTP 429. 1-1,000,000,
   * default 256; addresses of this host itself are counted only where it is given.
   */
  readonly maxConnectionsPerAddress?: number
  /** Connections of one principal; one more gets HTTP 429. 1-1,000,000, default 64. */
  readonly maxConnectionsPerPrincipal?: number
  /** Living agents that the connections of one principal have made; one more gets HTTP 429. 1-1,000,000, default 1,024. */
  readonly maxAgentsPerPrincipal?: number
  /**
   * The same where nobody is known: living agents that one address has made, IPv6 by its first 64 bits, by connections and
   * POSTs; one more gets HTTP 429. 1-1,000,000, default 1,024; addresses of this host itself are counted only where it is given.
   */
  readonly maxAgentsPerAddress?: number
  /** Proxies of your own before this host: so many of the last entries in X-Forwarded-For are true. 0-16, default 0. */
  readonly trustProxy?: number
  /** A request that is not let in after this gets HTTP 503 or 408, or is cut; TLS included. Up to 24 days, default 10 seconds. */
  readonly handshakeTimeout?: Duration.Input
  /** Living agents that connections may make; with that many, a connection to a new key gets 503. Default 262,144. */
  readonly maxAgents?: number
  /**
   * Bytes of a message; a larger one closes 1009, one in more fragments than a 2,048th of it (at least 16) 1008.
   * 64-16,777,216, default 65,536.
   */
  readonly maxFrameBytes?: number
  /** Messages in a batch. 1-1,000, default 32. */
  readonly maxBatch?: number
  /**
   * Messages of a connection begun and not finished; then it is not read. A batch is begun as a whole where there is room for
   * one message, or it would wait for ever behind a stream: so at most `maxBatch` - 1 more. 1-65,536, default 32.
   */
  readonly maxUnfinished?: number
  /** The same in bytes of wire. 64-1,073,741,824, default 262,144. */
  readonly maxUnfinishedBytes?: number
  /** Bytes of frames that arrive although it is not read any more; more close 1008. Default `maxFrameBytes` + 65,550. */
  readonly maxBacklogBytes?: number
  /** Invalid messages of a connection from one heartbeat to the next; one more closes 1008. 0-1,000,000, default 100. */
  readonly maxInvalid?: number
  /** Lists and records that lie in each other in a message, itself counted; a deeper one gets -32600. 4-1,000, default 64. */
  readonly maxDepth?: number
  /**
   * Messages a second of a connection, a batch as its messages, pings and pongs too; at once at most those of two seconds.
   * Past it, it is not read for a while. 1-1,000,000, default 1,000.
   */
  readonly maxMessageRate?: number
  /** Who is slowed again and again for so long, without a second's rest, is closed 1008. Default 30 seconds. */
  readonly floodTimeout?: Duration.Input
  /** Bytes not yet taken by the socket; then events close 1013 and nothing is read. Default 1,048,576. */
  readonly maxOutboxBytes?: number
  /** The same in frames. Default 256. */
  readonly maxOutboxFrames?: number
  /**
   * Bytes of wire that all connections of all gateways of the process hold: unfinished, in backlogs, not taken by sockets, kept
   * for sessions (frames in a quarter of it at most, keys and outcomes of requests that have ended in another). From 80 % on
   * new connections get HTTP 503; beyond it each connection may have one message unfinished. 65,536-1,099,511,627,776, default 268,435,456.
   */
  readonly maxHeldBytes?: number
  /** How long a session waits for its client without a socket. Default 60 seconds. */
  readonly sessionGrace?: Duration.Input
  /**
   * Broadcasts kept for the sessions of an agent, and frames for each session of what it alone was sent; no longer than the
   * grace, once they have surely arrived. 1-65,536, default 256.
   */
  readonly maxReplay?: number
  /** The same in bytes, of each; and for each session, bytes of the outcomes kept by `requestKey`. Default 65,536. */
  readonly maxReplayBytes?: number
  /** A request is answered with a timeout after this. Default 30 seconds. */
  readonly requestTimeout?: Duration.Input
  /** Pings are sent so often; two unanswered ones end the connection. Default 25 seconds. */
  readonly heartbeat?: Duration.Input
  /**
   * A connection with a full window, behind which something has waited for so long with nothing finished, is closed 1013.
   * Default 60 seconds.
   */
  readonly stallTimeout?: Duration.Input
  /** A drain takes so long at most; then what is not answered is cut. Default 15 seconds. */
  readonly drainTimeout?: Duration.Input
  /** A drain lets so many connections go at a time; more at once come back as a herd. 1-1,000,000, default 250. */
  readonly drainBatch?: number
  /**
   * Over so long the batches of a drain are spread, where there is more than one, and over as long again their coming back.
   * At most `drainTimeout`; default a fifth of it, at most 3 seconds.
   */
  readonly drainSpread?: Duration.Input
}

export interface ConnectionLimits extends RateLimits {
  readonly maxDepth: number
  readonly maxBatch: number
  readonly maxUnfinished: number
  readonly maxUnfinishedBytes: number
  readonly maxBacklogBytes: number
  readonly maxInvalid: number
  readonly maxBytes: number
  readonly maxFrames: number
  readonly maxHeldBytes: number
  readonly maxReplay: number
  readonly maxReplayBytes: number
  readonly graceMillis: number
  readonly requestMillis: number
}

export interface AdmissionLimits {
  /** Undefined: 256, and this host's own addresses are not counted. */
  readonly maxConnectionsPerAddress: number | undefined
  readonly maxConnectionsPerPrincipal: number
  readonly maxAgentsPerPrincipal: number
  /** Undefined: 1,024, and this host's own addresses are not counted. */
  readonly maxAgentsPerAddress: number | undefined
  readonly trustProxy: number
  readonly handshakeMillis: number
}

export interface Limits extends ConnectionLimits, AdmissionLimits {
  readonly maxConnections: number
  readonly maxAgents: number
  readonly maxFrameBytes: number
  readonly heartbeatMillis: number
  readonly stallMillis: number
  readonly drainMillis: number
  readonly drainBatch: number
  readonly drainSpreadMillis: number
}

/** What `ws` may still hand over of a socket that is paused: the frame at hand, and a chunk behind it. */
const CHUNK = 65_536 + 14
const GIB = 1_073_741_824

/** Options of the gateway that are no limits. */
const others = ["port", "host", "agents", "authenticate", "authorize", "origins", "tls", "admin"]

const names: ReadonlyArray<keyof LimitOptions> = [
  "maxConnections",
  "maxConnectionsPerAddress",
  "maxConnectionsPerPrincipal",
  "maxAgentsPerPrincipal",
  "maxAgentsPerAddress",
  "trustProxy",
  "handshakeTimeout",
  "maxAgents",
  "maxFrameBytes",
  "maxBatch",
  "maxUnfinished",
  "maxUnfinishedBytes",
  "maxBacklogBytes",
  "maxInvalid",
  "maxDepth",
  "maxMessageRate",
  "floodTimeout",
  "maxOutboxBytes",
  "maxOutboxFrames",
  "maxHeldBytes",
  "sessionGrace",
  "maxReplay",
  "maxReplayBytes",
  "requestTimeout",
  "heartbeat",
  "stallTimeout",
  "drainTimeout",
  "drainBatch",
  "drainSpread"
]

const thousands = (field: string, value: unknown, fallback: number): number =>
  Options.integer(field, value, fallback, 1, 1_000_000)

/** The longest that a timer of Node's can wait; a longer one fires at once. */
const maxTimerMillis = 2 ** 31 - 1

/** A time that Node's own timers are given: whole milliseconds. */
const nodeMillis = (field: string, value: Duration.Input | undefined, fallback: number): number =>
  Options.atMost(field, Math.ceil(Options.millis(field, value, fallback)), maxTimerMillis, "a timer of Node's")

const optional = (field: string, value: unknown): number | undefined =>
  value === undefined ? undefined : thousands(field, value, 1)

export const check = (o: LimitOptions): Limits => {
  Options.known("gateway", o, [...others, ...names])
  const maxFrameBytes = Options.integer("gateway.maxFrameBytes", o.maxFrameBytes, 65_536, 64, 16_777_216)
  const drainMillis = Options.millis("gateway.drainTimeout", o.drainTimeout, 15_000)
  const drainSpreadMillis = Options.millis("gateway.drainSpread", o.drainSpread, Math.min(3000, drainMillis / 5))
  return {
    maxConnections: Options.integer("gateway.maxConnections", o.maxConnections, 16_384, 1, 1_000_000),
    maxConnectionsPerAddress: optional("gateway.maxConnectionsPerAddress", o.maxConnectionsPerAddress),
    maxConnectionsPerPrincipal: thousands("gateway.maxConnectionsPerPrincipal", o.maxConnectionsPerPrincipal, 64),
    maxAgentsPerPrincipal: thousands("gateway.maxAgentsPerPrincipal", o.maxAgentsPerPrincipal, 1024),
    maxAgentsPerAddress: optional("gateway.maxAgentsPerAddress", o.maxAgentsPerAddress),
    trustProxy: Options.integer("gateway.trustProxy", o.trustProxy, 0, 0, 16),
    handshakeMillis: nodeMillis("gateway.handshakeTimeout", o.handshakeTimeout, 10_000),
    maxAgents: Options.integer("gateway.maxAgents", o.maxAgents, 262_144, 1, 1_000_000_000),
    maxFrameBytes,
    maxBatch: Options.integer("gateway.maxBatch", o.maxBatch, 32, 1, 1000),
    maxUnfinished: Options.integer("gateway.maxUnfinished", o.maxUnfinished, 32, 1, 65_536),
    maxUnfinishedBytes: Options.integer("gateway.maxUnfinishedBytes", o.maxUnfinishedBytes, 262_144, 64, GIB),
    maxBacklogBytes: Options.integer("gateway.maxBacklogBytes", o.maxBacklogBytes, maxFrameBytes + CHUNK, 64, GIB),
    maxInvalid: Options.integer("gateway.maxInvalid", o.maxInvalid, 100, 0, 1_000_000),
    maxDepth: Options.integer("gateway.maxDepth", o.maxDepth, 64, 4, 1000),
    perMilli: Options.integer("gateway.maxMessageRate", o.maxMessageRate, 1000, 1, 1_000_000) / 1000,
    floodMillis: Options.millis("gateway.floodTimeout", o.floodTimeout, 30_000),
    maxBytes: Options.integer("gateway.maxOutboxBytes", o.maxOutboxBytes, 1_048_576, 64, GIB),
    maxFrames: Options.integer("gateway.maxOutboxFrames", o.maxOutboxFrames, 256, 1, 1_000_000),
    maxHeldBytes: Options.integer("gateway.maxHeldBytes", o.maxHeldBytes, GIB / 4, 65_536, GIB * 1024),
    maxReplay: Options.integer("gateway.maxReplay", o.maxReplay, 256, 1, 65_536),
    maxReplayBytes: Options.integer("gateway.maxReplayBytes", o.maxReplayBytes, 65_536, 64, GIB),
    graceMillis: Options.millis("gateway.sessionGrace", o.sessionGrace, 60_000),
    requestMillis: Options.millis("gateway.requestTimeout", o.requestTimeout, 30_000),
    heartbeatMillis: Options.millis("gateway.heartbeat", o.heartbeat, 25_000),
    stallMillis: Options.millis("gateway.stallTimeout", o.stallTimeout, 60_000),
    drainMillis,
    drainBatch: Options.integer("gateway.drainBatch", o.drainBatch, 250, 1, 1_000_000),
    drainSpreadMillis: Options.atMost("gateway.drainSpread", drainSpreadMillis, drainMillis, "drainTimeout")
  }
}
