import { EventEmitter } from "node:events"
import { Duplex } from "node:stream"
import { afterEach, describe, expect, it } from "vitest"
import type { WebSocket } from "ws"
import type { Pass } from "../../src/gateway/Admission.ts"
import { Budget } from "../../src/gateway/Budget.ts"
import { Connection, type House } from "../../src/gateway/Connection.ts"
import type { Conversation } from "../../src/gateway/Conversation.ts"

let now = 0

const house = {
  budget: new Budget(1_000_000),
  limits: { maxBytes: 1000, maxFrames: 1, perMilli: 1 },
  tally: { framesOut: 0, droppedEvents: 0, coalescedEvents: 0 },
  now: () => now
} as unknown as House

/** A socket whose peer takes what is written when the test says so, and that notes its pings. */
class Peer extends EventEmitter {
  readonly OPEN = 1
  readonly readyState = 1
  readonly isPaused = false
  readonly pings: Array<string> = []
  #done: Array<() => void> = []
  readonly raw = new Duplex({
    read: () => {},
    write: (_, __, done) => void this.#done.push(done)
  })
  ping(payload: string): void {
    this.pings.push(payload)
  }
  async take(): Promise<void> {
    while (this.#done.length > 0) {
      for (const done of this.#done.splice(0)) done()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

afterEach(() => {
  expect(house.budget.held).toBe(0)
})

/** A connection, and up to when what it sent is known to have arrived, each time that is asked. */
const connect = () => {
  const peer = new Peer()
  const arrived: Array<number> = []
  const conversation = { flow: () => {}, expire: (before: number) => void arrived.push(before) }
  const connection = new Connection(
    peer as unknown as WebSocket,
    peer.raw,
    {} as Pass,
    conversation as unknown as Conversation,
    house
  )
  const pong = (payload: string): void => {
    connection.missed = 0
    connection.ponged(Buffer.from(payload))
  }
  const beat = (at: number): number | undefined => {
    now = at
    connection.beat(0)
    return arrived.at(-1)
  }
  return { connection, peer, pong, beat }
}

describe("a ping", () => {
  it("that is answered proves that what was sent before has arrived, and what still waits has not", async () => {
    const { connection, peer, pong, beat } = connect()
    expect(beat(1000)).toBe(0)
    pong(peer.pings.at(-1)!)
    expect(beat(2000)).toBe(1000)
    connection.send("an answer")
    connection.outbox.flush()
    connection.sendEvent("an event that waits", "dropOldest", {})
    pong(peer.pings.at(-1)!)
    expect(beat(3000)).toBe(2000)
    pong(peer.pings.at(-1)!)
    expect(beat(4000)).toBe(2000)
    await peer.take()
    expect(connection.outbox.unsent).toBe(0)
    beat(5000)
    pong(peer.pings.at(-1)!)
    expect(beat(6000)).toBe(5000)
  })
})
