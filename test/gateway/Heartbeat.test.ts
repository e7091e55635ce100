import { describe, expect, it } from "vitest"
import type { Connection } from "../../src/gateway/Connection.ts"
import { Heartbeat, stretch, type Watched } from "../../src/gateway/Heartbeat.ts"
import type { TimerNode } from "../../src/kernel/Timers.ts"
import { reachable } from "./Reachable.ts"

/** A heartbeat whose timer the test fires, and connections that count how often they are looked at. */
const watch = (connections: number, random: number) => {
  const beats = Array.from({ length: connections }, () => 0)
  const stalledBefore = new Set<number>()
  const all = beats.map((_, i) => ({
    round: 0,
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
  return {
    heartbeat,
    connections: watched.connections,
    beats,
    stalledBefore,
    expired,
    armed,
    tick,
    now: () => now,
    stopped: () => node === undefined
  }
}

describe("Heartbeat", () => {
  it.each([0, 1, 24, 25, 26, 1000])("looks at each of %s connections once a round of 25 slices", (n) => {
    const { beats, tick } = watch(n, 0.5)
    tick(25)
    expect(beats.every((count) => count === 1)).toBe(true)
    tick(50)
    expect(beats.every((count) => count === 3)).toBe(true)
  })

  it("looks at who came in a round from the next on, once a round", () => {
    const { beats, connections, tick } = watch(100, 0.5)
    const late = [...connections].slice(40)
    for (const each of late) connections.delete(each)
    tick(10)
    for (const each of late) connections.add(each)
    tick(15)
    const [early, joined] = [beats.slice(0, 40), beats.slice(40)]
    expect([early, joined].map((some) => some.every((count) => count <= 1))).toEqual([true, true])
    tick(25)
    expect(early.concat(joined).every((_, i) => beats[i]! >= 1 && beats[i]! <= 2)).toBe(true)
    const before = [...beats]
    tick(25)
    expect(beats.map((count, i) => count - before[i]!)).toEqual(beats.map(() => 1))
  })

  it("keeps nobody who has gone in the round", async () => {
    const { connections, tick } = watch(1, 0.5)
    tick(1)
    const left = await reachable(() => {
      const come = Array.from({ length: 1000 }, () => ({ round: 0, beat: () => {} }) as unknown as Connection)
      for (const each of come) connections.add(each)
      for (const each of come) connections.delete(each)
      return come
    })
    expect([left, connections.size]).toEqual([0, 1])
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
