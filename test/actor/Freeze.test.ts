import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { ActorSystem } from "troupe"
import { TestSystem } from "troupe/testkit"
import { freeze } from "../../src/actor/Freeze.ts"
import { run, scripted } from "./Scripted.ts"

describe("State, outside production", () => {
  it("is frozen through and through, where it is plain: instances are their class's affair", () => {
    class Own {
      n = 0
    }
    const own = new Own()
    const state = freeze({ a: { b: [{ c: 1 }] }, own, map: new Map() }) as { a: { b: Array<{ c: number }> } }
    expect(() => (state.a.b[0]!.c = 2)).toThrow(TypeError)
    expect(() => state.a.b.push({ c: 3 })).toThrow(TypeError)
    own.n = 1
    expect(own.n).toBe(1)
  })

  it("is not asked what its getters say: one that throws costs nobody its answer", () => {
    let calls = 0
    const state = freeze({
      get dear() {
        calls++
        return {}
      },
      get broken(): never {
        throw new Error("getter")
      },
      list: [{ c: 1 }]
    }) as { list: Array<{ c: number }> }
    expect(() => (state.list[0]!.c = 2)).toThrow(TypeError)
    expect(calls).toBe(0)
  })

  it.effect("a handler that mutates what it was given fails, in its own turn", () =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const behavior = scripted({
        initial: { lines: [] as Array<string> },
        supervision: { restart: "temporary" }
      }).behavior
      const ref = yield* ActorSystem.spawn(behavior, "a")
      const error = yield* Effect.flip(
        run(ref, (_, state) => void (state as { lines: Array<string> }).lines.push("by the side"))
      )
      expect(error).toMatchObject({ _tag: "CalleeFailed" })
      expect(host.snapshot().failed).toBe(1)
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
