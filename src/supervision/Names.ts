/**
 * One actor under one name, unique by type and text: register, unregister, look.
 *
 * ```ts
 * const leader = Names.key(Worker, "leader") // a value; what is found by it is an ActorRef of Worker's protocol
 *
 * yield* Names.register(leader, worker) // fails NameTaken while another one holds it
 * yield* Names.whereis(leader) // => Worker/a, or undefined
 * ```
 *
 * For roles that move from actor to actor (a leader, the device behind a serial number). The key an actor was spawned or
 * hosted with is its address for life and needs none of this: `Worker.at("a")`.
 * Floor 2; the module users import as `Names`; its entries are a Roster of the system. Law 10: a name is free again when its
 * holder's life has ended, at once; a restart keeps it. Law 3: `names` (a system option, 131,072). Which system: the
 * actor's own for `register` and `unregister`; for `whereis` the handler's, the one provided, or the only one.
 * Not part of a turn: in a handler that fails, what was registered stays registered.
 * After Elixir's Registry with unique keys, but registering again what one holds already succeeds, anybody who has the ref
 * may register it, and a name whose holder has died is never answered.
 */
import { Effect } from "effect"
import type { Rpc } from "effect/rpc"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import { type LimitReached, NameTaken } from "../kernel/Errors.ts"
import * as ActorKey from "./ActorKey.ts"
import type { System } from "./System.ts"

export { make as key } from "./ActorKey.ts"

/** Why an actor did not get a name. */
export type RegisterError = NameTaken | ActorKey.Absent | LimitReached

type Key<P extends Rpc.Any> = ActorKey.ActorKey<P>

const holder = (key: { readonly id: string }, system: System): Cell | undefined => {
  for (const cell of system.names.cells(key.id)) if (cell.alive) return cell
  return undefined
}

const registered = <P extends Rpc.Any>(
  key: Key<P>,
  ref: ActorRef<P>,
  where: ActorKey.Where
): RegisterError | undefined => {
  const cell = ActorKey.life(key, ref, where)
  if ("_tag" in cell) return cell
  const system = ActorKey.home(cell)
  const other = holder(key, system)
  if (other !== undefined && other !== cell) return new NameTaken({ address: key.id })
  return system.names.enter(key.id, cell)
}

const unregistered = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>, where: ActorKey.Where): boolean => {
  const cell = ActorKey.living(ref, where)
  return cell !== undefined && ActorKey.home(cell).names.strike(key.id, cell)
}

/**
 * Gives an actor a name until it is unregistered or its life ends; a second time changes nothing. A hosted actor is made,
 * as by a first message. One actor may have many names.
 * Fails: `NameTaken`; `ActorStopped`, `NoSuchActor`, `Quarantined`; `LimitReached` (system option `names`).
 */
export const register = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): Effect.Effect<void, RegisterError> =>
  Effect.withFiber((fiber) => {
    const refused = registered(key, ref, ActorKey.ofFiber(fiber))
    return refused === undefined ? Effect.void : Effect.fail(refused)
  })

/** `register` without an Effect. Throws what `register` fails with. */
export const registerUnsafe = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): void => {
  const refused = registered(key, ref, ActorKey.present)
  if (refused !== undefined) throw refused
}

/** Takes a name from the actor that holds it; false when that is another one, or nobody. */
export const unregister = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): Effect.Effect<boolean> =>
  Effect.withFiberSucceed((fiber) => unregistered(key, ref, ActorKey.ofFiber(fiber)))

/** `unregister` without an Effect. */
export const unregisterUnsafe = <P extends Rpc.Any>(key: Key<P>, ref: ActorRef<P>): boolean =>
  unregistered(key, ref, ActorKey.present)

/** Who holds the name now. It may be draining: then it holds the name until it has stopped. */
export const whereis = <P extends Rpc.Any>(key: Key<P>): Effect.Effect<ActorRef<P> | undefined> =>
  Effect.withFiberSucceed((fiber) => holder(key, ActorKey.ofFiber(fiber)())?.ref as ActorRef<P> | undefined)

/** `whereis` without an Effect. */
export const whereisUnsafe = <P extends Rpc.Any>(key: Key<P>): ActorRef<P> | undefined =>
  holder(key, ActorKey.present())?.ref as ActorRef<P> | undefined
