/**
 * What one client and its agent say to each other: calls in; answers, chunks and events out.
 *
 *   Connection --call-->    Codec -> Line (request | notify | stream) --> agent
 *   Connection <--deliver-- result | error | chunk | event <------------- agent
 *
 * Floor 3; made by Gateway; it is the `Client` that the agent sees. This one lives as long as its connection; a `Session`
 * outlives it.
 * Law 2: answers and events leave in the order in which the agent's turns released them. Law 4: a request has one answer.
 * Law 8: when it ends, its requests are cancelled and the agent hears `onDisconnect` behind them.
 * Law 12: what is wrong with a message is answered by name; what is wrong with the agent (a Schema that throws, an answer
 * that does not fit its own) is answered with an incident, whose text is in the log only.
 * Cost: an ask and its callback a request; no fiber.
 */
import { Cause, Effect, type Exit } from "effect"
import { checkClose, type Client, type Disconnected, type Encoded } from "../actor/Client.ts"
import {
  ActorStopped,
  AskCycle,
  AskTimeout,
  CalleeFailed,
  Dropped,
  LimitReached,
  MailboxFull,
  NoSuchActor,
  Quarantined
} from "../kernel/Errors.ts"
import type { Line, Request } from "../supervision/Edge.ts"
import type { Codec } from "./Codec.ts"
import type { Connection, House, Pending } from "./Connection.ts"
import * as JsonRpc from "./JsonRpc.ts"
import { StreamReply, unfitOf } from "./StreamReply.ts"

/** RFC 6455, 7.4.1. */
const GOING_AWAY = 1001

let ids = 0

export class Conversation implements Client {
  readonly id = `c${++ids}`
  readonly principal: unknown = undefined
  readonly session: string | undefined = undefined
  /** The socket that it goes through now. */
  protected connection: Connection | undefined = undefined
  protected readonly codec: Codec
  protected readonly house: House
  #line: Line | undefined = undefined
  readonly #requests = new Map<JsonRpc.Id, Request>()
  /** Streams that wait until the socket has taken what was sent. */
  #thirsty: Array<() => void> | undefined = undefined

  constructor(codec: Codec, house: House) {
    this.codec = codec
    this.house = house
  }

  get away(): boolean {
    return false
  }

  /** Nothing is under way. */
  get quiet(): boolean {
    return this.#requests.size === 0
  }

  /** Whether requests of earlier connections leave no room for more. */
  get stuffed(): boolean {
    return false
  }

  protected get line(): Line {
    return this.#line!
  }

  /** Requests begun and not answered. */
  get underway(): number {
    return this.#requests.size
  }

  /** The agent has taken the client. */
  begin(line: Line): void {
    this.#line = line
  }

  /** Goes through `connection` from now on. */
  attach(connection: Connection): void {
    this.connection = connection
  }

  /** The socket of `connection` is gone. */
  gone(_connection: Connection, why: Disconnected): void {
    this.connection = undefined
    this.over(why)
  }

