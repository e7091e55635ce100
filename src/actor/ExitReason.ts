/**
 * Why an actor's life ended, as its watchers hear of it.
 *
 * Floor 1; set by the teardown, carried by `Terminated`, read by `onStop` and supervision.
 * OTP's words where OTP has one: normal, shutdown, killed; `failed` carries the Cause, and the incident under which its
 * report stands. Watchers are inside: a Cause never crosses the wire.
 */
import type { Cause } from "effect"
import type { ActorRef } from "./ActorRef.ts"

export type ExitReason =
  | { readonly _tag: "normal" } // it stopped itself, or was asked to with mode "now"
  | { readonly _tag: "drained" } // it was asked to finish its mail first, and did
  | { readonly _tag: "shutdown" } // its parent or the system stopped
  | { readonly _tag: "failed"; readonly incident: string; readonly cause: Cause.Cause<unknown> } // and not restarted
  | { readonly _tag: "overflow" } // its mailbox was full, and its policy is to stop then
  | { readonly _tag: "killed" } // it was killed, or its grace ran out
  | { readonly _tag: "noSuchActor" } // it was dead before the watch, or never lived

export const normal: ExitReason = { _tag: "normal" }
export const drained: ExitReason = { _tag: "drained" }
export const shutdown: ExitReason = { _tag: "shutdown" }
export const killed: ExitReason = { _tag: "killed" }
export const overflow: ExitReason = { _tag: "overflow" }
export const noSuchActor: ExitReason = { _tag: "noSuchActor" }
export const failed = (incident: string, cause: Cause.Cause<unknown>): ExitReason => ({
  _tag: "failed",
  incident,
  cause
})

/** What `onTerminated` is given, once a watch (law 10). */
export interface Terminated {
  readonly ref: ActorRef
  readonly reason: ExitReason
}
