/**
 * How a supervisor and its children are described: options, checked once, laid out for Children.
 *
 * Floor 2; used by Supervisor, at `make` and for each `StartChild`.
 * Law 12: an option outside its range is refused by name, with field, value and range; OTP's rules of validity are kept: ids
 * are unique, a significant child is transient or temporary and its supervisor has an autoShutdown.
 * Two sets of defaults: wiring trees (permanent, 1 restart in 5 s for all together, no wait) and dynamic children
 * (transient, each 10 in 60 s, 100 ms x2 to 10 s with full jitter).
 * Pure; a few microseconds a child.
 */
import type { Cause, Duration } from "effect"
import type { Rpc } from "effect/rpc"
import { type AnyBehavior, Behavior } from "../actor/Behavior.ts"
import * as Policy from "../actor/Policy.ts"
import * as Address from "../kernel/Address.ts"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import type { ChildPlan, Rules } from "./Children.ts"
import type * as Strategy from "./Strategy.ts"

/** How one child is supervised. */
export interface ChildOptions {
  /** When it is started again. Default permanent; dynamic children: transient. */
  readonly restart?: Policy.RestartType
  /** Grace of its stop, then it is killed; "kill": at once. Default: its behaviour's `shutdown`, 5 s; a supervisor's: infinity. */
  readonly shutdown?: Duration.Input | "infinity" | "kill"
  /** Its end may end the supervisor (`autoShutdown`). Not for permanent children. */
  readonly significant?: boolean
  /** What a failure is answered with, by its Cause. Default restart. */
  readonly directive?: (cause: Cause.Cause<unknown>) => Policy.Directive
  /** Wait before a restart: see `PolicyOptions`. Default none; dynamic children: 100 ms x2 to 10 s with full jitter. */
  readonly backoff?: NonNullable<Policy.PolicyOptions["backoff"]>
  readonly resetAfter?: Duration.Input
  /** A budget of its own beside its siblings'; out of it, it stops alone. */
  readonly intensity?: NonNullable<Policy.PolicyOptions["intensity"]>
}

export interface ChildSpec<out R = unknown> extends ChildOptions {
  /** Unique among the children; its key in the address. */
  readonly id: string
  readonly behavior: AnyBehavior<R, never>
  /** What its `initial` is given. */
  readonly input?: unknown
}

/** The input that each behaviour's `initial` takes. */
export type Inputs<C> = {
  readonly [K in keyof C]: C[K] extends { readonly behavior: AnyBehavior<infer _R, infer In> }
    ? [In] extends [void]
      ? unknown
      : { readonly input: In }
    : unknown
}

/** The services that the children need. */
export type ServicesOf<C extends ReadonlyArray<ChildSpec>> = {
  [K in keyof C]: C[K] extends { readonly behavior: AnyBehavior<infer R, infer _In> } ? R : never
}[number]

export interface Common {
  /** At most `restarts` of all children together within `within`. Default 1 in 5 seconds; dynamic: each its own. */
  readonly intensity?: NonNullable<Policy.PolicyOptions["intensity"]>
  /** End with the first significant child that ended by itself, or with the last. Default never. */
  readonly autoShutdown?: Strategy.AutoShutdown
}

export interface StaticOptions<C extends ReadonlyArray<ChildSpec>> extends Common {
  readonly strategy: "one_for_one" | "one_for_all" | "rest_for_one"
  readonly children: C
}

export interface DynamicOptions<P extends Rpc.Any, R, In> extends Common {
  readonly strategy: "dynamic"
  /** What its children are. */
  readonly child: ChildOptions & { readonly behavior: Behavior<P, R, In> }
  /** Default 1,000,000. */
  readonly maxChildren?: number
}

const wiring: Policy.Defaults = {
  ...Policy.agents,
  restart: "permanent",
  minMillis: 0,
  restarts: 1,
  withinMillis: 5000,
  exhausted: "escalate"
}

const childKeys = ["id", "behavior", "input", "restart", "shutdown", "significant"] as const
const policyKeys = ["directive", "backoff", "resetAfter", "intensity"] as const

