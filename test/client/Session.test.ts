import { Closed, connect, Disconnected, QueueFull, type Status, TakenOver, TimedOut } from "troupe/client"
import { describe, expect, it } from "vitest"
import { check, opened, url } from "./Visit.ts"
import { outcome, World } from "./World.ts"

describe("a session", () => {
  it("is asked for, and nothing is sent nor called open before it has begun", async () => {
    const world = new World()
    const client = connect(`${url}?a=b`, world.options({ session: true }))
    void outcome(client.ask("A"))
    expect(world.socket.query).toBe("?a=b&session=new")
    world.socket.open()
    expect(client.status.state).toBe("connecting")
    expect(world.socket.sent).toEqual([])
    world.socket.session()
    expect(client.status.state).toBe("open")
    expect(world.socket.methods).toEqual(["A"])
  })

  it("is asked for anew as long as none was confirmed, and nothing was sent to one that was not", async () => {
    const world = new World()
    const client = connect(url, world.options({ session: true }))
    void outcome(client.ask("A"))
    world.socket.open()
    world.socket.end(1006)
    expect(world.socket.sent).toEqual([])
    world.advance(50)
    expect(world.socket.query).toBe("?session=new")
    client.close()
  })

  it("is not asked for with session: false, and then requests have no key", () => {
    const { world, client } = opened({ session: false })
    expect(world.socket.query).toBe("")
    void outcome(client.ask("A"))
    expect(world.socket.sent).toEqual([{ jsonrpc: "2.0", id: 1, method: "A" }])
  })

  check([
    [
      "gives each request a key of its own, and a notification none",
      ({ client, socket }) => {
        void outcome(client.ask("A"))
        client.notify("N")
        void outcome(client.ask("A"))
        const keys = socket.sent.map(({ requestKey }) => requestKey)
        expect(keys[0]).toMatch(/^[a-z0-9]{16,}-1$/)
        expect(keys[1]).toBeUndefined()
        expect(keys[2]).toBe(keys[0]!.replace(/1$/, "2"))
      }
    ],
    [
      "is resumed behind the last frame read, whatever it was",
      async ({ client, socket, cut }) => {
        const answer = client.ask("A")
        socket.answerAt(3, 1, "a")
        socket.eventAt(8, "Said", 1)
        socket.receive({ jsonrpc: "2.0", method: "Said", params: 2 })
        expect(await answer).toBe("a")
        expect(cut().query).toBe("?session=t1&after=8")
        expect(cut().query).toBe("?session=t1&after=8")
      }
    ],
    [
      "goes on with the token of the last $/session",
      ({ cut }) => {
        cut().session({ token: "t2", seq: 40, gap: true })
        cut().session({ token: "t3", seq: 40 })
        expect(cut().query).toBe("?session=t3&after=40")
      }
    ],
    [
      "is ended at the server by close() alone, which says 1000",
      ({ world, client, socket }) => {
        world.advance(1)
        client.close()
        expect(socket.closedBy).toEqual([1000, ""])
      }
    ],
    [
      "is left to its grace when a silent connection is given up: no 1000 is sent",
      ({ world, socket }) => {
        world.advance(35_000)
        expect(socket.closedBy).toEqual([undefined, undefined])
        world.advance(50)
        expect(world.socket.query).toBe("?session=t1&after=0")
      },
      { heartbeatMillis: 25_000 }
    ]
  ])
})

