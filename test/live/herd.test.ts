import { describe, expect, it } from "vitest"
import { herd } from "../bench/swarm/Herd.ts"

describe("a herd of 200 clients with sessions, whose host is restarted under them", () => {
  it("comes back to the last one; each request is answered once, and handled once, by one host or the other", async () => {
    const report = await herd({ clients: 200, drainBatch: 50, drainSpread: 400 })
    expect(report.faults).toEqual([])
    expect(report).toMatchObject({ clients: 200, drained_closed: 200, drained_lost: 0 })
    expect(report.asked).toBe(report.answered)
    expect(report.handled_before + report.handled_after).toBe(report.asked)
    // nobody was hinted to be back before the last batch had gone
    expect(report.hint_max_ms).toBeGreaterThan(0)
  }, 60_000)
})
