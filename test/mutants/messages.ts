/** Faults in how messages are taken, handled and counted: laws 1 to 7. */
import { type Fault, one } from "./Fault.ts"

export const messages: ReadonlyArray<Fault> = [
  // ---- law 1
  {
    id: "two-turns-at-once",
    law: "1: a suspended handler's actor takes no mail",
    edits: [
      [
        "actor/Turn.ts",
        "if (!starts && (cell.status & (BUSY | HELD)) !== 0) return",
        "if (!starts && (cell.status & HELD) !== 0) return"
      ],
      [
        "actor/Turn.ts",
        "if ((cell.status & (BUSY | HELD)) === 0) mail(cell)",
        "if ((cell.status & HELD) === 0) mail(cell)"
      ],
      [
        "actor/Cell.ts",
        `box.push(tag, payload, origin)
    this.accepted++
    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()
    return "accepted"`,
        `box.push(tag, payload, origin)
    this.accepted++
    if ((this.status & (QUEUED | HELD)) === 0) this.schedule()
    return "accepted"`
      ]
    ]
  },
  one(
    "cycle-not-seen",
    "1: an ask that could only wait for itself fails",
    "actor/Ask.ts",
    "    if (at === target) return path\n",
    ""
  ),
  one(
    "offer-timeout-forgotten",
    "1: a suspend inside a handler ends",
    "actor/Outputs.ts",
    "plan.offerMillis, (admitted, expired)",
    "Infinity, (admitted, expired)"
  ),
  one(
    "foreign-turn",
    "1: handler code runs only inside its own actor's turns",
    "kernel/FiberScheduler.ts",
    "      if (!this.#owns(fiber)) return true\n",
    "      void this.#owns(fiber)\n"
  ),

  // ---- law 2
  one(
    "stash-order",
    "2: unstash puts mail back in arrival order",
    "actor/Outputs.ts",
    "for (let i = taken.length - 1; i >= 0; i--) box.unshift",
    "for (let i = 0; i < taken.length; i++) box.unshift"
  ),
  one(
    "unstash-at-the-end",
    "2: unstash puts mail back at the head",
    "actor/Outputs.ts",
    "box.unshift(taken[i]![0], taken[i]![1], taken[i]![2])",
    "box.push(taken[taken.length - 1 - i]![0], taken[taken.length - 1 - i]![1], taken[taken.length - 1 - i]![2])"
  ),
  one(
    "late-send-overtakes",
    "2: later sends queue behind a suspended one",
    "actor/Cell.ts",
    "    if (this.mailbox !== undefined) this.mailbox.gate = 0\n",
    ""
  ),
  one(
    "last-come-first-served",
    "2: suspended senders keep their place",
    "actor/Cell.ts",
    "(extra.waiters ??= []).push(waiter)",
    "(extra.waiters ??= []).unshift(waiter)"
  ),
  one(
    "terminated-overtakes",
    "2: Terminated keeps its place",
    "supervision/DeathWatch.ts",
    "  watcher.deliver(TERMINATED, died, { cell })\n",
    "  watcher.deliver(TERMINATED, died, { cell })\n  const last = watcher.mailbox?.remove((tag, payload) => tag === TERMINATED && payload === died)\n  if (last !== undefined) watcher.mailbox!.unshift(last[0], last[1], last[2])\n"
  ),
  one(
    "outputs-reversed",
    "2: outputs leave in the order they were asked for",
    "actor/Outputs.ts",
    "  for (let at = from; at < staging.size; at += 4) {\n    if (words[at]",
    "  for (let k = from; k < staging.size; k += 4) {\n    const at = staging.size - 4 - (k - from)\n    if (words[at]"
  ),

  // ---- law 3
  one(
    "mailbox-one-more",
    "3: a mailbox holds its capacity",
    "kernel/Mailbox.ts",
    "return this.size - this.reserved >= this.gate",
    "return this.size - this.reserved > this.gate"
  ),
  one(
    "unbounded-stash",
    "3: stashes are bounded",
    "actor/Context.ts",
    "if ((cell.extra?.stash?.length ?? 0) >= stash) {",
    "if ((cell.extra?.stash?.length ?? 0) < 0) {"
  ),
  one(
    "unbounded-held",
    "3: timers, forks, deferred asks, watches are bounded",
    "actor/Forks.ts",
    "  if (size < held) return\n",
    "  if (size < held + 1_000_000) return\n"
  ),
  one(
    "unbounded-outbox",
    "3: outboxes are bounded",
    "gateway/Connection.ts",
    "    if (this.roomy) {\n",
    "    if (this.roomy || this.missed >= 0) {\n"
  ),
  one(
    "unbounded-window",
    "3: a connection's unfinished messages are bounded",
    "gateway/Connection.ts",
    "if (this.#unfinished >= limits.maxUnfinished ||",
    "if (this.#unfinished >= 1e9 ||"
  ),
  one(
    "dead-letters-unbounded",
    "3: the ring of dead letters is bounded",
    "supervision/DeadLetters.ts",
    "if (this.#ring.length < this.#capacity) this.#ring.push(letter)",
    "if (this.#ring.length >= 0) this.#ring.push(letter)"
  ),

  // ---- law 4
  one(
    "lose-message-at-crash",
    "4: a failure loses no queued message",
    "actor/Turn.ts",
    "      crashed(cell, tag, payload, origin, Cause.die(error), runtime.scratch)\n      break\n    }\n    if (out === cell.state",
    "      crashed(cell, tag, payload, origin, Cause.die(error), runtime.scratch)\n      if (box.size > 0) box.shift()\n      break\n    }\n    if (out === cell.state"
  ),
  one(
    "deliver-twice",
    "4: a message is handled once",
    "actor/Turn.ts",
    "    box.shift()\n    if (tag >= RESERVED) {",
    "    if (cell.finished % 97 !== 96) box.shift()\n    if (tag >= RESERVED) {"
  ),
  one(
    "lost-dead-letter",
    "4: an accepted message that finds no handler is a dead letter",
    "actor/Cell.ts",
    "    this.program.runtime.dead(this.address, this.tagName(tag), payload, reason)\n",
    ""
  ),
  one(
    "uncounted-dead-letter",
    "4: dead letters are counted",
    "actor/Cell.ts",
    "    this.record().dead++\n",
    "    this.record()\n"
  ),
  one(
    "uncounted-signal",
    "4: a reserved message counts as accepted",
    "actor/Cell.ts",
    "    box.push(tag, payload, origin)\n    this.accepted++\n    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()\n    return true",
    "    box.push(tag, payload, origin)\n    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()\n    return true"
  ),
  one(
    "two-outcomes",
    "4: an ask has exactly one outcome",
    "actor/Ask.ts",
    "    if (this.exit !== undefined) return false\n",
    ""
  ),
  one(
    "no-outcome-at-stop",
    "4: a queued ask is told of the stop",
    "actor/Teardown.ts",
    '    cell.bury(tag, payload, tag >= RESERVED && tag < 2 * RESERVED ? "stale" : "stopped")\n    tellStopped(cell, origin)\n',
    '    cell.bury(tag, payload, tag >= RESERVED && tag < 2 * RESERVED ? "stale" : "stopped")\n'
  ),
  one(
    "refused-send-forgotten",
    "4: a send that nobody takes is a dead letter",
    "actor/Outputs.ts",
    "  } else lost(runtime, ref, tag, payload, full === undefined",
    "  } else void (full === undefined"
  ),
  one(
    "refused-send-makes-an-error",
    "a refused send of a handler costs no error",
    "actor/Outputs.ts",
    "  } else lost(runtime, ref, tag, payload, full === undefined",
    "  } else lost(runtime, ref, tag, payload, full === undefined || Refusal.full(full, tag, payload) === undefined"
  ),
  one(
    "draining-called-stopped",
    "4: a dead letter tells that its receiver drains",
    "actor/Refusal.ts",
    '  if (home?.locate(ref, false) !== undefined) return "draining"\n',
    ""
  ),
  one(
    "refusal-with-frames",
    "an error of a refusal records no stack",
    "actor/Refusal.ts",
    "  Error.stackTraceLimit = 0\n",
    ""
  ),
  one(
    "stacks-cut-for-good",
    "others' stacks are as deep as they were",
    "actor/Refusal.ts",
    "    Error.stackTraceLimit = limit\n",
    ""
  ),
  one(
    "stash-lost-at-restart",
    "4: a restart returns the stash",
    "actor/Teardown.ts",
    "  for (const ask of extra.deferred ?? []) ask.settle(Exit.fail(Refusal.failed(cell, incident)))\n  Outputs.unstash(cell, Number.MAX_SAFE_INTEGER)\n",
    "  for (const ask of extra.deferred ?? []) ask.settle(Exit.fail(Refusal.failed(cell, incident)))\n"
  ),

  // ---- law 5
  one(
    "drop-oldest-drops-newest",
    "5: overflow is what was chosen",
    "actor/Cell.ts",
    'if (policy === "dropNewest") {',
    'if (policy === "dropNewest" || policy === "dropOldest") {'
  ),
  one(
    "ask-dropped-in-silence",
    "5: an ask hit by a policy fails at once",
    "actor/Cell.ts",
    "    if (origin instanceof Ask) origin.refuse(Exit.fail(Refusal.dropped(this, policy)))\n",
    ""
  ),
  one(
    "suspend-does-not-wait",
    "5: suspend waits for room",
    "actor/Tell.ts",
    'if (cell.program.plan.overflow !== "suspend" || sender === cell) {',
    "if (cell.program.plan.overflow !== undefined || sender === cell) {"
  ),
  one(
    "stop-on-overflow-forgotten",
    "5: stop ends the actor",
    "actor/Cell.ts",
    '    if (policy === "stop") {',
    '    if (policy === "stop" && this.key === "") {'
  ),

  // ---- law 6
  one(
    "starve-low",
    "6: no priority starves",
    "kernel/Scheduler.ts",
    "      while (p < 4 && (this.#left[p] === 0 || (ready & (1 << p)) === 0)) p++\n",
    ""
  ),
  {
    id: "turn-never-ends",
    law: "6: a turn ends after 64 messages or 0.5 ms",
    edits: [
      ["kernel/Scheduler.ts", "return this.over || this.clock - this.#turnStart >= this.#turnMillis", "return false"],
      ["actor/Turn.ts", "Math.min(scheduler.turnMessages, box.size)", "Number.MAX_SAFE_INTEGER"]
    ]
  },
  one(
    "sweep-never-ends",
    "6: a sweep ends, then sockets and timers get the loop",
    "kernel/Scheduler.ts",
    "    if (now >= this.#sweepEnd) this.over = true\n",
    ""
  ),
  one(
    "fiber-never-cut",
    "6: a handler that never suspends is cut",
    "kernel/FiberScheduler.ts",
    "return --scheduler.credit <= 0 && scheduler.fiberSpent()",
    "return --scheduler.credit <= 0 && scheduler.fiberSpent() && false"
  ),
  one(
    "loop-not-cut",
    "6: a loop of nothing in a generator is cut",
    "actor/Plan.ts",
    "Effect.fnUntraced(cutLoops(handler as never) as never)",
    "Effect.fnUntraced(handler as never)"
  ),
  one(
    "occupied-not-reported",
    "6: a handler that holds the loop is reported",
    "kernel/Scheduler.ts",
    "if (since >= this.#occupiedMillis) this.#occupied(tag, since)",
    "if (since >= this.#occupiedMillis * 1e9) this.#occupied(tag, since)"
  ),
  one(
    "stuck-not-reported",
    "6: a handler that stays suspended is reported",
    "actor/Turn.ts",
    "  runtime.timers.arm(stuck, plan.stuckMillis)\n",
    ""
  ),

  // ---- law 7
  one(
    "mailbox-kept",
    "7: an idle actor owns no mailbox",
    "actor/Turn.ts",
    "    cell.mailbox = undefined\n    Mailbox.release(box)\n  } else",
    "  } else"
  )
]
