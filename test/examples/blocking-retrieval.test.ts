import { describe, expect, it } from "vitest"
import { run } from "./Program.ts"

const found = "found: An actor has an ... and To restart the pump, ..."
const warning = "Offload has no worker threads"

describe("examples/blocking-retrieval", () => {
  it("its calls run side by side on threads, one after the other without; all questions are answered", async () => {
    const out = await run("blocking-retrieval", "--divide", "20")
    const [with_, without] = [out.indexOf("- with threads"), out.indexOf("- without threads")]
    expect([with_ >= 0, without > with_]).toEqual([true, true])
    const [first, second] = [out.slice(with_, without), out.slice(without)]
    expect(first).toContain(`${found}\n`)
    expect(first).toContain("the longer call 414.5 ms, both 762.5 ms\nside by side: true\n")
    expect(second).toContain(`${found}\n`)
    expect(second).toContain("side by side: false\n")
    expect(out.slice(0, without).split(warning)).toHaveLength(2)
    for (const part of [first, second]) {
      const [, answered, due] = /1000 agents answered (\d+) of (\d+) questions/.exec(part)!
      expect([Number(due) > 0, answered]).toEqual([true, due])
    }
  })

  it.each(["0", "x"])("refuses --divide %s", async (divisor) => {
    await expect(run("blocking-retrieval", "--divide", divisor)).rejects.toThrow(/SchemaError/)
  })
})