/** A child of a supervisor with these rules. */
export const checkChild = (field: string, spec: ChildSpec, rules: Omit<Rules, "template">): ChildPlan => {
  Options.known(field, spec, [...childKeys, ...policyKeys])
  const { behavior, directive, backoff, resetAfter, intensity, restart, shutdown } = spec
  if (!(behavior instanceof Behavior)) {
    throw new InvalidOption({ field: `${field}.behavior`, value: typeof behavior, range: "a behavior" })
  }
  // a budget of its own ends in its own stop; the siblings' budget in the supervisor's failure
  const own = intensity !== undefined || rules.budget === undefined
  const defaults: Policy.Defaults = rules.kind === "dynamic" ? Policy.agents : wiring
  const options: Policy.PolicyOptions = {
    ...(restart !== undefined && { restart }),
    ...(directive !== undefined && { directive }),
    ...(backoff !== undefined && { backoff }),
    ...(resetAfter !== undefined && { resetAfter }),
    ...(intensity !== undefined && { intensity }),
    exhausted: own ? "stop" : "escalate"
  }
  const policy = Policy.make(field, options, defaults)
  const significant = Options.flag(`${field}.significant`, spec.significant, false)
  if (significant && (policy.restart === "permanent" || rules.autoShutdown === "never")) {
    const range = "for a child that is transient or temporary, of a supervisor with autoShutdown"
    throw new InvalidOption({ field: `${field}.significant`, value: "true", range })
  }
  const { plan } = behavior
  const graceMillis = shutdown === "kill" ? 0 : Options.millis(`${field}.shutdown`, shutdown, plan.shutdownMillis)
  return {
    id: Address.checkKey(spec.id),
    plan,
    input: spec.input,
    policy,
    ownBudget: intensity !== undefined,
    graceMillis,
    significant
  }
}

/** All but the children of a static one. */
export const checkRules = (
  type: string,
  options: StaticOptions<ReadonlyArray<ChildSpec>> | DynamicOptions<Rpc.Any, unknown, never>
): Rules => {
  const keys = options.strategy === "dynamic" ? ["child", "maxChildren"] : ["children"]
  Options.known(type, options, ["strategy", "intensity", "autoShutdown", ...keys])
  const kind = Options.oneOf(`${type}.strategy`, options.strategy, "one_for_one", [
    "one_for_one",
    "one_for_all",
    "rest_for_one",
    "dynamic"
  ])
  if (options.strategy === undefined) {
    throw new InvalidOption({ field: `${type}.strategy`, value: "undefined", range: "a strategy" })
  }
  const { intensity } = options
  const shared = kind !== "dynamic" || intensity !== undefined
  const { restarts, withinMillis } = Policy.make(type, intensity === undefined ? {} : { intensity }, wiring)
  const rules = {
    kind,
    autoShutdown: Options.oneOf(`${type}.autoShutdown`, options.autoShutdown, "never", [
      "never",
      "any_significant",
      "all_significant"
    ]),
    budget: shared ? { restarts, withinMillis } : undefined
  }
  if (options.strategy !== "dynamic") return { ...rules, template: undefined }
  const template = checkChild(`${type}.child`, { id: "child", ...options.child }, rules)
  return { ...rules, template }
}

/** The children that a static one starts with. */
export const checkAll = (type: string, specs: ReadonlyArray<ChildSpec>, rules: Rules): ReadonlyArray<ChildPlan> => {
  if (!Array.isArray(specs)) {
    throw new InvalidOption({ field: `${type}.children`, value: typeof specs, range: "a list of child specs" })
  }
  const seen = new Set<string>()
  return specs.map((spec: ChildSpec, i) => {
    const child = checkChild(`${type}.children[${i}]`, spec, rules)
    if (seen.has(child.id)) {
      throw new InvalidOption({ field: `${type}.children[${i}].id`, value: child.id, range: "an id used once" })
    }
    seen.add(child.id)
    return child
  })
}
