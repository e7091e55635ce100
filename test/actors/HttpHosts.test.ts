import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { HttpHosts } from "../../actors/HttpHosts.ts"
import { Place } from "../../actors/HttpPlace.ts"

const limits = { tls: {}, connectMillis: 1000, keepAliveMillis: 1000, maxBodyBytes: 1000 }

/** What a place is at: its host, and where. */
interface Held {
  readonly place: Place
  readonly origin: string
  state: "waits" | "taken" | "left" | "closed"
}

const operation = fc.oneof(
  { weight: 3, arbitrary: fc.record({ enter: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ leave: fc.nat() }) }
)

describe("HttpHosts", () => {
  it("keeps its limits, in all and per host; nobody waits who could be served; a host's line is first come, first served", () => {
    fc.assert(
      fc.property(
        fc.array(operation, { maxLength: 120 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 8 }),
        (operations, maxConnections, maxPerHost, maxQueued) => {
          const hosts = new HttpHosts({ ...limits, maxConnections, maxPerHost, maxQueued })
          const all: Array<Held> = []
          const of = (state: Held["state"], origin?: string) =>
            all.filter((held) => held.state === state && (origin === undefined || held.origin === origin))
          for (const each of operations) {
            if ("enter" in each) {
              const held: Held = { place: new Place(), origin: `http://host${each.enter}`, state: "left" }
              const entered = hosts.enter(held.origin, held.place, (closed) => {
                // first of its host's line
                expect(of("waits", held.origin)[0]).toBe(held)
                held.state = closed ?? "taken"
              })
              const isFree = of("taken").length < maxConnections && of("taken", held.origin).length < maxPerHost
              expect(entered).toBe(isFree ? "taken" : of("waits").length < maxQueued ? "waits" : "full")
              if (entered === "full") continue
              held.state = entered as "taken" | "waits"
              all.push(held)
            } else {
              const there = [...of("waits"), ...of("taken")]
              const held = there[each.leave % there.length]
              if (held === undefined) continue
              held.state = "left"
              hosts.leave(held.place)
              // once more: nothing
              hosts.leave(held.place)
            }
            expect([hosts.inFlight, hosts.queued]).toEqual([of("taken").length, of("waits").length])
            const origins = new Set([...of("taken"), ...of("waits")].map(({ origin }) => origin))
            expect(hosts.size).toEqual({ hosts: origins.size, connections: of("taken").length })
            for (const origin of origins) {
              expect(of("taken", origin).length).toBeLessThanOrEqual(maxPerHost)
              const isFree = hosts.inFlight < maxConnections && of("taken", origin).length < maxPerHost
              expect(of("waits", origin).length > 0 && isFree).toBe(false)
            }
            expect(hosts.inFlight).toBeLessThanOrEqual(maxConnections)
          }
          const waiting = of("waits").length
          void hosts.close(new Error("closed"))
          expect([of("closed").length, hosts.queued, hosts.size.connections]).toEqual([waiting, 0, 0])
          expect(hosts.enter("http://host0", new Place(), () => {})).toBe("closed")
        }
      ),
      { numRuns: 200 }
    )
  })
})
