/**
 * The processes that a driver has started: none outlives it, nor do theirs, also when it is ended itself in the middle.
 *
 * Those started `detached` lead a group: they end with all that they have started themselves, such as a test run's workers.
 */
import type { ChildProcess } from "node:child_process"

const living = new Set<ChildProcess>()

/** Kills it and, where it leads a group, everything in that. */
export const end = (child: ChildProcess): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, "SIGKILL")
  } catch {
    // no group is led by it, or nobody is left there
    child.kill("SIGKILL")
  }
}

process.once("exit", () => {
  for (const child of living) end(child)
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))

export const watched = <C extends ChildProcess>(child: C): C => {
  living.add(child)
  child.once("exit", () => living.delete(child))
  return child
}
