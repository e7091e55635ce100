/**
 * What only some actors have, in one record made when the first of it is needed.
 *
 * Floor 1; a field of Cell; written by the file that owns each part. Law 7: an actor without timers, children, watchers,
 * stash, forks or a suspended handler has no such record, so it costs an idle actor nothing.
 * Law 3: every collection is bounded where it is added to, by the plan's `held`, `stash` or `capacity`.
 */
import type { Fiber, Scope } from "effect"
import type { Step } from "../kernel/Lifecycle.ts"
import type { Entry } from "../kernel/Mailbox.ts"
import type { TimerNode } from "../kernel/Timers.ts"
import type { ActorTimer } from "./ActorTimers.ts"
import type { Ask } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import type { Client } from "./Client.ts"
import type { ExitReason } from "./ExitReason.ts"
import type { Handling } from "./Forks.ts"
import type { Overseer } from "./Overseer.ts"
import type { Policy } from "./Policy.ts"
import type { Staging } from "./Staging.ts"
import type { StreamAsk } from "./Streaming.ts"
import type { Suspended } from "./Suspended.ts"
import type { Teardown } from "./Teardown.ts"

/** Stands for `initial`, which is no message. */
export const INITIAL = -1

/** A handler that has suspended. */
export interface Running {
  fiber: Fiber.Fiber<unknown, unknown>
  readonly handling: Handling
  /** INITIAL, or the message's. */
  readonly tag: number
  readonly payload: unknown
  readonly origin: unknown
  readonly staging: Staging
  readonly stuck: TimerNode
  /** Its asker has gone: whatever it ends with is discarded. */
  cancelled: boolean
}

/** Committed outputs that wait for room in a full mailbox. */
export interface Releasing {
  readonly staging: Staging
  readonly at: number
  readonly waiter: Suspended
}

/** The ticket of a reserved slot: who reserved it, and whether it still counts. */
export interface Ticket {
  readonly incarnation: number
  readonly timer: ActorTimer | undefined
  /** The end of a `pipe`: it counts as a fork until it is handled. */
  readonly piped: boolean
  valid: boolean
}

export class Extra {
  incarnation = 1
  /** Messages that were accepted and never reached a handler. */
  dead = 0
  running: Running | undefined = undefined
  releasing: Releasing | undefined = undefined
  /** Sends of forks and callbacks that wait for room. */
  sending = 0
  waiters: Array<Suspended> | undefined = undefined
  /** In the order they were started. */
  children: Set<Cell> | undefined = undefined
  /** Those with a key, by `Type/key`. */
  names: Map<string, Cell> | undefined = undefined
  nextChild = 1
  watchers: Set<Cell | ((reason: ExitReason, died: Cell) => void)> | undefined = undefined
  watching: Set<Cell> | undefined = undefined
  /** Those this incarnation fails together with. */
  links: Set<Cell> | undefined = undefined
  timers: Map<string, ActorTimer> | undefined = undefined
  stash: Array<Entry> | undefined = undefined
  forks: Set<Fiber.Fiber<unknown, unknown>> | undefined = undefined
  /** Ends of pipes that wait in the mailbox, of this incarnation. */
  piped = 0
  /** Those whose producers run; each producer is one of the forks. */
  streams: Set<StreamAsk> | undefined = undefined
  deferred: Set<Ask> | undefined = undefined
  clients: Set<Client> | undefined = undefined
  /** Of these, those that it was told are away. */
  away: Set<Client> | undefined = undefined
  scope: Scope.Closeable | undefined = undefined
  idle: TimerNode | undefined = undefined
  idleMessage: readonly [tag: number, payload: unknown] | undefined = undefined
  /** What a handler of this actor waited for last: an answer, or room in a mailbox. For the report of stuck ones. */
  awaiting: Ask | Suspended | undefined = undefined
  teardown: Teardown | undefined = undefined
  /** The wait before a restart, or for `initial`. */
  delay: TimerNode | undefined = undefined
  /** Of this incarnation's handlers and forks. */
  handling: Handling | undefined = undefined
  forking: Handling | undefined = undefined
  policy: Policy | undefined = undefined
  /** Of a supervisor: what it knows of its children. */
  overseer: Overseer | undefined = undefined
  /** What supervision remembers of former failures. */
  history: unknown = undefined
  exit: ExitReason | undefined = undefined
  /** Its last steps that say something, for the report of a failure: at most eight. */
  steps: Array<Step> | undefined = undefined
}
