/**
 * What an upgrade says of sessions: nothing, `?session=new`, or `?session=<token>&after=<seq>`.
 *
 * Floor 3; read by Admission, which refuses a malformed one with 400, and by Gateway; pure.
 * Law 12: what is neither is refused by name, and nothing is guessed.
 */
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

const tokenPattern = /^[\w-]{43}$/

/** Reads a request's URL. */
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
