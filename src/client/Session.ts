/**
 * What a client remembers of its session: the token to come back with, and the last frame it has read.
 *
 *   ?session=new                  -> $/session { token, seq, gap: false, behind: 0 }
 *   ?session=<token>&after=<seq>  -> $/session { token, seq, gap, behind } -> the replay: `behind` frames -> new frames
 *
 * Used by Client; knows no socket and no request. The first frame of each connection is the server's `$/session`; every
 * answer, chunk and event behind it bears a `seq`, rising, not consecutive: one that is not above the last was read before,
 * and is not read again. A gap: something meant for this client is gone for good. With a gap and another token the server
 * does not know the old session any more: a fresh one has begun, which knows none of the requests of the old.
 * A session is asked for anew as long as none was confirmed, so nothing may be sent before: of a session whose token was
 * never read, nobody could say what became of its requests.
 */

/** What a connection of a session begins with. */
export interface Beginning {
  readonly gap: boolean
  /** Another session than the one that was to be resumed. */
  readonly fresh: boolean
}

/** Something that was sent to this client can no longer be had: what it knows of the agent may be out of date. */
export interface Gap {
  /** The session is lost as well: it ended while this client was away, or the host restarted. */
  readonly fresh: boolean
}

const tokenPattern = /^[\w-]{1,128}$/

const isCount = (u: unknown): u is number => Number.isSafeInteger(u) && (u as number) >= 0

export class Session {
  #token: string | undefined = undefined
  /** The highest `seq` that was read. */
  #after = 0
  /** Frames of the replay that are still to come; undefined before `$/session`. */
  #behind: number | undefined = undefined

  /** Adds to a URL what the next connection asks for. */
  ask(query: URLSearchParams): void {
    this.#behind = undefined
    query.set("session", this.#token ?? "new")
    if (this.#token === undefined) query.delete("after")
    else query.set("after", String(this.#after))
  }

  /** Whether this connection's `$/session` was read. */
  get begun(): boolean {
    return this.#behind !== undefined
  }

  /** Whether frames of the replay are still to come. */
  get replaying(): boolean {
    return this.#behind !== 0
  }

  /** Takes what `$/session` says; undefined for what it cannot say. */
  begin(params: unknown): Beginning | undefined {
    const { token, seq, gap, behind } = (params ?? {}) as Record<string, unknown>
    if (typeof token !== "string" || !tokenPattern.test(token) || typeof gap !== "boolean") return undefined
    if (!isCount(seq) || !isCount(behind)) return undefined
    const fresh = gap && token !== this.#token
    this.#token = token
    this.#after = fresh ? seq : Math.max(this.#after, seq)
    this.#behind = behind
    return { gap, fresh }
  }

  /** Notes that a frame with `seq` is read: "known" if it was before, "wrong" for no number. */
  read(seq: unknown): "news" | "known" | "wrong" {
    // what answers this connection alone has none
    if (seq === undefined) return "news"
    if (!isCount(seq)) return "wrong"
    if (seq <= this.#after) return "known"
    this.#after = seq
    return "news"
  }

  /** A frame was handled. Whether it was the last of the replay. */
  handled(): boolean {
    return this.#behind !== undefined && this.#behind > 0 && --this.#behind === 0
  }
}
