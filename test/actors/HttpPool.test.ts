import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Schedule, Schema, Scope, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, HttpClientResponse, type HttpClientError } from "effect/http"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { createServer as createHttpsServer } from "node:https"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { rootCertificates } from "node:tls"
import { gzipSync } from "node:zlib"
import { Actor, ActorSystem } from "troupe"
import { FanOut, HttpPool, type HttpPoolOptions } from "troupe/actors"
import { TestSystem } from "troupe/testkit"
import { selfSigned } from "../live/SelfSigned.ts"
import { origin, until } from "./Origin.ts"

type Needs = HttpClient.HttpClient | HttpPool | Scope.Scope

/** With a pool of the real clock, or of the test's. */
const pooled =
  (options: HttpPoolOptions = {}) =>
  <A, E>(effect: Effect.Effect<A, E, Needs>): Effect.Effect<A, E> =>
    Effect.scoped(Effect.provide(effect, HttpPool.layer(options), { local: true }))

const text = (url: string) => Effect.flatMap(HttpClient.get(url), (response) => response.text)
const status = (url: string) => Effect.map(HttpClient.get(url), (response) => response.status)
const why = (error: HttpClientError.HttpClientError) => error.reason.cause as { _tag?: string; code?: string }

const chain = selfSigned()

