import { describe, expect, it } from "vitest"
import { type LabOptions, type Live, until } from "./Lab.ts"
import { call, notice, Raw } from "./Raw.ts"
import { stage } from "./Stage.ts"

const at = stage()

const lab = (options: LabOptions = {}): Promise<Live> => at.open(options, { mailbox: { capacity: 10_000 } })
const client = (key: string): Promise<Raw> => Raw.open(`${at.live.url}/${key}`)

/** Asks for something of a client's own, over and over, and counts the answers. */
const polite = async (key: string): Promise<{ readonly raw: Raw; readonly ask: () => Promise<void> }> => {
  const raw = await client(key)
  let id = 0
  const ask = async (): Promise<void> => {
    raw.send(call(++id, "Kept"))
    expect((await raw.answer(id)).error).toBeUndefined()
  }
  return { raw, ask }
}

describe.each([
  ["in a room of their own", "own"],
  ["in a room of others", "shared"]
])("a stalled reader and a flooder %s", (_, room) => {
  it("are bounded: the stalled one is closed 1013 for what it does not read; the others have every answer and event", async () => {
    await lab({ maxOutboxBytes: 262_144, maxOutboxFrames: 1000 })
    const others = await Promise.all(Array.from({ length: 6 }, () => polite("shared")))
    const [stalled, loud] = [await client(room), await client(room)]
    stalled.socket.pause()
    let sent = 0
    const { stats } = at.live.gateway
    const bound = 262_144
    const round = async (): Promise<void> => {
      // 5 frames of 20,000 bytes to each in the room, and 200 messages that want none
      loud.send(call(++sent, "Flood", { frames: 5, bytes: 20_000 }))
      for (let n = 0; n < 200; n++) loud.send(notice("Note", { n }))
      await Promise.all(others.map(({ ask }) => ask()))
      await loud.answer(sent)
    }
    for (let n = 0; n < 1000 && stats().queuedBytes < bound; n++) await round()
    // past its bound, and the frame that went past it, it holds no more of the host, however loud it is
    for (let n = 0; n < 20; n++) await round()
    expect(stats().queuedBytes).toBeGreaterThanOrEqual(bound)
    expect(stats().queuedBytes).toBeLessThan(bound + 20_100)
    stalled.socket.resume()
    expect(await stalled.closed).toBe(1013)
    await until("it is counted", () => stats().closed[1013] === 1)
    expect(stats()).toMatchObject({ closed: { 1013: 1 }, queuedBytes: 0, droppedEvents: 0, refused: 0 })
    loud.send(call("last", "Flood", { frames: 1, bytes: 1 }))
    await loud.answer("last")
    for (const { raw, ask } of others) {
      await ask()
      const heard = raw.frames.flat().filter((frame) => (frame as { method?: string }).method === "Filler")
      expect(heard).toHaveLength(room === "shared" ? 5 * sent + 1 : 0)
    }
    expect(at.live.host.imbalances()).toEqual([])
    for (const { socket } of [stalled, loud, ...others.map(({ raw }) => raw)]) socket.terminate()
  })

  it("is not read while its window is full: its mail in the shared agent is 32 messages, however much it sends", async () => {
    await lab()
    const others = await Promise.all(Array.from({ length: 5 }, () => polite("shared")))
    const loud = await client(room)
    loud.send(call(0, "Hold", { n: 0 }))
    await until("its handler waits", () => at.gate.held.length === 1)
    for (let n = 1; n <= 1000; n++) loud.send(notice("Note", { n }))
    await until("it is paused", () => at.live.gateway.stats().paused === 1)
    const { queued, running } = at.live.host.snapshot()
    expect(queued + running).toBeLessThanOrEqual(32)
    const asking = Promise.all(others.map(({ ask }) => ask()))
    at.gate.stayOpen()
    await asking
    await until("all of it was handled", () => at.gate.noted.length === 1000)
    expect(at.live.gateway.stats()).toMatchObject({ refused: 0, droppedEvents: 0, closed: {} })
    for (const { socket } of [loud, ...others.map(({ raw }) => raw)]) socket.terminate()
  })
})
