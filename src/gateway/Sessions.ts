/**
 * The sessions of a gateway: found by token, ended when they were away for too long.
 *
 * Floor 3; owned by Gateway. Law 3: a session that is away counts as a connection in every limit on connections, so that
 * coming and going makes no more of them; who comes for one that is not takes the place of its socket, which may be half-open:
 * that one closes uncounted, and there is at most one such a session. A token is 32 random bytes, bound to its agent and to
 * the principal that it was given to: with another one it is not known here, which is all that anybody is told.
 * Cost: no timer; the gateway's heartbeat looks at the sessions that have been away longest.
 */
import { randomBytes } from "node:crypto"
import type { Pass } from "./Admission.ts"
import type { Connection, House } from "./Connection.ts"
import { Feed } from "./Feed.ts"
import { type Keeper, Session } from "./Session.ts"
import type { Wish } from "./Wish.ts"

const tokenBytes = 32

export class Sessions {
  readonly #house: House
  readonly #leave: (pass: Pass) => void
  readonly #sessions = new Map<string, Session>()
  /** Connections that were taken over and have not closed. */
  readonly #leaving = new Set<Connection>()
  /** In the order in which they were left. */
  readonly #away = new Set<Session>()
  /** By agent: type and key. */
  readonly #feeds = new Map<string, Feed>()
  readonly #keeper: Keeper

  /** `leave`: a place that a session kept is free. */
  constructor(house: House, leave: (pass: Pass) => void) {
    this.#house = house
    this.#leave = leave
    this.#keeper = {
      away: (session) => void this.#away.add(session),
      back: (session, seat) => {
        this.#away.delete(session)
        leave(seat)
      },
      taken: (connection) => {
        this.#leaving.add(connection)
        leave(connection.pass)
      },
      left: (connection) => void this.#leaving.delete(connection),
      ended: (session) => this.#ended(session)
    }
  }

  get size(): number {
    return this.#sessions.size
  }

  get away(): number {
    return this.#away.size
  }

  /** Connections that have left their place, and not closed. */
  get leaving(): number {
    return this.#leaving.size
  }

  /** Requests under way of those that are away. */
  get underwayAway(): number {
    let requests = 0
    for (const { underway } of this.#away) requests += underway
    return requests
  }

  /** Ends the streams of those that are away. */
  endStreams(): void {
    for (const session of this.#away) session.endStreams()
  }

  /** A new one. */
  make(pass: Pass): Session {
    const { agent } = pass
    let feed = this.#feeds.get(agent)
    if (feed === undefined) this.#feeds.set(agent, (feed = new Feed(this.#house)))
    const token = randomBytes(tokenBytes).toString("base64url")
    const session = new Session(pass, this.#house, token, feed, this.#keeper)
    this.#sessions.set(token, session)
    return session
  }

  /** The session that `wish` names, if it is this agent's and this principal's. */
  find(wish: Wish, pass: Pass): Session | undefined {
    const session = wish._tag === "Resume" ? this.#sessions.get(wish.token) : undefined
    return session?.takes(pass) === true ? session : undefined
  }

  /** The place that the session which `wish` names leaves to who comes for it. */
  seat(wish: Wish): Pass | undefined {
    return wish._tag === "Resume" ? this.#sessions.get(wish.token)?.seat : undefined
  }

  /** Forgets what was sent before, and ends those that have been away since before. */
  expire(before: number): void {
    for (const feed of this.#feeds.values()) feed.expire(before)
    for (const session of this.#away) {
      if (session.awaySince >= before) session.feed.expireOwn(session, before)
      else session.end()
    }
  }

  /** The gateway closes. */
  endAll(code: number, reason: string): void {
    for (const session of this.#sessions.values()) session.end({ code, reason })
  }

  /** Of a connection that was to begin one and could not. */
  abandon(session: Session): void {
    session.abandon()
    this.#ended(session)
  }

  #ended(session: Session): void {
    this.#sessions.delete(session.token)
    this.#away.delete(session)
    if (session.kept !== undefined) this.#leave(session.kept)
    if (session.feed.readers.size === 0) this.#feeds.delete(session.agent)
  }
}