describe("HttpPool.layer", () => {
  it.live("provides the standard client: texts, JSON, forms, streams up and down, gzip, errors by its names", () =>
    Effect.gen(function* () {
      const host = yield* origin((request, response) => {
        if (request.url === "/gzip") return void response.setHeader("content-encoding", "gzip").end(gzipSync("small"))
        response.setHeader("content-type", request.headers["content-type"] ?? "none")
        request.pipe(response)
      })
      const post = (body: HttpBody.HttpBody) => HttpClient.post(`${host.url}/echo`, { body })
      expect(yield* text(`${host.url}/gzip`)).toBe("small")
      expect(yield* Effect.flatMap(post(HttpBody.jsonUnsafe({ a: 1 })), (_) => _.json)).toEqual({ a: 1 })
      const form = new FormData()
      form.append("name", "value")
      form.append("file", new Blob(["content"]), "a.txt")
      const sent = yield* Effect.flatMap(post(HttpBody.formData(form)), (_) => _.formData)
      expect([sent.get("name"), yield* Effect.promise(() => (sent.get("file") as File).text())]).toEqual([
        "value",
        "content"
      ])
      const chunks = Stream.make("one ", "two").pipe(Stream.encodeText)
      const streamed = HttpClientResponse.stream(post(HttpBody.stream(chunks))).pipe(Stream.decodeText, Stream.mkString)
      expect(yield* streamed).toBe("one two")
      const strict = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
      const error = yield* Effect.flip(strict.get(`${host.url}/status/404`))
      expect(error.reason).toMatchObject({ _tag: "StatusCodeError" })
      expect((yield* Effect.flip(HttpClient.get("nonsense"))).reason._tag).toBe("InvalidUrlError")
    }).pipe(pooled())
  )

  it.live("hands a redirect over, and follows it through the pool where the client is told to", () =>
    Effect.gen(function* () {
      const other = yield* origin()
      const host = yield* origin(
        (_, response) => void response.writeHead(302, { location: `${other.url}/there` }).end()
      )
      expect(yield* status(`${host.url}/here`)).toBe(302)
      expect(other.seen).toEqual([])
      const client = HttpClient.followRedirects(yield* HttpClient.HttpClient)
      expect(yield* Effect.flatMap(client.get(`${host.url}/here`), (response) => response.text)).toBe("ok")
      expect(yield* HttpPool.stats).toMatchObject({ connections: 2, hosts: 2 })
    }).pipe(pooled())
  )

  it.live("ends what is under way and what waits, and leaves no socket, when its scope closes", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(HttpPool.layer({ maxPerHost: 2, retry: false }), scope)
      const asked = (path: string) => Effect.provide(HttpClient.get(host.url + path), services)
      yield* Effect.flatMap(asked("/now"), (_) => _.text)
      const held = yield* Effect.forEach(["/hold", "/hold", "/hold"], (path) => Effect.forkChild(asked(path)))
      yield* until(() => host.held() === 2, "two are held")
      yield* Scope.close(scope, Exit.void)
      const errors = yield* Effect.forEach(held, (fiber) => Effect.flip(Fiber.join(fiber)))
      expect(errors.map((error) => why(error)._tag)).toEqual(["HttpPoolClosed", "HttpPoolClosed", "HttpPoolClosed"])
      for (const error of errors) expect(error.message).toContain("the pool has closed with its scope (GET ")
      yield* until(() => host.sockets === 0, "no socket is left")
      expect([host.cut, host.seen.length]).toEqual([["/hold", "/hold"], 3])
      expect(why(yield* Effect.flip(asked("/now")))._tag).toBe("HttpPoolClosed")
      expect(host.seen).toHaveLength(3)
    }).pipe(Effect.scoped)
  )

  it.live("speaks TLS with whom it trusts, and refuses others by their certificate's fault", () =>
    Effect.gen(function* () {
      const { cert, key } = chain
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => createHttpsServer({ cert, key }, (_, response) => void response.end("safe"))),
        (opened) => Effect.promise(() => new Promise((resolve) => opened.close(resolve)))
      )
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      expect(yield* pooled({ tls: { ca: cert } })(text(url))).toBe("safe")
      const trusted: ReadonlyArray<string> = [...rootCertificates, cert]
      expect(yield* pooled({ tls: { ca: trusted } })(text(url))).toBe("safe")
      // not sent again, on a schedule that would not end
      const error = yield* pooled({ retry: { schedule: Schedule.forever } })(Effect.flip(text(url)))
      expect(why(error).code).toBe("DEPTH_ZERO_SELF_SIGNED_CERT")
      expect(error.message).toContain("DEPTH_ZERO_SELF_SIGNED_CERT, its certificate was refused (option tls)")
      // of the right shape, and nonsense to OpenSSL: that is seen at the dial
      const broken = cert.replace(/^MII/m, "AAA")
      const unread = yield* pooled({ tls: { cert: broken, key }, retry: false })(Effect.flip(text(url)))
      expect(unread.message).toMatch(/127\.0\.0\.1:\d+: ERR_OSSL_\w+, no TLS with it \(option tls\)/)
    }).pipe(Effect.scoped)
  )

  it.live("gives up a dial with the request that wanted it, and does not wait for it when it closes", () =>
    Effect.gen(function* () {
      // takes connections, and never answers a TLS handshake
      let sockets = 0
      const server = createServer((socket) => {
        sockets++
        socket
          .resume()
          .on("close", () => sockets--)
          .on("error", () => {})
      })
      yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => new Promise((resolve) => server.close(() => resolve(undefined))))
      )
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(HttpClient.get(url))
        yield* until(() => sockets === 1, "it dials")
        yield* Fiber.interrupt(fiber)
        expect(yield* HttpPool.stats).toEqual({ inFlight: 0, queued: 0, connections: 0, hosts: 0 })
        yield* until(() => sockets === 0, "the dial is given up")
        yield* Effect.forkChild(HttpClient.get(url))
        yield* until(() => sockets === 1, "it dials again")
      }).pipe(pooled({ connectTimeout: "10 minutes", retry: false }))
      yield* until(() => sockets === 0, "no dial is left")
    }).pipe(Effect.scoped)
  )

  it.each<[string, HttpPoolOptions]>([
    ["maxConnections", { maxConnections: 0 }],
    ["maxPerHost", { maxPerHost: 1.5 }],
    ["maxQueued", { maxQueued: -1 }],
    ["timeout", { timeout: 0 }],
    ["bodyTimeout", { bodyTimeout: "soon" as never }],
    ["connectTimeout", { connectTimeout: "11 minutes" }],
    ["keepAlive", { keepAlive: Number.POSITIVE_INFINITY }],
    ["maxBodyBytes", { maxBodyBytes: 0 }],
    ["tls", { tls: 5 as never }],
    ["tls", { tls: [] as never }],
    ["tls.trust", { tls: { trust: "all" } as never }],
    ["tls.ca", { tls: { ca: 5 as never } }],
    ["tls.ca", { tls: { ca: [] } }],
    ["tls.ca", { tls: { ca: [chain.cert, "nonsense"] } }],
    ["tls.ca", { tls: { ca: Buffer.from(chain.cert) as never } }],
    ["tls.ca", { tls: { ca: null as never } }],
    ["tls.cert", { tls: { cert: "nonsense", key: chain.key } }],
    ["tls.cert", { tls: { key: chain.key } }],
    ["tls.key", { tls: { cert: chain.cert } }],
    ["tls.key", { tls: { cert: chain.cert, key: chain.cert } }],
    ["tls.passphrase", { tls: { cert: chain.cert, key: chain.key, passphrase: 5 as never } }],
    ["tls.passphrase", { tls: { passphrase: "secret" } }],
    ["tls.rejectUnauthorized", { tls: { rejectUnauthorized: "no" as never } }],
    ["retry.maxRetryAfter", { retry: { maxRetryAfter: -1 } }],
    ["retry.may", { retry: { may: true as never } }],
    ["retry.schedule", { retry: { schedule: 3 as never } }],
    ["retry.times", { retry: { times: 3 } as never }],
    ["connections", { connections: 3 } as never]
  ])("refuses a bad %s by name", async (field, options) => {
    const exit = await Effect.runPromiseExit(pooled(options)(Effect.void))
    expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
      _tag: "InvalidOption",
      field: `HttpPool.${field}`
    })
  })

  it("shows nothing of a key that it refuses", async () => {
    const tls = { cert: chain.cert, key: "sesame" }
    const exit = await Effect.runPromiseExit(pooled({ tls })(Effect.void))
    expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toContain("HttpPool.tls.key: a string is not")
    expect(JSON.stringify(exit)).not.toContain("sesame")
  })

  it.live("takes a certificate, a key and its passphrase", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      expect(yield* text(host.url)).toBe("ok")
    }).pipe(pooled({ tls: { ca: [chain.cert], ...chain, rejectUnauthorized: false, passphrase: "" } }))
  )

  it.live("says in an error's message where it was to go, and why it did not get there, and shows no header", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Effect.map(origin(), ({ url }) => url)) // nobody listens there any more
      const { port } = new URL(gone)
      const failed = (url: string, headers = {}) =>
        Effect.map(Effect.flip(HttpClient.get(url, { headers })), ({ message }) => message)
      expect(yield* failed(`${gone}/shoes`, { authorization: "sesame" })).toBe(
        `Transport: 127.0.0.1:${port}: ECONNREFUSED, nobody listens there (GET ${gone}/shoes)`
      )
      expect(yield* failed(`http://localhost:${port}/`)).toContain(
        `localhost:${port}: ECONNREFUSED, nobody listens there`
      )
      expect(yield* failed("https://a..b/")).toMatch(/: a\.\.b:443: (ENOTFOUND|EAI_AGAIN), /)
      const host = yield* origin()
      expect(yield* failed(`${host.url}/reset`)).toMatch(/: 127\.0\.0\.1:\d+: [A-Z_]+, the connection was lost/)
      const secret = yield* failed(host.url, { authorization: "sesame\nopen" })
      expect(secret).toContain(`${new URL(host.url).host}: TypeError, see error.reason.cause (GET `)
      expect(yield* failed("http://127.0.0.1:6000/")).toContain(" 127.0.0.1:6000: Error, see error.reason.cause (GET ")
      expect(secret).not.toContain("sesame")
    }).pipe(pooled({ retry: false }))
  )

  it.live("is refused by name in a seeded system", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const Caller = Actor.make("Caller", { state: Schema.Void, protocol: [Rpc.make("Go", { success: Schema.Void })] })
      const caller = Caller.behavior({
        initial: undefined,
        on: {
          *Go() {
            const exit = yield* Effect.exit(HttpClient.get("http://127.0.0.1:1/"))
            if (Exit.isFailure(exit)) seen.push(Cause.squash(exit.cause))
            return Actor.reply(undefined)
          }
        }
      })
      const asked = Effect.flatMap(ActorSystem.spawn(caller, "a"), (ref) => ref.ask("Go"))
      yield* Effect.scoped(asked).pipe(Effect.provide(Layer.provideMerge(TestSystem.seeded(1), HttpPool.layer())))
      expect(seen).toMatchObject([{ _tag: "RealIoInSimulation", what: "HttpPool GET http://127.0.0.1:1" }])
    })
  )
})

