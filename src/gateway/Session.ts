/**
 * A conversation that outlives its socket: what the client missed is kept for it, for a while.
 *
 *   connected --socket lost--> away --token, after--> connected        onAway, onBack
 *                               |  \--sessionGrace--> ended            onDisconnect
 *   connected --close 1000, the agent's close, 1012-> ended
 *
 * Floor 3; made by Sessions for a connection that asked for `?session=new`. The first frame of each of its connections is
 * `$/session { token, seq, gap, behind }`: the token to come back with, the number of the last frame before those that follow, whether
 * something meant for it is gone for good, and how many frames of the replay follow. Then every answer, chunk and event
 * bears a top-level `seq`, rising, not consecutive.
 * Law 2: one order of frames, replayed as it was. Law 3: the feed's bounds; requests begun on earlier connections count
 * against the window. Law 4: requests go on while it is away; `requestKey` makes one sent again harmless. Law 8: they are
 * cancelled when the session ends. A second socket with the token takes it over, and its place: the first is closed 4001, and
 * cut when a third comes before it has closed.
 */
import { checkClose, type Disconnected, type Encoded } from "../actor/Client.ts"
import type { Pass } from "./Admission.ts"
import { NORMAL, RESTART, TAKEN_OVER } from "./CloseCode.ts"
import type { Connection, House, Pending } from "./Connection.ts"
import { Conversation } from "./Conversation.ts"
import type { Broadcast, Feed, Reader } from "./Feed.ts"
import * as JsonRpc from "./JsonRpc.ts"
import { RequestKeys } from "./RequestKeys.ts"
import type { Kept, Ring } from "./Ring.ts"

/** Who keeps the sessions of a gateway. */
export interface Keeper {
  readonly away: (session: Session) => void
  /** `seat`: what it kept while it was away. */
  readonly back: (session: Session, seat: Pass) => void
  /** Another socket has come for it: `connection` closes, and has left its place. */
  readonly taken: (connection: Connection) => void
  /** `connection` has closed: where it was taken over, it is out of the count for good. */
  readonly left: (connection: Connection) => void
  readonly ended: (session: Session) => void
}

let ids = 0

export class Session extends Conversation implements Reader {
  override readonly session = `s${++ids}`
  readonly token: string
  readonly feed: Feed
  own: Ring | undefined = undefined
  joined: number | undefined = undefined
  missed = 0
  /** The system clock's time when its socket was lost. */
  awaySince = 0
  /** What was sent before this time of the system clock has surely reached its client: while it is away it stands still. */
  receivedBefore: number
  /** The one that was taken over last, until it has closed. */
  #leaving: Connection | undefined = undefined
  /** What its present connection was sent: all frames meant for it with a higher number. */
  #sentAfter = 0
  readonly #keys: RequestKeys
  readonly #keeper: Keeper
  /** What onDisconnect will be told. */
  #why: Disconnected = { code: NORMAL, reason: "" }
  /** Its socket was lost. */
  #left = false
  #closing = false
  #ended = false

  constructor(pass: Pass, house: House, token: string, feed: Feed, keeper: Keeper) {
    super(pass, house)
    this.token = token
    this.feed = feed
    this.#keys = new RequestKeys(house)
    this.#keeper = keeper
    this.receivedBefore = house.now()
    feed.readers.add(this)
  }

  override get away(): boolean {
    return this.connection === undefined && !this.#ended
  }

  override get stuffed(): boolean {
    return this.underway + this.#keys.repeating >= this.house.limits.maxUnfinished
  }

  get agent(): string {
    return this.pass.agent
  }

  /** Whether somebody let in so may come back to it: not to one that its agent closes, however long its socket takes. */
  takes({ agent, principal }: Pass): boolean {
    if (this.#closing || !this.line.open) return false
    return agent === this.agent && principal?.id === this.principal?.id
  }

  // ---- sockets

  override attach(connection: Connection): void {
    this.#attach(connection, this.feed.seq, false)
  }

  /** Its client is back, and has seen frames up to `cursor`. */
  resume(connection: Connection, cursor: number): void {
    const gap = this.feed.lacks(this, cursor)
    if (gap) this.house.tally.gaps.missed++
    this.#attach(connection, cursor, gap)
  }

  /** The first connection, of a client whose former session is not known here. */
  replace(connection: Connection): void {
    this.house.tally.gaps.fresh++
    this.#attach(connection, this.feed.seq, true)
  }

  #attach(connection: Connection, seq: number, gap: boolean): void {
    const former = this.connection
    const seat = this.pass
    const replay = this.feed.after(this, seq)
    this.connection = connection
    this.#sentAfter = Math.max(seq, this.missed)
    this.pass = connection.pass
    connection.send(JsonRpc.notification("$/session", { token: this.token, seq, gap, behind: replay.length }))
    for (const { frame } of replay) connection.send(frame)
    // behind them: what waited for the former goes on when that is finished
    former?.hangUp(TAKEN_OVER, "the session was taken over")
    if (former !== undefined) this.#vacate(former)
    if (this.#left) {
      this.#left = false
      this.#keeper.back(this, seat)
      this.line.presence()
    }
    this.flow()
  }

