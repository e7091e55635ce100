/**
 * Whose web page may connect: a browser sends `Origin` with each WebSocket and each POST, and its user's cookies with them.
 *
 *   "same"    the default: the page came from the host that it connects to (Origin's host is the Host header's)
 *   [...]     these origins and no others, "https://app.example.com"; "null" is what files and sandboxes send
 *   "any"     all pages: for tokens that pages must know, never for cookies
 *
 * Floor 3; pure. A request without `Origin` is no browser's, and passes: it brings no cookies of somebody else's.
 * Not held back by "same": a page whose name was rebound to this host's address; a list holds it back.
 * Source: RFC 6454; RFC 6455, 10.2; the Fetch standard, 3.3 (CORS).
 */
import { InvalidOption } from "../kernel/Errors.ts"

export type Origins = "same" | "any" | ReadonlyArray<string>

const range = '"same", "any" or a list of origins such as "https://app.example.com"'

const originOf = (text: string): string | undefined => (URL.canParse(text) ? new URL(text).origin : undefined)

/** Refuses what no browser would ever send. */
export const check = (origins: unknown): Origins => {
  if (origins === undefined) return "same"
  if (origins === "same" || origins === "any") return origins
  const refuse = (value: unknown): never => {
    throw new InvalidOption({ field: "gateway.origins", value: JSON.stringify(value) ?? String(value), range })
  }
  if (!Array.isArray(origins)) return refuse(origins)
  for (const origin of origins) {
    if (typeof origin !== "string" || (origin !== "null" && originOf(origin) !== origin)) refuse(origin)
  }
  return origins as ReadonlyArray<string>
}

/** A host with its port, where that is not the scheme's own. */
const hostOf = (scheme: string, host: string): string | undefined =>
  URL.canParse(`${scheme}//${host}`) ? new URL(`${scheme}//${host}`).host : undefined

/** Whether a page of this origin may connect. */
export const allows = (origins: Origins, origin: string | undefined, host: string | undefined): boolean => {
  if (origin === undefined || origins === "any") return true
  if (origins !== "same") return origins.includes(origin)
  if (host === undefined || !URL.canParse(origin)) return false
  const page = new URL(origin)
  return page.host !== "" && page.host === hostOf(page.protocol, host)
}

/**
 * What a browser is told that asks whether a page of another origin may POST and read the answer: `Access-Control-Allow-Origin`.
 * Never with cookies: such a page brings a token.
 */
export const shares = (origins: Origins, origin: string | undefined): string | undefined => {
  if (origin === undefined || origins === "same") return undefined
  if (origins === "any") return "*"
  return origins.includes(origin) ? origin : undefined
}
