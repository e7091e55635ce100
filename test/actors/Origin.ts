/**
 * An HTTP server of a test, which counts what clients do to it: sockets and requests, now and at the most.
 *
 * By path: `/now` answers at once, `/hold` when `release` is called (with its headers, that of `?body` at once), `/reset` cuts the
 * socket, `/status/503?after=5` answers so, with `Retry-After`; `then` gives what other paths answer.
 */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Origin {
  readonly url: string
  /** Open sockets, and the most there were. */
  sockets: number
  mostSockets: number
  opened: number
  /** Requests under way, and the most there were. */
  requests: number
  mostRequests: number
  /** "GET /now", in order. */
  readonly seen: Array<string>
  /** Paths of requests whose sockets closed before they were answered. */
  readonly cut: Array<string>
  /** Answers the oldest that is held. */
  readonly release: () => void
  readonly held: () => number
}

type Answer = (request: IncomingMessage, response: ServerResponse, origin: Origin) => void

export const origin = (
  then: Answer = (_, response) => void response.end("ok")
): Effect.Effect<Origin, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => open(then)),
      ({ close }) => Effect.promise(close)
    ),
    ({ self }) => self
  )

const open = async (then: Answer): Promise<{ self: Origin; close: () => Promise<void> }> => {
  const held: Array<ServerResponse> = []
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!, self.url)
    self.seen.push(`${request.method} ${request.url}`)
    self.requests++
    self.mostRequests = Math.max(self.mostRequests, self.requests)
    response.on("close", () => {
      self.requests--
      if (!response.writableFinished) self.cut.push(request.url!)
      if (held.includes(response)) held.splice(held.indexOf(response), 1)
    })
    if (pathname === "/hold") {
      if (searchParams.has("body")) response.write("first ")
      held.push(response)
    } else if (pathname === "/reset") request.socket.resetAndDestroy()
    else if (pathname.startsWith("/status/")) {
      const after = searchParams.get("after")
      if (after !== null) response.setHeader("retry-after", after)
      response.writeHead(Number(pathname.slice(8))).end("sorry")
    } else then(request, response, self)
  })
  server.on("connection", (socket) => {
    self.opened++
    self.mostSockets = Math.max(self.mostSockets, ++self.sockets)
    socket.on("close", () => self.sockets--)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const self: Origin = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets: 0,
    mostSockets: 0,
    opened: 0,
    requests: 0,
    mostRequests: 0,
    seen: [],
    cut: [],
    release: () => void held.shift()?.end("released"),
    held: () => held.length
  }
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { self, close }
}

/** Waits until a fact holds, letting the loop go round. */
export const until = (fact: () => boolean, what: string): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let looks = 0; looks < 100_000; looks++) {
      if (fact()) return
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    }
    return yield* Effect.die(new Error(`waited in vain until ${what}`))
  })
