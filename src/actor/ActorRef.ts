/**
 * Who to send to: a value that names an actor, living or not, here or elsewhere.
 *
 * Floor 1; made by `spawn`, `Counter.at(key)` and `Counter.ref` (its Schema); holds a type and a key, and the cell it last
 * reached, so a send costs one hop. Two refs are equal when their addresses are; a ref outlives restarts and, for a hosted
 * type, lives.
 * Law 2: what one sender sends here is handled in the order sent. Law 5: `tell` never throws into a plain sender.
 * Cost: `tellUnsafe` O(1) without allocation; `tell` and `ask` one small object.
 */
import { Effect, Equal, Hash, Inspectable } from "effect"
import type { Duration, Stream } from "effect"
import type { Rpc } from "effect/rpc"
import * as Address from "../kernel/Address.ts"
import type { Offer } from "../kernel/Envelope.ts"
import { InvalidUse, type TellError } from "../kernel/Errors.ts"
import * as Options from "../kernel/Options.ts"
import { AskEffect, isAwaitedBy, isEndedBy } from "./Ask.ts"
import type { Cell } from "./Cell.ts"
import * as ExitReason from "./ExitReason.ts"
import type { Asked, PayloadArgs, PayloadThen, Protocol, WithTag } from "./Protocol.ts"
import * as Runtime from "./Runtime.ts"
import { Tell } from "./Tell.ts"
import * as StopOrder from "./StopOrder.ts"
import * as Streaming from "./Streaming.ts"

export interface AskOptions {
  /** Default 5 seconds; "infinity" for none. Of a stream Rpc: until the first element, or the end. */
  readonly timeout?: Duration.Input | "infinity"
}

const defaultAskMillis = 5000

export class ActorRef<in P extends Rpc.Any = never> implements Equal.Equal {
  readonly protocol: Protocol
  readonly key: string | number
  /** The cell it last reached; until then the parent's address, undefined for a root. Internal. */
  #home: Cell | Address.Address | undefined
  declare readonly "~P": (_: P) => void

  constructor(protocol: Protocol, key: string | number, home: Cell | Address.Address | undefined) {
    this.protocol = protocol
    this.key = key
    this.#home = home
  }

  /** The cell it last reached. Internal. */
  get cell(): Cell | undefined {
    const home = this.#home
    return typeof home === "string" ? undefined : home
  }

  /** Whether it names a root. Internal. */
  get isRoot(): boolean {
    const home = this.#home
    return typeof home === "string" ? false : home === undefined || home.parent === undefined
  }

  get address(): Address.Address {
    const home = this.#home
    if (home !== undefined && typeof home !== "string") return home.address
    return Address.child(home, this.protocol.type, this.key)
  }

  /**
   * Sends a message. Succeeds when the actor's mailbox has taken it (for overflow `suspend`: waits for room).
   * Fails: `MailboxFull` (hands the payload back), `ActorStopped`, `NoSuchActor`, `Quarantined`.
   */
  tell<T extends P["_tag"]>(tag: T, ...payload: PayloadArgs<WithTag<P, T>>): Effect.Effect<void, TellError>
  tell(tag: string, payload?: unknown): Effect.Effect<void, TellError> {
    const at = this.protocol.position(tag)
    return new Tell(this, at, this.protocol.construct(at, payload))
  }

  /** `tell` without an Effect: for hot producers. "full" and "closed" leave the message with the sender. */
  tellUnsafe<T extends P["_tag"]>(tag: T, ...payload: PayloadArgs<WithTag<P, T>>): Offer
  tellUnsafe(tag: string, payload?: unknown): Offer {
    const at = this.protocol.position(tag)
    return this.offer(at, this.protocol.construct(at, payload), undefined, Runtime.present)
  }

  /**
   * Sends a message and waits for its answer.
   * Fails with the Rpc's own error, or: what `tell` fails with, `AskTimeout`, `AskCycle`, `CalleeFailed`, `Dropped`.
   * Interrupted, it withdraws the message or interrupts its handler (law 8), unless the Rpc is `Actor.Committed`.
   * Of an Rpc with `stream: true` it is a Stream, with the same errors: each run asks anew, and ending it ends the producer.
   */
  ask<T extends P["_tag"]>(tag: T, ...args: PayloadThen<WithTag<P, T>, AskOptions>): Asked<WithTag<P, T>>
  ask(
    tag: string,
    payload?: unknown,
    options?: AskOptions
  ): Effect.Effect<unknown, unknown> | Stream.Stream<unknown, unknown> {
    const at = this.protocol.position(tag)
    if (options !== undefined) Options.known("ask", options, ["timeout"])
    const timeout = options?.timeout
    const millis = Options.millis("ask.timeout", timeout, defaultAskMillis)
    const message = this.protocol.construct(at, payload)
    return this.protocol.streams[at]
      ? Streaming.ask(this, at, message, millis)
      : new AskEffect(this, at, message, millis)
  }

