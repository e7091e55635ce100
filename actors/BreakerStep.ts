/**
 * A step of the breaker's machine: the state before and an event in, the state after out.
 *
 * Used by Breaker alone. XState's `transition(machine, snapshot, event)` is the same function, and a test holds that; but it makes
 * an actor that is never started, with a system of its own and the machine's first state, at each step, which is three quarters of
 * what it costs. Here one such actor serves all steps of all keys: it is only what a machine takes for itself, and holds nothing
 * of a step. `Actor.fromMachine` does so, too.
 * Cost: 3 us a step in place of 13 (best of 15 runs of 40,000), a third of that to make a snapshot of the state.
 * A machine that would do more than `assign` fails: what it asks for would be lost here.
 */
import { type AnyActorScope, createActor } from "xstate"
import type * as Machine from "./BreakerMachine.ts"
import type { Event, State } from "./BreakerState.ts"

export const make = (machine: ReturnType<typeof Machine.make>) => {
  const self = createActor(machine)
  const refuse = (): never => {
    throw new Error(`${machine.id}: its machine is pure, it may assign and nothing else`)
  }
  const scope: AnyActorScope = {
    self,
    id: self.id,
    sessionId: self.sessionId,
    system: self.system,
    logger: refuse,
    defer: refuse,
    emit: refuse,
    stopChild: refuse,
    actionExecutor: refuse
  }
  return (before: State, event: Event, at: number): State => {
    const { context, value } = machine.transition(machine.resolveState(before), { ...event, at }, scope)
    return { value, context }
  }
}
