/**
 * Faults in Topic: who is told, what is missed in silence, what is left of those who have gone.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors as one } from "./Fault.ts"

export const topics: ReadonlyArray<Fault> = [
  one(
    "topic-misses-in-silence",
    "5: with the next value it hears how many it missed",
    "TopicSubscribers.ts",
    "missed: seq - place.last - 1, value",
    "missed: 0, value"
  ),
  one(
    "topic-full-is-reached",
    "the publisher hears who had no room",
    "TopicSubscribers.ts",
    'if (offer === "accepted") reached++',
    'if (offer !== "closed") reached++'
  ),
  one(
    "topic-endless",
    "3: maxSubscribers",
    "TopicSubscribers.ts",
    "if (this.#places.size >= this.#most)",
    "if (this.#places.size > this.#most)"
  ),
  one(
    "topic-retains-one-more",
    "3: retain",
    "TopicSubscribers.ts",
    "Math.max(0, this.#retain - 1)",
    "Math.max(0, this.#retain)"
  ),
  one(
    "topic-replays-again",
    "subscribing again replays nothing",
    "TopicSubscribers.ts",
    "    if (known !== undefined) {",
    "    if (known?.withdraw !== undefined) {"
  ),
  one(
    "topic-let-go-in-silence",
    "5: who is let go is told so when it has room",
    "Topic.ts",
    'while: ({ _tag }) => _tag === "MailboxFull"',
    'while: ({ _tag }) => _tag === "ActorStopped"'
  ),
  one(
    "topic-let-go-though-back",
    "who comes back before it was told stays",
    "TopicSubscribers.ts",
    "      known.withdraw = undefined\n      withdraw?.()\n",
    "      withdraw?.()\n"
  ),
  one(
    "topic-watches-for-ever",
    "nothing is left of who was let go",
    "Topic.ts",
    "subscribers.forget(name) && home.unwatch(ref)",
    "subscribers.forget(name)"
  ),
  one(
    "topic-tells-the-dead",
    "10: who dies is dropped",
    "Topic.ts",
    "onTerminated: (_state, { ref }, self) => void of(self).leave(ref.address)",
    "onTerminated: () => undefined"
  ),
  one(
    "topic-stream-stays",
    "a Stream that has ended leaves its place",
    "Topic.ts",
    "Effect.sync(() => subscribers.leave(queue))",
    "Effect.sync(() => subscribers.forget(queue))"
  ),
  one("topic-forgets-by-a-restart", "a restart keeps who subscribes", "Topic.ts", "lives.get(self.ref) ?? new", "new"),
  one(
    "topic-let-go-forgotten-by-a-restart",
    "who was being let go at a restart is told all the same",
    "TopicSubscribers.ts",
    "if (place.withdraw !== undefined) place.withdraw = place.subscriber.letGo?.(place.lost, home)",
    "place.withdraw = undefined"
  ),
  one(
    "topic-lists-the-told-alone",
    "what a full subscriber has missed is listed before it is told",
    "TopicSubscribers.ts",
    "missed: missed + seq - last",
    "missed"
  )
]
