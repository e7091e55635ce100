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
 * One that sends more messages a second than it may is not read for a while, then closed (RateLimit).
 * Law 12: what is wrong with a message is answered by name; what is wrong with the agent (a Schema that throws, an answer
 * that does not fit its own) is answered with an incident, whose text is in the log only.
 * Cost: an ask and its callback a request; no fiber, no timer of its own; listeners are shared by all connections.
 */
import { Effect, type Exit } from "effect"
import type { Duplex } from "node:stream"
import type { RawData, WebSocket } from "ws"
import { checkClose, type Client, type Encoded, type Principal } from "../actor/Client.ts"
import { MailboxFull } from "../kernel/Errors.ts"
import type { Line, Request } from "../supervision/Edge.ts"
import type { Pass, Renewal } from "./Admission.ts"
import * as Answer from "./Answer.ts"
import { GOING_AWAY, ofViolation, POLICY, RESTART, TRY_LATER, UNAUTHORIZED, UNSUPPORTED } from "./CloseCode.ts"
import type { Codec } from "./Codec.ts"
import type { Mortal } from "./Expiry.ts"
import * as JsonRpc from "./JsonRpc.ts"
import type { Limits } from "./Limits.ts"
import { Outbox, type OutboxOwner } from "./Outbox.ts"
import { type Brake, Bucket, type Slowed } from "./RateLimit.ts"
import { StreamReply, unfitOf } from "./StreamReply.ts"

/** What the gateway counts over all its connections. */
export interface Tally {
  framesIn: number
  framesOut: number
  invalid: number
  refused: number
  readonly closed: Record<number, number>
}

/** What all connections of a gateway share. */
export interface House {
  /** Bytes of wire that all connections hold: unfinished, in backlogs, not taken by sockets. */
  held: number
  readonly limits: Limits
  readonly tally: Tally
  /** The system clock's time, in ms. */
  readonly now: () => number
  /** Logs a fault of an agent's; answers with the incident that the client is told. */
  readonly fault: (text: string) => string
  /** Who has sent more than it may. */
  readonly brake: Brake
  /** Asks who a connection is with a newer token; the answer gives up. Undefined where nobody is asked. */
  readonly renew: (connection: Connection, token: string, done: (renewal: Renewal) => void) => (() => void) | undefined
  /** The connection has closed. */
  readonly left: (connection: Connection) => void
}

/** The unfinished messages of one frame. */
interface Pending {
  readonly bytes: number
  /** Of a batch. */
  readonly answers: Array<string> | undefined
  left: number
}

/** Bytes of wire of a masked frame's head (RFC 6455, 5.2). */
const headBytes = (length: number): number => (length < 126 ? 6 : length < 65_536 ? 8 : 14)

/** A socket that knows its connection, so that listeners need no closures. */
interface Owned extends WebSocket {
  connection: Connection
}

const connectionOf = (socket: WebSocket): Connection => (socket as Owned).connection

const onMessage = function (this: WebSocket, data: RawData, binary: boolean): void {
  // `ws` hands a text frame over as one Buffer, unless told otherwise
  connectionOf(this).receive(data as Buffer, binary)
}
const onPong = function (this: WebSocket): void {
  connectionOf(this).missed = 0
}
/** `ws` has sent the close frame that fits, or destroyed the socket; cutting it here would overtake that frame. */
const onError = function (this: WebSocket, error: Error & { readonly code?: string }): void {
  const { code = "" } = error
  if (!code.startsWith("WS_ERR_")) return
  connectionOf(this).closeCode = ofViolation(code)
}
const onClose = function (this: WebSocket, code: number, reason: Buffer): void {
  connectionOf(this).closed(code, reason)
}

let ids = 0

export class Connection implements Client, OutboxOwner, Slowed, Mortal {
  readonly id = `c${++ids}`
  readonly session: string | undefined = undefined
  /** Pings not answered since the last pong. */
  missed = 0
  /** The system clock's time when this connection was paused with nothing finished since; undefined when it reads. */
  pausedSince: number | undefined = undefined
  /** The code that this side closed with, where it did. */
  closeCode: number | undefined = undefined
  /** What let it in. */
  readonly pass: Pass
  readonly outbox: Outbox
  readonly bucket: Bucket
  readonly #socket: WebSocket
  readonly #codec: Codec
  readonly #house: House
  readonly #requests = new Map<JsonRpc.Id, Request>()
  #backlog: Array<Buffer> | undefined = undefined
  #line: Line | undefined = undefined
  #backlogBytes = 0
  /** Streams that wait until the socket has taken what was sent. */
  #thirsty: Array<() => void> | undefined = undefined
  #unfinished = 0
  #unfinishedBytes = 0
  #invalid = 0
  /** Gives up the `$/auth` under way. */
  #renewal: (() => void) | undefined = undefined
  #resuming = false
  #draining = false
  #closing = false

