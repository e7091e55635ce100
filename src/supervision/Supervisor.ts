/**
 * A supervisor: an actor whose only work is its children.
 *
 * ```ts
 * const tree = Supervisor.make("Shop", {
 *   strategy: "rest_for_one", // who goes down and comes back with a child that failed
 *   intensity: { restarts: 1, within: "5 seconds" }, // one more: all children stop, and the supervisor itself fails
 *   children: [
 *     { id: "stock", behavior: stock }, // started left to right, stopped right to left
 *     { id: "orders", behavior: orders, restart: "transient", shutdown: "10 seconds" }
 *   ]
 * })
 * const shop = yield* ActorSystem.spawn(tree, "main") // a supervisor is a behaviour: it nests
 * yield* shop.ask("WhichChildren")
 * ```
 *
 * Floor 2; OTP's `supervisor` in its words and numbers, unless said: permanent children, 1 restart in 5 s for all of them
 * together, shutdown 5 s then kill (a supervisor as a child: infinity), autoShutdown never. `ActorSystem.spawn` returns at
 * once: children start in the supervisor's `initial`; one that fails to start stops those before it, in reverse, and fails
 * the supervisor. Out of budget it fails with `RestartsExhausted`: its own supervisor decides, a root stops.
 *
 * `dynamic` is for children of one kind by the hundred thousand: made by `StartChild { key, input }`, stopped in parallel,
 * each with a budget of its own (10 in 60 s, backoff 100 ms x2 to 10 s) unless `intensity` is given for all together.
 *
 * Not to do: work in a supervisor, or an `initial` of a child that asks its own supervisor (it waits for that child).
 * Where Troupe departs from OTP: a child that fails is restarted in place, so its mail, watches and ref survive; only one
 * whose life was ended from outside is made anew. A child that fails in `StartChild` is not kept.
 */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import * as Behavior from "../actor/Behavior.ts"
import type { Cell } from "../actor/Cell.ts"
import type { ActorContext } from "../actor/Context.ts"
import { Reply } from "../actor/Outcome.ts"
import type { Plan } from "../actor/Plan.ts"
import type { RestartType } from "../actor/Policy.ts"
import { Committed, Protocol } from "../actor/Protocol.ts"
import * as Address from "../kernel/Address.ts"
import {
  AlreadyPresent,
  InvalidOption,
  NameTaken,
  NoSuchChild,
  StartFailed,
  TooManyChildren
} from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import type { ChildPlan, Children } from "./Children.ts"
import * as Spec from "./ChildSpec.ts"
import type { System } from "./System.ts"

/** A child as `WhichChildren` tells of it. */
export interface ChildInfo {
  readonly id: string
  readonly ref: ActorRef | undefined
  readonly state: "running" | "restarting" | "undefined"
  readonly supervisor: boolean
  readonly restart: RestartType
  readonly significant: boolean
}

export interface ChildCounts {
  /** Places, with or without a living child; of a `dynamic` supervisor, unlike OTP's 1, its children. */
  readonly specs: number
  readonly active: number
  readonly supervisors: number
  readonly workers: number
}

/** A payload or answer that never leaves the process: its type is known to the compiler only. */
interface Local<A> extends Schema.Codec<A, unknown> {
  readonly "~type.make.in": A
}
const local = <A>(): Local<A> => Schema.Any as unknown as Local<A>

const refusals = Schema.Union([InvalidOption, StartFailed, NameTaken, AlreadyPresent, TooManyChildren, NoSuchChild])
const make_ = <const T extends string, A, B>(tag: T, payload: Local<A>, success: Local<B>) =>
  Rpc.make(tag, { payload, success, error: refusals }).annotate(Committed, true)

/** By id, as `WhichChildren` tells it, or by ref. */
export type Which = string | ActorRef<never>

