/**
 * One socket and the agent behind it.
 *
 *   frame -> window (32 messages, 256 KiB) -> JsonRpc -> Codec -> Line (request | notify) -> agent
 *            past it: pause, backlog (64 KiB)                          |
 *   socket <- Outbox <- result | error | event <------------------------
 *
 * Floor 3; made by Gateway at upgrade; implements `Client` for the agent. Law 3: what is unfinished, waiting and unsent is
 * bounded, by count and bytes. Law 2: frames are handled in the order received, the backlog included; a batch is answered
 * as one. Law 8: when the socket goes, its requests are cancelled and the agent hears `onDisconnect` behind them.
 * So a flooder slows itself: it is not read while it has 32 unfinished messages. A full mailbox nonetheless answers a
 * request -32001 and makes a notification a dead letter.
 * Cost: an ask a request; no fiber, no timer of its own.
 */
import { Cause, type Exit } from "effect"
import type { Duplex } from "node:stream"
import type { RawData, WebSocket } from "ws"
import type { Client, Encoded } from "../actor/Client.ts"
import {
  ActorStopped,
  AskCycle,
  AskTimeout,
  CalleeFailed,
  Dropped,
  MailboxFull,
  NoSuchActor,
  Quarantined
} from "../kernel/Errors.ts"
import type { Line, Request } from "../supervision/Edge.ts"
import type { Codec } from "./Codec.ts"
import * as JsonRpc from "./JsonRpc.ts"
import type { ConnectionLimits } from "./Limits.ts"
import { Outbox } from "./Outbox.ts"

/** What the gateway counts over all its connections. */
export interface Tally {
  framesIn: number
  framesOut: number
  invalid: number
  refused: number
  readonly closed: Record<number, number>
}

/** The unfinished messages of one frame. */
interface Pending {
  readonly batch: boolean
  readonly bytes: number
  readonly answers: Array<string>
  left: number
}

/** RFC 6455, 7.4.1, and the registry's later codes. */
const UNSUPPORTED = 1003
const POLICY = 1008
const RESTART = 1012
const TRY_LATER = 1013

export class Connection implements Client {
  readonly id: string
  readonly principal: unknown = undefined
  readonly session: string | undefined = undefined
  /** Pings not answered since the last pong. */
  missed = 0
  /** The system clock's time when this connection was paused with nothing finished since; undefined when it reads. */
  pausedSince: number | undefined = undefined
  readonly outbox: Outbox
  readonly #socket: WebSocket
  readonly #codec: Codec
  readonly #limits: ConnectionLimits
  readonly #tally: Tally
  readonly #now: () => number
  readonly #requests = new Map<JsonRpc.Id, Request>()
  readonly #backlog: Array<Buffer> = []
  #line: Line | undefined = undefined
  #backlogBytes = 0
  #unfinished = 0
  #unfinishedBytes = 0
  #invalid = 0
  #resuming = false
  #draining = false
  #closing = false

