/**
 * What a handler has asked for through `self` and what waits for its success.
 *
 *   [ op a b c | op a b c | ... ]      four words an output, in the order they were asked for
 *
 *   lent  [ receiver receiver ... ]    sends of a plain handler before anything else: they lie in the mailboxes already
 *
 * Floor 1; written by Context, released by the turn. Rule: a turn is atomic in what goes through `self`: outputs are
 * released in order when the handler succeeds and discarded when it fails or answers with a typed error.
 * A send is lent (`Cell.lend`): it is in its receiver's mailbox at once, where no turn can come to it before the handler at
 * hand has ended, and counts with the commit; a failure takes it out again. What would show (a mailbox that is full or
 * evicts, something else staged before) is staged in words. Staged as well, each send was stored twice into old objects, and
 * V8's write barrier, the dearest part of a small message, was paid twice: lending gains 5 % with a send a turn (ping-pong),
 * 15 % with many (counting).
 * Cost: for plain handlers one list is reused for all actors, so staging costs no allocation a message; a handler that
 * suspends takes its list along.
 */
import type { Entry } from "../kernel/Mailbox.ts"
import type { Cell } from "./Cell.ts"

/** a: target ref, b: tag position, c: payload */
export const SEND = 0
/** a: target ref, b: tag position, c: [payload, ask] */
export const FORWARD = 1
/** a: client, b: event, c: payload */
export const PUSH = 2
/** a: clients left out, b: event, c: payload */
export const BROADCAST = 3
/** a: timer (made, not armed) */
export const TIMER = 4
/** a: key */
export const CANCEL_TIMER = 5
/** a: count */
export const UNSTASH = 7
/** a: stop options */
export const STOP = 8
/** a: ask, b: exit */
export const ANSWER = 9
/** a: child cell, to be started */
export const START = 10
/** a: client, b: close code, c: reason */
export const CLOSE = 11
/** a: target ref */
export const LINK = 12
/** a: target ref */
export const UNLINK = 13
/** a: tag position, b: payload */
export const IDLE_MESSAGE = 14

export class Staging {
  readonly words: Array<unknown> = []
  /** Words in use: setting `words.length` would drop the array's storage. */
  size = 0
  /** Who holds a lent message, in the order of the sends; the first `lent` of them. */
  readonly receivers: Array<Cell | undefined> = []
  lent = 0
  /** The message at hand is to be put aside. */
  stashes = false

  get empty(): boolean {
    return this.size === 0 && this.lent === 0
  }

  /** What was lent stays where it is. */
  settle(): void {
    for (let i = 0; i < this.lent; i++) this.receivers[i] = undefined
    this.lent = 0
  }

  /** Takes back what was lent, and stages it in words instead if its handler goes on. */
  reclaim(keeps: boolean): void {
    const sends: Array<readonly [Cell, Entry]> = []
    while (this.lent > 0) {
      const receiver = this.receivers[--this.lent]!
      this.receivers[this.lent] = undefined
      const entry = receiver.reclaim()
      // the receiver has ended meanwhile, and its mail with it
      if (entry !== undefined) sends.push([receiver, entry])
    }
    if (!keeps) return
    // from the last on, each before all others
    for (const [receiver, [tag, payload]] of sends) {
      this.words.splice(0, 0, SEND, receiver.ref, tag, payload)
      this.size += 4
    }
  }

  add(op: number, a: unknown, b: unknown, c: unknown): void {
    const words = this.words
    const at = this.size
    words[at] = op
    words[at + 1] = a
    words[at + 2] = b
    words[at + 3] = c
    this.size = at + 4
  }

  clear(): void {
    for (let i = 0; i < this.size; i++) this.words[i] = undefined
    this.size = 0
    this.stashes = false
  }
}
