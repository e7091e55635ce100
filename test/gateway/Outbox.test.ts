import fc from "fast-check"
import { Duplex } from "node:stream"
import * as ws from "ws"
import { describe, expect, it } from "vitest"
import { Outbox, type OutboxLimits } from "../../src/gateway/Outbox.ts"

/** The types of `ws` leave it out. */
const { Receiver } = ws as unknown as { readonly Receiver: new (options: object) => NodeJS.WritableStream }

/** A socket whose peer takes what is written when the test says so. */
class Wire extends Duplex {
  readonly chunks: Array<Buffer> = []
  readonly writes: Array<number> = []
  #done: Array<() => void> = []

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.chunks.push(chunk)
    if (chunk.length > 0) this.writes.push(1)
    this.#done.push(done)
  }

  override _writev(chunks: ReadonlyArray<{ readonly chunk: Buffer }>, done: () => void): void {
    this.chunks.push(...chunks.map(({ chunk }) => chunk))
    this.writes.push(chunks.filter(({ chunk }) => chunk.length > 0).length)
    this.#done.push(done)
  }

  override _read(): void {}

  /** The peer takes all that was written so far. */
  async accept(): Promise<void> {
    while (this.#done.length > 0) {
      for (const done of this.#done.splice(0)) done()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** The text frames on it, as `ws` reads them. */
  texts(): ReadonlyArray<string> {
    const texts: Array<string> = []
    const receiver = new Receiver({ isServer: false })
    receiver.on("message", (data: Buffer, binary: boolean) => texts.push(binary ? "binary!" : data.toString()))
    for (const chunk of this.chunks) receiver.write(chunk)
    return texts
  }
}

const outbox = (limits: Partial<OutboxLimits> = {}) => {
  const wire = new Wire({ writableHighWaterMark: 1 })
  const owner = {
    writable: true,
    drains: 0,
    held: 0,
    drained: () => void owner.drains++,
    frames: 0,
    sent: (frames: number) => void (owner.frames += frames),
    weigh: (bytes: number) => void (owner.held += bytes)
  }
  return { wire, owner, box: new Outbox(owner, wire, { maxBytes: 1000, maxFrames: 10, ...limits }) }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe("Outbox", () => {
  it("writes what one turn sends as one buffer, once, in order", async () => {
    const { box, wire } = outbox()
    for (const text of ["one", "zwölf", "três"]) box.send(text)
    box.send(Buffer.from("shared"))
    expect(wire.writes).toEqual([])
    await turn()
    expect(wire.writes).toEqual([1])
    expect(wire.texts()).toEqual(["one", "zwölf", "três", "shared"])
  })

  it("writes frames that any RFC 6455 receiver reads as they were, of any length and text", async () => {
    const length = fc.constantFrom(0, 1, 125, 126, 127, 1024, 1025, 65_535, 65_536, 70_000)
    const frame = fc.oneof(
      fc.string({ unit: "binary", maxLength: 300 }),
      fc.tuple(length, fc.constantFrom("x", "ü")).map(([n, c]) => c.repeat(n)),
      length.map((n) => Buffer.alloc(n, "y"))
    )
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 12 }), async (frames) => {
        const { box, owner, wire } = outbox()
        for (const each of frames) box.send(each)
        box.flush()
        for (let i = 0; i < 3; i++) await wire.accept()
        expect(wire.texts()).toEqual(frames.map(String))
        expect([box.bytes, box.frames, owner.held]).toEqual([0, 0, 0])
      }),
      { numRuns: 200 }
    )
  })

  it("does not copy a shared frame over 1 KiB", async () => {
    const { box, wire } = outbox()
    const shared = Buffer.alloc(5000, "z")
    box.send("before")
    box.send(shared)
    box.send("after")
    await turn()
    await wire.accept()
    expect(wire.chunks.some((chunk) => chunk.buffer === shared.buffer)).toBe(true)
    expect(wire.texts()).toEqual(["before", shared.toString(), "after"])
  })

  it("counts bytes of wire text, not UTF-16 units, until the socket has taken them", async () => {
    const { box, wire } = outbox()
    box.send("üü")
    expect([box.bytes, box.frames]).toEqual([4, 1])
    await turn()
    expect([box.bytes, box.frames]).toEqual([4, 1])
    await wire.accept()
    expect([box.bytes, box.frames]).toEqual([0, 0])
  })

  it.each([
    ["frames", { maxFrames: 3 }, ["a", "b", "c"]],
    ["bytes", { maxBytes: 10 }, ["aaaaa", "bbbbb"]]
  ] as const)(
    "is full at its budget of %s, still sends a reply, and says when there is room",
    async (_, limits, texts) => {
      const { box, owner, wire } = outbox(limits)
      for (const text of texts) {
        expect(box.full).toBe(false)
        box.send(text)
      }
      expect(box.full).toBe(true)
      box.send("a reply")
      await turn()
      expect(owner.drains).toBe(0)
      await wire.accept()
      expect([box.full, owner.drains]).toEqual([false, 1])
      expect(wire.texts()).toEqual([...texts, "a reply"])
    }
  )

  it("what may wait does, in order, within the bounds once more; the oldest event gives way", async () => {
    const { box, owner, wire } = outbox({ maxFrames: 3 })
    for (const text of ["a", "b", "c"]) box.send(text)
    expect(box.delay("e1", undefined)).toEqual([0, 0])
    box.send("a reply")
    expect(box.delay("e2", undefined)).toEqual([0, 0])
    expect(box.delay("e3", undefined)).toEqual([1, 0])
    expect(box.behind).toBe(true)
    expect(owner.held).toBe(3 + 7 + 4)
    for (let i = 0; i < 4; i++) {
      await turn()
      await wire.accept()
    }
    expect(wire.texts()).toEqual(["a", "b", "c", "a reply", "e2", "e3"])
    expect([box.behind, box.bytes, box.frames, owner.held]).toEqual([false, 0, 0, 0])
  })

  it("of events that wait under one key the latest is sent", async () => {
    const { box, owner, wire } = outbox({ maxFrames: 1 })
    box.send("a")
    expect(box.delay("k1", "k")).toEqual([0, 0])
    expect(box.delay("k2", "k")).toEqual([0, 1])
    for (let i = 0; i < 3; i++) {
      await turn()
      await wire.accept()
    }
    expect(wire.texts()).toEqual(["a", "k2"])
    expect(owner.held).toBe(0)
  })

  it("finish writes what waits too", async () => {
    const { box, owner, wire } = outbox({ maxFrames: 2 })
    box.send("a")
    box.delay("e", undefined)
    box.send("a reply")
    box.finish()
    for (let i = 0; i < 3; i++) await wire.accept()
    expect(wire.texts()).toEqual(["a", "e", "a reply"])
    expect(owner.held).toBe(0)
  })

  it("writes nothing once the peer has begun to close, and counts it off", async () => {
    const { box, owner, wire } = outbox()
    box.send("too late")
    owner.writable = false
    await turn()
    expect([wire.writes, box.bytes, box.frames, owner.held, owner.frames]).toEqual([[], 0, 0, 0, 0])
  })

  it("flush writes before the turn's end, and the turn's end not again", async () => {
    const { box, wire } = outbox()
    box.send("now")
    box.flush()
    expect(wire.texts()).toEqual(["now"])
    await turn()
    await wire.accept()
    expect(wire.texts()).toEqual(["now"])
  })
})
