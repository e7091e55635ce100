/** Faults in how lives end and begin again, in what crosses the border, in what a turn commits: laws 8 to 12 and the rules. */
import { type Fault, one } from "./Fault.ts"

export const lives: ReadonlyArray<Fault> = [
  one(
    "local-made-again",
    "what an incarnation holds is made once",
    "actor/Local.ts",
    "    set(self, value)\n    return value",
    "    return value"
  ),
  {
    id: "local-through-restarts",
    law: "what an incarnation holds is gone with it",
    edits: [
      ["actor/Local.ts", "held.get(self)", "held.get(self.ref as never)"],
      ["actor/Local.ts", "held.set(self, ", "held.set(self.ref as never, "]
    ]
  },
  one(
    "local-unset-in-silence",
    "12: asking for what nobody has put in fails by name",
    "actor/Local.ts",
    "if (make === undefined) {",
    "if (make === null) {"
  ),
  // ---- law 8
  one(
    "cancelled-ask-still-runs",
    "8: a cancelled ask is removed",
    "actor/Ask.ts",
    "  else if (phase === QUEUED) remove(this, reason)\n",
    "  else if (phase === QUEUED) void remove\n"
  ),
  one(
    "handler-not-interrupted",
    "8: a running handler is interrupted",
    "actor/Ask.ts",
    "        running.cancelled = true\n        running.fiber.interruptUnsafe()\n",
    ""
  ),
  one(
    "committed-interrupted",
    "8: a Committed handler goes on",
    "actor/Ask.ts",
    "    else if (!target.program.plan.protocol.committed[this.tag]) {",
    "    else {"
  ),
  one(
    "cancelled-commits",
    "8: a cancelled handler changes nothing",
    "actor/Turn.ts",
    "if (running.cancelled || (cell.status & HALTED) !== 0) {",
    "if ((cell.status & HALTED) !== 0) {"
  ),
  one("on-cancel-forgotten", "8: a deferred ask hears that its asker left", "actor/Ask.ts", "      onCancel()\n", ""),
  one(
    "fork-survives-stop",
    "8: forks end with their incarnation",
    "actor/Teardown.ts",
    "    for (const fork of extra.forks) fork.interruptUnsafe()\n    // the last",
    "    extra.forks = undefined\n    if (extra.forks === undefined) return advance(cell, atRest)\n    // the last"
  ),
  one(
    "skip-finalizer",
    "8: finalizers run",
    "actor/Finalizers.ts",
    "  if (effect === undefined) return\n  const fiber",
    "  if (effect === undefined || effect !== null) return\n  const fiber"
  ),
  one(
    "finalizer-twice",
    "8: finalizers run once",
    "actor/Finalizers.ts",
    "Forks.start(cell, Forks.forking(cell), effect)",
    "Forks.start(cell, Forks.forking(cell), Effect.andThen(effect, effect))"
  ),
  one(
    "daemon-in-outputs",
    "8: a fiber that outlives its handler acts for itself",
    "kernel/FiberScheduler.ts",
    "strand.handling && !strand.over",
    "strand.handling"
  ),

  one(
    "stream-outlives-consumer",
    "8: a consumer that has enough ends the producer",
    "actor/Streaming.ts",
    "    this.#producer?.interruptUnsafe()\n",
    ""
  ),
  one(
    "stream-timeout-forgotten",
    "8: given up before the first element, the producer ends",
    "actor/Streaming.ts",
    "    this.onCancel = () => this.leave()\n",
    ""
  ),
  one(
    "stream-unbounded",
    "3: live streams are bounded",
    "actor/Streaming.ts",
    '      Forks.checkHeld(cell, streams.size, "live streams")\n',
    ""
  ),
  one(
    "stream-consumer-not-told",
    "8: a restart ends the streams of its incarnation with CalleeFailed",
    "actor/Teardown.ts",
    "  for (const stream of extra.streams ?? []) stream.fail(Refusal.failed(cell, incident))\n",
    ""
  ),
  one(
    "stream-answered-twice",
    "4: an ask has one outcome, also a stream's",
    "actor/Streaming.ts",
    "    return this.#begun || this.exit !== undefined\n",
    "    return this.exit !== undefined\n"
  ),
  one(
    "expiry-inside-expiry",
    "11: timers expire one after the other",
    "kernel/Timers.ts",
    "if (lane.key < this.#wakeAt && !this.#waking) this.#arrange()",
    "if (lane.key < this.#wakeAt) this.#arrange()"
  ),
  // ---- law 9
  one(
    "skip-restart",
    "9: a failure restarts",
    "supervision/Supervision.ts",
    "  if (supervisor === undefined) return Teardown.restart(cell, incident, decision.delayMillis)\n",
    "  if (supervisor === undefined) return\n"
  ),
  one(
    "restart-loses-mailbox",
    "9: a restart keeps the mailbox",
    "actor/Teardown.ts",
    "  extra.overseer?.close()\n  shorten(",
    "  extra.overseer?.close()\n  buryMail(cell)\n  shorten("
  ),
  one(
    "own-stop-unguarded",
    "9: an actor that stops itself has its grace, and no more",
    "actor/Teardown.ts",
    "  if (atRest && teardown !== undefined) guard(cell, teardown)\n",
    ""
  ),
  one(
    "stop-unguarded",
    "9: an actor that is stopped has its grace, and no more",
    "actor/Teardown.ts",
    "  advance(cell)\n  guard(cell, teardown)\n  return true\n",
    "  advance(cell)\n  return true\n"
  ),
  one(
    "restart-unguarded",
    "9: an incarnation that ends has its grace, and no more",
    "actor/Teardown.ts",
    "  advance(cell)\n  guard(cell, teardown)\n}",
    "  advance(cell)\n}"
  ),
  one(
    "guard-not-shortened",
    "9: a later, shorter stop counts",
    "actor/Teardown.ts",
    "teardown.guarded <= expiresAt) return",
    "teardown.guarded < Number.POSITIVE_INFINITY) return"
  ),
  one(
    "restart-keeps-state",
    "9: a restart begins with a new state",
    "actor/Startup.ts",
    "  cell.state = runtime.freezes ? freeze(state) : state\n",
    '  if (cell.extra?.incarnation === undefined || cell.extra.incarnation === 1) cell.state = state\n  else cell.state = cell.extra.history === undefined ? state : state ?? state\n  if (runtime.freezes) freeze(cell.state)\n  if (cell.incarnation > 1 && typeof state === "number") cell.state = state + 1\n'
  ),
  one(
    "reset-budget",
    "9: a budget remembers",
    "supervision/Strategy.ts",
    "    history: { restarts: shared === undefined ? now : [], streak, lastAt: event.at },\n    spent: now",
    "    history: { restarts: [], streak, lastAt: event.at },\n    spent: []"
  ),
  one(
    "group-timer-early",
    "11: a group's backoff ends when its timer says so",
    "supervision/Children.ts",
    "if (left > TOLERANCE) {",
    "if (left > 0 * TOLERANCE) {"
  ),
  one(
    "budget-off-by-one",
    "9: one more than the intensity is out of budget",
    "supervision/Strategy.ts",
    "if (recent.length >= restarts)",
    "if (recent.length > restarts)"
  ),
  one(
    "period-off-by-one",
    "9: a restart exactly the period ago counts",
    "supervision/Strategy.ts",
    "event.at - at <= withinMillis",
    "event.at - at < withinMillis"
  ),
  one(
    "backoff-does-not-grow",
    "9: backoff doubles",
    "supervision/Strategy.ts",
    "policy.factor ** (streak - 1)",
    "policy.factor ** 0"
  ),
  one(
    "backoff-never-resets",
    "9: a row of failures ends",
    "supervision/Strategy.ts",
    "event.at - history.lastAt >= policy.resetMillis ? 1 :",
    "event.at - history.lastAt >= Infinity ? 1 :"
  ),
  one(
    "forget-reverse-order",
    "9: children stop right to left",
    "actor/StopChildren.ts",
    "  teardown.children ??= [...(cell.extra?.children ?? [])]\n",
    "  teardown.children ??= [...(cell.extra?.children ?? [])].toReversed()\n"
  ),
  one(
    "children-survive",
    "9: children end with their parent",
    "actor/Teardown.ts",
    "  if (teardown.batched || !StopChildren.children(cell, teardown)) return\n",
    "  if (teardown.batched) return\n  void StopChildren\n"
  ),
  one(
    "shutdown-forgets-deadline",
    "9: a child has no more time than its parent",
    "actor/StopChildren.ts",
    "Math.min(grace, Math.max(1, left * 0.9))",
    "grace"
  ),
  one(
    "grace-forgotten",
    "9: past its grace it is killed",
    "actor/Teardown.ts",
    "    if (cell.extra?.teardown === teardown) expire(cell, teardown)\n",
    "    if (cell.extra?.teardown !== teardown) expire(cell, teardown)\n"
  ),
  one(
    "significant-ignored",
    "9: a significant child's end ends its supervisor",
    "supervision/Strategy.ts",
    "  significant && (auto",
    '  significant && auto === "never" && (auto'
  ),
  one(
    "significant-too-soon",
    "9: all_significant waits for the last",
    "supervision/Strategy.ts",
    '(auto === "all_significant" && others === 0)',
    'auto === "all_significant"'
  ),
  one(
    "temporary-returns",
    "9: a temporary child never returns",
    "supervision/Children.ts",
    '        if (child.policy.restart === "temporary") {',
    '        if (child.policy.restart === "temporary" && child.id === "") {'
  ),
  one(
    "transient-returns",
    "9: a transient child that ends normally stays away",
    "supervision/Strategy.ts",
    '(restart === "transient" && isAbnormal(reason))',
    'restart === "transient"'
  ),
  one(
    "rest-is-all",
    "9: rest_for_one leaves those before alone",
    "supervision/Strategy.ts",
    'kind === "rest_for_one" ? [at, count]',
    'kind === "rest_for_one" ? [0, count]'
  ),
  one(
    "group-starts-at-once",
    "9: children start one after the other",
    "supervision/Children.ts",
    "      if (entry.cell !== undefined && !entry.cell.ready) return false\n",
    ""
  ),
  one(
    "failed-start-goes-on",
    "9: a failing start fails the supervisor",
    "supervision/Children.ts",
    "        resume(Effect.fail(new StartFailed({ address: cell.address, id: child.id, incident })))\n",
    "        resume(Effect.succeed(cell))\n        void incident\n"
  ),
  one(
    "no-escalation",
    "9: a supervisor out of budget fails upward",
    "supervision/Supervision.ts",
    "  failed(parent, { ...failure, cause, tag: `child ${cell.address}` }, around)\n",
    "  void cause\n"
  ),
  one(
    "failure-supervised-at-stop",
    "9: failures while stopping are reported, not supervised",
    "supervision/Supervision.ts",
    "if (!cell.alive || extra.teardown !== undefined || extra.delay !== undefined) {",
    "if (!cell.alive) {"
  ),
  one(
    "wrong-exit-reason",
    "9: an end has its reason",
    "actor/Teardown.ts",
    "  extra.exit = teardown.reason\n",
    "  extra.exit = ExitReason.normal\n"
  ),
  one(
    "quarantine-forgotten",
    "9: a virtual actor out of budget is quarantined",
    "supervision/System.ts",
    "      kind.quarantine(cell.key, this.timers.now())\n",
    ""
  ),
  one("link-one-way", "9: a link holds both ways", "supervision/Links.ts", "  theirs.add(cell)\n", ""),

  // ---- law 10
  one(
    "terminated-twice",
    "10: exactly one Terminated",
    "supervision/DeathWatch.ts",
    "    else deliver(watcher, cell.ref, cell, extra.exit ?? ExitReason.normal)\n",
    "    else {\n      deliver(watcher, cell.ref, cell, extra.exit ?? ExitReason.normal)\n      deliver(watcher, cell.ref, cell, extra.exit ?? ExitReason.normal)\n    }\n"
  ),
  one(
    "terminated-never-if-dead",
    "10: also for an actor already dead",
    "supervision/DeathWatch.ts",
    "    return deliver(watcher, ref, undefined, ref.cell?.extra?.exit ?? ExitReason.noSuchActor)\n",
    "    return\n"
  ),
  one(
    "restart-is-death",
    "10: a restart is no death",
    "actor/Teardown.ts",
    "  cell.change(Lifecycle.RESTART, `failed (${incident})`)\n",
    '  cell.change(Lifecycle.RESTART, `failed (${incident})`)\n  for (const w of extra.watchers ?? []) if (typeof w !== "function") w.deliver(0x2_0000, { ref: cell.ref, reason: ExitReason.normal }, { cell })\n'
  ),
  one(
    "unwatch-keeps-queued",
    "10: unwatch removes a queued one",
    "supervision/DeathWatch.ts",
    "  const entry = watcher.mailbox?.remove(",
    "  const entry = (undefined as typeof watcher.mailbox)?.remove("
  ),
  one(
    "drop-signal-when-full",
    "10: a full mailbox refuses no signal",
    "actor/Cell.ts",
    "    const box = (this.mailbox ??= Mailbox.acquire(this.program.plan.capacity))\n    box.push(tag, payload, origin)\n    this.accepted++\n    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()\n    return true",
    "    const box = (this.mailbox ??= Mailbox.acquire(this.program.plan.capacity))\n    if (box.full) return false\n    box.push(tag, payload, origin)\n    this.accepted++\n    if ((this.status & (QUEUED | BUSY | HELD)) === 0) this.schedule()\n    return true"
  ),

  // ---- law 11
  one(
    "real-time",
    "11: time is injected",
    "supervision/System.ts",
    "const now = this.live ? () => this.scheduler.now() : () => clock.currentTimeMillisUnsafe()",
    "const now = () => this.scheduler.now()"
  ),
  one(
    "real-chance",
    "11: chance is injected",
    "supervision/System.ts",
    "random: () => this.#random.nextDoubleUnsafe(),",
    "random: () => Math.random(),"
  ),

  // ---- law 12
  one(
    "option-unchecked",
    "12: options are checked when made",
    "kernel/Options.ts",
    'if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value',
    'if (typeof value === "number") return value'
  ),
  one(
    "unknown-tag-accepted",
    "12: an unknown message is refused in the sender",
    "actor/Protocol.ts",
    "    if (at >= 0) return at\n",
    "    if (at >= -1) return Math.max(0, at)\n"
  ),
  one(
    "internals-on-the-wire",
    "12: internals never cross the wire",
    "gateway/Answer.ts",
    "return JsonRpc.internalError(error instanceof CalleeFailed ? error.incident : undefined)",
    "return { ...JsonRpc.internalError(error instanceof CalleeFailed ? error.incident : undefined), message: String(error) + new Error().stack }"
  ),

  // ---- rules: a turn is atomic
  one(
    "commit-on-failure",
    "a turn's outputs are discarded when it fails",
    "actor/Failed.ts",
    "  cell.finished++\n  runtime.counts.failed++\n  Outputs.discard(cell, staging)\n",
    "  cell.finished++\n  runtime.counts.failed++\n  Outputs.release(cell, staging, 0)\n"
  ),
  one(
    "commit-on-typed-error",
    "and when it answers with a typed error",
    "actor/Turn.ts",
    "  cell.finished++\n  Outputs.discard(cell, staging)\n  if (origin instanceof Ask) origin.settle(Exit.fail(reason.error))",
    "  cell.finished++\n  Outputs.release(cell, staging, 0)\n  if (origin instanceof Ask) origin.settle(Exit.fail(reason.error))"
  ),
  one(
    "send-before-commit",
    "sends are staged",
    "actor/Context.ts",
    "if (!runtime.plain || runtime.scheduler.current !== home || home.self !== this) {\n      return",
    "{\n      if (home.alive) return home.act(Staging.SEND, ref, at, message)\n      return"
  ),
  one(
    "lent-forgotten",
    "and taken back when their handler fails",
    "actor/Staging.ts",
    "const entry = receiver.reclaim()",
    "const entry = receiver.mailbox?.size === -1 ? receiver.reclaim() : undefined"
  ),
  one(
    "lent-first",
    "the last ones of their receiver's mailbox, not others",
    "kernel/Mailbox.ts",
    "for (let i = this.size - 1; i >= 0; i--) {\n      if (slots",
    "for (let i = 0; i < this.size; i++) {\n      if (slots"
  ),
  one(
    "lent-counted",
    "4: what is taken back was never accepted",
    "actor/Cell.ts",
    "if (entry !== undefined) this.accepted--",
    "if (entry === null) this.accepted--"
  ),
  one(
    "lent-to-fiber",
    "a handler that goes on as a fiber has sent nothing yet",
    "actor/Turn.ts",
    "if (runtime.scratch.lent > 0) runtime.scratch.reclaim(true)",
    "runtime.scratch.settle()"
  ),
  one(
    "lent-order",
    "outputs are released in order",
    "actor/Context.ts",
    "if (scratch.size === 0 && to !== undefined && to.lend(at, message))",
    "if (to !== undefined && to.lend(at, message))"
  ),
  one(
    "lent-evicts",
    "a handler that fails evicts nothing",
    "actor/Cell.ts",
    "if ((this.status & (LIFECYCLE | EVICTS)) >= Lifecycle.DRAINING) return false",
    "if ((this.status & LIFECYCLE) >= Lifecycle.DRAINING) return false"
  ),
  one(
    "stale-self-acts",
    "the old incarnation's self is revoked",
    "actor/Context.ts",
    "return cell.alive && cell.incarnation === this.incarnation ? cell : undefined",
    "return cell.alive ? cell : undefined"
  ),
  {
    id: "stale-timer-fires",
    law: "a firing dies with the incarnation",
    edits: [
      ["actor/Turn.ts", "if (!ticket.valid || ticket.incarnation !== cell.incarnation) {", "if (!ticket.valid) {"],
      [
        "actor/Teardown.ts",
        "  extra.idleMessage = undefined\n  ActorTimers.clear(cell)\n",
        "  extra.idleMessage = undefined\n"
      ]
    ]
  },
  one(
    "cancelled-timer-fires",
    "cancel reaches a firing that waits",
    "actor/ActorTimers.ts",
    "  if (timer.pending !== undefined) timer.pending.valid = false\n",
    ""
  ),
  one(
    "timer-piles-up",
    "at most one undelivered firing",
    "actor/ActorTimers.ts",
    "if (this.pending !== undefined || !cell.open) return",
    "if (!cell.open) return"
  ),
  one(
    "deferred-survives",
    "a restart fails deferred asks",
    "actor/Teardown.ts",
    "  for (const ask of extra.deferred ?? []) ask.settle(Exit.fail(Refusal.failed(cell, incident)))\n",
    ""
  ),
  one(
    "drain-forgets-mail",
    "drain finishes accepted mail",
    "actor/Teardown.ts",
    '  if (teardown.mode === "drain" && !teardown.drained) {',
    '  if (teardown.mode === "drain" && !teardown.drained && cell.key === "") {'
  ),
  one(
    "draining-takes-mail",
    "a draining actor refuses new mail",
    "actor/Cell.ts",
    'if ((this.status & LIFECYCLE) >= Lifecycle.DRAINING) return "closed"',
    'if ((this.status & LIFECYCLE) > Lifecycle.DRAINING) return "closed"'
  ),
  one(
    "zombie-not-listed",
    "what cannot be ended is listed",
    "supervision/System.ts",
    "    this.zombies.add(zombie)\n",
    ""
  ),
  one(
    "name-taken-twice",
    "addresses are unique",
    "supervision/System.ts",
    "if (kind.cells.has(name)) throw new NameTaken",
    'if (kind.cells.has(name) && name === "") throw new NameTaken'
  ),
  one(
    "not-frozen",
    "state is frozen outside production",
    "actor/Freeze.ts",
    "      Object.freeze(part)",
    "      void part"
  ),
  one(
    "reconnect-not-greeted",
    "onConnect(restarted) before any mail",
    "actor/Startup.ts",
    '      box.unshift(CONNECTED, client, "restarted")\n      cell.accepted++\n',
    ""
  ),
  // ---- and what reviews found
  one(
    "context-of-the-moment",
    "1: a fiber keeps who it is",
    "kernel/FiberScheduler.ts",
    "    const { strand } = fiber.currentDispatcher as Dispatcher\n",
    "    void fiber.currentDispatcher\n    const strand = fiber.getRef(CurrentStrand)\n"
  ),
  one(
    "fork-in-a-task-that-ended",
    "1: a fork is no part of a turn on whose stack it begins",
    "kernel/FiberScheduler.ts",
    "      this.#inTask = false\n      this.#fiber = undefined\n      owner?.settle()\n      this.#scheduler.endTurn()\n",
    "      owner?.settle()\n      this.#scheduler.endTurn()\n      this.#inTask = false\n"
  ),
  one(
    "scope-of-the-incarnation",
    "8: what a handler acquires is released when it ends",
    "actor/Forks.ts",
    'closes && scope.state._tag === "Open"',
    'closes && scope.state._tag === "Closed"'
  ),
  one(
    "fork-send-lost",
    "2: a send of a fork waits in line",
    "actor/Cell.ts",
    "    if (full !== undefined) Outputs.queue(",
    "    if (full === this) Outputs.queue("
  ),
  one(
    "forward-not-withdrawn",
    "8: a forward that waits can be given up",
    "actor/Ask.ts",
    "    waiter?.leave()\n",
    "    void waiter\n"
  ),
  one(
    "false-cycle",
    "1: an asker that gave up waits no more",
    "actor/Ask.ts",
    "serving instanceof Ask && serving.exit === undefined ? serving.asker",
    "serving instanceof Ask ? serving.asker"
  ),
  one(
    "orphan",
    "9: a stop makes no children any more",
    "supervision/System.ts",
    'if (teardown !== undefined && (teardown.mode !== "drain" || teardown.drained)) {',
    "if (teardown === null) {"
  ),
  one(
    "restart-abandons-sends",
    "4: a restart keeps what was committed",
    "actor/Teardown.ts",
    'if (teardown.mode !== "drain" && teardown.goal === "stop" && extra.releasing !== undefined)',
    'if (teardown.mode !== "drain" && extra.releasing !== undefined)'
  ),
  one(
    "late-admission",
    "2: a suspended sender is let in once there is room",
    "actor/Turn.ts",
    "  if (cell.extra?.waiters !== undefined) cell.admit()\n  if (cell.extra?.teardown",
    "  if (cell.extra?.teardown"
  ),
  one(
    "limit-crashes",
    "3: what would hold too much is refused, and the actor goes on",
    "actor/Failed.ts",
    "    reason.defect instanceof LimitReached\n",
    '    reason.defect instanceof LimitReached &&\n    cell.key === ""\n'
  ),
  one(
    "drain-fires-timers",
    "a drain accepts no firings",
    "actor/ActorTimers.ts",
    "if (this.pending !== undefined || !cell.open) return",
    "if (this.pending !== undefined) return"
  ),
  one(
    "goodbye-overtakes",
    "4: answers leave before an agent's goodbye",
    "actor/Runtime.ts",
    "if (runtime.scheduler.current === undefined && runtime.deliveries.idle) delivery.deliver()",
    "if (runtime.scheduler.current === undefined) delivery.deliver()"
  ),
  one(
    "hurried-teardown",
    "9: a stop waits for the child that still stops",
    "actor/StopChildren.ts",
    "  if (!parallel && teardown.stopping > 0) return false\n",
    ""
  ),
  one(
    "program-an-actor",
    "7: actors of a kind share a program",
    "supervision/Programs.ts",
    "if (known !== undefined && alike(known.program.services, services)) {",
    "if (known !== undefined && alike(known.program.services, services) && plan === undefined) {"
  ),
  one(
    "innocent-named",
    "6: the report names who held the loop, or one of whom",
    "kernel/Scheduler.ts",
    "this.onOccupied([...owners], owners.size === 1 ? tag : -1, millis)",
    "this.onOccupied(this.current === undefined ? [] : [this.current], tag, millis)"
  ),
  one(
    "ask-of-the-unborn",
    "1: an ask of a child just made could only wait for itself",
    "actor/Ask.ts",
    "(target.status & UNBORN) !== 0 && target.parent === asker",
    "target.parent === asker && asker === target"
  ),
  one(
    "quiet-never",
    "a shutdown does not wait for backoffs",
    "supervision/ActorSystem.ts",
    " && cell.extra?.delay === undefined)) quiet = false",
    ")) quiet = false"
  ),
  one(
    "flood",
    "a crash loop is summarised",
    "supervision/FloodGate.ts",
    "    if (window.full < this.#inFull) {",
    "    if (window.full < Number.POSITIVE_INFINITY) {"
  ),
  one(
    "unbegun-finalizer-cut",
    "8: finalizers run once, also when a kill follows at once",
    "actor/Teardown.ts",
    "const interrupts = teardown.finalizing",
    "const interrupts = true"
  ),
  one(
    "late-failure-swallowed",
    "6: failures meanwhile are reported, those of finalizers too",
    "actor/Forks.ts",
    "if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return\n  const { runtime } = cell.program\n  runtime.reported",
    'if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) || tag === "onStop") return\n  const { runtime } = cell.program\n  runtime.reported'
  ),
  one(
    "drain-skips-initial",
    "6: a drain finishes accepted mail, of an actor that is about to start too",
    "actor/Teardown.ts",
    "const stateless = extra.delay !== undefined",
    "const stateless = (cell.status & STARTING) !== 0 || extra.delay !== undefined"
  ),
  one(
    "order-not-pressed-on",
    "6: one deadline passes down, a later and sooner one too",
    "actor/Teardown.ts",
    "if (presses)",
    "if (presses && cell.alive === undefined)"
  )
]
