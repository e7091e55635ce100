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
import { Effect, type Exit } from "effect"
import { checkClose, type Client, type Disconnected, type Encoded, type Principal } from "../actor/Client.ts"
import { MailboxFull } from "../kernel/Errors.ts"
import type { Line } from "../supervision/Edge.ts"
import type { Pass } from "./Admission.ts"
import * as Answer from "./Answer.ts"
import { GOING_AWAY } from "./CloseCode.ts"
import type { Codec } from "./Codec.ts"
import type { Connection, House, Pending } from "./Connection.ts"
import * as Dialect from "./Dialect.ts"
import * as JsonRpc from "./JsonRpc.ts"
import { StreamReply, unfitOf } from "./StreamReply.ts"
import { UnderWay } from "./UnderWay.ts"

let ids = 0

export class Conversation implements Client {
  readonly id = `c${++ids}`
  readonly session: string | undefined = undefined
  /** The socket that it goes through now. */
  protected connection: Connection | undefined = undefined
  protected readonly codec: Codec
  protected readonly house: House
  /** What let its connection in. */
  protected pass: Pass
  /** How it is written down. */
  readonly dialect: Dialect.Dialect
  #line: Line | undefined = undefined
  readonly #requests = new UnderWay()
  /** Streams that wait until the socket has taken what was sent. */
  #thirsty: Array<() => void> | undefined = undefined

  constructor(pass: Pass, house: House, dialect: Dialect.Dialect = Dialect.plain) {
    this.pass = pass
    this.codec = pass.codec
    this.house = house
    this.dialect = dialect
  }

  get principal(): Principal | undefined {
    return this.pass.principal
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

  /** The socket of `connection` is gone. True when its place is kept. */
  gone(_connection: Connection, why: Disconnected): boolean {
    this.connection = undefined
    this.over(why)
    return false
  }

  /** No more will be said. */
  protected over(why: Disconnected): void {
    for (const request of this.#requests.all()) request.cancel()
    this.#requests.clear()
    this.flow()
    this.#line?.disconnect(why)
  }

  /** What was sent before `_receivedBefore` has surely arrived: forgets what is old of it. */
  expire(_receivedBefore: number): void {}

  // ---- in

  /** One call of a frame. */
  call(call: JsonRpc.Call, pending: Pending): void {
    if (call.requestKey === undefined) return this.take(call, pending)
    this.reject(call.id, JsonRpc.invalidRequest("a requestKey, but no session"), pending)
  }

  /** Begins what the call asks for. */
  protected take(call: JsonRpc.Call, pending: Pending): void {
    const { id, method } = call
    if (method.startsWith(this.dialect.prefix)) return this.#control(call, pending)
    const position = this.codec.position(method)
    if (position < 0) return this.refuse(call, JsonRpc.methodNotFound(method), pending)
    const params = this.codec.params(position, call.params)
    if (!params.ok) {
      if (params.defect === undefined) return this.refuse(call, JsonRpc.invalidParams(params.why), pending)
      const failure = JsonRpc.internalError(this.#incident(`the Schema of "${method}" threw: ${params.why}`))
      return id === undefined
        ? this.finish(pending, undefined)
        : this.answer(call, pending, this.dialect.errorOf(failure))
    }
    if (id === undefined) this.#notify(position, params.value, pending)
    else if (this.#requests.get(id) !== undefined)
      this.refuse(call, JsonRpc.invalidRequest("an id that is in use"), pending)
    else if (call.discard === true) this.#discard(id, position, params.value, call, pending)
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

  /** A request that asks for no more than to be taken: a notification that is answered. */
  #discard(id: JsonRpc.Id, position: number, payload: unknown, call: JsonRpc.Call, pending: Pending): void {
    let taken = false
    let handled = false
    const refused = this.#line!.notify(position, payload, () => {
      handled = true
      if (taken) this.finish(pending, undefined)
    })
    if (refused !== undefined) return this.#refused(call, pending, Answer.failureOf(refused))
    taken = true
    const answer = JsonRpc.result(id, undefined)
    if (handled) this.finish(pending, answer)
    else this.#say(pending, answer)
  }

  #request(id: JsonRpc.Id, position: number, payload: unknown, call: JsonRpc.Call, pending: Pending): void {
    let settled = false
    const request = this.#line!.request(position, payload, this.house.limits.requestMillis, (exit, untaken) => {
      settled = true
      this.#requests.delete(id)
      if (untaken && this.listening) return this.untaken(call, pending, Answer.failureOfExit(exit))
      // without a listener there is nobody to encode an answer for
      this.answer(call, pending, this.listening ? this.#outcome(position, exit) : undefined)
    })
    if (!("cancel" in request)) this.#refused(call, pending, Answer.failureOf(request))
    else if (!settled) this.#requests.set(id, request)
  }

