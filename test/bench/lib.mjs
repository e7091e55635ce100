/**
 * What every scenario needs: a clock, percentiles, memory after collection, a ring.
 *
 * Plain JavaScript, like the scenarios and the floor: a loader that strips types leaves 4 MB in the heap of the process it loads for, and with it
 * the floor spawned 10-30 % fewer idle actors a second than the yardstick; without it the two are equal.
 *
 * The figures are compared with a frozen yardstick of plain objects, so nothing here may cost a message more than it does there: no closure a
 * message, no class with hidden fields, no allocation but the ring's doubling.
 */

/** Shrinks every scenario alike, for a look at the harness itself: `SCALE=0.01`. */
const scale = Number(process.env["SCALE"] ?? 1)

/** @param {number} n */
export const scaled = (n) => Math.max(1, Math.round(n * scale))

/** Milliseconds, finer than a microsecond. */
export const now = () => performance.now()

/** A promise with its resolver. */
export const gate = () => /** @type {PromiseWithResolvers<void>} */ (Promise.withResolvers())

/** Lets all that was due happen, so that work done twice shows up in the counts. */
export const settle = () => new Promise((resume) => setTimeout(resume, 5))

/**
 * Latencies in milliseconds to percentiles in microseconds.
 *
 * @param {ArrayLike<number>} samples
 */
export const percentiles = (samples) => {
  const sorted = Float64Array.from(samples).sort()
  /** @param {number} q */
  const at = (q) =>
    Number(((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0) * 1000).toFixed(1))
  return { p50_us: at(0.5), p99_us: at(0.99), max_us: at(1) }
}

/** Memory after forced collections, with pauses so that freed pages go back. Needs `--expose-gc`. */
export const memory = async () => {
  if (globalThis.gc === undefined) throw new Error("memory is measured under --expose-gc only")
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await new Promise((resume) => setTimeout(resume, 30))
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { rss, heap: heapUsed + external }
}

/** Seeded xorshift, so that every peer picks the same targets at the same low price. */
export const random = (seed = 42) => {
  let x = seed | 0
  return (/** @type {number} */ bound) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % bound
  }
}

/**
 * Occupies the processor.
 *
 * @param {number} microseconds
 */
export const burn = (microseconds) => {
  const end = now() + microseconds / 1000
  while (now() < end);
}

/**
 * A ring of a power of two that doubles when full: the floor's mailbox and run queue.
 *
 * @template A
 */
export class Ring {
  /** @type {Array<A | undefined>} */
  items = new Array(4)
  head = 0
  size = 0

  /** @param {A} item */
  push(item) {
    if (this.size === this.items.length) this.grow()
    this.items[(this.head + this.size++) & (this.items.length - 1)] = item
  }

  /** The caller has looked at `size`. */
  shift() {
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head = (this.head + 1) & (this.items.length - 1)
    this.size--
    return /** @type {A} */ (item)
  }

  grow() {
    const old = this.items
    const items = new Array(old.length * 2)
    for (let i = 0; i < old.length; i++) items[i] = old[(this.head + i) & (old.length - 1)]
    this.items = items
    this.head = 0
  }
}
