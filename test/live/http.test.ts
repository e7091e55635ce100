import { Context, Effect, Metric, Redacted } from "effect"
import { request as httpRequest } from "node:http"
import { connect as netConnect } from "node:net"
import { type Handshake, type Principal, Unauthorized } from "troupe/gateway"
import { afterEach, describe, expect, it } from "vitest"
import * as Address from "../../src/kernel/Address.ts"
import { Gate, type LabOptions, type Live, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"

let live: Live | undefined
let gate: Gate

const lab = async (options: LabOptions = {}): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, options)
  return live
}

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

/** The one that a program has which provides none. */
const registry = () => Context.get(Context.empty(), Metric.MetricRegistry)

const base = () => live!.gateway.url.replace(/^ws/, "http")
const get = (path: string, init: RequestInit = {}) => fetch(`${base()}${path}`, init)

const post = (key: string, body: unknown, headers: Record<string, string> = {}) =>
  get(`/agents/Lab/${key}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

describe("GET /readyz", () => {
  it("says 200, and 503 when the host is full", async () => {
    await lab({ maxConnections: 1 })
    expect((await get("/readyz")).status).toBe(200)
    const raw = await Raw.open(`${live!.url}/a`)
    const full = await get("/readyz")
    expect([full.status, await full.text()]).toEqual([503, "this host is full\n"])
    raw.socket.close()
  })

  it.each([
    ["on the public port", {}],
    ["on a port of its own", { admin: { port: 0 } }]
  ])("says 503 while it drains, %s, and then hears nobody any more", async (_, options) => {
    await lab(options)
    const admin = live!.gateway.adminUrl ?? base()
    const url = live!.url
    const raw = await Raw.open(`${live!.url}/a`)
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const closing = live!.close()
    live = undefined
    let status = 200
    while (status === 200) status = (await fetch(`${admin}/readyz`)).status
    expect(status).toBe(503)
    expect(await (await fetch(`${admin}/healthz`)).json()).toMatchObject({ status: "draining" })
    await expect(Raw.open(`${url}/a`)).rejects.toThrow("503")
    gate.stayOpen()
    expect((await raw.answer(1)).result).toBe(1)
    await closing
    await expect(fetch(`${admin}/readyz`)).rejects.toThrow("fetch failed")
    await expect(Raw.open(`${url}/a`)).rejects.toThrow("ECONNREFUSED")
  })
})

describe("GET /metrics", () => {
  it("is Prometheus text: the gateway's, the system's and the program's own, read at scrape", async () => {
    await lab()
    const raw = await Raw.open(`${live!.url}/a`)
    raw.send(call(1, "Kept"))
    await raw.answer(1)
    raw.send("nonsense")
    await raw.answer(null)
    const own = Metric.counter("own_things", { incremental: true })
    await Effect.runPromise(Metric.update(own, 3))
    await expect(Raw.open(`${live!.gateway.url}/agents/Nobody/a`)).rejects.toThrow("404")
    const answer = await get("/metrics")
    expect(answer.headers.get("content-type")).toContain("version=0.0.4")
    const text = await answer.text()
    const value = (name: string) => Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1])
    expect(text).toContain("# TYPE troupe_gateway_connections gauge")
    expect(text).toContain("# TYPE troupe_gateway_frames_in_total counter")
    expect(value("troupe_gateway_connections")).toBe(1)
    expect(value("troupe_gateway_frames_in_total")).toBe(2)
    expect(value("troupe_gateway_invalid_total")).toBe(1)
    expect(value("troupe_actors")).toBe(1)
    expect(text).toMatch(/^troupe_gateway_not_admitted_total\{[^}]*status="404"\} 1$/m)
    expect(text).toMatch(/^own_things 3$/m)
    registry().clear()
  })

  it("is an incident when a metric of the program's own throws, and the host goes on", async () => {
    await lab()
    const throws = (): never => {
      throw new Error("no gauge today")
    }
    const nothing = (): void => {}
    const hooks = { get: throws, update: nothing, modify: nothing }
    const broken = Metric.registerUnsafe(Metric.gauge("broken"), Context.empty(), hooks)
    const answer = await get("/metrics")
    expect([answer.status, await answer.text()]).toEqual([500, expect.stringMatching(/^incident \S+\n$/)])
    expect(gate.logs.join()).toContain("no gauge today")
    broken.remove()
    expect((await get("/metrics")).status).toBe(200)
    registry().clear()
  })

  it("tells gateways apart by the port that each has taken", async () => {
    await lab()
    const { port } = live!.gateway
    expect(await (await get("/metrics")).text()).toContain(`troupe_gateway_connections{gateway="127.0.0.1:${port}"} 0`)
    registry().clear()
  })

  it("has a code from when it comes up, be it after the first scrape", async () => {
    await lab()
    for (const code of [1001, 1000]) {
      const raw = await Raw.open(`${live!.url}/a`)
      raw.socket.close(code)
      let text = ""
      const shown = new RegExp(`^troupe_gateway_closed_total\\{[^}]*code="${code}"[^}]*\\} 1$`, "m")
      while (!shown.test(text)) text = await (await get("/metrics")).text()
    }
    registry().clear()
  })

  it("leaves nothing in the registry when the gateway has closed", async () => {
    await lab()
    const ours = () => [...registry().values()].filter(({ id }) => id.startsWith("troupe_"))
    await get("/metrics")
    expect(ours().length).toBeGreaterThan(20)
    await live!.close()
    live = undefined
    expect(ours()).toEqual([])
  })
})

describe("GET /healthz", () => {
  it("tells strangers how many actors would not end, and whoever is at the admin port which", async () => {
    const told = async (url: string) => {
      await post("s3cret", call(1, "Kept"))
      const { system } = live!.host
      const ended = system.zombie(system.find(Address.child(undefined, "Lab", "s3cret"))!, "a finalizer")
      const text = await (await fetch(`${url}/healthz`)).text()
      ended()
      return [text.includes("s3cret"), (JSON.parse(text) as { system: { zombies: unknown } }).system.zombies]
    }
    await lab()
    expect(await told(base())).toEqual([false, 1])
    await live!.close()
    await lab({ admin: { port: 0 } })
    expect(await told(live!.gateway.adminUrl!)).toEqual([
      true,
      [{ address: "Lab/s3cret", what: "a finalizer", since: expect.any(Number) }]
    ])
  })
})

describe("admin", () => {
  it("has healthz, readyz and metrics on a port of its own, and agents there are none; the public port has none of them", async () => {
    await lab({ admin: { port: 0 } })
    for (const path of ["/healthz", "/readyz", "/metrics"]) {
      expect((await get(path)).status).toBe(404)
      expect((await fetch(`${live!.gateway.adminUrl}${path}`)).status).toBe(200)
    }
    expect((await fetch(`${live!.gateway.adminUrl}/agents/Lab/a`)).status).toBe(404)
    const admin = live!.gateway.adminUrl!.replace("http", "ws")
    await expect(Raw.open(`${admin}/agents/Lab/a`)).rejects.toThrow("404")
  })
})

describe("paths and methods", () => {
  it.each([
    ["GET", "/elsewhere", 404, null],
    ["POST", "/healthz", 405, "GET, HEAD"],
    ["DELETE", "/agents/Lab/a", 405, "GET, POST"],
    ["PUT", "/agents/Lab/a", 405, "GET, POST"],
    ["GET", "/agents/Lab/a", 426, null],
    ["GET", "/agents/Lab", 404, null],
    ["POST", "/agents/Nobody/a", 404, null],
    ["HEAD", "/healthz", 200, null],
    ["GET", "/healthz?verbose", 200, null]
  ])("%s %s is answered %i", async (method, path, status, allow) => {
    await lab()
    const answer = await get(path, { method })
    expect([answer.status, answer.headers.get("allow")]).toEqual([status, allow])
    await answer.text()
  })
})

describe("what is not let in is counted", () => {
  it("by its status, whoever refused it", async () => {
    await lab({ maxFrameBytes: 1000 })
    await get("/elsewhere")
    await expect(Raw.open(`${live!.gateway.url}/elsewhere`)).rejects.toThrow("404")
    await get("/healthz", { method: "POST" })
    await get("/agents/Lab/a", { method: "PUT" })
    await get("/agents/Lab/a")
    await post("a", {}, { "content-type": "text/plain" })
    await post("a", "x".repeat(1001))
    await post("a", {}, { origin: "https://evil.example" })
    await expect(Raw.open(`${live!.url}/a`, { origin: "https://evil.example" })).rejects.toThrow("403")
    await new Promise<void>((resolve) => {
      const asked = httpRequest(`${base()}/healthz`, { headers: { expect: "a miracle" } })
      asked.on("response", (response) => response.resume().on("end", resolve)).end()
    })
    const counted = { 403: 2, 404: 2, 405: 2, 413: 1, 415: 1, 417: 1, 426: 1 }
    await until("all are counted", () => live!.gateway.stats().notAdmitted[413] === 1)
    expect(live!.gateway.stats().notAdmitted).toEqual(counted)
  })

  it("and those that were cut before they asked for anything as at the door", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    const { gateway } = live!
    const sockets = Array.from({ length: 70 }, () => netConnect(gateway.port, "127.0.0.1").on("error", () => {}))
    await until("five are cut", () => gateway.stats().notAdmitted["door"] === 5)
    for (const socket of sockets) socket.destroy()
  })

  it("be it for all that have not asked yet, of any address", async () => {
    await lab({ maxConnections: 1 })
    const { gateway } = live!
    const sockets = Array.from({ length: 1030 }, () => netConnect(gateway.port, "127.0.0.1").on("error", () => {}))
    await until("five are cut", () => gateway.stats().notAdmitted["door"] === 5)
    for (const socket of sockets) socket.destroy()
  })

  it("in figures that stay what they were when they were read", async () => {
    await lab()
    const before = live!.gateway.stats()
    const raw = await Raw.open(`${live!.url}/a`)
    raw.socket.close(1000)
    await get("/elsewhere")
    await until("it is gone", () => live!.gateway.stats().closed[1000] === 1)
    expect(before).toMatchObject({ closed: {}, notAdmitted: {}, framesIn: 0 })
    expect([before.closed, before.notAdmitted]).toEqual([{}, {}])
  })
})

describe("a page of another origin", () => {
  const app = "https://app.example"
  const ask = (origin: string) =>
    get("/agents/Lab/a", { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } })
  const reader = (answer: Response) => answer.headers.get("access-control-allow-origin")

  it.each([
    ["in a list", [app], app],
    ["where any may", "any" as const, "*"]
  ])("%s may POST JSON with a token, and read the answer; cookies are not sent", async (_, origins, allowed) => {
    await lab({ origins })
    const asked = await ask(app)
    expect([asked.status, reader(asked)]).toEqual([204, allowed])
    expect(asked.headers.get("access-control-allow-methods")).toBe("POST")
    expect(asked.headers.get("access-control-allow-headers")).toBe("authorization, content-type")
    const answer = await post("a", call(1, "Kept"), { origin: app })
    expect([answer.status, reader(answer), answer.headers.get("vary")]).toEqual([200, allowed, "origin"])
    for (const { headers } of [asked, answer]) expect(headers.get("access-control-allow-credentials")).toBeNull()
  })

  it("may read why it was refused", async () => {
    await lab({ origins: [app], authenticate: () => Effect.fail(new Unauthorized({})) })
    const answer = await post("a", call(1, "Kept"), { origin: app })
    expect([answer.status, reader(answer)]).toEqual([401, app])
  })

  it.each([
    ["not in the list", [app], "https://evil.example"],
    ["that begins like one in the list", [app], `${app}.evil.example`],
    ["by default", "same" as const, app]
  ])("%s may not", async (_, origins, origin) => {
    await lab({ origins })
    const asked = await ask(origin)
    expect([asked.status, reader(asked)]).toEqual([405, null])
    const answer = await post("a", call(1, "Note", { n: 1 }), { origin })
    expect([answer.status, reader(answer)]).toEqual([403, null])
    expect(gate.noted).toEqual([])
  })
})

describe("POST /agents/{Type}/{key}", () => {
  it("answers a request with its result, a batch with a list, a notification with 204", async () => {
    await lab()
    gate.stayOpen()
    const one = await post("a", call(1, "Hold", { n: 5 }))
    expect([one.status, one.headers.get("content-type")]).toEqual([200, "application/json"])
    expect(await one.json()).toEqual({ jsonrpc: "2.0", id: 1, result: 5 })
    const batch = await post("a", [call(1, "Kept"), notice("Note", { n: 1 }), call("x", "Nope"), 7])
    const answers = (await batch.json()) as ReadonlyArray<Frame>
    expect(answers.map(({ id, error }) => `${id} ${error?.code ?? 0}`).toSorted()).toEqual([
      "1 0",
      "null -32600",
      "x -32601"
    ])
    const noted = await post("a", notice("Note", { n: 2 }))
    expect([noted.status, await noted.text()]).toEqual([204, ""])
    await until("both are handled", () => gate.noted.length === 2)
    expect((await post("a", [notice("Note", { n: 3 })])).status).toBe(204)
    expect(gate.hooks).toEqual([])
  })

  it("reaches the same agent as a socket does, typed errors and incidents included", async () => {
    await lab()
    const raw = await Raw.open(`${live!.url}/a`)
    await post("a", notice("Note", { n: 1 }))
    raw.send(call(1, "Kept"))
    expect((await raw.answer(1)).result).toBe(1)
    const error = async (method: string) => ((await (await post("a", call(1, method))).json()) as Frame).error
    expect(await error("Mute")).toMatchObject({ code: -32000, message: "Muted" })
    expect(await error("Liar")).toMatchObject({ code: -32603, data: { incident: expect.any(String) } })
    expect(await error("Fail")).toMatchObject({ code: -32603, data: { incident: expect.any(String) } })
  })

  it.each([
    ["broken JSON", "not json"],
    ["no call", {}],
    ["a method that it has not", call(1, "Nope")],
    ["a $/ method", call(1, "$/cancel", { id: 1 })],
    ["a stream", call(1, "Count", { to: 3 })],
    ["params that its Schema refuses", notice("Note", { n: "x" })],
    ["params whose Schema throws", call(1, "Touch", { text: "boom" })],
    ["a batch of such", [7, call(1, "Nope"), call(2, "Hold")]]
  ])("makes no agent for %s", async (_, message) => {
    await lab({ maxAgents: 1 })
    for (const key of ["a", "b"]) await post(key, message)
    expect(live!.host.snapshot().spawned).toBe(0)
    const answer = await post("c", call(1, "Kept"))
    expect([answer.status, live!.host.snapshot().spawned]).toEqual([200, 1])
  })

  it("makes its agent once, by the first of a batch that is a valid call; a host that is full answers all of it 503", async () => {
    await lab({ maxAgents: 1 })
    const batch = [7, call(1, "Nope"), notice("Note", { n: 1 }), call(2, "Kept")]
    const answers = (await (await post("a", batch)).json()) as ReadonlyArray<Frame>
    expect(answers.map(({ id }) => id)).toEqual([null, 1, 2])
    expect((await post("b", batch)).status).toBe(503)
    expect((await post("a", batch)).status).toBe(200)
    expect(live!.host.snapshot().spawned).toBe(1)
    expect(live!.gateway.stats()).toMatchObject({ notAdmitted: { 503: 1 } })
    await until("nothing is held", () => live!.gateway.stats().posts + live!.gateway.stats().heldBytes === 0)
  })

  it("is counted for who makes its agent when it makes it: who lets many wait makes no more", async () => {
    await lab({ maxAgentsPerAddress: 2 })
    const body = JSON.stringify(call(1, "Kept"))
    const slow = ["a", "b", "c", "d"].map((key) => {
      const socket = netConnect(live!.gateway.port, "127.0.0.1")
      let answer = ""
      socket.on("data", (chunk) => (answer += chunk.toString()))
      socket.write(
        `POST /agents/Lab/${key} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`
      )
      return { socket, status: () => /^HTTP\/1.1 (\d+) /.exec(answer)?.[1] }
    })
    await until("all are let in", () => live!.gateway.stats().posts === 4)
    for (const { socket } of slow) socket.write(body)
    await until("all are answered", () => slow.every(({ status }) => status() !== undefined))
    const statuses = slow.map(({ status }) => Number(status()))
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 429, 429])
    expect(live!.host.snapshot().actors).toBe(2)
  })

  it.each([
    ["a $/ method", call(1, "$/cancel", { id: 1 }), -32601, "over a WebSocket only"],
    ["a method that answers with a stream", call(1, "Count", { to: 3 }), -32601, "over a WebSocket only"],
    ["params that its Schema refuses", call(1, "Note", { n: "x" }), -32602, ""],
    ["broken JSON", "{", -32700, ""],
    ["an empty batch", [], -32600, ""],
    ["a message nested too deep", `{"a":${"[".repeat(99)}${"]".repeat(99)}}`, -32600, "deep"]
  ])("refuses %s by name", async (_, message, code, data) => {
    await lab()
    const { error } = (await (await post("a", message)).json()) as Frame
    expect(error?.code).toBe(code)
    expect(JSON.stringify(error)).toContain(data)
  })

  it("refuses another content type with 415, another origin with 403, a long body with 413, text that is no UTF-8 with 400", async () => {
    await lab({ maxFrameBytes: 1000 })
    const message = call(1, "Kept")
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]) {
      expect((await post("a", message, { "content-type": type })).status).toBe(415)
    }
    expect((await post("a", message, { "content-type": "application/json; charset=utf-8" })).status).toBe(200)
    expect((await post("a", message, { origin: "https://evil.example" })).status).toBe(403)
    expect((await post("a", "x".repeat(1001))).status).toBe(413)
    const bytes = { method: "POST", headers: { "content-type": "application/json" }, body: Buffer.from([0x22, 0xff]) }
    expect((await get("/agents/Lab/a", bytes)).status).toBe(400)
    expect(live!.gateway.stats()).toMatchObject({ posts: 0, heldBytes: 0 })
  })

  it("refuses a body that turns out too long while it comes", async () => {
    await lab({ maxFrameBytes: 1000 })
    const socket = netConnect(live!.gateway.port, "127.0.0.1")
    socket.on("error", () => {})
    let answer = ""
    socket.on("data", (chunk) => (answer += chunk.toString()))
    socket.write(
      "POST /agents/Lab/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for (let n = 0; n < 3; n++) socket.write(`190\r\n${"x".repeat(400)}\r\n`)
    await until("it is refused", () => answer.includes("\r\n\r\n"))
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    socket.destroy()
    await until("it is gone", () => live!.gateway.stats().posts === 0)
  })

  it("passes authenticate and authorize, and its handler sees the principal", async () => {
    const authenticate = ({ token }: Handshake): Effect.Effect<Principal, Unauthorized> =>
      token === undefined ? Effect.fail(new Unauthorized({})) : Effect.succeed({ id: Redacted.value(token) })
    const authorize = ({ id }: Principal, _: string, key: string) => Effect.succeed(id === key)
    await lab({ authenticate, authorize })
    const refused = await post("ann", call(1, "Who"))
    expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Bearer"])
    expect((await post("bob", call(1, "Who"), { authorization: "Bearer ann" })).status).toBe(403)
    const answer = await post("ann", call(1, "Who"), { authorization: "Bearer ann" })
    expect(await answer.json()).toMatchObject({ result: "ann" })
  })

  it("takes a place among the connections of its address while it is under way", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    const first = post("a", call(1, "Hold", { n: 1 }))
    await until("its handler waits", () => gate.held.length === 1)
    expect(live!.gateway.stats().posts).toBe(1)
    expect((await post("a", call(1, "Kept"))).status).toBe(429)
    gate.stayOpen()
    expect(await (await first).json()).toMatchObject({ result: 1 })
    await until("its place is free", () => live!.gateway.stats().posts === 0)
    expect((await post("a", call(1, "Kept"))).status).toBe(200)
  })

  it("is cancelled when its client goes", async () => {
    await lab()
    const asked = httpRequest(`${base()}/agents/Lab/a`, {
      method: "POST",
      headers: { "content-type": "application/json" }
    })
    asked.on("error", () => {})
    asked.end(JSON.stringify(call(1, "Hold", { n: 1 })))
    await until("its handler waits", () => gate.held.length === 1)
    asked.destroy()
    await until("the handler is interrupted", () => gate.interrupted.length === 1)
    await until("nothing is held", () => live!.gateway.stats().posts + live!.gateway.stats().heldBytes === 0)
  })

  it("gets a timeout after requestTimeout, though that is longer than a stranger may dawdle", async () => {
    await lab({ requestTimeout: 300, handshakeTimeout: 100 })
    const answer = await post("a", call(1, "Hold", { n: 1 }))
    expect(await answer.json()).toMatchObject({ error: { code: -32003 } })
  })

  it("is answered before the gateway has drained", async () => {
    await lab()
    const asked = post("a", call(1, "Hold", { n: 1 }))
    await until("its handler waits", () => gate.held.length === 1)
    const closing = live!.close()
    live = undefined
    gate.stayOpen()
    expect(await (await asked).json()).toMatchObject({ result: 1 })
    await closing
  })
})
