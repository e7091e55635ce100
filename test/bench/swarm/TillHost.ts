/**
 * A host that remembers what it has handled, and tells it when it ends: for the herd. Started by `Herd.ts`.
 *
 * `Put` answers its number, at once or a while later. PORT, DRAIN_BATCH and DRAIN_SPREAD (ms) from the environment. Over IPC it
 * sends its URL when it listens; after SIGTERM its drain's report and every number that was handled, by key, in order.
 */
import { Effect, Layer, Logger, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent } from "troupe"
import { type DrainReport, Gateway } from "troupe/gateway"

export type Word =
  | { readonly _tag: "Listening"; readonly url: string }
  | { readonly _tag: "Ended"; readonly report: DrainReport; readonly handled: ReadonlyArray<string> }

const Till = Agent.make("Till", {
  state: Schema.Int,
  clients: [Rpc.make("Put", { payload: { n: Schema.Int, millis: Schema.Int }, success: Schema.Int })]
})

const handled: Array<string> = []

const till = Till.behavior({
  initial: 0,
  on: {
    Put: (state, { n, millis }, self) => {
      const put = Effect.sync(() => {
        handled.push(`${self.key} ${n}`)
        return Actor.reply(n, state + 1)
      })
      return millis === 0 ? put : Effect.andThen(Effect.sleep(millis), put)
    }
  }
})

const given = (name: string): number | undefined => {
  const text = process.env[name]
  return text === undefined || text === "" ? undefined : Number(text)
}

const [batch, spread] = [given("DRAIN_BATCH"), given("DRAIN_SPREAD")]
const gateway = Gateway.layer({
  port: given("PORT") ?? 0,
  agents: [till],
  ...(batch === undefined ? {} : { drainBatch: batch }),
  ...(spread === undefined ? {} : { drainSpread: spread })
})

const send = (word: Word): void => void process.send!(word)

let report: DrainReport | undefined
const host = Effect.gen(function* () {
  const { url, drain } = yield* Gateway
  yield* Effect.addFinalizer(() => Effect.map(drain, (done) => void (report = done)))
  send({ _tag: "Listening", url })
  return yield* Effect.never
})

const layers = gateway.pipe(Layer.provideMerge(ActorSystem.layer), Layer.provide(Logger.layer([])))
const fiber = Effect.runFork(host.pipe(Effect.scoped, Effect.provide(layers)))
process.once("SIGTERM", () => fiber.interruptUnsafe())
// whoever started it is gone
process.once("disconnect", () => fiber.interruptUnsafe())
fiber.addObserver(() => {
  if (report !== undefined && process.connected) send({ _tag: "Ended", report, handled })
  process.disconnect?.()
})
