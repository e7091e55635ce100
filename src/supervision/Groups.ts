/**
 * Many actors under one name: join, leave, look, tell them all.
 *
 * ```ts
 * const pool = Groups.key(Worker, "pool") // a value; its members are ActorRefs of Worker's protocol
 *
 * yield* Groups.join(pool, worker) // or in a plain handler: Groups.joinUnsafe(pool, self.ref)
 * yield* Groups.members(pool) // => [Worker/a, Worker/b]
 * yield* Groups.publish(pool, "Work", { job: 1 }) // => 2: so many took it
 * Groups.changes(pool) // a Stream: the members now, and again whenever they have changed
 * ```
 *
 * Floor 2; the module users import as `Groups`; its entries are a Roster of the system. Law 10: a member's death ends its
 * membership, a restart does not; the dead are never among the members. Law 3: `memberships` (a system option, 131,072)
 * of all groups together; a group exists while it has members.
 * Which system: the member's own for `join` and `leave`; otherwise the handler's, the one provided, or the only one.
 * Not part of a turn: in a handler that fails, what was joined stays joined. A `publish` that is to be part of the turn is
 * `for (const ref of Groups.membersUnsafe(pool)) self.send(ref, "Work", { job: 1 })`.
 * After Erlang's pg, but an actor joins a group once, however often it says so, and leaves it at once; and Pekko's
 * Receptionist, but the answer is the refs themselves, not a message about them.
 */
import { Effect, Queue, Stream } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { PayloadThen, Protocol, WithTag } from "../actor/Protocol.ts"
import type { LimitReached } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import * as ActorKey from "./ActorKey.ts"

export { make as key } from "./ActorKey.ts"

/** Why an actor did not become a member. */
export type JoinError = ActorKey.Absent | LimitReached

export interface PublishOptions {
  /** A member left out, such as the one that publishes. */
  readonly except?: ActorRef<never> | undefined
}

type Key<P extends Rpc.Any> = ActorKey.ActorKey<P>

const joined = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>, where: ActorKey.Where): JoinError | undefined => {
  const cell = ActorKey.life(key, ref, where)
  return "_tag" in cell ? cell : ActorKey.home(cell).groups.enter(key.id, cell)
}

const left = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>, where: ActorKey.Where): boolean => {
  const cell = ActorKey.living(ref, where)
  return cell !== undefined && ActorKey.home(cell).groups.strike(key.id, cell)
}

const listed = <P extends Rpc.Any>(key: Key<P>, where: ActorKey.Where): ReadonlyArray<ActorRef<P>> => {
  const refs: Array<ActorRef<P>> = []
  for (const cell of where().groups.cells(key.id)) if (cell.alive) refs.push(cell.ref as ActorRef<P>)
  return refs
}

const published = (
  key: { readonly id: string; readonly protocol: Protocol },
  tag: string,
  [payload, options]: readonly [unknown?, PublishOptions?],
  where: ActorKey.Where
): number => {
  Options.known("publish", options, ["except"])
  const except = options?.except?.find(where)
  let { protocol } = key
  let at = protocol.position(tag)
  let message = protocol.construct(at, payload)
  let taken = 0
  for (const cell of where().groups.cells(key.id)) {
    if (cell === except) continue
    if (cell.program.plan.protocol !== protocol) {
      // a member of another type, which understands the tag in a place of its own
      protocol = cell.program.plan.protocol
      at = protocol.position(tag)
      message = protocol.construct(at, payload)
    }
    if (cell.offer(at, message, undefined) === "accepted") taken++
  }
  return taken
}

/**
 * Makes an actor a member until it leaves or its life ends; a second time changes nothing. A hosted one is made, as by a
 * first message. Fails: `ActorStopped`, `NoSuchActor`, `Quarantined`; `LimitReached` (system option `memberships`).
 */
export const join = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): Effect.Effect<void, JoinError> =>
  Effect.withFiber((fiber) => {
    const refused = joined(key, ref, ActorKey.ofFiber(fiber))
    return refused === undefined ? Effect.void : Effect.fail(refused)
  })

/** `join` without an Effect. Throws what `join` fails with. */
export const joinUnsafe = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): void => {
  const refused = joined(key, ref, ActorKey.present)
  if (refused !== undefined) throw refused
}

/** Ends a membership; false when there was none. */
export const leave = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): Effect.Effect<boolean> =>
  Effect.withFiberSucceed((fiber) => left(key, ref, ActorKey.ofFiber(fiber)))

/** `leave` without an Effect. */
export const leaveUnsafe = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): boolean =>
  left(key, ref, ActorKey.present)

/** The members that live now, in the order they joined. O(members). */
export const members = <P extends Rpc.Any>(key: Key<P>): Effect.Effect<ReadonlyArray<ActorRef<P>>> =>
  Effect.withFiberSucceed((fiber) => listed(key, ActorKey.ofFiber(fiber)))

/** `members` without an Effect. */
export const membersUnsafe = <P extends Rpc.Any>(key: Key<P>): ReadonlyArray<ActorRef<P>> =>
  listed(key, ActorKey.present)

/**
 * Tells every member, at once and waiting for none; answers how many took the message. A member whose mailbox is full (also
 * one that would `suspend` its sender) or that is draining is not among them. O(members), one payload for all.
 */
export const publish = <P extends Rpc.Any, T extends P["_tag"]>(
  key: Key<P>,
  tag: T,
  ...args: PayloadThen<WithTag<P, T>, PublishOptions>
): Effect.Effect<number> => Effect.withFiberSucceed((fiber) => published(key, tag, args, ActorKey.ofFiber(fiber)))

/** `publish` without an Effect. */
export const publishUnsafe = <P extends Rpc.Any, T extends P["_tag"]>(
  key: Key<P>,
  tag: T,
  ...args: PayloadThen<WithTag<P, T>, PublishOptions>
): number => published(key, tag, args, ActorKey.present)

/** The members now, and again whenever they have changed. A slow reader gets the latest, not each step. */
export const changes = <P extends Rpc.Any>(key: Key<P>): Stream.Stream<ReadonlyArray<ActorRef<P>>> =>
  Stream.unwrap(
    Effect.withFiberSucceed((fiber) => {
      const system = ActorKey.ofFiber(fiber)()
      const signals = Stream.callback<void>(
        (queue) =>
          Effect.acquireRelease(
            Effect.sync(() => {
              const signal = () => void Queue.offerUnsafe(queue, undefined)
              signal()
              return system.groups.subscribe(key.id, signal)
            }),
            (unsubscribe) => Effect.sync(unsubscribe)
          ),
        // one signal waits at the most: what it stands for is read when it is taken
        { bufferSize: 1, strategy: "sliding" }
      )
      return Stream.map(signals, () => listed(key, () => system))
    })
  )
