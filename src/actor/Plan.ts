/**
 * A behaviour, checked and laid out for the turn: handlers by position, limits as plain numbers; and a plan bound to a system.
 *
 * Floor 1; `Plan` is made once by `behavior(...)` and knows no system; `Program` is made once a system (and once a context
 * of services) and is shared by all its actors, so an actor pays one word for everything that is the same for its kind.
 * Law 12: options are checked here, with field, value and range.
 */
import { Context, Effect, Scheduler as EffectScheduler } from "effect"
import type { Duration } from "effect"
import type { Overflow, Priority } from "../kernel/Envelope.ts"
import { priorities } from "../kernel/Envelope.ts"
import { cutLoops } from "../kernel/CutLoops.ts"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import type { Client, ConnectReason, Disconnected } from "./Client.ts"
import type { ActorContext } from "./Context.ts"
import type { ExitReason, Terminated } from "./ExitReason.ts"
import * as Policy from "./Policy.ts"
import type { Protocol } from "./Protocol.ts"
import { CurrentRuntime, type Runtime } from "./Runtime.ts"
import * as Streaming from "./Streaming.ts"

export interface Limits {
  readonly mailbox?: {
    /** Messages that wait at the most. 1-16,777,216, default 1,024. */
    readonly capacity?: number
    /** What happens to one more (law 5). Default `fail`. */
    readonly overflow?: Overflow
  }
  /** Messages stashed at the most; default the mailbox's capacity. */
  readonly stash?: number
  /** Timers, forks and pipes, live streams, deferred asks, watches, links, of each at the most. 1-1,048,576, default 1,024. */
  readonly held?: number
  /** Children at a time. 1-16,777,216, default 1,048,576. */
  readonly children?: number
  /** Place in the run queue, weights 8:4:2:1. Default `normal`. */
  readonly priority?: Priority
  /** No mail for so long: idle. Default never; a finite one costs the actor 100 B. */
  readonly idleAfter?: Duration.Input
  /** `initial` must be done within; else it has failed. Default 30 seconds. */
  readonly connectTimeout?: Duration.Input
  /** A handler suspended for longer is reported. Default 30 seconds. */
  readonly stuckAfter?: Duration.Input
  /** A send of a handler to a full `suspend` mailbox waits so long. Default 5 seconds. */
  readonly offerTimeout?: Duration.Input
  /** Grace of a stop, then it is killed. Default 5 seconds. */
  readonly shutdown?: Duration.Input | "infinity"
  readonly supervision?: Policy.PolicyOptions
  /** The report of a failure shows the message, up to 1,024 characters of it. Default false: it may hold secrets. */
  readonly reportPayload?: boolean
}

const limitNames: ReadonlyArray<keyof Limits> = [
  "mailbox",
  "stash",
  "held",
  "children",
  "priority",
  "idleAfter",
  "connectTimeout",
  "stuckAfter",
  "offerTimeout",
  "shutdown",
  "supervision",
  "reportPayload"
]

/** A handler as the turn calls it. */
export type Handler = (state: unknown, payload: unknown, self: ActorContext<never>) => unknown

/** The hooks of a behaviour besides its messages, as the turn calls them. */
export interface Hooks {
  readonly onTerminated: ((state: unknown, died: Terminated, self: ActorContext<never>) => unknown) | undefined
  readonly onConnect:
    | ((state: unknown, client: Client, self: ActorContext<never>, why: ConnectReason) => unknown)
    | undefined
  readonly onDisconnect:
    | ((state: unknown, client: Client, why: Disconnected, self: ActorContext<never>) => unknown)
    | undefined
  /** A client's session has lost its socket, or has one again. */
  readonly onAway: ((state: unknown, client: Client, self: ActorContext<never>) => unknown) | undefined
  readonly onBack: ((state: unknown, client: Client, self: ActorContext<never>) => unknown) | undefined
  readonly onStop: ((state: unknown, why: ExitReason, self: ActorContext<never>) => unknown) | undefined
}

const generatorFunction = Object.getPrototypeOf(function* () {}) as object

/** A plain generator function is wrapped once; a fresh `Effect.gen` a message costs 0.9 us, most of it V8's. */
const wrap = (handler: Handler): Handler =>
  Object.getPrototypeOf(handler) === generatorFunction
    ? (Effect.fnUntraced(cutLoops(handler as never) as never) as Handler)
    : handler

const optional = <A>(field: string, value: A | undefined): A | undefined => {
  if (value === undefined || typeof value === "function") return value
  throw new InvalidOption({ field, value: typeof value, range: "a function" })
}

