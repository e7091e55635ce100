import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import * as Simulation from "./Simulation.ts"

const seeds = Array.from({ length: 60 }, (_, i) => i + 1)
const balanced = (seed: number) => Effect.runPromise(Simulation.run(seed, (host) => host.imbalances()))

describe("Law 4, conservation", () => {
  it("accepted = finished + dead-lettered + queued + running, at every turn boundary of random programs", async () => {
    for (const seed of seeds) {
      const { fault, turns, world } = await balanced(seed)
      expect(fault).toBeUndefined()
      expect(turns, `seed ${seed}`).toBeGreaterThan(100)
      // every ask had exactly one outcome; that nothing lives, waits or is armed at the end is the test kit's to say
      expect({ seed, outcomes: world.outcomes }).toEqual({ seed, outcomes: world.asked })
    }
  }, 60_000)
})

describe("Law 1, one turn at a time", () => {
  it("no two handlers of one incarnation overlap, suspended ones included", async () => {
    for (const seed of seeds.slice(0, 30)) {
      const { world } = await Effect.runPromise(Simulation.run(seed + 1000, () => []))
      expect({ seed: seed + 1000, overlaps: world.overlaps }).toEqual({ seed: seed + 1000, overlaps: [] })
      expect(world.inside.size).toBeGreaterThan(0)
    }
  }, 60_000)
})

describe("Law 11, time is injected", () => {
  it("the same seed gives the same trace byte for byte, another seed another one", async () => {
    const traces = new Set<string>()
    for (const seed of seeds.slice(0, 10)) {
      const once = await Effect.runPromise(Simulation.run(seed, () => []))
      const again = await Effect.runPromise(Simulation.run(seed, () => []))
      expect(again.world.trace.join("\n")).toBe(once.world.trace.join("\n"))
      traces.add(once.world.trace.join("\n"))
    }
    expect(traces.size).toBe(10)
  }, 60_000)
})
