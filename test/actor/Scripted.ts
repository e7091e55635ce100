/**
 * An actor whose handlers are given with the message: `Run` runs a function of `self`, so a test reads as its story.
 *
 * `Run` is an ask or a tell; whatever the function returns is the outcome (nothing: state unchanged, answered with void).
 * `Sure` is the same, `Actor.Committed`.
 */
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, type ActorRef, type Behavior, type ExitReason, type Limits, type Self } from "troupe"
import type { Client } from "../../src/actor/Client.ts"

const Run = Rpc.make("Run", { payload: Schema.Any, success: Schema.Any, error: Schema.String })
const Sure = Rpc.make("Sure", { payload: Schema.Any, success: Schema.Any, error: Schema.String }).annotate(
  Actor.Committed,
  true
)
const Note = Rpc.make("Note", { payload: Schema.String })
export type P = typeof Run | typeof Sure | typeof Note
export type Me = Self<P>

export interface Options extends Limits {
  readonly type?: string
  readonly initial?: unknown
  readonly onStop?: (why: ExitReason) => Effect.Effect<unknown> | undefined
}

export interface Scripted {
  readonly behavior: Behavior<P, never>
  /** Notes, deaths and stops, in the order they were handled. */
  readonly log: Array<string>
}

export const scripted = ({ type = "S", initial = 0, onStop, ...limits }: Options = {}): Scripted => {
  const log: Array<string> = []
  const definition = Actor.make(type, { state: Schema.Any, protocol: [Run, Sure, Note] })
  const handle = (state: unknown, script: (self: Me, state: unknown) => unknown, self: Me) => {
    const orNothing = (out: unknown) => (out === undefined ? Actor.reply(undefined) : out)
    const out = script(self, state)
    return (Effect.isEffect(out) ? Effect.map(out, orNothing) : orNothing(out)) as never
  }
  const behavior = definition.behavior({
    ...limits,
    initial: initial as never,
    on: {
      Run: handle,
      Sure: handle,
      Note: (state: unknown, text) => {
        log.push(text)
        return state
      }
    },
    onTerminated: (_: unknown, { ref, reason }) => void log.push(`${ref.address} ${reason._tag}`),
    onStop: (_: unknown, why) => {
      log.push(`stop ${why._tag}`)
      return onStop?.(why) ?? Effect.void
    }
  })
  return { behavior: behavior as unknown as Behavior<P, never>, log }
}

/** Runs a script in the actor's handler and waits for its answer. */
export const run = (ref: ActorRef<P>, script: (self: Me, state: unknown) => unknown): Effect.Effect<unknown, unknown> =>
  ref.ask("Run", script)

/** The same, without waiting. */
export const send = (ref: ActorRef<P>, script: (self: Me, state: unknown) => unknown): void => {
  ref.tellUnsafe("Run", script)
}

/** A client that takes everything and tells nothing. */
export const client: Client = {
  id: "c",
  principal: undefined,
  session: undefined,
  away: false,
  sendNow: () => true,
  sendShared: () => true,
  close: () => {}
}
