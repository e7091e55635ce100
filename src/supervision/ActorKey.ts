/**
 * What actors are found by: a text and the kind of actor that stands under it, so what is found is a typed ref.
 *
 * Floor 2; made by `Groups.key` and `Names.key`, a value without a system: two keys of one definition and text are the same.
 * Who is entered under a key understands at least the messages of its definition; another type of actor may, and does so
 * by its own handlers. Here is also decided which life a ref stands for when it is entered, and in which system.
 */
import { Context, type Fiber, Option } from "effect"
import type { Rpc } from "effect/rpc"
import type { Definition } from "../actor/Actor.ts"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { Cell } from "../actor/Cell.ts"
import type { Protocol } from "../actor/Protocol.ts"
import * as Refusal from "../actor/Refusal.ts"
import * as Runtime from "../actor/Runtime.ts"
import * as Address from "../kernel/Address.ts"
import { type ActorStopped, InvalidUse, type NoSuchActor, type Quarantined } from "../kernel/Errors.ts"
import { ActorSystem } from "./ActorSystem.ts"
import type { System } from "./System.ts"

export class ActorKey<in out P extends Rpc.Any> {
  /** `Type/text`. */
  readonly id: string
  readonly protocol: Protocol
  declare readonly "~P": (_: P) => P

  constructor(protocol: Protocol, text: string) {
    this.protocol = protocol
    this.id = Address.child(undefined, protocol.type, Address.checkKey(text))
  }

  toString(): string {
    return this.id
  }
}

/** A key of a definition. The text has 1 to 256 UTF-16 units. */
export const make = <S, P extends Rpc.Any, E extends Rpc.Any>(
  definition: Definition<S, P, E>,
  text: string
): ActorKey<P> => new ActorKey(definition.protocol, text)

/** Why an actor cannot be entered: it does not live, or takes no more mail. */
export type Absent = ActorStopped | NoSuchActor | Quarantined

/** Finds the system that a call speaks of. */
export type Where = () => System

const found = (runtime: Runtime.Runtime | undefined): System => {
  // every runtime that floor 2 and above meet is a System
  if (runtime !== undefined) return runtime as System
  const reason = "which actor system? None or several live here: provide ActorSystem, or call from a handler"
  throw new InvalidUse({ address: "system", reason })
}

/** In a handler its system; else the one provided, or the only one of the process. */
export const ofFiber =
  (fiber: Fiber.Fiber<unknown, unknown>): Where =>
  () => {
    const own = fiber.getRef(Runtime.CurrentRuntime)
    if (own !== undefined) return found(own)
    const provided = Option.getOrUndefined(Context.getOption(fiber.context, ActorSystem))
    return found(provided?.system ?? Runtime.only())
  }

/** The system whose turn is on the stack, or the only one of the process. */
export const present: Where = () => found(Runtime.present())

/** The life that a ref stands for, to be entered under a key; one of a hosted type is made, as by a first message. */
export const life = <P extends Rpc.Any>(key: ActorKey<P>, ref: ActorRef<P>, where: Where): Cell | Absent => {
  if (ref.protocol !== key.protocol) {
    const strange = key.protocol.rpcs.find((rpc) => ref.protocol.index(rpc._tag) < 0)
    if (strange !== undefined) {
      throw new InvalidUse({ address: ref.address, reason: `does not understand "${strange._tag}" of ${key.id}` })
    }
  }
  const cell = ref.locate(where)
  if (cell !== undefined && cell.open) return cell
  return Refusal.closed(ref, ref.cell === undefined ? where() : ref.cell.program.runtime)
}

/** The same for what must not bring an actor to life. */
export const living = <P extends Rpc.Any>(ref: ActorRef<P>, where: Where): Cell | undefined => ref.find(where)

/** The system that an actor lives in. */
export const home = (cell: Cell): System => found(cell.program.runtime)