describe("after a cut", () => {
  check([
    [
      "before the reply: the request is sent again, same id and key, and has its answer",
      async ({ client, socket, cut, gaps }) => {
        const answer = client.ask("A", { n: 1 })
        const [sent] = socket.sent
        const next = cut()
        expect(next.sent).toEqual([])
        next.session()
        expect(next.sent).toEqual([sent])
        next.answerAt(1, 1, "a")
        expect(await answer).toBe("a")
        expect(gaps).toEqual([])
      }
    ],
    [
      "behind a reply that was not read: it comes by the replay, and nothing is sent again",
      async ({ client, cut }) => {
        const answer = client.ask("A")
        const next = cut()
        next.session({ behind: 1 })
        expect(next.sent).toEqual([])
        next.answerAt(5, 1, "a")
        expect(await answer).toBe("a")
        expect(next.sent).toEqual([])
      }
    ],
    [
      "in the replay: what was read is not asked for again, what was not comes with the next",
      async ({ client, cut, heard }) => {
        const answer = client.ask("A")
        const second = cut()
        second.session({ behind: 3 })
        second.eventAt(1, "Said", 1)
        second.eventAt(2, "Said", 2)
        const third = cut()
        expect(third.query).toBe("?session=t1&after=2")
        expect(second.sent).toEqual([])
        third.session({ seq: 2, behind: 1 })
        third.answerAt(3, 1, "a")
        expect(await answer).toBe("a")
        expect(heard).toEqual([1, 2])
      }
    ],
    [
      "what is unanswered goes in its order behind the replay, then what waited, then what is new",
      async ({ client, cut, heard }) => {
        const answers = ["A", "B", "C"].map((method) => outcome(client.ask(method)))
        client.notify("Late")
        const next = cut()
        void outcome(client.ask("Waiting"))
        client.on("Said", () => void outcome(client.ask("Inside")))
        next.session({ behind: 2 })
        next.eventAt(1, "Said", 1)
        expect(next.sent).toEqual([])
        next.answerAt(2, 2, "b")
        expect(next.methods).toEqual(["A", "C", "Waiting", "Inside"])
        expect(next.ids.slice(0, 2)).toEqual([1, 3])
        expect(heard).toEqual([1])
        expect(await answers[1]).toBe("b")
      }
    ],
    [
      "what is sent again writes no more than 64 KiB into the socket's buffer, and keeps the rest in order",
      ({ world, client, cut }) => {
        for (const method of ["A", "B"]) void outcome(client.ask(method))
        const next = cut()
        next.bufferedAmount = 70_000
        next.session()
        expect(next.sent).toEqual([])
        next.bufferedAmount = 0
        void outcome(client.ask("C"))
        expect(next.sent).toEqual([])
        world.advance(20)
        expect(next.methods).toEqual(["A", "B", "C"])
      }
    ],
    [
      "a reply that comes twice is read once, and a repeat's answer to nobody is no fault",
      async ({ client, socket, cut }) => {
        const answer = client.ask("A")
        cut().session()
        const again = cut()
        again.session()
        again.answerAt(1, 1, "first")
        again.answerAt(2, 1, "second")
        expect(await answer).toBe("first")
        expect(client.status.state).toBe("open")
        expect(socket.methods).toEqual(["A"])
      }
    ],
    [
      "frames that were read before are ignored: events and answers not above the last seq",
      async ({ client, cut, heard }) => {
        const answer = client.ask("A")
        const next = cut()
        next.session({ seq: 7, behind: 2 })
        next.eventAt(6, "Said", "old")
        next.eventAt(7, "Said", "old too")
        expect(next.methods).toEqual(["A"])
        next.answerAt(5, 1, "stale")
        next.eventAt(9, "Said", "new")
        next.eventAt(8, "Said", "out of order")
        next.answerAt(10, 1, "a")
        expect(await answer).toBe("a")
        expect(heard).toEqual(["new"])
      }
    ],
    [
      "a session never goes back behind what was read",
      ({ cut, socket, heard }) => {
        socket.eventAt(9, "Said", 9)
        const next = cut()
        next.session({ seq: 3, behind: 1 })
        next.eventAt(9, "Said", 9)
        expect(heard).toEqual([9])
        expect(cut().query).toBe("?session=t1&after=9")
      }
    ],
    [
      "a request that timed out meanwhile is rejected in its time, and cancelled, not sent again",
      async ({ world, client, cut }) => {
        const answer = outcome(client.ask("A", {}, { timeoutMillis: 60 }))
        void outcome(client.ask("B"))
        const next = cut()
        world.advance(60)
        expect(await answer).toBeInstanceOf(TimedOut)
        expect(await answer).toMatchObject({ sent: true })
        next.session()
        expect(next.methods).toEqual(["$/cancel", "B"])
        expect(next.sent[0]?.params).toEqual({ id: 1 })
        next.answerAt(1, 1, "too late")
        expect(client.status.state).toBe("open")
      }
    ],
    [
      "a signal that fires meanwhile rejects at once, and the server is told when it is back",
      async ({ client, cut }) => {
        const controller = new AbortController()
        const answer = outcome(client.ask("A", {}, { signal: controller.signal }))
        const next = cut()
        controller.abort("enough")
        expect(await answer).toBe("enough")
        next.session()
        expect(next.methods).toEqual(["$/cancel"])
      }
    ],
    [
      "a request that was given up leaves the window: it may never have arrived, and then has no answer",
      async ({ client, cut }) => {
        const controller = new AbortController()
        const answer = outcome(client.ask("A", {}, { signal: controller.signal }))
        controller.abort("enough")
        await answer
        void outcome(client.ask("B"))
        const next = cut()
        next.session()
        expect(next.methods).toEqual(["$/cancel", "B"])
      },
      { maxInFlight: 1 }
    ],
    [
      "the window holds over it: no more than maxInFlight are under way",
      ({ client, cut }) => {
        for (const method of ["A", "B", "C"]) void outcome(client.ask(method))
        const next = cut()
        next.session()
        expect(next.methods).toEqual(["A", "B"])
        next.answerAt(1, 1, null)
        expect(next.methods).toEqual(["A", "B", "C"])
      },
      { maxInFlight: 2 }
    ],
    [
      "a notification is not sent again, and counted as uncertain, unless a later answer has shown that it was read",
      async ({ client, socket, cut }) => {
        client.notify("Shown")
        const answer = client.ask("A")
        client.notify("Unknown")
        socket.answerAt(1, 1, null)
        await answer
        expect(client.uncertain).toBe(0)
        const next = cut()
        client.notify("Waits")
        expect(client.uncertain).toBe(1)
        next.session({ seq: 1 })
        expect(next.methods).toEqual(["Waits"])
        cut()
        expect(client.uncertain).toBe(2)
      }
    ],
    [
      "a notification before an answered heartbeat is known to be read",
      ({ world, client, socket, cut }) => {
        client.notify("N")
        world.advance(25_000)
        client.notify("M")
        socket.receive({ seq: 1, jsonrpc: "2.0", id: "probe", result: null })
        cut()
        expect(client.uncertain).toBe(1)
      },
      { heartbeatMillis: 25_000 }
    ],
    [
      "a full queue refuses, though what is sent again is not in it",
      async ({ client, cut }) => {
        void outcome(client.ask("A"))
        cut()
        void outcome(client.ask("B"))
        expect(await outcome(client.ask("C"))).toBeInstanceOf(QueueFull)
      },
      { maxQueued: 1 }
    ]
  ])

  it("by 1012 what has no answer was never taken: it waits in front of the queue, also with resend: false", async () => {
    const { client, cut } = opened({ resend: false })
    const answer = client.ask("A")
    const next = cut(1012)
    void outcome(client.ask("B"))
    next.session({ token: "t2", seq: 100, gap: true })
    expect(next.methods).toEqual(["A", "B"])
    next.answerAt(101, 1, "a")
    expect(await answer).toBe("a")
  })

  it.each([
    ["read again before the 1012", 0],
    ["still to be sent again", 1]
  ])(
    "a 1012 says nothing of what an earlier connection may have brought, %s: a fresh gap decides",
    async (_, behind) => {
      const { client, cut } = opened({ maxInFlight: 2 })
      const never = outcome(client.ask("A", {}, { resend: false }))
      const again = outcome(client.ask("B"))
      const queued = outcome(client.ask("C", {}, { resend: false }))
      cut().session({ behind })
      const next = cut(1012)
      next.session({ token: "t2", seq: 100, gap: true })
      expect(await never).toMatchObject({ _tag: "Disconnected", method: "A", unknown: true })
      expect(next.methods).toEqual(["B", "C"])
      next.answerAt(101, 2, "b")
      next.answerAt(102, 3, "c")
      expect(await Promise.all([again, queued])).toEqual(["b", "c"])
    }
  )

  it("cut once, and told 1012 on the last attempt, has an unknown fate", async () => {
    const { client, cut, world } = opened({ resend: false, maxAttempts: 2 })
    const written = outcome(client.ask("A"))
    cut().end(1012)
    world.advance(world.next ?? 0)
    world.socket.end(1006)
    expect(client.status.state).toBe("closed")
    expect(await written).toBeInstanceOf(Disconnected)
  })

  it("without another attempt, requests have an unknown fate and say so", async () => {
    const { world, client, socket } = opened({ maxAttempts: 1 })
    const written = outcome(client.ask("A"))
    socket.end(1006)
    expect(await written).toBeInstanceOf(Disconnected)
    expect(client.status.state).toBe("closed")
    expect(world.pending).toBe(0)
  })
})

