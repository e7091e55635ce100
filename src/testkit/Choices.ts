/**
 * Where the chance of a simulated run comes from: drawn from a seed, or given as a list; either way written down.
 *
 *   lanes   order    who goes next, of those that may            [2 0 1 1 0 ...]
 *           random   Effect's Random, and Math.random            [...]
 *           program  what the program under test draws           [7 0 12 3 ...]
 *           ...      what one part of it draws, by that name     [1 3 ...]
 *
 * Floor 5; used by Simulation, its shrinking and its tokens. As in Hypothesis, a run is its choices: shrinking works on the
 * lists and knows nothing of what was chosen. Law 11: the same lists give the same run.
 * 0 is the simplest choice of all (the first in line, no fault, no step), and a list that has run out goes on with zeros:
 * so a list may be cut anywhere. A choice that is too high for its place is lowered to fit, and written down so.
 * Lanes are apart so that a step less of one sender changes nothing in what another one, or an actor, does by itself: with
 * one lane for all a failure of one run in a hundred kept 85 % of its choices, since every cut made another program.
 * Cost: a push a draw; one choice of one is no draw.
 */
import { Seed } from "./Seed.ts"

/** A source of chance; `sim.chance` of a simulated run. */
export interface Chance {
  /** A whole number from 0 to `n - 1`. */
  below(n: number): number
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number
  /** True once in `n`, on average; shrinks to false. */
  oneIn(n: number): boolean
  /** One of `list`, which must not be empty; shrinks to the first. */
  pick<A>(list: ReadonlyArray<A>): A
}

/** The choices of one lane. */
export class Lane implements Chance {
  /** As they were made, or lowered to fit. */
  readonly made: Array<number> = []
  readonly #seed: Seed | undefined
  readonly #given: ReadonlyArray<number>
  #at = 0
  #closed = false

  constructor(source: Seed | ReadonlyArray<number>) {
    this.#seed = source instanceof Seed ? source : undefined
    this.#given = source instanceof Seed ? [] : source
  }

  /** From now on the simplest is chosen, and nothing is written down: the run has shown what it had to show. */
  close(): void {
    this.#closed = true
  }

  below(n: number): number {
    if (n <= 1 || this.#closed) return 0
    const value = this.#seed === undefined ? Math.min(this.#given[this.#at++] ?? 0, n - 1) : this.#seed.below(n)
    this.made.push(value)
    return value
  }

  between(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  oneIn(n: number): boolean {
    return this.below(n) === n - 1
  }

  pick<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]!
  }
}

/** The choices of a run: a list a lane, by the lane's name; none for a lane of zeros. */
export type Lists = ReadonlyMap<string, ReadonlyArray<number>>

const withoutZeros = (list: ReadonlyArray<number>): ReadonlyArray<number> => {
  let length = list.length
  while (length > 0 && list[length - 1] === 0) length--
  return list.slice(0, length)
}

/** FNV-1a: a seed of its own for each name. */
const mix = (seed: number, name: string): number => {
  let hash = Math.imul(seed ^ 0x811c9dc5, 0x01000193)
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash
}

/** All choices of a run. */
export class Choices {
  readonly order: Lane
  readonly program: Lane
  readonly random: Lane
  readonly #source: number | Lists
  readonly #lanes = new Map<string, Lane>()
  #closed = false

  /** `source`: a seed, or the choices of another run. */
  constructor(source: number | Lists) {
    this.#source = source
    this.order = this.lane("order")
    this.random = this.lane("random")
    this.program = this.lane("program")
  }

  /** The lane of that name. */
  lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      const source = this.#source
      lane = new Lane(typeof source === "number" ? new Seed(mix(source, name)) : (source.get(name) ?? []))
      if (this.#closed) lane.close()
      this.#lanes.set(name, lane)
    }
    return lane
  }

  close(): void {
    this.#closed = true
    for (const lane of this.#lanes.values()) lane.close()
  }

  /** What was chosen so far, without the zeros at the ends. */
  get lists(): Lists {
    const lists = new Map<string, ReadonlyArray<number>>()
    for (const [name, { made }] of this.#lanes) {
      const list = withoutZeros(made)
      if (list.length > 0) lists.set(name, list)
    }
    return lists
  }
}

/** How many choices there are in all. */
export const count = (lists: Lists): number => {
  let sum = 0
  for (const list of lists.values()) sum += list.length
  return sum
}

const mark = "t1."

/** The choices as text to paste into a test: base64url of LEB128 numbers, each lane as name, length, choices. */
export const print = (lists: Lists): string => {
  const bytes: Array<number> = []
  const add = (value: number): void => {
    let rest = value
    while (rest >= 128) {
      bytes.push((rest % 128) | 128)
      rest = Math.floor(rest / 128)
    }
    bytes.push(rest)
  }
  for (const [name, list] of lists) {
    const letters = Buffer.from(name)
    add(letters.length)
    bytes.push(...letters)
    add(list.length)
    for (const value of list) add(value)
  }
  return mark + Buffer.from(bytes).toString("base64url")
}

/** The choices that `print` wrote, or undefined for any other text. */
export const parse = (token: string): Lists | undefined => {
  if (!token.startsWith(mark)) return undefined
  const text = token.slice(mark.length)
  const bytes = Buffer.from(text, "base64url")
  // Buffer passes over letters that are none
  if (bytes.toString("base64url") !== text) return undefined
  const lists = new Map<string, ReadonlyArray<number>>()
  let at = 0
  const take = (): number => {
    let value = 0
    for (let scale = 1; at < bytes.length; scale *= 128) {
      const byte = bytes[at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    return Number.NaN
  }
  while (at < bytes.length) {
    const letters = take()
    const name = bytes.toString("utf8", at, at + letters)
    at += letters
    const length = take()
    // a lane is never empty, and no choice takes less than a byte
    if (!(length > 0 && length <= bytes.length - at)) return undefined
    const list = Array.from({ length }, take)
    if (!list.every(Number.isSafeInteger)) return undefined
    lists.set(name, list)
  }
  return lists
}
