import { connect } from "troupe/client"
import { describe, expect, it } from "vitest"
import { outcome, World } from "./World.ts"

const opened = () => {
  const world = new World()
  const client = connect("ws://host/agents/Lab/a", world.options({ timeoutMillis: Infinity }))
  world.socket.open()
  const { socket } = world
  return { world, client, socket, probes: () => socket.sent.filter((message) => message.id === "probe").length }
}

describe("the heartbeat", () => {
  it("asks after 25 s +-20 % of silence, by a $/cancel of nothing", () => {
    for (const [random, millis] of [
      [0, 20_000],
      [0.5, 25_000],
      [0.998, 29_980]
    ] as const) {
      const world = new World()
      world.random = random
      connect("ws://host/agents/Lab/a", world.options())
      world.socket.open()
      world.advance(millis - 1)
      expect(world.socket.sent).toEqual([])
      world.advance(2)
      expect(world.socket.sent).toEqual([{ jsonrpc: "2.0", id: "probe", method: "$/cancel", params: { id: 0 } }])
    }
  })

  it("is put off by anything received, and asks nothing of a talkative server", () => {
    const { world, socket, probes } = opened()
    for (let n = 0; n < 10; n++) {
      world.advance(20_000)
      socket.event("Said", {})
    }
    expect(probes()).toBe(0)
    world.advance(25_000)
    expect(probes()).toBe(1)
  })

  it("goes on after an answer, whatever it is", () => {
    const { world, client, socket, probes } = opened()
    for (let n = 1; n <= 3; n++) {
      world.advance(25_000)
      expect(probes()).toBe(n)
      if (n === 2) socket.refuse("probe", { code: -32601, message: "Method not found" })
      else socket.answer("probe", null)
    }
    world.advance(9000)
    expect(client.status.state).toBe("open")
  })

  it("gives up a server that says nothing for 10 s and owes nothing", () => {
    const { world, client, socket } = opened()
    world.advance(34_999)
    expect(client.status.state).toBe("open")
    world.advance(1)
    expect(client.status).toMatchObject({ state: "waiting", code: 1006, reason: "no answer to the heartbeat" })
    expect(socket.closedBy).toBeDefined()
  })

  it("has 75 s of patience while a request is unanswered, for a busy gateway does not read on", async () => {
    const { world, client } = opened()
    const answer = outcome(client.ask("Slow"))
    world.advance(99_999)
    expect(client.status.state).toBe("open")
    world.advance(1)
    expect(client.status.state).toBe("waiting")
    expect(await answer).toMatchObject({ _tag: "Disconnected", unknown: true })
  })

  it("has 10 s again once all requests are answered", () => {
    const { world, client, socket } = opened()
    void outcome(client.ask("Slow"))
    socket.answer(1, null)
    world.advance(35_000)
    expect(client.status.state).toBe("waiting")
  })

  it("is patient after a notification, whose end nothing tells, until a probe behind it was answered", () => {
    const { world, client, socket } = opened()
    client.notify("Note")
    void outcome(client.ask("Read"))
    socket.answer(1, null)
    world.advance(60_000)
    expect(client.status.state).toBe("open")
    socket.answer("probe", null)
    world.advance(34_999)
    expect(client.status.state).toBe("open")
    world.advance(1)
    expect(client.status.state).toBe("waiting")
  })

  it("stays patient when something was written behind the probe that was answered", () => {
    const { world, client, socket } = opened()
    world.advance(25_000)
    client.notify("Note")
    socket.answer("probe", null)
    world.advance(99_999)
    expect(client.status.state).toBe("open")
    world.advance(1)
    expect(client.status.state).toBe("waiting")
  })

  it("that comes late, on a machine that slept or in a hidden tab, asks again before it gives up", () => {
    const { world, client, socket, probes } = opened()
    world.advance(25_000)
    world.late(3_600_000)
    expect(client.status.state).toBe("open")
    expect(probes()).toBe(2)
    socket.answer("probe", null)
    socket.answer("probe", null)
    world.advance(30_000)
    expect(client.status.state).toBe("open")
  })

  it("gives up at the second check, late or not: a throttled timer finds a dead server too", () => {
    const { world, client, probes } = opened()
    world.late(60_000)
    expect(probes()).toBe(1)
    world.late(60_000)
    expect(probes()).toBe(2)
    expect(client.status.state).toBe("open")
    world.late(60_000)
    expect(client.status.state).toBe("waiting")
  })

  it("stops with its connection, and starts with the next", () => {
    const { world, socket } = opened()
    socket.end(1006)
    expect(world.pending).toBe(1)
    world.advance(50)
    world.socket.open()
    expect(world.pending).toBe(1)
    world.advance(25_000)
    expect(world.socket.sent.length).toBe(1)
  })
})
