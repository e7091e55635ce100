/**
 * Faults in what lies in a mailbox before its sender commits, in what ended as if never sent, and in what a look at the host tells.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const turns: ReadonlyArray<Fault> = [
  one(
    "lent-beyond-bound",
    "3: a mailbox that is full lends no more room",
    "actor/Cell.ts",
    "    else if (box.full) return false\n    box.push(tag, payload, SENT)",
    "    box.push(tag, payload, SENT)"
  ),
  one(
    "lent-to-the-draining",
    "nor does one that drains",
    "actor/Cell.ts",
    "if ((this.status & (LIFECYCLE | EVICTS)) >= Lifecycle.DRAINING) return false",
    "if ((this.status & EVICTS) !== 0) return false"
  ),
  one(
    "lent-wakes-for-nothing",
    "who was lent a message that was taken back has no turn by it",
    "actor/Turn.ts",
    "if (box === undefined || box.size === 0) return",
    "if (box === undefined) return"
  ),
  one(
    "lent-by-fiber",
    "what a handler sends in its fiber waits for its end",
    "actor/Turn.ts",
    "    runtime.plain = false\n    if (runtime.scratch.lent > 0)",
    "    if (runtime.scratch.lent > 0)"
  ),
  one(
    "lent-fiber-order",
    "2: and it keeps its order",
    "actor/Staging.ts",
    "this.words.splice(0, 0, SEND, receiver.ref, tag, payload)",
    "this.words.splice(this.size, 0, SEND, receiver.ref, tag, payload)"
  ),
  one(
    "lent-never-settled",
    "what was committed is not taken back by a later failure",
    "actor/Outputs.ts",
    "  if (staging.lent > 0) staging.settle()\n",
    ""
  ),
  one(
    "lent-unsettled-by-tell",
    "and what one sent that changed nothing",
    "actor/Turn.ts",
    "if (!scratch.empty && !released",
    "if (scratch.size > 0 && !released"
  ),
  one(
    "lent-by-the-halted",
    "what was stopped in its handler has sent nothing",
    "actor/Turn.ts",
    "  Outputs.discard(cell, staging)\n  return false\n}\n\n/** The turn is over",
    "  Outputs.release(cell, staging, 0)\n  return false\n}\n\n/** The turn is over"
  ),
  one(
    "lent-has-caller",
    "who was sent a message by an actor has no caller",
    "actor/Context.ts",
    "return origin === SENT ? undefined : origin",
    "return origin"
  ),
  one(
    "dropped-has-counted",
    "what a full mailbox dropped ended as if never sent",
    "actor/Cell.ts",
    "if (origin instanceof Ask) origin.refuse(Exit.fail(Refusal.dropped",
    "if (origin instanceof Ask) origin.settle(Exit.fail(Refusal.dropped"
  ),
  one(
    "overloaded-has-counted",
    "and so did what would have held more than it may",
    "actor/Failed.ts",
    "if (origin instanceof Ask) origin.refuse(Exit.fail(error))",
    "if (origin instanceof Ask) origin.settle(Exit.fail(error))"
  ),
  one(
    "passed-on-unnoted",
    "a turn that passed a request on has counted",
    "actor/Turn.ts",
    "    if (origin instanceof Ask) origin.passedOn = true\n",
    ""
  ),
  one(
    "idle-keeps-fibers",
    "7: an actor that rests keeps nothing of its handlers' fibers",
    "actor/Turn.ts",
    "    extra.handling = undefined\n",
    ""
  ),
  one(
    "look-passes-over",
    "4: books that do not balance are told, by who it is",
    "supervision/Snapshot.ts",
    "    if (accepted !== finished + deadLettered + queued + running) imbalances.push(fault(cell.address, books(cell)))\n",
    ""
  ),
  one(
    "look-passes-over-all",
    "4: and of the system as a whole",
    "supervision/Snapshot.ts",
    'if (sum.accepted !== sum.finished + sum.deadLettered + sum.queued + sum.running) imbalances.push(fault("system", sum))',
    ""
  ),
  one(
    "look-forgets-the-dead",
    "4: those that have ended stay in the sums",
    "supervision/Snapshot.ts",
    "    sum.finished += kind.retired.finished\n",
    ""
  ),
  one(
    "look-at-wrong-state",
    "a look tells how many rest",
    "supervision/Snapshot.ts",
    "    inState[lifecycle]!++\n",
    "    inState[Lifecycle.ACTIVE]! += lifecycle >= 0 ? 1 : 0\n"
  ),
  one(
    "hand-on-overtakes",
    "6: an ask is handed on only where nobody is ready before it",
    "kernel/Scheduler.ts",
    "if (this.#held || !this.#idle || this.current !== undefined) return false",
    "if (this.#held || this.current !== undefined) return false"
  ),
  one(
    "hand-on-in-a-turn",
    "1: and never within a turn",
    "kernel/Scheduler.ts",
    "if (this.#held || !this.#idle || this.current !== undefined) return false",
    "if (this.#held || !this.#idle) return false"
  ),
  one(
    "hand-on-deeper",
    "one deep",
    "kernel/Scheduler.ts",
    "if (this.#held || !this.#idle || this.current !== undefined) return false",
    "if (!this.#idle || this.current !== undefined) return false"
  ),
  one(
    "hand-on-without-end",
    "6: within the time of the sweep",
    "kernel/Scheduler.ts",
    "if (this.sweeping ? this.over : this.#active) return false",
    "if (!this.sweeping && this.#active) return false"
  ),
  one(
    "hand-on-stays-active",
    "the next message starts a sweep again",
    "kernel/Scheduler.ts",
    "        this.#begin(this.#cost())\n        this.#step()\n      }\n      this.#end()",
    "        this.#begin(this.#cost())\n        this.#step()\n        this.#end()\n      }"
  ),
  one(
    "hand-on-to-who-has-gone",
    "8: the turn of an ask counts for nothing when its asker was interrupted from there",
    "actor/Ask.ts",
    "const left = this.phase === WITHDRAWN || (this.#below !== undefined && PrivateFiber.isLeaving(this.#below))",
    "const left = this.phase === WITHDRAWN"
  ),
  one(
    "queue-last-first",
    "2: who is ready first goes first",
    "kernel/Scheduler.ts",
    "      this.#tails[p] = item\n",
    "      if (tail === undefined) this.#tails[p] = item\n"
  ),
  one(
    "delivery-lost",
    "what a delivery adds is delivered, too",
    "actor/Deliveries.ts",
    "    while (this.#begun < this.#size) {",
    "    for (let left = this.#size; left > 0 && this.#begun < this.#size; left--) {"
  ),
  one(
    "let-in-one-by-one",
    "8: of senders that are let in together none goes on before all have been told",
    "actor/Deliveries.ts",
    "return this.#size === 0 && this.#held === 0",
    "return this.#size === 0"
  ),
  one(
    "finalizer-cut-at-once",
    "8: a kill lets begin what has only been forked, up to where its scope is sure to be closed",
    "actor/Finalizers.ts",
    "  const fiber = Forks.start(cell, Forks.forking(cell), effect)\n",
    "  const begun = Effect.suspend(() => ((teardown.finalizing = true), effect))\n  const fiber = Forks.start(cell, Forks.forking(cell), begun)\n"
  )
]
