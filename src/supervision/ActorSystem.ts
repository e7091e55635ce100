/**
 * The actor system as an Effect service: spawn, host, find, look, stop.
 *
 * Floor 2; the module users import as `ActorSystem`. `ActorSystem.layer` opens a system and, when its scope closes, shuts it
 * down in phases: edges (gateways) first, by deadlines of their own; then actors serve each other until quiet, then the tree
 * in reverse, by one absolute deadline (`shutdown`, 15 s); the report says what was dead-lettered and what would not end.
 */
import { Context, Deferred, Effect, Layer, Stream, Queue, Tracer } from "effect"
import type { Rpc } from "effect/rpc"
import { type ActorRef, fromAddress } from "../actor/ActorRef.ts"
import type { Definition } from "../actor/Actor.ts"
import { type AnyBehavior, Behavior } from "../actor/Behavior.ts"
import type { Cell } from "../actor/Cell.ts"
import type { Plan } from "../actor/Plan.ts"
import * as ExitReason from "../actor/ExitReason.ts"
import { realIo, type SpawnArgs } from "../actor/Runtime.ts"
import { killOrder } from "../actor/StopOrder.ts"
import type { Address } from "../kernel/Address.ts"
import { NameTaken } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import type { CrashReport } from "./CrashReport.ts"
import type { DeadLetter, Listener } from "./DeadLetters.ts"
import * as Snapshot from "./Snapshot.ts"
import { type Change, System, type SystemOptions } from "./System.ts"

/** What a shutdown did. */
export interface ShutdownReport {
  readonly millis: number
  readonly stopped: number
  /** Actors whose grace ran out. */
  readonly killed: number
  /** Messages that were dead-lettered meanwhile, by reason. */
  readonly deadLetters: Readonly<Record<string, number>>
  readonly zombies: ReadonlyArray<{ readonly address: Address; readonly what: string }>
}

/** Streams of what happens buffer so many elements; then the oldest are dropped. */
const buffered = 1024

export class ActorSystem extends Context.Service<ActorSystem, Host>()("troupe/ActorSystem") {
  /** A system with default options, for as long as the scope. */
  static readonly layer: Layer.Layer<ActorSystem> = Layer.effect(
    ActorSystem,
    Effect.suspend(() => open({}))
  )

  /** The same with options, checked when the layer is built. */
  static layerOf(options: SystemOptions): Layer.Layer<ActorSystem> {
    return Layer.effect(
      ActorSystem,
      Effect.suspend(() => open(options))
    )
  }

  /** Makes an actor now. Without a key it gets a number, and can be reached only by its ref. Fails: `NameTaken`. */
  static spawn<P extends Rpc.Any, R, In = void>(
    behavior: Behavior<P, R, In>,
    key?: string,
    ...options: SpawnArgs<In>
  ): Effect.Effect<ActorRef<P>, NameTaken, ActorSystem | R> {
    return Effect.flatMap(Effect.context<ActorSystem | R>(), (services) =>
      Context.get(services, ActorSystem).spawnWith(behavior, services, key, ...options)
    )
  }

  /** Registers a virtual type: from now on a first message to any key makes its actor. Fails: `NameTaken`. */
  static host<P extends Rpc.Any, R>(behavior: Behavior<P, R>): Effect.Effect<void, NameTaken, ActorSystem | R> {
    return Effect.flatMap(Effect.context<ActorSystem | R>(), (services) =>
      Context.get(services, ActorSystem).hostWith(behavior, services)
    )
  }

  /** To be run before real I/O that handlers may ask for (law 11): in a seeded system it dies with `RealIoInSimulation`. */
  static realIo(what: string): Effect.Effect<void> {
    return realIo(what)
  }
}

/** An open system. */
export class Host {
  /** Internal: what cells see. */
  readonly system: System
  #shutdown: Deferred.Deferred<ShutdownReport> | undefined = undefined

  constructor(system: System) {
    this.system = system
  }

