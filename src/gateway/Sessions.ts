/**
 * The sessions of a gateway: found by token, ended when they were away for too long.
 *
 * Floor 3; owned by Gateway. Law 3: a session that is away counts as a connection in every limit on connections, so that
 * coming and going makes no more of them. A token is 32 random bytes, bound to its agent and to the principal that it was
 * given to: with another one it is not known here, which is all that anybody is told.
 * Cost: no timer; the gateway's heartbeat looks at the sessions that have been away longest.
 */
import { randomBytes } from "node:crypto"
import type { Codec } from "./Codec.ts"
import type { House } from "./Connection.ts"
import { Ring } from "./Ring.ts"
import { type Keeper, Session } from "./Session.ts"

export interface Resume {
  readonly _tag: "Resume"
  readonly token: string
  readonly after: number
}

/** What an upgrade asks for. */
export type Wish =
  | { readonly _tag: "None" }
  | { readonly _tag: "New" }
  | Resume
  | { readonly _tag: "Malformed"; readonly why: string }

const tokenBytes = 32
const tokenPattern = /^[\w-]{43}$/

/** Reads `?session=new`, or `?session=<token>&after=<seq>`. */
export const wish = (url: string): Wish => {
  const at = url.indexOf("?")
  if (at < 0) return { _tag: "None" }
  const query = new URLSearchParams(url.slice(at + 1))
  const sessions = query.getAll("session")
  const afters = query.getAll("after")
  if (sessions.length === 0 && afters.length === 0) return { _tag: "None" }
  const [session = "", after] = [sessions[0], afters[0]]
  if (sessions.length !== 1 || afters.length > 1) {
    return { _tag: "Malformed", why: "session stands once, and after goes with a token" }
  }
  if (session === "new") {
    return after === undefined ? { _tag: "New" } : { _tag: "Malformed", why: "a new session has nothing before it" }
  }
  if (!tokenPattern.test(session)) return { _tag: "Malformed", why: "session is neither new nor a token" }
  if (after === undefined || !/^\d{1,15}$/.test(after)) {
    return { _tag: "Malformed", why: "after is the seq of the last frame seen, a whole number" }
  }
  return { _tag: "Resume", token: session, after: Number(after) }
}

interface Place {
  readonly session: Session
  readonly codec: Codec
  readonly key: string
  readonly owner: string | undefined
}

export class Sessions {
  readonly #house: House
  readonly #places = new Map<string, Place>()
  /** In the order in which they were left. */
  readonly #away = new Set<Session>()
  /** By agent: type and key. */
  readonly #rings = new Map<string, Ring>()
  readonly #keeper: Keeper

  constructor(house: House) {
    this.#house = house
    this.#keeper = {
      away: (session) => void this.#away.add(session),
      back: (session) => void this.#away.delete(session),
      ended: (session) => this.#ended(session)
    }
  }

  get size(): number {
    return this.#places.size
  }

  get away(): number {
    return this.#away.size
  }

  /** Requests under way of those that are away. */
  get underwayAway(): number {
    let requests = 0
    for (const { underway } of this.#away) requests += underway
    return requests
  }

  /** A new one. `owner`: who may come back to it. */
  make(codec: Codec, key: string, owner: string | undefined): Session {
    const address = addressOf(codec, key)
    let ring = this.#rings.get(address)
    if (ring === undefined) this.#rings.set(address, (ring = new Ring(this.#house)))
    const token = randomBytes(tokenBytes).toString("base64url")
    const session = new Session(codec, this.#house, token, ring, this.#keeper)
    this.#places.set(token, { session, codec, key, owner })
    return session
  }

  /** The session that a token names, for this agent and this owner. */
  find(token: string, codec: Codec, key: string, owner: string | undefined): Session | undefined {
    const place = this.#places.get(token)
    if (place === undefined || place.codec !== codec || place.key !== key || place.owner !== owner) return undefined
    return place.session
  }

  /** Ends those that have been away since before. */
  expire(before: number): void {
    for (const session of this.#away) {
      if (session.awaySince >= before) return
      session.end()
    }
  }

  /** The gateway closes. */
  endAll(code: number, reason: string): void {
    for (const { session } of this.#places.values()) session.end({ code, reason })
  }

  #ended(session: Session): void {
    const { codec, key } = this.#places.get(session.token)!
    this.#places.delete(session.token)
    this.#away.delete(session)
    if (session.ring.readers > 0) return
    session.ring.clear()
    this.#rings.delete(addressOf(codec, key))
  }

  /** Of a connection that was to begin one and could not. */
  abandon(session: Session): void {
    session.ring.readers--
    this.#ended(session)
  }
}

const addressOf = (codec: Codec, key: string): string => `${codec.protocol.type}/${key}`
