import { describe, expect, it } from "vitest"
import { run } from "./Program.ts"

const options = ["--devices", "200", "--seconds", "60"]
const sum = (text: string): number => [...text.matchAll(/ (\d+)(?:,|$)/g)].reduce((all, [, n]) => all + Number(n), 0)

describe("examples/devices", () => {
  it("loses no report and no answer, brings back each that went, and says the same for the same seed", async () => {
    const [first, second, other] = await Promise.all(
      ["7", "7", "8"].map((seed) => run("devices", ...options, "--seed", seed))
    )
    expect(second).toBe(first)
    expect(other).not.toBe(first)
    for (const out of [first!, other!]) {
      expect(sum(` ${/^after 60 s: (.*)$/m.exec(out)![1]}`)).toBe(200)
      expect(out).toContain("after a quiet minute: reporting 200\n")
      const [, reported, received, gaps] = /^reports: (\d+) sent, (\d+) received, (\d+) out of order$/m.exec(out)!
      expect([Number(reported) > 0, received, gaps]).toEqual([true, reported, "0"])

      const [, told, heard] = /^all that was told: (\d+) sent, (\d+) received$/m.exec(out)!
      expect([Number(told) > Number(reported), heard]).toEqual([true, told])

      // ten of 1,000 devices a second; of 200 two
      const [, commands, sent] = /^(\d+) commands: (.*); beside 60 drops, 60 breaks$/m.exec(out)!
      expect([commands, sum(` ${sent}`)]).toEqual(["120", 120])
      const [, acknowledged, yes] = /^acknowledged (\d+): (.*)$/m.exec(out)!
      const [, refused, no] = /^refused (\d+): (.*)$/m.exec(out)!
      expect([Number(acknowledged) + Number(refused), sum(` ${yes}`), sum(` ${no}`)]).toEqual([
        120,
        Number(acknowledged),
        Number(refused)
      ])
      expect(no).toMatch(/UPDATE offline|UPDATE updating|SET_INTERVAL no interval/)

      const [, went, back, of, crashed] = /^went: (.*); came back: (\d+) of (\d+), (\d+) after a crash$/m.exec(out)!
      expect([sum(` ${went}`), back, Number(crashed) > 0]).toEqual([Number(of), of, true])
    }
  })

  it.each([
    ["--devices", "0"],
    ["--seconds", "1.5"],
    ["--seed", "x"]
  ])("refuses %s %s", async (option, value) => {
    await expect(run("devices", option, value)).rejects.toThrow(/SchemaError/)
  })
})
