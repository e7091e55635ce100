import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { LanguageModel, type Response, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { ActorSystem } from "troupe"
import { LlmAgent, LlmProvider } from "troupe/actors"
import { TestSystem, waitUntil } from "troupe/testkit"
import { describe, expect, it } from "vitest"
import { asking, Chat, chatting, heldUp, prompt, refusal, type Room, textOf, toolkit, used } from "./Chats.ts"

const last = <A>(list: ReadonlyArray<A>): A | undefined => list.at(-1)

describe("LlmAgent", () => {
  it("answers token by token, and tells what was used last", () =>
    chatting({ agent: { system: "be brief" } }, ({ room, local }) =>
      Effect.gen(function* () {
        const parts = yield* prompt(room, "hello there")
        expect(parts.map((part) => (part._tag === "Text" ? part.text : part._tag))).toEqual([
          "Begun",
          "You",
          " said:",
          " hello",
          " there",
          "Done"
        ])
        const used = { turn: 1, input: 4, output: 4, told: true, finish: "stop", spent: 8, forgotten: 0 }
        expect(last(parts)).toEqual({ _tag: "Done", ...used })
        const [asked] = local.seen.bodies
        expect(asked).toMatchObject({
          stream: true,
          stream_options: { include_usage: true },
          messages: [
            { role: "system", content: "be brief" },
            { role: "user", content: "hello there" }
          ]
        })
      })
    ))

  it("remembers what was said, and sends it along", () =>
    chatting({}, ({ room, local }) =>
      Effect.gen(function* () {
        yield* prompt(room, "one")
        yield* prompt(room, "two")
        expect(last(local.seen.bodies)!.messages.map(({ content }) => content)).toEqual(["one", "You said: one", "two"])
        const { lines, spent, begun } = yield* room.ask("History")
        expect(lines.map(({ role, text }) => `${role}: ${text}`)).toEqual([
          "user: one",
          "assistant: You said: one",
          "user: two",
          "assistant: You said: two"
        ])
        expect([spent, begun]).toEqual([1 + 3 + 5 + 3, 2])
      })
    ))

  it("forgets its oldest turns when they do not fit any more, never the system prompt", () =>
    chatting({ agent: { system: "be brief", maxContext: 16 } }, ({ room, local }) =>
      Effect.gen(function* () {
        for (const text of ["a", "b", "c", "d"]) yield* prompt(room, text)
        const sent = last(local.seen.bodies)!.messages.map(({ content }) => content)
        expect(sent).toEqual(["be brief", "b", "You said: b", "c", "You said: c", "d"])
        const { lines, forgotten } = yield* room.ask("History")
        expect([lines.map(({ text }) => text), forgotten]).toEqual([
          ["b", "You said: b", "c", "You said: c", "d", "You said: d"],
          1
        ])
      })
    ))

  it("counts by estimate where the endpoint does not tell", () =>
    chatting({ rule: "usage=0" }, ({ room }) =>
      Effect.gen(function* () {
        const done = last(yield* prompt(room, "12345678"))
        // 4 a message and a token for 4 bytes: 6; "You", " said:", " 12345678": 1 + 2 + 3
        expect(done).toMatchObject({ told: false, input: 6, output: 6, spent: 12 })
      })
    ))

  it("counts what the definitions of its tools take, in the estimate, the budget and the room for a prompt", async () => {
    const spent = (agent: LlmAgent.LlmAgentOptions<Toolkit.Tools<typeof toolkit>>) =>
      chatting({ rule: "usage=0", agent }, ({ room, local }) =>
        Effect.map(prompt(room, "12345678"), (parts) => {
          const sent = JSON.stringify(local.seen.bodies[0]!.tools ?? null).length
          const done = last(parts)
          return done?._tag === "Done" ? { input: done.input, spent: done.spent, sent } : undefined
        })
      )
    const without = (await spent({}))!
    const withTools = (await spent({ toolkit }))!
    const tools = Math.ceil(withTools.sent / 4)
    expect(withTools).toMatchObject({ input: without.input + tools, spent: without.spent + tools })
    await chatting({ agent: { toolkit, maxContext: tools + 20 } }, ({ room, local }) =>
      Effect.gen(function* () {
        const refused = yield* refusal(room, "x".repeat(100))
        expect(refused).toMatchObject({ _tag: "PromptTooLong", tokens: 29 + tools, maxContext: tools + 20 })
        expect(local.seen.calls).toBe(0)
      })
    )
  })

  it("refuses a prompt that leaves no room, by its tokens", () =>
    chatting({ agent: { maxContext: 16 } }, ({ room, local }) =>
      Effect.gen(function* () {
        const refused = yield* refusal(room, "x".repeat(100))
        expect(refused).toMatchObject({ _tag: "PromptTooLong", tokens: 29, maxContext: 16 })
        expect([local.seen.calls, (yield* room.ask("History")).lines]).toEqual([0, []])
      })
    ))

  it("refuses prompts when its budget is spent, overrun by one call at most", () =>
    chatting({ agent: { budget: 5 } }, ({ room, local }) =>
      Effect.gen(function* () {
        yield* prompt(room, "one")
        yield* prompt(room, "two")
        const refused = yield* refusal(room, "three")
        expect(refused).toMatchObject({ _tag: "BudgetSpent", spent: 12, budget: 5 })
        expect([local.seen.calls, (yield* room.ask("History")).begun]).toEqual([2, 2])
      })
    ))

  it("has no new budget, and no history, when it has failed", () =>
    chatting({ agent: { budget: 5 } }, ({ room }) =>
      Effect.gen(function* () {
        yield* prompt(room, "one")
        // what nobody but itself may say
        yield* room.tell("Finish", undefined as never)
        expect(last(yield* prompt(room, "two"))).toMatchObject({ turn: 2, input: 1, spent: 8 })
        expect(yield* refusal(room, "three")).toMatchObject({ _tag: "BudgetSpent", spent: 8, budget: 5 })
      })
    ))

  it("looks at its budget before each call, in the midst of a turn, too", () =>
    chatting({ agent: { budget: 3, toolkit } }, ({ room, local }) =>
      Effect.gen(function* () {
        expect(yield* refusal(room, "add 3")).toMatchObject({ _tag: "BudgetSpent", spent: 3, budget: 3 })
        const { begun, spent } = yield* room.ask("History")
        expect([local.seen.calls, begun, spent]).toEqual([1, 1, 3])
      })
    ))

  it("cuts an answer that grows too long, and ends its call", () =>
    chatting({ rule: "words=1000000", agent: { maxAnswer: 10 } }, ({ room, local }) =>
      Effect.gen(function* () {
        const parts = yield* prompt(room, "go on")
        expect(last(parts)).toMatchObject({ finish: "length", told: false })
        expect(textOf(parts).length).toBeGreaterThanOrEqual(20)
        expect(textOf(parts)).toMatch(/^x+$/)
        yield* waitUntil(() => local.seen.aborted === 1, "the server has seen it")
      })
    ))
})

describe("one turn at a time", () => {
  const endless = "words=1000000&delay=1"
  it("refuses a prompt meanwhile, by default", () =>
    chatting({ rule: "hang=1" }, ({ room, local }) =>
      Effect.gen(function* () {
        const first = yield* asking(room, "one")
        yield* waitUntil(() => local.seen.open === 1, "it is asked")
        expect((yield* refusal(room, "two"))._tag).toBe("TurnUnderWay")
        expect(yield* room.ask("Cancel")).toBe(1)
        expect(yield* first.ended).toBe("TurnCancelled")
      })
    ))

  it("lets so many wait, in their order, and refuses one more", () =>
    chatting({ rule: endless, agent: { whenBusy: "wait", maxWaiting: 2 } }, ({ room, local }) =>
      Effect.gen(function* () {
        const first = yield* asking(room, "1")
        yield* waitUntil(() => first.told.length > 2, "it is answered")
        const second = yield* asking(room, "2")
        yield* waitUntil(() => second.told.length > 0, "it waits")
        const third = yield* asking(room, "3")
        yield* waitUntil(() => third.told.length > 0, "it waits")
        const refused = yield* refusal(room, "4")
        expect(refused).toMatchObject({ _tag: "LimitReached", limit: 2, option: "option maxWaiting" })
        const heard = first.told.length
        yield* waitUntil(() => first.told.length > heard + 9, "it goes on")
        expect([second.told, third.told]).toEqual([[{ _tag: "Waiting", before: 1 }], [{ _tag: "Waiting", before: 2 }]])
        yield* Fiber.interrupt(first.fiber)
        yield* waitUntil(() => second.told.length > 2, "the second is answered")
        yield* Fiber.interrupt(second.fiber)
        yield* waitUntil(() => third.told.length > 2, "the third is answered")
        yield* Fiber.interrupt(third.fiber)
        expect(local.seen.bodies.map(({ messages }) => last(messages)!.content)).toEqual(["1", "2", "3"])
      })
    ))

  it("or lets a newer one take its place: the call of the other is aborted first", () =>
    chatting({ rule: endless, agent: { whenBusy: "replace" } }, ({ room, local }) =>
      Effect.gen(function* () {
        const first = yield* asking(room, "1")
        yield* waitUntil(() => first.told.length > 2, "it is answered")
        const second = yield* asking(room, "2")
        expect(yield* first.ended).toBe("TurnCancelled")
        yield* waitUntil(() => second.told.length > 2, "the other is answered")
        yield* waitUntil(() => local.seen.aborted === 1, "the server has seen the end of the first")
        expect(yield* room.ask("Cancel")).toBe(1)
        expect(yield* second.ended).toBe("TurnCancelled")
        expect((yield* room.ask("History")).lines).toEqual([])
      })
    ))
})

describe("an answer that is given up", () => {
  it.each(["hang=1", "words=1000000&delay=1"])("is aborted at the server when its asker leaves: %s", (rule) =>
    chatting({ rule }, ({ room, local }) =>
      Effect.gen(function* () {
        const asked = yield* asking(room, "hello")
        yield* waitUntil(() => local.seen.open === 1 && (rule === "hang=1" || asked.told.length > 1), "it is under way")
        yield* Fiber.interrupt(asked.fiber)
        yield* waitUntil(() => local.seen.aborted === 1, "the server has seen it")
        yield* waitUntil(() => local.seen.open === 0, "its socket is closed")
        // what was used is counted, by estimate, also before the first token: else a budget would bind nobody who leaves in time
        yield* Effect.repeat(room.ask("History"), { until: ({ spent }) => spent > 0 })
        expect((yield* room.ask("History")).lines).toEqual([])
        expect(yield* room.ask("Cancel")).toBe(0)
      })
    )
  )

  it("is aborted by Cancel also while its reader takes nothing", () =>
    chatting({ rule: "words=2000&size=16384", agent: { maxAnswer: 100_000_000 } }, ({ room, local }) =>
      Effect.gen(function* () {
        let taken = 0
        const reader = yield* Effect.forkChild(
          Stream.runForEach(room.ask("Prompt", { text: "tell" }), () => {
            taken++
            return Effect.never
          })
        )
        yield* waitUntil(heldUp(local, 5000), "the server is held up", 10_000_000)
        expect(taken).toBe(1)
        // 32 MB are to be said: what the sockets of this machine hold of it has been
        expect(local.seen.written).toBeLessThan(16_000_000)
        yield* room.ask("Cancel")
        yield* waitUntil(() => local.seen.aborted === 1, "the server has seen it")
        yield* Fiber.interrupt(reader)
      })
    ))

  it("takes no longer than turnTimeout", () =>
    chatting({ rule: "hang=1", agent: { turnTimeout: 5 } }, ({ room, local }) =>
      Effect.gen(function* () {
        expect(yield* refusal(room, "hello")).toMatchObject({ _tag: "TurnTimeout", millis: 5 })
        yield* waitUntil(() => local.seen.aborted === 1 || local.seen.calls === 0, "the server has seen it")
      })
    ))

  it("ends with its agent", () =>
    chatting({ rule: "hang=1" }, ({ room, local }) =>
      Effect.gen(function* () {
        const asked = yield* asking(room, "hello")
        yield* waitUntil(() => local.seen.open === 1, "it is asked")
        yield* room.stop()
        expect(yield* asked.ended).toBe("ActorStopped")
        yield* waitUntil(() => local.seen.aborted === 1, "the server has seen it")
      })
    ))
})

describe("tools", () => {
  it("are run, and their results told to the model", () =>
    chatting({ agent: { toolkit } }, ({ room, local }) =>
      Effect.gen(function* () {
        used.add = 0
        const parts = yield* prompt(room, "add 3")
        expect([used.add, textOf(parts)]).toEqual([3, "The tool says 3"])
        expect(parts[1]).toEqual({ _tag: "Tool", name: "Add" })
        const [first, second] = local.seen.bodies
        expect(first!.tools!.map((each) => each.function.name)).toEqual(["Add", "Spill", "Break", "Crash", "Wait"])
        expect(second!.messages).toMatchObject([
          { role: "user" },
          { role: "assistant", tool_calls: [{ id: "call-1", function: { name: "Add", arguments: '{"by":3}' } }] },
          { role: "tool", tool_call_id: "call-1", content: "3" }
        ])
        // both calls are counted
        expect(last(parts)).toMatchObject({ input: 2 + 3, output: 1 + 4, told: true })
        yield* prompt(room, "thanks")
        expect(last(local.seen.bodies)!.messages.length).toBe(5)
      })
    ))

  it.each([
    ["add 1", 'args={"by":"one"}', /Expected number|Invalid parameters/],
    ["add 1", "args=no json", /Invalid parameters/],
    ["spill 1", "", /Sour/]
  ])("%s with %s: the model is told why it failed", (text, rule, why) =>
    chatting({ rule, agent: { toolkit } }, ({ room }) =>
      Effect.gen(function* () {
        used.add = 0
        expect(textOf(yield* prompt(room, text))).toMatch(why)
        expect(used.add).toBe(0)
      })
    )
  )

  it("that take too long are interrupted, and the model is told", () =>
    chatting({ agent: { toolkit, toolTimeout: 5 } }, ({ room }) =>
      Effect.gen(function* () {
        used.left = 0
        expect(textOf(yield* prompt(room, "wait 1"))).toContain("no result within 5 ms")
        expect(used.left).toBe(1)
      })
    ))

  it("that fail by failureMode error fail the turn: ToolFailed; the log has the rest", () =>
    chatting({ agent: { toolkit } }, ({ room, logged }) =>
      Effect.gen(function* () {
        expect(yield* refusal(room, "break 1")).toMatchObject({ _tag: "ToolFailed", tool: "Break" })
        expect(logged.some((line) => line.includes('tool "Break" failed'))).toBe(true)
        expect((yield* room.ask("History")).lines).toEqual([])
      })
    ))

  it("that die are incidents, and the agent goes on", () =>
    chatting({ agent: { toolkit } }, ({ room }) =>
      Effect.gen(function* () {
        expect((yield* refusal(room, "crash 1"))._tag).toBe("CalleeFailed")
        expect(textOf(yield* prompt(room, "add 3"))).toContain("The tool says")
      })
    ))

  it("end with the turn that called them", () =>
    chatting({ agent: { toolkit } }, ({ room }) =>
      Effect.gen(function* () {
        Object.assign(used, { begun: 0, left: 0 })
        const asked = yield* asking(room, "wait 1")
        yield* waitUntil(() => used.begun === 1, "it is called")
        yield* room.ask("Cancel")
        expect([yield* asked.ended, used.left]).toEqual(["TurnCancelled", 1])
      })
    ))

  it("are told to the model so many times a turn, and then it is refused", () =>
    chatting({ agent: { toolkit, maxToolRounds: 0 } }, ({ room }) =>
      Effect.gen(function* () {
        used.add = 0
        expect(yield* refusal(room, "add 3")).toMatchObject({ _tag: "LimitReached", option: "option maxToolRounds" })
        expect(used.add).toBe(0)
      })
    ))
})

describe("over any LanguageModel of effect/ai, in the test's time", () => {
  const chat = <A, E>(answer: Stream.Stream<Response.StreamPartEncoded>, test: (room: Room) => Effect.Effect<A, E>) => {
    const generateText = () => Effect.succeed([])
    const model = LanguageModel.make({ streamText: () => answer, generateText })
    const layers = Layer.mergeAll(
      TestSystem.layer,
      LlmProvider.layer({ stallTimeout: "infinity" }),
      Layer.effect(LanguageModel.LanguageModel, model)
    )
    const program = Effect.flatMap(ActorSystem.spawn(LlmAgent.behavior(Chat, { limits: { held: 1 } }), "room"), test)
    return Effect.runPromise(Effect.provide(program, Layer.provideMerge(layers, TestClock.layer())))
  }

  it("a turn ends after turnTimeout, 5 minutes", () =>
    chat(Stream.never, (room) =>
      Effect.gen(function* () {
        const asked = yield* asking(room, "hello")
        yield* TestClock.adjust("299 seconds")
        expect(asked.told).toEqual([{ _tag: "Begun", turn: 1 }])
        expect(asked.fiber.pollUnsafe()).toBe(undefined)
        yield* TestClock.adjust("1 second")
        expect(yield* asked.ended).toBe("TurnTimeout")
      })
    ))

  it("is done or ended, never both: what Cancel comes too late for is remembered, what it has ended is not", async () => {
    for (let turns = 0; turns < 12; turns++) {
      let behind = (): void => {}
      const wait = (left: number): void => (left === 0 ? behind() : queueMicrotask(() => wait(left - 1)))
      const told: Stream.Stream<Response.StreamPartEncoded> = Stream.make(
        { type: "text-start", id: "1" },
        { type: "text-delta", id: "1", delta: "well" },
        { type: "text-end", id: "1" }
      )
      const usage = { inputTokens: { total: 5 }, outputTokens: { total: 5 } } as Response.FinishPartEncoded["usage"]
      const end = Stream.sync(
        (): Response.StreamPartEncoded => (wait(turns), { type: "finish", reason: "stop", usage })
      )
      await chat(Stream.concat(told, end), (room) =>
        Effect.gen(function* () {
          behind = () => void Effect.runFork(room.ask("Cancel"))
          const asked = yield* asking(room, "hello")
          const ended = yield* asked.ended
          yield* TestClock.adjust(0)
          const { lines } = yield* room.ask("History")
          expect([ended, lines.length]).toEqual(ended === "Done" ? ["Done", 2] : ["TurnCancelled", 0])
        })
      )
    }
  })

  it("an answer for a turn that is not open, as one of an incarnation that has ended, changes nothing", () =>
    chat(Stream.never, (room) =>
      Effect.gen(function* () {
        const used = { turn: 7, input: 3, output: 4, told: true, finish: "stop" }
        const late = { ...used, sent: [], messages: [], counted: undefined, text: "late" }
        expect(yield* room.ask("Finish", late)).toEqual({ _tag: "Done", ...used, spent: 0, forgotten: 0 })
        yield* room.tell("Abandon", { turn: 7, input: 3, output: 4, told: true, why: "Left" })
        expect(yield* room.ask("History")).toEqual({ fixed: null, spent: 0, begun: 0, forgotten: 0, lines: [] })
      })
    ))

  it.each([
    [0, 0],
    [-1000, 5],
    [5, -1000]
  ])("usage of %i and %i is none: it is counted by estimate", (input, output) => {
    const usage = {
      inputTokens: { total: input },
      outputTokens: { total: output }
    } as Response.FinishPartEncoded["usage"]
    return chat(Stream.make({ type: "finish", reason: "stop", usage }), (room) =>
      Effect.gen(function* () {
        const done = (yield* prompt(room, "hello")).at(-1)
        expect(done).toMatchObject({ _tag: "Done", told: false, input: 6, output: 0, spent: 6 })
      })
    )
  })

  it("a failure that comes as a part of the answer is one", () =>
    chat(Stream.make({ type: "error", error: "overloaded" }), (room) =>
      Effect.gen(function* () {
        const asked = yield* asking(room, "hello")
        yield* TestClock.adjust("1 minute")
        expect(yield* asked.ended).toBe("ModelFailed")
      })
    ))

  it("limits are the actor's: held counts answers under way", () =>
    chat(Stream.never, (room) =>
      Effect.gen(function* () {
        const asked = yield* asking(room, "hello")
        yield* TestClock.adjust(0)
        expect((yield* refusal(room, "again"))._tag).toBe("LimitReached")
        yield* Fiber.interrupt(asked.fiber)
      })
    ))
})

describe("options", () => {
  const approved = Toolkit.make(Tool.make("Pay", { parameters: Schema.Struct({}), needsApproval: true }))
  it.each([
    ["system", { system: 1 }],
    ["system", { system: "x".repeat(100), maxContext: 16 }],
    ["toolkit.Pay.needsApproval", { toolkit: approved }],
    ["toolkit", { toolkit, maxContext: 50 }],
    ["maxContext", { maxContext: 15 }],
    ["maxAnswer", { maxAnswer: 0 }],
    ["budget", { budget: -1 }],
    ["budget", { budget: "all" }],
    ["maxToolRounds", { maxToolRounds: 1.5 }],
    ["toolTimeout", { toolTimeout: 0 }],
    ["turnTimeout", { turnTimeout: "soon" }],
    ["whenBusy", { whenBusy: "queue" }],
    ["maxWaiting", { maxWaiting: 1025 }],
    ["estimate", { estimate: 4 }],
    ["maxTokens", { maxTokens: 1 }]
  ])("%s outside of its range is refused when the behavior is made", (field, options) => {
    expect(() => LlmAgent.behavior(Chat, options as never)).toThrow(`Chat.${field}`)
  })
})
