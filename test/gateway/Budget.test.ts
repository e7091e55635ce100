import { afterEach, describe, expect, it } from "vitest"
import { Budget } from "../../src/gateway/Budget.ts"

const budgets: Array<Budget> = []
const made = (max: number): Budget => {
  const budget = new Budget(max)
  budgets.push(budget)
  return budget
}

afterEach(() => {
  for (const budget of budgets.splice(0)) {
    budget.keep(-budget.kept)
    budget.hold(-budget.held)
  }
})

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

  it("lets sessions keep half of it, which is held too", () => {
    const budget = made(1000)
    budget.keep(500)
    expect([budget.keepsTooMuch, budget.held, budget.kept]).toEqual([false, 500, 500])
    budget.keep(1)
    expect(budget.keepsTooMuch).toBe(true)
  })

  it("is one for all gateways of the process, each by its own limit", () => {
    const [small, large] = [made(1000), made(10_000)]
    large.hold(900)
    large.keep(600)
    expect([small.closed, small.spent, small.keepsTooMuch]).toEqual([true, true, true])
    expect([large.closed, large.keepsTooMuch]).toEqual([false, false])
    expect([small.held, large.held]).toEqual([0, 1500])
  })
})
