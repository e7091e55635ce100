import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { RESERVED, SIGNAL } from "../../src/kernel/Envelope.ts"
import * as Mailbox from "../../src/kernel/Mailbox.ts"

type Op = readonly ["push" | "unshift", number] | readonly ["shift"] | readonly ["remove" | "removeAll", number]
const tag = fc.constantFrom(0, 1, 5, RESERVED, RESERVED + 3, SIGNAL)
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constant("push" as const), tag) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("unshift" as const), tag) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("shift" as const)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("remove" as const), fc.nat(30)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("removeAll" as const), fc.integer({ min: 2, max: 5 })) }
)

describe("Mailbox", () => {
  it("is a list: any program of push, unshift, shift, remove and removeAll leaves what an array would hold", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 300 }), fc.integer({ min: 1, max: 20 }), (program, gate) => {
        const box = Mailbox.acquire(gate)
        const model: Array<readonly [number, number]> = []
        for (const [n, [what, arg]] of program.entries()) {
          if (what === "push") {
            box.push(arg, n, -n)
            model.push([arg, n])
          } else if (what === "unshift") {
            box.unshift(arg, n, -n)
            model.unshift([arg, n])
          } else if (what === "shift") {
            if (model.length > 0) box.shift()
            model.shift()
          } else if (what === "removeAll") {
            const is = (payload: unknown): boolean => (payload as number) % arg === 0
            const taken = model.filter(([, payload]) => is(payload))
            expect(box.removeAll((_, payload) => is(payload))).toEqual(taken.map(([t, m]) => [t, m, -m]))
            model.splice(0, model.length, ...model.filter(([, payload]) => !is(payload)))
          } else {
            const wanted = model[arg]?.[1]
            box.remove((_, payload) => payload === wanted)
            if (wanted !== undefined) model.splice(arg, 1)
          }
          const reserved = model.filter(([t]) => t >= RESERVED).length
          const { size, full } = box
          expect({ size, reserved: box.reserved, full }).toEqual({
            size: model.length,
            reserved,
            full: model.length - reserved >= gate
          })
        }
        for (const [t, n] of model) {
          expect([box.tag, box.payload, box.origin]).toEqual([t, n, -n])
          box.shift()
        }
        Mailbox.release(box)
      })
    )
  })

  it("keeps 10,000 messages in order while it grows and wraps", () => {
    const box = Mailbox.acquire(20_000)
    const taken: Array<unknown> = []
    const take = (): void => {
      taken.push(box.payload)
      box.shift()
    }
    for (let n = 0; n < 10_000; n++) {
      box.push(0, n, undefined)
      if (n % 3 === 0) take()
    }
    while (box.size > 0) take()
    expect(taken).toEqual(Array.from({ length: 10_000 }, (_, n) => n))
    Mailbox.release(box)
  })

  it("refuses to be released with mail in it, and comes back from the pool empty", () => {
    const box = Mailbox.acquire(4)
    box.push(0, "x", undefined)
    expect(() => Mailbox.release(box)).toThrow("mail in it")
    box.shift()
    Mailbox.release(box)
    const again = Mailbox.acquire(2)
    expect({ size: again.size, reserved: again.reserved, gate: again.gate }).toEqual({ size: 0, reserved: 0, gate: 2 })
    Mailbox.release(again)
  })
})
