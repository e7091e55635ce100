import { type Client, type ClientOptions, connect, Disconnected, RpcCode } from "troupe/client"
import { afterEach, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { World } from "../client/World.ts"
import { Cable } from "./Cable.ts"
import { Gate, type Lab, type Live, open, until } from "./Lab.ts"

type LabClient = Client<typeof Lab>

let live: Live | undefined
let gate = new Gate()
const clients: Array<LabClient> = []
const closing: Array<() => void> = []

const lab = async (options: Parameters<typeof open>[1] = {}, limits: Parameters<typeof open>[2] = {}) => {
  gate = new Gate()
  live = await open(gate, options, limits)
  return live
}

const client = (url: string, options: ClientOptions = {}): LabClient => {
  const made = connect<typeof Lab>(url, { minDelayMillis: 1, maxDelayMillis: 20, ...options })
  clients.push(made)
  return made
}

const ended = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error
  )

/** Ends the gateway as a deploy does. Answers come while it drains. */
const stop = async (): Promise<void> => {
  const going = live!
  live = undefined
  await going.close()
}

/** A way to the gateway of the moment, which the test may cut or stall. */
const cable = async (): Promise<readonly [Cable, string]> => {
  const way = new Cable(() => live?.gateway.port)
  closing.push(() => way.close())
  return [way, `${await way.listen()}/agents/Lab`]
}

afterEach(async () => {
  for (const one of clients.splice(0)) one.close()
  for (const close of closing.splice(0)) close()
  gate.stayOpen()
  await live?.close()
  live = undefined
})

const kinds: ReadonlyArray<readonly [string, ClientOptions]> = [
  ["over the platform's WebSocket", {}],
  ["over ws", { WebSocket }],
  ["without sessions", { session: false }]
]

