/**
 * What an incarnation holds beside its state: waiters, hubs, handles, whatever no Schema can say.
 *
 * ```ts
 * const lines = Actor.local(() => new Line()) // in the closure of a behaviour: one for all of its actors
 * Acquire: (state, _, self) => { lines(self).add(...) }
 *
 * const hubs = Actor.local<PubSub.PubSub<Status>>() // what takes an Effect to make is put in by `initial`
 * initial: (_key, self) => Effect.map(PubSub.unbounded<Status>(), (hub) => { hubs.set(self, hub); return 0 })
 * ```
 *
 * Floor 1; used as `Actor.local`. It is not state: no store and no snapshot has it, a turn that fails does not take it back, a
 * restart begins with another one, and it is gone with its incarnation (a failure that resumes keeps it). What has to be closed
 * belongs in `self.scope` besides. Made when it is first asked for; asking for one that nobody has put in is `InvalidUse`, which
 * in a handler is its failure. One look into a WeakMap by `self`, O(1).
 * Sources: thread-locals, and the variables of Akka's `Behaviors.setup`, which are of an incarnation, too, since each runs it
 * anew. Considered a closure made by each `initial`: handlers are made once a behaviour here, and would not see it. Considered
 * fields of `self`: one type for all of them, and no say who may read which.
 */
import { InvalidOption, InvalidUse } from "../kernel/Errors.ts"
import type { ActorContext } from "./Context.ts"

/** A place for an `A` in each incarnation; `S` is the `self` that making one takes. */
export interface Local<A, S extends ActorContext<never> = ActorContext<never>> {
  /** That of this incarnation. Throws `InvalidUse` where there is none, and no way to make one. */
  (self: S): A
  /** Puts one in, in the place of any other. */
  readonly set: (self: S, value: A) => void
}

/** A place for what each incarnation makes of its `self` when it is first asked for; without `make`, for what `set` puts in. */
export const local = <A, S extends ActorContext<never> = ActorContext<never>>(make?: (self: S) => A): Local<A, S> => {
  if (make !== undefined && typeof make !== "function") {
    throw new InvalidOption({ field: "Actor.local.make", value: typeof make, range: "a function" })
  }
  const held = new WeakMap<S, { readonly value: A }>()
  const set = (self: S, value: A): void => void held.set(self, { value })
  const get = (self: S): A => {
    const found = held.get(self)
    if (found !== undefined) return found.value
    if (make === undefined) {
      const reason =
        "asks for an Actor.local that was not set in this incarnation (set it in initial, or give it a make)"
      throw new InvalidUse({ address: self.ref.address, reason })
    }
    const value = make(self)
    set(self, value)
    return value
  }
  return Object.assign(get, { set })
}