  /** No more will be said. */
  protected over(why: Disconnected): void {
    for (const request of this.#requests.values()) request.cancel()
    this.#requests.clear()
    this.flow()
    this.#line?.disconnect(why)
  }

  /** Forgets what is older. */
  expire(_before: number): void {}

  // ---- in

  /** One call of a frame. */
  call(call: JsonRpc.Call, pending: Pending): void {
    if (call.requestKey === undefined) return this.take(call, pending)
    this.reject(call.id, JsonRpc.invalidRequest("a requestKey, but no session"), pending)
  }

  /** Begins what the call asks for. */
  protected take(call: JsonRpc.Call, pending: Pending): void {
    const { id, method } = call
    if (method.startsWith("$/")) return this.#control(call, pending)
    const position = this.codec.position(method)
    if (position < 0) return this.refuse(call, JsonRpc.methodNotFound(method), pending)
    const params = this.codec.params(position, call.params)
    if (!params.ok) {
      if (params.defect === undefined) return this.refuse(call, JsonRpc.invalidParams(params.why), pending)
      const failure = this.#fault(`the Schema of "${method}" threw: ${params.why}`)
      return id === undefined ? this.finish(pending, undefined) : this.answer(call, pending, JsonRpc.errorOf(failure))
    }
    if (id === undefined) this.#notify(position, params.value, pending)
    else if (this.#requests.has(id)) this.refuse(call, JsonRpc.invalidRequest("an id that is in use"), pending)
    else if (this.codec.protocol.streams[position]) this.#stream(id, position, params.value, call, pending)
    else this.#request(id, position, params.value, call, pending)
  }

  #notify(position: number, payload: unknown, pending: Pending): void {
    const line = this.#line!
    const refused = line.notify(position, payload, () => this.finish(pending, undefined))
    if (refused === undefined) return
    line.refuse(position, payload, refused instanceof MailboxFull ? "mailboxFull" : "stopped")
    this.#refused(undefined, pending, undefined)
  }

  #request(id: JsonRpc.Id, position: number, payload: unknown, call: JsonRpc.Call, pending: Pending): void {
    let settled = false
    const request = this.#line!.request(position, payload, this.house.limits.requestMillis, (exit) => {
      settled = true
      this.#requests.delete(id)
      // without a listener there is nobody to encode an answer for
      this.answer(call, pending, this.listening ? this.#outcome(position, exit) : undefined)
    })
    if (!("cancel" in request)) this.#refused(call, pending, failureOf(request))
    else if (!settled) this.#requests.set(id, request)
  }

  /** A request that a stream answers. */
  #stream(id: JsonRpc.Id, position: number, payload: unknown, call: JsonRpc.Call, pending: Pending): void {
    let ended = false
    const reply = new StreamReply(id, position, this.codec, {
      send: (frame) => this.deliver(frame),
      room: Effect.suspend(() => this.#room()),
      end: (exit) => {
        ended = true
        this.#requests.delete(id)
        const why = unfitOf(exit)
        const outcome = (): string => (why === undefined ? this.#outcome(position, exit) : this.#unfit(position, why))
        this.answer(call, pending, this.listening ? outcome() : undefined)
      }
    })
    const refused = reply.open(this.#line!, payload, this.house.limits.requestMillis)
    if (refused !== undefined) this.#refused(call, pending, failureOf(refused))
    else if (!ended) this.#requests.set(id, reply)
  }

  /** Ends the streams that have not ended by themselves. */
  endStreams(): void {
    for (const request of this.#requests.values()) if (request instanceof StreamReply) request.stop(this.line.address)
  }

  /** The agent did not take it. One whose life has ended takes nothing any more: the client may connect to its next. */
  #refused(call: JsonRpc.Call | undefined, pending: Pending, failure: JsonRpc.Failure | undefined): void {
    this.house.tally.refused++
    if (call?.id !== undefined && failure !== undefined) this.untaken(call, pending, failure)
    else this.finish(pending, undefined)
    if (!this.#line!.open) this.close(GOING_AWAY, "agent stopped")
  }

  #control(call: JsonRpc.Call, pending: Pending): void {
    const { id, method } = call
    if (method !== JsonRpc.CANCEL) return this.reject(id, JsonRpc.methodNotFound(method), pending)
    const cancelled = cancelledBy(call)
    if (!JsonRpc.isId(cancelled)) return this.reject(id, JsonRpc.invalidParams("id of the request to cancel"), pending)
    this.#requests.get(cancelled)?.cancel()
    this.finish(pending, id === undefined ? undefined : JsonRpc.result(id, undefined))
  }

  /** Whether what a `$/cancel` names is under way. */
  mayCancel(call: JsonRpc.Call): boolean {
    return this.#requests.has(cancelledBy(call) as JsonRpc.Id)
  }

  /** How a request ended, as the members of its answer. */
  #outcome(position: number, exit: Exit.Exit<unknown, unknown>): string {
    try {
      if (exit._tag === "Success") {
        if (this.codec.protocol.streams[position]) return JsonRpc.resultOf(undefined)
        const encoded = this.codec.success(position, exit.value)
        return encoded.ok ? JsonRpc.resultOf(encoded.value) : this.#unfit(position, encoded.why)
      }
      const reason = exit.cause.reasons.find(Cause.isFailReason)
      if (reason === undefined) return JsonRpc.errorOf(JsonRpc.cancelled)
      const typed = isOurs(reason.error) ? undefined : this.codec.error(position, reason.error)
      if (typed === undefined) return JsonRpc.errorOf(failureOf(reason.error))
      if (!typed.ok) return this.#unfit(position, typed.why)
      return JsonRpc.errorOf(JsonRpc.applicationError(nameOf(reason.error), typed.value))
    } catch (error) {
      // what a Schema lets pass and JSON does not: a bigint, a circle
      return this.#unfit(position, String(error))
    }
  }

  #unfit(position: number, why: string): string {
    return JsonRpc.errorOf(this.#fault(`the answer of "${this.codec.protocol.tag(position)}" is unfit to send: ${why}`))
  }

  #fault(text: string): JsonRpc.Failure {
    return JsonRpc.internalError(this.house.fault(`${this.line.address}: ${text}`))
  }

  /** A request has ended so; without `outcome` nobody listens. */
  protected answer(call: JsonRpc.Call, pending: Pending, outcome: string | undefined): void {
    this.finish(pending, outcome === undefined ? undefined : JsonRpc.answer(call.id!, outcome))
  }

  /** A request was not begun, for a reason that may pass. */
  protected untaken(call: JsonRpc.Call, pending: Pending, failure: JsonRpc.Failure): void {
    this.finish(pending, JsonRpc.error(call.id!, failure))
  }

  /** What a call asks for cannot be begun. */
  protected refuse(call: JsonRpc.Call, failure: JsonRpc.Failure, pending: Pending): void {
    this.reject(call.id, failure, pending)
  }

  /** A message that could not be begun: counted against the connection. */
  reject(id: JsonRpc.Id | undefined, failure: JsonRpc.Failure, pending: Pending): void {
    this.finish(pending, id === undefined ? undefined : JsonRpc.error(id, failure))
    pending.connection.misbehaved()
  }

  protected finish(pending: Pending, answer: string | undefined): void {
    pending.left--
    if (answer !== undefined) {
      if (pending.answers === undefined) this.deliver(answer)
      else pending.answers.push(answer)
    }
    const { connection } = this
    if (pending.left === 0 && pending.answers !== undefined && pending.answers.length > 0) {
      this.deliverBatch(pending.answers)
    }
    pending.connection.finished(pending)
    if (connection !== pending.connection) connection?.goOn()
  }

  // ---- out

  /** Whether an answer would reach anybody. */
  protected get listening(): boolean {
    return this.connection !== undefined && this.connection.writable
  }

  protected deliver(frame: string): void {
    this.connection?.send(frame)
  }

  protected deliverBatch(answers: ReadonlyArray<string>): void {
    this.connection?.send(`[${answers.join(",")}]`)
  }

  /** Whether a stream may produce more. */
  protected get flowing(): boolean {
    return this.connection?.roomy ?? true
  }

  /** Waits while more is unsent than may be. */
  #room(): Effect.Effect<void> {
    if (this.flowing) return Effect.void
    return Effect.callback<void>((resume) => void (this.#thirsty ??= []).push(() => resume(Effect.void)))
  }

  /** Streams go on. */
  flow(): void {
    for (const goOn of this.#thirsty?.splice(0) ?? []) goOn()
  }

  sendNow(event: string, payload: unknown): boolean {
    return this.sendShared(event, payload, { frame: undefined, kept: undefined, except: undefined })
  }

  sendShared(event: string, payload: unknown, shared: Encoded): boolean {
    const { connection } = this
    if (connection === undefined || !connection.hears) return false
    shared.frame ??= Buffer.from(this.encode(event, payload))
    return connection.sendEvent(shared.frame as Buffer, this.codec.protocol.lossy.get(event), payload)
  }

  /** An event that its own Schema refuses is a fault of the agent, not of the client: it throws into the turn. */
  protected encode(event: string, payload: unknown): string {
    const encoded = this.codec.event(event, payload)
    if (!encoded.ok) throw new Error(`event "${event}" does not fit its Schema: ${encoded.why}`)
    return JsonRpc.notification(event, encoded.value)
  }

  close(code: number, reason: string): void {
    checkClose(code, reason)
    this.connection?.close(code, reason)
  }
}

const cancelledBy = ({ params }: JsonRpc.Call): unknown => (params as { readonly id?: unknown } | undefined)?.id

const ours = [
  MailboxFull,
  ActorStopped,
  NoSuchActor,
  Quarantined,
  AskTimeout,
  AskCycle,
  CalleeFailed,
  Dropped,
  LimitReached
]
const isOurs = (error: unknown): boolean => ours.some((kind) => error instanceof kind)

const nameOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "Application error"

/** What a client is told of an error of the actor system. */
const failureOf = (error: unknown): JsonRpc.Failure => {
  if (error instanceof MailboxFull || error instanceof Dropped || error instanceof LimitReached) return JsonRpc.busy
  if (error instanceof ActorStopped || error instanceof NoSuchActor || error instanceof Quarantined) {
    return JsonRpc.unavailable
  }
  if (error instanceof AskTimeout) return { code: -32003, message: "Timeout", data: { started: error.started } }
  return JsonRpc.internalError(error instanceof CalleeFailed ? error.incident : undefined)
}
