import { Prompt, Tool } from "effect/ai"
import { Effect, Schema } from "effect"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import * as History from "../../actors/LlmHistory.ts"

const user = (text: string): Prompt.Message => Prompt.userMessage({ content: [Prompt.textPart({ text })] })
const said = (text: string): Prompt.Message => Prompt.assistantMessage({ content: [Prompt.textPart({ text })] })
const rules = (maxContext: number, system = ""): History.Rules => ({
  maxContext,
  estimate: History.byBytes,
  system: system === "" ? [] : [Prompt.systemMessage({ content: system })],
  tools: 0
})
const total = ({ fixed, turns }: History.State): number => turns.reduce((all, { tokens }) => all + tokens, fixed ?? 0)

describe("LlmHistory", () => {
  it("estimates a token for 4 bytes of UTF-8, and 4 a message", () => {
    expect(["", "a", "abcd", "abcde", "ä", "漢字"].map(History.byBytes)).toEqual([0, 1, 1, 2, 1, 2])
    const call = Prompt.toolCallPart({ id: "1", name: "Add", params: { by: 3 }, providerExecuted: false })
    const result = Prompt.toolResultPart({ id: "1", name: "Add", result: 3, isFailure: false, providerExecuted: false })
    const messages = [Prompt.assistantMessage({ content: [call] }), Prompt.toolMessage({ content: [result] })]
    expect(History.weigh(messages, rules(100))).toBe(4 + Math.ceil('Add{"by":3}'.length / 4) + 4 + 1)
  })

  it("sends what fits, the newest turns, and what its sum says never more; a prompt that does not fit is told by its tokens", () => {
    const turn = fc.record({ messages: fc.constant([user("x")]), tokens: fc.integer({ min: 1, max: 50 }) })
    const text = fc.string({ maxLength: 400 })
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 20 }), fc.integer({ min: 16, max: 200 }), text, (turns, max, prompt) => {
        const own = [user(prompt)]
        const needed = 5 + 4 + History.byBytes(prompt)
        const fit = History.fit({ ...History.empty, fixed: 5, turns }, own, rules(max))
        if (needed > max) {
          // what was learnt refuses nobody: where it alone is in the way the prompt is sent alone
          expect(fit).toEqual(needed - 5 > max ? needed : [])
          return
        }
        const kept = fit as ReadonlyArray<History.Turn>
        const sum = kept.reduce((all, { tokens }) => all + tokens, needed)
        expect(sum).toBeLessThanOrEqual(max)
        expect(kept).toEqual(turns.slice(turns.length - kept.length))
        const next = turns[turns.length - kept.length - 1]
        // one more would be too many
        if (next !== undefined) expect(sum + next.tokens).toBeGreaterThan(max)
      })
    )
  })

  it("has the sum that the endpoint told, whatever it had estimated, while nothing has to leave", () => {
    const usage = fc.record({ prompt: fc.integer({ min: 20, max: 90 }), answer: fc.integer({ min: 20, max: 90 }) })
    fc.assert(
      fc.property(fc.array(usage, { minLength: 1, maxLength: 9 }), fc.integer({ min: 0, max: 500 }), (all, always) => {
        let state = History.empty
        let sent = always
        for (const { prompt, answer } of all) {
          const first = sent + prompt
          const told = { first, all: first + answer }
          state = History.remember(state, state.turns, [user("hello"), said("well")], told, rules(1_000_000))
          sent = told.all
          expect(total(state)).toBe(sent)
        }
        expect([state.turns.length, state.forgotten]).toEqual([all.length, 0])
      })
    )
  })

  it("learns of each turn what calls take besides: a prompt that was estimated far too low shuts out nobody", () => {
    const few = rules(1000)
    const dense = [user("x".repeat(2000)), said("well")]
    const once = History.remember(History.empty, [], dense, { first: 1500, all: 1501 }, few)
    const next = [user("x".repeat(400))]
    expect(History.fit(once, next, few)).toEqual([])
    const twice = History.remember(once, [], [...next, said("well")], { first: 104, all: 106 }, few)
    expect([twice.fixed, total(twice)]).toEqual([0, 106])
    expect(History.fit(twice, next, few)).toEqual(twice.turns)
  })

  it("keeps no more than may be sent: the oldest leave, and are counted", () => {
    let state = History.empty
    for (let n = 0; n < 10; n++) {
      state = History.remember(state, state.turns, [user(`${n}`), said("well")], undefined, rules(32, "sys"))
    }
    // 5 the system prompt, 10 a turn
    expect(state.turns.map(({ messages }) => messages[0])).toEqual([user("8"), user("9")])
    expect(state.forgotten).toBe(8)
    const huge = History.remember(state, [], [user("x".repeat(400))], undefined, rules(32, "sys"))
    expect([huge.turns, huge.forgotten]).toEqual([[], 11])
  })

  it("counts definitions of tools as every call sends them: prompts and turns have the less room", () => {
    const add = Tool.make("Add", { description: "adds", parameters: Schema.Struct({ by: Schema.Int }) })
    const [one, two] = [[add], [add, add]].map((tools) => History.weighTools(tools, History.byBytes))
    expect([History.weighTools([], () => 1), one! > 20, two! > 2 * one! - 5]).toEqual([0, true, true])
    const with40 = { ...rules(100), tools: 40 }
    const own = [user("x".repeat(40))]
    // 40 the tools, 14 the prompt: 46 are left, four turns of ten
    const turns = Array.from({ length: 9 }, (_, n) => ({ messages: [user(`${n}`)], tokens: 10 }))
    expect(History.fit({ ...History.empty, turns }, own, with40)).toEqual(turns.slice(5))
    expect(History.fit(History.empty, own, { ...rules(50), tools: 40 })).toBe(54)
    // told by the endpoint, they are in what was learnt
    expect(History.fit({ ...History.empty, fixed: 30, turns }, own, with40)).toEqual(turns.slice(4))
    let state = History.empty
    for (let n = 0; n < 9; n++) state = History.remember(state, [], [user("x".repeat(24))], undefined, with40)
    expect([state.turns.length, state.forgotten]).toEqual([6, 3])
  })

  it("goes through its Schema and back", async () => {
    const call = Prompt.toolCallPart({ id: "1", name: "Add", params: { by: 3 }, providerExecuted: false })
    const messages = [user("add"), Prompt.assistantMessage({ content: [Prompt.textPart({ text: "so" }), call] })]
    const state = History.remember(History.empty, [], messages, { first: 30, all: 40 }, rules(1000))
    const codec = Schema.toCodecJson(History.State)
    const json = JSON.stringify(await Effect.runPromise(Schema.encodeEffect(codec)(state)))
    const back = await Effect.runPromise(Schema.decodeUnknownEffect(codec)(JSON.parse(json)))
    expect(History.prompt(back.turns, [], rules(1))).toEqual(History.prompt(state.turns, [], rules(1)))
    expect([back.turns[0]!.tokens, back.fixed]).toEqual([state.turns[0]!.tokens, state.fixed])
  })
})
