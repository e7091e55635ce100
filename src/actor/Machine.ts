/**
 * Any XState machine as a supervised actor.
 *
 * Floor 1; used as `Actor.fromMachine`. The machine's events are the protocol (an event's fields are the payload), its
 * snapshot is the state; an ask is answered with the new state value. Its `after` delays and delayed `raise` run on the
 * system's clock as keyed timers, so virtual time moves them; a final state stops the actor. What it emits goes to `onEmit`,
 * which sends it on by `self`: staged with the turn, so that a machine reports to others and knows none of them.
 * A machine that emits where nobody hears, or names an action or a delay that it has not, is refused when it is made.
 * Pure steps of the machine, in one scope for all: an actor of XState costs 3.6 kB, this one its snapshot. XState's own
 * `transition()` makes such an actor, and its first state without its input, at each step: that is most of what it costs.
 * Custom actions run in the turn; one that throws is the actor's failure, and so is a Promise of one (a fork of its actor, which
 * no turn waits for) that is rejected; one that gives an Effect is refused. Their `self` can `send`, within the turn, and nothing
 * else; `log` goes where XState's does, to the console. A machine that invokes or spawns actors of XState, also in `assign`, is
 * refused by name: those would run outside supervision; use `self.pipe` or a child.
 */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import {
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EmittedFrom,
  type EventFrom,
  type InputFrom,
  type SnapshotFrom
} from "xstate"
import { InvalidOption } from "../kernel/Errors.ts"
import * as Behavior from "./Behavior.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { ActorContext } from "./Context.ts"
import { Reply } from "./Outcome.ts"
import { Protocol } from "./Protocol.ts"

type Fields<E> = Omit<E, "type">

/** A payload schema of which only the type is known: events are not validated between local actors. */
interface EventPayload<A> extends Schema.Codec<A, unknown> {
  readonly "~type.make.in": A
}

/** What an event may carry; of a machine that says nothing of its events: anything, or nothing. */
// oxlint-disable-next-line typescript/no-explicit-any -- the only type that void takes and that takes fields too
type Carried<F> = [keyof F] extends [never] ? void : string extends keyof F ? any : F

type Named<T extends string, F> = T extends string
  ? Rpc.Rpc<T, EventPayload<Carried<F>>, Schema.Codec<unknown, unknown>>
  : never

/** The Rpc of each event, also where one event has several names: asked, it answers with the state value that follows. */
export type EventRpc<E extends { readonly type: string }> = E extends { readonly type: infer T extends string }
  ? Named<T, Fields<E>>
  : never

/** What the machine's own delays send: not for callers. */
const AFTER = "$after"

interface Action {
  readonly type: string
  readonly info: unknown
  readonly params: unknown
  readonly exec: ((info: unknown, params: unknown) => unknown) | undefined
}

interface DelayedRaise {
  readonly event: { readonly type: string }
  readonly id: string | undefined
  readonly delay: number | undefined
}

interface SendTo extends DelayedRaise {
  readonly to: unknown
}

/** What speaks to actors of XState, of which there are none here. */
const unsupported: ReadonlySet<string> = new Set(["xstate.sendTo", "xstate.spawnChild", "xstate.stopChild"])

type Node = AnyStateMachine["root"]

/** Its id; that of a machine which has none is the actor's type. */
const nameOf = ({ config, machine, path }: Node, type: string): string =>
  config.id ?? [machine.config.id ?? type, ...path].join(".")

/** All that a state may do: when it is entered and left, at each of its transitions. */
const actionsOf = ({ always = [], entry, exit, initial, transitions }: Node): ReadonlyArray<unknown> => [
  ...entry,
  ...exit,
  ...[...transitions.values(), always, initial].flat().flatMap(({ actions }) => actions)
]

/** Its name, and what does it; undefined where the machine has nothing by that name. */
const madeOf = (action: unknown, { implementations }: AnyStateMachine): readonly [name: string, made: unknown] => {
  if (typeof action === "function") return [action.name, action]
  const name = typeof action === "string" ? action : (action as { readonly type: string }).type
  return [name, implementations.actions[name]]
}

/** The delay that an action names: of a `raise` or `sendTo`, and of a state's `after`, which XState enters it with. */
const delayOf = (made: unknown): string | undefined =>
  typeof made === "function" && "delay" in made && typeof made.delay === "string" ? made.delay : undefined

/** What an action emits, where it is an `emit`: the event's type, if that is known beforehand. */
const emittedBy = (made: unknown): string | undefined => {
  if (typeof made !== "function" || !("type" in made) || made.type !== "xstate.emit") return undefined
  const { event } = made as unknown as { readonly event: { readonly type: string } | (() => unknown) }
  return typeof event === "function" ? "an event" : `"${event.type}"`
}