  constructor(socket: WebSocket, raw: Duplex, pass: Pass, house: House) {
    this.#socket = socket
    this.pass = pass
    this.#codec = pass.codec
    this.#house = house
    this.outbox = new Outbox(this, raw, house.limits)
    this.bucket = new Bucket(house.limits, house.now())
    ;(socket as Owned).connection = this
    socket.on("error", onError)
    socket.on("close", onClose)
  }

  get principal(): Principal | undefined {
    return this.pass.principal
  }

  /** Begins to read for the agent behind `line`. */
  open(line: Line): void {
    this.#line = line
    this.#socket.on("message", onMessage)
    this.#socket.on("pong", onPong)
  }

  /** The socket is gone. Internal: called by its listener. */
  closed(heard: number, reason: Buffer): void {
    const { tally, brake, left } = this.#house
    const code = this.closeCode ?? heard
    this.#closing = true
    tally.closed[code] = (tally.closed[code] ?? 0) + 1
    for (const request of this.#requests.values()) request.cancel()
    this.#requests.clear()
    this.#renewal?.()
    this.#backlog = undefined
    this.weigh(-this.#backlogBytes)
    this.#line?.disconnect({ code, reason: reason.toString() })
    brake.delete(this)
    left(this)
  }

  // ---- in

  /** A frame has come. Internal: called by its listener. */
  receive(frame: Buffer, binary: boolean): void {
    if (this.#closing || this.#draining) return
    this.#house.tally.framesIn++
    if (binary) return this.close(UNSUPPORTED, "text frames only")
    if (!this.#stuffed && this.#backlog === undefined) return this.#handle(frame)
    // what a chunk of the socket's holds behind the frame that filled the window: at most a chunk, 64 KiB
    const bytes = frame.length + headBytes(frame.length)
    if (this.#backlogBytes + bytes > this.#house.limits.maxBacklogBytes) return this.close(POLICY, "backlog full")
    this.#backlogBytes += bytes
    this.weigh(bytes)
    ;(this.#backlog ??= []).push(frame)
    this.#pause()
  }

  /** Whether no more may be begun. While all connections together hold too much, each has a window of one message. */
  get #stuffed(): boolean {
    const { held, limits } = this.#house
    if (this.#unfinished >= limits.maxUnfinished || this.#unfinishedBytes >= limits.maxUnfinishedBytes) return true
    return this.bucket.left < 0 || this.outbox.full || (held >= limits.maxHeldBytes && this.#unfinished > 0)
  }

  /** More messages than its rate allows: it is not read for a while. False: it went on like that, and is closed. */
  #slow(): boolean {
    const { now, brake } = this.#house
    if (this.bucket.earn(now())) return true
    if (this.bucket.presses(now())) {
      this.close(POLICY, "too many messages")
      return false
    }
    brake.add(this)
    return true
  }

  /** Slowed, and still so. Internal: called by the brake, as is `released`. */
  held(now: number): void {
    if (this.pausedSince !== undefined) this.pausedSince = now
  }

  released(): void {
    if (this.pausedSince !== undefined) this.#resume()
  }

  weigh(bytes: number): void {
    this.#house.held += bytes
  }

  #pause(): void {
    if (this.pausedSince !== undefined) return
    this.pausedSince = this.#house.now()
    this.#socket.pause()
  }

  /** The socket has taken what was sent: goes on. */
  drained(): void {
    for (const goOn of this.#thirsty?.splice(0) ?? []) goOn()
    if (this.pausedSince !== undefined) this.#resume()
  }

  /** Something finished, or was taken: goes on with the backlog, then with reading. */
  #resume(): void {
    // a frame of the backlog that is finished at once comes back here: the loop below goes on with the next
    if (this.#resuming) return
    if (this.#backlog !== undefined) {
      this.#resuming = true
      const backlog = this.#backlog
      let n = 0
      while (n < backlog.length && !this.#stuffed && !this.#closing) {
        const frame = backlog[n++]!
        const bytes = frame.length + headBytes(frame.length)
        this.#backlogBytes -= bytes
        this.weigh(-bytes)
        this.#handle(frame)
      }
      this.#resuming = false
      if (n === backlog.length) this.#backlog = undefined
      else backlog.splice(0, n)
    }
    if (this.pausedSince === undefined || this.#closing) return
    if (this.#backlog !== undefined || this.#stuffed) this.pausedSince = this.#house.now()
    else {
      this.pausedSince = undefined
      if (!this.#draining) this.#socket.resume()
    }
  }

  #handle(frame: Buffer): void {
    const { limits } = this.#house
    const { batch, messages } = JsonRpc.parse(frame.toString("utf8"), limits.maxBatch, limits.maxDepth)
    this.bucket.left -= messages.length
    if (this.bucket.left < 0 && !this.#slow()) return
    const pending: Pending = { bytes: frame.length, answers: batch ? [] : undefined, left: messages.length }
    this.#unfinished += messages.length
    this.#unfinishedBytes += frame.length
    this.weigh(frame.length)
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
    if (!params.ok) {
      if (params.defect === undefined) return this.#reject(id, JsonRpc.invalidParams(params.why), pending)
      const failure = this.#fault(`the Schema of "${method}" threw: ${params.why}`)
      return this.#finish(pending, id === undefined ? undefined : JsonRpc.error(id, failure))
    }
    if (id === undefined) this.#notify(position, params.value, pending)
    else if (this.#codec.protocol.streams[position]) this.#stream(id, position, params.value, pending)
    else if (this.#requests.has(id)) this.#reject(id, JsonRpc.invalidRequest("an id that is in use"), pending)
    else this.#request(id, position, params.value, pending)
  }

  #notify(position: number, payload: unknown, pending: Pending): void {
    const line = this.#line!
    const refused = line.notify(position, payload, () => this.#finish(pending, undefined))
    if (refused === undefined) return
    line.refuse(position, payload, refused instanceof MailboxFull ? "mailboxFull" : "stopped")
    this.#refused(pending, undefined)
  }

  #request(id: JsonRpc.Id, position: number, payload: unknown, pending: Pending): void {
    let settled = false
    const request = this.#line!.request(position, payload, this.#house.limits.requestMillis, (exit) => {
      settled = true
      this.#requests.delete(id)
      // without a socket there is nobody to encode an answer for
      this.#finish(pending, this.#closing ? undefined : this.#answer(id, position, exit))
    })
    if (!("cancel" in request)) this.#refused(pending, JsonRpc.error(id, Answer.failureOf(request)))
    else if (!settled) this.#requests.set(id, request)
  }

  /** A request that a stream answers. */
  #stream(id: JsonRpc.Id, position: number, payload: unknown, pending: Pending): void {
    if (this.#requests.has(id)) return this.#reject(id, JsonRpc.invalidRequest("an id that is in use"), pending)
    let ended = false
    const reply = new StreamReply(id, position, this.#codec, {
      send: (frame) => this.#send(frame),
      room: Effect.suspend(() => this.#room()),
      end: (exit) => {
        ended = true
        this.#requests.delete(id)
        const why = unfitOf(exit)
        const unfit = (why: string): string =>
          Answer.unfit(this.#codec, (text) => this.#incident(text), id, position, why)
        const answer = why === undefined ? this.#answer(id, position, exit) : unfit(why)
        this.#finish(pending, this.#closing ? undefined : answer)
      }
    })
    const refused = reply.open(this.#line!, payload, this.#house.limits.requestMillis)
    if (refused !== undefined) this.#refused(pending, JsonRpc.error(id, Answer.failureOf(refused)))
    else if (!ended) this.#requests.set(id, reply)
  }

  /** Waits while more is unsent than may be. */
  #room(): Effect.Effect<void> {
    if (this.outbox.full) this.outbox.flush()
    if (!this.outbox.full || this.#closing) return Effect.void
    return Effect.callback<void>((resume) => void (this.#thirsty ??= []).push(() => resume(Effect.void)))
  }

  /** The agent did not take it. One whose life has ended takes nothing any more: the client may connect to its next. */
  #refused(pending: Pending, answer: string | undefined): void {
    this.#house.tally.refused++
    this.#finish(pending, answer)
    if (!this.#line!.open) this.close(GOING_AWAY, "agent stopped")
  }

  #control(call: JsonRpc.Call, pending: Pending): void {
    const { id, method } = call
    if (method === "$/auth") return this.#renew(call, pending)
    if (method !== "$/cancel") return this.#reject(id, JsonRpc.methodNotFound(method), pending)
    const params = call.params as { readonly id?: unknown } | undefined
    if (!JsonRpc.isId(params?.id))
      return this.#reject(id, JsonRpc.invalidParams("id of the request to cancel"), pending)
    this.#requests.get(params.id)?.cancel()
    this.#finish(pending, id === undefined ? undefined : JsonRpc.result(id, undefined))
  }

  /** `$/auth { token }`: the principal with a later end. */
  #renew({ id, params }: JsonRpc.Call, pending: Pending): void {
    const token = (params as { readonly token?: unknown } | undefined)?.token
    if (typeof token !== "string" || token === "" || id === undefined) {
      return this.#reject(id, JsonRpc.invalidParams("a request with the token, text"), pending)
    }
    if (this.#renewal !== undefined) return this.#reject(id, JsonRpc.invalidRequest("one is under way"), pending)
    this.#renewal = () => {}
    const giveUp = this.#house.renew(this, token, (renewal) => {
      this.#renewal = undefined
      if (renewal.ok) return this.#finish(pending, JsonRpc.result(id, { expiresAt: renewal.expiresAt ?? null }))
      if ("incident" in renewal) {
        return this.#finish(pending, JsonRpc.error(id, JsonRpc.internalError(renewal.incident)))
      }
      this.#reject(id, JsonRpc.invalidRequest(renewal.why), pending)
      if (renewal.hangUp) this.hangUp(UNAUTHORIZED, renewal.why)
    })
    if (giveUp === undefined) {
      this.#renewal = undefined
      this.#reject(id, JsonRpc.methodNotFound("$/auth"), pending)
    } else if (this.#renewal !== undefined) {
      this.#renewal = () => {
        giveUp()
        this.#finish(pending, undefined)
      }
    }
  }

  /** Its principal has. Internal: called by the gateway's timer. */
  expired(): void {
    this.hangUp(UNAUTHORIZED, "expired")
  }

  #answer(id: JsonRpc.Id, position: number, exit: Exit.Exit<unknown, unknown>): string {
    return Answer.of(this.#codec, (text) => this.#incident(text), id, position, exit)
  }

  #incident(text: string): string {
    return this.#house.fault(`${this.#line!.address}: ${text}`)
  }

  #fault(text: string): JsonRpc.Failure {
    return JsonRpc.internalError(this.#incident(text))
  }

  /** A message that could not be begun: counted against the connection. */
  #reject(id: JsonRpc.Id | undefined, failure: JsonRpc.Failure, pending: Pending): void {
    this.#house.tally.invalid++
    this.#invalid++
    this.#finish(pending, id === undefined ? undefined : JsonRpc.error(id, failure))
    if (this.#invalid > this.#house.limits.maxInvalid) this.close(POLICY, "too many invalid messages")
  }

  #finish(pending: Pending, answer: string | undefined): void {
    this.#unfinished--
    pending.left--
    if (answer !== undefined) {
      if (pending.answers === undefined) this.#send(answer)
      else pending.answers.push(answer)
    }
    if (pending.left > 0) return
    this.#unfinishedBytes -= pending.bytes
    this.weigh(-pending.bytes)
    if (pending.answers !== undefined && pending.answers.length > 0) this.#send(`[${pending.answers.join(",")}]`)
    if (this.pausedSince !== undefined) this.#resume()
    if (this.#draining) this.#drained()
  }

  // ---- out

  get writable(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  #send(frame: string | Buffer): void {
    if (this.#closing || !this.writable) return
    this.#house.tally.framesOut++
    this.outbox.send(frame)
  }

  sendNow(event: string, payload: unknown): boolean {
    return this.sendShared(event, payload, { frame: undefined })
  }

  sendShared(event: string, payload: unknown, shared: Encoded): boolean {
    if (this.#closing || !this.writable) return false
    // several turns may run before the microtask that writes: what counts is what the socket does not take
    if (this.outbox.full) this.outbox.flush()
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

  /** For agents. */
  close(code: number, reason: string): void {
    checkClose(code, reason)
    this.hangUp(code, reason)
  }

  /** The same with the codes that are the gateway's alone: 1012, 4001, 4401. */
  hangUp(code: number, reason: string): void {
    if (this.#closing) return
    this.outbox.flush()
    this.#closing = true
    this.closeCode = code
    // a paused socket would not see its peer's close frame
    this.#socket.resume()
    this.#socket.close(code, reason)
  }

  /** Cuts the connection: its peer is gone, or will not close. */
  terminate(): void {
    this.#socket.terminate()
  }

  /** Reads nothing more, answers what was read, then closes 1012. */
  drain(): void {
    if (this.#draining || this.#closing) return
    this.#draining = true
    this.#socket.pause()
    this.#drained()
  }

  /** Ends the streams that have not ended by themselves. */
  endStreams(): void {
    const { address } = this.#line!
    for (const request of this.#requests.values()) if (request instanceof StreamReply) request.stop(address)
  }

  #drained(): void {
    if (this.#unfinished === 0 && this.#backlog === undefined) this.hangUp(RESTART, "service restart")
  }

  /** Once a heartbeat: pings, unless the peer has not answered two; gives up one paused since before `stalledBefore`. */
  beat(stalledBefore: number): void {
    this.#invalid = 0
    if (this.pausedSince === undefined) {
      if (this.missed++ >= 2) return this.terminate()
    } else if (this.pausedSince < stalledBefore) return this.close(TRY_LATER, "stalled")
    if (this.writable) this.#socket.ping()
  }
}
