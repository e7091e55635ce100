/** What happens to devices, drawn by Effect's Random: an operator commands some, networks lose some, some break. */
import { Effect, Random } from "effect"
import type { Event } from "./machine.ts"

const below = (bound: number): Effect.Effect<number> => Random.nextIntBetween(0, bound, { halfOpen: true })

const command = Effect.gen(function* () {
  const millis = yield* Random.nextIntBetween(500, 20_000)
  const all: ReadonlyArray<Event> = [{ type: "REBOOT" }, { type: "UPDATE" }, { type: "SET_INTERVAL", millis }]
  return all[yield* below(all.length)]!
})

/** A second of it: of a hundred devices one is commanded; of a thousand four drop off, and two break. */
export const second = <A, E>(devices: ReadonlyArray<A>, happen: (to: A, event: Event) => Effect.Effect<void, E>) =>
  Effect.gen(function* () {
    const to = (event: Event) => Effect.flatMap(below(devices.length), (i) => happen(devices[i]!, event))
    for (let n = 0; n < devices.length / 100; n++) yield* to(yield* command)
    for (let n = 0; n < devices.length / 250; n++) yield* to({ type: "DROP" })
    for (let n = 0; n < devices.length / 500; n++) yield* to({ type: "BREAK" })
  })