const refuseMissing = (at: string, kind: "action" | "delay", name: string): never => {
  const range = `${kind === "action" ? "an" : "a"} ${kind} that the machine has (by setup or provide)`
  throw new InvalidOption({ field: `${at}.${kind}s`, value: `"${name}"`, range })
}

const refuseUnheard = (type: string, machine: AnyStateMachine, emitted: string): never => {
  const range = `a function: machine "${nameOf(machine.root, type)}" emits ${emitted}, which nobody would hear`
  throw new InvalidOption({ field: `${type}.onEmit`, value: "undefined", range })
}

/** Refuses what would run outside of supervision, do nothing in silence, or be emitted to nobody, as far as the machine shows it. */
const check = (type: string, machine: AnyStateMachine, hears: boolean): void => {
  const visit = (node: Node): void => {
    if (node.invoke.length > 0) {
      throw new InvalidOption({
        field: `${nameOf(node, type)}.invoke`,
        value: "an invoked actor",
        range: "supported (use self.pipe)"
      })
    }
    for (const action of actionsOf(node)) {
      const [name, made] = madeOf(action, machine)
      if (made === undefined) refuseMissing(nameOf(node, type), "action", name)
      const delay = delayOf(made)
      if (delay !== undefined && machine.implementations.delays[delay] === undefined) {
        refuseMissing(nameOf(node, type), "delay", delay)
      }
      const emitted = hears ? undefined : emittedBy(made)
      if (emitted !== undefined) refuseUnheard(type, machine, emitted)
    }
    for (const child of Object.values(node.states)) visit(child)
  }
  visit(machine.root)
}

/** An Effect or a Promise, which nobody would wait for, is no `undefined`, so that the compiler refuses it, too. */
type OnEmit<M extends AnyStateMachine> = (
  event: EmittedFrom<M>,
  self: ActorContext<EventRpc<EventFrom<M>>>
) => undefined | void

/** What the machine's `context` is made of: a value, or a function of the key. Required where the machine's type says so. */
type Input<M extends AnyStateMachine> =
  undefined extends InputFrom<M>
    ? { readonly input?: InputFrom<M> | ((key: string) => InputFrom<M>) }
    : { readonly input: InputFrom<M> | ((key: string) => InputFrom<M>) }

export type MachineOptions<M extends AnyStateMachine> = Input<M> & {
  /**
   * Hears what the machine emits, in its turn: sends by `self` are staged with it. An Effect or a Promise is refused. Required of
   * a machine that emits: refused when the behaviour is made, or at its first `emit` by `enqueueActions`, which shows only then.
   */
  readonly onEmit?: OnEmit<M>
}

type Options<M extends AnyStateMachine> = MachineOptions<M> &
  Omit<Behavior.Options<SnapshotFrom<M>, EventRpc<EventFrom<M>>, never, unknown, never, void>, "initial" | "on">

