/**
 * The other form of Throttle: an actor that stands in for another, and lets through within a rate what that one is sent.
 *
 *   senders -> front: its mailbox is the line -> a token of its key's bucket, waited for in the turn -> forwarded to the target
 *
 * Used as `Throttle.inFront`. Law 1 makes the line: the next message is not begun before this one has gone, so law 2 holds through it.
 * Laws 3, 5, 8 are those of mailboxes: bounded, by a policy that is chosen, and an ask that is given up leaves it, its token not taken.
 * Fails: as the mailbox does for one message too many. When the store does not answer the front fails, and its supervisor decides;
 * the message at hand is lost as the message of any failed turn is, the others stay.
 * Cost: a fiber and a question to the store a message. Considered a line of its own, as `run` has it: rejected, a mailbox is one.
 */
import { Effect, Schema } from "effect"
import type { RateLimiter } from "effect/persistence"
import type { Rpc } from "effect/rpc"
import { Actor, type ActorRef, type Behavior, type Limits, type Self } from "troupe"
import * as TokenBucket from "./TokenBucket.ts"

export interface FrontOptions extends TokenBucket.BucketOptions {
  /** How many messages wait, by default 1,024, and what happens to one more, by default MailboxFull. */
  readonly mailbox?: NonNullable<Limits["mailbox"]>
}

/**
 * The behaviour of an actor in front of `target`, an actor of the definition `of`. Asks are answered by the target; the time that they
 * wait here counts. Each key has a bucket of its own; needs a RateLimiter.
 */
export const inFront = <S, P extends Rpc.Any, E extends Rpc.Any>(
  of: Actor.Definition<S, P, E>,
  target: ActorRef<P>,
  { mailbox = {}, ...options }: FrontOptions
): Behavior<P, RateLimiter.RateLimiter> => {
  const type = `${of.type}Throttle`
  const { take, window } = TokenBucket.make(type, options, ["mailbox"])
  // a tag and its payload, whichever they are, are those of the target's protocol: it is the same
  const pass = (tag: string) =>
    Effect.fnUntraced(function* (_: undefined, payload: unknown, self: Self<P>) {
      for (let wait = yield* take(self.key, 1); wait > 0; wait = yield* take(self.key, 1)) yield* Effect.sleep(wait)
      self.forward(target as ActorRef<Rpc.Any>, tag, payload as never)
      return Actor.noReply()
    }, Effect.orDie)
  const on = Object.fromEntries(of.protocol.rpcs.map(({ _tag }) => [_tag, pass(_tag)]))
  const front = Actor.make(type, { state: Schema.Undefined, protocol: of.protocol.rpcs })
  // a turn that waits for its token is not stuck
  const stuckAfter = 30_000 + window
  return front.behavior({ initial: undefined, mailbox, stuckAfter, on: on as never }) as never
}
