import { afterEach, describe, expect, it } from "vitest"
import { Feed } from "../../src/gateway/Feed.ts"
import { broadcast, houseOf, visit, Wire } from "./Wire.ts"

const house = houseOf({ maxReplay: 100, maxReplayBytes: 100_000, graceMillis: 1000 }, 1_000_000)

const begun: Array<ReturnType<typeof visit>> = []
const begin = (feed: Feed): ReturnType<typeof visit> => {
  const one = visit(feed, house)
  begun.push(one)
  return one
}

afterEach(() => {
  // what is kept is one sum for the process
  for (const { session } of begun.splice(0)) session.end()
  expect(house.budget.kept).toBe(0)
})

describe("a session", () => {
  it("knows what has arrived, whatever its next connection has proven so far", () => {
    const { session } = begin(new Feed(house))
    for (const before of [5, 0, 3]) session.expire(before)
    expect(session.receivedBefore).toBe(5)
  })

  it("has a broadcast once in its feed, however its agent's gateways take turns", () => {
    const [one, two, three] = [new Feed(house), new Feed(house), new Feed(house)]
    const visits = [one, two, one, three, two, one, three].map(begin)
    const sessions = visits.map(({ session }) => session)
    broadcast(sessions, "a")
    broadcast(sessions, "b")
    expect([one.seq, two.seq, three.seq]).toEqual([2, 2, 2])
    for (const { session, wire } of visits) {
      expect(wire.seqs).toEqual([1, 2])
      const next = new Wire()
      session.resume(next.connection, 1)
      expect([wire.said, next.said]).toEqual([["a", "b"], ["b"]])
    }
  })

  it("that is taken over says $/session and what was missed before anything that waited for the former socket", () => {
    const { session, wire } = begin(new Feed(house))
    session.sendNow("Said", "missed")
    wire.onHangUp = () => void session.sendNow("Said", "waited")
    const next = new Wire()
    session.resume(next.connection, 0)
    expect(next.sent).toMatchObject([{ method: "$/session" }, { method: "Said" }, { method: "Said" }])
    expect(next.said).toEqual(["missed", "waited"])
    expect(next.hello).toMatchObject({ seq: 0, behind: 1, gap: false })
  })

  it("lets go of what was kept for it alone when it ends, and of the broadcasts with the last one", () => {
    const feed = new Feed(house)
    const [one, other] = [begin(feed), begin(feed)]
    one.session.sendNow("Said", "a")
    const own = house.budget.kept
    broadcast([one.session, other.session], "b")
    const all = house.budget.kept
    one.session.end()
    expect(house.budget.kept).toBe(all - own)
    other.session.end()
    expect(house.budget.kept).toBe(0)
  })
})
