/**
 * Faults in Breaker: when it opens, who probes, what counts.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, ofActors as one } from "./Fault.ts"

export const breakers: ReadonlyArray<Fault> = [
  one(
    "breaker-all-probe",
    "as many probe as may",
    "BreakerMachine.ts",
    "context.passed + context.probing < probes",
    "context.passed + context.probing <= probes"
  ),
  one(
    "breaker-late-counts",
    "what ends in another epoch counts nothing",
    "BreakerMachine.ts",
    'event.type === "ENDED" && event.epoch !== context.epoch',
    "event.at < 0"
  ),
  one(
    "breaker-former-life-counts",
    "who was let in by a former life counts nothing in this one",
    "Breaker.ts",
    "context: { ...initial, epoch } }",
    "context: { ...initial, epoch: epoch - epoch } }"
  ),
  one(
    "breaker-probe-kept",
    "a probe that is cancelled gives its place back",
    "BreakerMachine.ts",
    '{ guard: "isIgnored", actions: "leave" },',
    '{ guard: "isIgnored" },'
  ),
  one(
    "breaker-half-open-for-ever",
    "a probe that does not end is given up",
    "BreakerMachine.ts",
    'DUE: { target: "open", actions: "open" },',
    ""
  ),
  one(
    "breaker-probes-hurried",
    "time for probes runs from the first of them",
    "BreakerMachine.ts",
    "due: due ?? event.at + probeTimeout",
    "due: event.at + probeTimeout"
  ),
  one("breaker-opens-early", "fewer than atLeast say nothing", "BreakerMachine.ts", "counted >= atLeast && ", ""),
  one(
    "breaker-old-count",
    "what is older than within does not count",
    "BreakerMachine.ts",
    "each.at > at - within",
    "true"
  ),
  one(
    "breaker-never-grows",
    "open for twice as long when a probe fails",
    "BreakerMachine.ts",
    "openFor * 2 ** context.openings",
    "openFor"
  ),
  one(
    "breaker-actor-a-step",
    "one scope for all steps",
    "BreakerStep.ts",
    "machine.resolveState(before), { ...event, at }, scope)",
    "machine.resolveState(before), { ...event, at }, { ...scope, self: createActor(machine) })"
  ),
  one(
    "breaker-opened-by-nothing",
    "while it is open it says what opened it",
    "BreakerMachine.ts",
    "opened: opening(context, event),",
    ""
  ),
  one(
    "breaker-late-probes-uncounted",
    "a probe that did not end in time is a failure that opened it",
    "BreakerMachine.ts",
    'what === "DUE" ? probing : 1',
    "1"
  ),
  one(
    "breaker-cancelled-counts",
    "an interrupted call counts neither way",
    "Breaker.ts",
    'if (Cause.hasInterruptsOnly(exit.cause)) return "ignored"',
    'if (Cause.hasInterruptsOnly(exit.cause)) return "failed"'
  ),
  one(
    "breaker-mistakes-count",
    "what isFailure does not take for one is none",
    "Breaker.ts",
    "(Cause.isFailReason(reason) && isFailure(reason.error))",
    "Cause.isFailReason(reason)"
  ),
  one(
    "breaker-outcomes-lost",
    "outcomes wait for room in a full mailbox",
    "Breaker.ts",
    'mailbox: { overflow: "suspend" },',
    ""
  ),
  one(
    "breaker-untold",
    "8: who is let in tells how it ended whatever happens",
    "Breaker.ts",
    "const exit = yield* Effect.exit(restore(effect))",
    "const exit = Exit.succeed(yield* restore(effect))"
  )
]