describe("a gap", () => {
  check([
    [
      "is told, after the status and before the replay, to all that listen",
      ({ client, cut, gaps, heard }) => {
        const seen: Array<unknown> = []
        client.onStatus(({ state }) => seen.push(state))
        const off = client.onGap((gap) => seen.push(gap, heard.length))
        const next = cut()
        next.session({ seq: 50, gap: true, behind: 1 })
        next.eventAt(51, "Said", 1)
        expect(seen.slice(2)).toEqual(["open", { fresh: false }, 0])
        expect(heard).toEqual([1])
        off()
        cut().session({ seq: 60, gap: true })
        expect(gaps).toEqual([{ fresh: false }, { fresh: false }])
        expect(seen.filter((one) => typeof one === "object").length).toBe(1)
      }
    ],
    [
      "in the same session: requests are sent again by their keys, also with resend: false",
      ({ client, cut }) => {
        void outcome(client.ask("A"))
        const next = cut()
        next.session({ seq: 50, gap: true })
        expect(next.methods).toEqual(["A"])
      },
      { resend: false }
    ],
    [
      "with another token: a fresh session, its numbers begin anew, and requests are sent again",
      async ({ client, socket, cut, gaps, heard }) => {
        socket.eventAt(90, "Said", 90)
        const answer = client.ask("A")
        const [sent] = socket.sent
        const next = cut()
        next.session({ token: "t2", seq: 0, gap: true })
        expect(gaps).toEqual([{ fresh: true }])
        expect(next.sent).toEqual([sent])
        next.eventAt(1, "Said", 1)
        next.answerAt(2, 1, "a")
        expect(await answer).toBe("a")
        expect(heard).toEqual([90, 1])
        expect(cut().query).toBe("?session=t2&after=2")
      }
    ],
    [
      "with another token and resend: false: requests have an unknown fate, and say so",
      async ({ client, cut }) => {
        const one = outcome(client.ask("A"))
        void outcome(client.ask("B", {}, { resend: true }))
        const next = cut(1011)
        next.session({ token: "t2", seq: 0, gap: true })
        expect(await one).toMatchObject({ _tag: "Disconnected", method: "A", code: 1011, unknown: true })
        expect(next.methods).toEqual(["B"])
      },
      { resend: false }
    ],
    [
      "with another token: one request may refuse it alone",
      async ({ client, cut }) => {
        const one = outcome(client.ask("A", {}, { resend: false }))
        void outcome(client.ask("B"))
        const next = cut()
        next.session({ token: "t2", seq: 0, gap: true })
        expect(await one).toBeInstanceOf(Disconnected)
        expect(next.methods).toEqual(["B"])
      }
    ],
    [
      "with another token: what was given up is forgotten, nothing to cancel there",
      async ({ client, cut }) => {
        const controller = new AbortController()
        void outcome(client.ask("A", {}, { signal: controller.signal }))
        const next = cut()
        controller.abort()
        next.session({ token: "t2", seq: 0, gap: true })
        expect(next.sent).toEqual([])
      }
    ],
    [
      "lets its listener ask at once, behind what is sent again, and close",
      ({ client, cut }) => {
        void outcome(client.ask("A"))
        client.onGap(() => void outcome(client.ask("Refetch")))
        client.onGap(() => client.close())
        const next = cut()
        next.session({ seq: 5, gap: true })
        expect(next.methods).toEqual(["A", "Refetch"])
        expect(client.status.state).toBe("closed")
      }
    ],
    [
      "is not told to one that the status made close",
      ({ client, cut, gaps }) => {
        client.onStatus(({ state }) => {
          if (state === "open") client.close()
        })
        cut().session({ seq: 5, gap: true })
        expect(gaps).toEqual([])
      }
    ]
  ])
})

