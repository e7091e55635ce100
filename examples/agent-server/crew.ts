/** The clients in a process of their own: each end of a socket is a file, and of those a process may have so many. */
import { Effect } from "effect"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Answers, Order } from "./orders.ts"

/** Starts it; ends it with the scope. What it gives is `tell`: an order, and the answer when it is carried out. */
export const crew = Effect.acquireRelease(
  Effect.sync(() => fork(fileURLToPath(new URL("clients.ts", import.meta.url)))),
  (child) => Effect.sync(() => child.connected && child.disconnect())
).pipe(
  Effect.map((child) => {
    const ended = once(child, "exit").then(() => Promise.reject(new Error("the process of the clients has ended")))
    ended.catch(() => {}) // heard by whoever waits for an answer
    return <O extends Order>(order: O) =>
      Effect.promise(async () => {
        const answered = once(child, "message")
        child.send(order)
        return ((await Promise.race([answered, ended])) as [Answers[O["do"]]])[0]
      })
  })
)
