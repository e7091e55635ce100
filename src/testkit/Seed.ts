/**
 * A seeded source of chance: the same seed gives the same numbers, in the same order, on every machine.
 *
 * Floor 5; used by `TestSystem.seeded` to pick the next ready actor, and by random programs in tests.
 * xorshift32 (Marsaglia 2003, shifts 13, 17, 5): good enough to shuffle, four lines to read, no state but one word.
 * A seed of 0 would stay 0 for ever, so seeds are spread first by a step of splitmix32.
 * Law 11: a run is a pure function of its seed. Print the seed when a test fails.
 */
export class Seed {
  #word: number

  constructor(seed: number) {
    let z = (seed + 0x9e3779b9) | 0
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    this.#word = (z ^ (z >>> 16)) | 0 || 1
  }

  /** A whole number from 0 to 4,294,967,295. */
  next(): number {
    let x = this.#word
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#word = x
    return x >>> 0
  }

  /** A whole number from 0 to `n - 1`. */
  below(n: number): number {
    return this.next() % n
  }

  /** True once in `n`, on average. */
  oneIn(n: number): boolean {
    return this.below(n) === 0
  }

  /** One of `list`, which must not be empty. */
  pick<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]!
  }
}
