/**
 * Where an agent is: a URL as it is, or one made of a gateway's, an agent type and a key.
 *
 * Used by `connect`; pure. Law 12: what cannot be an address is refused when given, not by a socket later. The type is free
 * text here: the client knows the agent's definition as a type only, and the gateway answers 404 to one it does not host.
 * http and https are taken for ws and wss, so that a page may say `location.origin`. A token is no part of an address: it is
 * added when a socket is opened.
 */
import { InvalidOption } from "./Errors.ts"

export interface AgentAddress {
  /** Of the gateway: `wss://example.org`. A path before `/agents` and a query are kept. */
  readonly url: string | URL
  /** The agent's type, as its definition names it. */
  readonly type: string
  readonly key: string
}

const range = "an absolute URL with ws, wss, http or https"

const parse = (text: string | URL): URL => {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new InvalidOption("url", String(text), range)
  }
  if (url.protocol === "http:") url.protocol = "ws:"
  if (url.protocol === "https:") url.protocol = "wss:"
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new InvalidOption("url", String(text), range)
  // the WebSocket API refuses a fragment
  url.hash = ""
  return url
}

/** A path's segment. */
const segment = (field: string, text: string): string => {
  // every URL parser takes these two for steps in the path, percent-encoded or not
  const steps = text === "." || text === ".."
  if (typeof text === "string" && text !== "" && text.length <= 256 && !steps) {
    try {
      return encodeURIComponent(text)
    } catch {
      // half of a surrogate pair
    }
  }
  throw new InvalidOption(field, text, "text of 1 to 256 UTF-16 units, well-formed, neither . nor ..")
}

/** The URL to open. */
export const resolve = (address: string | URL | AgentAddress): string => {
  if (typeof address === "string" || address instanceof URL) return parse(address).href
  const url = parse(address.url)
  const base = url.pathname.replace(/\/$/, "")
  url.pathname = `${base}/agents/${segment("type", address.type)}/${segment("key", address.key)}`
  return url.href
}

/** What a subprotocol may consist of (RFC 9110, 5.6.2). */
const protocolPattern = /^[\w!#$%&'*+.^`|~-]+$/

/** Adds a token to what is opened: to the subprotocols, which proxies do not log, where they can bear it. */
export const authorize = (query: URLSearchParams, token: string): Array<string> | undefined => {
  // the token itself is never answered, and a browser wants one of its subprotocols answered: hence the first
  if (protocolPattern.test(token)) return ["troupe", `bearer.${token}`]
  query.set("token", token)
  return undefined
}
