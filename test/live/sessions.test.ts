import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import type { Handshake } from "troupe/gateway"
import { afterEach, describe, expect, it } from "vitest"
import { Gate, type Live, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"
import { flat, keyed, pay, seqs, texts, type Visit } from "./Visit.ts"

let live: Live | undefined
let gate: Gate

const lab = async (...[options, limits]: [Parameters<typeof open>[1]?, Parameters<typeof open>[2]?]): Promise<Live> => {
  gate = new Gate()
  live = await open(gate, options, limits)
  return live
}

afterEach(async () => {
  gate.stayOpen()
  await live?.close()
  live = undefined
})

const visit = (query: string, key = "a"): Promise<Visit> => pay(`${live!.url}/${key}?${query}`)
const begin = (key?: string): Promise<Visit> => visit("session=new", key)
const back = ({ hello, cursor }: Visit, key?: string): Promise<Visit> =>
  visit(`session=${hello.token}&after=${cursor()}`, key)

/** Cuts the socket, and waits until the gateway knows. */
const cut = async ({ raw }: Visit): Promise<void> => {
  const { away } = live!.gateway.stats()
  raw.socket.terminate()
  await until("its session is away", () => live!.gateway.stats().away === away + 1)
}

describe("a session", () => {
  it("is opt-in: without asking there is no frame of it and no seq", async () => {
    await lab()
    const raw = await Raw.open(`${live!.url}/a`)
    raw.send(call(1, "Kept"))
    await raw.answer(1)
    expect(raw.frames).toEqual([{ jsonrpc: "2.0", id: 1, result: 0 }])
    expect(live!.gateway.stats().sessions).toBe(0)
    raw.socket.terminate()
  })

  it("begins with its token; every answer, error, chunk and event bears a rising seq, batches one an element", async () => {
    await lab()
    const { raw, hello } = await begin()
    expect(hello).toEqual({ token: expect.stringMatching(/^[\w-]{43}$/), seq: 0, gap: false, behind: 0 })
    raw.send(call(1, "Kept"))
    raw.send(call(2, "NoSuch"))
    raw.send(call(3, "Count", { to: 3 }))
    raw.send(call(4, "Flood", { frames: 2, bytes: 1 }))
    raw.send([call(5, "Kept"), call(6, "Kept")])
    for (const id of [3, 6]) await raw.answer(id)
    const numbered = flat(raw).slice(1)
    expect(numbered.length).toBeGreaterThanOrEqual(9)
    expect(numbered.map(({ seq }) => seq)).toEqual(numbered.map((_, i) => i + 1))
    raw.socket.terminate()
  })

  it("keeps no answer to a $/ method, such as a client's probe: it bears no seq", async () => {
    await lab({ maxReplay: 1 })
    const one = await begin()
    one.raw.send(call(1, "Kept"))
    for (const id of ["p1", "p2"]) one.raw.send(call(id, "$/cancel", { id: 0 }))
    expect(await one.raw.answer("p2")).toEqual({ jsonrpc: "2.0", id: "p2", result: null })
    await cut(one)
    const again = await visit(`session=${one.hello.token}&after=0`)
    expect(again.hello).toMatchObject({ gap: false, behind: 1 })
    expect((await again.raw.answer(1)).result).toBe(0)
    again.raw.socket.terminate()
  })

  it("outlives its socket: a request goes on, its answer is replayed; the agent hears onAway and onBack", async () => {
    await lab()
    const first = await begin()
    first.raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    await cut(first)
    gate.open()
    await until("it was told", () => gate.hooks.length === 2)
    const second = await back(first)
    expect(second.hello).toMatchObject({ token: first.hello.token, gap: false })
    expect((await second.raw.answer(1)).result).toBe(1)
    await until("it was told again", () => gate.hooks.length === 3)
    expect(gate.hooks.map((hook) => hook.replace(/^c\d+ /, ""))).toEqual(["connected", "away true", "back false"])
    expect(gate.interrupted).toEqual([])
    second.raw.socket.terminate()
  })

  it("replays exactly what was missed and meant for it, in order, then goes on", async () => {
    await lab()
    const [one, other] = [await begin(), await begin()]
    other.raw.send(call(1, "Others", { text: "a" }))
    await one.raw.frame(({ method }) => method === "Filler")
    await other.raw.answer(1)
    await cut(one)
    // to all, to the other alone, to all but the other
    other.raw.send(call(2, "Flood", { frames: 2, bytes: 1 }))
    other.raw.send(call(3, "Others", { text: "b" }))
    await other.raw.answer(3)
    const again = await back(one)
    expect(again.hello).toMatchObject({ gap: false, behind: 3 })
    other.raw.send(call(4, "Others", { text: "c" }))
    await again.raw.frame(({ params }) => (params as { text?: string } | undefined)?.text === "c")
    expect(texts(one.raw)).toEqual(["a"])
    expect(texts(again.raw)).toEqual(["x", "x", "b", "c"])
    expect(texts(other.raw)).toEqual(["x", "x"])
    expect(seqs(again.raw)).toEqual([...seqs(again.raw)].toSorted((a, b) => a - b))
    await cut(other)
    const whole = await visit(`session=${other.hello.token}&after=0`)
    await until("all has come", () => flat(whole.raw).length === 1 + whole.hello.behind)
    expect(texts(whole.raw)).toEqual(["x", "x"])
    for (const { raw } of [again, whole]) raw.socket.terminate()
  })

  it("that began later is not sent what came before it, even when it comes back with an old number", async () => {
    await lab()
    const early = await begin()
    early.raw.send(call(1, "Flood", { frames: 3, bytes: 1 }))
    await early.raw.answer(1)
    const late = await begin()
    expect(late.hello.seq).toBe(4)
    await cut(late)
    const again = await visit(`session=${late.hello.token}&after=0`)
    expect(again.hello).toMatchObject({ gap: false, behind: 0 })
    for (const { raw } of [early, again]) raw.socket.terminate()
  })

  it("is one of many of its agent: what goes to another one makes no gap", async () => {
    await lab({ maxReplay: 4 })
    const [quiet, busy] = [await begin(), await begin()]
    busy.raw.send(call("all", "Flood", { frames: 1, bytes: 1 }))
    await quiet.raw.frame(({ method }) => method === "Filler")
    await cut(quiet)
    for (let n = 1; n <= 20; n++) busy.raw.send(call(n, "Kept"))
    await busy.raw.answer(20)
    const again = await back(quiet)
    expect(again.hello).toMatchObject({ gap: false, behind: 0 })
    for (const { raw } of [busy, again]) raw.socket.terminate()
  })

  it.each([
    ["count", { maxReplay: 3 }, 10, 1, 3],
    ["bytes", { maxReplayBytes: 4000 }, 10, 1000, 3]
  ])("says so when the ring no longer has all, bounded by %s", async (_, options, frames, bytes, left) => {
    await lab(options)
    const [one, other] = [await begin(), await begin()]
    other.raw.send(call(1, "Others", { text: "first" }))
    await one.raw.frame(({ method }) => method === "Filler")
    await cut(one)
    other.raw.send(call(2, "Flood", { frames, bytes }))
    await other.raw.answer(2)
    const again = await back(one)
    expect(again.hello.gap).toBe(true)
    expect(again.hello.behind).toBe(left)
    for (const { raw } of [other, again]) raw.socket.terminate()
  })

  it("lets what is older than the grace go, and its bytes with it", async () => {
    await lab({ sessionGrace: 40, heartbeat: 100 })
    const one = await begin()
    one.raw.send(call(1, "Flood", { frames: 10, bytes: 1000 }))
    await one.raw.answer(1)
    await until("nothing is kept", () => live!.gateway.stats().keptBytes === 0)
    expect(live!.gateway.stats()).toMatchObject({ sessions: 1, away: 0 })
    one.raw.socket.terminate()
  })

  it("ends when it was away for the grace: onDisconnect, requests cancelled, its token unknown", async () => {
    await lab({ sessionGrace: 40, heartbeat: 100 })
    const one = await begin()
    one.raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    one.raw.socket.terminate()
    // the handler that was at work heard nothing of it until it was interrupted
    await until("it was told", () => gate.hooks.length === 2)
    expect(gate.hooks.map((hook) => hook.replace(/^c\d+ /, ""))).toEqual(["connected", "left 1006"])
    expect(gate.interrupted).toEqual([1])
    expect(live!.gateway.stats()).toMatchObject({ sessions: 0, away: 0, keptBytes: 0 })
    const again = await back(one)
    expect(again.hello).toMatchObject({ gap: true, behind: 0 })
    expect(again.hello.token).not.toBe(one.hello.token)
    again.raw.socket.close(1000)
  })

  it("ends at once when its client closes 1000", async () => {
    await lab()
    const one = await begin()
    one.raw.socket.close(1000)
    await until("it was told", () => gate.hooks.length === 2)
    expect(gate.hooks[1]).toMatch(/left 1000$/)
    expect(live!.gateway.stats().sessions).toBe(0)
  })

  it("stays when its client closes 1001 or without a code", async () => {
    await lab()
    for (const code of [1001, undefined]) {
      const one = await begin()
      one.raw.socket.close(code)
      await until("it is away", () => live!.gateway.stats().away === 1)
      const again = await back(one)
      expect(again.hello.gap).toBe(false)
      again.raw.socket.close(1000)
      await until("it has ended", () => live!.gateway.stats().sessions === 0)
    }
  })

  it("ends when its agent closes it, with the agent's code", async () => {
    await lab()
    const one = await begin()
    one.raw.send(call(1, "HangUp", { code: 4321, reason: "enough" }))
    expect(await one.raw.closed).toBe(4321)
    await until("it was told", () => gate.hooks.length === 2)
    expect(gate.hooks[1]).toMatch(/left 4321$/)
    expect(live!.gateway.stats()).toMatchObject({ sessions: 0, keptBytes: 0 })
  })

  it("ends with its agent's life, also while it is away", async () => {
    await lab()
    const [away, here] = [await begin(), await begin()]
    await cut(away)
    here.raw.send(call(1, "Stop"))
    expect(await here.raw.closed).toBe(1001)
    await until("both have ended", () => live!.gateway.stats().sessions === 0)
    const again = await back(away)
    expect(again.hello).toMatchObject({ gap: true })
    again.raw.socket.close(1000)
  })

  it("survives its agent's restart, here and away", async () => {
    await lab()
    const [away, here] = [await begin(), await begin()]
    await cut(away)
    here.raw.send(call(1, "Fail"))
    expect((await here.raw.answer(1)).error?.code).toBe(-32603)
    here.raw.send(call(2, "Flood", { frames: 1, bytes: 1 }))
    await here.raw.answer(2)
    const again = await back(away)
    expect(texts(again.raw)).toEqual(["x"])
    expect(gate.hooks.filter((hook) => hook.endsWith("restarted"))).toHaveLength(2)
    await until("it was told", () => gate.hooks.some((hook) => hook.endsWith("back false")))
    for (const { raw } of [again, here]) raw.socket.terminate()
  })

  it("is taken over by a second socket: the first is closed 4001, and the agent notices nothing", async () => {
    await lab()
    const first = await begin()
    first.raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const second = await back(first)
    expect(await first.raw.closed).toBe(4001)
    gate.open()
    expect((await second.raw.answer(1)).result).toBe(1)
    expect(gate.hooks).toHaveLength(1)
    expect(live!.gateway.stats()).toMatchObject({ sessions: 1, away: 0 })
    second.raw.socket.terminate()
  })

  it("is taken over on a full host though its socket is half-open, again and again; each place is free once", async () => {
    await lab({ maxConnections: 2, maxConnectionsPerAddress: 2 })
    const other = await begin()
    let one = await begin()
    const left: Array<Visit> = []
    for (let times = 0; times < 5; times++) {
      // it will not answer the close frame
      one.raw.socket.pause()
      left.push(one)
      one = await back(one)
      await expect(begin()).rejects.toThrow("503")
    }
    await until("all but the last that was left are cut", () => live!.gateway.stats().connections <= 3)
    expect(live!.gateway.stats()).toMatchObject({ sessions: 2, away: 0, notAdmitted: { 503: 5 } })
    for (const { raw } of [one, other]) raw.socket.close(1000)
    await until("both have ended", () => live!.gateway.stats().sessions === 0)
    const [third, fourth] = [await begin(), await begin()]
    await expect(begin()).rejects.toThrow("503")
    for (const { raw } of [third, fourth, ...left]) raw.socket.terminate()
  })

  it("is taken over from another address: it counts there, and here no more", async () => {
    await lab({ maxConnectionsPerAddress: 1 })
    const here = { localAddress: "127.0.0.1" }
    const one = await Raw.open(`${live!.url}/a?session=new`, here)
    await one.frame(() => true)
    one.socket.pause()
    const { token } = (one.frames[0] as Frame).params as { readonly token: string }
    const there = { localAddress: "127.0.0.9" }
    const again = await Raw.open(`${live!.url}/a?session=${token}&after=0`, there)
    await expect(Raw.open(`${live!.url}/a`, there)).rejects.toThrow("429")
    const third = await Raw.open(`${live!.url}/a`, here)
    await expect(Raw.open(`${live!.url}/a`, here)).rejects.toThrow("429")
    one.socket.terminate()
    await until("it has closed", () => live!.gateway.stats().connections === 2)
    await expect(Raw.open(`${live!.url}/a`, here)).rejects.toThrow("429")
    for (const { socket } of [again, third]) socket.terminate()
  })

  it("is taken over by its own principal on a full host, and by no other", async () => {
    const authenticate = ({ token }: Handshake) => Effect.succeed({ id: Redacted.value(token!) })
    await lab({ authenticate, maxConnections: 1, maxConnectionsPerPrincipal: 1 })
    const one = await visit("session=new&token=ann")
    one.raw.socket.pause()
    const wish = `session=${one.hello.token}&after=0`
    await expect(visit(`${wish}&token=bob`)).rejects.toThrow("503")
    const again = await visit(`${wish}&token=ann`)
    expect(again.hello).toMatchObject({ token: one.hello.token, gap: false })
    const third = await visit(`${wish}&token=ann`)
    for (const { raw } of [one, again, third]) raw.socket.terminate()
  })

  it("is taken over while all connections together hold four fifths of their bytes", async () => {
    await lab({ maxHeldBytes: 65_536, maxUnfinished: 1000 }, { mailbox: { capacity: 1000 } })
    const one = await begin()
    const hog = await Raw.open(`${live!.url}/b`)
    for (let n = 0; n < 20; n++) hog.send(call(n, "Hold", { n, padding: "x".repeat(6000) }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    await expect(begin()).rejects.toThrow("503")
    const again = await back(one)
    expect(again.hello.gap).toBe(false)
    for (const socket of [again.raw.socket, hog.socket]) socket.terminate()
  })

  it("is bound to its agent: with another key its token is not known", async () => {
    await lab()
    const one = await begin("a")
    const stranger = await visit(`session=${one.hello.token}&after=0`, "b")
    expect(stranger.hello).toMatchObject({ gap: true })
    expect(stranger.hello.token).not.toBe(one.hello.token)
    expect(one.raw.socket.readyState).toBe(1)
    for (const { raw } of [one, stranger]) raw.socket.terminate()
  })

  it.each([
    "session=",
    "session=old",
    "session=new&session=new",
    "session=new&after=1",
    "after=1",
    `session=${"x".repeat(43)}`,
    `session=${"x".repeat(43)}&after=-1`,
    `session=${"x".repeat(43)}&after=1e3`,
    `session=${"x".repeat(43)}&after=1&after=2`,
    `session=${"x".repeat(42)}!&after=1`,
    `session=${"x".repeat(44)}&after=1`,
    `session=${"x".repeat(43)}&after=${"9".repeat(16)}`
  ])("is refused with 400 when the wish is malformed: %s", async (query) => {
    await lab()
    await expect(Raw.open(`${live!.url}/a?${query}`)).rejects.toThrow("400")
  })

  it("counts as a connection while it is away; coming back is always let in", async () => {
    await lab({ maxConnections: 2 })
    const [one, two] = [await begin(), await begin()]
    await cut(one)
    await expect(begin()).rejects.toThrow("503")
    const again = await back(one)
    for (const { raw } of [again, two]) raw.socket.terminate()
  })

  it("counts requests of earlier connections against the window", async () => {
    await lab({ maxUnfinished: 2 }, { mailbox: { capacity: 100 } })
    const first = await begin()
    for (const n of [1, 2]) first.raw.send(call(n, "Hold", { n }))
    await until("both were read", () => live!.gateway.stats().framesIn === 2)
    await cut(first)
    const second = await back(first)
    for (const n of [3, 4]) second.raw.send(call(n, "Hold", { n }))
    await until("it is paused", () => live!.gateway.stats().paused === 1)
    const { queued, running } = live!.host.snapshot()
    // two requests, and the news that it was away
    expect(queued + running).toBe(3)
    gate.stayOpen()
    for (const n of [1, 2, 3, 4]) expect((await second.raw.answer(n)).result).toBe(n)
    second.raw.socket.terminate()
  })

  it("a stream waits while its client is away, and goes on behind what was replayed", async () => {
    await lab()
    const [first, other] = [await begin(), await begin()]
    first.raw.socket.pause()
    first.raw.send(call(1, "Count", { to: 2000, bytes: 10_000 }))
    await until("the system's buffers are full", () => live!.gateway.stats().queuedBytes > 0)
    first.raw.socket.terminate()
    await until("it is away", () => live!.gateway.stats().away === 1)
    // it has all the time in the world
    for (let n = 1; n <= 300; n++) {
      other.raw.send(call(n, "Kept"))
      await other.raw.answer(n)
    }
    expect(gate.streamsEnded).toBe(0)
    const second = await back(first)
    await second.raw.answer(1)
    expect(gate.streamsEnded).toBe(1)
    for (const { raw } of [second, other]) raw.socket.terminate()
  })

  it("drains as a connection does: what was read is answered, also what an earlier connection read", async () => {
    await lab()
    const first = await begin()
    first.raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const second = await back(first)
    await first.raw.closed
    const closing = live!.close()
    await until("it drains", () => live!.gateway.stats().connections === 1)
    gate.stayOpen()
    expect(await second.raw.closed).toBe(1012)
    expect((await second.raw.answer(1)).result).toBe(1)
    await closing
    expect(gate.hooks.at(-1)).toMatch(/left 1012$/)
    live = undefined
  })

  it("too slow for its events is closed 1013, comes back, and has lost nothing that the ring keeps", async () => {
    await lab({ maxOutboxFrames: 4, maxReplayBytes: 100_000_000, maxReplay: 65_536 })
    const slow = await begin()
    const other = await begin()
    slow.raw.socket.pause()
    let n = 0
    const fill = async (): Promise<void> => {
      other.raw.send(call(++n, "Others", { text: "x".repeat(60_000) }))
      await other.raw.answer(n)
    }
    // until the system's buffers are full, and some more
    while (live!.gateway.stats().queuedBytes === 0) await fill()
    for (let more = 0; more < 8; more++) await fill()
    slow.raw.socket.resume()
    expect(await slow.raw.closed).toBe(1013)
    const again = await back(slow)
    expect(again.hello.gap).toBe(false)
    await until("all has come", () => texts(slow.raw).length + texts(again.raw).length === n)
    for (const { raw } of [again, other]) raw.socket.terminate()
  })
})

describe("requestKey", () => {
  it("a request sent again is handled once: its outcome comes again, under the repeat's id", async () => {
    await lab()
    const { raw } = await begin()
    gate.stayOpen()
    raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await raw.answer(1)
    raw.send(keyed("k", 2, "Hold", { n: 1 }))
    expect((await raw.answer(2)).result).toBe(1)
    expect(gate.held).toEqual([1])
    raw.socket.terminate()
  })

  it("one whose answer was on its way when it was sent again gets no second one", async () => {
    await lab()
    const first = await begin()
    first.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    await cut(first)
    const second = await back(first)
    gate.stayOpen()
    await second.raw.answer(1)
    second.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    second.raw.send(call(2, "Kept"))
    await second.raw.answer(2)
    expect(flat(second.raw).filter(({ id }) => id === 1)).toHaveLength(1)
    // one that comes back and says that it has not seen the answer is sent it again, by the replay; one that says it has asks anew
    await cut(second)
    const third = await back(second)
    third.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    expect((await third.raw.answer(1)).result).toBe(1)
    expect(gate.held).toEqual([1])
    third.raw.socket.terminate()
  })

  it("keeps typed errors and faults as outcomes too", async () => {
    await lab()
    const { raw } = await begin()
    raw.send(keyed("m", 1, "Mute"))
    const first = await raw.answer(1)
    raw.send(keyed("m", 2, "Mute"))
    expect((await raw.answer(2)).error).toEqual(first.error)
    raw.send(keyed("f", 3, "Fail"))
    const incident = (await raw.answer(3)).error
    raw.send(keyed("f", 4, "Fail"))
    expect((await raw.answer(4)).error).toEqual(incident)
    raw.socket.terminate()
  })

  it("while it runs: a repeat with its id gets the one answer, one with another id its own", async () => {
    await lab()
    const first = await begin()
    first.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    await cut(first)
    const second = await back(first)
    second.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    second.raw.send(keyed("k", 2, "Hold", { n: 1 }))
    await until("they were read", () => live!.gateway.stats().framesIn === 3)
    gate.stayOpen()
    expect((await second.raw.answer(2)).result).toBe(1)
    second.raw.send(call(3, "Kept"))
    await second.raw.answer(3)
    expect(flat(second.raw).filter(({ id }) => id === 1)).toHaveLength(1)
    expect(gate.held).toEqual([1])
    second.raw.socket.terminate()
  })

  it.each([
    ["of other params", keyed("k", 2, "Hold", { n: 2 })],
    ["of another method", keyed("k", 2, "Kept")]
  ])("with other content is refused -32600: %s", async (_, repeat) => {
    await lab()
    const { raw } = await begin()
    gate.stayOpen()
    raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await raw.answer(1)
    raw.send(repeat)
    expect((await raw.answer(2)).error).toMatchObject({ code: -32600, data: "the requestKey of another request" })
    raw.socket.terminate()
  })

  it("of a request that was not taken is free again", async () => {
    await lab({}, { mailbox: { capacity: 1 } })
    const { raw } = await begin()
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    raw.send(call(2, "Kept"))
    raw.send(keyed("k", 3, "Kept"))
    expect((await raw.answer(3)).error?.code).toBe(-32001)
    raw.send(keyed("bad", 4, "Hold", { n: "x" }))
    expect((await raw.answer(4)).error?.code).toBe(-32602)
    gate.stayOpen()
    await raw.answer(2)
    raw.send(keyed("k", 5, "Kept"))
    expect((await raw.answer(5)).result).toBe(0)
    raw.send(keyed("bad", 6, "Hold", { n: 6 }))
    expect((await raw.answer(6)).result).toBe(6)
    raw.socket.terminate()
  })

  it("of a stream that was dropped is free again", async () => {
    await lab({}, { mailbox: { capacity: 1, overflow: "dropNewest" } })
    const { raw } = await begin()
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    raw.send(call(2, "Kept"))
    raw.send(keyed("k", 3, "Count", { to: 1 }))
    expect((await raw.answer(3)).error).toMatchObject({ code: -32001, data: { retryable: true } })
    gate.stayOpen()
    await raw.answer(2)
    raw.send(keyed("k", 4, "Count", { to: 1 }))
    expect((await raw.answer(4)).error).toBeUndefined()
    expect(gate.produced).toBe(1)
    raw.socket.terminate()
  })

  it.each(["dropNewest", "dropOldest"] as const)("of a request that %s dropped is free again", async (overflow) => {
    await lab({}, { mailbox: { capacity: 1, overflow } })
    const { raw } = await begin()
    raw.send(call(1, "Hold", { n: 1 }))
    await until("the handler waits", () => gate.held.length === 1)
    const both = [call(2, "Kept"), keyed("k", 3, "Hold", { n: 3 })]
    for (const each of overflow === "dropNewest" ? both : both.toReversed()) raw.send(each)
    expect((await raw.answer(3)).error).toMatchObject({ code: -32001, data: { retryable: true } })
    gate.stayOpen()
    await raw.answer(2)
    raw.send(keyed("k", 4, "Hold", { n: 3 }))
    expect((await raw.answer(4)).result).toBe(3)
    raw.send(keyed("k", 5, "Hold", { n: 3 }))
    expect((await raw.answer(5)).result).toBe(3)
    expect(gate.held).toEqual([1, 3])
    raw.socket.terminate()
  })

  it("of a request that timed out before its handler began is free again; in its handler, it is not", async () => {
    gate = new Gate()
    live = await open(gate, { requestTimeout: 100 }, {}, TestClock.layer())
    const { raw } = await begin()
    raw.send(notice("Hold", { n: 0 }))
    raw.send(keyed("queued", 1, "Hold", { n: 1 }))
    raw.send(keyed("queued", "repeat", "Hold", { n: 1 }))
    await until("all were read", () => live!.gateway.stats().framesIn === 3)
    await live.run(TestClock.adjust(100))
    for (const id of [1, "repeat"]) {
      expect((await raw.answer(id)).error).toMatchObject({ code: -32003, data: { started: false } })
    }
    gate.open()
    raw.send(keyed("begun", 2, "Hold", { n: 2 }))
    await until("its handler waits", () => gate.held.length === 2)
    await live.run(TestClock.adjust(100))
    expect((await raw.answer(2)).error).toMatchObject({ code: -32003, data: { started: true } })
    gate.stayOpen()
    raw.send(keyed("queued", 3, "Hold", { n: 1 }))
    raw.send(keyed("begun", 4, "Hold", { n: 2 }))
    expect((await raw.answer(3)).result).toBe(1)
    expect((await raw.answer(4)).error).toMatchObject({ code: -32003, data: { started: true } })
    expect(gate.held).toEqual([0, 2, 1])
    raw.socket.close(1000)
    await until("it is gone", () => live!.gateway.stats().connections === 0)
  })

  it("outlives its kept outcome: a repeat is told -32005 and not handled again", async () => {
    await lab({ maxReplayBytes: 2000 })
    const { raw } = await begin()
    const big = (n: number): string => String(n).repeat(900)
    for (let n = 1; n <= 4; n++) raw.send(keyed(`k${n}`, n, "Deep", { value: big(n) }))
    await raw.answer(4)
    raw.send(keyed("k1", 5, "Deep", { value: big(1) }))
    expect((await raw.answer(5)).error?.code).toBe(-32005)
    raw.send(keyed("k4", 6, "Deep", { value: big(4) }))
    expect((await raw.answer(6)).result).toBe(big(4))
    raw.socket.terminate()
  })

  it("of a session with many takes nothing of another's: neither its outcome nor its replay, and half is half", async () => {
    await lab({ maxHeldBytes: 400_000 })
    gate.stayOpen()
    const [quiet, busy] = [await begin("quiet"), await begin("busy")]
    quiet.raw.send(keyed("k", 1, "Hold", { n: 1 }))
    await quiet.raw.answer(1)
    await cut(quiet)
    const kept: Array<number> = []
    for (let n = 0; n < 1000; n += 25) {
      for (let id = n; id < n + 25; id++) busy.raw.send(keyed(`k${id}`, id, "Hold", { n: id }))
      await busy.raw.answer(n + 24)
      kept.push(live!.gateway.stats().keptBytes)
    }
    expect(Math.max(...kept)).toBeLessThanOrEqual(200_000)
    const again = await visit(`session=${quiet.hello.token}&after=0`, "quiet")
    expect(again.hello).toMatchObject({ gap: false, behind: 1 })
    again.raw.send(keyed("k", 2, "Hold", { n: 1 }))
    expect((await again.raw.answer(2)).result).toBe(1)
    busy.raw.send(keyed("k999", "again", "Hold", { n: 999 }))
    expect((await busy.raw.answer("again")).result).toBe(999)
    expect(gate.held).toHaveLength(1001)
    for (const { raw } of [busy, again]) raw.socket.terminate()
  })

  it("with a long id is weighed by it", async () => {
    await lab({ maxHeldBytes: 400_000 })
    const { raw } = await begin()
    const id = (n: number): string => `${n}`.padStart(8000)
    for (let n = 0; n < 30; n++) {
      raw.send(keyed(`k${n}`, id(n), "Kept"))
      await raw.answer(id(n))
    }
    raw.send(keyed("k0", "again", "Flood", { frames: 0, bytes: 0 }))
    expect(await raw.answer("again")).toMatchObject({ result: null })
    raw.socket.terminate()
  })

  it("is remembered for 1,024 requests", async () => {
    await lab({ maxReplayBytes: 10_000_000 })
    gate.stayOpen()
    const { raw } = await begin()
    for (let n = 0; n < 1025; n++) raw.send(keyed(`k${n}`, n, "Hold", { n }))
    await raw.answer(1024)
    raw.send(keyed("k1", "again", "Hold", { n: 1 }))
    await raw.answer("again")
    expect(gate.held).toHaveLength(1025)
    raw.send(keyed("k0", "forgotten", "Hold", { n: 0 }))
    await raw.answer("forgotten")
    expect(gate.held).toHaveLength(1026)
    raw.socket.terminate()
  })

  it("needs a session, an id, and to be text of 1 to 128 units", async () => {
    await lab()
    const plain = await Raw.open(`${live!.url}/a`)
    plain.send(keyed("k", 1, "Kept"))
    expect((await plain.answer(1)).error).toMatchObject({ code: -32600, data: "a requestKey, but no session" })
    const { raw } = await begin()
    const bad: ReadonlyArray<unknown> = ["", "x".repeat(129), 7, null, {}]
    for (const [i, requestKey] of bad.entries()) {
      raw.send({ ...call(i, "Kept"), requestKey })
      expect((await raw.answer(i)).error?.code).toBe(-32600)
    }
    raw.send({ ...notice("Note", { n: 1 }), requestKey: "k" })
    expect((await raw.answer(null)).error).toMatchObject({ code: -32600, data: "a requestKey, but no id" })
    expect(gate.noted).toEqual([])
    for (const { socket } of [plain, raw]) socket.terminate()
  })
})
