/**
 * What is kept for one session of an agent is apart from what is kept for another, and what is lost is said and counted.
 */
import { describe, expect, it } from "vitest"
import { type LabOptions, type Live, until } from "./Lab.ts"
import { call, notice } from "./Raw.ts"
import { stage } from "./Stage.ts"
import { flat, pay, seqs, texts, type Visit } from "./Visit.ts"

const at = stage()

const lab = (options: LabOptions = {}): Promise<Live> => at.open(options)

const begin = (): Promise<Visit> => pay(`${at.live.url}/a?session=new`)

/** Comes back to what it has seen `after`, and waits for all that is behind. */
const back = async ({ hello, cursor }: Visit, after = cursor()): Promise<Visit> => {
  const again = await pay(`${at.live.url}/a?session=${hello.token}&after=${after}`)
  await until("all that it missed has come", () => again.raw.frames.length > again.hello.behind)
  return again
}

const cut = async ({ raw }: Visit): Promise<void> => {
  const { away } = at.live.gateway.stats()
  raw.socket.terminate()
  await until("its session is away", () => at.live.gateway.stats().away === away + 1)
}

/** Two in a room, who both have heard a broadcast; the first is away, and has missed two more. */
const room = async (): Promise<readonly [quiet: Visit, busy: Visit]> => {
  const [quiet, busy] = [await begin(), await begin()]
  busy.raw.send(call("first", "Flood", { frames: 1, bytes: 1 }))
  await busy.raw.answer("first")
  await until("both have heard it", () => texts(quiet.raw).length === 1)
  await cut(quiet)
  busy.raw.send(call("missed", "Flood", { frames: 2, bytes: 2 }))
  await busy.raw.answer("missed")
  return [quiet, busy]
}

const leave = (...visits: ReadonlyArray<Visit>): void => {
  for (const { raw } of visits) raw.socket.terminate()
}

describe("what one session asks for", () => {
  it.each([
    ["many answers", { maxReplay: 4 }, () => Array.from({ length: 40 }, (_, n) => call(n, "Kept"))],
    ["large answers", { maxReplayBytes: 1000 }, () => [call(39, "Deep", { value: "x".repeat(20_000) })]],
    ["the chunks of a stream", { maxReplay: 4 }, () => [call(39, "Count", { to: 200 })]],
    [
      "batches",
      { maxReplay: 4 },
      () => Array.from({ length: 20 }, (_, n) => [call(2 * n, "Kept"), call(2 * n + 1, "Kept")])
    ]
  ])("takes nothing that is kept for another: %s", async (_, options, asked) => {
    await lab(options)
    const [quiet, busy] = await room()
    for (const one of asked()) busy.raw.send(one)
    await busy.raw.answer(39)
    const again = await back(quiet)
    expect(again.hello).toMatchObject({ token: quiet.hello.token, gap: false, behind: 2 })
    expect(texts(again.raw)).toEqual(["xx", "xx"])
    expect(at.live.gateway.stats().gaps).toEqual({ missed: 0, fresh: 0 })
    leave(busy, again)
  })

  it("and has lost is told to it alone, whom the broadcasts are still kept for", async () => {
    await lab({ maxReplay: 4 })
    const [quiet, busy] = await room()
    for (let n = 1; n <= 40; n++) busy.raw.send(call(n, "Kept"))
    await busy.raw.answer(40)
    await cut(busy)
    const again = await back(busy, 0)
    expect(again.hello).toMatchObject({ gap: true, behind: 3 + 4 })
    expect(texts(again.raw)).toEqual(["x", "xx", "xx"])
    expect(flat(again.raw).flatMap(({ id }) => id ?? [])).toEqual([37, 38, 39, 40])
    expect(seqs(again.raw)).toEqual([...seqs(again.raw)].toSorted((a, b) => a - b))
    const other = await back(quiet)
    expect(other.hello).toMatchObject({ gap: false, behind: 2 })
    expect(at.live.gateway.stats().gaps).toEqual({ missed: 1, fresh: 0 })
    leave(again, other)
  })

  it("is kept for it whatever is broadcast", async () => {
    await lab({ maxReplay: 4 })
    const [one, other] = [await begin(), await begin()]
    one.raw.send(call(1, "Hold", { n: 7 }))
    await until("the handler waits", () => at.gate.held.length === 1)
    await cut(one)
    at.gate.stayOpen()
    for (const n of [1, 2]) other.raw.send(call(n, "Flood", { frames: 10, bytes: n }))
    await other.raw.answer(2)
    const again = await back(one)
    expect(again.hello).toMatchObject({ gap: true, behind: 5 })
    expect((await again.raw.answer(1)).result).toBe(7)
    expect(texts(again.raw)).toEqual(["xx", "xx", "xx", "xx"])
    leave(other, again)
  })
})

