/**
 * Peer `effect-cluster`: an Entity of effect/cluster each, one runner, all in memory, nothing serialized.
 *
 * A tell is a request with `discard`; what a handler sends is sent when it has returned. An entity is made by its first message and ends when idle,
 * so `stop` only forgets the scenario's callback. Its limits on mailboxes and residents are lifted, as they would refuse the scenarios' load.
 */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { Entity, MessageStorage, RunnerHealth, Runners, RunnerStorage, Sharding, ShardingConfig } from "effect/cluster"
import { Rpc } from "effect/rpc"
import type { Handler, Peer, Ref } from "../Peer.ts"

interface EntityRef {
  readonly id: string
}

const Callback = Entity.make("Callback", [
  Rpc.make("M", { payload: { message: Schema.Any } }),
  Rpc.make("Ask", { payload: { question: Schema.Number }, success: Schema.Number })
])

const handlers = new Map<string, Handler>()
const answers = new Map<string, (question: number) => number>()

/** What the handler on the stack sends; undefined outside of handlers. */
let sends: Array<Effect.Effect<void>> | undefined

const layer = Callback.toLayer(
  Effect.gen(function* () {
    const { entityId } = yield* Entity.CurrentAddress
    const self: EntityRef = { id: entityId }
    return Callback.of({
      M: ({ payload }) =>
        Effect.suspend(() => {
          const mine: Array<Effect.Effect<void>> = []
          sends = mine
          handlers.get(entityId)?.(payload.message, self)
          sends = undefined
          return mine.length === 0 ? Effect.void : Effect.all(mine, { discard: true })
        }),
      Ask: ({ payload }) => Effect.sync(() => answers.get(entityId)?.(payload.question) ?? -1)
    })
  }),
  { mailboxCapacity: "unbounded", maxIdleTime: "1 hour" }
).pipe(
  Layer.provideMerge(Sharding.layer),
  Layer.provide([Runners.layerNoop, RunnerHealth.layerNoop, RunnerStorage.layerMemory]),
  Layer.provide(MessageStorage.layerNoop),
  Layer.provide(ShardingConfig.layer({ simulateRemoteSerialization: false, maxResidentEntities: 10_000_000 }))
)

const runtime = ManagedRuntime.make(layer)
const client = await runtime.runPromise(Callback.client)

let count = 0

export const peer: Peer = {
  name: "effect-cluster",
  spawn: (handler, number) => {
    const id = "a" + (number ?? "nonymous" + count++)
    handlers.set(id, handler)
    return { id } satisfies EntityRef
  },
  tell: (to: Ref, message: unknown) => {
    const send = Effect.orDie(client((to as EntityRef).id).M({ message }, { discard: true }))
    if (sends === undefined) runtime.runFork(send)
    else sends.push(send)
  },
  stop: (self) => {
    handlers.delete((self as EntityRef).id)
  },
  server: (answer) => {
    const id = "server" + count++
    answers.set(id, answer)
    return { id } satisfies EntityRef
  },
  client: (to, questions) =>
    runtime.runPromise(
      Effect.gen(function* () {
        const ref = client((to as EntityRef).id)
        let right = 0
        for (let i = 0; i < questions; i++) if ((yield* ref.Ask({ question: i })) === i + 1) right++
        return right
      })
    )
}
