/**
 * Who listens to a topic, and how a value is told to all of them.
 *
 *   tell -> for each: offer, which does not wait -> accepted: with it, how many it has missed since the last one
 *                                                   full:     it misses this one, or is let go, as it chose
 *                                                   closed:   it is no more, and is dropped
 *
 * Used by Topic alone; one object for each of its lives, through all restarts; called in its turns, so that all are told in one order (laws 1, 2). Law 3:
 * `most` of them. One that is let go keeps its place until it has been told so: that bounds the tellings; it may come back before.
 * Cost: O(subscribers) a value, one message object each, for it says what that one missed.
 */
import type { Rpc } from "effect/rpc"
import { type ActorRef, LimitReached, type Self } from "troupe"

/** What a subscriber is told: `missed` values came and went since the last that it was told. */
export interface Told<A> {
  readonly seq: number
  readonly missed: number
  readonly value: A
}

/** What is needed of the topic's `self` to tell somebody that he was let go. */
export type Home = Pick<Self<Rpc.Any>, "fork" | "unwatch">

export interface Subscriber<A> {
  readonly name: string
  readonly offer: (told: Told<A>) => "accepted" | "full" | "closed"
  /** What to do instead of missing values: begins to tell it, and answers with how to stop that. */
  readonly letGo: ((seq: number, home: Home) => () => void) | undefined
}

interface Place<A> {
  subscriber: Subscriber<A>
  /** The last that it was told, and how many it had missed by then. */
  last: number
  missed: number
  /** While it is being let go: how to stop that, and the first value that it was not told. */
  withdraw: (() => void) | undefined
  lost: number
}

/** The last value's number, and those values that are kept for who comes later. */
interface Kept<A> {
  readonly seq: number
  readonly retained: ReadonlyArray<{ readonly seq: number; readonly value: A }>
}

export class Subscribers<A> {
  kept: Kept<A> = { seq: 0, retained: [] }
  readonly #places = new Map<unknown, Place<A>>()
  #home: Home | undefined
  readonly #address: string
  readonly #most: number
  readonly #retain: number

  constructor(address: string, most: number, retain: number) {
    this.#address = address
    this.#most = most
    this.#retain = retain
  }

  /** An incarnation begins. The forks of the last have ended: who was being let go is told anew. */
  begin(home: Home): Kept<A> {
    this.#home = home
    for (const place of this.#places.values()) {
      if (place.withdraw !== undefined) place.withdraw = place.subscriber.letGo?.(place.lost, home)
    }
    return this.kept
  }

  /** Somebody comes, and is told what is retained; who is there already, or is being let go, goes on as it says now. */
  enter(id: unknown, subscriber: Subscriber<A>): LimitReached | undefined {
    const known = this.#places.get(id)
    if (known !== undefined) {
      known.subscriber = subscriber
      const { withdraw } = known
      known.withdraw = undefined
      withdraw?.()
      return undefined
    }
    if (this.#places.size >= this.#most) {
      const what = `${this.#address}: subscribers`
      return new LimitReached({ what, limit: this.#most, option: "option maxSubscribers" })
    }
    const { retained, seq: latest } = this.kept
    const last = (retained[0]?.seq ?? latest + 1) - 1
    const place: Place<A> = { subscriber, last, missed: 0, withdraw: undefined, lost: 0 }
    this.#places.set(id, place)
    for (const { seq, value } of retained) this.#offer(place, seq, value)
    return undefined
  }

  /** Somebody goes; false when it was not there. */
  leave(id: unknown): boolean {
    const place = this.#places.get(id)
    this.#places.delete(id)
    place?.withdraw?.()
    return place !== undefined
  }

  /** It knows that it was let go; false when it has come back meanwhile. */
  forget(id: unknown): boolean {
    return this.#places.get(id)?.withdraw !== undefined && this.#places.delete(id)
  }

  /** Tells all of them: how many took it, and how many had no room. */
  tell(value: A): { readonly reached: number; readonly missed: number } {
    const seq = this.kept.seq + 1
    const room = Math.max(0, this.#retain - 1)
    const older = room === 0 ? [] : this.kept.retained.slice(-room)
    this.kept = { seq, retained: this.#retain === 0 ? [] : [...older, { seq, value }] }
    let reached = 0
    let missed = 0
    for (const [id, place] of this.#places) {
      if (place.withdraw !== undefined) continue
      const offer = this.#offer(place, seq, value)
      if (offer === "accepted") reached++
      else if (offer === "full") missed++
      else this.#places.delete(id)
    }
    return { reached, missed }
  }

  list(): ReadonlyArray<{ readonly name: string; readonly missed: number }> {
    const { seq } = this.kept
    return Array.from(this.#places.values(), ({ last, missed, subscriber: { name } }) => ({
      name,
      missed: missed + seq - last
    }))
  }

  #offer(place: Place<A>, seq: number, value: A): "accepted" | "full" | "closed" {
    const { letGo, offer } = place.subscriber
    if (place.withdraw !== undefined) return "full"
    const outcome = offer({ seq, missed: seq - place.last - 1, value })
    if (outcome === "accepted") {
      place.missed += seq - place.last - 1
      place.last = seq
    } else if (outcome === "full") {
      place.lost = seq
      place.withdraw = letGo?.(seq, this.#home!)
    }
    return outcome
  }
}

/** Refuses a message that the subscriber does not know: told so, it would fail each publish. */
export const checkTags = (ref: ActorRef<never>, ...tags: ReadonlyArray<string | undefined>): void => {
  for (const tag of tags) if (tag !== undefined) ref.protocol.position(tag)
}
