import { type ClientOptions, connect, Disconnected } from "troupe/client"
import { describe, expect, it } from "vitest"
import { url } from "./Visit.ts"
import { outcome, settled, World } from "./World.ts"

describe("the credential", () => {
  const tokens = (...all: ReadonlyArray<string | Error>) => {
    const asked: Array<string | Error> = []
    const credential = async () => {
      const next = all[asked.length]!
      asked.push(next)
      if (next instanceof Error) throw next
      return next
    }
    return { asked, credential }
  }
  const connecting = (options: ClientOptions) => {
    const world = new World()
    const client = connect(url, world.options({ heartbeatMillis: Infinity, ...options }))
    return { world, client }
  }

  it("goes with each attempt as a subprotocol, and is no part of any url", () => {
    const { world, client } = connecting({ session: true, credential: "a.b-c_d" })
    world.socket.end(1006)
    world.advance(50)
    for (const socket of world.sockets) {
      expect(socket.protocols).toEqual(["troupe", "bearer.a.b-c_d"])
      expect(socket.query).toBe("?session=new")
    }
    expect(client.url).toBe(url)
    expect(connecting({ credential: "x" }).world.socket.url).toBe(url)
    expect(connecting({}).world.socket.protocols).toBeUndefined()
  })

  it.each([
    ["a b&c", "a+b%26c"],
    ["base64/+=", "base64%2F%2B%3D"],
    ["ü,", "%C3%BC%2C"]
  ])("that no subprotocol can bear, %j, goes as ?token=", (credential, token) => {
    const { world, client } = connecting({ credential })
    expect(world.socket.query).toBe(`?token=${token}`)
    expect(world.socket.protocols).toBeUndefined()
    expect(client.url).toBe(url)
  })

  it("that expired (4401) is fetched anew, and the session goes on", async () => {
    const { asked, credential } = tokens("one", "two")
    const { world, client } = connecting({ session: true, credential })
    expect(client.status.state).toBe("connecting")
    expect(world.sockets.length).toBe(0)
    await settled()
    expect(world.socket.protocols?.[1]).toBe("bearer.one")
    world.socket.open()
    world.socket.session()
    const answer = client.ask("A")
    world.socket.end(4401)
    expect(client.status).toMatchObject({ state: "waiting", code: 4401 })
    world.advance(50)
    await settled()
    expect(world.socket.protocols?.[1]).toBe("bearer.two")
    expect(world.socket.query).toBe("?session=t1&after=0")
    world.socket.open()
    world.socket.session()
    world.socket.answerAt(1, 1, "a")
    expect(await answer).toBe("a")
    expect(asked).toEqual(["one", "two"])
  })

  it.each([[undefined], ["text"]])("that expired and is %s closes the client", async (credential) => {
    const { world, client } = connecting(credential === undefined ? {} : { credential })
    world.socket.open()
    world.socket.end(4401, "expired")
    expect(client.status).toEqual({ state: "closed", code: 4401, reason: "expired", local: false })
  })

  it("that cannot be had is a vain attempt: backed off, then tried anew", async () => {
    const { credential } = tokens(new Error("no network"), "one")
    const { world, client } = connecting({ credential })
    await settled()
    expect(client.status).toMatchObject({ state: "waiting", code: 1006, reason: "no credential: Error: no network" })
    world.advance(50)
    await settled()
    expect(world.socket.protocols?.[1]).toBe("bearer.one")
  })

  it("refused again and again backs off", async () => {
    const { credential } = tokens(...Array(10).fill("stale"))
    const { world } = connecting({ credential })
    world.random = 1
    const delays: Array<number | undefined> = []
    for (let n = 0; n < 4; n++) {
      await settled()
      world.socket.open()
      world.socket.end(4401)
      delays.push(world.next)
      world.advance(world.next!)
    }
    expect(delays).toEqual([50, 100, 200, 400])
  })

  it("that is not there within 10 s, or comes after that, opens nothing", async () => {
    let give = (_: string): void => {}
    const { world, client } = connecting({ credential: () => new Promise((resolve) => (give = resolve)) })
    const first = give
    world.advance(10_000)
    expect(client.status).toMatchObject({ state: "waiting", reason: "no connection within 10000 ms" })
    first("late")
    await settled()
    expect(world.sockets.length).toBe(0)
    world.advance(50)
    client.close()
    give("later")
    await settled()
    expect(world.sockets.length).toBe(0)
    expect(world.pending).toBe(0)
  })

  it("is renewed on a live connection by authenticate, without a key, and kept for the next", async () => {
    const { world, client } = connecting({ session: true, credential: "old" })
    world.socket.open()
    world.socket.session()
    const renewed = client.authenticate("new")
    expect(world.socket.sent).toEqual([{ jsonrpc: "2.0", id: 1, method: "$/auth", params: { token: "new" } }])
    world.socket.answerAt(1, 1, { expiresAt: 5 })
    expect(await renewed).toEqual({ expiresAt: 5 })
    const refused = outcome(client.authenticate("bad"))
    world.socket.receive({ seq: 2, jsonrpc: "2.0", id: 2, error: { code: -32600, message: "no" } })
    expect(await refused).toMatchObject({ _tag: "RpcError" })
    const cut = outcome(client.authenticate("third"))
    world.socket.end(1006)
    expect(await cut).toBeInstanceOf(Disconnected)
    world.advance(50)
    expect(world.socket.query).toBe("?session=t1&after=2")
    expect(world.socket.protocols?.[1]).toBe("bearer.new")
  })

  it.each([[""], [5], [{}]])("%j is refused by name, without its value", (credential) => {
    const world = new World()
    const options = world.options({ credential: credential as never })
    expect(() => connect(url, options)).toThrow(/^credential: "(string|number|object)" is not a token/)
  })
})
