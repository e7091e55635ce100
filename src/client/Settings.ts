/**
 * What may be chosen of a client: limits, delays, and where its socket, clock and chance come from. Checked once.
 *
 * Used by `connect`; law 12: an option that cannot be is refused by name, when given. Law 11: time and chance are injected,
 * so a test needs no real ones. Every time is in milliseconds, for a bundle has no Duration; timers end at 2^31 - 1.
 */
import { InvalidOption } from "./Errors.ts"

/** The part of the WebSocket API that a client uses: the browser's, Node's, or that of `ws`. */
export interface Socket {
  readonly readyState: number
  readonly bufferedAmount: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: never) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: never) => void) | null
  send(text: string): void
  close(code?: number, reason?: string): void
}

export type SocketConstructor = new (url: string, protocols?: Array<string>) => Socket

/** Where time comes from. */
export interface Clock {
  /** Milliseconds of a clock that never goes back. */
  now(): number
  setTimeout(callback: () => void, millis: number): unknown
  clearTimeout(timer: unknown): void
}

export interface ClientOptions {
  /** Default: the global one. Of `ws`, when headers are needed: `class extends WebSocket { constructor(url) { super(url, { headers }) } }`. */
  readonly WebSocket?: SocketConstructor
  /**
   * Keeps a session over reconnections: what is missed meanwhile is replayed, and requests are handled once. Default true;
   * false for a server that has none: then what was written has an unknown fate when the connection goes.
   */
  readonly session?: boolean
  /** Whether a request without an answer is sent again to a session that begins anew; it may be handled twice. Default true. */
  readonly resend?: boolean
  /**
   * What the server is to know this client by: a token, sent as subprotocol `bearer.<token>`, or as `?token=` where it has
   * characters that a subprotocol has not. A function is called before each attempt, so also after 4401.
   */
  readonly credential?: Credential
  /** A request is given up after this, its time in the queue included. 1 to 2^31 - 1, or Infinity; default 35,000: the server's own 30 s, and 5 to hear of it. */
  readonly timeoutMillis?: number
  /** A connection that is not open by then is given up. Default 10,000. */
  readonly connectTimeoutMillis?: number
  /** Asks whether the server is there after such a silence, +-20 %. Default 25,000; Infinity never. */
  readonly heartbeatMillis?: number
  /** The first delay before a reconnection is a random part of this. Default 50. */
  readonly minDelayMillis?: number
  /** It doubles up to this, and no server's hint is heeded beyond it. Default 30,000. */
  readonly maxDelayMillis?: number
  /** Delays begin anew after a connection that was open so long. Default 10,000. */
  readonly stableMillis?: number
  /** So many vain attempts in a row close the client. 1 or more, default Infinity. */
  readonly maxAttempts?: number
  /** Messages that wait to be sent. 0-1,000,000, default 1,024. */
  readonly maxQueued?: number
  /** Their bytes. 0 to 2^30, default 1,048,576. */
  readonly maxQueuedBytes?: number
  /**
   * Requests without an answer at a time; more wait here, where they are known not to be handled. 1-65,536, default 24: a
   * gateway stops reading at 32 unfinished messages, so eight are left for notifications and `$/cancel`. Three quarters
   * of them, at least one, may be streams, which may never end: more streams wait for those to end, and asks do not wait for them.
   */
  readonly maxInFlight?: number
  /** A larger message is refused here: the server would close 1009. 64-16,777,216, default 65,536. */
  readonly maxFrameBytes?: number
  readonly clock?: Clock
  /** In [0, 1). Default Math.random. */
  readonly random?: () => number
  /** Hears what a listener threw. Default: thrown on, to nobody, as an EventTarget does. */
  readonly report?: (error: unknown) => void
}

/** A token, or where to get one: within `connectTimeoutMillis`. */
export type Credential = string | (() => string | Promise<string>)

export type Settings = Required<Omit<ClientOptions, "credential">> & { readonly credential: Credential | undefined }

