/**
 * Where a request comes from: the socket's address, or what a trusted proxy says of it.
 *
 *   X-Forwarded-For: forged, 203.0.113.7, 10.0.0.2       trustProxy 2: the second from the right, 203.0.113.7
 *
 * Floor 3; pure. Each proxy appends whom it heard; so what your own n proxies wrote stands in the last n places, and everything
 * before it is the client's invention. Without `trustProxy` the header means nothing.
 * Counting goes by group: an IPv4 address; of IPv6 the first 64 bits, which one customer has all of (RFC 6177).
 */
import type { IncomingMessage } from "node:http"
import { isIP, type Socket } from "node:net"

/** An IPv4 address in IPv6's dress is IPv4; a zone is no part of it. */
const plain = (address: string): string => {
  const bare = address.replace(/%.*$/, "").toLowerCase()
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1]
  return mapped ?? bare
}

/** Without brackets and port, as some proxies write it. */
const bare = (text: string): string => /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^([^:]+):\d+$/, "$1")

/** The address that a request comes from; `proxies` of one's own stand before this host. */
export const of = (request: IncomingMessage, proxies: number): string => {
  const own = ofSocket(request.socket)
  if (proxies === 0) return own
  const header = request.headers["x-forwarded-for"]
  if (header === undefined) return own
  const heard = String(header).split(",")
  const said = bare(heard[Math.max(0, heard.length - proxies)]!.trim())
  return isIP(said) === 0 ? own : plain(said)
}

/** The address that a socket comes from. */
export const ofSocket = (socket: Socket): string => plain(socket.remoteAddress ?? "")

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1"

/** How many of an address: `max` where it is given; else as `usual`, and as many of this host's own as like. */
export const most = (address: string, max: number | undefined, usual: number): number =>
  max ?? (isLoopback(address) ? Number.POSITIVE_INFINITY : usual)

/** Connections of an address, as usual. */
export const connections = 256

/** Living agents that an address has made, as usual. */
export const agents = 1024

/** One more of a name, or one less. */
export const count = (counts: Map<string, number>, name: string, by: 1 | -1): void => {
  const n = (counts.get(name) ?? 0) + by
  if (n === 0) counts.delete(name)
  else counts.set(name, n)
}

/** The eight fields of an IPv6 address, of which an empty one stands for zeros. */
const fields = (address: string): ReadonlyArray<string> => {
  const [left = "", right] = address.split("::", 2)
  const head = left === "" ? [] : left.split(":")
  if (right === undefined) return head
  const tail = right === "" ? [] : right.split(":")
  return [...head, ...Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => "0"), ...tail]
}

/** What an address is counted by. */
export const group = (address: string): string =>
  isIP(address) === 6
    ? `${fields(address)
        .slice(0, 4)
        .map((field) => Number.parseInt(field, 16))
        .join(":")}::/64`
    : address
