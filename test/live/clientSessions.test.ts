import { Effect, Redacted } from "effect"
import { type Client, type ClientOptions, connect, type Gap, type SocketConstructor, TakenOver } from "troupe/client"
import { Unauthorized } from "troupe/gateway"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { Cable } from "./Cable.ts"
import { Gate, type Lab, type Live, open, until } from "./Lab.ts"

type LabClient = Client<typeof Lab>

let live: Live | undefined
let gate = new Gate()
let cable = new Cable(() => live?.gateway.port)
const clients: Array<LabClient> = []

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]) => {
  gate = new Gate()
  live = await open(gate, options, limits)
}

/** A client behind a cable, which has begun its session. */
const begin = async (options: ClientOptions = {}, key = "a") => {
  const one = connect<typeof Lab>(`${await cable.listen()}/agents/Lab/${key}`, {
    minDelayMillis: 1,
    maxDelayMillis: 20,
    ...options
  })
  clients.push(one)
  const gaps: Array<Gap> = []
  one.onGap((gap) => gaps.push(gap))
  const heard: Array<string> = []
  one.on("Filler", ({ text }) => heard.push(text))
  await until("the session has begun", () => one.status.state === "open")
  return { one, gaps, heard }
}

/** Sends from beside the cable. */
const beside = async (ask: (other: LabClient) => Promise<unknown>) => {
  const other = connect<typeof Lab>(`${live!.url}/a`, { session: false })
  await ask(other)
  other.close()
}

const ended = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error
  )

/** Cuts, and lets it come back when the gateway knows, and `meanwhile` is done. */
const away = async (meanwhile: () => Promise<unknown> = async () => {}): Promise<void> => {
  cable.plugged = false
  cable.cut()
  await until("the session is away", () => live!.gateway.stats().away === 1)
  await meanwhile()
  cable.plugged = true
}

/** A socket class that notes what it opens. */
const noting = (urls: Array<string>): SocketConstructor =>
  class extends WebSocket {
    constructor(url: string) {
      super(url)
      urls.push(url)
    }
  }

afterEach(async () => {
  for (const one of clients.splice(0)) one.close()
  cable.close()
  cable = new Cable(() => live?.gateway.port)
  gate.stayOpen()
  await live?.close()
  live = undefined
})