const TerminateChild = make_("TerminateChild", local<Which>(), local<void>())
const RestartChild = make_("RestartChild", local<string>(), local<ActorRef>())
const DeleteChild = make_("DeleteChild", local<string>(), local<void>())
const WhichChildren = Rpc.make("WhichChildren", { success: local<ReadonlyArray<ChildInfo>>() })
const CountChildren = Rpc.make("CountChildren", { success: local<ChildCounts>() })
const StartChild = make_("StartChild", local<Spec.ChildSpec<never>>(), local<ActorRef>())
const startDynamic = <P extends Rpc.Any, In>() => make_("StartChild", local<DynamicStart<In>>(), local<ActorRef<P>>())

/** What a supervisor understands. */
export type Messages =
  | typeof StartChild
  | typeof TerminateChild
  | typeof RestartChild
  | typeof DeleteChild
  | typeof WhichChildren
  | typeof CountChildren

/** A dynamic child's key (default: a number) and what its `initial` is given. */
export type DynamicStart<In> = { readonly key?: string } & ([In] extends [void]
  ? { readonly input?: undefined }
  : { readonly input: In })

/** What a dynamic supervisor understands. */
export type DynamicMessages<P extends Rpc.Any, In> =
  | ReturnType<typeof startDynamic<P, In>>
  | typeof TerminateChild
  | typeof WhichChildren
  | typeof CountChildren

type Self = ActorContext<Rpc.Any>

const supervisors = new WeakSet<Plan>()

/** A behaviour that supervises. Options are checked here: `InvalidOption` with field, value and range. */
export function make<const C extends ReadonlyArray<Spec.ChildSpec>>(
  type: string,
  options: Spec.StaticOptions<C & Spec.Inputs<C>>
): Behavior.Behavior<Messages, Spec.ServicesOf<C>>
export function make<P extends Rpc.Any, R, In>(
  type: string,
  options: Spec.DynamicOptions<P, R, In>
): Behavior.Behavior<DynamicMessages<P, In>, R>
export function make(
  type: string,
  options: Spec.StaticOptions<ReadonlyArray<Spec.ChildSpec>> | Spec.DynamicOptions<Rpc.Any, unknown, never>
): unknown {
  const rules = Spec.checkRules(type, options)
  const specs = options.strategy === "dynamic" ? [] : Spec.checkAll(type, options.children, rules)
  const initial = (_key: string, self: Self): Effect.Effect<Children, StartFailed | NameTaken> =>
    Effect.gen(function* () {
      const cell = self.ref.cell as Cell
      const children = (cell.program.runtime as System).oversee(cell, rules)
      for (const child of specs) yield* children.start(child, child.id, child.input, children.add(child))
      return children
    })
  const max = options.strategy === "dynamic" ? options.maxChildren : undefined
  const maxChildren = Options.integer(`${type}.maxChildren`, max, 1_000_000, 1, 16_777_216)
  const start = options.strategy === "dynamic" ? startsDynamic(maxChildren) : starts(type)
  const rpcs = [StartChild, TerminateChild, RestartChild, DeleteChild, WhichChildren, CountChildren]
  const behavior = Behavior.make<Children, Rpc.Any, never, unknown, never, void>(new Protocol(type, rpcs), {
    ...(max !== undefined && { children: maxChildren }),
    connectTimeout: "Infinity",
    shutdown: "infinity",
    supervision: { directive: () => "escalate" },
    initial: initial as never,
    on: { ...handlers, StartChild: start } as never
  })
  supervisors.add(behavior.plan)
  return behavior
}

const addressOf = (self: Self): Address.Address => self.ref.address

/** A check, as the asker's error: it is no failure of the supervisor. */
const refusing = <A>(check: () => A): Effect.Effect<A, InvalidOption> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(check())
    } catch (error) {
      return error instanceof InvalidOption ? Effect.fail(error) : Effect.die(error)
    }
  })