  /** `spawn` without an Effect, for behaviours that need no services. Throws `NameTaken`. */
  spawnUnsafe<P extends Rpc.Any, In = void>(
    behavior: Behavior<P, never, In>,
    key?: string,
    ...[options]: SpawnArgs<In>
  ): ActorRef<P> {
    const { system } = this
    return system.spawn(system.program(planOf(behavior), system.services), key, options).ref as ActorRef<P>
  }

  /** Internal: `ActorSystem.spawn`, with the services that the handlers need. */
  spawnWith<P extends Rpc.Any, R, In = void>(
    behavior: Behavior<P, R, In>,
    services: Context.Context<R>,
    key?: string,
    ...[options]: SpawnArgs<In>
  ): Effect.Effect<ActorRef<P>, NameTaken> {
    return Effect.suspend(() => {
      try {
        const program = this.system.program(planOf(behavior), services)
        return Effect.succeed(this.system.spawn(program, key, options).ref as ActorRef<P>)
      } catch (error) {
        return error instanceof NameTaken ? Effect.fail(error) : Effect.die(error)
      }
    })
  }

  hostWith<R>(behavior: AnyBehavior<R>, services: Context.Context<R>): Effect.Effect<void, NameTaken> {
    return Effect.suspend(() => {
      try {
        return Effect.succeed(this.system.host(this.system.program(planOf(behavior), services)))
      } catch (error) {
        return error instanceof NameTaken ? Effect.fail(error) : Effect.die(error)
      }
    })
  }

  /** A ref that stays with this system, for a spawned or hosted key, or for a child of `parent`. */
  at<S, P extends Rpc.Any, E extends Rpc.Any>(
    definition: Definition<S, P, E>,
    key: string,
    parent?: ActorRef
  ): ActorRef<P> {
    const ref = definition.at(key, parent)
    const cell = this.system.locate(ref as ActorRef<never>, true)
    return cell === undefined ? ref : (cell.ref as ActorRef<P>)
  }

  /** The living actor at a path, or undefined. */
  lookup<S, P extends Rpc.Any, E extends Rpc.Any>(
    definition: Definition<S, P, E>,
    address: Address
  ): ActorRef<P> | undefined {
    return this.system.find(fromAddress(definition.protocol, address).address)?.ref as ActorRef<P> | undefined
  }

  /** Counters, read now: O(actors). */
  snapshot(): Snapshot.Snapshot {
    return Snapshot.audit(this.system).snapshot
  }

  /** All actors, as they hang together. */
  tree(): ReadonlyArray<Snapshot.TreeNode> {
    return Snapshot.tree(this.system)
  }

  /** The lifecycle state of an actor; `stopped` for one that does not live. */
  state(ref: ActorRef<never>): Snapshot.TreeNode["state"] {
    const cell = ref.find(() => this.system)
    return cell === undefined ? "stopped" : Snapshot.stateOf(cell)
  }

  /** Where law 4 does not hold; always empty, and asserted by tests. */
  imbalances(): ReadonlyArray<string> {
    return Snapshot.audit(this.system).imbalances
  }

  /** Both, by one walk over the actors. */
  audit(): Snapshot.Audit {
    return Snapshot.audit(this.system)
  }

  /** The latest dead letters, oldest first. */
  deadLetters(): ReadonlyArray<DeadLetter> {
    return this.system.deadLetters.latest()
  }

  /** Calls back for each dead letter; the answer ends that. */
  onDeadLetter(listener: Listener): () => void {
    return this.system.deadLetters.subscribe(listener)
  }

  /** Steps of lifecycles, from now on. A slow reader loses the oldest. */
  get changes(): Stream.Stream<Change> {
    return subscribe(this.system.onChange)
  }

  /** Failures and what was decided about them, from now on: all of them, also those that the log only counts. */
  get failures(): Stream.Stream<CrashReport> {
    return subscribe(this.system.onFailure)
  }

