/**
 * A chat with a language model, as an agent: clients prompt it over a WebSocket, and its answer streams back token by token.
 *
 *   Prompt { text }  -> chunks: Begun, Text, Reasoning, Tool ..., Done     Cancel -> how many it ended     History
 *   events, to all clients of the room: Asked, Delta (not to who asked: it has the stream), Answered, Unanswered
 *
 * Law: one turn at a time; a prompt meanwhile is refused, waits, or takes its place (`whenBusy`). A turn is remembered whole or not
 * at all. Back pressure: an answer is the Rpc's stream, so a client that reads slowly slows the reading of the HTTP body: 16
 * elements are on the way here, 32 in Troupe's stream, the rest stays in the endpoint's socket. Events do not wait: a slow listener
 * loses Deltas, the oldest first, and has the whole text in Answered. A client that leaves, `$/cancel`, `Cancel` and `turnTimeout`
 * abort the HTTP call at once, also while its reader waits. Needs `LanguageModel` (OpenAiModel, or any of effect/ai),
 * `LlmProvider`, and what its tools need.
 * State: LlmHistory, through its Schema. A restart begins it anew, as any volatile actor's; what has been asked is told to be
 * unanswered then (LlmAsked), turns are numbered on, and the budget is no new one. Tokens that a turn used are counted also where
 * it fails, but not where the agent itself does. The budget is looked at before each call: it is overrun by one call at most.
 * Considered: answers as events; rejected, a broadcast never waits. The whole turn in one handler; rejected, a `Cancel` would wait
 * behind it.
 */
import { Cause, Effect, Queue, Schedule, Stream } from "effect"
import type { Tool } from "effect/ai"
import { Actor } from "troupe"
import { BudgetSpent, type Refusal, TurnTimeout } from "./LlmErrors.ts"
import * as LlmAsked from "./LlmAsked.ts"
import * as History from "./LlmHistory.ts"
import { LlmLine, type Mine } from "./LlmLine.ts"
import { check, type LlmAgentOptions, type Needed } from "./LlmOptions.ts"
import type { Definition, Part } from "./LlmProtocol.ts"
import * as LlmTurn from "./LlmTurn.ts"

export * from "./LlmErrors.ts"
export type { WhenBusy } from "./LlmLine.ts"
export type { LlmAgentOptions } from "./LlmOptions.ts"
export { type Definition, make, Part } from "./LlmProtocol.ts"

/** Elements of an answer that wait here for the reader. */
const ahead = 16

type Begun = { readonly turn: number; readonly state: History.State }
/** Waits while the reader is behind. */
type Tell = (part: Part) => Effect.Effect<unknown>

/** The agent asks itself; where its mailbox is full, again. */
const insisting = <A, E extends { readonly _tag: string }>(ask: Effect.Effect<A, E>): Effect.Effect<A, BudgetSpent> =>
  Effect.retry(ask, { schedule: Schedule.spaced("50 millis"), while: ({ _tag }) => _tag === "MailboxFull" }).pipe(
    Effect.catch((error) => (error instanceof BudgetSpent ? Effect.fail(error) : Effect.die(error)))
  )

/** Why a prompt that has begun has no answer. */
const reason = (cause: Cause.Cause<Refusal>, ended: boolean): string => {
  if (ended) return "TurnCancelled"
  if (Cause.hasInterruptsOnly(cause)) return "Left"
  return cause.reasons.find(Cause.isFailReason)?.error._tag ?? "Defect"
}

