/**
 * What a peer of the benchmark has to offer, and what a scenario hands in: types only.
 *
 * A peer makes actors from a callback that runs once a message, and a server that answers. The scenarios know nothing else of it: a message is any
 * value, a ref is whatever the peer sends to, and the `self` that a handler gets is such a ref too, so that it can travel in messages. A peer must
 * not drop a message in silence: it throws, or the scenario's count gives it away.
 */

/** An address; opaque to the scenarios. */
export type Ref = object

export type Handler = (message: any, self: Ref) => unknown

export interface Peer {
  readonly name: string
  /** Makes an actor; with a number it is named `a<number>`, where the peer has names. */
  readonly spawn: (handler: Handler, number?: number) => Ref
  readonly tell: (to: Ref, message: unknown) => void
  /** Ends an actor from inside its own handler. */
  readonly stop: (self: Ref) => void
  readonly server: (answer: (question: number) => number) => Ref
  /** Asks 0, 1, 2, ... in sequence, `questions` times; resolves with the number of right answers (`question + 1`). */
  readonly client: (server: Ref, questions: number) => Promise<number>
}

/** What a scenario measured, and whether all of it happened: a row whose `completed` is not `expected` is refused. */
export interface Row {
  readonly n: number
  readonly milliseconds: number
  readonly completed: number
  readonly expected: number
  readonly heap_bytes_per_actor?: number
  readonly p50_us?: number
  readonly p99_us?: number
  /** Figures of this scenario only, shown in the table. */
  readonly notes?: Readonly<Record<string, number>>
}

export interface Timed {
  readonly milliseconds: number
  readonly completed: number
}

export type Scenario = (peer: Peer) => Promise<Row>