const maxTimer = 2 ** 31 - 1
const MIB = 1_048_576

/** Thrown into nothing: the browser's console, Node's uncaughtException. */
const throwOn = (error: unknown): void =>
  queueMicrotask(() => {
    throw error
  })

const realClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, millis) => setTimeout(callback, millis),
  clearTimeout: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0])
}

const integer = (field: string, value: unknown, min: number, max: number, endless = false): number => {
  if (endless && value === Number.POSITIVE_INFINITY) return value
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidOption(field, value, `a whole number from ${min} to ${max}${endless ? ", or Infinity" : ""}`)
}

const callable = <A>(field: string, value: A): A => {
  if (typeof value === "function") return value
  throw new InvalidOption(field, value, "a function")
}

export const flag = (field: string, value: unknown): boolean => {
  if (typeof value === "boolean") return value
  throw new InvalidOption(field, value, "true or false")
}

const credential = (value: unknown): Credential | undefined => {
  if (value === undefined || typeof value === "function" || (typeof value === "string" && value !== "")) {
    return value as Credential | undefined
  }
  // its value may be a secret
  throw new InvalidOption("credential", typeof value, "a token, or a function that gets one")
}

/** A duration in ms. */
export const millis = (field: string, value: unknown, endless: boolean): number =>
  integer(field, value, 1, maxTimer, endless)

/** A buffer's size. */
export const buffer = (field: string, value: unknown): number => integer(field, value, 1, 1_000_000)

/** Refuses a misspelt option. */
export const known = (field: string, options: object, names: ReadonlyArray<string>): void => {
  if (typeof options !== "object" || options === null) throw new InvalidOption(field, options, "an options record")
  const unknown = Object.keys(options).find((name) => !names.includes(name))
  if (unknown !== undefined) throw new InvalidOption(field, unknown, `one of ${names.join(", ")}`)
}

export const check = (o: ClientOptions): Settings => {
  const settings: Settings = {
    WebSocket: o.WebSocket ?? (globalThis as unknown as { readonly WebSocket: SocketConstructor }).WebSocket,
    session: flag("session", o.session ?? true),
    resend: flag("resend", o.resend ?? true),
    credential: credential(o.credential),
    timeoutMillis: millis("timeoutMillis", o.timeoutMillis ?? 35_000, true),
    connectTimeoutMillis: millis("connectTimeoutMillis", o.connectTimeoutMillis ?? 10_000, false),
    heartbeatMillis: millis("heartbeatMillis", o.heartbeatMillis ?? 25_000, true),
    minDelayMillis: millis("minDelayMillis", o.minDelayMillis ?? 50, false),
    maxDelayMillis: millis("maxDelayMillis", o.maxDelayMillis ?? 30_000, false),
    stableMillis: millis("stableMillis", o.stableMillis ?? 10_000, true),
    maxAttempts: integer("maxAttempts", o.maxAttempts ?? Number.POSITIVE_INFINITY, 1, maxTimer, true),
    maxQueued: integer("maxQueued", o.maxQueued ?? 1024, 0, 1_000_000),
    maxQueuedBytes: integer("maxQueuedBytes", o.maxQueuedBytes ?? MIB, 0, 1024 * MIB),
    maxInFlight: integer("maxInFlight", o.maxInFlight ?? 24, 1, 65_536),
    maxFrameBytes: integer("maxFrameBytes", o.maxFrameBytes ?? 65_536, 64, 16 * MIB),
    clock: o.clock ?? realClock,
    random: callable("random", o.random ?? Math.random),
    report: callable("report", o.report ?? throwOn)
  }
  known("options", o, Object.keys(settings))
  if (settings.WebSocket === undefined) {
    throw new InvalidOption("WebSocket", undefined, "given where there is no global one: that of `ws` (Node before 22)")
  }
  callable("WebSocket", settings.WebSocket)
  return settings
}
