import { describe, expect, it } from "vitest"
import type { Connection } from "../../src/gateway/Connection.ts"
import { Heartbeat, stretch, type Watched } from "../../src/gateway/Heartbeat.ts"
import type { TimerNode } from "../../src/kernel/Timers.ts"

/** A heartbeat whose timer the test fires, and connections that count how often they are looked at. */
const watch = (connections: number, random: number) => {
  const beats = Array.from({ length: connections }, () => 0)
  const stalledBefore = new Set<number>()
  const all = beats.map((_, i) => ({
    beat: (before: number) => {
      beats[i]!++
      stalledBefore.add(before)
    }
  }))
  const expired: Array<number> = []
  const armed: Array<number> = []
  let node: TimerNode | undefined
  let now = 1000
  const watched = {
    connections: new Set(all as unknown as ReadonlyArray<Connection>),
    sessions: { expire: (before: number) => void expired.push(before) },
    limits: { heartbeatMillis: 25_000, stallMillis: 100, graceMillis: 200 },
    timers: {
      now: () => now,
      arm: (timer: TimerNode, millis: number) => {
        node = timer
        armed.push(millis)
      },
      cancel: () => (node = undefined)
    },
    random: () => random
  }
  const heartbeat = new Heartbeat(watched as unknown as Watched)
  heartbeat.start()
  const tick = (times: number): void => {
    for (let i = 0; i < times; i++) {
      now += armed.at(-1)!
      node?.expired()
    }
  }
  return { heartbeat, beats, stalledBefore, expired, armed, tick, now: () => now, stopped: () => node === undefined }
}

describe("Heartbeat", () => {
  it.each([0, 1, 24, 25, 26, 1000])("looks at each of %s connections once a round of 25 slices", (n) => {
    const { beats, tick } = watch(n, 0.5)
    tick(25)
    expect(beats.every((count) => count === 1)).toBe(true)
    tick(50)
    expect(beats.every((count) => count === 3)).toBe(true)
  })

  it("holds the loop for a slice at a time", () => {
    const { beats, tick } = watch(1000, 0.5)
    tick(1)
    expect(beats.filter((count) => count === 1)).toHaveLength(40)
  })

  it("takes 80 to 120 % of the heartbeat for a round, by chance", () => {
    expect([stretch(0), stretch(0.5), stretch(1)]).toEqual([0.8, 1, 1.2000000000000002])
    for (const [random, millis] of [
      [0, 20_000],
      [0.5, 25_000],
      [0.999_999, 30_000]
    ] as const) {
      const { armed, tick } = watch(3, random)
      tick(25)
      expect(armed.slice(1).reduce((sum, each) => sum + each, 0)).toBeCloseTo(millis, -1)
    }
  })

  it("tells who is stalled, and what has been away for too long, by the time of the look", () => {
    const { expired, stalledBefore, tick, now } = watch(1, 0.5)
    tick(1)
    expect([...stalledBefore]).toEqual([now() - 100])
    expect(expired).toEqual([now() - 200])
  })

  it("ends with stop", () => {
    const { heartbeat, stopped } = watch(1, 0.5)
    heartbeat.stop()
    expect(stopped()).toBe(true)
  })
})