describe("a broadcast that left a session out", () => {
  it("makes no gap for it when it goes, and one for who was to hear it", async () => {
    await lab({ maxReplay: 2 })
    const [one, other] = [await begin(), await begin()]
    other.raw.send(call(1, "Flood", { frames: 1, bytes: 1 }))
    await until("both have heard it", () => texts(one.raw).length === 1 && texts(other.raw).length === 1)
    for (const text of ["a", "b", "c", "d"]) one.raw.send(notice("Others", { text }))
    await until("the other has heard them", () => texts(other.raw).length === 5)
    for (const visit of [one, other]) await cut(visit)
    const [spared, lost] = [await back(one), await back(other, one.cursor())]
    expect(spared.hello).toMatchObject({ gap: false, behind: 0 })
    expect(lost.hello.gap).toBe(true)
    expect(texts(lost.raw)).toEqual(["c", "d"])
    leave(spared, lost)
  })
})

describe("what goes before its time", () => {
  const metrics = async (): Promise<string> => {
    const url = at.live.gateway.url.replace("ws:", "http:")
    return (await fetch(`${url}/metrics`)).text()
  }

  it.each([
    ["count", { maxReplay: 4 }, 6],
    // each with 13 bytes of its own: 96 to keep it, and what is around the text
    ["bytes", { maxReplayBytes: 1000 }, 5]
  ])("is counted: by %s", async (by, options, evicted) => {
    await lab(options)
    const one = await begin()
    one.raw.send(call("all", "Flood", { frames: 10, bytes: 13 }))
    await one.raw.answer("all")
    expect(at.live.gateway.stats().evicted).toEqual({ count: 0, bytes: 0, budget: 0, [by]: evicted })
    expect(await metrics()).toMatch(
      new RegExp(`^troupe_gateway_evicted_frames_total\\{[^}]*by="${by}"\\} ${evicted}$`, "m")
    )
    one.raw.socket.close(1000)
    await until("nothing is kept", () => at.live.gateway.stats().keptBytes === 0)
    expect(at.live.gateway.stats().evicted).toEqual({ count: 0, bytes: 0, budget: 0, [by]: evicted })
  })

  it("is counted: by the bytes that all sessions may keep", async () => {
    await lab({ maxHeldBytes: 65_536 })
    const one = await begin()
    for (let n = 1; n <= 20; n++) {
      one.raw.send(call(n, "Deep", { value: "x".repeat(2000) }))
      await one.raw.answer(n)
    }
    const { evicted, keptBytes } = at.live.gateway.stats()
    expect(evicted).toEqual({ count: 0, bytes: 0, budget: 13 })
    expect(keptBytes).toBeLessThanOrEqual(65_536 / 4)
    leave(one)
  })

  it("is not what has been received and is old", async () => {
    await lab({ sessionGrace: 40, heartbeat: 100 })
    const one = await begin()
    one.raw.send(call(1, "Flood", { frames: 10, bytes: 100 }))
    await one.raw.answer(1)
    await until("nothing is kept", () => at.live.gateway.stats().keptBytes === 0)
    expect(at.live.gateway.stats().evicted).toEqual({ count: 0, bytes: 0, budget: 0 })
    leave(one)
  })

  it("is counted once more by each who comes back to a gap, and so are those whose session is gone", async () => {
    await lab({ maxReplay: 2 })
    const [one, busy] = [await begin(), await begin()]
    busy.raw.send(call(1, "Flood", { frames: 1, bytes: 1 }))
    await until("both have heard it", () => texts(one.raw).length === 1)
    await cut(one)
    busy.raw.send(call(2, "Flood", { frames: 9, bytes: 1 }))
    await busy.raw.answer(2)
    const again = await back(one)
    expect(at.live.gateway.stats().gaps).toEqual({ missed: 1, fresh: 0 })
    await cut(again)
    const whole = await back(again)
    expect(whole.hello.gap).toBe(false)
    const stranger = await pay(`${at.live.url}/a?session=${"x".repeat(43)}&after=3`)
    expect(stranger.hello.gap).toBe(true)
    expect(at.live.gateway.stats().gaps).toEqual({ missed: 1, fresh: 1 })
    const text = await metrics()
    expect(text).toMatch(/^troupe_gateway_gaps_total\{[^}]*kind="missed"\} 1$/m)
    expect(text).toMatch(/^troupe_gateway_gaps_total\{[^}]*kind="fresh"\} 1$/m)
    leave(busy, whole, stranger)
  })
})
