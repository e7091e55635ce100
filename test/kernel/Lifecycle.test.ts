import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { createTestModel } from "@xstate/graph"
import { transition } from "xstate"
import { Actor, type ActorRef, ActorSystem, type Host, Lifecycle } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"

describe("Lifecycle", () => {
  it("table = machine, for every state and event", () => {
    Lifecycle.states.forEach((value, s) => {
      const from = Lifecycle.machine.resolveState({ value })
      Lifecycle.events.forEach((type, e) => {
        const [to] = transition(Lifecycle.machine, from, { type })
        const known = from.status !== "done" && from.can({ type })
        expect([value, type, Lifecycle.next(s, e)]).toEqual([
          value,
          type,
          known ? Lifecycle.states.indexOf(to.value as Lifecycle.State) : Lifecycle.NONE
        ])
      })
    })
  })

  it("takes mail in the states below draining, and in no other", () => {
    expect(Lifecycle.states.slice(0, Lifecycle.DRAINING)).toEqual(["connecting", "active", "idle"])
  })
})

const Walker = Actor.make("Walker", {
  state: Schema.Int,
  protocol: [Rpc.make("Wake"), Rpc.make("Fail"), Rpc.make("Busy")]
})

/** What has to happen to a real actor for each event of the machine. */
class Walk {
  readonly #host: Host
  readonly #ref: ActorRef<typeof Walker extends { at(key: string): ActorRef<infer P> } ? P : never>
  #open: () => void = () => {}
  readonly seen: Array<string> = []

  constructor(host: Host) {
    this.#host = host
    const gate = () =>
      Effect.callback<number>((resume) => {
        this.#open = () => resume(Effect.succeed(0))
      })
    const walker = Walker.behavior({
      initial: gate,
      idleAfter: "10 millis",
      shutdown: "1 hour",
      supervision: { backoff: { min: "1 millis", jitter: false }, intensity: { restarts: 1000 } },
      on: {
        Wake: (state) => state,
        Fail: () => {
          throw new Error("asked to")
        },
        *Busy(state) {
          yield* Effect.uninterruptible(Effect.sleep("10 minutes"))
          return state
        }
      }
    })
    host.system.onChange.add((change) => this.seen.push(`${change.from} -> ${change.to}`))
    this.#ref = host.spawnUnsafe(walker, "one")
  }

  get state(): string {
    return this.#host.state(this.#ref)
  }

  readonly #settle = Effect.andThen(TestClock.adjust(2), Effect.yieldNow)

  /** Makes `event` happen. */
  act(event: string): Effect.Effect<void, never, ActorSystem> {
    const { state } = this
    const now = (mode: "now" | "kill") => Effect.forkDetach(this.#ref.stop({ mode, within: "infinity" }))
    const steps: Record<string, Effect.Effect<unknown, unknown>> = {
      READY: Effect.sync(() => this.#open()),
      REST: TestClock.adjust("20 millis"),
      MAIL: Effect.sync(() => this.#ref.tellUnsafe("Wake")),
      // the only failure of an actor that is still connecting is that of its `initial`: its deadline
      RESTART:
        state === "connecting" ? TestClock.adjust("31 seconds") : Effect.sync(() => this.#ref.tellUnsafe("Fail")),
      // held in draining by a handler that does not end at once
      STOP: Effect.andThen(
        state === "connecting"
          ? Effect.void
          : Effect.andThen(
              Effect.sync(() => this.#ref.tellUnsafe("Busy")),
              this.#settle
            ),
        now("now")
      ),
      DONE: TestClock.adjust("11 minutes"),
      KILL: now("kill")
    }
    return Effect.orDie(Effect.andThen(steps[event]!, this.#settle))
  }
}

const model = createTestModel(Lifecycle.machine)
const paths = model.getSimplePaths()

describe("Lifecycle, walked by real actors", () => {
  it("has paths that visit every state and every event", () => {
    const events = new Set(paths.flatMap((path) => path.steps.map((step) => step.event.type)))
    expect([...events].filter((type) => !type.startsWith("xstate.")).toSorted()).toEqual(
      [...Lifecycle.events].toSorted()
    )
    const visited = new Set(paths.flatMap((path) => path.steps.map((step) => step.state.value as string)))
    expect(visited).toEqual(new Set(Lifecycle.states))
  })

  const named = paths.map((path) => ({
    events: path.steps.map((step) => step.event.type as string).filter((type) => !type.startsWith("xstate.")),
    states: path.steps.slice(1).map((step) => step.state.value as string),
    end: path.state.value as string
  }))

  // a simple path enters no state twice, so the one step that leads back to where it began is added
  named.push({ events: ["RESTART", "READY", "KILL"], states: [], end: "stopped" })

  it.effect.each(named)("$events leads to $end", ({ events, end }) =>
    Effect.gen(function* () {
      const walk = new Walk(yield* ActorSystem)
      yield* TestClock.adjust(1)
      let at: Lifecycle.State = "connecting"
      for (const event of events) {
        const to = Lifecycle.next(Lifecycle.states.indexOf(at), Lifecycle.events.indexOf(event as Lifecycle.Event))
        // a machine that stays in connecting drains at once when nothing of it can be interrupted
        yield* walk.act(event)
        at = Lifecycle.states[to]!
        const expected = at
        if (expected === "draining" && walk.state === "stopped") {
          // nothing held it: it went on by itself, through draining
          expect(walk.seen.slice(-2)).toEqual([`connecting -> draining`, "draining -> stopped"])
        } else yield* waitUntil(() => walk.state === expected, `${expected} after ${event}, of ${events.join(" ")}`)
      }
      expect(at).toBe(end)
      yield* TestClock.adjust("1 hour")
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
