import fc from "fast-check"
import { afterEach, describe, expect, it } from "vitest"
import { Feed } from "../../src/gateway/Feed.ts"
import type { Session } from "../../src/gateway/Session.ts"
import { broadcast, houseOf, visit, Wire } from "./Wire.ts"

const grace = 3

/** A frame that was meant for a session. */
interface Meant {
  readonly seq: number
  /** What it says; more of a batch. */
  readonly said: ReadonlyArray<string>
}

/** An agent with its sessions, and what was meant for each. */
class Room {
  readonly house: ReturnType<typeof houseOf>
  readonly feed: Feed
  readonly sessions: Array<Session> = []
  readonly meant = new Map<Session, Array<Meant>>()

  constructor(limits: { maxReplay?: number; maxReplayBytes?: number } = {}, budget = 1_000_000) {
    this.house = houseOf({ maxReplay: 1000, maxReplayBytes: 100_000, graceMillis: grace, ...limits }, budget)
    this.feed = new Feed(this.house)
    rooms.push(this)
  }

  join(count = 1): void {
    for (let n = 0; n < count; n++) {
      const { session } = visit(this.feed, this.house)
      this.sessions.push(session)
      this.meant.set(session, [])
    }
  }

  #meant(session: Session, ...said: ReadonlyArray<string>): void {
    this.meant.get(session)!.push({ seq: this.feed.seq, said })
  }

  push(i: number, text: string): void {
    const session = this.sessions[i]!
    session.sendNow("Said", text)
    this.#meant(session, text)
  }

  batch(i: number, text: string): void {
    const session = this.sessions[i]!
    const [one, other] = [`${text} 1`, `${text} 2`]
    const answer = (result: string): string => JSON.stringify({ jsonrpc: "2.0", id: 1, result })
    session.finish({ connection: new Wire().connection, bytes: 0, answers: [answer(one)], left: 1 }, answer(other))
    this.#meant(session, one, other)
  }

  broadcast(text: string, but: (i: number) => boolean = () => false): void {
    const except = this.sessions.filter((_, i) => but(i))
    broadcast(this.sessions, text, except)
    for (const session of this.sessions) if (!except.includes(session)) this.#meant(session, text)
  }

  /** A session comes back that has seen frames up to `cursor`. */
  back(session: Session, cursor: number): { gap: boolean; seqs: ReadonlyArray<number>; said: ReadonlyArray<unknown> } {
    const wire = new Wire()
    session.resume(wire.connection, cursor)
    const { gap, behind } = wire.hello as { readonly gap: boolean; readonly behind: number }
    expect(behind).toBe(wire.seqs.length)
    return { gap, seqs: wire.seqs, said: wire.said }
  }
}

const rooms: Array<Room> = []

afterEach(() => {
  for (const { sessions, house } of rooms.splice(0)) {
    for (const session of sessions) session.end()
    // what is kept is one sum for the process
    expect(house.budget.kept).toBe(0)
  }
})