describe("a session taken over by another socket (4001)", () => {
  it("ends this client for good, by name", async () => {
    const { world, client, socket } = opened({ maxInFlight: 1 })
    const seen: Array<Status> = []
    client.onStatus((status) => seen.push(status))
    const written = outcome(client.ask("A"))
    const waiting = outcome(client.ask("B"))
    const event = outcome(client.events("Said").next())
    socket.end(4001, "the session was taken over")
    expect(seen).toEqual([{ state: "closed", code: 4001, reason: "the session was taken over", local: false }])
    expect(await written).toMatchObject({ _tag: "Disconnected", code: 4001 })
    for (const end of [await waiting, await event, await outcome(client.ask("C"))]) {
      expect(end).toBeInstanceOf(TakenOver)
      expect(end).toBeInstanceOf(Closed)
      expect(end).toMatchObject({ _tag: "TakenOver", name: "TakenOver", code: 4001, local: false })
    }
    expect(() => client.notify("N")).toThrow(TakenOver)
    expect(world.pending).toBe(0)
  })

  it("is an ordinary close where there is no session, or the client's own", async () => {
    const without = opened({ session: false })
    without.socket.end(4001)
    expect(await outcome(without.client.ask("A"))).toMatchObject({ _tag: "Closed" })
    const own = opened()
    own.client.close(4001)
    expect(await outcome(own.client.ask("A"))).toMatchObject({ _tag: "Closed" })
  })
})