describe("HttpPool's limits", () => {
  it.live("has no more on the wire than it may, per host and in all, and answers all", () =>
    Effect.gen(function* () {
      let [now, most] = [0, 0]
      const hosts = yield* Effect.forEach([1, 2, 3, 4], () =>
        origin((_, response) => {
          most = Math.max(most, ++now)
          response.on("close", () => now--)
          setImmediate(() => setImmediate(() => response.end("ok")))
        })
      )
      const urls = Array.from({ length: 200 }, (_, n) => `${hosts[n % 4]!.url}/${n}`)
      const answers = yield* Effect.forEach(urls, text, { concurrency: "unbounded" })
      expect(answers).toEqual(urls.map(() => "ok"))
      expect([most, ...hosts.map((host) => host.mostRequests)]).toEqual([5, 2, 2, 2, 2])
      expect(hosts.map((host) => host.opened).every((opened) => opened <= 50)).toBe(true)
    }).pipe(pooled({ maxConnections: 5, maxPerHost: 2 }))
  )

  it.live("uses a connection again", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      for (let n = 0; n < 20; n++) yield* text(`${host.url}/now`)
      expect([host.opened, yield* HttpPool.stats]).toEqual([1, { inFlight: 0, queued: 0, connections: 1, hosts: 1 }])
    }).pipe(pooled())
  )

  it.live("closes the connection idle longest to make room for another host's", () =>
    Effect.gen(function* () {
      const [a, b, c] = [yield* origin(), yield* origin(), yield* origin()]
      for (const host of [a, b, a, c]) yield* text(`${host.url}/now`)
      yield* until(() => b.sockets === 0, "b's is closed")
      expect([a.sockets, c.sockets, yield* HttpPool.stats]).toEqual([
        1,
        1,
        { inFlight: 0, queued: 0, connections: 2, hosts: 2 }
      ])
    }).pipe(pooled({ maxConnections: 2 }))
  )

  it.live("forgets hosts whose connections have closed", () =>
    Effect.gen(function* () {
      const host = yield* origin((_, response) => void response.setHeader("connection", "close").end("bye"))
      yield* text(`${host.url}/once`)
      yield* until(() => host.sockets === 0, "it is closed")
      const pool = yield* HttpPool
      yield* until(() => pool.stats().hosts === 0, "the host is forgotten")
      expect(pool.stats()).toEqual({ inFlight: 0, queued: 0, connections: 0, hosts: 0 })
      expect(why(yield* Effect.flip(HttpClient.get(`${host.url}/reset`))).code).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
      expect(pool.stats()).toEqual({ inFlight: 0, queued: 0, connections: 0, hosts: 0 })
    }).pipe(pooled({ retry: false }))
  )

  it.live("serves hosts in turn: a busy one's line holds up no other", () =>
    Effect.gen(function* () {
      const [busy, quiet] = [yield* origin(), yield* origin()]
      const order: Array<string> = []
      const noted = (name: string, url: string) => Effect.tap(text(url), () => Effect.sync(() => order.push(name)))
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) =>
        Effect.forkChild(noted(`busy ${n}`, `${busy.url}/hold`))
      )
      yield* until(() => busy.held() === 1, "the first is held")
      fibers.push(yield* Effect.forkChild(noted("quiet", `${quiet.url}/now`)))
      const pool = yield* HttpPool
      yield* until(() => pool.stats().queued === 4, "four wait")
      for (let n = 1; n <= 4; n++) {
        yield* until(() => busy.held() === 1, "one is held")
        busy.release()
        yield* until(() => order.includes(`busy ${n}`), "it is answered")
      }
      yield* Effect.forEach(fibers, Fiber.join)
      expect(order).toEqual(["busy 1", "busy 2", "quiet", "busy 3", "busy 4"])
    }).pipe(pooled({ maxConnections: 1 }))
  )

  it.live("refuses by LimitReached what finds the line full, and does not send it again", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const fibers = yield* Effect.forEach([1, 2], () => Effect.forkChild(text(`${host.url}/hold`)))
      const pool = yield* HttpPool
      yield* until(() => host.held() === 1 && pool.stats().queued === 1, "one is held, one waits")
      const error = yield* Effect.flip(HttpClient.get(`${host.url}/now`))
      expect(why(error)).toMatchObject({ _tag: "LimitReached", limit: 1, option: "option maxQueued" })
      expect(error.message).toMatch(/HttpPool: the line/)
      for (const fiber of fibers) {
        yield* until(() => host.held() === 1, "it is held")
        host.release()
        expect(yield* Fiber.join(fiber)).toBe("released")
      }
      expect(host.seen).toEqual(["GET /hold", "GET /hold"])
    }).pipe(pooled({ maxPerHost: 1, maxQueued: 1 }))
  )

  it.live("interrupted in the line, a request leaves it and is never sent", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const first = yield* Effect.forkChild(text(`${host.url}/hold`))
      const second = yield* Effect.forkChild(text(`${host.url}/second`))
      const pool = yield* HttpPool
      yield* until(() => host.held() === 1 && pool.stats().queued === 1, "one is held, one waits")
      yield* Fiber.interrupt(second)
      expect(pool.stats()).toMatchObject({ inFlight: 1, queued: 0 })
      host.release()
      yield* Fiber.join(first)
      expect(yield* text(`${host.url}/third`)).toBe("ok")
      expect(host.seen).toEqual(["GET /hold", "GET /third"])
    }).pipe(pooled({ maxPerHost: 1 }))
  )

  it.live(
    "interrupted on the wire, before headers or in the body, a request ends at the server, and its place is free",
    () =>
      Effect.gen(function* () {
        const host = yield* origin()
        for (const path of ["/hold", "/hold?body"]) {
          const fiber = yield* Effect.forkChild(text(host.url + path))
          yield* until(() => host.held() === 1, "it is held")
          yield* Fiber.interrupt(fiber)
          yield* until(() => host.cut.at(-1) === path, "the server sees it")
          expect(yield* HttpPool.stats).toMatchObject({ inFlight: 0, queued: 0 })
        }
        expect(yield* text(`${host.url}/now`)).toBe("ok")
      }).pipe(pooled({ maxPerHost: 1 }))
  )

  it.live("losers of a FanOut end at their servers", () =>
    Effect.gen(function* () {
      const hosts = yield* Effect.forEach([1, 2, 3], () => origin())
      const targets = hosts.map(({ url }, n) => ({ address: `${n}`, url: url + (n === 1 ? "/now" : "/hold") }))
      const gate = hosts.filter((_, n) => n !== 1)
      // the winner begins when the losers are on the wire
      const ask = ({ address, url }: (typeof targets)[number]) =>
        address === "1"
          ? Effect.andThen(
              until(() => gate.every((host) => host.held() === 1), "the losers are held"),
              text(url)
            )
          : text(url)
      const { answers, late } = yield* FanOut.first(targets, ask)
      expect([answers, late]).toEqual([[{ address: "1", value: "ok" }], ["0", "2"]])
      yield* until(() => gate.every((host) => host.cut.length === 1), "the servers see it")
      expect(yield* HttpPool.stats).toMatchObject({ inFlight: 0, queued: 0, connections: 1 })
    }).pipe(pooled())
  )

  it.live("a connection is in use until its body has been read, or its scope has closed", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const pool = yield* HttpPool
      const client = HttpClient.withScope(yield* HttpClient.HttpClient)
      yield* Effect.scoped(
        Effect.gen(function* () {
          expect((yield* client.get(`${host.url}/hold?body`)).status).toBe(200)
          expect(pool.stats().inFlight).toBe(1)
        })
      )
      yield* until(() => pool.stats().inFlight === 0, "it is given back")
      yield* until(() => host.cut.length === 1, "the server sees it")
      const response = yield* HttpClient.get(`${host.url}/hold?body`)
      expect(pool.stats().inFlight).toBe(1)
      host.release()
      expect(yield* response.text).toBe("first released")
      expect(pool.stats()).toMatchObject({ inFlight: 0, connections: 1 })
    }).pipe(pooled())
  )

  it.live("cuts a body of more bytes than it may have", () =>
    Effect.gen(function* () {
      const host = yield* origin((_, response) => void response.end("x".repeat(2000)))
      const error = yield* Effect.flip(text(host.url))
      expect(error.reason._tag).toBe("DecodeError")
      expect(yield* HttpPool.stats).toMatchObject({ inFlight: 0 })
    }).pipe(pooled({ maxBodyBytes: 1000 }))
  )
})

