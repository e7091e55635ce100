import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Choices, count, Lane, type Lists, parse, print } from "../../src/testkit/Choices.ts"
import { Seed } from "../../src/testkit/Seed.ts"
import { shrink } from "../../src/testkit/Shrink.ts"

const lists = (entries: Readonly<Record<string, ReadonlyArray<number>>>): Lists => new Map(Object.entries(entries))

describe("Lane", () => {
  it("writes down what it draws, and gives the same from what it wrote", () => {
    const drawn = new Lane(new Seed(3))
    const values = [drawn.below(10), drawn.between(5, 9), drawn.pick([7, 8, 9]), drawn.below(1000)]
    const given = new Lane(drawn.made)
    expect([given.below(10), given.between(5, 9), given.pick([7, 8, 9]), given.below(1000)]).toEqual(values)
    expect(given.made).toEqual(drawn.made)
  })

  it("goes on with the simplest when its list has run out, and lowers what is too high", () => {
    const lane = new Lane([9])
    expect([lane.below(5), lane.below(5), lane.oneIn(2), lane.pick(["a", "b"]), lane.between(4, 8)]).toEqual([
      4,
      0,
      false,
      "a",
      4
    ])
    expect(lane.made).toEqual([4, 0, 0, 0, 0])
  })

  it("one of one is no choice", () => {
    const lane = new Lane([3])
    expect([lane.below(1), lane.oneIn(1), lane.below(4)]).toEqual([0, true, 3])
    expect(lane.made).toEqual([3])
  })

  it("closed, it writes nothing down", () => {
    const lane = new Lane(new Seed(1))
    lane.close()
    expect(Array.from({ length: 5 }, () => lane.below(100))).toEqual([0, 0, 0, 0, 0])
    expect(lane.made).toEqual([])
  })
})

describe("Choices", () => {
  it("lanes of one seed differ, and keep no zeros at their ends", () => {
    const choices = new Choices(1)
    const draw = (name: string) => Array.from({ length: 20 }, () => choices.lane(name).below(1000))
    expect(draw("a")).not.toEqual(draw("b"))
    expect(new Choices(lists({ a: [1, 0, 0] })).lists.size).toBe(0)
    const again = new Choices(lists({ a: [1, 0, 2] }))
    for (let n = 0; n < 9; n++) again.lane("a").below(5)
    expect(again.lists.get("a")).toEqual([1, 0, 2])
  })

  it("what is printed is parsed to the same", () => {
    const list = fc.array(fc.nat(2 ** 32 - 1), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(fc.dictionary(fc.string(), list), (entries) => {
        const made = lists(entries)
        expect(parse(print(made))).toEqual(made)
      })
    )
  })

  it("other text is refused", () => {
    for (const text of ["", "t1", "t2.AA", "t1.AWEF", "t1._____w"]) expect(parse(text)).toBeUndefined()
  })
})

describe("shrink", () => {
  it("leaves what is needed, in its place, as low as it goes", () => {
    // fails when lane a has a value over 40 somewhere before one over 7
    const fails = (made: Lists): Lists | undefined => {
      const list = made.get("a") ?? []
      const first = list.findIndex((value) => value > 40)
      return first >= 0 && list.slice(first + 1).some((value) => value > 7) ? made : undefined
    }
    const seed = new Seed(5)
    const found = lists({
      a: Array.from({ length: 200 }, () => seed.below(100)),
      b: Array.from({ length: 200 }, () => seed.below(100)),
      order: [1, 2, 3]
    })
    const short = shrink(found, fails, 2000)
    expect(short.lists).toEqual(lists({ a: [41, 8] }))
    expect(short.attempts).toBeLessThan(200)
  })

  it("makes no more attempts than it may, and answers with the best so far", () => {
    const found = lists({ a: Array.from({ length: 100 }, (_, i) => i + 1) })
    let attempts = 0
    const { lists: best } = shrink(
      found,
      (made) => {
        attempts++
        return count(made) >= 30 ? made : undefined
      },
      10
    )
    expect(attempts).toBe(10)
    expect(count(best)).toBeLessThan(100)
    expect(count(best)).toBeGreaterThanOrEqual(30)
  })
})
