/**
 * What an agent's outcome is on the wire: a result, its typed error, or what may be told of a failure.
 *
 * Floor 3; used by Conversation and Post; pure but for the incident that a fault is logged under.
 * Law 12: internals never cross the wire: a failure is an incident, an answer that its own Schema refuses is one too.
 * Cost: an encoding a request; nothing is kept.
 */
import { Cause, type Exit } from "effect"
import {
  ActorStopped,
  AskCycle,
  AskTimeout,
  CalleeFailed,
  Dropped,
  LimitReached,
  MailboxFull,
  NoSuchActor,
  Quarantined
} from "../kernel/Errors.ts"
import type { Codec } from "./Codec.ts"
import * as JsonRpc from "./JsonRpc.ts"

/** Logs a fault of the agent's; answers with the incident that the client is told. */
export type Fault = (text: string) => string

/** How a dialect writes a failure as a member of an answer. */
export type ErrorOf = (failure: JsonRpc.Failure) => string

const ours = [
  MailboxFull,
  ActorStopped,
  NoSuchActor,
  Quarantined,
  AskTimeout,
  AskCycle,
  CalleeFailed,
  Dropped,
  LimitReached
]
const isOurs = (error: unknown): boolean => ours.some((kind) => error instanceof kind)

const nameOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "Application error"

/** What a client is told of an error of the actor system. */
export const failureOf = (error: unknown): JsonRpc.Failure => {
  if (error instanceof MailboxFull || error instanceof Dropped || error instanceof LimitReached) return JsonRpc.busy
  if (error instanceof ActorStopped || error instanceof NoSuchActor || error instanceof Quarantined) {
    return JsonRpc.unavailable
  }
  if (error instanceof AskTimeout) return { code: -32003, message: "Timeout", data: { started: error.started } }
  return JsonRpc.internalError(error instanceof CalleeFailed ? error.incident : undefined)
}

/** The same of a request that ended with it. */
export const failureOfExit = (exit: Exit.Exit<unknown, unknown>): JsonRpc.Failure =>
  failureOf(exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined)

/** The outcome of a request whose agent answered what may not be sent. */
export const unfit = (codec: Codec, fault: Fault, position: number, why: string, errorOf: ErrorOf): string => {
  const incident = fault(`the answer of "${codec.protocol.tag(position)}" is unfit to send: ${why}`)
  return errorOf(JsonRpc.internalError(incident))
}

/** How a request ended, as a member of its answer. */
export const outcomeOf = (
  codec: Codec,
  fault: Fault,
  position: number,
  exit: Exit.Exit<unknown, unknown>,
  errorOf: ErrorOf
): string => {
  try {
    if (exit._tag === "Success") {
      if (codec.protocol.streams[position]) return JsonRpc.resultOf(undefined)
      const encoded = codec.success(position, exit.value)
      return encoded.ok ? JsonRpc.resultOf(encoded.value) : unfit(codec, fault, position, encoded.why, errorOf)
    }
    const reason = exit.cause.reasons.find(Cause.isFailReason)
    if (reason === undefined) return errorOf(JsonRpc.cancelled)
    const typed = isOurs(reason.error) ? undefined : codec.error(position, reason.error)
    if (typed === undefined) return errorOf(failureOf(reason.error))
    if (!typed.ok) return unfit(codec, fault, position, typed.why, errorOf)
    return errorOf(JsonRpc.applicationError(nameOf(reason.error), typed.value))
  } catch (error) {
    // what a Schema lets pass and JSON does not: a bigint, a circle
    return unfit(codec, fault, position, String(error), errorOf)
  }
}
