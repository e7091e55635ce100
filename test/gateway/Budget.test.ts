import { afterEach, describe, expect, it } from "vitest"
import { Budget, type Holder, type Room } from "../../src/gateway/Budget.ts"
import { reachable } from "./Reachable.ts"

const budgets: Array<Budget> = []
const made = (max: number): Budget => {
  const budget = new Budget(max)
  budgets.push(budget)
  return budget
}

afterEach(() => {
  for (const budget of budgets.splice(0)) {
    for (const room of [budget.frames, budget.keys]) room.keep(-room.bytes)
    budget.hold(-budget.held)
  }
})

/** Keeps `bytes` in a room, in pieces of 10; the first `fixed` of them it may not let go. */
class Pieces implements Holder {
  keptBytes = 0
  readonly #room: Room
  readonly #fixed: number
  constructor(room: Room, fixed = 0) {
    this.#room = room
    this.#fixed = fixed
    room.enter(this)
  }
  add(pieces: number): void {
    for (let n = 0; n < pieces; n++) {
      this.#keep(10)
      this.#room.fit(this)
    }
  }
  shed(): boolean {
    if (this.keptBytes <= this.#fixed) return false
    this.#keep(-10)
    return true
  }
  #keep(bytes: number): void {
    this.keptBytes += bytes
    this.#room.keep(bytes)
  }
}

describe("Budget", () => {
  it("closes at 80 %, is spent at all of it", () => {
    const budget = made(1000)
    budget.hold(799)
    expect([budget.closed, budget.spent]).toEqual([false, false])
    budget.hold(1)
    expect([budget.closed, budget.spent]).toEqual([true, false])
    budget.hold(200)
    expect(budget.spent).toBe(true)
    budget.hold(-201)
    expect([budget.closed, budget.spent]).toEqual([false, false])
  })

  it("lets sessions keep half of it, which is held too: frames a quarter, keys a quarter", () => {
    const budget = made(1000)
    budget.frames.keep(250)
    budget.keys.keep(250)
    expect([budget.frames.full, budget.keys.full, budget.held, budget.kept]).toEqual([false, false, 500, 500])
    budget.keys.keep(1)
    expect([budget.frames.full, budget.keys.full]).toEqual([false, true])
    budget.frames.keep(1)
    expect(budget.frames.full).toBe(true)
  })

  it("is one for all gateways of the process, each by its own limit", () => {
    const [small, large] = [made(1000), made(10_000)]
    large.hold(900)
    large.keys.keep(300)
    expect([small.closed, small.spent, small.keys.full, small.frames.full]).toEqual([true, true, true, false])
    expect([large.closed, large.keys.full]).toEqual([false, false])
    expect([small.held, large.held]).toEqual([0, 1200])
  })
})

describe("a Room that is full", () => {
  it("keeps nobody who has left", async () => {
    const { frames } = made(1000)
    const stays = new Pieces(frames, 1000)
    const left = await reachable(() => {
      const come = Array.from({ length: 1000 }, () => new Pieces(frames))
      for (const each of come) each.add(1)
      // lets nothing go: the others are asked
      stays.add(100)
      for (const each of come) frames.leave(each)
      return come
    })
    expect([left, stays.keptBytes]).toEqual([0, 1000])
  })

  it("takes from who keeps more than an even part, whoever came last", () => {
    const { keys } = made(4000)
    const all = Array.from({ length: 10 }, () => new Pieces(keys))
    for (const [i, one] of all.entries()) one.add(i === 4 ? 100 : 5)
    expect(all.map(({ keptBytes }) => keptBytes)).toEqual([50, 50, 50, 50, 550, 50, 50, 50, 50, 50])
    all[0]!.add(60)
    expect(keys.bytes).toBe(1000)
    expect(all.slice(1).filter(({ keptBytes }) => keptBytes === 50)).toHaveLength(8)
  })

  it("takes from who made it too much, as long as it keeps an even part", () => {
    const { keys } = made(4000)
    const all = Array.from({ length: 10 }, () => new Pieces(keys))
    for (const [i, one] of all.entries()) one.add(i < 2 ? 30 : 5)
    const kept = () => all.map(({ keptBytes }) => keptBytes)
    all[0]!.add(100)
    expect(kept()).toEqual([300, 300, 50, 50, 50, 50, 50, 50, 50, 50])
    all[2]!.add(60)
    expect(kept().slice(2)).toEqual([100, 50, 50, 50, 50, 50, 50, 50])
    expect(keys.bytes).toBe(1000)
  })

  it("takes from others where who keeps most may let nothing go, and ends where nobody may", () => {
    const { keys } = made(400)
    const fixed = new Pieces(keys, 1000)
    const other = new Pieces(keys)
    other.add(3)
    fixed.add(8)
    expect([fixed.keptBytes, other.keptBytes]).toEqual([80, 20])
    fixed.add(8)
    expect([fixed.keptBytes, other.keptBytes]).toEqual([160, 0])
  })

  it("takes nothing from who has left", () => {
    const { keys } = made(400)
    // with two that stay an even part is less than the one that left has kept
    const [gone, other] = [new Pieces(keys), new Pieces(keys), new Pieces(keys)]
    gone.add(10)
    // it was the last to let go
    other.add(1)
    expect([gone.keptBytes, other.keptBytes]).toEqual([90, 10])
    keys.leave(gone)
    other.add(2)
    expect([gone.keptBytes, other.keptBytes]).toEqual([90, 10])
  })
})