describe("HttpPool's time-outs", () => {
  it.effect("end a request without headers, and one still in the line, by HttpTimeout; the server sees it", () =>
    Effect.gen(function* () {
      const [host, silent] = [yield* origin(), yield* origin()]
      // its headers are there in time, its body has the host's only connection
      const body = yield* HttpClient.get(`${host.url}/hold?body`)
      const urls = [`${silent.url}/hold`, `${host.url}/later`]
      const fibers = yield* Effect.forEach(urls, (url) => Effect.forkChild(HttpClient.get(url)))
      const pool = yield* HttpPool
      yield* until(() => silent.held() === 1 && pool.stats().queued === 1, "one is held, one waits")
      yield* TestClock.adjust("5 seconds")
      yield* until(() => silent.seen.length === 2 && silent.held() === 1, "the first is sent again")
      yield* TestClock.adjust("5 seconds")
      const errors = yield* Effect.forEach(fibers, (fiber) => Effect.flip(Fiber.join(fiber)))
      expect(errors.map(why)).toMatchObject([
        { _tag: "HttpTimeout", phase: "headers", millis: 5000 },
        { _tag: "HttpTimeout", phase: "line", millis: 5000 }
      ])
      yield* until(() => silent.cut.length === 2, "the server sees it")
      host.release()
      expect(yield* body.text).toBe("first released")
      expect([host.seen, pool.stats()]).toMatchObject([["GET /hold?body"], { inFlight: 0, queued: 0 }])
      // what timed out on the wire may be tried again, not what timed out in the line
      expect(silent.seen).toEqual(["GET /hold", "GET /hold"])
    }).pipe(pooled({ maxPerHost: 1, timeout: "5 seconds", retry: { schedule: Schedule.recurs(1) } }))
  )

  it.effect("cut a body that stands still, read or not; one that moves goes on", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const pool = yield* HttpPool
      const reader = yield* Effect.forkChild(text(`${host.url}/hold?body`))
      yield* until(() => host.held() === 1, "one is held")
      const unread = yield* HttpClient.get(`${host.url}/hold?body`)
      expect([unread.status, pool.stats().inFlight]).toEqual([200, 2])
      // a look every 10 s: not the first, which saw the body begin
      yield* TestClock.adjust("20 seconds")
      const error = yield* Effect.flip(Fiber.join(reader))
      expect([error.reason._tag, pool.stats().inFlight]).toEqual(["DecodeError", 0])
      yield* until(() => host.cut.length === 2, "the server sees it")

      let [beat, done] = [(): unknown => undefined, (): unknown => undefined]
      const moving = yield* origin((_, response) => {
        response.write(".")
        beat = () => response.write(".")
        done = () => response.end()
      })
      const body = yield* Effect.forkChild(text(moving.url))
      yield* until(() => moving.requests === 1 && pool.stats().inFlight === 1, "it has begun")
      for (let n = 0; n < 5; n++) {
        beat()
        yield* settled
        yield* TestClock.adjust("9 seconds")
      }
      done()
      expect(yield* Fiber.join(body)).toBe("......")
    }).pipe(pooled({ bodyTimeout: "10 seconds", timeout: "infinity" }))
  )
})