  /**
   * Stops the actor and waits until its life has ended; succeeds at once for one that does not live.
   * A drain lets handlers finish, so one of the actor itself, of a child, or asked by them, that waited for it would wait for
   * itself: it dies with `InvalidUse`, as in OTP (`calling_self`). A handler drains its own actor by `self.stop`. So does an
   * `onStop` that waits for the end of its own actor.
   */
  stop(options: StopOrder.StopOptions = {}): Effect.Effect<void> {
    const checked = StopOrder.check(options)
    return Effect.withFiber((fiber) => {
      const cell = this.find(Runtime.of(fiber))
      if (cell === undefined) return Effect.void
      if (checked.mode === "drain" && isAwaitedBy(cell)) {
        const reason =
          'drains, and so waits for the handler that waits for its end: self.stop({ mode: "drain" }) does not'
        return Effect.die(new InvalidUse({ address: cell.address, reason }))
      }
      if (checked.mode !== "kill" && isEndedBy(cell)) {
        return Effect.die(new InvalidUse({ address: cell.address, reason: "waits in its onStop for its own end" }))
      }
      // its life may have ended since it was found: the fiber may have let others run in between
      return Effect.callback<void>((resume) => {
        if (!cell.stop(checked, () => resume(Effect.void))) resume(Effect.void)
      })
    })
  }

  /** Waits for the end of the actor's present life, and tells why (law 10). At once for one that does not live. */
  watch(): Effect.Effect<ExitReason.ExitReason> {
    return Effect.withFiber((fiber) => {
      const cell = this.find(Runtime.of(fiber))
      if (cell === undefined) return Effect.succeed(this.cell?.extra?.exit ?? ExitReason.noSuchActor)
      return Effect.callback<ExitReason.ExitReason>((resume) => {
        const { exit } = cell.record()
        if (exit !== undefined) return resume(Effect.succeed(exit))
        const watchers = (cell.record().watchers ??= new Set())
        const watcher = (reason: ExitReason.ExitReason) => resume(Effect.succeed(reason))
        watchers.add(watcher)
        return Effect.sync(() => void watchers.delete(watcher))
      })
    })
  }

  /** Offers by position. Internal: `runtime` finds the system when this ref has not reached a cell yet. */
  offer(at: number, payload: unknown, origin: unknown, runtime: () => Runtime.Runtime | undefined): Offer {
    const cell = this.cell
    if (cell !== undefined) {
      const offer = cell.offer(at, payload, origin)
      if (offer !== "closed") return offer
    }
    const found = this.locate(runtime)
    return found === undefined || found === cell ? "closed" : found.offer(at, payload, origin)
  }

  /** The cell to send to now: the one last reached while it lives, else by name, made if its type is hosted. Internal. */
  locate(runtime: () => Runtime.Runtime | undefined): Cell | undefined {
    return this.resolve(runtime, true)
  }

  /** The same for what must not bring an actor to life. Internal. */
  find(runtime: () => Runtime.Runtime | undefined): Cell | undefined {
    return this.resolve(runtime, false)
  }

  private resolve(runtime: () => Runtime.Runtime | undefined, make: boolean): Cell | undefined {
    const cell = this.cell
    if (cell !== undefined && cell.alive) return cell
    const home = cell === undefined ? runtime() : cell.program.runtime
    const found = home?.locate(this, make)
    // a ref that a system gave out stays with it; one made of a name alone is looked up each time
    if (found !== undefined && cell !== undefined) this.#home = found
    return found
  }

  [Equal.symbol](that: unknown): boolean {
    return that instanceof ActorRef && that.address === this.address
  }
  [Hash.symbol](): number {
    return Hash.string(this.address)
  }
  toString(): string {
    return this.address
  }
  toJSON(): string {
    return this.address
  }
  [Inspectable.NodeInspectSymbol](): string {
    return `ActorRef(${this.address})`
  }
}

/** The ref of a printed path, with the protocol its last type has. Throws `InvalidOption` or `InvalidUse`. */
export const fromAddress = (protocol: Protocol, address: Address.Address): ActorRef<never> => {
  const segments = Address.parse(address)
  const last = segments[segments.length - 1]!
  if (last.type !== protocol.type) throw new InvalidUse({ address, reason: `is no address of a ${protocol.type}` })
  const parent = segments.slice(0, -1)
  const path = parent.reduce<string | undefined>((at, s) => Address.child(at, s.type, s.key), undefined)
  return new ActorRef<never>(protocol, last.key, path)
}
