/** One end for each Asked, at every client, whatever becomes of the agent meanwhile: in simulated runs with faults. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import { LanguageModel, type Response } from "effect/ai"
import { ActorSystem } from "troupe"
import { LlmAgent, LlmProvider } from "troupe/actors"
import { Simulation } from "troupe/testkit"

const Chat = LlmAgent.make("Chat")

const usage = { inputTokens: { total: 5 }, outputTokens: { total: 5 } } as Response.FinishPartEncoded["usage"]

/** A model that takes its time, and fails now and then. */
const modelOf = ({ chance }: Simulation.Sim) => {
  const said: ReadonlyArray<Response.StreamPartEncoded> = [
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: "well" },
    { type: "text-end", id: "1" },
    chance.oneIn(4) ? { type: "error", error: "overloaded" } : { type: "finish", reason: "stop", usage }
  ]
  const streamText = () => Stream.tap(Stream.fromIterable(said), () => Effect.sleep(chance.below(20)))
  return LanguageModel.make({ streamText, generateText: () => Effect.succeed([]) })
}

/** What a client has heard of each turn, in order. */
const turnsOf = ({ events }: Simulation.SimulatedClient<never>) => {
  const turns = new Map<number, Array<string>>()
  for (const { tag, payload } of events) {
    if (tag === "Delta") continue
    const { turn, why } = payload as { readonly turn: number; readonly why?: string }
    turns.set(turn, [...(turns.get(turn) ?? []), why === "Restarted" || why === "Stopped" ? why : tag])
  }
  return turns
}

describe("Asked", () => {
  it.effect("has one end, told to every client, while the agent fails, is slow, and is stopped", () =>
    Effect.gen(function* () {
      const ends: Record<string, number> = {}
      const program = (sim: Simulation.Sim) =>
        Effect.gen(function* () {
          const { chance } = sim
          const whenBusy = chance.pick(["refuse", "wait", "replace"] as const)
          // a turn's end is told by its handler as the last it does: no fault comes after it
          const chat = sim.faulty(LlmAgent.behavior(Chat, { whenBusy, limits: { shutdown: "10 seconds" } }), {
            before: 0.1,
            after: 0,
            maxMillis: 20
          })
          const room = yield* ActorSystem.spawn(chat, "room")
          const clients = [yield* sim.client(room), yield* sim.client(room)]
          const asking = Effect.gen(function* () {
            for (let n = 1 + chance.below(6); n > 0; n--) {
              const asked = yield* Effect.forkChild(Effect.exit(Stream.runDrain(room.ask("Prompt", { text: "hello" }))))
              yield* Effect.sleep(chance.below(100))
              if (chance.oneIn(4)) yield* Effect.exit(room.ask("Cancel"))
              if (chance.oneIn(4)) yield* Fiber.interrupt(asked)
              if (chance.oneIn(2)) yield* Fiber.await(asked)
            }
          })
          const askers = [yield* Effect.forkChild(asking), yield* Effect.forkChild(asking)]
          yield* Effect.forEach(askers, Fiber.await)
          if (chance.oneIn(2)) yield* Effect.forkChild(asking)
          yield* Effect.sleep(chance.below(50))
          // between two incarnations there is nobody to tell: clients see their sockets close
          yield* Effect.retry(room.ask("History"), { times: 100 })
          yield* room.stop({ mode: chance.pick(["now", "drain"] as const) })
          for (const client of clients) {
            for (const [turn, heard] of turnsOf(client)) {
              sim.check(heard.length === 2 && heard[0] === "Asked", `turn ${turn}: ${heard.join(", ")}`)
              const end = heard.at(-1)!
              ends[end] = (ends[end] ?? 0) + 1
            }
          }
        }).pipe(
          Effect.provide(
            Layer.mergeAll(LlmProvider.layer({ retries: 0 }), Layer.effect(LanguageModel.LanguageModel, modelOf(sim)))
          )
        )
      yield* Simulation.explore({ runs: 300, program })
      // all that may become of a turn did, and often
      const { Answered = 0, Restarted = 0, Stopped = 0, Unanswered = 0 } = ends
      expect(Object.entries({ Answered, Restarted, Stopped, Unanswered }).filter(([, n]) => n < 50)).toEqual([])
    })
  )
})