describe("HttpPool's retries", () => {
  /** Answers as told, one after the other, then "ok". */
  const scripted = (...script: ReadonlyArray<number | "reset">) => {
    let at = 0
    return origin((request, response) => {
      const next = script[at++]
      if (next === "reset") request.socket.resetAndDestroy()
      else if (next !== undefined) response.writeHead(next).end("sorry")
      else response.end("ok")
    })
  }
  const soon = Schedule.recurs(3)

  it.live("send again after a reset, 429 and 503, and give the answer that is neither", () =>
    Effect.gen(function* () {
      const host = yield* scripted("reset", 429, 503)
      expect(yield* text(host.url)).toBe("ok")
      expect(host.seen).toHaveLength(4)
      expect(yield* HttpPool.stats).toMatchObject({ inFlight: 0, queued: 0 })
    }).pipe(pooled({ retry: { schedule: soon } }))
  )

  it.live("end with the schedule: the last answer, or error, is the request's", () =>
    Effect.gen(function* () {
      const host = yield* scripted(503, 503, 503, 500, "reset", "reset", "reset", "reset")
      const response = yield* HttpClient.get(host.url)
      expect([response.status, yield* response.text]).toEqual([500, "sorry"])
      expect(why(yield* Effect.flip(HttpClient.get(host.url))).code).toMatch(/ECONNRESET|UND_ERR_SOCKET/)
      expect(host.seen).toHaveLength(8)
    }).pipe(pooled({ retry: { schedule: soon } }))
  )

  it.live("are not for a POST, nor for a body that is a stream, nor for another answer", () =>
    Effect.gen(function* () {
      const host = yield* scripted(503, 503, 404)
      expect((yield* HttpClient.post(host.url)).status).toBe(503)
      const body = HttpBody.stream(Stream.make("a").pipe(Stream.encodeText))
      expect((yield* HttpClient.put(host.url, { body })).status).toBe(503)
      expect(yield* status(host.url)).toBe(404)
      expect(host.seen).toEqual(["POST /", "PUT /", "GET /"])
    }).pipe(pooled({ retry: { schedule: soon } }))
  )

  it.live("are for what the user says", () =>
    Effect.gen(function* () {
      const host = yield* scripted(503)
      const post = HttpClientRequest.post(host.url).pipe(HttpClientRequest.setHeader("idempotency-key", "1"))
      const client = yield* HttpClient.HttpClient
      expect((yield* client.execute(post)).status).toBe(200)
      expect(host.seen).toEqual(["POST /", "POST /"])
    }).pipe(pooled({ retry: { schedule: soon, may: ({ headers }) => headers["idempotency-key"] !== undefined } }))
  )

  it.effect("wait as the schedule says, and for Retry-After where that is longer", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const fiber = yield* Effect.forkChild(HttpClient.get(`${host.url}/status/503?after=5`))
      yield* until(() => host.seen.length === 1 && host.requests === 0, "it was answered")
      yield* settled
      yield* TestClock.adjust(4999)
      yield* settled
      expect(host.seen).toHaveLength(1)
      yield* TestClock.adjust(1)
      yield* until(() => host.seen.length === 2 && host.requests === 0, "it was sent again")
      yield* Fiber.interrupt(fiber)
      const plain = yield* Effect.forkChild(HttpClient.get(`${host.url}/status/503`))
      yield* until(() => host.seen.length === 3 && host.requests === 0, "it was answered")
      yield* settled
      yield* TestClock.adjust(99)
      yield* settled
      expect(host.seen).toHaveLength(3)
      yield* TestClock.adjust(1)
      yield* until(() => host.seen.length === 4, "it was sent again")
      yield* Fiber.interrupt(plain)
    }).pipe(pooled({ retry: { schedule: Schedule.spaced(100) } }))
  )

  it.live("do not wait for a Retry-After beyond their bound: the answer is the asker's", () =>
    Effect.gen(function* () {
      const host = yield* origin()
      const later = new Date(Date.now() + 3_600_000).toUTCString()
      for (const after of ["31", encodeURIComponent(later)]) {
        const response = yield* HttpClient.get(`${host.url}/status/429?after=${after}`)
        expect([response.status, yield* response.text]).toEqual([429, "sorry"])
      }
      expect(host.seen).toHaveLength(2)
    }).pipe(pooled({ retry: { schedule: soon, maxRetryAfter: "30 seconds" } }))
  )

  it.live("cut an answer that has not ended before they send again, so that one connection is enough", () =>
    Effect.gen(function* () {
      let first = true
      const host = yield* origin((_, response) => {
        if (!first) return void response.end("ok")
        first = false
        response.writeHead(503).write("and on and on")
      })
      expect(yield* text(host.url)).toBe("ok")
      yield* until(() => host.cut.length === 1, "the first is cut")
    }).pipe(pooled({ maxConnections: 1, retry: { schedule: soon } }))
  )
})

/** What sockets have brought has been seen to. */
const settled = Effect.promise(async () => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
})
