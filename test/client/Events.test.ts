import { type ClientOptions, Closed, connect, EventsLost, InvalidOption } from "troupe/client"
import { describe, expect, it } from "vitest"
import { outcome, World } from "./World.ts"

const opened = (options: ClientOptions = {}) => {
  const world = new World()
  const client = connect("ws://host/agents/Lab/a", world.options(options))
  world.socket.open()
  const said = (n: number) => world.socket.event("Said", { n })
  return { world, client, socket: world.socket, said }
}

describe("on", () => {
  it("hears the events of its name, in order, until it leaves", () => {
    const { client, socket, said } = opened()
    const heard: Array<unknown> = []
    const off = client.on("Said", (payload) => heard.push(payload))
    said(1)
    socket.event("Other", { n: 0 })
    said(2)
    off()
    off()
    said(3)
    expect(heard).toEqual([{ n: 1 }, { n: 2 }])
  })

  it("registered twice hears twice, and leaves once each", () => {
    const { client, said } = opened()
    let heard = 0
    const listener = () => void heard++
    const off = client.on("Said", listener)
    client.on("Said", listener)
    said(1)
    off()
    said(2)
    expect(heard).toBe(3)
  })

  it("a listener that throws is reported, and costs nobody the event", () => {
    const { world, client, said } = opened()
    const heard: Array<unknown> = []
    client.on("Said", () => {
      throw new Error("a listener's")
    })
    client.on("Said", (payload) => heard.push(payload))
    said(1)
    expect(heard).toEqual([{ n: 1 }])
    expect(world.reported.map(String)).toEqual(["Error: a listener's"])
  })

  it("a listener that comes while an event is told hears the next one first", () => {
    const { client, said } = opened()
    const heard: Array<unknown> = []
    const off = client.on("Said", () => {
      off()
      client.on("Said", (payload) => heard.push(payload))
    })
    said(1)
    said(2)
    expect(heard).toEqual([{ n: 2 }])
  })

  it("goes on over a reconnection", () => {
    const { world, client, socket, said } = opened()
    const heard: Array<unknown> = []
    client.on("Said", (payload) => heard.push(payload))
    socket.end(1012)
    world.advance(50)
    world.socket.open()
    said(1)
    expect(heard).toEqual([{ n: 1 }])
  })
})

describe("events", () => {
  it("reads from the call on, what came before the first next included, and leaves by break", async () => {
    const { client, said } = opened()
    const events = client.events("Said")
    said(1)
    said(2)
    const read: Array<unknown> = []
    for await (const event of events) {
      read.push(event)
      if (read.length === 2) break
    }
    said(3)
    expect(read).toEqual([{ n: 1 }, { n: 2 }])
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })

  it("gives each of several that wait the next event", async () => {
    const { client, said } = opened()
    const events = client.events("Said")
    const both = Promise.all([events.next(), events.next()])
    said(1)
    said(2)
    expect((await both).map(({ value }) => value)).toEqual([{ n: 1 }, { n: 2 }])
  })

  it("past its buffer ends with EventsLost, once what is buffered was read", async () => {
    const { client, said } = opened()
    const events = client.events("Said", { buffer: 2 })
    for (const n of [1, 2, 3, 4]) said(n)
    expect((await events.next()).value).toEqual({ n: 1 })
    expect((await events.next()).value).toEqual({ n: 2 })
    const error = await outcome(events.next())
    expect(error).toBeInstanceOf(EventsLost)
    expect(error).toMatchObject({ event: "Said", buffer: 2 })
    expect(await events.next()).toEqual({ done: true, value: undefined })
  })

  it.each([
    ["dropOldest", [3, 4]],
    ["dropNewest", [1, 2]]
  ] as const)("past its buffer drops by %s, and counts", async (overflow, kept) => {
    const { client, said } = opened()
    const events = client.events("Said", { buffer: 2, overflow })
    for (const n of [1, 2, 3, 4]) said(n)
    for (const n of kept) expect((await events.next()).value).toEqual({ n })
    expect(events.lost).toBe(2)
    said(5)
    expect((await events.next()).value).toEqual({ n: 5 })
  })

  it("ends when this side closes, and with Closed when the server does, those that wait included", async () => {
    const own = opened()
    const reader = own.client.events("Said")
    const waiting = reader.next()
    own.client.close()
    expect(await waiting).toEqual({ done: true, value: undefined })

    const other = opened()
    const events = other.client.events("Said")
    const [first, second] = [outcome(events.next()), outcome(events.next())]
    const buffered = other.client.events("Said")
    const late = outcome(buffered.next())
    other.said(1)
    other.socket.end(4401, "expired")
    expect(await first).toEqual({ done: false, value: { n: 1 } })
    expect(await late).toEqual({ done: false, value: { n: 1 } })
    expect(await second).toBeInstanceOf(Closed)
    expect(await outcome(buffered.next())).toMatchObject({ _tag: "Closed", code: 4401 })
    expect(await outcome(other.client.events("Said").next())).toBeInstanceOf(Closed)
  })

  it("refuses options that it does not know", () => {
    const { client } = opened()
    expect(() => client.events("Said", { buffer: 0 })).toThrow(InvalidOption)
    expect(() => client.events("Said", { overflow: "wait" as never })).toThrow(InvalidOption)
    expect(() => client.events("Said", { size: 5 } as never)).toThrow(InvalidOption)
  })
})