const which = fc.nat({ max: 3 })
const size = fc.constantFrom(1, 1, 1, 50, 300, 2000)
const step = fc.oneof(
  fc.record({ op: fc.constant("join" as const) }),
  fc.record({ op: fc.constantFrom("push" as const, "batch" as const), i: which, size }),
  fc.record({ op: fc.constant("broadcast" as const), but: fc.subarray([0, 1, 2, 3]), size }),
  fc.record({ op: fc.constant("receipt" as const), i: which }),
  fc.record({ op: fc.constant("later" as const) })
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** Takes the steps; without those that only others than the session `alone` asked for. */
const play = (room: Room, steps: ReadonlyArray<Step>, alone?: number): void => {
  room.join(2)
  for (const [n, each] of steps.entries()) {
    const text = "size" in each ? `${n} ${"x".repeat(each.size)}` : ""
    const there = "i" in each && each.i < room.sessions.length
    if (each.op === "join" && room.sessions.length < 4) room.join()
    else if (each.op === "broadcast") room.broadcast(text, (i) => each.but.includes(i))
    else if (each.op === "receipt" && there) room.sessions[each.i]!.expire(room.house.now())
    else if (each.op === "later") {
      room.house.time.now++
      room.feed.expire(room.house.now() - grace)
    } else if ((each.op === "push" || each.op === "batch") && there && each.i === (alone ?? each.i)) {
      room[each.op](each.i, text)
    }
  }
}

const limits = fc.record({
  maxReplay: fc.constantFrom(1, 3, 1000),
  maxReplayBytes: fc.constantFrom(64, 600, 100_000)
})

describe("a feed", () => {
  it("replays what is kept in order, and says a gap if and only if something meant for the session is gone", () => {
    fc.assert(
      fc.property(
        limits,
        fc.constantFrom(4 * 900, 1_000_000),
        fc.array(step, { maxLength: 60 }),
        (most, budget, steps) => {
          const room = new Room(most, budget)
          play(room, steps)
          for (const [session, meant] of room.meant) {
            for (const cursor of [0, ...meant.map(({ seq }) => seq)]) {
              const { gap, seqs, said } = room.back(session, cursor)
              const missed = meant.filter(({ seq }) => seq > cursor)
              const kept = missed.filter(({ seq }) => seqs.includes(seq))
              expect(seqs).toEqual(kept.map(({ seq }) => seq))
              expect(said).toEqual(kept.flatMap((one) => one.said))
              expect(gap).toBe(kept.length < missed.length)
            }
          }
          for (const session of room.sessions) session.end()
        }
      )
    )
  })

  it("sends no broadcast again to one that was not there yet, and knows what one has lost that the next left out", () => {
    const room = new Room({ maxReplay: 2 })
    room.join()
    room.broadcast("early")
    room.join()
    const [one, late] = room.sessions
    room.broadcast("first")
    expect(room.back(late!, 0)).toEqual({ gap: false, seqs: [2], said: ["first"] })
    for (const text of ["b", "c", "d", "e"]) room.broadcast(text, (i) => i === 1)
    expect([room.back(late!, 0).gap, room.back(late!, 2).gap]).toEqual([true, false])
    expect([room.back(one!, 3).gap, room.back(one!, 4).gap]).toEqual([true, false])
  })

  it("keeps for a session the same, whatever others ask for", () => {
    fc.assert(
      fc.property(limits, which, fc.array(step, { maxLength: 60 }), (most, i, steps) => {
        const found = [undefined, i].map((alone) => {
          const room = new Room(most)
          play(room, steps, alone)
          const session = room.sessions[i]
          if (session === undefined) return []
          const cursors = [0, ...room.meant.get(session)!.map(({ seq }) => seq)]
          const replays = cursors.map((cursor) => room.back(session, cursor))
          for (const each of room.sessions) each.end()
          return replays.map(({ gap, said }) => ({ gap, said }))
        })
        expect(found[0]).toEqual(found[1])
      })
    )
  })

  it.each([
    ["maxReplay", { maxReplay: 5 }, "count", 5],
    // each is kept at some 150 bytes
    ["maxReplayBytes", { maxReplayBytes: 800 }, "bytes", 5]
  ] as const)("keeps at most %s, of the broadcasts and of each session's own", (_, most, by, left) => {
    const room = new Room(most)
    room.join(3)
    for (let n = 0; n < 9; n++) {
      room.broadcast("b")
      for (const i of [0, 1]) room.push(i, "p")
    }
    expect(room.sessions.map((session) => room.back(session, 0).said.length)).toEqual([2 * left, 2 * left, left])
    expect(room.house.tally.evicted).toEqual({ count: 0, bytes: 0, budget: 0, [by]: 3 * (9 - left) })
  })

  it("keeps a broadcast once, however many sessions hear it", () => {
    const kept = [1, 1000].map((sessions) => {
      const room = new Room()
      room.join(sessions)
      room.broadcast("b")
      return room.house.budget.kept
    })
    expect(kept[1]).toBe(kept[0])
  })

  it("counts what goes for the sake of all sessions, and takes it from who goes on asking", () => {
    const room = new Room({}, 4 * 2000)
    room.join(3)
    room.broadcast("b")
    room.push(0, "mine")
    for (let n = 0; n < 100; n++) room.push(1, "x".repeat(100))
    expect(room.house.tally.evicted.budget).toBeGreaterThan(90)
    expect([0, 1, 2].map((i) => room.back(room.sessions[i]!, 0).gap)).toEqual([false, true, false])
    expect(room.back(room.sessions[0]!, 0).said).toEqual(["b", "mine"])
  })

  it("keeps what may not have arrived, however old", () => {
    const room = new Room()
    room.join(1)
    room.push(0, "p")
    room.broadcast("b")
    room.house.time.now = 10 * grace
    room.sessions[0]!.expire(0)
    room.feed.expire(9 * grace)
    expect(room.back(room.sessions[0]!, 0).said).toEqual(["p", "b"])
    room.sessions[0]!.expire(1)
    room.feed.expire(9 * grace)
    expect(room.house.budget.kept).toBe(0)
  })

  it("has nothing left of what is old and has arrived, of the broadcasts when all have it", () => {
    const room = new Room()
    room.join(2)
    room.broadcast("b")
    for (const i of [0, 1]) room.push(i, "p")
    const all = room.house.budget.kept
    room.house.time.now = 10
    room.sessions[0]!.expire(5)
    room.feed.expire(10 - grace)
    expect([0, 1].map((i) => room.back(room.sessions[i]!, 0).said)).toEqual([["b"], ["b", "p"]])
    room.sessions[1]!.expire(5)
    room.feed.expire(10 - grace)
    expect([all > 0, room.house.budget.kept]).toEqual([true, 0])
    expect(room.sessions.map(({ own }) => own)).toEqual([undefined, undefined])
    expect(room.house.tally.evicted).toEqual({ count: 0, bytes: 0, budget: 0 })
  })
})
