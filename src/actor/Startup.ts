/**
 * From `connecting` to `active`: an incarnation gets its state.
 *
 * Floor 1; called at spawn, and by Teardown after a restart's wait. A plain `initial` costs no turn: the actor is active
 * when `spawn` returns. A function of the key, or an Effect, runs in the actor's own turn; it may take `connectTimeout`.
 * Law 1: no mail is handled before the state is there; it waits in the bounded mailbox.
 * Rule: after a restart `onConnect(client, "restarted")` runs for each live connection before any mail.
 */
import { Cause, Effect, Exit } from "effect"
import { CONNECTED } from "../kernel/Envelope.ts"
import * as Lifecycle from "../kernel/Lifecycle.ts"
import * as Mailbox from "../kernel/Mailbox.ts"
import { Deadline } from "../kernel/Timers.ts"
import type { Cell } from "./Cell.ts"
import { INITIAL, type Running } from "./Extra.ts"
import * as Forks from "./Forks.ts"
import { freeze } from "./Freeze.ts"
import * as Outputs from "./Outputs.ts"
import { above } from "./Overseer.ts"
import { Staging } from "./Staging.ts"
import { BUSY, HALTED, HELD, QUEUED, STARTING, UNBORN } from "./Status.ts"

type Initial = (key: string, self: unknown, input: unknown) => unknown

/** Begins an incarnation. */
export const start = (cell: Cell): void => {
  if (!cell.alive || cell.extra?.teardown !== undefined) return
  cell.status &= ~(HALTED | UNBORN)
  const { initial } = cell.program.plan
  if (typeof initial !== "function" && !Effect.isEffect(initial)) return ready(cell, initial, undefined)
  cell.status |= STARTING
  if ((cell.status & QUEUED) === 0) cell.schedule()
}

/** Runs `initial`, in a turn. */
export const run = (cell: Cell): void => {
  cell.status &= ~STARTING
  const { plan } = cell.program
  const initial = plan.initial as Initial | Effect.Effect<unknown, unknown>
  let out: unknown
  try {
    out = typeof initial === "function" ? initial(String(cell.key), cell.context(), cell.input) : initial
  } catch (error) {
    return failed(cell, Cause.die(error), cell.program.runtime.scratch)
  }
  if (Effect.isEffect(out)) effectful(cell, out as Effect.Effect<unknown, unknown>)
  else ready(cell, out, cell.program.runtime.scratch)
}

const effectful = (cell: Cell, effect: Effect.Effect<unknown, unknown>): void => {
  const { runtime, plan } = cell.program
  const handling = Forks.starting(cell)
  const fiber = Forks.start(cell, handling, effect)
  const exit = fiber.pollUnsafe()
  if (exit !== undefined) {
    Forks.handled(cell, handling)
    return done(cell, exit, runtime.scratch)
  }
  const extra = cell.record()
  const since = runtime.timers.now()
  const deadline = new Deadline(() => {
    if (running.cancelled)
      return runtime.stuck(cell, "initial", runtime.timers.now() - since, "its uninterruptible end")
    running.cancelled = true
    runtime.timers.arm(deadline, plan.stuckMillis)
    fiber.interruptUnsafe()
  })
  const running: Running = {
    fiber,
    handling,
    tag: INITIAL,
    payload: undefined,
    origin: undefined,
    staging: runtime.scratch,
    stuck: deadline,
    cancelled: false
  }
  runtime.scratch = new Staging()
  extra.running = running
  cell.status |= BUSY
  runtime.timers.arm(deadline, plan.connectMillis)
  fiber.addObserver((end) => {
    if (extra.running !== running) return
    extra.running = undefined
    cell.status &= ~BUSY
    Forks.handled(cell, handling)
    runtime.timers.cancel(deadline)
    if (running.cancelled && extra.teardown === undefined) {
      const late = Cause.die(
        new Error(`initial took longer than ${plan.connectMillis} ms (behavior option connectTimeout)`)
      )
      const dirty = Exit.isFailure(end) && !Cause.hasInterruptsOnly(end.cause)
      failed(cell, dirty ? Cause.combine(late, end.cause) : late, running.staging)
    } else done(cell, end, running.staging)
    cell.rest()
  })
}

const done = (cell: Cell, exit: Exit.Exit<unknown, unknown>, staging: Staging): void => {
  if ((cell.status & HALTED) !== 0) {
    Outputs.discard(cell, staging)
    Forks.late(cell, "initial", exit)
  } else if (Exit.isSuccess(exit)) ready(cell, exit.value, staging)
  else failed(cell, exit.cause, staging)
}

const failed = (cell: Cell, cause: Cause.Cause<unknown>, staging: Staging): void => {
  const { runtime } = cell.program
  Outputs.discard(cell, staging)
  runtime.counts.failed++
  runtime.failed(cell, { incident: runtime.incident(), tag: "initial", cause })
}

const ready = (cell: Cell, state: unknown, staging: Staging | undefined): void => {
  const { runtime, plan } = cell.program
  cell.state = runtime.freezes ? freeze(state) : state
  cell.status &= ~HELD
  // its siblings go on once everybody has heard; one that drains already handles its mail, and is not ready
  if (cell.change(Lifecycle.READY, "ready")) above(cell)?.ready(cell)
  const clients = cell.extra?.clients
  if (clients !== undefined && clients.size > 0) {
    const box = (cell.mailbox ??= Mailbox.acquire(plan.capacity))
    // those that the last incarnation did not come to greet
    const again = (tag: number, _client: unknown, why: unknown): boolean => tag === CONNECTED && why === "restarted"
    for (const [tag, client] of box.removeAll(again)) cell.bury(tag, client, "stale")
    for (const client of [...clients].toReversed()) {
      box.unshift(CONNECTED, client, "restarted")
      cell.accepted++
    }
  }
  if (staging !== undefined && staging.size > 0) Outputs.release(cell, staging, 0)
  const onStack = runtime.scheduler.current === cell
  if (!onStack && cell.mailbox !== undefined && (cell.status & (QUEUED | BUSY)) === 0) cell.schedule()
  // an actor that never gets mail goes idle too
  else if (!onStack && plan.idleMillis !== Number.POSITIVE_INFINITY) cell.rest()
  if (cell.extra?.teardown !== undefined) cell.advance()
}
