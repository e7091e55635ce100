/**
 * One socket: frames in, frames out, and nothing without bound.
 *
 *   frame -> window (32 messages, 256 KiB) -> JsonRpc -> Conversation -> agent
 *            past it: pause, backlog (64 KiB)                   |
 *   socket <- Outbox <- result | error | event <----------------
 *
 * Floor 3; made by Gateway at upgrade. Law 3: what is unfinished, waiting and unsent is bounded, by count and bytes.
 * Law 2: frames are handled in the order received, the backlog included; a batch is answered as one.
 * So a flooder slows itself: it is not read while it has 32 unfinished messages; only for what is about one of them (a
 * `$/cancel`) a KiB more is looked through, or as much as its dialect says. A full mailbox nonetheless answers a
 * request -32001 and makes a notification a dead letter.
 * One that sends more messages a second than it may is not read for a while, then closed (RateLimit); none is read for
 * longer than a sip while others wait (Sips). Most frames never meet `ws` (Intake).
 * Cost: no fiber, no timer of its own; listeners are shared by all connections.
 */
import type { Duplex } from "node:stream"
import type { RawData, WebSocket } from "ws"
import type { EventOverflow } from "../actor/EventOverflow.ts"
import type { Pass, Renewal } from "./Admission.ts"
import type { Budget, Evicted } from "./Budget.ts"
import {
  ABNORMAL,
  GOING_AWAY,
  NO_STATUS,
  NORMAL,
  ofViolation,
  POLICY,
  RESTART,
  TRY_LATER,
  UNAUTHORIZED,
  UNSUPPORTED
} from "./CloseCode.ts"
import type { Conversation } from "./Conversation.ts"
import * as Drain from "./Drain.ts"
import type { Mortal } from "./Expiry.ts"
import type { TextTaker } from "./FrameReader.ts"
import * as Intake from "./Intake.ts"
import * as JsonRpc from "./JsonRpc.ts"
import type { Limits } from "./Limits.ts"
import { Outbox, type OutboxOwner } from "./Outbox.ts"
import { type Brake, Bucket, type Slowed } from "./RateLimit.ts"

/** What clients close with that mean no more than that. A stranger may send any other, ours too, and as many as it likes. */
const usual: ReadonlySet<number> = new Set([NORMAL, GOING_AWAY, NO_STATUS, ABNORMAL])

/** Something meant for it is not kept any more; its session is not known here. */
export type Gap = "missed" | "fresh"

/** What the gateway counts over all its connections. */
export interface Tally {
  framesIn: number
  framesOut: number
  invalid: number
  refused: number
  /** Events that gave way to newer ones for a client that was too slow: any, and those of the same key. */
  droppedEvents: number
  coalescedEvents: number
  /** Frames kept for sessions that went before their time. */
  readonly evicted: Record<Evicted, number>
  /** Clients that came back and were told `gap: true`. */
  readonly gaps: Record<Gap, number>
  /** By close code: ours; of those heard from clients the ones in `usual`, and all others together. */
  readonly closed: Record<string, number>
}

/** What all connections of a gateway share. */
export interface House {
  /** Bytes of wire that all connections hold. */
  readonly budget: Budget
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
  /** The connection has closed; `kept`: its place is, for its session. */
  readonly left: (connection: Connection, kept: boolean) => void
}

/** The unfinished messages of one frame. */
export interface Pending {
  readonly connection: Connection
  readonly bytes: number
  /** Of a batch. */
  readonly answers: Array<string> | undefined
  left: number
}

/** A frame that is heard though the window is full has at most so many bytes. */
const urgentBytes = 1024
const urgentDepth = 4

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
const onPing = function (this: WebSocket): void {
  connectionOf(this).controlled()
}
const onPong = function (this: WebSocket, payload: Buffer): void {
  const connection = connectionOf(this)
  connection.missed = 0
  connection.ponged(payload)
  connection.controlled()
}
/** `ws` has sent the close frame that fits, or destroyed the socket; cutting it here would overtake that frame. */
const onError = function (this: WebSocket, error: Error & { readonly code?: string }): void {
  const { code = "" } = error
  if (!code.startsWith("WS_ERR_")) return
  // what follows the frame that it was closed for changes nothing
  connectionOf(this).closeCode ??= ofViolation(code)
}
const onClose = function (this: WebSocket, code: number, reason: Buffer): void {
  connectionOf(this).closed(code, reason)
}

