import fc from "fast-check"
import type { Socket } from "node:net"
import { describe, expect, it } from "vitest"
import { Gate, open, until } from "./Lab.ts"
import { call, type Frame, notice, Raw } from "./Raw.ts"

/** What a client may send, and the answers the specification gives it: `id: code`, 0 for a result; several when it may be either. */
interface Sent {
  readonly message: unknown
  readonly answer: string | undefined
}

type Make = (id: number) => Sent

const answered = (code: number, message: (id: number) => unknown): Make => {
  return (id) => ({ message: message(id), answer: `${id}: ${code}` })
}
const silent = (message: unknown): Make => {
  return () => ({ message, answer: undefined })
}
const nameless = (code: number, message: unknown): Make => {
  return () => ({ message, answer: `null: ${code}` })
}

const single: fc.Arbitrary<Make> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(answered(0, (id) => call(id, "Kept"))) },
  {
    weight: 4,
    arbitrary: fc.jsonValue().map((value) => answered(0, (id) => call(id, "Deep", { value })))
  },
  { weight: 3, arbitrary: fc.nat().map((n) => silent(notice("Note", { n }))) },
  fc.constantFrom(
    answered(-32000, (id) => call(id, "Mute")),
    answered(-32603, (id) => call(id, "Liar")),
    answered(-32603, (id) => call(id, "Touch", { text: "boom" })),
    answered(-32601, (id) => call(id, "Nope")),
    answered(-32601, (id) => call(id, "$/nope")),
    answered(-32602, (id) => call(id, "Note", { n: "x" })),
    answered(-32602, (id) => call(id, "Note", [1])),
    answered(-32600, (id) => ({ jsonrpc: "2.0", id })),
    answered(-32600, (id) => ({ jsonrpc: "1.0", id, method: "Kept" })),
    answered(0, (id) => call(id, "$/cancel", { id: -1 })),
    silent(notice("Nope")),
    silent(notice("$/cancel", { id: -1 }))
  ),
  fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.constant(null)).map((junk): Make => nameless(-32600, junk))
)

const frame = fc.oneof(
  { weight: 5, arbitrary: single.map((make) => [make, false] as const) },
  { weight: 2, arbitrary: fc.array(single, { minLength: 1, maxLength: 6 }).map((makes) => [makes, true] as const) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[]", "{", "", "nope", "[1,", "\u0000").map((text) => [text, false] as const)
  }
)

const outcome = ({ id, error }: Frame): string => `${String(id)}: ${error?.code ?? 0}`

describe("Law 12, bad input is refused by name", () => {
  it("each message of any mixture gets the answer of the specification, once, whatever window and chunks it meets", async () => {
    const gate = new Gate()
    const frames = fc.array(frame, { maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(frames, fc.constantFrom(1, 2, 32), fc.array(fc.nat(20)), async (all, maxUnfinished, corks) => {
        const live = await open(gate, { maxUnfinished, maxInvalid: 1_000_000 })
        const raw = await Raw.open(`${live.url}/any`)
        const socket = (raw.socket as unknown as { readonly _socket: Socket })._socket
        const expected: Array<string> = []
        let ids = 0
        for (const [at, [what]] of all.entries()) {
          if (corks.includes(at)) socket.cork()
          if (typeof what === "string") {
            raw.send(what)
            expected.push(what === "[]" ? "null: -32600" : "null: -32700")
          } else if (typeof what === "function") {
            const { message, answer } = what(++ids)
            raw.send(JSON.stringify(message))
            if (answer !== undefined) expected.push(answer)
          } else {
            const batch = what.map((make) => make(++ids))
            raw.send(batch.map(({ message }) => message))
            const answers = batch.flatMap(({ answer }) => answer ?? [])
            if (answers.length > 0) expected.push(`[${answers.toSorted().join(", ")}]`)
          }
        }
        while (socket.writableCorked > 0) socket.uncork()
        raw.send(call("last", "Kept"))
        await raw.answer("last")
        const got = raw.frames.map((f) =>
          Array.isArray(f) ? `[${f.map(outcome).toSorted().join(", ")}]` : outcome(f as Frame)
        )
        expect(got.toSorted()).toEqual([...expected, "last: 0"].toSorted())
        raw.socket.close()
        await until("the gateway lets it go", () => live.gateway.stats().connections === 0)
        await live.close()
      }),
      { numRuns: 60 }
    )
  }, 60_000)

  it("random bytes cost their sender its connection at the most, and nobody the server", async () => {
    const live = await open(new Gate())
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(bytes, async (junk) => {
        const raw = await Raw.open(`${live.url}/bytes`)
        ;(raw.socket as unknown as { readonly _socket: Socket })._socket.end(junk)
        await raw.closed
      }),
      { numRuns: 200 }
    )
    const raw = await Raw.open(`${live.url}/bytes`)
    raw.send(call(1, "Kept"))
    expect((await raw.answer(1)).error).toBeUndefined()
    raw.socket.close()
    await until("the gateway lets all go", () => live.gateway.stats().connections === 0)
    await live.close()
  })
})
