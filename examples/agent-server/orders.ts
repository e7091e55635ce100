/** What the clients' process is told, and how it answers. */
export type Order =
  | { readonly do: "connect"; readonly url: string; readonly clients: number }
  | { readonly do: "wake"; readonly times: number }
  | { readonly do: "beHeard" | "leave" }

export interface Answers {
  /** How many were greeted as they should be. */
  readonly connect: number
  /** Milliseconds from when an echo was due to when it was back. */
  readonly wake: ReadonlyArray<number>
  /** Heartbeats that were answered, when each client had one. */
  readonly beHeard: number
  /** Messages sent in all, how many the agents say they handled, clients that were let go as they should be. */
  readonly leave: { readonly sent: number; readonly handled: number; readonly closed: number }
}
