/**
 * What a hostile client does not get: a seat that is not counted, a session that was taken from it, the process.
 */
import { createConnection } from "node:net"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Unauthorized } from "troupe/gateway"
import { type LabOptions, type Live, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"
import { stage } from "./Stage.ts"
import { pay, type Visit } from "./Visit.ts"

const at = stage()

const lab = (options: LabOptions = {}): Promise<Live> => at.open(options)

const visit = (query: string, headers: Record<string, string> = {}): Promise<Visit> =>
  pay(`${at.live.url}/a?${query}`, { headers })

const cut = async (raw: Raw): Promise<void> => {
  const { away } = at.live.gateway.stats()
  raw.socket.terminate()
  await until("its session is away", () => at.live.gateway.stats().away === away + 1)
}

/** The status that an upgrade is refused with; 101 when it is not. */
const knock = async (query: string, headers: Record<string, string> = {}): Promise<number> => {
  try {
    const raw = await Raw.open(`${at.live.url}/a?${query}`, { headers })
    raw.socket.terminate()
    return 101
  } catch (error) {
    return Number(/\d{3}/.exec(String(error))?.[0])
  }
}

describe("a session that its agent closes", () => {
  it("is not taken over while its socket still closes: who comes with its token begins anew", async () => {
    await lab()
    const first = await visit("session=new")
    // a peer that never answers the close frame
    first.raw.socket.pause()
    first.raw.send(call(1, "HangUp", { code: 4403, reason: "out" }))
    await until("the agent has answered, and closed it", () => at.live.gateway.stats().framesOut === 2)
    const second = await visit(`session=${first.hello.token}&after=0`)
    expect(second.hello.gap).toBe(true)
    expect(second.hello.token).not.toBe(first.hello.token)
    // and can be closed again
    second.raw.send(call(2, "HangUp", { code: 4403, reason: "out" }))
    expect(await second.raw.closed).toBe(4403)
    first.raw.socket.terminate()
  })
})

describe("the place of a session that is away", () => {
  it("is not free for one that is refused with its token", async () => {
    const authenticate: LabOptions["authenticate"] = ({ headers }) =>
      headers["x-name"] === "ann" ? Effect.succeed({ id: "ann" }) : Effect.fail(new Unauthorized({}))
    await lab({ authenticate, maxConnectionsPerAddress: 2 })
    const ann = { "x-name": "ann" }
    const { raw, hello } = await visit("session=new", ann)
    await cut(raw)
    const back = `session=${hello.token}&after=0`
    expect(await knock(back, { "x-name": "mallory" })).toBe(401)
    const one = await visit("session=new", ann)
    expect(await knock("session=new", ann)).toBe(429)
    // but its own client comes back
    const again = await visit(back, ann)
    expect(again.hello.token).toBe(hello.token)
    one.raw.socket.terminate()
    again.raw.socket.terminate()
  })
})

describe("a token", () => {
  it("that is no well-formed text costs its sender an answer, and nobody the process", async () => {
    await lab({
      authenticate: ({ token }) => (token === undefined ? Effect.succeed({ id: "ann" }) : Effect.die("no jwt"))
    })
    const raw = await Raw.open(`${at.live.url}/a`)
    raw.send(String.raw`{"jsonrpc":"2.0","id":1,"method":"$/auth","params":{"token":"\ud800"}}`)
    expect((await raw.answer(1)).error).toMatchObject({ code: -32603 })
    raw.socket.terminate()
  })
})

describe("a POST", () => {
  it("has its socket for itself: an upgrade behind it cuts both", async () => {
    await lab()
    const { port } = at.live.gateway
    const socket = createConnection(port, "127.0.0.1")
    const body = JSON.stringify(call(1, "Hold", { n: 1 }))
    socket.write(
      `POST /agents/Lab/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}` +
        "GET /agents/Lab/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    socket.on("error", () => {})
    socket.resume()
    await until("it is cut", () => socket.destroyed)
    await until("its place is free", () => at.live.gateway.stats().posts === 0)
    expect(at.live.gateway.stats()).toMatchObject({ connections: 0, heldBytes: 0, closed: {} })
    expect(at.gate.interrupted).toEqual(at.gate.held)
  })
})

describe("repeats of a request", () => {
  it("get its outcome however many keys there are: these are counted, and only outcomes weighed", async () => {
    await lab({ maxMessageRate: 10_000 })
    const { raw } = await visit("session=new")
    const value = "x".repeat(100)
    const keyed = (id: number | string, n: number) => ({
      ...call(id, "Deep", { value }),
      requestKey: `${n}`.padStart(128, "k")
    })
    for (let n = 0; n < 300; n++) raw.send(keyed(n, n))
    await raw.answer(299)
    raw.send(keyed("last", 299))
    raw.send(keyed("first", 0))
    for (const id of ["last", "first"]) expect((await raw.answer(id)).result).toBe(value)
    const { keptBytes } = at.live.gateway.stats()
    expect(keptBytes).toBeGreaterThan(300 * 2 * 128)
    raw.socket.close(1000)
    await until("nothing is kept", () => at.live.gateway.stats().keptBytes === 0)
  })

  it("count against the window of their session, on however many sockets they came", async () => {
    await lab({ maxUnfinished: 4 })
    const keyed = (id: number) => ({ ...call(id, "Hold", { n: 1 }), requestKey: "k" })
    const first = await visit("session=new")
    first.raw.send(keyed(1))
    for (let id = 2; id <= 4; id++) first.raw.send(keyed(id))
    await until("all are begun", () => at.live.gateway.stats().paused === 1)
    const second = await visit(`session=${first.hello.token}&after=0`)
    expect(await first.raw.closed).toBe(4001)
    await until("one is left", () => at.live.gateway.stats().connections === 1)
    const { framesIn } = at.live.gateway.stats()
    second.raw.send(keyed(5))
    await until("it is read", () => at.live.gateway.stats().framesIn === framesIn + 1)
    expect(at.live.gateway.stats().paused).toBe(1)
    at.gate.open()
    for (const id of [1, 2, 3, 4, 5]) expect((await second.raw.answer(id)).result).toBe(1)
    second.raw.socket.terminate()
  })
})
