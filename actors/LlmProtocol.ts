/**
 * What an LlmAgent understands, what it tells its clients, and what it keeps.
 *
 *   clients    Prompt { text } -> a stream: Begun, then Text, Reasoning, Tool ..., and Done last     Cancel     History
 *   events     Asked, Delta (oldest dropped where a client is slow), Answered or Unanswered, once for each Asked, also where the
 *              agent fails or stops in the midst of an answer
 *   inside     Begin, Finish, Abandon: how a turn, which runs in a fiber, changes the state
 *
 * Used by LlmAgent; `make` gives a kind its name. Law: whatever crosses the wire goes through these Schemas; a refusal is one of
 * LlmErrors. Clients see nothing of the system prompt, nor of the parameters and results of tools: those may hold what is none of
 * theirs.
 */
import { Schema } from "effect"
import { Prompt } from "effect/ai"
import { Rpc } from "effect/rpc"
import { Agent } from "troupe"
import { BudgetSpent, Refusal } from "./LlmErrors.ts"
import * as History from "./LlmHistory.ts"
import { Told } from "./LlmTurn.ts"

/** What a turn has used; `told`: as the endpoint has counted, else by estimate, at least in part. */
const used = { turn: Schema.Int, input: Schema.Int, output: Schema.Int, told: Schema.Boolean }

/** The end of an answer. */
export const Done = Schema.TaggedStruct("Done", {
  ...used,
  /** As of effect/ai: "stop"; "length" where the answer was cut, by the model or by `maxAnswer`. */
  finish: Schema.String,
  /** Tokens that the agent has used so far. */
  spent: Schema.Int,
  /** Turns that it does not remember any more, so far. */
  forgotten: Schema.Int
})
export type Done = typeof Done.Type

/** What a prompt is answered with, element by element. */
export const Part = Schema.Union([
  /** It waits for the turns before it (`whenBusy`). */
  Schema.TaggedStruct("Waiting", { before: Schema.Int }),
  /** Its turn has begun: the number that events name it by. From here on no request times out: something has been told. */
  Schema.TaggedStruct("Begun", { turn: Schema.Int }),
  Told,
  Done
])
export type Part = typeof Part.Type

const Line = Schema.Struct({ role: Schema.Literals(["user", "assistant"]), text: Schema.String })

/** A conversation as clients see it. */
const Remembered = Schema.Struct({
  lines: Schema.Array(Line),
  spent: Schema.Int,
  begun: Schema.Int,
  forgotten: Schema.Int
})

const clients = [
  Rpc.make("Prompt", { payload: { text: Schema.NonEmptyString }, success: Part, error: Refusal, stream: true }),
  /** Ends the turn under way, and prompts that wait; how many. */
  Rpc.make("Cancel", { success: Schema.Int }),
  Rpc.make("History", { success: Remembered })
] as const

const events = [
  Rpc.make("Asked", { payload: { turn: Schema.Int, from: Schema.String, text: Schema.String } }),
  Rpc.make("Delta", { payload: { turn: Schema.Int, text: Schema.String } }).annotate(Agent.Overflow, "dropOldest"),
  Rpc.make("Answered", { payload: { turn: Schema.Int, text: Schema.String, finish: Schema.String } }),
  /** `why`: the tag of a refusal; "Left" where its client has gone, "Restarted" or "Stopped" where the agent has; "Defect". */
  Rpc.make("Unanswered", { payload: { turn: Schema.Int, why: Schema.String } })
] as const

const protocol = [
  Rpc.make("Begin", {
    payload: { text: Schema.String, from: Schema.String, incarnation: Schema.Int },
    success: Schema.Struct({ turn: Schema.Int, state: History.State }),
    error: BudgetSpent
  }),
  Rpc.make("Finish", {
    payload: {
      ...used,
      sent: Schema.Array(History.Turn),
      messages: Schema.Array(Prompt.Message),
      counted: Schema.UndefinedOr(History.Told),
      text: Schema.String,
      finish: Schema.String
    },
    success: Done
  }),
  Rpc.make("Abandon", { payload: { ...used, why: Schema.String } })
] as const

/** A kind of chat: `const Chat = LlmAgent.make("Chat")`; its rooms are `Chat.at("lobby")`. */
export const make = (type: string) => Agent.make(type, { state: History.State, clients, events, protocol })

export type Definition = ReturnType<typeof make>