  constructor(
    id: string,
    socket: WebSocket,
    raw: Duplex,
    codec: Codec,
    limits: ConnectionLimits,
    tally: Tally,
    now: () => number
  ) {
    this.id = id
    this.#socket = socket
    this.#codec = codec
    this.#limits = limits
    this.#tally = tally
    this.#now = now
    this.outbox = new Outbox(socket, raw, limits, () => this.#resume())
  }

  /** Begins to read for the agent behind `line`. */
  open(line: Line, gone: () => void): void {
    this.#line = line
    const socket = this.#socket
    socket.on("message", (data: RawData, binary: boolean) => this.#receive(data, binary))
    socket.on("pong", () => (this.missed = 0))
    socket.on("error", () => socket.terminate())
    socket.once("close", (code, reason) => {
      this.#closing = true
      this.#tally.closed[code] = (this.#tally.closed[code] ?? 0) + 1
      for (const request of this.#requests.values()) request.cancel()
      this.#requests.clear()
      this.#backlog.length = 0
      line.disconnect({ code, reason: reason.toString() })
      gone()
    })
  }

  // ---- in

  #receive(data: RawData, binary: boolean): void {
    if (this.#closing || this.#draining) return
    this.#tally.framesIn++
    if (binary) return this.close(UNSUPPORTED, "text frames only")
    // `ws` hands a text frame over as one Buffer, unless told otherwise
    const frame = data as Buffer
    if (this.#stuffed || this.#backlog.length > 0) {
      this.#backlogBytes += frame.length
      if (this.#backlogBytes > this.#limits.maxBacklogBytes) return this.close(POLICY, "backlog full")
      this.#backlog.push(frame)
      this.#pause()
    } else this.#handle(frame)
  }

  /** Whether no more may be begun. */
  get #stuffed(): boolean {
    const { maxUnfinished, maxUnfinishedBytes } = this.#limits
    return this.#unfinished >= maxUnfinished || this.#unfinishedBytes >= maxUnfinishedBytes || this.outbox.full
  }

  #pause(): void {
    if (this.pausedSince !== undefined) return
    this.pausedSince = this.#now()
    this.#socket.pause()
  }

  /** Something finished, or was sent: goes on with the backlog, then with reading. */
  #resume(): void {
    // a frame of the backlog that is finished at once comes back here: the loop below goes on with the next
    if (this.#resuming) return
    this.#resuming = true
    while (this.#backlog.length > 0 && !this.#stuffed && !this.#closing) {
      const frame = this.#backlog.shift()!
      this.#backlogBytes -= frame.length
      this.#handle(frame)
    }
    this.#resuming = false
    if (this.pausedSince === undefined) return
    if (this.#backlog.length > 0 || this.#stuffed) this.pausedSince = this.#now()
    else {
      this.pausedSince = undefined
      if (!this.#draining) this.#socket.resume()
    }
  }

  #handle(frame: Buffer): void {
    const { batch, messages } = JsonRpc.parse(frame.toString("utf8"), this.#limits.maxBatch)
    const pending: Pending = { batch, bytes: frame.length, answers: [], left: messages.length }
    this.#unfinished += messages.length
    this.#unfinishedBytes += frame.length
    for (const message of messages) {
      if (JsonRpc.isCall(message)) this.#call(message, pending)
      else this.#reject(message.id, message.error, pending)
    }
    if (this.#stuffed) this.#pause()
  }

  #call(call: JsonRpc.Call, pending: Pending): void {
    const { id, method } = call
    if (method.startsWith("$/")) return this.#control(call, pending)
    const position = this.#codec.position(method)
    if (position < 0) return this.#reject(id, JsonRpc.methodNotFound(method), pending)
    const params = this.#codec.params(position, call.params)
    if (!params.ok) return this.#reject(id, JsonRpc.invalidParams(params.why), pending)
    const line = this.#line!
    if (id === undefined) {
      const refused = line.notify(position, params.value, () => this.#finish(pending, undefined))
      if (refused === undefined) return
      this.#tally.refused++
      line.refuse(position, params.value, refused instanceof MailboxFull ? "mailboxFull" : "stopped")
      return this.#finish(pending, undefined)
    }
    if (this.#requests.has(id)) return this.#reject(id, JsonRpc.invalidRequest("an id that is in use"), pending)
    let settled = false
    const request = line.request(position, params.value, this.#limits.requestMillis, (exit) => {
      settled = true
      this.#requests.delete(id)
      this.#finish(pending, this.#answer(id, position, exit))
    })
    if (!("cancel" in request)) {
      this.#tally.refused++
      this.#finish(pending, JsonRpc.error(id, failureOf(request)))
    } else if (!settled) this.#requests.set(id, request)
  }

  #control(call: JsonRpc.Call, pending: Pending): void {
    if (call.method !== "$/cancel") return this.#reject(call.id, JsonRpc.methodNotFound(call.method), pending)
    const params = call.params as { readonly id?: JsonRpc.Id } | undefined
    this.#requests.get(params?.id ?? null)?.cancel()
    this.#finish(pending, call.id === undefined ? undefined : JsonRpc.result(call.id, undefined))
  }

  #answer(id: JsonRpc.Id, position: number, exit: Exit.Exit<unknown, unknown>): string {
    if (exit._tag === "Success") {
      const encoded = this.#codec.success(position, exit.value)
      return encoded.ok ? JsonRpc.result(id, encoded.value) : JsonRpc.error(id, JsonRpc.internalError(undefined))
    }
    const reason = exit.cause.reasons.find(Cause.isFailReason)
    if (reason === undefined) return JsonRpc.error(id, JsonRpc.cancelled)
    const typed = isOurs(reason.error) ? undefined : this.#codec.error(position, reason.error)
    if (typed === undefined || !typed.ok) return JsonRpc.error(id, failureOf(reason.error))
    return JsonRpc.error(id, { code: -32000, message: nameOf(reason.error), data: typed.value })
  }

  /** A message that could not be begun: counted against the connection. */
  #reject(id: JsonRpc.Id | undefined, failure: JsonRpc.Failure, pending: Pending): void {
    this.#tally.invalid++
    this.#invalid++
    this.#finish(pending, id === undefined ? undefined : JsonRpc.error(id, failure))
    if (this.#invalid > this.#limits.maxInvalid) this.close(POLICY, "too many invalid messages")
  }

  #finish(pending: Pending, answer: string | undefined): void {
    this.#unfinished--
    pending.left--
    if (answer !== undefined) pending.answers.push(answer)
    if (pending.left > 0) return
    this.#unfinishedBytes -= pending.bytes
    if (pending.answers.length > 0) {
      this.#send(pending.batch ? `[${pending.answers.join(",")}]` : pending.answers[0]!)
    }
    this.#resume()
    if (this.#draining) this.#drained()
  }

  // ---- out

  #send(frame: string | Buffer): void {
    this.#tally.framesOut++
    this.outbox.send(frame)
  }

  sendNow(event: string, payload: unknown): boolean {
    return this.sendShared(event, payload, { frame: undefined })
  }

  sendShared(event: string, payload: unknown, shared: Encoded): boolean {
    if (this.#closing) return false
    if (this.outbox.full) {
      this.close(TRY_LATER, "too slow for its events")
      return false
    }
    shared.frame ??= this.#encode(event, payload)
    this.#send(shared.frame as Buffer)
    return true
  }

  /** An event that its own Schema refuses is a fault of the agent, not of the client: it throws into the turn. */
  #encode(event: string, payload: unknown): Buffer {
    const encoded = this.#codec.event(event, payload)
    if (!encoded.ok) throw new Error(`event "${event}" does not fit its Schema: ${encoded.why}`)
    return Buffer.from(JsonRpc.notification(event, encoded.value))
  }

  close(code: number, reason: string): void {
    if (this.#closing) return
    this.#closing = true
    this.#socket.resume()
    this.#socket.close(code, reason)
  }

  /** Cuts the connection: its peer is gone, or will not close. */
  terminate(): void {
    this.#socket.terminate()
  }

  ping(): void {
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  /** Reads nothing more, answers what was read, then closes 1012. */
  drain(): void {
    if (this.#draining || this.#closing) return
    this.#draining = true
    this.#socket.pause()
    this.#drained()
  }

  #drained(): void {
    if (this.#unfinished === 0 && this.#backlog.length === 0) this.close(RESTART, "service restart")
  }

  /** Gives up a connection that has been paused with nothing finished since `before`. */
  stalled(before: number): void {
    if (this.pausedSince !== undefined && this.pausedSince < before) this.close(TRY_LATER, "stalled")
  }
}

const ours = [MailboxFull, ActorStopped, NoSuchActor, Quarantined, AskTimeout, AskCycle, CalleeFailed, Dropped]
const isOurs = (error: unknown): boolean => ours.some((kind) => error instanceof kind)

const nameOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "Application error"

/** What a client is told of an error of the actor system. */
const failureOf = (error: unknown): JsonRpc.Failure => {
  if (error instanceof MailboxFull || error instanceof Dropped) return JsonRpc.busy
  if (error instanceof ActorStopped || error instanceof NoSuchActor || error instanceof Quarantined) {
    return JsonRpc.unavailable
  }
  if (error instanceof AskTimeout) return { code: -32003, message: "Timeout", data: { started: error.started } }
  return JsonRpc.internalError(error instanceof CalleeFailed ? error.incident : undefined)
}
