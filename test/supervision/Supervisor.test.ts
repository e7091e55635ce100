import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Supervisor } from "troupe"
import { TestSystem } from "troupe/testkit"

const Worker = Actor.make("Worker", {
  state: Schema.Int,
  protocol: [
    Rpc.make("Fail"),
    Rpc.make("Add", { success: Schema.Int }),
    Rpc.make("Stop", { payload: { mode: Schema.Literals(["now", "drain", "kill"]) } })
  ]
})
type WorkerRef = ActorRef<typeof Worker extends { at(key: string): ActorRef<infer P> } ? P : never>

/** Writes what happens to it into `log`: `+a` started, `-a` stopped. */
const worker = (log: Array<string>, name: string) =>
  Worker.behavior({
    initial: () => {
      log.push(`+${name}`)
      return 0
    },
    on: {
      Fail: () => {
        throw new Error("told to")
      },
      Add: (n) => Actor.reply(n + 1, n + 1),
      Stop: (n, { mode }, self) => {
        self.stop({ mode })
        return n
      }
    },
    onStop: () => void log.push(`-${name}`)
  })

const tree = (
  log: Array<string>,
  strategy: "one_for_one" | "one_for_all" | "rest_for_one",
  intensity = { restarts: 1, within: "5 seconds" as const }
) =>
  Supervisor.make("Sup", {
    strategy,
    intensity,
    children: ["a", "b", "c"].map((id) => ({ id, behavior: worker(log, id) }))
  })

describe("Supervisor", () => {
  it.effect("starts left to right, stops right to left", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const sup = yield* ActorSystem.spawn(tree(log, "one_for_one"), "s")
      expect((yield* sup.ask("WhichChildren")).map(({ id, state }) => `${id} ${state}`)).toEqual([
        "a running",
        "b running",
        "c running"
      ])
      yield* sup.stop()
      expect(log).toEqual(["+a", "+b", "+c", "-c", "-b", "-a"])
    }).pipe(Effect.provide(TestSystem.layer))
  )

  for (const [strategy, expected] of [
    ["one_for_one", ["+b"]],
    ["rest_for_one", ["+b", "+c"]],
    ["one_for_all", ["+a", "+b", "+c"]]
  ] as const) {
    it.effect(`${strategy}: a failure of the middle one`, () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const sup = yield* ActorSystem.spawn(tree(log, strategy), "s")
        const [, b] = yield* sup.ask("WhichChildren")
        log.length = 0
        yield* (b!.ref as unknown as WorkerRef).tell("Fail")
        yield* TestClock.adjust(1)
        expect(log).toEqual(expected)
        yield* (b!.ref as unknown as WorkerRef).tell("Fail")
        expect((yield* sup.watch())._tag).toBe("failed")
      }).pipe(Effect.provide(TestSystem.layer))
    )
  }
})
