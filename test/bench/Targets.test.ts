/**
 * The benchmark's own arithmetic: which rows count, which round does, what is a target met, who is ahead.
 */
import { describe, expect, it } from "vitest"
import type { Row } from "./Peer.ts"
import { svg } from "./Plot.ts"
import { counted, median, type Median } from "./Round.ts"
import { behind, judge, type Results } from "./Targets.ts"

const row = (n: number, milliseconds: number, more: Partial<Row> = {}): Row => ({
  n,
  milliseconds,
  completed: n,
  expected: n,
  ...more
})

const medianOf = (scenario: string, ...rows: ReadonlyArray<Row>): Median =>
  median(rows.map((one) => counted(scenario, one)))

const results = (scenario: string, peers: Readonly<Record<string, Row>>): Results =>
  new Map([[scenario, new Map(Object.entries(peers).map(([peer, one]) => [peer, medianOf(scenario, one)]))]])

describe("a row", () => {
  it("whose count is off by one, either way, is refused", () => {
    expect(() => counted("pingpong", row(10, 1, { completed: 9 }))).toThrow("9 done of 10")
    expect(() => counted("pingpong", row(10, 1, { completed: 11 }))).toThrow("11 done of 10")
    expect(counted("pingpong", row(10, 5)).rate).toBe(2000)
  })
})

describe("of several rounds", () => {
  it("the one with the middle rate counts, whole; of four the lower of the two", () => {
    const rows = [row(10, 1), row(40, 1), row(20, 1), row(30, 1)]
    expect(medianOf("pingpong", ...rows)).toMatchObject({ row: { n: 20 }, rate: 20_000, spread: 1.5, rounds: 4 })
  })

  it("in fairness the one with the middle p99 counts, whatever the rates", () => {
    const rows = [row(1, 1, { p99_us: 900 }), row(3, 1, { p99_us: 100 }), row(2, 1, { p99_us: 300 })]
    expect(medianOf("fairness", ...rows).row.p99_us).toBe(300)
  })
})

describe("judge", () => {
  it("compares rates with the floor of the same run, at the limit met", () => {
    const met = (n: number) =>
      judge(results("pingpong", { floor: row(1000, 1), troupe: row(n, 1) })).map((one) => one.met)
    expect([met(400), met(399)]).toEqual([[true], [false]])
  })

  it("holds a latency and memory to their most", () => {
    const of = (p99_us: number) =>
      judge(results("fairness", { floor: row(1, 1, { p99_us: 1 }), troupe: row(1, 1, { p99_us }) }))
    expect([of(1900)[0]?.met, of(1901)[0]?.met]).toEqual([true, false])
  })

  it("says nothing of what was not run", () => {
    expect(judge(results("pingpong", { troupe: row(1, 1) }))).toEqual([])
  })
})

describe("behind", () => {
  it("names who was faster, in fairness whose p99 was lower, neither the floor nor Troupe's other forms", () => {
    const peers = { floor: row(9, 1), troupe: row(4, 1), "troupe-sync": row(5, 1), erlang: row(6, 1), nact: row(3, 1) }
    expect(behind(results("pingpong", peers))).toEqual(["pingpong: erlang, 1.50 times as good"])
    const late = { troupe: row(9, 1, { p99_us: 200 }), nact: row(1, 1, { p99_us: 100 }) }
    expect(behind(results("fairness", late))).toEqual(["fairness: nact, 2.00 times as good"])
  })
})

describe("svg", () => {
  it("places powers of ten at equal distances, the greatest cost within the panel", () => {
    const text = svg("actors", [
      {
        title: "a < b",
        series: [
          {
            name: "one",
            points: [
              [1000, 1],
              [10_000, 2],
              [100_000, 3]
            ]
          }
        ]
      }
    ])
    const line = /points="([^"]*)"/.exec(text)?.[1] ?? ""
    const [first = [], second = [], third = []] = line.split(" ").map((pair) => pair.split(",").map(Number))
    expect(second[0]! - first[0]!).toBeCloseTo(third[0]! - second[0]!, 1)
    expect(third[1]).toBeGreaterThan(0)
    expect(text).toContain("a &lt; b")
  })
})
