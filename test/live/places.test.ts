/**
 * In which order the door asks, and when a place is free: a place that leaks shuts a client out, one given twice lets two in.
 */
import { Context, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { Rpc } from "effect/rpc"
import { connect as netConnect } from "node:net"
import { setImmediate as turn } from "node:timers/promises"
import { Actor, ActorSystem, Agent } from "troupe"
import { Gateway, type Principal, Unauthorized } from "troupe/gateway"
import { describe, expect, it } from "vitest"
import { Bare } from "./Bare.ts"
import { type Headers, upgrade } from "./Frames.ts"
import { type LabOptions, type Live, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"
import { stage } from "./Stage.ts"
import { pay, type Visit } from "./Visit.ts"

const at = stage()

const lab = (options: LabOptions = {}): Promise<Live> => at.open(options)

const stats = () => at.live.gateway.stats()
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const client = (key: string, options = {}): Promise<Raw> => Raw.open(`${at.live.url}/${key}`, options)
const begin = (options = {}): Promise<Visit> => pay(`${at.live.url}/a?session=new`, options)
const back = ({ hello }: Visit, options = {}): Promise<Visit> =>
  pay(`${at.live.url}/a?session=${hello.token}&after=0`, options)

/** Cuts the socket, and waits until its session is away. */
const cut = async ({ raw }: Visit): Promise<void> => {
  raw.socket.terminate()
  await until("its session is away", () => stats().away === 1)
}

const post = (path: string, message: unknown): Promise<Response> =>
  fetch(`${at.live.url.replace("ws", "http")}/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(message)
  })

const here = "127.0.0.1"
const there = "127.0.0.9"

describe("the door asks", () => {
  /** What an upgrade is answered with. */
  const knock = async (from: string, path: string, headers: Headers = {}): Promise<string | undefined> => {
    const bare = await Bare.open(at.live.gateway.port, from)
    await bare.write(upgrade(path, headers))
    await bare.gone()
    return bare.heard[0]
  }

  it("for the path, the key, the host, the origin, what could be answered, the wish, room, the address; then who it is", async () => {
    const asked: Array<string> = []
    await lab({
      maxConnections: 2,
      maxConnectionsPerAddress: 1,
      maxConnectionsPerPrincipal: 1,
      maxAgentsPerPrincipal: 1,
      authenticate: ({ token }) => {
        const id = token && Redacted.value(token)
        asked.push(id ?? "nobody")
        return id === undefined ? Effect.fail(new Unauthorized({})) : Effect.succeed({ id })
      },
      authorize: (_, __, key) => Effect.succeed(key !== "secret")
    })
    const ann = await client("a", { headers: bearer("ann") })
    const bob = await client("a", { headers: bearer("bob"), localAddress: there })
    const mute = { "Sec-WebSocket-Protocol": "bearer.ann" }
    const foreign = { ...mute, Origin: "https://evil.example" }
    const wrong = { ...foreign, host: "evil.example" }
    const lab404 = /^404 no such path/
    expect(await knock(here, "/agents/Lab/a/b?session=", wrong)).toMatch(lab404)
    expect(await knock(here, "/agents/Nobody/%zz?session=", wrong)).toMatch(lab404)
    expect(await knock(here, "/agents/Lab/%zz?session=", wrong)).toMatch(/^400 the key is not/)
    expect(await knock(here, "/agents/Lab/secret?session=", wrong)).toBe("400 a request names one Host")
    expect(await knock(here, "/agents/Lab/secret?session=", foreign)).toMatch(/^403 a page of this origin/)
    expect(await knock(here, "/agents/Lab/secret?session=", mute)).toMatch(/^400 offer the subprotocol/)
    expect(await knock(here, "/agents/Lab/secret?session=")).toMatch(/^400 session is neither/)
    expect(await knock(here, "/agents/Lab/secret")).toBe("503 this host is full")
    bob.socket.close()
    await until("he is gone", () => stats().connections === 1)
    expect(await knock(here, "/agents/Lab/secret")).toBe("429 too many connections of this address")
    expect(asked).toEqual(["ann", "bob"])
    expect(await knock(there, "/agents/Lab/secret")).toBe("401 unauthorized")
    expect(await knock(there, "/agents/Lab/secret", bearer("ann"))).toBe("403 forbidden")
    expect(await knock(there, "/agents/Lab/b", bearer("ann"))).toBe("429 too many connections of this principal")
    ann.socket.close()
    await until("she is gone", () => stats().connections === 0)
    expect(await knock(there, "/agents/Lab/b", bearer("ann"))).toBe("429 too many agents of this principal")
    expect(stats().notAdmitted).toEqual({ 400: 4, 401: 1, 403: 2, 404: 2, 429: 3, 503: 1 })
  })
})

describe("the place", () => {
  it("of one that may make no agent is free for the next of its address", async () => {
    await lab({ maxAgents: 1, maxConnectionsPerAddress: 2 })
    await client("a")
    for (let n = 0; n < 3; n++) await expect(client("b")).rejects.toThrow("503")
    await client("a")
  })

  it("of a session is free once when it has ended while it was away", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    await cut(await begin({ localAddress: there }))
    const other = await client("a")
    await expect(begin({ localAddress: there })).rejects.toThrow("429")
    other.send(call(1, "Stop"))
    expect(await other.closed).toBe(1001)
    await until("the session has ended", () => stats().sessions === 0)
    await client("b", { localAddress: there })
    await expect(client("b", { localAddress: there })).rejects.toThrow("429")
  })

  it("of a session whose client came back is one", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    const first = await begin()
    await cut(first)
    const second = await back(first)
    second.raw.socket.close(1000)
    await until("it has gone", () => stats().connections === 0)
    await client("a")
  })

  it("of a session at one address is none at another", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    const visit = await begin({ localAddress: there })
    const other = await client("a", { localAddress: here })
    await expect(back(visit, { localAddress: here })).rejects.toThrow("429")
    other.socket.close()
    await until("the other is gone", () => stats().connections === 1)
    expect((await back(visit, { localAddress: here })).hello.token).toBe(visit.hello.token)
  })

  it("of a session is free for nobody else: not with another agent, nor for a POST", async () => {
    await lab({ maxConnections: 1 })
    const { hello, raw } = await begin()
    const query = `session=${hello.token}&after=0`
    await expect(client(`b?${query}`)).rejects.toThrow("503")
    expect((await post(`a?${query}`, call(1, "Kept"))).status).toBe(503)
    raw.send(call(1, "Kept"))
    expect((await raw.answer(1)).result).toBe(0)
  })

  it("of a session that ended while its client was asked who it is, is not given a second time", async () => {
    const waiting: Array<() => void> = []
    let gated = false
    const authenticate = () =>
      Effect.callback<Principal>((resume) => {
        const go = () => resume(Effect.succeed({ id: "ann" }))
        if (gated) waiting.push(go)
        else go()
      })
    await lab({ maxConnections: 1, authenticate })
    const visit = await begin()
    gated = true
    const again = back(visit)
    again.catch(() => {})
    await until("it is asked about", () => waiting.length === 1)
    visit.raw.socket.close(1000)
    await until("the session has ended", () => stats().sessions === 0)
    gated = false
    await client("a")
    waiting[0]!()
    await expect(again).rejects.toThrow("503")
  })

  it("of a session has, beside its socket, one that was taken over and is slow to close: the one before is cut", async () => {
    await lab({ maxConnections: 1, handshakeTimeout: "1 hour" })
    const first = await begin()
    first.raw.socket.pause()
    const second = await back(first)
    second.raw.socket.pause()
    expect(stats().connections).toBe(2)
    const third = await back(first)
    await until("the first is cut", () => stats().connections === 2)
    for (const { raw } of [first, second, third]) raw.socket.terminate()
  })
})

describe("a POST that calls nothing", () => {
  it("is told what is wrong with it, also where no more agents may be made", async () => {
    await lab({ maxAgents: 1 })
    await client("a")
    const answer = await post("b", call(1, "Nope"))
    expect([answer.status, ((await answer.json()) as { error: { code: number } }).error.code]).toEqual([200, -32601])
    expect(stats().notAdmitted).toEqual({})
  })
})

describe("sockets that have asked for nothing", () => {
  it("are not cut for their number behind a proxy: there all have its address", async () => {
    await lab({ maxConnectionsPerAddress: 1, trustProxy: 1 })
    let cuts = 0
    const sockets = Array.from({ length: 70 }, () => {
      const socket = netConnect(at.live.gateway.port, here)
      socket.on("error", () => {}).on("close", () => cuts++)
      return socket
    })
    await client("a", { headers: { "x-forwarded-for": "203.0.113.7" } })
    await turn()
    expect(cuts).toBe(0)
    expect(stats().notAdmitted).toEqual({})
    for (const socket of sockets) socket.destroy()
  })
})

describe("maxAgents", () => {
  it("are those of all types together", async () => {
    const kinds = ["One", "Two"].map((type) =>
      Agent.make(type, { state: Schema.Struct({}), clients: [Rpc.make("Hi", { success: Schema.String })] }).behavior({
        initial: {},
        on: { Hi: () => Actor.reply("hi") }
      })
    )
    const scope = Scope.makeUnsafe()
    const layer = Gateway.layer({ port: 0, agents: kinds, maxAgents: 2 }).pipe(Layer.provide(ActorSystem.layer))
    const { url } = Context.get(await Effect.runPromise(Layer.buildWithScope(layer, scope)), Gateway)
    const raws = [await Raw.open(`${url}/agents/One/a`), await Raw.open(`${url}/agents/One/b`)]
    for (const type of ["One", "Two"]) await expect(Raw.open(`${url}/agents/${type}/c`)).rejects.toThrow("503")
    for (const raw of raws) raw.socket.terminate()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })
})
