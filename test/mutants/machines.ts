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
    "if (made === undefined) {",
    "if (made === null) {"
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
