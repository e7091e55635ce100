/**
 * The page, on a port of its own; the rooms are on the next, and let in pages of this one.
 */
import { Config, Effect, type Layer } from "effect"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Gateway } from "troupe/gateway"

const page = readFileSync(new URL("page.html", import.meta.url), "utf8")

/** Serves until it is interrupted. */
export const serve = <E>(rooms: (port: number, origins: ReadonlyArray<string>) => Layer.Layer<Gateway, E>) =>
  Effect.gen(function* () {
    const port = yield* Config.withDefault(Config.Int("PORT"), 4000)
    let agents = 0
    const server = createServer((request, response) => {
      if (request.url !== "/") return void response.writeHead(404).end()
      response.setHeader("content-type", "text/html; charset=utf-8").end(page.replace("AGENTS_PORT", String(agents)))
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(port, "127.0.0.1"), "listening")),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    const taken = (server.address() as AddressInfo).port
    const origins = ["127.0.0.1", "localhost"].map((host) => `http://${host}:${taken}`)
    const open = Effect.gen(function* () {
      agents = (yield* Gateway).port
      console.log(`open ${origins[0]}/#lobby`)
      return yield* Effect.never
    })
    return yield* Effect.provide(open, rooms(port === 0 ? 0 : taken + 1, origins))
  })