describe("a client with a session", () => {
  it("over a cut: a request under way goes on, and has its answer", async () => {
    await lab()
    const { one, gaps } = await begin()
    const held = one.ask("Hold", { n: 7 })
    await until("the handler waits", () => gate.held.length === 1)
    await away()
    await until("it is back", () => one.status.state === "open")
    gate.open()
    expect(await held).toBe(7)
    expect([gate.held, gate.interrupted, gaps]).toEqual([[7], [], []])
  })

  it("over a cut: an answer that was given meanwhile is replayed", async () => {
    await lab()
    const { one } = await begin()
    const held = one.ask("Hold", { n: 7 })
    await until("the handler waits", () => gate.held.length === 1)
    await away(async () => {
      const { keptBytes } = live!.gateway.stats()
      gate.open()
      await until("it was answered", () => live!.gateway.stats().keptBytes > keptBytes)
    })
    expect(await held).toBe(7)
    expect(gate.held).toEqual([7])
  })

  it("over a cut: events of the time between are replayed, in order, each once, before what waited", async () => {
    await lab()
    const { one, gaps, heard } = await begin()
    await one.ask("Flood", { frames: 1, bytes: 1 })
    await away(() => beside((other) => other.ask("Flood", { frames: 3, bytes: 2 })))
    await one.ask("Flood", { frames: 1, bytes: 3 })
    expect(heard).toEqual(["x", "xx", "xx", "xx", "xxx"])
    expect(gaps).toEqual([])
  })

  it("over twenty cuts: each request is handled once and answered, each event heard once", async () => {
    await lab({ maxReplay: 65_536, maxReplayBytes: 1_000_000 })
    const { one, gaps, heard } = await begin({ stableMillis: 1 })
    let going = true
    let sent = 0
    const answered: Array<number> = []
    const asker = async (): Promise<void> => {
      while (going) {
        const n = sent++
        await one.ask("Note", { n })
        await one.ask("Flood", { frames: 1, bytes: 1 })
        answered.push(n)
      }
    }
    const askers = Array.from({ length: 8 }, asker)
    for (let cuts = 1; cuts <= 20; cuts++) {
      const before = answered.length
      await until("requests are answered", () => answered.length > before + 5)
      cable.cut()
    }
    going = false
    await Promise.all(askers)
    expect(gate.noted.toSorted((a, b) => a - b)).toEqual([...Array(sent).keys()])
    expect(heard.length).toBe(sent)
    expect(gaps).toEqual([])
    // two cuts may hit one connection
    expect(cable.connections).toBeGreaterThan(10)
    expect(live!.gateway.stats().invalid).toBe(0)
  })

  it("a stream survives cuts: its elements come in order, each once", async () => {
    const to = 4000
    await lab({ maxReplay: 65_536, maxReplayBytes: 1_000_000 })
    const { one, gaps } = await begin()
    const stream = one.stream("Count", { to })
    for (const begun of [0, 400]) {
      await until("elements were produced", () => gate.produced > begun)
      await away(async () => expect(gate.produced).toBeLessThan(to))
    }
    const values: Array<unknown> = []
    for await (const value of stream) values.push(value)
    expect(values).toEqual([...Array(to).keys()])
    expect([gaps, gate.streamsEnded]).toEqual([[], 1])
  })

  it("a stream that is left is interrupted; one that fails rejects with its typed error", async () => {
    await lab()
    const { one } = await begin()
    for await (const value of one.stream("Count", { to: 1, end: "never" })) {
      expect(value).toBe(0)
      break
    }
    await until("it was interrupted", () => gate.streamsEnded === 1)
    const failing = one.stream("Count", { to: 1, end: "typed" })
    await failing.next()
    const error = await ended(failing.next())
    expect(one.failed("Count", error) && error.data).toEqual({ _tag: "Muted", until: "1970-01-01T00:00:00.000Z" })
  })

  it("is told of a gap: what outgrew the ring is gone, and its streams fail by name", async () => {
    await lab({ maxReplay: 2 })
    const { one, gaps, heard } = await begin()
    await one.ask("Flood", { frames: 1, bytes: 1 })
    const stream = one.stream("Count", { to: 1, end: "never" })
    expect(await stream.next()).toEqual({ done: false, value: 0 })
    await away(() => beside((other) => other.ask("Flood", { frames: 5, bytes: 2 })))
    expect(await ended(stream.next())).toMatchObject({ _tag: "StreamBroken", method: "Count", fresh: false })
    expect(await one.ask("Kept")).toBe(1)
    expect(gaps).toEqual([{ fresh: false }])
    expect(heard).toEqual(["x", "xx", "xx"])
    await until("the stream was cancelled", () => gate.streamsEnded === 1)
  })

  it("under a restart begins a fresh session: told as a gap, and what waits is asked there", async () => {
    await lab()
    const { one, gaps } = await begin()
    const old = live!
    live = undefined
    await old.close()
    const answer = one.ask("Kept")
    await lab()
    expect(await answer).toBe(0)
    expect(gaps).toEqual([{ fresh: true }])
  })

  it("a request whose host was killed is asked of the next, unless it must not be: then its fate is unknown", async () => {
    await lab()
    const { one } = await begin()
    const again = one.ask("Hold", { n: 1 })
    const never = ended(one.ask("Hold", { n: 2 }, { resend: false }))
    await until("the handler waits", () => gate.held.length === 1)
    cable.plugged = false
    cable.cut()
    const old = live!
    gate.stayOpen()
    live = undefined
    await old.close()
    await lab()
    gate.stayOpen()
    cable.plugged = true
    expect(await never).toMatchObject({ _tag: "Disconnected", code: 1006, unknown: true })
    expect(await again).toBe(1)
    expect(gate.held).toEqual([1])
  })

  it("whose token another socket brings is closed for good, by name", async () => {
    await lab()
    const urls: Array<string> = []
    const { one } = await begin({ WebSocket: noting(urls) })
    cable.cut()
    await until("it asked for its session", () => urls.length === 2 && one.status.state === "open")
    const thief = new WebSocket(`${live!.url}/a${new URL(urls[1]!).search}`)
    await until("it is closed", () => one.status.state === "closed")
    expect(one.status).toMatchObject({ code: 4001, local: false })
    expect(await ended(one.ask("Kept"))).toBeInstanceOf(TakenOver)
    thief.terminate()
  })

  it("that closes ends its session at once: the agent hears it, and nothing is kept", async () => {
    await lab()
    const { one } = await begin()
    await one.ask("Kept")
    one.close()
    await until("the session has ended", () => live!.gateway.stats().sessions === 0)
    expect(gate.hooks.at(-1)).toMatch(/left 1000$/)
    expect(live!.gateway.stats().keptBytes).toBe(0)
  })

  it("sends no notification twice, and says which are uncertain", async () => {
    await lab()
    const { one } = await begin()
    one.notify("Note", { n: 1 })
    await one.ask("Kept")
    one.notify("Note", { n: 2 })
    await until("it arrived", () => gate.noted.length === 2)
    await away()
    one.notify("Note", { n: 3 })
    expect(await one.ask("Kept")).toBe(3)
    expect(gate.noted).toEqual([1, 2, 3])
    expect(one.uncertain).toBe(1)
  })

  it.each([
    ["the platform's WebSocket", {}],
    ["ws", { WebSocket }]
  ])(
    "over %s comes back with a new credential when the old one has expired: the session goes on",
    async (_, options) => {
      const first = Date.now() + 200
      const expiries = new Map([
        ["one", first],
        ["two", first + 3_600_000],
        ["three", first + 7_200_000]
      ])
      await lab({
        authenticate: ({ token }) => {
          const expiresAt = token === undefined ? undefined : expiries.get(Redacted.value(token))
          return expiresAt === undefined ? Effect.fail(new Unauthorized({})) : Effect.succeed({ id: "user", expiresAt })
        }
      })
      const tokens = ["one", "two"]
      const { one, gaps } = await begin({ ...options, credential: async () => tokens.shift()! })
      const held = one.ask("Hold", { n: 1 })
      await until("the first has expired", () => live!.gateway.stats().closed[4401] === 1)
      await until("it is back", () => live!.gateway.stats().connections === 1 && one.status.state === "open")
      gate.open()
      expect(await held).toBe(1)
      expect([tokens, gaps, gate.held, gate.interrupted]).toEqual([[], [], [1], []])
      expect(await one.authenticate("three")).toEqual({ expiresAt: first + 7_200_000 })
      expect(await ended(one.authenticate("four"))).toMatchObject({ _tag: "RpcError" })
    }
  )
})
