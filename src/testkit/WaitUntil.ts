/**
 * Waits on a fact, never on time.
 *
 * Floor 5; used by tests. Between two looks it yields, so that actors, promises and timers of the real clock go on; it gives
 * up after `limit` looks and fails with what was waited for and the tree of the system, so that the failure says who hangs.
 * Under a test clock time does not pass by yielding: move it first (`TestClock.adjust`).
 * Bounded by looks, not by time, so that a slow machine does not fail a test that would have passed.
 * Cost: one look a turn of the event loop.
 */
import { Effect } from "effect"
import { ActorSystem, type Host } from "../supervision/ActorSystem.ts"
import type { TreeNode } from "../supervision/Snapshot.ts"

/** All actors of a system, one a line: address, state, incarnation, books. */
export const printTree = (host: Host): string => {
  const line = (node: TreeNode, indent: string): ReadonlyArray<string> => {
    const { accepted, finished, deadLettered, queued, running } = node
    const books = `accepted ${accepted}, finished ${finished}, dead ${deadLettered}, queued ${queued}, running ${running}`
    const own = `${indent}${node.address} [${node.state} #${node.incarnation}] ${books}`
    return [own, ...node.children.flatMap((child) => line(child, `${indent}  `))]
  }
  const lines = host.tree().flatMap((node) => line(node, "  "))
  return lines.length === 0 ? "  (no actor lives)" : lines.join("\n")
}

/** Succeeds once `fact()` holds; dies after `limit` looks (default 20,000), printing the system. */
export const waitUntil = (
  fact: () => boolean,
  what: string,
  limit: number = 20_000
): Effect.Effect<void, never, ActorSystem> =>
  Effect.gen(function* () {
    const host = yield* ActorSystem
    for (let looks = 0; looks < limit; looks++) {
      if (fact()) return
      yield* Effect.yieldNow
    }
    return yield* Effect.die(new Error(`waited in vain until ${what}; the system:\n${printTree(host)}`))
  })