export class Connection implements OutboxOwner, Slowed, Mortal, TextTaker {
  /** Pings not answered since the last pong. */
  missed = 0
  /** Of the heartbeat: in which it was last looked at. */
  round = 0
  /**
   * The system clock's time when it began nothing more or, later, something began to wait for that, with nothing finished
   * since; undefined when it goes on.
   */
  pausedSince: number | undefined = undefined
  /** The code that this side closed with, where it did. */
  closeCode: number | undefined = undefined
  /** What let it in. */
  readonly pass: Pass
  readonly outbox: Outbox
  readonly bucket: Bucket
  readonly #socket: WebSocket
  readonly #raw: Duplex
  readonly #conversation: Conversation
  readonly #house: House
  #backlog: Array<Buffer> | undefined = undefined
  #backlogBytes = 0
  #unfinished = 0
  #unfinishedBytes = 0
  #invalid = 0
  /** The system clock's time of its last ping, and of the last that was answered: what was written before that has arrived. */
  #pingedAt = 0
  #receivedBefore = 0
  /** Gives up the `$/auth` under way. */
  #renewal: (() => void) | undefined = undefined
  #resuming = false
  #draining = false
  /** When its client may be back, where it drains. */
  #backAt = 0
  /** What it owed when it closed. */
  #owed: number | undefined = undefined
  #closing = false

  constructor(socket: WebSocket, raw: Duplex, pass: Pass, conversation: Conversation, house: House) {
    this.#socket = socket
    this.#raw = raw
    this.pass = pass
    this.#conversation = conversation
    this.#house = house
    this.outbox = new Outbox(this, raw, house.limits)
    this.bucket = new Bucket(house.limits, house.now())
    ;(socket as Owned).connection = this
    Intake.take(raw, socket, this)
    socket.on("error", onError)
    socket.on("close", onClose)
  }

  /** Begins to read. */
  open(): void {
    this.#socket.on("message", onMessage)
    this.#socket.on("ping", onPing)
    this.#socket.on("pong", onPong)
  }

