/**
 * The demo host: Echo, Counter and Room agents over WebSockets.
 *
 * Run: npm start            PORT (default 4000), HOST (default 127.0.0.1), MAX_CONNECTIONS (default 16,384) from the environment
 *
 * Prints one line with its URL when it listens. SIGTERM and SIGINT drain it: what was read is answered, then the
 * connections are closed with 1012, then the agents stop.
 */
import { Config, Effect, Layer, Logger, References } from "effect"
import { ActorSystem } from "troupe"
import { Gateway } from "troupe/gateway"
import { counter } from "./agents/counter.ts"
import { echo } from "./agents/echo.ts"
import { room } from "./agents/room.ts"

const gateway = Layer.unwrap(
  Effect.gen(function* () {
    const port = yield* Config.withDefault(Config.Int("PORT"), 4000)
    const host = yield* Config.withDefault(Config.String("HOST"), "127.0.0.1")
    const maxConnections = yield* Config.withDefault(Config.Int("MAX_CONNECTIONS"), 16_384)
    return Gateway.layer({ port, host, agents: [echo, counter, room], maxConnections })
  })
)

const host = Effect.gen(function* () {
  const { url, drain } = yield* Gateway
  yield* Effect.logInfo(`listening on ${url}/agents/{Echo,Counter,Room}/{key}`)
  yield* Effect.addFinalizer(() =>
    Effect.logInfo("draining").pipe(
      Effect.andThen(drain),
      Effect.andThen((report) => Effect.logInfo(`drained ${JSON.stringify(report)}`))
    )
  )
  return yield* Effect.never
})

const level = Config.LogLevel("LOG_LEVEL").pipe(Config.withDefault("Info" as const))
const logging = Layer.effect(References.MinimumLogLevel, level).pipe(
  Layer.merge(Logger.layer([Logger.consolePretty()]))
)
const program = host.pipe(
  Effect.scoped,
  Effect.provide(gateway.pipe(Layer.provideMerge(ActorSystem.layer), Layer.provideMerge(logging)))
)

const fiber = Effect.runFork(program)
// every time: of a Ctrl-C the terminal tells the whole group, and npm passes it on once more
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  const stopped = exit._tag === "Success" || exit.cause.reasons.every((reason) => reason._tag === "Interrupt")
  if (!stopped) console.error(String(exit.cause))
  process.exitCode = stopped ? 0 : 1
})
