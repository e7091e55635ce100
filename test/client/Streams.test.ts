import { Closed, connect, Disconnected, EventsLost, InvalidOption, StreamBroken } from "troupe/client"
import { describe, expect } from "vitest"
import { check, url } from "./Visit.ts"
import { outcome } from "./World.ts"

describe("a stream", () => {
  const chunk = (id: number, ...values: ReadonlyArray<unknown>) => ({ id, values })
  const read = async (stream: AsyncIterable<unknown>) => {
    const values: Array<unknown> = []
    for await (const value of stream) values.push(value)
    return values
  }

  check([
    [
      "leaves a quarter of the window to asks; more streams wait for streams, in order, and are overtaken",
      async ({ client, socket }) => {
        for (let n = 1; n <= 20; n++) void outcome(client.stream("Count", { n }).next())
        expect(socket.sent).toHaveLength(18)
        const asked = client.ask("Kept")
        client.notify("Note")
        expect(socket.methods.slice(18)).toEqual(["Kept", "Note"])
        socket.answerAt(1, 21, 7)
        expect(await asked).toBe(7)
        expect(socket.sent).toHaveLength(20)
        for (const [i, id] of [5, 9].entries()) socket.answerAt(2 + i, id, null)
        expect(socket.sent.slice(20)).toMatchObject([{ params: { n: 19 } }, { params: { n: 20 } }])
        // asks have no more than the window
        for (let n = 0; n < 8; n++) void outcome(client.ask("Slow"))
        expect(socket.methods.slice(22)).toEqual(["Slow", "Slow", "Slow", "Slow", "Slow", "Slow"])
      }
    ],
    [
      "takes the only place of a window of one; what comes behind it waits",
      async ({ client, socket }) => {
        const values = read(client.stream("Count"))
        const asked = client.ask("Kept")
        expect(socket.methods).toEqual(["Count"])
        socket.answerAt(1, 1, null)
        expect(await values).toEqual([])
        socket.answerAt(2, 2, 7)
        expect(await asked).toBe(7)
      },
      { maxInFlight: 1 }
    ],
    [
      "keeps its place over a cut, once",
      async ({ client, socket, cut }) => {
        for (let n = 1; n <= 19; n++) void outcome(client.stream("Count", { n }).next())
        expect(socket.sent).toHaveLength(18)
        const next = cut()
        next.session({ seq: 0 })
        expect(next.sent).toHaveLength(18)
        next.answerAt(1, 3, null)
        expect(next.sent.at(-1)).toMatchObject({ params: { n: 19 } })
      }
    ],
    [
      "is read element by element, to its end",
      async ({ client, socket }) => {
        const values = read(client.stream("Count", { to: 3 }))
        expect(socket.sent).toMatchObject([{ id: 1, method: "Count", params: { to: 3 } }])
        socket.eventAt(1, "$/chunk", chunk(1, 1, 2))
        socket.eventAt(2, "$/chunk", chunk(1, 3))
        socket.answerAt(3, 1, null)
        expect(await values).toEqual([1, 2, 3])
      }
    ],
    [
      "that ends with an error rejects behind what came before",
      async ({ client, socket }) => {
        const stream = client.stream("Count")
        socket.eventAt(1, "$/chunk", chunk(1, 1))
        socket.receive({ seq: 2, jsonrpc: "2.0", id: 1, error: { code: -32000, message: "Muted", data: {} } })
        expect(await stream.next()).toEqual({ done: false, value: 1 })
        const error = await outcome(stream.next())
        expect(client.failed("Count", error) && error.tag).toBe("Muted")
        expect(await stream.next()).toEqual({ done: true, value: undefined })
      }
    ],
    [
      "survives a cut: elements and end come by the replay, each once",
      async ({ client, socket, cut }) => {
        const values = read(client.stream("Count"))
        socket.eventAt(1, "$/chunk", chunk(1, 1))
        const next = cut()
        next.session({ seq: 1, behind: 2 })
        next.eventAt(1, "$/chunk", chunk(1, 1))
        next.eventAt(2, "$/chunk", chunk(1, 2))
        expect(next.methods).toEqual(["Count"])
        next.eventAt(3, "$/chunk", chunk(1, 3))
        next.answerAt(4, 1, null)
        expect(await values).toEqual([1, 2, 3])
      }
    ],
    [
      "fails by name in a gap, and is cancelled where it may go on",
      async ({ client, socket, cut }) => {
        const stream = client.stream("Count")
        socket.eventAt(1, "$/chunk", chunk(1, 1))
        const next = cut()
        next.session({ seq: 20, gap: true })
        expect(await stream.next()).toEqual({ done: false, value: 1 })
        const error = await outcome(stream.next())
        expect(error).toBeInstanceOf(StreamBroken)
        expect(error).toMatchObject({ _tag: "StreamBroken", method: "Count", fresh: false })
        expect(next.methods).toEqual(["$/cancel"])
        next.eventAt(21, "$/chunk", chunk(1, 9))
        expect(await stream.next()).toEqual({ done: true, value: undefined })
      }
    ],
    [
      "fails by name in a fresh session, and is not begun again",
      async ({ client, cut }) => {
        const stream = client.stream("Count")
        const next = cut()
        next.session({ token: "t2", gap: true })
        expect(await outcome(stream.next())).toMatchObject({ _tag: "StreamBroken", fresh: true })
        expect(next.sent).toEqual([])
      }
    ],
    [
      "of which no element came before 1012 was never taken, and is begun by the next host",
      async ({ client, cut }) => {
        const values = read(client.stream("Count"))
        const next = cut(1012)
        next.session({ token: "t2", gap: true })
        expect(next.methods).toEqual(["Count"])
        next.eventAt(1, "$/chunk", chunk(1, 1))
        next.answerAt(2, 1, null)
        expect(await values).toEqual([1])
      }
    ],
    [
      "that was cut off by 1012 in its midst has lost its rest, and says so",
      async ({ client, socket, cut }) => {
        const stream = client.stream("Count")
        socket.eventAt(1, "$/chunk", chunk(1, 1))
        const next = cut(1012)
        next.session({ token: "t2", gap: true })
        await stream.next()
        expect(await outcome(stream.next())).toMatchObject({ _tag: "Disconnected", code: 1012 })
        expect(next.sent).toEqual([])
      }
    ],
    [
      "without a session has an unknown fate after a cut",
      async ({ client, cut }) => {
        const stream = client.stream("Count")
        cut()
        expect(await outcome(stream.next())).toBeInstanceOf(Disconnected)
      },
      { session: false }
    ],
    [
      "that is left is cancelled, once",
      async ({ client, socket }) => {
        const stream = client.stream("Count")
        for await (const _ of (socket.eventAt(1, "$/chunk", chunk(1, 1, 2)), stream)) break
        await stream.return()
        expect(socket.methods).toEqual(["Count", "$/cancel"])
        socket.eventAt(2, "$/chunk", chunk(1, 3))
        socket.receive({ seq: 3, jsonrpc: "2.0", id: 1, error: { code: -32004, message: "Cancelled" } })
        expect(client.status.state).toBe("open")
      }
    ],
    [
      "that has ended is not cancelled by leaving it",
      async ({ client, socket }) => {
        const stream = client.stream("Count")
        socket.answerAt(1, 1, null)
        await stream.return()
        expect(socket.methods).toEqual(["Count"])
      }
    ],
    [
      "whose signal fires rejects with its reason, and is cancelled",
      async ({ client, socket }) => {
        const controller = new AbortController()
        const stream = client.stream("Count", {}, { signal: controller.signal })
        const next = outcome(stream.next())
        controller.abort("enough")
        expect(await next).toBe("enough")
        expect(socket.methods).toEqual(["Count", "$/cancel"])
      }
    ],
    [
      "that is not read ends by name when its buffer is full, and is cancelled",
      async ({ client, socket }) => {
        const stream = client.stream("Count", {}, { buffer: 2 })
        socket.eventAt(1, "$/chunk", chunk(1, 1, 2, 3, 4))
        expect(socket.methods).toEqual(["Count", "$/cancel"])
        await stream.next()
        await stream.next()
        expect(await outcome(stream.next())).toBeInstanceOf(EventsLost)
      }
    ],
    [
      "fails when the client is closed: its end was not seen",
      async ({ client, world }) => {
        const stream = client.stream("Count")
        const other = connect(url, world.options())
        const waiting = other.stream("Count")
        client.close()
        other.close()
        expect(await outcome(stream.next())).toBeInstanceOf(Disconnected)
        expect(await outcome(waiting.next())).toBeInstanceOf(Closed)
        expect(() => client.stream("Count")).toThrow(Closed)
      }
    ],
    [
      "has no elements for an ask: they are left out",
      async ({ client, socket }) => {
        const answer = client.ask("Count")
        socket.eventAt(1, "$/chunk", chunk(1, 1))
        socket.answerAt(2, 1, null)
        expect(await answer).toBeNull()
      }
    ],
    [
      "refuses options that it does not know, by name",
      ({ client, socket }) => {
        expect(() => client.stream("Count", {}, { buffer: 0 })).toThrow(/^stream.buffer: /)
        expect(() => client.stream("Count", {}, { overflow: "wait" as never })).toThrow(/^stream.overflow: /)
        expect(() => client.stream("Count", {}, { timeoutMillis: 5 } as never)).toThrow(InvalidOption)
        expect(socket.sent).toEqual([])
      }
    ]
  ])
})
