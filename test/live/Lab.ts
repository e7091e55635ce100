/**
 * A gateway in the test's own process, and an agent whose handlers a test holds by the hand: for live tests.
 *
 * `Lab` has a method for each way a handler may end: answered when the test says so (`gate`), failed, a typed error, an
 * answer that its Schema refuses. The books must balance when a gateway is closed, and nothing may be left queued.
 */
import { inspect } from "node:util"
import { Context, Effect, Exit, Layer, Logger, Schema, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Agent, type Host, type Limits } from "troupe"
import { Gateway, type GatewayOptions, type OpenGateway, type Principal } from "troupe/gateway"

export class Muted extends Schema.TaggedError<Muted>()("Muted", { until: Schema.Date }) {}

const Touchy = Schema.String.check(
  Schema.makeFilter((text: string) => {
    if (text === "boom") throw new Error("a filter that throws: secret")
    return true
  })
)

const Beat = Schema.Struct({ who: Schema.String, n: Schema.Int, padding: Schema.String })

export const Lab = Agent.make("Lab", {
  state: Schema.Struct({ kept: Schema.Int, deep: Schema.optional(Schema.Unknown) }),
  clients: [
    Rpc.make("Hold", { payload: { n: Schema.Int }, success: Schema.Int }),
    Rpc.make("Note", { payload: { n: Schema.Int } }),
    Rpc.make("Kept", { success: Schema.Int }),
    Rpc.make("Who", { success: Schema.NullOr(Schema.String) }),
    Rpc.make("Fail"),
    Rpc.make("Mute", { error: Muted }),
    Rpc.make("Liar", { success: Schema.Int }),
    Rpc.make("Odd", { success: Schema.Unknown }),
    Rpc.make("Touch", { payload: { text: Touchy } }),
    Rpc.make("Flood", { payload: { frames: Schema.Int, bytes: Schema.Int } }),
    Rpc.make("WrongEvent"),
    Rpc.make("Emit", {
      payload: {
        event: Schema.Literals(["Tick", "Moved"]),
        who: Schema.String,
        from: Schema.Int,
        to: Schema.Int,
        bytes: Schema.Int
      }
    }),
    Rpc.make("Others", { payload: { text: Schema.String } }),
    Rpc.make("Deep", { payload: { value: Schema.Unknown }, success: Schema.Unknown }),
    Rpc.make("Stop"),
    Rpc.make("Count", {
      payload: { to: Schema.Int, bytes: Schema.optional(Schema.Int), end: Schema.optional(Schema.String) },
      success: Schema.Union([Schema.Int, Schema.String]),
      error: Muted,
      stream: true
    }),
    Rpc.make("HangUp", { payload: { code: Schema.Int, reason: Schema.String } })
  ],
  events: [
    Rpc.make("Filler", { payload: { text: Schema.String } }),
    Rpc.make("Tick", { payload: Beat }).annotate(Agent.Overflow, "dropOldest"),
    Rpc.make("Moved", { payload: Beat }).annotate(
      Agent.Overflow,
      Agent.coalesce((beat: typeof Beat.Type) => beat.who)
    )
  ]
})

type State = typeof Lab.state.Type

/** What a test sees and steers of the handlers. */
export class Gate {
  readonly held: Array<number> = []
  readonly interrupted: Array<number> = []
  readonly noted: Array<number> = []
  readonly hooks: Array<string> = []
  /** What `onConnect` saw of its clients. */
  readonly principals: Array<Principal | undefined> = []
  /** What was logged, causes and all. */
  readonly logs: Array<string> = []
  produced = 0
  streamsEnded = 0
  #open: Array<() => void> = []
  #stays = false

  /** Waits until the test opens the gate. */
  wait(n: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.held.push(n)
      if (this.#stays) return resume(Effect.void)
      this.#open.push(() => resume(Effect.void))
      return Effect.sync(() => void this.interrupted.push(n))
    })
  }

  /** Lets go of all that wait now or ever. */
  stayOpen(): void {
    this.#stays = true
    this.open()
  }

  /** Lets go of all that wait now. */
  open(): void {
    for (const go of this.#open.splice(0)) go()
  }
}

