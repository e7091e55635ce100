/**
 * Many latencies in little space: counts by size, in steps of 2 %, that merge over processes and travel as plain numbers.
 */
const steps = 32

const bucketOf = (micros: number): number => Math.floor(Math.log2(Math.max(1, micros)) * steps)

export class Latencies {
  readonly counts: Array<number> = []
  size = 0

  add(millis: number): void {
    const bucket = bucketOf(millis * 1000)
    while (this.counts.length <= bucket) this.counts.push(0)
    this.counts[bucket]!++
    this.size++
  }

  merge(counts: ReadonlyArray<number>): void {
    for (const [bucket, n] of counts.entries()) {
      while (this.counts.length <= bucket) this.counts.push(0)
      this.counts[bucket]! += n
      this.size += n
    }
  }

  /** In milliseconds; the upper end of its step. 0 when there are none. */
  at(share: number): number {
    let left = Math.ceil(this.size * share)
    if (left === 0) return 0
    for (const [bucket, n] of this.counts.entries()) {
      left -= n
      if (left <= 0) return Number((2 ** ((bucket + 1) / steps) / 1000).toFixed(2))
    }
    return 0
  }
}