/** How such a chat behaves. To be hosted or spawned where its model, its provider's limits and its tools' handlers are. */
export const behavior = <Tools extends Record<string, Tool.Any> = {}>(
  chat: Definition,
  options: LlmAgentOptions<Tools> = {}
) => {
  const { budget, maxWaiting, rules, toolkit, turnMillis, whenBusy, ...limits } = check(chat.type, options)
  const line = Actor.local(() => new LlmLine(whenBusy, maxWaiting))
  const used = (state: History.State, { input, output }: LlmTurn.Tally): number => state.spent + input + output

  return chat.behavior({
    ...options.limits,
    initial: (_key, self) => {
      const { last: begun, spent } = LlmAsked.close(self, "Restarted")
      return { ...History.empty, begun, spent }
    },
    onStop: (_state, _why, self) => void LlmAsked.close(self, "Stopped"),
    on: {
      Prompt: (_state, { text }, self) => {
        const { client, ref } = self
        const from = client?.principal?.id ?? client?.id ?? "inside"
        const patient = { timeout: "30 seconds" } as const
        const answer = Effect.fnUntraced(function* (begun: Begun, tally: LlmTurn.Tally, tell: Tell) {
          const { turn, state } = begun
          yield* tell({ _tag: "Begun", turn })
          const offer = (part: Part) => {
            if (part._tag === "Text") self.broadcast("Delta", { turn, text: part.text }, { except: client })
            return tell(part)
          }
          const tools = yield* toolkit
          return yield* LlmTurn.run({ ...limits, text, state, rules, toolkit: tools, budget, offer }, tally)
        })
        const late = { duration: turnMillis, orElse: () => Effect.fail(new TurnTimeout({ millis: turnMillis })) }
        // interrupted or not, what has begun is finished or abandoned, once; one that has been ended waits for that
        const turn = (tell: Tell, { ended, whole }: Mine) =>
          Effect.uninterruptibleMask(
            Effect.fnUntraced(function* (restore) {
              const begun = yield* insisting(
                self.ask(ref, "Begin", { text, from, incarnation: self.incarnation }, patient)
              )
              const { turn } = begun
              const tally: LlmTurn.Tally = { input: 0, output: 0, told: true }
              const abandon = (cause: Cause.Cause<Refusal>) =>
                Effect.sync(() =>
                  self.pipe(Effect.void, () => ["Abandon", { turn, ...tally, why: reason(cause, ended()) }])
                )
              const answering = Effect.tap(Effect.timeoutOrElse(answer(begun, tally, tell), late), () =>
                whole() ? Effect.void : Effect.never
              )
              const finish = (answered: Effect.Success<typeof answering>) =>
                insisting(self.ask(ref, "Finish", { ...tally, ...answered, turn }, patient))
              return yield* Effect.onError(Effect.flatMap(restore(answering), finish), abandon)
            })
          )
        return Stream.callback<Part, Refusal, Needed<Tools>>(
          (queue) => {
            const tell: Tell = (part) => Queue.offer(queue, part)
            const done = line(self).through(
              (mine) => turn(tell, mine),
              (before) => tell({ _tag: "Waiting", before })
            )
            return Effect.flatMap(done, tell).pipe(Effect.andThen(Queue.end(queue)))
          },
          { bufferSize: ahead }
        )
      },
      Cancel: (_state, _payload, self) => Actor.reply(line(self).end("cancel")),
      History: ({ turns, ...counted }) => Actor.reply({ ...counted, lines: History.lines(turns) }),
      Begin: (state, { text, from, incarnation }, self) => {
        const { spent } = state
        // its fiber has ended with its incarnation, and would tell nobody of an end
        if (incarnation !== self.incarnation) return Actor.reply({ turn: 0, state })
        if (spent >= budget) return Effect.fail(new BudgetSpent({ spent, budget }))
        const turn = state.begun + 1
        self.broadcast("Asked", { turn, from, text })
        LlmAsked.of(self).begin(turn)
        return Actor.reply({ turn, state }, { ...state, begun: turn })
      },
      Finish: (state, { counted, messages, sent, text, ...told }, self) => {
        const { turn, finish } = told
        const asked = LlmAsked.of(self)
        const remembered = () => History.remember(state, sent, messages, counted, rules)
        const next = asked.isOpen(turn) ? { ...remembered(), spent: asked.spend(used(state, told)) } : state
        if (asked.end(turn)) self.broadcast("Answered", { turn, text, finish })
        return Actor.reply({ _tag: "Done", ...told, spent: next.spent, forgotten: next.forgotten }, next)
      },
      Abandon: (state, { turn, why, ...tally }, self) => {
        const asked = LlmAsked.of(self)
        if (!asked.end(turn)) return state
        self.broadcast("Unanswered", { turn, why })
        return { ...state, spent: asked.spend(used(state, tally)) }
      }
    }
  })
}