export const behavior = (gate: Gate, limits: Limits = {}) =>
  Lab.behavior({
    initial: { kept: 0 },
    supervision: { backoff: { min: 1, max: 1 } },
    ...limits,
    on: {
      Hold: (_: State, { n }) => Effect.as(gate.wait(n), Actor.reply(n)),
      Note: (state, { n }) => {
        gate.noted.push(n)
        return { kept: state.kept + 1 }
      },
      Kept: (state) => Actor.reply(state.kept),
      Who: (_, __, self) => Actor.reply(self.client?.principal?.id ?? null),
      Fail: (): State => {
        throw new Error("secret")
      },
      Mute: () => Effect.fail(new Muted({ until: new Date(0) })),
      Liar: () => Actor.reply("no integer" as unknown as number),
      Odd: () => Actor.reply({ toJSON: () => BigInt(1) }),
      Touch: (state) => state,
      Flood: (state, { frames, bytes }, self) => {
        for (let i = 0; i < frames; i++) self.broadcast("Filler", { text: "x".repeat(bytes) })
        return state
      },
      Emit: (state, { event, who, from, to, bytes }, self) => {
        for (let n = from; n <= to; n++) {
          self.broadcast(event, { who, n, padding: "x".repeat(bytes) }, { except: self.caller })
        }
        return state
      },
      Others: (state, { text }, self) => {
        self.broadcast("Filler", { text }, { except: self.caller })
        return state
      },
      WrongEvent: (state, _, self) => {
        self.broadcast("Filler", { text: 1 as unknown as string })
        return state
      },
      Deep: (state, { value }) => Actor.reply(value, { ...state, deep: value }),
      Count: (state, { to, bytes, end }) => {
        const numbers = Stream.fromIterable(Array.from({ length: to }, (_, i) => i)).pipe(
          Stream.rechunk(4),
          Stream.tap(() => Effect.sync(() => void gate.produced++)),
          Stream.map((n) => (bytes === undefined ? n : "x".repeat(bytes)))
        )
        const ends: Record<string, Stream.Stream<number, Muted>> = {
          never: Stream.never,
          typed: Stream.fail(new Muted({ until: new Date(0) })),
          dies: Stream.die(new Error("secret")),
          unfit: Stream.make(1.5)
        }
        const last = end === undefined ? Stream.empty : ends[end]!
        const counted = Stream.ensuring(
          Stream.concat(numbers, last),
          Effect.sync(() => void gate.streamsEnded++)
        )
        return Actor.reply(counted, { ...state, kept: state.kept + 1 })
      },
      Stop: (state, _, self) => {
        self.stop()
        return state
      },
      HangUp: (state, { code, reason }, self) => {
        if (self.client !== undefined) self.close(self.client, code, reason)
        return state
      }
    },
    onConnect: (_, client, __, why) => {
      gate.hooks.push(`${client.id} ${why}`)
      gate.principals.push(client.principal)
    },
    onAway: (_, client) => void gate.hooks.push(`${client.id} away ${client.away}`),
    onBack: (_, client) => void gate.hooks.push(`${client.id} back ${client.away}`),
    onDisconnect: (_, client, { code }) => void gate.hooks.push(`${client.id} left ${code}`)
  })

export type LabOptions = Partial<Omit<GatewayOptions<never>, "agents">>

export interface Live {
  readonly url: string
  readonly gateway: OpenGateway
  readonly host: Host
  /** Runs an effect among its services. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, Gateway | ActorSystem>) => Promise<A>
  /** Closes the gateway, then the system, and fails if the books do not balance. */
  readonly close: () => Promise<void>
}

/** Opens a gateway for the lab on a free port; its log is the gate's. `clock`: whose time it is, instead of the real one's. */
export const open = async (
  gate: Gate,
  options: LabOptions = {},
  limits: Limits = {},
  clock: Layer.Layer<never> = Layer.empty
): Promise<Live> => {
  const scope = Scope.makeUnsafe()
  const layer = Gateway.layer({ port: 0, agents: [behavior(gate, limits)], ...options }).pipe(
    Layer.provideMerge(ActorSystem.layer),
    Layer.provide(
      Logger.layer([Logger.make(({ message, cause }) => gate.logs.push(`${inspect(message)} ${String(cause)}`))])
    ),
    Layer.provideMerge(clock)
  )
  const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const gateway = Context.get(services, Gateway)
  const host = Context.get(services, ActorSystem)
  const close = async (): Promise<void> => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    const { queued, running } = host.snapshot()
    const { heldBytes } = gateway.stats()
    if (heldBytes !== 0) throw new Error(`a closed gateway holds ${heldBytes} bytes`)
    const faults = [...host.imbalances(), ...(queued + running > 0 ? [`${queued} queued, ${running} running`] : [])]
    if (faults.length > 0) throw new Error(`law 4, conservation: ${faults.join("; ")}`)
  }
  const run: Live["run"] = (effect) => Effect.runPromise(Effect.provide(effect, services))
  return { url: `${gateway.url}/agents/Lab`, gateway, host, run, close }
}

/** Waits on a fact; fails with what was waited for. */
export const until = async (what: string, fact: () => boolean): Promise<void> => {
  for (let looks = 0; looks < 3000; looks++) {
    if (fact()) return
    await new Promise((resolve) => setTimeout(resolve, looks < 100 ? 0 : 5))
  }
  throw new Error(`waited in vain until ${what}`)
}