  /** A request that a stream answers. */
  #stream(id: JsonRpc.Id, position: number, payload: unknown, call: JsonRpc.Call, pending: Pending): void {
    let ended = false
    const reply = new StreamReply(id, position, this.codec, {
      dialect: this.dialect,
      hearing: () => this.connection?.deaf === false,
      send: (frame) => this.deliver(frame),
      room: Effect.suspend(() => this.#room()),
      end: (exit, untaken) => {
        ended = true
        this.#requests.delete(id)
        if (untaken && this.listening) return this.untaken(call, pending, Answer.failureOfExit(exit))
        const why = unfitOf(exit)
        const outcome = (): string =>
          why === undefined
            ? this.#outcome(position, exit)
            : Answer.unfit(this.codec, this.#incident, position, why, this.dialect.errorOf)
        this.answer(call, pending, this.listening ? outcome() : undefined)
      }
    })
    const refused = reply.open(this.#line!, payload, this.house.limits.requestMillis)
    if (refused !== undefined) this.#refused(call, pending, Answer.failureOf(refused))
    else if (!ended) this.#requests.set(id, reply)
  }

  /** Ends the streams that have not ended by themselves. */
  endStreams(): void {
    for (const request of this.#requests.all()) if (request instanceof StreamReply) request.stop(this.line.address)
  }

  /** The agent did not take it. One whose life has ended takes nothing any more: the client may connect to its next. */
  #refused(call: JsonRpc.Call | undefined, pending: Pending, failure: JsonRpc.Failure | undefined): void {
    this.house.tally.refused++
    if (call?.id !== undefined && failure !== undefined) this.untaken(call, pending, failure)
    else this.finish(pending, undefined)
    if (!this.#line!.open) this.close(GOING_AWAY, "agent stopped")
  }

  /** The connection is not read any more: acknowledgements will not be heard. */
  unheard(): void {
    if (!this.dialect.acknowledges) return
    for (const request of this.#requests.all()) if (request instanceof StreamReply) request.unheard()
  }

  #control(call: JsonRpc.Call, pending: Pending): void {
    const control = this.dialect.control(call)
    if (JsonRpc.isFailure(control)) return this.reject(call.id, control, pending)
    const { cancels, acknowledges, answer } = control
    if (control.renews === true) return pending.connection.renew(call, pending)
    if (cancels !== undefined) this.#requests.get(cancels)?.cancel()
    if (acknowledges !== undefined) {
      const request = this.#requests.get(acknowledges)
      if (request instanceof StreamReply && request.acknowledge()) pending.connection.solicited()
    }
    if (answer === undefined || pending.answers !== undefined) return this.finish(pending, answer)
    // of no use to a client that comes back later: nothing to keep
    pending.connection.send(answer)
    this.finish(pending, undefined)
  }

  /** Whether a call is heard though there is no room for more: it is about what is under way, or finished at once. */
  isUrgent(call: JsonRpc.Call): boolean {
    if (!call.method.startsWith(this.dialect.prefix)) return false
    const control = this.dialect.control(call)
    if (JsonRpc.isFailure(control)) return false
    const about = control.cancels ?? control.acknowledges
    return about === undefined ? control.answer !== undefined && this.flowing : this.#requests.get(about) !== undefined
  }

  /** How a request ended, as a member of its answer. */
  #outcome(position: number, exit: Exit.Exit<unknown, unknown>): string {
    return Answer.outcomeOf(this.codec, this.#incident, position, exit, this.dialect.errorOf)
  }

  readonly #incident = (text: string): string => this.house.fault(`${this.line.address}: ${text}`)

  /** A request has ended so; without `outcome` nobody listens. */
  protected answer(call: JsonRpc.Call, pending: Pending, outcome: string | undefined): void {
    this.finish(pending, outcome === undefined ? undefined : JsonRpc.answer(call.id!, outcome))
  }

  /** A request was not begun, or nothing of it counts, for a reason that may pass. */
  protected untaken(call: JsonRpc.Call, pending: Pending, failure: JsonRpc.Failure): void {
    this.finish(pending, this.dialect.error(call.id!, failure))
  }

  /** What a call asks for cannot be begun. */
  protected refuse(call: JsonRpc.Call, failure: JsonRpc.Failure, pending: Pending): void {
    this.reject(call.id, failure, pending)
  }

  /** A message that could not be begun: counted against the connection. */
  reject(id: JsonRpc.Id | undefined, failure: JsonRpc.Failure, pending: Pending): void {
    this.finish(pending, id === undefined ? undefined : this.dialect.error(id, failure))
    pending.connection.misbehaved()
  }

  #say(pending: Pending, answer: string): void {
    if (pending.answers === undefined) this.deliver(answer)
    else pending.answers.push(answer)
  }

  /** One of a frame's messages has finished, with this answer. */
  finish(pending: Pending, answer: string | undefined): void {
    pending.left--
    if (answer !== undefined) this.#say(pending, answer)
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
    this.connection?.hangUp(code, reason)
  }
}
