import { Effect, Redacted } from "effect"
import { request as httpRequest } from "node:http"
import { connect as netConnect } from "node:net"
import { Forbidden, type Handshake, type Principal, Unauthorized } from "troupe/gateway"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Gate, type LabOptions, type Live, open, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"
import { selfSigned } from "./SelfSigned.ts"

let live: Live | undefined
let gate: Gate

const lab = async (options: LabOptions = {}): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, options)
  return live
}
const client = (key: string, options = {}): Promise<Raw> => Raw.open(`${live!.url}/${key}`, options)

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

/** Asks for an upgrade by hand; 101 when it is granted. */
const knock = (path: string, headers: Record<string, string> = {}) =>
  new Promise<{ status: number; body: string; challenge: string | undefined; protocol: string | undefined }>(
    (resolve, reject) => {
      const asked = httpRequest(`${live!.url.replace("ws", "http")}/${path}`, {
        headers: {
          connection: "Upgrade",
          upgrade: "websocket",
          "sec-websocket-version": "13",
          "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
          ...headers
        }
      })
      asked.on("error", reject)
      asked.on("upgrade", (response, socket) => {
        socket.destroy()
        resolve({ status: 101, body: "", challenge: undefined, protocol: response.headers["sec-websocket-protocol"] })
      })
      asked.on("response", (response) => {
        let body = ""
        response.on("data", (chunk: Buffer) => (body += chunk.toString()))
        response.on("end", () => {
          const challenge = response.headers["www-authenticate"]
          resolve({ status: response.statusCode!, body, challenge, protocol: undefined })
        })
      })
      asked.end()
    }
  )

const inAnHour = () => Date.now() + 3_600_000

