/**
 * Ports: one for agents, with TLS where it is given, and one for those who look after the host.
 *
 * Floor 3; used by Gateway; knows nothing of agents. Law 12: what cannot serve is refused when the layer is built.
 * Law 3: sockets that have not become connections are bounded: in number, in all and of one address, in the time they may take for a request, a TLS
 * handshake or not reading their answer, and each has one request.
 */
import { Effect, Schema } from "effect"
import { createServer, type RequestListener, type Server, STATUS_CODES } from "node:http"
import { createServer as createSecureServer, type Server as SecureServer, type ServerOptions } from "node:https"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import * as Peer from "./Peer.ts"

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

/** Why there is no upgrade. */
interface Refusal {
  readonly status: number
  readonly why: string
}

/** Where to listen. */
export interface Place {
  readonly host: string
  readonly port: number
}

/** Key and certificate, and whatever else Node's `https.createServer` takes. */
export type TlsOptions = ServerOptions

export type AnyServer = Server | SecureServer

/** Sockets that have not been upgraded, besides the connections. */
const maxHandshakes = 1024

/** Refuses a place that cannot be one. */
export const place = (
  field: string,
  options: { readonly port?: unknown; readonly host?: unknown },
  port: number
): Place => {
  const { host = "127.0.0.1" } = options
  if (typeof host !== "string" || host === "") {
    throw new InvalidOption({ field: `${field}.host`, value: String(host), range: "a name or an address" })
  }
  return { host, port: Options.integer(`${field}.port`, options.port, port, 0, 65_535) }
}

/** Told of what is refused here: the status, or that a socket was cut at the door. */
export type Refused = (how: number | "door") => void

export interface Bounds {
  /** For all that a stranger can drag out. */
  readonly millis: number
  readonly maxConnections: number
  readonly refused: Refused
}

/** A server that is not open yet. */
export const serve = (
  answer: RequestListener,
  { millis, maxConnections, refused }: Bounds,
  tls?: TlsOptions
): AnyServer => {
  const limits = { headersTimeout: millis, requestTimeout: millis, connectionsCheckingInterval: 1000 }
  const server = tls === undefined ? createServer(limits, answer) : secure({ ...tls, ...limits }, millis, answer)
  // nor may one hold its slot by not reading, or queue requests behind one another
  server.timeout = millis
  server.maxRequestsPerSocket = 1
  server.maxConnections = maxConnections + maxHandshakes
  // Node's own answer would keep the socket open for another request
  server.on("checkExpectation", (_, response) => {
    refused(417)
    response.writeHead(417, { connection: "close" }).end()
  })
  server.on("drop", () => refused("door"))
  return server
}

/** Sockets of one address that have not been upgraded, besides its connections. */
const maxHandshakesPerAddress = 64

interface Counted extends Socket {
  group: string
  counts: Map<string, number>
}

const uncount = function (this: Socket): void {
  const { counts, group } = this as Counted
  Peer.count(counts, group, -1)
}

/** Cuts what one address opens beyond its share before it has asked for anything; not behind a proxy, where all have one. */
export const boundAddresses = (server: AnyServer, maxPerAddress: number | undefined, refused: Refused): void => {
  const counts = new Map<string, number>()
  server.on("connection", (socket: Socket) => {
    const address = Peer.ofSocket(socket)
    const group = Peer.group(address)
    if ((counts.get(group) ?? 0) >= Peer.most(address, maxPerAddress, Peer.connections) + maxHandshakesPerAddress) {
      refused("door")
      return void socket.destroy()
    }
    Peer.count(counts, group, 1)
    Object.assign(socket as Counted, { group, counts }).once("close", uncount)
  })
}

const secure = (tls: TlsOptions, millis: number, answer: RequestListener): SecureServer => {
  const refuse = (value: string): never => {
    throw new InvalidOption({ field: "gateway.tls", value, range: "key and cert (or pfx) of https.createServer" })
  }
  if (tls.pfx === undefined && tls.SNICallback === undefined && (tls.key === undefined || tls.cert === undefined)) {
    return refuse("a record without them")
  }
  try {
    return createSecureServer({ ...tls, handshakeTimeout: millis }, answer)
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

/** Opens the port; answers with its number. */
export const listen = (server: AnyServer, { host, port }: Place): Effect.Effect<number, ListenError> =>
  Effect.callback((resume) => {
    const failed = (error: Error): void => resume(Effect.fail(new ListenError({ host, port, reason: error.message })))
    server.once("error", failed)
    server.listen({ port, host, backlog: 4096 }, () => {
      server.off("error", failed)
      resume(Effect.succeed((server.address() as AddressInfo).port))
    })
  })

/** `scheme://host:port` */
export const urlOf = (scheme: string, host: string, port: number): string =>
  `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`

const destroy = function (this: Duplex): void {
  this.destroy()
}

/** Tells a socket that asked for an upgrade why not, and hangs up. */
export const refuse = (socket: Duplex, { status, why }: Refusal, headers: Readonly<Record<string, string>>): void => {
  // a peer that never hangs up itself must not hold a half-open socket
  socket.once("finish", destroy)
  const lines = Object.entries({
    Connection: "close",
    "Content-Type": "text/plain",
    "Content-Length": Buffer.byteLength(why) + 1,
    ...headers
  })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head}\r\n${why}\n`)
}
