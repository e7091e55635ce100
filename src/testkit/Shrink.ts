/**
 * Makes a failing list of choices short: fewer choices, and lower ones, as long as the run still fails the same way.
 *
 *   whole lanes away -> chunks away, long ones first -> chunks to zero -> single choices lower -> again, until nothing helps
 *
 * Floor 5; used by Simulation; a pure rule over lists: what a run is, and which failures are alike, is `attempt`'s to say.
 * The order of goodness is Hypothesis': shorter first, then fewer that are not 0, then lower. It only ever gets better, so
 * it ends; and it ends after `budget` attempts at the latest, with the best so far.
 */
import { count, type Lists } from "./Choices.ts"

/** Runs these choices; answers with those it made, if it failed in the same way. */
export type Attempt = (lists: Lists) => Lists | undefined

export interface Shrunk {
  readonly lists: Lists
  /** Attempts that were made. */
  readonly attempts: number
}

const weigh = (lists: Lists): readonly [number, number, number] => {
  let nonZero = 0
  let sum = 0
  for (const list of lists.values()) {
    for (const value of list) {
      if (value !== 0) nonZero++
      sum += value
    }
  }
  return [count(lists), nonZero, sum]
}

const isBetter = (a: Lists, b: Lists): boolean => {
  const [one, other] = [weigh(a), weigh(b)]
  const at = one.findIndex((value, i) => value !== other[i])
  return at >= 0 && one[at]! < other[at]!
}

/** Who goes next comes last: steps less are worth more than a plainer order. */
const lanesOf = (lists: Lists): ReadonlyArray<string> =>
  [...lists.keys()].toSorted((a, b) => Number(a === "order") - Number(b === "order"))

class Search {
  best: Lists
  attempts = 0
  readonly #attempt: Attempt
  readonly #budget: number

  constructor(lists: Lists, attempt: Attempt, budget: number) {
    this.best = lists
    this.#attempt = attempt
    this.#budget = budget
  }

  get spent(): boolean {
    return this.attempts >= this.#budget
  }

  #list(lane: string): ReadonlyArray<number> {
    return this.best.get(lane) ?? []
  }

  /** Tries another list in one lane. */
  #try(lane: string, list: ReadonlyArray<number>): boolean {
    if (this.spent) return false
    const candidate = new Map(this.best)
    if (list.length > 0) candidate.set(lane, list)
    else candidate.delete(lane)
    if (!isBetter(candidate, this.best)) return false
    this.attempts++
    const made = this.#attempt(candidate)
    if (made === undefined || !isBetter(made, this.best)) return false
    this.best = made
    return true
  }

  /** Tries `change` on every chunk of a lane, from the end, the size halving: what is late depends on what is early. */
  #chunks(lane: string, longest: number, change: (chunk: ReadonlyArray<number>) => ReadonlyArray<number>): boolean {
    let helped = false
    for (let size = Math.min(longest, this.#list(lane).length); size >= 1; size = size >> 1) {
      for (let start = this.#list(lane).length - size; start > -size && !this.spent; start -= size) {
        const list = this.#list(lane)
        const from = Math.max(0, start)
        const to = Math.min(list.length, start + size)
        if (this.#try(lane, [...list.slice(0, from), ...change(list.slice(from, to)), ...list.slice(to)])) helped = true
      }
    }
    return helped
  }

  /** Lowers single choices, by halves. */
  #lower(lane: string): boolean {
    let helped = false
    for (let at = 0; at < this.#list(lane).length && !this.spent; at++) {
      for (let step = this.#list(lane)[at]! >> 1; step >= 1; step = step >> 1) {
        const list = this.#list(lane)
        const value = list[at]
        if (value === undefined || value < step) continue
        if (this.#try(lane, [...list.slice(0, at), value - step, ...list.slice(at + 1)])) helped = true
      }
    }
    return helped
  }

  run(): void {
    for (let helped = true; helped && !this.spent;) {
      helped = false
      for (const lane of lanesOf(this.best)) if (this.#try(lane, [])) helped = true
      for (const lane of lanesOf(this.best)) {
        if (this.#chunks(lane, Number.POSITIVE_INFINITY, () => [])) helped = true
        if (this.#chunks(lane, 64, (chunk) => chunk.map(() => 0))) helped = true
      }
      for (const lane of lanesOf(this.best)) if (this.#lower(lane)) helped = true
    }
  }
}

/** The best that `budget` attempts find. */
export const shrink = (lists: Lists, attempt: Attempt, budget: number): Shrunk => {
  const search = new Search(lists, attempt, budget)
  search.run()
  return { lists: search.best, attempts: search.attempts }
}