/** Lets in who has a token "<id>.<anything>"; some ids do something else. */
const authenticate = ({ token }: Handshake): Effect.Effect<Principal, Unauthorized> => {
  if (token === undefined) return Effect.fail(new Unauthorized({ reason: "no token" }))
  const [id = ""] = Redacted.value(token).split(".")
  if (id === "bad") return Effect.fail(new Unauthorized({ reason: `bad token ${Redacted.value(token)}` }))
  if (id === "boom") return Effect.die(new Error(`cannot read ${Redacted.value(token)}`))
  if (id === "throw") throw new Error(`cannot read ${Redacted.value(token)}`)
  if (id === "nobody") return Effect.succeed({ id: "" })
  if (id === "old") return Effect.succeed({ id, expiresAt: Date.now() - 1 })
  if (id === "brief") return Effect.succeed({ id, expiresAt: Date.now() + 200 })
  return Effect.succeed({ id, expiresAt: inAnHour() })
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

describe("authenticate", () => {
  it("says who a client is, to its agent too, by header, subprotocol or query", async () => {
    await lab({ authenticate })
    await client("a", bearer("ann.1"))
    const socket = new WebSocket(`${live!.url}/a`, ["troupe", "bearer.bob.2"])
    await new Promise((resolve) => socket.once("open", resolve))
    expect(socket.protocol).toBe("troupe")
    const carl = await Raw.open(`${live!.url}/a?token=carl.3`)
    carl.send(call(1, "Who"))
    expect((await carl.answer(1)).result).toBe("carl")
    expect(gate.principals.map((principal) => principal?.id)).toEqual(["ann", "bob", "carl"])
    socket.terminate()
  })

  it("is answered 401 with a challenge for no token or a bad one, 500 with an incident for a defect; none names a token", async () => {
    await lab({ authenticate })
    expect(await knock("a")).toMatchObject({ status: 401, challenge: "Bearer" })
    for (const id of ["bad", "old"]) {
      const refused = await knock("a", { authorization: `Bearer ${id}.s3cret` })
      expect(refused).toMatchObject({ status: 401, challenge: 'Bearer error="invalid_token"', body: "unauthorized\n" })
    }
    for (const id of ["boom", "throw", "nobody"]) {
      const failed = await knock("a", { authorization: `Bearer ${id}.s3cret` })
      expect(failed.status).toBe(500)
      const incident = /^incident (\S+)\n$/.exec(failed.body)![1]!
      await until("it is logged", () => gate.logs.some((line) => line.includes(`(incident ${incident})`)))
    }
    expect(gate.logs.join()).toContain("cannot read <token>")
    expect(gate.logs.join()).not.toContain("s3cret")
    expect(live!.gateway.stats()).toMatchObject({ connections: 0, notAdmitted: { 401: 3, 500: 3 } })
    expect(gate.hooks).toEqual([])
  })

  it("leaves the token of a session out of the log when it fails over the URL that it saw, and over the token itself", async () => {
    const session = "S".repeat(43)
    const failing = (handshake: Handshake) =>
      Effect.die(new Error(`cannot read ${handshake.url} of ${handshake.session && Redacted.value(handshake.session)}`))
    await lab({ authenticate: failing })
    expect((await knock(`a?session=${session}&after=0&token=s3cret`)).status).toBe(500)
    await until("it is logged", () => gate.logs.length > 0)
    expect(gate.logs.join()).toContain("cannot read /agents/Lab/a?after=0 of <session>")
    expect(gate.logs.join()).not.toContain(session)
  })

  it("is not shown a token that stands alone among the subprotocols: nothing could be answered that is no token", async () => {
    await lab({ authenticate })
    expect(await knock("a", { "sec-websocket-protocol": "bearer.ann.s3cret" })).toMatchObject({
      status: 400,
      body: expect.stringContaining('"troupe"')
    })
    const both = await knock("a", { "sec-websocket-protocol": "bearer.ann.s3cret, troupe" })
    expect(both).toMatchObject({ status: 101, protocol: "troupe" })
  })

  it("has handshakeTimeout; then it is interrupted, and 503 is the answer", async () => {
    let interrupted = 0
    const slow = () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
    await lab({ authenticate: slow, handshakeTimeout: 50 })
    expect((await knock("a")).status).toBe(503)
    expect(interrupted).toBe(1)
  })

  it.each(["end", "destroy", "resetAndDestroy"] as const)("is interrupted when the socket goes by %s", async (way) => {
    let begun = 0
    let interrupted = 0
    const slow = () =>
      Effect.onInterrupt(
        Effect.suspend(() => {
          begun++
          return Effect.never
        }),
        () => Effect.sync(() => void interrupted++)
      )
    await lab({ authenticate: slow, maxConnectionsPerAddress: 1 })
    const socket = netConnect(live!.gateway.port, "127.0.0.1")
    socket.on("error", () => {})
    socket.write(
      "GET /agents/Lab/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    await until("it is asked", () => begun === 1)
    socket[way]()
    await until("it is interrupted", () => interrupted === 1)
    const second = client("a").catch(() => {})
    await until("its place is free", () => begun === 2)
    await live!.close()
    live = undefined
    await second
  })

  it("runs before the upgrade", async () => {
    let letIn: (() => void) | undefined
    const gated = () =>
      Effect.callback<Principal>((resume) => void (letIn = () => resume(Effect.succeed({ id: "ann" }))))
    await lab({ authenticate: gated })
    const opening = client("a")
    await until("it is asked", () => letIn !== undefined)
    expect([live!.gateway.stats().connections, gate.hooks]).toEqual([0, []])
    letIn!()
    const raw = await opening
    raw.send(call(1, "Who"))
    expect((await raw.answer(1)).result).toBe("ann")
  })
})

describe("authorize", () => {
  it("is asked for the agent: false and Forbidden are 403, a defect 500, nothing or true lets in", async () => {
    const authorize = ({ id }: Principal, type: string, key: string) => {
      if (key === "closed") return Effect.succeed(false)
      if (key === "forbidden") return Effect.fail(new Forbidden({}))
      if (key === "broken") return Effect.die("secret")
      return key === `${type}-${id}` ? Effect.void : Effect.succeed(true)
    }
    await lab({ authenticate, authorize })
    const status = async (key: string) => (await knock(key, { authorization: "Bearer ann.1" })).status
    expect(await status("closed")).toBe(403)
    expect(await status("forbidden")).toBe(403)
    expect(await status("broken")).toBe(500)
    expect(await status("Lab-ann")).toBe(101)
    expect(await status("other")).toBe(101)
    expect((await knock("other")).status).toBe(401)
  })
})

describe("expiresAt", () => {
  it("closes 4401 then", async () => {
    await lab({ authenticate })
    const raw = await client("a", bearer("brief.1"))
    expect(await raw.closed).toBe(4401)
    await until("the agent hears it", () => gate.hooks.at(-1)!.endsWith("left 4401"))
    expect(live!.host.snapshot().timers).toBe(1) // the heartbeat's
  })

  it("is waited for no longer than its connection is there", async () => {
    await lab({ authenticate })
    const { timers } = live!.host.snapshot()
    const raw = await client("a", bearer("ann.1"))
    expect(live!.host.snapshot().timers).toBe(timers + 1)
    raw.socket.terminate()
    await until("it is gone", () => live!.gateway.stats().connections === 0)
    expect(live!.host.snapshot().timers).toBe(timers)
  })

  it("is moved by $/auth of the same principal, which answers with the new one", async () => {
    const first = Date.now() + 200
    const ends = [first, inAnHour()]
    await lab({ authenticate: () => Effect.succeed({ id: "ann", expiresAt: ends.shift()! }) })
    const raw = await client("a")
    const expiresAt = ends[0]
    raw.send(call(1, "$/auth", { token: "newer" }))
    expect((await raw.answer(1)).result).toEqual({ expiresAt })
    await until("the first is past by over a second", () => Date.now() > first + 1200)
    raw.send(call(2, "Who"))
    expect((await raw.answer(2)).result).toBe("ann")
  })

  it("$/auth by another principal gets -32600 and closes 4401; a bad token gets -32600, a defect an incident, and all goes on", async () => {
    await lab({ authenticate })
    const raw = await client("a", bearer("ann.1"))
    raw.send(call(1, "$/auth", { token: "bad.s3cret" }))
    expect((await raw.answer(1)).error).toEqual({ code: -32600, message: "Invalid Request", data: "unauthorized" })
    raw.send(call(2, "$/auth", { token: "boom.s3cret" }))
    expect((await raw.answer(2)).error).toMatchObject({ code: -32603, data: { incident: expect.any(String) } })
    raw.send(call(3, "$/auth", { token: 7 }))
    expect((await raw.answer(3)).error?.code).toBe(-32602)
    raw.send({ jsonrpc: "2.0", method: "$/auth", params: { token: "bob.1" } })
    raw.send(call(4, "Who"))
    expect((await raw.answer(4)).result).toBe("ann")
    raw.send(call(5, "$/auth", { token: "bob.1" }))
    expect((await raw.answer(5)).error).toMatchObject({ code: -32600, data: "another principal" })
    expect(await raw.closed).toBe(4401)
    expect(gate.logs.join()).not.toContain("s3cret")
  })

  it("$/auth is no method of a gateway without authenticate", async () => {
    await lab()
    const raw = await client("a")
    raw.send(call(1, "$/auth", { token: "x" }))
    expect((await raw.answer(1)).error?.code).toBe(-32601)
  })

  it("a renewal under way is interrupted when the socket goes", async () => {
    let asked = 0
    let interrupted = 0
    const slow = () => {
      if (++asked === 1) return Effect.succeed({ id: "ann" })
      return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
    }
    await lab({ authenticate: slow })
    const raw = await client("a")
    raw.send(call(1, "$/auth", { token: "x" }))
    raw.send(call(2, "$/auth", { token: "y" }))
    expect((await raw.answer(2)).error).toMatchObject({ code: -32600, data: "one is under way" })
    raw.socket.terminate()
    await until("it is interrupted", () => interrupted === 1)
  })
})

describe("origin", () => {
  it("is by default the same; a page of another gets 403, who sends none comes in", async () => {
    await lab()
    const host = `127.0.0.1:${live!.gateway.port}`
    expect((await knock("a", { origin: `http://${host}` })).status).toBe(101)
    expect((await knock("a", { origin: "https://evil.example" })).status).toBe(403)
    expect((await knock("a", { origin: "null" })).status).toBe(403)
    expect((await knock("a")).status).toBe(101)
  })

  it("is one of a list, where there is one; or any", async () => {
    await lab({ origins: ["https://app.example"] })
    expect((await knock("a", { origin: "https://app.example" })).status).toBe(101)
    expect((await knock("a", { origin: `http://127.0.0.1:${live!.gateway.port}` })).status).toBe(403)
    await live!.close()
    await lab({ origins: "any" })
    expect((await knock("a", { origin: "https://evil.example" })).status).toBe(101)
  })
})

describe("how many", () => {
  it("connections an address: one more gets 429, and comes in when one has gone", async () => {
    await lab({ maxConnectionsPerAddress: 2 })
    const [first] = [await client("a"), await client("b")]
    await expect(client("c")).rejects.toThrow("429")
    await expect(client("c", { localAddress: "127.0.0.9" })).resolves.toBeDefined()
    first.socket.close()
    await until("it is gone", () => live!.gateway.stats().connections === 2)
    await client("c")
  })

  it.each([
    ["plain", undefined],
    ["TLS", selfSigned()]
  ])(
    "sockets of an address that ask for nothing, %s: past 64 more than its connections they are cut",
    async (_, tls) => {
      await lab({ maxConnectionsPerAddress: 1, ...(tls && { tls }) })
      const silent = (localAddress: string) => {
        const socket = netConnect({ port: live!.gateway.port, host: "127.0.0.1", localAddress })
        const state = { socket, cut: false }
        socket.on("error", () => {})
        socket.on("close", () => (state.cut = true))
        return state
      }
      const sockets = Array.from({ length: 65 }, () => silent("127.0.0.1"))
      const more = silent("127.0.0.1")
      await until("one more is cut", () => more.cut)
      expect(sockets.filter(({ cut }) => cut)).toEqual([])
      const raw = await Raw.open(`${live!.url}/a`, { localAddress: "127.0.0.9", rejectUnauthorized: false })
      raw.socket.terminate()
      for (const { socket } of sockets) socket.destroy()
      await until("all are gone", () => sockets.every(({ cut }) => cut))
      // the gateway hears of it a moment later
      const comeIn = (): Promise<Raw> => Raw.open(`${live!.url}/a`, { rejectUnauthorized: false }).catch(() => comeIn())
      for (let n = 0; n < 70; n++) {
        const again = await comeIn()
        again.socket.terminate()
        await until("it is gone", () => live!.gateway.stats().connections === 0)
      }
    }
  )

  it("connections an address: this host's own are not counted by default, those behind a proxy on it are", async () => {
    await lab({ trustProxy: 1 })
    const behind = { headers: { "x-forwarded-for": "6.6.6.6, 203.0.113.7" } }
    for (let n = 0; n < 256; n++) await client("a", behind)
    await expect(client("a", behind)).rejects.toThrow("429")
    await client("a", { headers: { "x-forwarded-for": "203.0.113.8" } })
    await client("a")
  })

  it("connections a principal: one more gets 429, another principal comes in", async () => {
    await lab({ authenticate, maxConnectionsPerPrincipal: 1 })
    const ann = await client("a", bearer("ann.1"))
    await expect(client("a", bearer("ann.2"))).rejects.toThrow("429")
    await client("a", bearer("bob.1"))
    ann.socket.close()
    await until("she is gone", () => live!.gateway.stats().connections === 1)
    await client("a", bearer("ann.3"))
  })

  it("connections in all: also those that were let in while the last place was taken", async () => {
    const waiting: Array<() => void> = []
    const gated = () =>
      Effect.callback<Principal>((resume) => void waiting.push(() => resume(Effect.succeed({ id: "x" }))))
    await lab({ authenticate: gated, maxConnections: 1 })
    const both = Promise.allSettled([client("a"), client("b")])
    await until("both are asked for", () => waiting.length === 2)
    for (const go of waiting) go()
    expect((await both).map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"])
  })

  it("living agents that a principal made: one more key gets 429, a living one does not, and an ended one counts no more", async () => {
    await lab({ authenticate, maxAgentsPerPrincipal: 2 })
    const [a] = [await client("a", bearer("ann.1")), await client("b", bearer("ann.1"))]
    await expect(client("c", bearer("ann.1"))).rejects.toThrow("429")
    await client("c", bearer("bob.1"))
    await client("c", bearer("ann.1"))
    a.send(call(1, "Stop"))
    expect(await a.closed).toBe(1001)
    await client("d", bearer("ann.1"))
  })
})

describe("living agents that an address made, where nobody is known", () => {
  it("are bounded: one more key gets 429, by a socket or a POST; a living one does not, and an ended one counts no more", async () => {
    await lab({ maxAgentsPerAddress: 2 })
    const from = (localAddress: string) => ({ localAddress })
    const post = (key: string) =>
      fetch(`${live!.url.replace("ws", "http")}/${key}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(call(1, "Kept"))
      }).then(({ status }) => status)
    const a = await client("a", from("127.0.0.1"))
    expect([await post("b"), await post("c"), await post("a")]).toEqual([200, 429, 200])
    await expect(client("c", from("127.0.0.1"))).rejects.toThrow("429")
    await client("c", from("127.0.0.9"))
    await client("c", from("127.0.0.1"))
    a.send(call(1, "Stop"))
    expect(await a.closed).toBe(1001)
    await client("d", from("127.0.0.1"))
    expect(live!.gateway.stats().notAdmitted).toEqual({ 429: 2 })
  })

  it("are counted by the first 64 bits of IPv6; those that this host itself made, or made anew, are not by default", async () => {
    await lab({ trustProxy: 1, maxAgentsPerAddress: 1 })
    const behind = (address: string) => ({ headers: { "x-forwarded-for": address } })
    await client("a", behind("2001:db8::1"))
    await expect(client("b", behind("2001:db8::2"))).rejects.toThrow("429")
    await client("b", behind("2001:db8:0:1::2"))
    await live!.close()
    await lab({ trustProxy: 1 })
    for (let n = 0; n < 1024; n++) (await client(`a${n}`, behind("203.0.113.7"))).socket.terminate()
    await expect(client("b", behind("203.0.113.7"))).rejects.toThrow("429")
    for (let n = 0; n < 3; n++) await client(`b${n}`)
    const own = await client("a7")
    own.send(call(1, "Stop"))
    expect(await own.closed).toBe(1001)
    await client("a7")
    await client("b", behind("203.0.113.7"))
    await expect(client("c", behind("203.0.113.7"))).rejects.toThrow("429")
  })

  it("are the principals' where there are principals", async () => {
    await lab({ authenticate, maxAgentsPerAddress: 1 })
    for (const key of ["a", "b", "c"]) await client(key, bearer(`${key}.1`))
  })
})

describe("TLS", () => {
  it("serves wss and https by a key and a certificate, and tells strangers nothing", async () => {
    const { key, cert } = selfSigned()
    await lab({ tls: { key, cert } })
    expect(live!.url).toMatch(/^wss:/)
    const raw = await client("a", { ca: cert })
    raw.send(call(1, "Kept"))
    expect((await raw.answer(1)).result).toBe(0)
    await expect(client("a")).rejects.toThrow("self-signed")
    await expect(fetch(live!.url.replace("wss", "http"))).rejects.toThrow("fetch failed")
    raw.socket.close()
    await until("it is gone", () => live!.gateway.stats().connections === 0)
  })
})
