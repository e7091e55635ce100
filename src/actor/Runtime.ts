/**
 * What a cell needs from whoever made it: the run queue, the timers, and the callbacks by which floor 2 hears of failures,
 * deaths, dead letters and lifecycle changes.
 *
 * Floor 1; implemented by `supervision/ActorSystem`; floors never call up, so this is where a cell's knowledge ends.
 * One runtime a system; several systems may live in a process (tests do that).
 */
import { Context, Effect } from "effect"
import type { Cause, Fiber } from "effect"
import type { Address } from "../kernel/Address.ts"
import type { DeadReason } from "../kernel/Envelope.ts"
import { RealIoInSimulation } from "../kernel/Errors.ts"
import type { FiberScheduler } from "../kernel/FiberScheduler.ts"
import type { Scheduler } from "../kernel/Scheduler.ts"
import type { Timers } from "../kernel/Timers.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Cell } from "./Cell.ts"
import type { Plan } from "./Plan.ts"
import type { PolicyOptions } from "./Policy.ts"
import type { Staging } from "./Staging.ts"
import type { Deliveries, Delivery } from "./Deliveries.ts"
import type { Order } from "./StopOrder.ts"

export interface SpawnOptions<In = unknown> {
  /** What `initial` is given as its third argument, in each incarnation. */
  readonly input?: In
  /** Overrides the behaviour's supervision. */
  readonly supervision?: PolicyOptions
}

/** A failure on its way to supervision. */
export interface Failure {
  readonly incident: string
  readonly tag: string
  readonly cause: Cause.Cause<unknown>
  /** The message, where the behaviour lets reports show it (`reportPayload`). */
  readonly payload?: unknown
}

/** What the kernel counts by plain integers, besides what each cell counts. */
export interface Counts {
  /** Handlers that failed. */
  failed: number
  /** Suspended handlers that were overtaken by their asker, a stop or a kill. */
  cancelled: number
  /** Typed errors of handlers of a tell: answers that nobody heard. */
  unheardErrors: number
  /** Calls of a `self` whose incarnation had ended. */
  revokedCalls: number
}

export interface Runtime {
  readonly scheduler: Scheduler
  readonly fibers: FiberScheduler
  readonly timers: Timers
  /** The outputs of the plain handler on the stack. Replaced when a suspending handler takes it along. */
  scratch: Staging
  /** Whether the turn on the stack is in a plain handler, so that what goes through its `self` is staged in `scratch`. */
  plain: boolean
  /** The origin of the message whose handler is on the stack. */
  origin: unknown
  readonly deliveries: Deliveries
  /** Deep-freeze state after each commit (off in production). */
  readonly freezes: boolean
  /** Messages taken from their senders that no actor's counters hold: refused sends of handlers, mail to nobody. */
  readonly nowhere: { accepted: number; dead: number }
  readonly counts: Counts

  /** A process-unique incident id. */
  incident(): string
  /** The living cell that `ref` names; with `make`, one made on demand for a hosted type. */
  locate(ref: ActorRef<never>, make: boolean): Cell | undefined
  /** How long the actor at this address is quarantined still, in ms; 0 when it is not. */
  quarantined(ref: ActorRef<never>): number
  spawnChild(parent: Cell, plan: Plan, key: string | undefined, options: SpawnOptions | undefined): Cell
  watch(watcher: Cell, target: ActorRef<never>): void
  unwatch(watcher: Cell, target: ActorRef<never>): void
  link(cell: Cell, target: ActorRef<never>): void
  unlink(cell: Cell, target: ActorRef<never>): void
  /** The incarnation of a cell with links ends by a failure, its own or its siblings'. */
  broken(cell: Cell, incident: string): void
  /** A failure of a handler, of `initial`, of a fork. Decides and acts. */
  failed(cell: Cell, failure: Failure): void
  /** A handler's `self.stop`: a permanent actor is restarted instead. */
  exits(cell: Cell, order: Order): void
  /** A failure that is nobody's to decide about any more: reported. */
  reported(cell: Cell, failure: Failure): void
  /** The life of `cell` has ended; it is gone from its parent. */
  stopped(cell: Cell): void
  changed(cell: Cell, from: number, to: number, why: string): void
  dead(address: Address, tag: string, payload: unknown, reason: DeadReason): void
  /** A handler suspended for longer than the behaviour's `stuckAfter`. */
  stuck(cell: Cell, tag: string, millis: number, awaits: string): void
  /** What could not be ended when an actor was killed; `ended` is called when it does end. */
  zombie(cell: Cell, what: string): () => void
}

/** The system whose code is running, for refs that name no system of their own. */
export const CurrentRuntime: Context.Reference<Runtime | undefined> = Context.Reference<Runtime | undefined>(
  "troupe/actor/CurrentRuntime",
  { defaultValue: () => undefined }
)

/** Dies with `RealIoInSimulation` where the code of a seeded system runs: a seed could not replay what the world answers (law 11). */
export const realIo = (what: string): Effect.Effect<void> =>
  Effect.flatMap(CurrentRuntime, (runtime) =>
    runtime?.scheduler.seeded === true ? Effect.die(new RealIoInSimulation({ what })) : Effect.void
  )

const live = new Set<Runtime>()

/** A system began or ended. */
export const open = (runtime: Runtime): void => void live.add(runtime)
export const close = (runtime: Runtime): void => void live.delete(runtime)

/** The only system of the process; undefined when there is none, or more than one to choose from. */
export const only = (): Runtime | undefined => (live.size === 1 ? live.values().next().value : undefined)

/** The system whose turn or fiber is on the stack; else the only one of the process. */
export const present = (): Runtime | undefined => {
  for (const runtime of live) if (runtime.scheduler.current !== undefined) return runtime
  return only()
}

/** The system that a fiber's sends go to. */
export const of = (fiber: Fiber.Fiber<unknown, unknown>) => (): Runtime | undefined =>
  fiber.getRef(CurrentRuntime) ?? only()

/** Goes on after the turn at hand, behind what waits for its end already, or at once outside of turns. */
export const after = (runtime: Runtime, delivery: Delivery): void => {
  if (runtime.scheduler.current === undefined && runtime.deliveries.idle) delivery.deliver()
  else runtime.deliveries.add(delivery)
}

/** The options of a spawn: required where the behaviour's `initial` takes an input. */
export type SpawnArgs<In> = [In] extends [void]
  ? [options?: SpawnOptions<In>]
  : [options: SpawnOptions<In> & { readonly input: In }]