  /** At most one that was taken over may take its time to close: its client may be somewhere else by now. */
  #vacate(former: Connection): void {
    this.#leaving?.terminate()
    this.#leaving = former
    this.#keeper.taken(former)
  }

  /** What it keeps while it is away. */
  get kept(): Pass | undefined {
    return this.#left ? this.pass : undefined
  }

  /** What it leaves to who comes for it: its socket's place, or what it keeps while it is away. */
  get seat(): Pass | undefined {
    return this.#closing || !this.line.open ? undefined : this.pass
  }

  override gone(connection: Connection, why: Disconnected): boolean {
    if (connection === this.#leaving) this.#leaving = undefined
    this.#keeper.left(connection)
    if (connection !== this.connection) return false
    this.connection = undefined
    if (!this.#closing) this.#why = why
    const left = why.code === NORMAL && connection.closeCode === undefined
    // nobody comes back to a host that has let it go
    const drained = connection.closeCode === RESTART
    if (this.#closing || left || drained || !this.line.open) {
      this.end()
      return false
    }
    this.#left = true
    this.awaySince = this.house.now()
    this.#keeper.away(this)
    this.line.presence()
    return true
  }

  /** Ends it: by its client, its agent, or `sessionGrace`. */
  end(why: Disconnected = this.#why): void {
    if (this.#ended) return
    this.#ended = true
    this.over(why)
    for (const { pending } of this.#keys.clear()) this.finish(pending, undefined)
    this.feed.leave(this)
    this.#keeper.ended(this)
  }

  /** It was not begun. */
  abandon(): void {
    this.#keys.clear()
    this.feed.leave(this)
  }

  /** The agent ends it. */
  override close(code: number, reason: string): void {
    checkClose(code, reason)
    if (this.#closing || this.#ended) return
    this.#closing = true
    this.#why = { code, reason }
    if (this.connection === undefined) this.end()
    else this.connection.hangUp(code, reason)
  }

  override expire(receivedBefore: number): void {
    const { limits, now } = this.house
    this.receivedBefore = Math.max(this.receivedBefore, receivedBefore)
    const old = now() - limits.graceMillis
    this.#keys.expire(this.receivedBefore, old)
    this.feed.expireOwn(this, old)
  }

  dropped({ seq }: Kept): void {
    this.missed = seq
  }

  // ---- in

  override call(call: JsonRpc.Call, pending: Pending): void {
    if (call.requestKey === undefined || call.method.startsWith("$/")) return this.take(call, pending)
    const known = this.#keys.find(call)
    if (known === "other") {
      return this.reject(call.id, JsonRpc.invalidRequest("the requestKey of another request"), pending)
    }
    if (known === undefined) {
      this.#keys.begin(call)
      return this.take(call, pending)
    }
    const same = call.id === known.id
    // the answer was on its way when the repeat was sent
    if (known.outcome !== undefined && same && known.seq > this.#sentAfter) return this.finish(pending, undefined)
    if (known.outcome !== undefined) return this.finish(pending, JsonRpc.answer(call.id!, known.outcome))
    // its answer answers this one too
    if (same) return this.finish(pending, undefined)
    this.#keys.wait(known, { id: call.id!, pending })
  }

  protected override answer(call: JsonRpc.Call, pending: Pending, outcome: string | undefined): void {
    if (call.requestKey === undefined || outcome === undefined) return super.answer(call, pending, outcome)
    // of a batch it goes with the others, later
    const seq = pending.answers === undefined ? this.feed.seq + 1 : 0
    const repeats = this.#keys.finish(call.requestKey, outcome, seq, pending.answers)
    super.answer(call, pending, outcome)
    for (const repeat of repeats) {
      this.finish(repeat.pending, JsonRpc.answer(repeat.id, outcome))
    }
  }

  protected override untaken(call: JsonRpc.Call, pending: Pending, failure: JsonRpc.Failure): void {
    this.#free(call.requestKey, failure)
    super.untaken(call, pending, failure)
  }

  protected override refuse(call: JsonRpc.Call, failure: JsonRpc.Failure, pending: Pending): void {
    this.#free(call.requestKey, failure)
    super.refuse(call, failure, pending)
  }

  #free(key: string | undefined, failure: JsonRpc.Failure): void {
    if (key === undefined) return
    for (const repeat of this.#keys.forget(key)) this.finish(repeat.pending, JsonRpc.error(repeat.id, failure))
  }

  // ---- out

  protected override get listening(): boolean {
    return !this.#ended
  }

  protected override get flowing(): boolean {
    return this.#ended || (this.connection !== undefined && super.flowing)
  }

  protected override deliver(frame: string): void {
    if (!this.#ended) this.#send(this.feed.keep(frame, this))
  }

  protected override deliverBatch(answers: ReadonlyArray<string>): void {
    if (this.#ended) return
    this.#keys.sent(answers)
    this.#send(this.feed.keepBatch(answers, this))
  }

  #send(kept: Kept): void {
    this.connection?.send(kept.frame)
  }

  override sendShared(event: string, payload: unknown, shared: Encoded): boolean {
    if (this.#ended || this.#closing) return false
    const kept = this.#kept(event, payload, shared)
    // one that is too slow is closed, and gets it when it is back
    const { connection } = this
    if (connection?.hears === true) connection.sendEvent(kept.frame, this.codec.protocol.lossy.get(event), payload)
    return true
  }

  #kept(event: string, payload: unknown, shared: Encoded): Kept {
    // an agent may be served by several gateways: each has its feed
    const { kept: feeds } = shared as { readonly kept: Broadcast | Map<Feed, Broadcast> | undefined }
    const known = feeds instanceof Map ? feeds.get(this.feed) : feeds
    if (known?.feed === this.feed) return this.#join(known)
    const text = this.encode(event, payload)
    if (shared.except === undefined) return this.feed.keep(text, this)
    const kept = this.feed.share(text, shared.except)
    if (feeds === undefined) shared.kept = kept
    else if (feeds instanceof Map) feeds.set(this.feed, kept)
    else shared.kept = new Map([feeds, kept].map((one) => [one.feed, one]))
    return this.#join(kept)
  }

  /** The first broadcast that it hears: earlier ones were not meant for it. */
  #join(kept: Kept): Kept {
    this.joined ??= kept.seq - 1
    return kept
  }
}