describe.each(kinds)("a client %s", (_, options) => {
  it("asks, notifies, hears events, and gets errors by their names", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, options)
    const fillers = one.events("Filler")
    one.notify("Note", { n: 7 })
    expect(await one.ask("Kept")).toBe(1)
    expect(gate.noted).toEqual([7])
    expect(await one.ask("Flood", { frames: 2, bytes: 3 })).toBeNull()
    expect([(await fillers.next()).value, (await fillers.next()).value]).toEqual([{ text: "xxx" }, { text: "xxx" }])

    const muted = await ended(one.ask("Mute"))
    expect(one.failed("Mute", muted) && muted.data).toEqual({ _tag: "Muted", until: "1970-01-01T00:00:00.000Z" })
    expect(await ended(one.ask("Note", { n: 1.5 }))).toMatchObject({ code: RpcCode.invalidParams })
    expect(await ended(one.ask("Liar"))).toMatchObject({
      code: RpcCode.internal,
      data: { incident: expect.any(String) }
    })
    expect(await ended(one.ask("Nope" as "Kept"))).toMatchObject({ code: RpcCode.methodNotFound, tag: undefined })
  })

  it("keeps 500 answers apart, in order, though the gateway reads 32 at a time", async () => {
    const { url } = await lab({}, { mailbox: { capacity: 10 } })
    gate.stayOpen()
    const one = client(`${url}/a`, { ...options, maxInFlight: 8 })
    const order: Array<number> = []
    const answers = Array.from({ length: 500 }, async (__, n) => {
      const answer = await one.ask("Hold", { n })
      order.push(n)
      return answer
    })
    expect(await Promise.all(answers)).toEqual([...Array(500).keys()])
    expect(order).toEqual([...Array(500).keys()])
  })

  it("an aborted request interrupts its handler, a queued one never runs, and the window is free again", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, options)
    const controller = new AbortController()
    const { signal } = controller
    const running = ended(one.ask("Hold", { n: 1 }, { signal }))
    const queued = ended(one.ask("Hold", { n: 2 }, { signal }))
    await until("the first handler waits", () => gate.held.length === 1)
    controller.abort("enough")
    expect(await Promise.all([running, queued])).toEqual(["enough", "enough"])
    await until("it was interrupted", () => gate.interrupted.length === 1)
    expect(await one.ask("Kept")).toBe(0)
    expect(gate.held).toEqual([1])
  })

  it("a request that times out here is cancelled there", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, options)
    expect(await one.ask("Kept")).toBe(0)
    const late = await ended(one.ask("Hold", { n: 1 }, { timeoutMillis: 50 }))
    expect(late).toMatchObject({ _tag: "TimedOut", sent: true })
    await until("its handler is gone", () => gate.interrupted.length === gate.held.length)
    expect(await one.ask("Kept")).toBe(0)
  })

  it("under a restart of the gateway loses no request and has none handled twice", async () => {
    await lab()
    const [, url] = await cable()
    const one = client(`${url}/a`, { ...options, maxInFlight: 4 })
    const handled: Array<number> = []
    let sent = 0
    let going = true
    const answered: Array<number> = []
    const ask = async (): Promise<void> => {
      while (going) {
        const n = sent++
        await one.ask("Note", { n })
        answered.push(n)
      }
    }
    const askers = Array.from({ length: 8 }, ask)
    for (let lives = 1; lives <= 3; lives++) {
      const before = answered.length
      await until("requests are answered", () => answered.length > before + 50)
      handled.push(...gate.noted)
      gate.noted.length = 0
      await stop()
      handled.push(...gate.noted)
      await lab()
    }
    going = false
    await Promise.all(askers)
    handled.push(...gate.noted)
    expect(handled.toSorted((a, b) => a - b)).toEqual([...Array(sent).keys()])
    expect(answered.length).toBe(sent)
  })

  it("a request under way in a drain has its answer; one behind the drain is sent to the next host", async () => {
    await lab()
    const [, url] = await cable()
    const one = client(`${url}/a`, { ...options, maxInFlight: 1 })
    const first = one.ask("Hold", { n: 1 })
    const second = one.ask("Hold", { n: 2 })
    await until("the first handler waits", () => gate.held.length === 1)
    const old = gate
    const stopping = stop()
    old.stayOpen()
    expect(await first).toBe(1)
    await stopping
    expect(old.held).toEqual([1])
    await lab()
    gate.stayOpen()
    expect(await second).toBe(2)
    expect(gate.held).toEqual([2])
  })

  it("without a session over a cut wire: what was written is unknown, what was not is sent once it is back", async () => {
    await lab()
    const [wire, url] = await cable()
    const one = client(`${url}/a`, { ...options, session: false, maxInFlight: 1 })
    const written = ended(one.ask("Hold", { n: 1 }))
    const waiting = one.ask("Kept")
    await until("the handler waits", () => gate.held.length === 1)
    wire.cut()
    expect(await written).toMatchObject({ _tag: "Disconnected", unknown: true, code: 1006 })
    await until("the gateway gave its handler up", () => gate.interrupted.length === 1)
    expect(await waiting).toBe(0)
    expect(wire.connections).toBe(2)
  })

  it("finds a server that is stalled without a word, and comes back over another socket", async () => {
    await lab()
    const [wire, url] = await cable()
    const world = new World()
    const one = client(`${url}/a`, world.options({ WebSocket: globalThis.WebSocket, session: true, ...options }))
    expect(await one.ask("Kept")).toBe(0)
    world.advance(25_000)
    expect(await one.ask("Kept")).toBe(0)
    expect(live!.gateway.stats().framesIn).toBe(3)
    world.advance(34_999)
    expect(one.status.state).toBe("open")
    wire.stall()
    world.advance(1)
    expect(one.status).toMatchObject({ state: "waiting", code: 1006, reason: "no answer to the heartbeat" })
    world.advance(50)
    expect(await one.ask("Kept")).toBe(0)
    expect(wire.connections).toBe(2)
  })

  it("a busy gateway answers the heartbeat, and counts no invalid message by it", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, { ...options, heartbeatMillis: 20 })
    const held = one.ask("Hold", { n: 1 })
    await until("the handler waits", () => gate.held.length === 1)
    const before = live!.gateway.stats().framesOut
    await until("five probes were answered", () => live!.gateway.stats().framesOut >= before + 5)
    expect(live!.gateway.stats().invalid).toBe(0)
    gate.open()
    expect(await held).toBe(1)
    expect(live!.gateway.stats().closed).toEqual({})
  })

  it("comes back to an agent that has stopped, in its next life", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, options)
    one.notify("Note", { n: 1 })
    expect(await one.ask("Kept")).toBe(1)
    one.notify("Stop")
    await until("the agent's end was heard", () => one.status.state !== "open")
    expect(await one.ask("Kept")).toBe(0)
    expect(live!.gateway.stats().closed).toEqual({ 1001: 1 })
  })

  it.each([1000, 4403])("stays away when an agent hangs up with %i", async (code) => {
    const { url } = await lab()
    const one = client(`${url}/a`, options)
    one.notify("HangUp", { code, reason: "go" })
    await until("it is closed", () => one.status.state === "closed")
    expect(one.status).toEqual({ state: "closed", code, reason: "go", local: false })
    expect(await ended(one.ask("Kept"))).toMatchObject({ _tag: "Closed", code })
  })

  it("goes on knocking at a full host, and is let in when there is room", async () => {
    const { url } = await lab({ maxConnections: 1 })
    const guest = client(`${url}/a`, options)
    expect(await guest.ask("Kept")).toBe(0)
    const one = client(`${url}/b`, options)
    const answer = one.ask("Kept")
    await until("it was refused", () => one.status.state === "waiting" && one.status.attempt >= 2)
    guest.close()
    expect(await answer).toBe(0)
  })

  it("without a session closes so that the agent hears its code", async () => {
    const { url } = await lab()
    const one = client(`${url}/a`, { ...options, session: false })
    const held = ended(one.ask("Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    one.close(4000, "bye")
    expect(await held).toBeInstanceOf(Disconnected)
    await until("the agent heard", () => gate.hooks.at(-1)?.endsWith("left 4000") === true)
  })
})