export const fromMachine = <M extends AnyStateMachine>(
  type: string,
  machine: M,
  ...[options]: undefined extends InputFrom<M> ? [options?: Options<M>] : [options: Options<M>]
): Behavior.Behavior<EventRpc<EventFrom<M>>, never, void, SnapshotFrom<M>> => {
  const { input, onEmit, ...limits }: { readonly input?: unknown; readonly onEmit?: OnEmit<M> } = options ?? {}
  if (onEmit !== undefined && typeof onEmit !== "function") {
    throw new InvalidOption({ field: `${type}.onEmit`, value: typeof onEmit, range: "a function" })
  }
  check(type, machine, onEmit !== undefined)
  const names = machine.events.filter((name) => name !== "*" && !name.startsWith("xstate."))
  const wild = names.find((name) => name.includes("*"))
  if (wild !== undefined) {
    throw new InvalidOption({
      field: `${type}.${wild}`,
      value: "a partial wildcard",
      range: "supported (name the events)"
    })
  }
  const rpcs = [...names, AFTER].map((name) => Rpc.make(name, { payload: Schema.Any, success: Schema.Any }))
  const protocol = new Protocol(type, rpcs)
  type Self = ActorContext<Rpc.Any>
  type Snapshot = AnyMachineSnapshot & { readonly status: string; readonly error?: unknown; readonly value: unknown }

  // never started: in a pure step it is what the machine takes for its own actor, the only one there is
  const inert = createActor(machine, { input: typeof input === "function" ? undefined : input } as never)
  const isSelf = ({ to }: SendTo): boolean => to === inert
  let actions: Array<Action> = []
  /** Whose turn it is. */
  let current: Self | undefined
  let unnamed = 0
  const refuse = (field: string, value: string, range: string): never => {
    throw new InvalidOption({ field: `${type}.${field}`, value, range })
  }
  Object.assign(inert, {
    send: (event: unknown) => {
      if (current === undefined)
        return refuse("self.send", "outside of a turn", "in an action (use self.pipe, or a ref)")
      current.send(current.ref as ActorRef<Rpc.Any>, AFTER, event as never)
    },
    getSnapshot: () => refuse("self.getSnapshot", "this call", "supported (use context)")
  })
  const scope = {
    self: inert,
    system: inert.system,
    id: inert.id,
    sessionId: inert.sessionId,
    logger: (...said: ReadonlyArray<unknown>) => console.log(...said),
    // by `spawn` in `assign`: all else that defers is not executed here
    defer: () => refuse("spawn", "an actor of XState", "supported (use a child in a behaviour of your own)"),
    emit: () => {},
    stopChild: () => {},
    actionExecutor: (action: Action) => void actions.push(action)
  } as unknown as AnyActorScope

  /** The key of its timer: of those without an id none takes the place of another. */
  const named = ({ event, id }: Pick<DelayedRaise, "event" | "id">): string => id ?? `${event.type} ${++unnamed}`

  const emit = (event: unknown, self: Self): void => {
    if (onEmit === undefined) {
      return refuseUnheard(type, machine, `"${(event as { readonly type: string }).type}"`)
    }
    const heard: unknown = onEmit(event as EmittedFrom<M>, self as never)
    const isPromise = heard instanceof Promise
    if (isPromise) heard.catch(() => {}) // refused here, as a whole
    if (isPromise || Effect.isEffect(heard)) {
      refuse("onEmit", isPromise ? "a Promise" : "an Effect", "a function that uses self.send")
    }
  }

  /** An action of the machine's own. XState takes a missing one (named by `enqueueActions`), a Promise or an Effect in silence. */
  const run = ({ exec, info, params, type: name }: Action, self: Self): void => {
    if (exec === undefined) return refuseMissing(nameOf(machine.root, type), "action", name)
    const given = exec(info, params)
    if (given instanceof Promise) {
      given.catch(() => {}) // heard by the fork, if there is one
      self.fork(Effect.promise(() => given))
    } else if (Effect.isEffect(given)) {
      refuse("actions", `an Effect, which "${name}" gives,`, "run by anyone (emit, and send in onEmit)")
    }
  }

  /** Takes a pure step of the machine's, then does what it asks for. */
  const execute = (pure: () => unknown, self: Self): Snapshot => {
    const before = current
    current = self
    try {
      return steps(pure, self)
    } finally {
      current = before
    }
  }

  const steps = (pure: () => unknown, self: Self): Snapshot => {
    const wanted: Array<Action> = (actions = [])
    const snapshot = pure() as Snapshot
    for (const action of wanted) {
      const raise = action.params as DelayedRaise | undefined
      if (action.type === "xstate.raise" && raise?.delay !== undefined) {
        const message = [AFTER, raise.event] as never
        self.timers.once(named(raise), Math.max(raise.delay, 0.001), ...(message as [never]))
      } else if (action.type === "xstate.cancel") {
        self.timers.cancel((action.params as { readonly sendId: string }).sendId)
      } else if (action.type === "xstate.sendTo" && isSelf(action.params as SendTo)) {
        const { event, delay, id } = action.params as SendTo
        if (delay === undefined) self.send(self.ref as ActorRef<Rpc.Any>, AFTER, event as never)
        else self.timers.once(named({ event, id }), Math.max(delay, 0.001), ...([AFTER, event] as never as [never]))
      } else if (action.type === "xstate.emit") {
        emit((action.params as { readonly event: unknown }).event, self)
      } else if (unsupported.has(action.type)) {
        refuse(
          action.type,
          "this action",
          "supported (use self.send, self.broadcast or a child in a behaviour of your own)"
        )
      } else run(action, self)
    }
    if (snapshot.status === "done") self.stop()
    if (snapshot.status === "error") throw snapshot.error
    return snapshot
  }

  const step = (state: Snapshot, event: { readonly type: string }, self: Self) => {
    const snapshot = execute(() => machine.transition(state, event as never, scope), self)
    return new Reply(snapshot.value as unknown, snapshot, true)
  }

  const on: Record<string, unknown> = {
    [AFTER]: (state: Snapshot, event: { readonly type: string }, self: Self) => step(state, event, self)
  }
  for (const name of names) {
    on[name] = (state: Snapshot, payload: object | undefined, self: Self) =>
      step(state, { ...payload, type: name }, self)
  }
  const initial = (key: string, self: Self): Snapshot => {
    const given: unknown = typeof input === "function" ? (input as (key: string) => unknown)(key) : input
    return execute(() => machine.getInitialSnapshot(scope, given as never), self)
  }
  return Behavior.make<Snapshot, Rpc.Any, never, unknown, never, void>(protocol, {
    ...(limits as object),
    initial: initial as never,
    on: on as never
  }) as unknown as Behavior.Behavior<EventRpc<EventFrom<M>>, never, void, SnapshotFrom<M>>
}