export class Plan {
  readonly protocol: Protocol
  readonly initial: unknown
  readonly handlers: ReadonlyArray<Handler>
  readonly hooks: Hooks
  readonly capacity: number
  readonly overflow: Overflow
  readonly stash: number
  readonly held: number
  readonly children: number
  readonly priority: number
  readonly idleMillis: number
  readonly connectMillis: number
  readonly stuckMillis: number
  readonly offerMillis: number
  readonly shutdownMillis: number
  readonly policy: Policy.Policy
  readonly reportPayload: boolean

  constructor(
    protocol: Protocol,
    initial: unknown,
    on: Readonly<Record<string, unknown>>,
    hooks: { readonly [K in keyof Hooks]?: unknown },
    limits: Limits
  ) {
    const at = protocol.type
    Options.known(at, limits, limitNames)
    if (typeof on !== "object" || on === null) {
      throw new InvalidOption({ field: `${at}.on`, value: typeof on, range: "a record of handlers" })
    }
    this.protocol = protocol
    this.initial = initial
    this.handlers = protocol.rpcs.map((rpc, i) => {
      const handler = on[rpc._tag]
      if (typeof handler === "function") {
        const wrapped = wrap(handler as Handler)
        return protocol.streams[i] ? Streaming.streamed(wrapped, rpc._tag) : wrapped
      }
      const value = handler === undefined ? "nothing" : typeof handler
      throw new InvalidOption({ field: `${at}.on.${rpc._tag}`, value, range: "a handler function" })
    })
    for (const tag of Object.keys(on)) {
      if (protocol.index(tag) >= 0) continue
      const range = `a message of the protocol (${protocol.rpcs.map((rpc) => rpc._tag).join(", ")})`
      throw new InvalidOption({ field: `${at}.on.${tag}`, value: tag, range })
    }
    this.hooks = {
      onTerminated: optional(`${at}.onTerminated`, hooks.onTerminated as Hooks["onTerminated"]),
      onConnect: optional(`${at}.onConnect`, hooks.onConnect as Hooks["onConnect"]),
      onDisconnect: optional(`${at}.onDisconnect`, hooks.onDisconnect as Hooks["onDisconnect"]),
      onAway: optional(`${at}.onAway`, hooks.onAway as Hooks["onAway"]),
      onBack: optional(`${at}.onBack`, hooks.onBack as Hooks["onBack"]),
      onStop: optional(`${at}.onStop`, hooks.onStop as Hooks["onStop"])
    }
    Options.known(`${at}.mailbox`, limits.mailbox, ["capacity", "overflow"])
    this.capacity = Options.integer(`${at}.mailbox.capacity`, limits.mailbox?.capacity, 1024, 1, 16_777_216)
    this.overflow = Options.oneOf(`${at}.mailbox.overflow`, limits.mailbox?.overflow, "fail", [
      "fail",
      "suspend",
      "dropNewest",
      "dropOldest",
      "stop"
    ])
    this.stash = Options.integer(`${at}.stash`, limits.stash, this.capacity, 0, 16_777_216)
    this.held = Options.integer(`${at}.held`, limits.held, 1024, 1, 1_048_576)
    this.children = Options.integer(`${at}.children`, limits.children, 1_048_576, 1, 16_777_216)
    this.priority = priorities.indexOf(Options.oneOf(`${at}.priority`, limits.priority, "normal", priorities))
    this.idleMillis = Options.millis(`${at}.idleAfter`, limits.idleAfter, Number.POSITIVE_INFINITY)
    this.connectMillis = Options.millis(`${at}.connectTimeout`, limits.connectTimeout, 30_000)
    this.stuckMillis = Options.millis(`${at}.stuckAfter`, limits.stuckAfter, 30_000)
    this.offerMillis = Options.millis(`${at}.offerTimeout`, limits.offerTimeout, 5000)
    this.shutdownMillis = Options.millis(`${at}.shutdown`, limits.shutdown, 5000)
    this.policy = Policy.make(`${at}.supervision`, limits.supervision)
    this.reportPayload = Options.flag(`${at}.reportPayload`, limits.reportPayload, false)
  }
}

/** A plan in a system, with the services its handlers need. */
export class Program {
  readonly plan: Plan
  readonly runtime: Runtime
  readonly handlers: ReadonlyArray<Handler>
  /** What a message of each kind is charged, adapted by the scheduler: new handlers are measured alone. */
  readonly weights: Array<number>
  /** As given, for children. */
  readonly services: Context.Context<never>
  readonly context: Context.Context<never>

  constructor(plan: Plan, runtime: Runtime, services: Context.Context<never>) {
    this.services = services
    this.plan = plan
    this.runtime = runtime
    this.handlers = plan.handlers
    this.weights = [...plan.handlers.map(() => 64), 64] // the last is for the hooks
    this.context = services.pipe(
      Context.add(EffectScheduler.Scheduler, runtime.fibers),
      Context.add(CurrentRuntime, runtime)
    )
  }
}
