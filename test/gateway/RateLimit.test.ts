import { describe, expect, it } from "vitest"
import { Timers } from "../../src/kernel/Timers.ts"
import { Brake, Bucket, type Slowed } from "../../src/gateway/RateLimit.ts"

const limits = { perMilli: 0.1, floodMillis: 5000 }

/** Takes messages until the bucket is dry; how many it gave. */
const drink = (bucket: Bucket, now: number): number => {
  let given = 0
  while (--bucket.left >= 0 || bucket.earn(now)) given++
  return given
}

describe("Bucket", () => {
  it("gives the messages of two seconds at once, then as many as its rate", () => {
    const bucket = new Bucket(limits, 0)
    expect(drink(bucket, 0)).toBe(200)
    expect(bucket.earn(1000)).toBe(true)
    expect(drink(bucket, 1000)).toBe(99) // one was taken on credit
  })

  it("earns no more than two seconds, however long it rests", () => {
    const bucket = new Bucket(limits, 0)
    drink(bucket, 0)
    expect(bucket.earn(3_600_000)).toBe(true)
    expect(bucket.left).toBe(200)
  })

  it("owes what a batch took beyond it", () => {
    const bucket = new Bucket(limits, 0)
    bucket.left -= 300
    expect(bucket.earn(999)).toBe(false)
    expect(bucket.earn(1000)).toBe(true)
  })

  it("presses who is slowed again within a second of its release, for floodMillis", () => {
    const bucket = new Bucket(limits, 0)
    for (let now = 0; now <= 5000; now += 500) {
      expect(bucket.presses(now)).toBe(false)
      bucket.released(now + 20)
    }
    expect(bucket.presses(5500)).toBe(true)
  })

  it("does not press who rests a second now and then", () => {
    const bucket = new Bucket(limits, 0)
    for (let now = 0; now <= 60_000; now += 1500) {
      expect(bucket.presses(now)).toBe(false)
      bucket.released(now + 20)
    }
  })
})

describe("Brake", () => {
  it("releases who has tokens again, by one timer, which is off while nobody is slowed", () => {
    let now = 0
    const sleeps: Array<() => void> = []
    const timers = new Timers(
      () => now,
      (_, wake) => {
        sleeps.push(wake)
        return () => {}
      },
      (defect) => {
        throw defect
      }
    )
    const released: Array<string> = []
    const slowed = (name: string, debt: number): Slowed => {
      const bucket = new Bucket(limits, 0)
      bucket.left = -debt
      return { bucket, held: () => {}, released: () => void released.push(name) }
    }
    const brake = new Brake(timers)
    const all = [slowed("a", 1), slowed("b", 5), slowed("gone", 1)]
    for (const one of all) brake.add(one)
    expect(timers.size).toBe(1)
    brake.delete(all[2]!)
    while (sleeps.length > 0) {
      now += 20
      for (const wake of sleeps.splice(0)) wake()
    }
    expect(released).toEqual(["a", "b"])
    expect(now).toBe(60)
    expect([brake.size, timers.size]).toEqual([0, 0])
  })
})
