/**
 * Faults in machines as actors, and in threads that cannot be made.
 *
 * Read by `run.ts`, which tells how a fault is written.
 */
import { type Fault, one } from "./Fault.ts"

export const machines: ReadonlyArray<Fault> = [
  one(
    "machine-input-of-nobody",
    "input is of the key",
    "actor/Machine.ts",
    "(input as (key: string) => unknown)(key)",
    '(input as (key: string) => unknown)("")'
  ),
  one(
    "machine-emit-lost",
    "what a machine emits is told",
    "actor/Machine.ts",
    "onEmit(event as EmittedFrom<M>, self as never)",
    "undefined"
  ),
  one(
    "machine-emit-unheard",
    "12: a machine that emits to nobody is refused by name",
    "actor/Machine.ts",
    "    if (onEmit === undefined) {\n",
    "    if (onEmit === undefined) return\n    if (onEmit === null) {\n"
  ),
  one(
    "machine-emit-found-late",
    "12: a machine that emits to nobody is refused when it is made",
    "actor/Machine.ts",
    "if (emitted !== undefined) refuseUnheard",
    "if (emitted === null) refuseUnheard"
  ),
  one(
    "machine-emit-named",
    "12: an emit that the machine has by name is found, too",
    "actor/Machine.ts",
    "return [name, implementations.actions[name]]",
    "return [name, action]"
  ),
  one(
    "machine-action-missing",
    "12: a machine whose action does nothing in silence is refused when it is made",
    "actor/Machine.ts",
    "if (made === undefined) refuseMissing",
    "if (made === null) refuseMissing"
  ),
  one(
    "machine-delay-missing",
    "12: a machine whose delay would be none at all is refused when it is made",
    "actor/Machine.ts",
    "machine.implementations.delays[delay] === undefined",
    "machine.implementations.delays[delay] === null"
  ),
  one(
    "machine-action-missing-late",
    "12: a missing action that only enqueueActions shows is refused by name",
    "actor/Machine.ts",
    'if (exec === undefined) return refuseMissing(nameOf(machine.root, type), "action", name)',
    "if (exec === undefined) return"
  ),
  one(
    "machine-action-promise",
    "9: an action's rejected Promise is its actor's failure",
    "actor/Machine.ts",
    "self.fork(Effect.promise(() => given))",
    "void given"
  ),
  one(
    "machine-action-unhandled",
    "9: an action's rejected Promise is nothing but its actor's failure",
    "actor/Machine.ts",
    "given.catch(() => {}) // heard by the fork, if there is one",
    ""
  ),
  one(
    "machine-action-effect",
    "12: an action's Effect that nobody would run is refused by name",
    "actor/Machine.ts",
    "} else if (Effect.isEffect(given)) {",
    "} else if (given === Effect.never) {"
  ),
  one(
    "machine-emit-effect",
    "12: an Effect that nobody would run is refused by name",
    "actor/Machine.ts",
    "if (isPromise || Effect.isEffect(heard)) {",
    "if (isPromise) {"
  ),
  one(
    "machine-actions-left-over",
    "a step does what it asks for, and nothing of another's",
    "actor/Machine.ts",
    "const wanted: Array<Action> = (actions = [])",
    "const wanted: Array<Action> = actions"
  ),
  one(
    "machine-first-state-anew",
    "a life's context is made once",
    "actor/Machine.ts",
    "execute(() => machine.transition(state, event as never, scope), self)",
    "execute(() => (machine.getInitialSnapshot(scope), machine.transition(state, event as never, scope)), self)"
  ),
  one(
    "offload-unmade-dies",
    "where no thread can be made calls run on the loop",
    "compute/Threads.ts",
    "return resume(this.#unmade(call, said(error)))",
    "throw error"
  ),
  one(
    "offload-unmade-in-silence",
    "where no thread can be made the log says so",
    "compute/Threads.ts",
    "      this.#tellLost(why)\n",
    ""
  )
]