const starts = (type: string) =>
  Effect.fnUntraced(function* (children: Children, spec: Spec.ChildSpec, self: Self) {
    const checked = yield* refusing(() => Spec.checkChild(`${type}.StartChild`, spec, children.rules))
    const { id } = checked
    const present = children.find(id)
    if (present !== undefined) {
      return yield* new AlreadyPresent({ address: addressOf(self), id, state: children.stateOf(present) })
    }
    const entry = children.add(checked)
    const cell = yield* Effect.tapCause(children.start(checked, id, checked.input, entry), () =>
      Effect.sync(() => children.delete(entry))
    )
    return new Reply(cell.ref, undefined, false)
  })

const startsDynamic = (maxChildren: number) =>
  Effect.fnUntraced(function* (children: Children, wanted: DynamicStart<unknown> | undefined, self: Self) {
    const { template } = children.rules
    const key = wanted?.key
    if (key !== undefined) yield* refusing(() => Address.checkKey(key))
    if (key !== undefined && children.vacant.has(key)) {
      return yield* new NameTaken({ address: Address.child(addressOf(self), template!.plan.protocol.type, key) })
    }
    if (children.living.size + children.vacant.size >= maxChildren) {
      return yield* new TooManyChildren({ address: addressOf(self), maxChildren })
    }
    const cell = yield* children.start(template!, key, wanted?.input)
    return new Reply(cell.ref, undefined, false)
  })

const handlers = {
  TerminateChild: Effect.fnUntraced(function* (children: Children, which: Which, self: Self) {
    const seat = typeof which === "string" ? children.find(which) : undefined
    const cell = seat === undefined ? children.childOf(which) : seat.cell
    const entry = seat ?? (cell === undefined ? children.vacancy(which) : undefined)
    if (entry === undefined && cell === undefined) {
      return yield* new NoSuchChild({ address: addressOf(self), id: String(which) })
    }
    // its end is all there is to do: a group that begins by then, before this goes on, starts all of its own
    if (cell !== undefined) yield* children.terminate(cell)
    else if (entry !== undefined) children.forget(entry)
    return new Reply(undefined, undefined, false)
  }),
  RestartChild: Effect.fnUntraced(function* (children: Children, id: string, self: Self) {
    const entry = yield* resting(children, id, self)
    const cell = yield* children.start(entry.child, id, entry.child.input, entry)
    return new Reply(cell.ref, undefined, false)
  }),
  DeleteChild: Effect.fnUntraced(function* (children: Children, id: string, self: Self) {
    children.delete(yield* resting(children, id, self))
    return new Reply(undefined, undefined, false)
  }),
  WhichChildren: (children: Children) => new Reply(which(children), undefined, false),
  CountChildren: (children: Children) => {
    const all = which(children)
    const supervising = all.filter((child) => child.supervisor).length
    const active = all.filter((child) => child.state === "running").length
    const counts = { specs: all.length, active, supervisors: supervising, workers: all.length - supervising }
    return new Reply(counts, undefined, false)
  }
}

/** The place of a child that has ended and keeps it. */
const resting = Effect.fnUntraced(function* (children: Children, id: string, self: Self) {
  const entry = children.find(id)
  const address = addressOf(self)
  if (entry === undefined) return yield* new NoSuchChild({ address, id })
  const state = children.stateOf(entry)
  if (state !== "undefined") return yield* new AlreadyPresent({ address, id, state })
  return entry
})

const which = (children: Children): ReadonlyArray<ChildInfo> => {
  const { template } = children.rules
  type Told = readonly [child: ChildPlan, key: string | number, cell: Cell | undefined, state: ChildInfo["state"]]
  const describe = (...[child, key, cell, state]: Told): ChildInfo => ({
    id: typeof key === "number" ? `~${key}` : key,
    ref: cell?.ref,
    state,
    supervisor: supervisors.has(child.plan),
    restart: child.policy.restart,
    significant: child.significant
  })
  if (template === undefined) {
    return children.entries.map((entry) => describe(entry.child, entry.key, entry.cell, children.stateOf(entry)))
  }
  const living = [...children.living].map((cell) => describe(template, cell.key, cell, children.stateOfCell(cell)))
  return [...living, ...[...children.vacant.keys()].map((key) => describe(template, key, undefined, "restarting"))]
}
