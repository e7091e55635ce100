/**
 * The processes that the benchmark has started: none outlives it, also when it is ended itself in the middle of a round.
 */
import type { ChildProcess } from "node:child_process"

const living = new Set<ChildProcess>()

process.once("exit", () => {
  for (const child of living) child.kill("SIGKILL")
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

export const watched = <C extends ChildProcess>(child: C): C => {
  living.add(child)
  child.once("exit", () => living.delete(child))
  return child
}
