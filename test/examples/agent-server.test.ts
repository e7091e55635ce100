import { describe, expect, it } from "vitest"
import { run } from "./Program.ts"

describe("examples/agent-server", () => {
  it("greets, wakes and lets go each of its agents, and leaves nothing", async () => {
    const out = await run("agent-server", "--agents", "120", "--heartbeat", "0.3")
    expect(out).toMatch(/^120 agents asleep: each heap -?\d+ B, RSS -?\d+ B$/m)
    // one timer, of the heartbeat of all
    expect(out).toMatch(/^120 connected, 120 greeted, 120 asleep again, timers: 1$/m)
    expect(out).toMatch(/^with its connection each heap -?\d+ B, RSS -?\d+ B$/m)
    const [, beats] = /^(\d+) heartbeats answered, at least one of each; 0 woken by them$/m.exec(out)!
    expect(Number(beats)).toBeGreaterThanOrEqual(120)
    const woken = "120 of 120 woken by an echo, back after p50 [\\d.]+ ms, p99 [\\d.]+ ms"
    expect(out).toMatch(new RegExp(`^alone: ${woken}$`, "m"))
    const [, computed] = new RegExp(`^beside one that computed (\\d+) times 50 us: ${woken}$`, "m").exec(out)!
    expect(Number(computed)).toBeGreaterThan(120)
    // by the host one each; by clients Hi, two echoes, Status, Disconnect
    expect(out).toMatch(/^720 messages sent, 720 handled; 120 disconnected$/m)
    expect(out).toContain('left: {"agents":0,"connections":0,"queued":0,"running":0}; lost: {}; 0 imbalances\n')
  })

  it.each([
    ["--agents", "0"],
    ["--agents", "20000"],
    ["--heartbeat", "0"]
  ])("refuses %s %s", async (option, value) => {
    await expect(run("agent-server", option, value)).rejects.toThrow(/SchemaError/)
  })
})
