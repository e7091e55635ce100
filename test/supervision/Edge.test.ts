import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { TestClock } from "effect/testing"
import { Actor, type ActorRef, ActorSystem, Agent } from "troupe"
import { TestSystem, waitUntil } from "troupe/testkit"
import * as Edge from "../../src/supervision/Edge.ts"
import { client, type Me, type P, scripted, send } from "../actor/Scripted.ts"

type Script = (self: Me, other: ActorRef<P>) => unknown

const waits: Script = () => Effect.never
const forwards: Script = (self, other) => {
  self.forward(other, "Run", () => Actor.reply("the other's"))
  return Actor.noReply()
}
const stashes: Script = (self) => {
  self.stash()
  return Actor.noReply()
}
const answers: Script = () => Actor.reply(1)

interface Case {
  readonly name: string
  readonly script: Script
  /** Whose handler waits, and whose mailbox is full behind it. */
  readonly busy?: "a" | "b"
  readonly full?: boolean
  readonly untaken: boolean
}

const cases: ReadonlyArray<Case> = [
  { name: "that was answered", script: answers, untaken: false },
  { name: "that its mailbox dropped", script: answers, busy: "a", full: true, untaken: true },
  { name: "that timed out in its mailbox", script: answers, busy: "a", untaken: true },
  { name: "that timed out in its handler", script: waits, untaken: false },
  { name: "that would have held too much", script: stashes, untaken: true },
  { name: "that was forwarded, and dropped there", script: forwards, busy: "b", full: true, untaken: false },
  { name: "that was forwarded, and timed out in that mailbox", script: forwards, busy: "b", untaken: false }
]

describe("A request", () => {
  it.effect.each(cases)("$name ends as if it had never been sent: $untaken", ({ script, busy, full, untaken }) =>
    Effect.gen(function* () {
      const { system } = yield* ActorSystem
      const { behavior } = scripted({ stash: 0, mailbox: { capacity: 1, overflow: "dropNewest" } })
      const [ref, other] = [yield* ActorSystem.spawn(behavior, "a"), yield* ActorSystem.spawn(behavior, "b")]
      const whom = busy === "a" ? ref : other
      if (busy !== undefined) send(whom, () => Effect.never)
      yield* TestClock.adjust(1)
      if (full === true) whom.tellUnsafe("Note", "fills it")
      const line = Edge.visit(system, ref as ActorRef<never>, client) as Edge.Line
      const ends: Array<boolean> = []
      const ended = (_: unknown, as: boolean): void => void ends.push(as)
      line.request(0, (self: Me) => script(self, other), 1000, ended)
      yield* TestClock.adjust(1000)
      expect(ends).toEqual([untaken])
      yield* Effect.all([ref.stop({ mode: "kill" }), other.stop({ mode: "kill" })])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})

describe("a client that goes before it was greeted", () => {
  const Door = Agent.make("Door", { state: Schema.Null, clients: [Rpc.make("Wait"), Rpc.make("Say")] })
  const opened = (heard: Array<string>) =>
    Effect.gen(function* () {
      const host = yield* ActorSystem
      const door = Door.behavior({
        initial: null,
        on: {
          Wait: () => Effect.as(Effect.sleep(10), null),
          Say: (_, __, self) => {
            heard.push(`${self.client?.id} says`)
            return null
          }
        },
        onConnect: (_, { id }) => void heard.push(`${id} came`),
        onDisconnect: (_, { id }) => void heard.push(`${id} went`)
      })
      const ref = yield* ActorSystem.spawn(door, "d")
      const enter = (id: string) => Edge.connect(host.system, ref as ActorRef<never>, { ...client, id }) as Edge.Line
      yield* ref.tell("Wait")
      yield* waitUntil(() => host.snapshot().running === 1, "it is busy")
      return { host, enter }
    })
  const why = { code: 1006, reason: "" }

  it.effect(
    "leaves nothing in a mailbox that nobody empties: the agent hears neither that it came nor that it went",
    () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const { host, enter } = yield* opened(heard)
        const stays = enter("ann")
        for (let n = 0; n < 5000; n++) enter("bob").disconnect(why)
        expect(host.snapshot()).toMatchObject({ queued: 1, deadLetters: { disconnected: 5000 } })
        yield* TestClock.adjust(10)
        expect(heard).toEqual(["ann came"])
        stays.disconnect(why)
        yield* TestClock.adjust(1)
        expect(heard).toEqual(["ann came", "ann went"])
      }).pipe(Effect.provide(TestSystem.layer))
  )

  it.effect("is heard of, before and after, where it has said something that counts", () =>
    Effect.gen(function* () {
      const heard: Array<string> = []
      const { enter } = yield* opened(heard)
      const line = enter("ann")
      line.notify(1, undefined, () => {})
      line.disconnect(why)
      yield* TestClock.adjust(10)
      expect(heard).toEqual(["ann came", "ann says", "ann went"])
    }).pipe(Effect.provide(TestSystem.layer))
  )
})
