/**
 * The work: durations in milliseconds, log-normal with a median of one second and a sigma of 1, from a seed.
 *
 * exp(sigma x z), z normal by Box and Muller: half of the tasks take less than a second, one in a hundred more than ten.
 */
import { Effect, Random } from "effect"

const median = 1000
const sigma = 1

const duration = Effect.map(Effect.all([Random.next, Random.next]), ([u, v]) => {
  const z = Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * v)
  return Math.round(median * Math.exp(sigma * z))
})

export const durations = (count: number, seed: number): Effect.Effect<ReadonlyArray<number>> =>
  Random.withSeed(Effect.all(Array.from({ length: count }, () => duration)), seed)

export const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)
