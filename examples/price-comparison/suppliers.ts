/**
 * Suppliers of the price comparison: so many HTTP servers in this process, on free ports of 127.0.0.1, each with a price and a
 * delay; some are broken in a way of their own. They count what is on the wire: requests now and at the most, open sockets.
 *
 * Used by main.ts, which has the run line.
 */
import { Effect } from "effect"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface Supplier {
  readonly address: string
  readonly url: string
}

/** How a supplier answers; "slow": not in any time that one waits. */
export type Habit = "prompt" | "failing" | "resetting" | "garbage" | "slow"

export interface Counts {
  requests: number
  mostRequests: number
  sockets: number
}

const answer = (habit: Habit, price: number, response: ServerResponse): void => {
  if (habit === "resetting") response.socket?.resetAndDestroy()
  else if (habit === "failing") response.writeHead(500).end()
  else if (habit === "garbage") response.end("<p>Welcome to our shop!</p>")
  else if (habit === "prompt") response.setHeader("content-type", "application/json").end(JSON.stringify({ price }))
}

/** Opens them for the scope: supplier-1, supplier-2, ... */
export const open = (count: number, delayMillis: number, habits: Readonly<Record<number, Habit>> = {}) =>
  Effect.gen(function* () {
    const counts: Counts = { requests: 0, mostRequests: 0, sockets: 0 }
    const one = (n: number) => {
      const price = 100 + ((n * 7919) % 97)
      const server = createServer((_, response) => {
        counts.mostRequests = Math.max(counts.mostRequests, ++counts.requests)
        const timer = setTimeout(() => answer(habits[n] ?? "prompt", price, response), delayMillis)
        response.once("close", () => {
          clearTimeout(timer)
          counts.requests--
        })
      })
      server.on("connection", (socket) => {
        counts.sockets++
        socket.once("close", () => counts.sockets--)
      })
      const opened = Effect.callback<Supplier>((resume) => {
        server.listen(0, "127.0.0.1", () => {
          const { port } = server.address() as AddressInfo
          resume(Effect.succeed({ address: `supplier-${n}`, url: `http://127.0.0.1:${port}` }))
        })
      })
      // waits for sockets that are open still: clients close theirs
      const closed = Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
      return Effect.acquireRelease(opened, () => closed)
    }
    const numbers = Array.from({ length: count }, (_, at) => at + 1)
    return { counts, suppliers: yield* Effect.forEach(numbers, one, { concurrency: 50 }) }
  })