  /** The socket is gone. Internal: called by its listener. */
  closed(heard: number, reason: Buffer): void {
    const { tally, brake, left } = this.#house
    const code = this.closeCode ?? heard
    const counted = this.closeCode === undefined && !usual.has(heard) ? "client" : code
    this.#closing = true
    this.#owed = this.owing
    tally.closed[counted] = (tally.closed[counted] ?? 0) + 1
    const kept = this.#conversation.gone(this, { code, reason: reason.toString() })
    this.#renewal?.()
    this.outbox.finish()
    this.#backlog = undefined
    this.weigh(-this.#backlogBytes)
    brake.delete(this)
    left(this, kept)
  }

  // ---- in

  /** A frame has come. Internal: called by its listener. */
  receive(frame: Buffer, binary: boolean): void {
    if (this.#closing || this.#draining) return
    this.#house.tally.framesIn++
    if (binary) return this.hangUp(UNSUPPORTED, "text frames only")
    if (!this.#stuffed && this.#backlog === undefined) return this.#handle(frame.toString("utf8"), frame.length)
    if (this.#isUrgent(frame)) return this.#handle(frame.toString("utf8"), frame.length)
    // what a chunk of the socket's holds behind the frame that filled the window: at most a chunk, 64 KiB
    const bytes = frame.length + headBytes(frame.length)
    const { overlook } = this.#conversation.dialect
    if (this.#backlogBytes + bytes > this.#house.limits.maxBacklogBytes + overlook) {
      return this.hangUp(POLICY, "backlog full")
    }
    if (!this.#waits) this.pausedSince = this.#house.now()
    this.#backlogBytes += bytes
    this.weigh(bytes)
    ;(this.#backlog ??= []).push(frame)
    this.#pause(this.#backlogBytes > overlook || this.#clogged)
  }

  /** A text frame has come, in bytes that are read over next. Internal: called by its reader. */
  text(bytes: Buffer, start: number, end: number): void {
    if (this.#closing || this.#draining || !this.writable) return
    if (this.#stuffed || this.#backlog !== undefined)
      return this.receive(Buffer.from(bytes.subarray(start, end)), false)
    this.#house.tally.framesIn++
    this.#handle(bytes.toString("utf8", start, end), end - start)
  }

  /** A ping or pong has come: it costs what a message does, or it would be free to flood. Internal: called by its listeners. */
  controlled(): void {
    if (this.#closing || this.#draining) return
    const slowed = this.bucket.left < 0
    this.bucket.left--
    if (slowed || this.bucket.left >= 0 || !this.#slow()) return
    if (this.#stuffed) this.#pause(this.#clogged)
  }

  /** Whether no more may be begun. */
  get #stuffed(): boolean {
    const { limits } = this.#house
    if (this.#unfinished >= limits.maxUnfinished || this.#unfinishedBytes >= limits.maxUnfinishedBytes) return true
    return this.#conversation.stuffed || this.#clogged
  }

  /** Nothing can be sent; or it sent too much; or all connections together hold too much: then each has a window of one message. */
  get #clogged(): boolean {
    return this.bucket.left < 0 || this.outbox.full || (this.#unfinished > 0 && this.#house.budget.spent)
  }

  /** What is about something under way does not wait behind what is not begun: a `$/cancel` makes room. */
  #isUrgent(frame: Buffer): boolean {
    const { dialect } = this.#conversation
    if (frame.length > urgentBytes || !frame.includes(dialect.urgent)) return false
    const [message, ...others] = dialect.parse(frame.toString("utf8"), 1, urgentDepth).messages
    if (message === undefined || others.length > 0 || !JsonRpc.isCall(message)) return false
    return this.#conversation.isUrgent(message)
  }

  /** More messages than its rate allows: it is not read for a while. False: it went on like that, and is closed. */
  #slow(): boolean {
    const { now, brake } = this.#house
    if (this.bucket.earn(now())) return true
    if (this.bucket.presses(now())) {
      this.hangUp(POLICY, "too many messages")
      return false
    }
    brake.add(this)
    return true
  }

  /** A message that was asked for does not count against its rate. */
  solicited(): void {
    this.bucket.left++
  }

  /** Slowed, and still so. Internal: called by the brake, as is `released`. */
  held(now: number): void {
    if (this.pausedSince !== undefined) this.pausedSince = now
  }

  released(): void {
    this.#resume()
  }

  weigh(bytes: number): void {
    this.#house.budget.hold(bytes)
  }

  /** Begins nothing more; with `deaf` it does not read either. */
  #pause(deaf: boolean): void {
    if (this.pausedSince === undefined || (deaf && !this.#waits)) this.pausedSince = this.#house.now()
    if (deaf) this.#stopReading()
  }

  /** Whether something waits until it goes on: what was read, or is not read. */
  get #waits(): boolean {
    return this.#backlog !== undefined || this.#socket.isPaused
  }

  #stopReading(): void {
    Intake.pause(this.#raw, this.#socket)
    this.#conversation.unheard()
  }

  /** Whether what its client says now is not read. */
  get deaf(): boolean {
    return this.#draining || this.#socket.isPaused
  }

  /** The socket has taken what was sent: goes on. */
  drained(): void {
    this.#conversation.flow()
    this.#resume()
  }

  /** Something finished, or was taken: goes on with the backlog, then with reading. */
  #resume(): void {
    // a frame of the backlog that is finished at once comes back here: the loop below goes on with the next
    if (this.#resuming) return
    if (this.#backlog !== undefined) {
      this.#resuming = true
      const backlog = this.#backlog
      let n = 0
      while (n < backlog.length && !this.#closing) {
        const frame = backlog[n]!
        if (this.#stuffed && !this.#isUrgent(frame)) break
        n++
        const bytes = frame.length + headBytes(frame.length)
        this.#backlogBytes -= bytes
        this.weigh(-bytes)
        this.#handle(frame.toString("utf8"), frame.length)
      }
      this.#resuming = false
      if (n === backlog.length) this.#backlog = undefined
      else backlog.splice(0, n)
    }
    if (this.#closing) return
    // behind the backlog: its last frame may have been answered at once, and nothing else comes back here
    if (this.#draining) this.#drained()
    if (this.pausedSince === undefined) return
    if (this.#backlog !== undefined || this.#stuffed) this.pausedSince = this.#house.now()
    else {
      this.pausedSince = undefined
      if (!this.#draining) this.#socket.resume()
    }
  }

  #handle(text: string, size: number): void {
    const { limits } = this.#house
    const { dialect } = this.#conversation
    const { batch, messages } = dialect.parse(text, limits.maxBatch, limits.maxDepth)
    this.bucket.left -= messages.length
    const pending: Pending = {
      connection: this,
      bytes: size,
      answers: batch ? [] : undefined,
      left: messages.length
    }
    this.#unfinished += messages.length
    this.#unfinishedBytes += size
    this.weigh(size)
    const conversation = this.#conversation
    for (const message of messages) {
      if (JsonRpc.isCall(message)) conversation.call(message, pending)
      else conversation.reject(message.id, message.error, pending)
    }
    // behind its messages: what was asked for has given its token back
    if (this.bucket.left < 0 && !this.#slow()) return
    if (this.#stuffed) this.#pause(this.#clogged)
    else if (this.pausedSince !== undefined) this.#resume()
  }

  /** `$/auth { token }`: the principal with a later end. */
  renew({ id, params }: JsonRpc.Call, pending: Pending): void {
    const conversation = this.#conversation
    const token = (params as { readonly token?: unknown } | undefined)?.token
    if (typeof token !== "string" || token === "" || id === undefined) {
      return conversation.reject(id, JsonRpc.invalidParams("a request with the token, text"), pending)
    }
    if (this.#renewal !== undefined) return conversation.reject(id, JsonRpc.invalidRequest("one is under way"), pending)
    this.#renewal = () => {}
    const giveUp = this.#house.renew(this, token, (renewal) => {
      this.#renewal = undefined
      if (renewal.ok) return conversation.finish(pending, JsonRpc.result(id, { expiresAt: renewal.expiresAt ?? null }))
      if ("incident" in renewal) {
        return conversation.finish(pending, JsonRpc.error(id, JsonRpc.internalError(renewal.incident)))
      }
      conversation.reject(id, JsonRpc.invalidRequest(renewal.why), pending)
      if (renewal.hangUp) this.hangUp(UNAUTHORIZED, renewal.why)
    })
    if (giveUp === undefined) {
      this.#renewal = undefined
      conversation.reject(id, JsonRpc.methodNotFound(JsonRpc.AUTH), pending)
    } else if (this.#renewal !== undefined) {
      this.#renewal = () => {
        giveUp()
        conversation.finish(pending, undefined)
      }
    }
  }

  /** Its principal has. Internal: called by the gateway's timer. */
  expired(): void {
    this.hangUp(UNAUTHORIZED, "expired")
  }

  /** A message that could not be begun. */
  misbehaved(): void {
    this.#house.tally.invalid++
    this.#invalid++
    if (this.#invalid > this.#house.limits.maxInvalid) this.hangUp(POLICY, "too many invalid messages")
  }

  /** One of a frame's messages has finished. */
  finished(pending: Pending): void {
    this.#unfinished--
    if (pending.left > 0) return
    this.#unfinishedBytes -= pending.bytes
    this.weigh(-pending.bytes)
    this.goOn()
  }

  /** There may be room for more. */
  goOn(): void {
    this.#resume()
  }

  // ---- out

  get writable(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  send(frame: string | Buffer): void {
    if (this.#closing || !this.writable) return
    this.outbox.send(frame)
  }

  sent(frames: number): void {
    this.#house.tally.framesOut += frames
  }

  /** Whether more may be sent that nobody waits for. */
  get roomy(): boolean {
    // several turns may run before the microtask that writes: what counts is what the socket does not take
    if (this.outbox.full) this.outbox.flush()
    return !this.outbox.behind || this.#closing
  }

  /** Whether an event may be sent. */
  get hears(): boolean {
    return !this.#closing && this.writable
  }

  /** Sends an event, or does what its policy says; `key` is what events coalesce by. False when it will not be sent. */
  sendEvent(frame: string | Buffer, policy: EventOverflow | undefined, payload: unknown): boolean {
    if (this.roomy) {
      this.send(frame)
      return true
    }
    if (policy === undefined) {
      this.hangUp(TRY_LATER, "too slow for its events")
      return false
    }
    const { tally } = this.#house
    const key = typeof policy === "string" ? undefined : policy.coalesce(payload as never)
    const [dropped, superseded] = this.outbox.delay(frame, key)
    tally.droppedEvents += dropped
    tally.coalescedEvents += superseded
    return true
  }

  /** Closes it, after what was sent. */
  hangUp(code: number, reason: string): void {
    if (this.#closing) return
    // first: what the outbox gets rid of lets a connection that drains go on, and close with another code
    this.#closing = true
    this.outbox.finish()
    this.closeCode = code
    // a paused socket would not see its peer's close frame
    this.#socket.resume()
    this.#socket.close(code, reason)
  }

  /** Cuts the connection: its peer is gone, or will not close. */
  terminate(): void {
    this.#socket.terminate()
  }

  /** Requests under way, those of a session's earlier connections included, and frames that wait. */
  get owing(): number {
    return this.#owed ?? this.#conversation.underway + (this.#backlog?.length ?? 0)
  }

  /** Reads nothing more, answers what was read, then closes 1012. `backAt`: when its client may be back. */
  drain(backAt: number): void {
    if (this.#draining || this.#closing) return
    this.#draining = true
    this.#backAt = backAt
    this.#stopReading()
    this.#drained()
  }

  /** Ends the streams that have not ended by themselves. */
  endStreams(): void {
    this.#conversation.endStreams()
  }

  #drained(): void {
    if (this.#unfinished > 0 || this.#backlog !== undefined || !this.#conversation.quiet) return
    // an agent's close comes right behind its last answer: its code is the one to hear
    queueMicrotask(() => this.hangUp(RESTART, Drain.reason(this.#backAt, this.#house.now())))
  }

  /** A pong has come: its payload says which ping it answers. Internal: called by its listener. */
  ponged(payload: Buffer): void {
    const pingedAt = Number(payload.toString("latin1"))
    // one that nobody asked for proves nothing
    if (pingedAt > this.#receivedBefore && pingedAt <= this.#pingedAt) this.#receivedBefore = pingedAt
  }

  /**
   * Once a heartbeat: pings, unless the peer is heard and has not answered two; gives up one in which something waits since
   * before `stalledBefore`. Without that it is not stalled, however long its window has been full: of streams that wait for
   * their producers, say.
   */
  beat(stalledBefore: number): void {
    this.#invalid = 0
    if (this.missed === 0 && !this.#closing) this.#conversation.expire(this.#receivedBefore)
    if (!this.#socket.isPaused && this.missed++ >= 2) return this.terminate()
    const since = this.#waits ? this.pausedSince : undefined
    if (since !== undefined && since < stalledBefore) return this.hangUp(TRY_LATER, "stalled")
    // a pong proves that what was written before its ping has arrived: nothing with what still waits here
    const proves = !this.outbox.behind
    if (proves) this.#pingedAt = this.#house.now()
    this.outbox.flush()
    if (this.writable) this.#socket.ping(proves ? String(this.#pingedAt) : "")
  }
}
