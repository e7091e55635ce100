import { afterEach, describe, expect, it } from "vitest"
import type { House, Pending } from "../../src/gateway/Connection.ts"
import type { Call } from "../../src/gateway/JsonRpc.ts"
import { RequestKeys } from "../../src/gateway/RequestKeys.ts"
import { bytesOf, Ring } from "../../src/gateway/Ring.ts"
import { houseOf as wired } from "./Wire.ts"

const open: Array<{ clear(): unknown }> = []

/** A gateway that may keep a quarter of `max` bytes of each kind. */
const houseOf = (max: number): House => wired({ maxReplay: 1000, maxReplayBytes: 1_000_000, graceMillis: 1000 }, max)

const keysOf = (house: House): RequestKeys => {
  const keys = new RequestKeys(house)
  open.push(keys)
  return keys
}
const ringOf = (house: House): Ring => {
  const ring = new Ring({ dropped: () => {} }, house)
  open.push(ring)
  return ring
}

afterEach(() => {
  // what is kept is one sum for the process
  for (const each of open.splice(0)) each.clear()
})

const call = (n: number): Call => ({ id: n, method: "Hold", params: { n }, requestKey: `k${n}` })
const pending = {} as Pending

describe("what sessions keep", () => {
  it("fits with each frame, of whatever agent: the oldest of others go", () => {
    const house = houseOf(8000)
    const rings = [ringOf(house), ringOf(house), ringOf(house)]
    const frame = `{"n":"${"x".repeat(100)}"}`
    for (let n = 0; n < 30; n++) {
      rings[n % 3]!.add({ seq: n, frame, bytes: bytesOf(frame), at: 0 })
      expect(house.budget.frames.full).toBe(false)
    }
    expect(house.budget.frames.bytes).toBeGreaterThan(1500)
    for (const ring of rings) expect(ring.size).toBeGreaterThan(0)
  })

  it("fits with each request that begins, and with each outcome", () => {
    const house = houseOf(16_000)
    const sessions = [keysOf(house), keysOf(house)]
    for (let n = 0; n < 40; n++) {
      const keys = sessions[n % 2]!
      keys.begin(call(n))
      expect(house.budget.keys.full).toBe(false)
      keys.finish(`k${n}`, `"result":"${"x".repeat(n * 20)}"`, n, undefined)
      expect(house.budget.keys.full).toBe(false)
    }
    expect(house.budget.keys.bytes).toBeGreaterThan(3000)
  })
})

describe("the keys of requests", () => {
  it("are forgotten from the oldest that was answered on; one under way is not, however old", () => {
    const keys = keysOf(houseOf(10_000_000))
    keys.begin(call(0))
    for (let n = 1; n <= 2000; n++) {
      keys.begin(call(n))
      keys.finish(`k${n}`, '"result":1', n, undefined)
    }
    expect(keys.find(call(0))).toMatchObject({ outcome: undefined })
    expect([keys.find(call(977)), keys.find(call(978))]).toMatchObject([undefined, { outcome: '"result":1' }])
  })

  it("have repeats that wait, until their request is done with", () => {
    const keys = keysOf(houseOf(10_000_000))
    for (const n of [1, 2, 3]) {
      keys.begin(call(n))
      const known = keys.find(call(n))
      if (known === undefined || known === "other") throw new Error("it is not known")
      for (const id of ["a", "b"]) keys.wait(known, { id, pending })
    }
    expect(keys.repeating).toBe(6)
    expect(keys.finish("k1", '"result":1', 1, undefined).map(({ id }) => id)).toEqual(["a", "b"])
    expect(keys.forget("k2").map(({ id }) => id)).toEqual(["a", "b"])
    expect(keys.repeating).toBe(2)
  })
})
