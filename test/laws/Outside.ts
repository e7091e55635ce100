/**
 * What goes on in the random world outside of its actors: senders, and clients that connect again when they are cut.
 *
 * A part of `World`, a fiber each: what one draws is its own (`sim.chanceOf`), so that a step less of one changes nothing in
 * what another one does.
 */
import { Effect, Exit, Fiber, Stream } from "effect"
import { ActorSystem } from "troupe"
import type { Simulation } from "troupe/testkit"
import type { World } from "./Actors.ts"
import { modes, type P } from "./Words.ts"

/** A sender outside of any actor: tells, asks, gives up, stops, spawns again. */
export const outside = Effect.fnUntraced(function* (world: World, name: string, rounds: number) {
  const { sim, ledger } = world
  const chance = sim.chanceOf(name)
  for (let round = 0; round < rounds; round++) {
    const ref = world.any(chance)
    const at = ref.address
    switch (chance.below(13)) {
      case 1:
      case 2:
        sim.note(`${name} tells ${at}`)
        yield* Effect.exit(Effect.timeoutOption(ref.tell("Do", ledger.mail(name, at, 3)), 100))
        break
      case 3:
        sim.note(`${name} floods ${at}`)
        for (let i = 0; i < 6; i++) ref.tellUnsafe("Do", ledger.mail(name, at, 1))
        break
      case 4:
      case 5:
      case 6:
      case 7: {
        const tag = chance.oneIn(4) ? "Sure" : "Ask"
        const question = ledger.ask()
        sim.note(`${name} asks ${at} (${tag})`)
        const asks = ref.ask(tag, ledger.mail(name, at, 3, { question }), { timeout: 1 + chance.below(200) })
        const told = Effect.onExit(asks, (exit) =>
          Effect.sync(() => {
            ledger.answered(question, `ask of ${name}`, exit)
            sim.note(`${at} answers ${name}: ${Exit.isSuccess(exit) ? exit.value : "failed"}`)
          })
        )
        const fiber = yield* Effect.forkDetach(Effect.exit(told), { startImmediately: true })
        if (chance.oneIn(3)) {
          if (chance.oneIn(2)) yield* Effect.sleep(chance.below(5))
          yield* Effect.forkDetach(Fiber.interrupt(fiber))
        }
        break
      }
      case 12: {
        sim.note(`${name} listens to ${at}`)
        const elements = ref.ask("Tail", { depth: 0 }, { timeout: 1 + chance.below(100) })
        const some = Stream.runDrain(Stream.take(elements, chance.pick([1, 3, 100])))
        const fiber = yield* Effect.forkDetach(Effect.exit(some), { startImmediately: true })
        yield* Effect.forkDetach(Effect.delay(Fiber.interrupt(fiber), chance.below(200)))
        break
      }
      case 8:
        if (chance.oneIn(3) && !world.calm) {
          const mode = chance.pick(modes)
          sim.note(`${name} stops ${at} (${mode})`)
          yield* Effect.forkDetach(ref.stop({ mode, within: 1 + chance.below(100) }), { startImmediately: true })
        }
        break
      case 9: {
        const made = yield* Effect.exit(ActorSystem.spawn(chance.pick(world.kinds), `a${chance.below(10)}`))
        if (Exit.isSuccess(made)) world.refs.push(made.value)
        if (world.refs.length > 40) world.refs.splice(24, 10)
        break
      }
      case 10:
        yield* Effect.sleep(chance.below(25))
        break
      case 11:
        yield* Effect.yieldNow
        break
      default:
        break
    }
  }
})

/** A client that connects again when it is cut. */
export const client = Effect.fnUntraced(function* (world: World, name: string, rounds: number) {
  const { sim, ledger } = world
  const chance = sim.chanceOf(name)
  let client: Simulation.SimulatedClient<P> | undefined
  let at = ""
  for (let round = 0; round < rounds; round++) {
    if (client?.connected !== true) {
      if (chance.below(3) === 0) continue
      const ref = world.any(chance)
      const made = yield* Effect.exit(sim.client(ref))
      client = Exit.isSuccess(made) ? made.value : undefined
      at = ref.address
      continue
    }
    const { id } = client
    switch (chance.below(7)) {
      case 1:
      case 2:
        client.notify("Do", ledger.mail(id, at, 2))
        break
      case 3:
      case 4: {
        const question = ledger.ask()
        const mail = ledger.mail(id, at, 2, { question })
        const asks = client.request("Ask", mail, { timeoutMillis: 1 + chance.below(200) })
        const told = Effect.onExit(asks, (exit) =>
          Effect.sync(() => ledger.answered(question, `request of ${id}`, exit))
        )
        yield* Effect.forkDetach(Effect.exit(told), { startImmediately: true })
        break
      }
      case 5:
        yield* Effect.sleep(chance.below(30))
        break
      case 6:
        if (chance.oneIn(3)) client.disconnect()
        break
      default:
        yield* Effect.yieldNow
    }
  }
})
