/**
 * The programs of a system: one for all actors of a behaviour that are given the same services.
 *
 * Floor 2; used by the system at every spawn. An actor pays one word for what is the same for its kind, and its handlers
 * are weighed together. Services are compared by what they hold: a fiber's context is another object after each span, and
 * one program an actor cost 840 B each.
 * Cost: a lookup where the spawner's context is that of the last spawn, else a walk over its services.
 */
import { Context, References, Tracer } from "effect"
import { type Plan, Program } from "../actor/Plan.ts"
import type { Runtime } from "../actor/Runtime.ts"

interface Known {
  /** As they were in the last spawner's fiber. */
  given: Context.Context<never>
  readonly program: Program
}

const alike = (a: Context.Context<never>, b: Context.Context<never>): boolean => {
  if (a.mapUnsafe.size !== b.mapUnsafe.size) return false
  for (const [key, service] of a.mapUnsafe) if (b.mapUnsafe.get(key) !== service) return false
  return true
}

export class Programs {
  readonly #runtime: Runtime
  readonly #known = new WeakMap<Plan, Known>()

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Without what a spawner's fiber carries that an actor must not keep. */
  of(plan: Plan, given: Context.Context<never>): Program {
    const known = this.#known.get(plan)
    if (known?.given === given) return known.program
    const services = Context.omit(Tracer.ParentSpan, References.CurrentStackFrame)(given)
    if (known !== undefined && alike(known.program.services, services)) {
      known.given = given
      return known.program
    }
    const program = new Program(plan, this.#runtime, services)
    this.#known.set(plan, { given, program })
    return program
  }
}