  /** Waits until no actor has anything to do: nothing ready, queued or suspended. For tests and shutdown. */
  get quiet(): boolean {
    if (this.system.scheduler.active) return false
    let quiet = true
    this.system.visit((cell) => {
      // one in its backoff does nothing until it is over, whatever mail it has
      if (cell.running > 0 || (cell.mailbox !== undefined && cell.extra?.delay === undefined)) quiet = false
    })
    return quiet
  }

  /** Stops everything: edges, then actors once they are quiet, then the tree in reverse. */
  shutdown(): Effect.Effect<ShutdownReport> {
    return Effect.suspend(() => {
      const under = this.#shutdown
      if (under !== undefined) return Deferred.await(under)
      const done = (this.#shutdown = Deferred.makeUnsafe<ShutdownReport>())
      return Effect.uninterruptible(shutdown(this)).pipe(Effect.onExit((exit) => Deferred.done(done, exit)))
    })
  }
}

const planOf = (behavior: unknown): Plan =>
  Options.made("behavior", behavior, Behavior, "definition.behavior(...)").plan

/** What a spawner's fiber carries that an actor must not keep. */
const own = (services: Context.Context<never>): Context.Context<never> => Context.omit(Tracer.ParentSpan)(services)

const subscribe = <A>(listeners: Set<(a: A) => void>): Stream.Stream<A> =>
  Stream.callback<A>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = (a: A) => void Queue.offerUnsafe(queue, a)
          listeners.add(listener)
          return listener
        }),
        (listener) => Effect.sync(() => listeners.delete(listener))
      ),
    { bufferSize: buffered, strategy: "sliding" }
  )

const open = (options: SystemOptions) =>
  Effect.acquireRelease(
    Effect.context<never>().pipe(Effect.map((services) => new Host(new System(options, own(services))))),
    (host) => host.shutdown()
  )

const shutdown = Effect.fnUntraced(function* (host: Host) {
  const { system } = host
  const before = { ...system.deadLetters.counts } as Record<string, number>
  const startedAt = system.timers.now()
  const report = (stopped: number, killed: number): ShutdownReport => {
    const deadLetters: Record<string, number> = {}
    for (const [reason, n] of Object.entries(system.deadLetters.counts)) {
      if (n > (before[reason] ?? 0)) deadLetters[reason] = n - (before[reason] ?? 0)
    }
    const zombies = [...system.zombies]
    return { millis: system.timers.now() - startedAt, stopped, killed, deadLetters, zombies }
  }
  yield* Effect.forEach([...system.edges], (edge) => edge, { concurrency: "unbounded", discard: true })
  // edges keep a deadline of their own: one that used it up must not cost the actors their `onStop`
  const closedAt = system.timers.now()
  const left = () => closedAt + system.shutdownMillis - system.timers.now()
  // virtual time does not pass by itself: there, quiet is awaited only while something can run
  const patience = system.live ? Number.POSITIVE_INFINITY : 1000
  for (let n = 0; n < patience && !host.quiet && left() > system.shutdownMillis / 2; n++) yield* pause(host)
  system.closed = true
  const roots = [...system.registry.kinds.values()].flatMap((kind) => [...kind.cells.values()]).toReversed()
  const mode = system.live ? "drain" : "now"
  for (const cell of roots) {
    const millis = Math.max(1, Math.min(cell.program.plan.shutdownMillis, left() * 0.9))
    cell.stop({ mode, millis, reason: ExitReason.shutdown })
  }
  for (let n = 0; n < patience && roots.some((cell) => cell.alive) && left() > 0; n++) yield* pause(host)
  const stubborn = roots.filter((cell: Cell) => cell.alive)
  for (const cell of stubborn) cell.stop(killOrder)
  for (let n = 0; n < 100 && system.zombies.size > 0; n++) yield* Effect.yieldNow
  const done = report(roots.length, roots.filter((cell) => cell.extra?.exit?._tag === "killed").length)
  system.close()
  return done
})

/** Lets the loop go on; while nothing is ready, for a millisecond. */
const pause = (host: Host): Effect.Effect<void> =>
  host.system.live && !host.system.scheduler.active ? Effect.sleep(1) : Effect.yieldNow
