/** Faults in what supervisors do while children go down and come back, and in the ends of incarnations: laws 8 and 9. */
import { type Fault, one } from "./Fault.ts"

export const supervisors: ReadonlyArray<Fault> = [
  one(
    "group-forgets-waiting",
    "9: those of a group that wait their turn are not forgotten",
    "supervision/Children.ts",
    "    return this.entries.slice(group.from, at).some(isDue)\n",
    "    return false\n"
  ),
  one(
    "group-waits-for-stopping",
    "9: who fails on the way up, behind one that stops by itself, takes down who comes after it",
    "supervision/Children.ts",
    '!cell.ready && cell.extra?.teardown?.goal !== "stop"',
    "!cell.ready"
  ),
  one(
    "group-of-nobody",
    "9: with nobody left to come up a group is over",
    "supervision/Children.ts",
    "members.some(({ cell, returns }) => cell !== undefined || returns) ? group.dueAt - timers.now() : 0\n",
    "group.dueAt - timers.now()\n    void members\n"
  ),
  one(
    "group-counts-twice",
    "9: one that fails while its group goes down costs no restart",
    "supervision/Supervision.ts",
    "  if (supervisor?.waits(cell) === true) {\n    around.report",
    "  if (supervisor?.waits(cell) === undefined) {\n    around.report"
  ),
  one(
    "group-leaves-ended",
    "9: all of a group are started, also those that had ended before",
    "supervision/Children.ts",
    "      each.returns = true\n      each.memory = undefined // of a former life\n",
    ""
  ),
  one(
    "group-remembers-former",
    "9: one that its group starts after its end has a budget of its own, and a fresh one",
    "supervision/Children.ts",
    "      each.memory = undefined // of a former life\n",
    ""
  ),
  one(
    "group-starts-fresh",
    "9: a group does not make anew a child whose StartChild fails",
    "supervision/Children.ts",
    "each.cell !== undefined || each.fresh || each.returns",
    "each.cell !== undefined || each.returns"
  ),
  one(
    "awaited-end-charged",
    "9: a child whose awaited start ends by its own auto shutdown has not started",
    "supervision/Supervision.ts",
    " || ending || supervisor?.starts(cell) === true) {",
    " || ending) {"
  ),
  one(
    "own-stop-logged",
    "a stop of its own is no failure, and not for the log",
    "supervision/System.ts",
    "this.#tell(cell, failure, decision, false)",
    "this.#tell(cell, failure, decision, true)"
  ),
  one(
    "links-before-supervisor",
    "9: whoever goes down with a child does not fail by its link to it beside",
    "supervision/System.ts",
    "    const tell = Links.ended(cell, reason)\n",
    "    const tell = () => {}\n    Links.ended(cell, reason)()\n"
  ),
  one(
    "lowered-counts-as-significant",
    "9: a significant child that its supervisor takes down does not count",
    "supervision/Children.ts",
    "      !waits &&\n",
    ""
  ),
  one(
    "terminated-counts-as-significant",
    "9: a significant child that its supervisor terminates does not count",
    "supervision/Children.ts",
    "      this.leave(child, false)\n      const millis",
    "      this.leave(child, true)\n      const millis"
  ),
  one(
    "vacant-key-given-away",
    "9: a dynamic child that is due to come back keeps its key",
    "supervision/Supervisor.ts",
    "    if (key !== undefined && children.vacant.has(key)) {",
    "    if (key === null) {"
  ),
  one(
    "vacant-not-significant",
    "9: all_significant counts those that are due to come back",
    "supervision/Children.ts",
    "    if (this.parallel) return this.living.size + this.vacant.size\n",
    "    if (this.parallel) return this.living.size\n"
  ),
  one(
    "terminated-comes-back",
    "9: a child that is terminated in its backoff does not come back",
    "supervision/Children.ts",
    "    entry.returns = false\n    if (entry.timer !== undefined) this",
    "    if (entry.timer === null) this"
  ),
  one(
    "terminated-twice-over",
    "9: a child that was terminated comes back with a group that begins then",
    "supervision/Supervisor.ts",
    "    else if (entry !== undefined) children.forget(entry)\n",
    "    if (entry !== undefined) children.forget(entry)\n"
  ),
  one(
    "broken-backoff-escapes",
    "9: a backoff that throws stops the actor it is of",
    "supervision/Supervision.ts",
    "    around.report(child, defective(failure, defect), broken)\n    return undefined\n",
    "    throw defect\n"
  ),
  one(
    "resume-without-state",
    "9: a start that failed is not resumed",
    "supervision/Strategy.ts",
    '!(directive === "resume" && event.stateless === true)',
    '!(directive === "resume" && event.stateless === null)'
  ),
  one(
    "directive-unchecked",
    "12: a directive answers with one of four",
    "supervision/Strategy.ts",
    "  if (!directives.includes(directive)) {",
    '  if (directive === ("" as never)) {'
  ),
  one(
    "restart-child-loses-place",
    "9: a RestartChild that fails keeps its place",
    "supervision/Children.ts",
    "      starting.done(starting.failure ?? this.#early(reason))\n",
    "      starting.done(starting.failure ?? this.#early(reason))\n      this.delete(entry)\n"
  ),
  one(
    "seat-forgotten",
    "9: a child made anew stops in its old place",
    "supervision/Children.ts",
    "    if (children === undefined || this.entries.at(-1) === entry) return\n",
    "    if (children === undefined || this.entries.at(-1) !== null) return\n"
  ),
  one(
    "all-is-one",
    "9: one_for_all takes all of them",
    "supervision/Strategy.ts",
    '  if (kind === "one_for_all") return [0, count]\n',
    '  if (kind === "one_for_all") return [at, count]\n'
  ),
  one(
    "kill-has-grace",
    '9: shutdown "kill" waits for nothing',
    "actor/StopChildren.ts",
    "  if (grace === 0) return killOrder\n",
    '  if (grace === 0) return { mode: "now", millis: 5000, reason: ExitReason.shutdown }\n'
  ),
  one(
    "dynamic-one-by-one",
    "9: dynamic children stop in parallel",
    "supervision/Children.ts",
    '    return this.rules.kind === "dynamic"\n',
    '    return this.rules.kind === "dynamic" && this.entries.length > 0\n'
  ),
  one(
    "own-budget-shared",
    "9: a budget of a child's own is its own",
    "supervision/Children.ts",
    "plan?.ownBudget === true ?",
    "plan?.ownBudget === null ?"
  ),
  one(
    "own-budget-spends-shared",
    "9: and leaves its siblings' budget alone",
    "supervision/Children.ts",
    "    if (shared !== undefined) this.#spent = spent\n",
    "    this.#spent = spent\n"
  ),
  one(
    "schedule-goes-on",
    "9: a row of failures begins its Schedule anew",
    "supervision/Supervision.ts",
    "    if (first || memory.step === undefined) {",
    "    if (memory.step === undefined) {"
  ),
  one(
    "jitter-forgotten",
    "9: backoff has full jitter",
    "supervision/Strategy.ts",
    "return policy.jitter ? full * event.random : full",
    "return policy.jitter === null ? full * event.random : full"
  ),
  one(
    "backoff-unbounded",
    "9: backoff has a longest wait",
    "supervision/Strategy.ts",
    "Math.min(policy.maxMillis, policy.minMillis * policy.factor ** (streak - 1))",
    "Math.max(0, policy.minMillis * policy.factor ** (streak - 1))"
  ),
  one(
    "stale-scope-open",
    "8: the scope of an incarnation that has ended is closed",
    "actor/Forks.ts",
    "Scope.closeUnsafe(closedScope, Exit.void)\n",
    ""
  ),
  one(
    "released-late-in-silence",
    "8: what a killed handler acquired is released, and a failure of that is reported",
    "actor/Turn.ts",
    "      fiber.addObserver((end) => Forks.late(cell, cell.tagName(running.tag), end))\n",
    ""
  ),
  one(
    "overtaken-in-silence",
    "6: failures meanwhile are reported, of a handler that never suspended too",
    "actor/Turn.ts",
    "    overtaken(cell, tag, exit)\n    return false\n",
    "    return false\n"
  ),
  one(
    "drain-waits-for-itself",
    "1: a handler must not wait for itself by a drain",
    "actor/ActorRef.ts",
    'checked.mode === "drain" && isAwaitedBy(cell)',
    'checked.mode === "drain" && this.key === "" && isAwaitedBy(cell)'
  ),
  one(
    "on-stop-waits-for-itself",
    "1: nor onStop for its own end",
    "actor/ActorRef.ts",
    'if (checked.mode !== "kill" && isEndedBy(cell)) {',
    'if (checked.mode === "kill" && isEndedBy(cell)) {'
  ),
  one(
    "stale-spawn-is-root",
    "what a revoked self spawns is nobody",
    "actor/Context.ts",
    'key ?? "revoked", this.#home.address)',
    'key ?? "revoked", undefined)'
  ),
  one(
    "drain-waits-for-asker",
    "1: nor by that of its asker",
    "actor/Ask.ts",
    "if (above === cell) return true\n    at = askerOf(at)\n",
    "if (above === cell) return true\n    at = undefined\n"
  ),
  one(
    "payload-in-report",
    "a report shows the payload only where the behaviour allows it",
    "actor/Failed.ts",
    "plan.reportPayload && tag < SIGNAL",
    "tag < SIGNAL"
  ),
  one(
    "summary-lost",
    "what a report left out is summed up",
    "supervision/FloodGate.ts",
    "    if (count === 0) return\n",
    "    if (count >= 0) return\n"
  ),
  one(
    "link-survives-restart",
    "9: a link is between incarnations",
    "actor/Teardown.ts",
    "  if (extra.links !== undefined) cell.program.runtime.broken(cell, incident)\n",
    ""
  ),
  one(
    "name-survives-death",
    "10: names and memberships end with a life",
    "supervision/Roster.ts",
    "    for (const id of ids) if (this.#remove(id, cell)) this.#changed(id)\n",
    ""
  )
]
