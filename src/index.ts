/**
 * Troupe: actors for many stateful, long-lived agents.
 *
 * The public API on one screen. `Actor` and `Agent` define; `ActorSystem` runs; `ActorRef` sends. The WebSocket edge is
 * `troupe/gateway`, tools for tests are `troupe/testkit`. Everything below is the contract; everything else may change.
 */
export * as Actor from "./actor/Actor.ts"
export * as Agent from "./actor/Agent.ts"
export { ActorRef, type AskOptions } from "./actor/ActorRef.ts"
export type { Behavior } from "./actor/Behavior.ts"
export type { Client, Disconnected } from "./actor/Client.ts"
export type { ActorContext as Self } from "./actor/Context.ts"
export type { Deferral } from "./actor/Deferral.ts"
export type { ExitReason, Terminated } from "./actor/ExitReason.ts"
export type { Limits } from "./actor/Plan.ts"
export type { Directive, PolicyOptions } from "./actor/Policy.ts"
export type { SpawnOptions } from "./actor/Runtime.ts"
export type { StopOptions } from "./actor/StopOrder.ts"
export {
  ActorFailed,
  ActorStopped,
  AlreadyPresent,
  AskCycle,
  type AskError,
  AskTimeout,
  CalleeFailed,
  Dropped,
  InvalidOption,
  InvalidUse,
  LinkBroken,
  LimitReached,
  MailboxFull,
  NameTaken,
  NoSuchActor,
  NoSuchChild,
  Quarantined,
  RealIoInSimulation,
  RestartsExhausted,
  StartFailed,
  type TellError,
  TooManyChildren
} from "./kernel/Errors.ts"
export * as Lifecycle from "./kernel/Lifecycle.ts"
export * as Options from "./kernel/Options.ts"
export type { ActorKey } from "./supervision/ActorKey.ts"
export { ActorSystem, type Host, type ShutdownReport } from "./supervision/ActorSystem.ts"
export type { CrashReport } from "./supervision/CrashReport.ts"
export type { DeadLetter } from "./supervision/DeadLetters.ts"
export * as Supervisor from "./supervision/Supervisor.ts"
export * as Groups from "./supervision/Groups.ts"
export * as Names from "./supervision/Names.ts"
export type { Snapshot, TreeNode } from "./supervision/Snapshot.ts"
export type { Change, SystemOptions } from "./supervision/System.ts"