describe("a server that speaks of sessions otherwise", () => {
  it.each([
    ["an event first", { jsonrpc: "2.0", method: "Said", params: {} }],
    ["an answer first", { jsonrpc: "2.0", id: 1, result: null }],
    ["null", null],
    ["no params", { method: "$/session" }],
    ["no token", { method: "$/session", params: { seq: 0, gap: false, behind: 0 } }],
    ["a token no URL has", { method: "$/session", params: { token: "a b", seq: 0, gap: false, behind: 0 } }],
    ["no seq", { method: "$/session", params: { token: "t", gap: false, behind: 0 } }],
    ["a broken seq", { method: "$/session", params: { token: "t", seq: 1.5, gap: false, behind: 0 } }],
    ["a negative behind", { method: "$/session", params: { token: "t", seq: 0, gap: false, behind: -1 } }],
    ["no gap", { method: "$/session", params: { token: "t", seq: 0, behind: 0 } }]
  ])("is left, by name: %s", (_, frame) => {
    const world = new World()
    const client = connect(url, world.options({ session: true }))
    world.socket.open()
    world.socket.receive(frame)
    expect(client.status).toMatchObject({ state: "closed", code: 1002 })
    expect((client.status as { readonly reason: string }).reason).toContain("no $/session first")
  })

  it("that says nothing is given up after 10 s, and says what to do", () => {
    const world = new World()
    const client = connect(url, world.options({ session: true }))
    world.socket.open()
    world.advance(10_000)
    expect(client.status).toMatchObject({
      state: "waiting",
      code: 1006,
      reason: "no $/session within 10000 ms (session: false for a server that has none)"
    })
  })

  check([
    [
      "is left when a seq is no number",
      ({ client, socket }) => {
        socket.receive({ seq: "5", jsonrpc: "2.0", method: "Said", params: {} })
        expect(client.status).toMatchObject({ state: "closed", code: 1002 })
      }
    ],
    [
      "is left when a chunk has no values",
      ({ client, socket }) => {
        socket.receive({ seq: 5, jsonrpc: "2.0", method: "$/chunk", params: { id: 1 } })
        expect(client.status).toMatchObject({ state: "closed", code: 1002 })
      }
    ],
    [
      "is left when it answers what was never asked",
      ({ client, socket }) => {
        socket.answerAt(1, 1, null)
        expect(client.status).toMatchObject({ state: "closed", code: 1002 })
      }
    ]
  ])
})
