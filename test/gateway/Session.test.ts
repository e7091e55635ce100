import { afterEach, describe, expect, it } from "vitest"
import type { Client, Encoded } from "../../src/actor/Client.ts"
import type { Pass } from "../../src/gateway/Admission.ts"
import { Budget } from "../../src/gateway/Budget.ts"
import type { Connection, House } from "../../src/gateway/Connection.ts"
import { Ring } from "../../src/gateway/Ring.ts"
import { Session } from "../../src/gateway/Session.ts"

const house = {
  budget: new Budget(1_000_000),
  limits: { maxReplay: 100, maxReplayBytes: 100_000, graceMillis: 1000 },
  now: () => 0
} as unknown as House

const rings: Array<Ring> = []
const ringOf = (): Ring => {
  const ring = new Ring(house)
  rings.push(ring)
  return ring
}

afterEach(() => {
  // what is kept is one sum for the process
  for (const ring of rings.splice(0)) ring.clear()
  expect(house.budget.kept).toBe(0)
})

const pass = {
  agent: "Lab/a",
  codec: { protocol: { lossy: new Map() }, event: (_: string, value: unknown) => ({ ok: true, value }) }
} as unknown as Pass

interface Message {
  readonly method: string
  readonly seq?: number
  readonly params: unknown
}

/** A socket that notes what it is sent; `onHangUp`: what comes of closing it. */
class Wire {
  readonly pass = pass
  readonly hears = true
  readonly roomy = true
  readonly sent: Array<Message> = []
  onHangUp = (): void => {}
  send(frame: string | Buffer): void {
    this.sent.push(JSON.parse(frame.toString()) as Message)
  }
  sendEvent(frame: string | Buffer): boolean {
    this.send(frame)
    return true
  }
  hangUp(): void {
    this.onHangUp()
  }
  get connection(): Connection {
    return this as unknown as Connection
  }
  get said(): ReadonlyArray<unknown> {
    return this.sent.slice(1).map(({ params }) => params)
  }
}

/** A client of the gateway that `ring` is of. */
const visit = (ring: Ring) => {
  const keeper = { away: () => {}, back: () => {}, taken: () => {}, left: () => {}, ended: () => {} }
  const session = new Session(pass, house, "token", ring, keeper)
  const wire = new Wire()
  session.attach(wire.connection)
  return { session, wire }
}

const broadcast = (clients: ReadonlyArray<Client>, payload: unknown): void => {
  const shared: Encoded = { frame: undefined, kept: undefined, except: [] }
  for (const client of clients) client.sendShared("Said", payload, shared)
}

describe("a session", () => {
  it("knows what has arrived, whatever its next connection has proven so far", () => {
    const { session } = visit(ringOf())
    for (const before of [5, 0, 3]) session.expire(before)
    expect(session.receivedBefore).toBe(5)
  })

  it("has a broadcast once in its ring, however its agent's gateways take turns", () => {
    const [one, two, three] = [ringOf(), ringOf(), ringOf()]
    const visits = [one, two, one, three, two, one, three].map(visit)
    const sessions = visits.map(({ session }) => session)
    broadcast(sessions, "a")
    broadcast(sessions, "b")
    expect([one.seq, two.seq, three.seq]).toEqual([2, 2, 2])
    for (const { session, wire } of visits) {
      expect(wire.sent.slice(1).map(({ seq }) => seq)).toEqual([1, 2])
      const next = new Wire()
      session.resume(next.connection, 1)
      expect([wire.said, next.said]).toEqual([["a", "b"], ["b"]])
    }
  })

  it("that is taken over says $/session and what was missed before anything that waited for the former socket", () => {
    const { session, wire } = visit(ringOf())
    session.sendNow("Said", "missed")
    wire.onHangUp = () => void session.sendNow("Said", "waited")
    const next = new Wire()
    session.resume(next.connection, 0)
    expect(next.sent.map(({ method }) => method)).toEqual(["$/session", "Said", "Said"])
    expect(next.said).toEqual(["missed", "waited"])
    expect(next.sent[0]!.params).toMatchObject({ seq: 0, behind: 1, gap: false })
  })
})
