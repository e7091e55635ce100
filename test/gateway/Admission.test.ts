import { Redacted } from "effect"
import type { IncomingMessage } from "node:http"
import { inspect } from "node:util"
import { describe, expect, it } from "vitest"
import { Creators } from "../../src/gateway/Creators.ts"
import { Expiry } from "../../src/gateway/Expiry.ts"
import * as Handshake from "../../src/gateway/Handshake.ts"
import * as Origin from "../../src/gateway/Origin.ts"
import * as Peer from "../../src/gateway/Peer.ts"
import { Timers } from "../../src/kernel/Timers.ts"

const request = (headers: Record<string, string>, url = "/agents/Lab/a", remoteAddress = "198.51.100.1") =>
  ({ url, headers, socket: { remoteAddress } }) as unknown as IncomingMessage

describe("Origin", () => {
  it.each([
    ["the same host", "same", "http://a.example:4000", "a.example:4000", true],
    ["the same host, its scheme's port left out", "same", "https://a.example", "a.example:443", true],
    ["the same host in other letters", "same", "https://a.example", "A.Example", true],
    ["another host", "same", "https://b.example", "a.example", false],
    ["another port", "same", "http://a.example:1", "a.example:2", false],
    ["a host that the page's begins with", "same", "https://a.example.evil", "a.example", false],
    ["no origin: no browser", "same", undefined, "a.example", true],
    ["a sandbox", "same", "null", "a.example", false],
    ["no host", "same", "http://a.example", undefined, false],
    ["junk", "same", "a.example", "a.example", false],
    ["a file, whose host is empty", "same", "file://", "", false],
    ["a listed one", ["https://b.example"], "https://b.example", "a.example", true],
    ["one that is not listed, though the same", ["https://b.example"], "https://a.example", "a.example", false],
    ["a listed sandbox", ["null"], "null", "a.example", true],
    ["any", "any", "https://b.example", "a.example", true]
  ] as const)("judges %s", (_, origins, origin, host, allowed) => {
    expect(Origin.allows(origins, origin, host)).toBe(allowed)
  })

  it.each([["https://a.example/"], ["https://A.example"], ["a.example"], ["*"], ["https://a.example:443"], [7]])(
    "refuses a list with %s, which no browser sends",
    (origin) => {
      expect(() => Origin.check([origin])).toThrow("gateway.origins")
    }
  )
})

describe("Peer", () => {
  it.each([
    ["the socket's address without a trusted proxy", "203.0.113.7", 0, "198.51.100.1"],
    ["what one's own proxy wrote, not what the client did", "10.9.9.9, 203.0.113.7", 1, "203.0.113.7"],
    ["what the first of two proxies wrote", "10.9.9.9, 203.0.113.7, 10.0.0.2", 2, "203.0.113.7"],
    ["the first, of fewer than there are proxies", "203.0.113.7", 2, "203.0.113.7"],
    ["an address with its port", "203.0.113.7:5000", 1, "203.0.113.7"],
    ["IPv6 in brackets", "[2001:DB8::1]:5000", 1, "2001:db8::1"],
    ["the socket's, for junk", "<script>", 1, "198.51.100.1"]
  ])("is %s", (_, forwarded, proxies, address) => {
    expect(Peer.of(request({ "x-forwarded-for": forwarded }), proxies)).toBe(address)
  })

  it("is IPv4 also in IPv6's dress", () => {
    expect(Peer.of(request({}, "/", "::ffff:192.0.2.1"), 0)).toBe("192.0.2.1")
  })

  it.each([
    ["another host's, as usual", "192.0.2.1", undefined, 7],
    ["this host's own, without bound", "127.0.0.9", undefined, Number.POSITIVE_INFINITY],
    ["this host's own in IPv6", "::1", undefined, Number.POSITIVE_INFINITY],
    ["this host's own, where a bound is given", "127.0.0.1", 3, 3]
  ])("may have so many: %s", (_, address, given, most) => {
    expect(Peer.most(address, given, 7)).toBe(most)
  })

  it("counts IPv6 by its first 64 bits", () => {
    const group = Peer.group("2001:db8:0:7::1")
    expect(Peer.group("2001:db8::7:ffff:0:0:9")).toBe(group)
    expect(Peer.group("2001:db8:0:8::1")).not.toBe(group)
    expect(Peer.group("::1")).toBe("0:0:0:0::/64")
    expect(Peer.group("192.0.2.1")).toBe("192.0.2.1")
  })
})

describe("Handshake", () => {
  const token = "s3cret+/="
  it.each([
    ["the Authorization header", request({ authorization: `Bearer ${token}` }, "/agents/Lab/a?b=1")],
    ["a subprotocol", request({ "sec-websocket-protocol": "troupe, bearer.s3cret" }, "/agents/Lab/a?b=1")],
    ["the query", request({}, `/agents/Lab/a?token=${encodeURIComponent(token)}&b=1`)],
    ["the query, its name in escapes", request({}, "/agents/Lab/a?b=1&%74oken=s3cret")],
    ["the query behind a second ?", request({}, "/agents/Lab/a?b=1&token=s3cret?x")]
  ])("finds the token in %s, and shows it nowhere", (_, from) => {
    const handshake = Handshake.read(from, "192.0.2.1")
    expect(Redacted.value(handshake.token!)).toMatch(/^s3cret/)
    expect(inspect(handshake, { depth: 9 })).not.toContain("s3cret")
    expect(JSON.stringify(handshake)).not.toContain("s3cret")
    expect(handshake).toMatchObject({ url: "/agents/Lab/a?b=1", path: "/agents/Lab/a", address: "192.0.2.1" })
    expect({ ...handshake.query }).toEqual({ b: "1" })
  })

  it.each([
    ["plain", "session"],
    ["its name in escapes", "%73ession"]
  ])("shows the token of a session nowhere, and cuts it out of a text: %s", (_, name) => {
    const session = "S".repeat(43)
    const handshake = Handshake.read(request({}, `/agents/Lab/a?b=1&${name}=${session}&after=3`), "192.0.2.1")
    expect(inspect(handshake, { depth: 9 })).not.toContain(session)
    expect(JSON.stringify(handshake)).not.toContain(session)
    expect(handshake).toMatchObject({ url: "/agents/Lab/a?b=1&after=3", token: undefined })
    expect({ ...handshake.query }).toEqual({ b: "1", after: "3" })
    expect(Redacted.value(handshake.session!)).toBe(session)
    expect(Handshake.hush(`no ${session}`, Handshake.renewed(handshake, "s3cret"))).toBe("no <session>")
  })

  it("has no session for a new one", () => {
    const handshake = Handshake.read(request({}, "/agents/Lab/a?session=new"), "192.0.2.1")
    expect(handshake).toMatchObject({ url: "/agents/Lab/a", session: undefined })
  })

  it("takes the header first, then the subprotocol", () => {
    const all = { authorization: "bearer one", "sec-websocket-protocol": "bearer.two" }
    expect(Redacted.value(Handshake.read(request(all, "/?token=three"), "").token!)).toBe("one")
    const { authorization: _, ...rest } = all
    expect(Redacted.value(Handshake.read(request(rest, "/?token=three"), "").token!)).toBe("two")
  })

  it("leaves another Authorization to authenticate, and has names of Object's prototype in the query as names", () => {
    const handshake = Handshake.read(request({ authorization: "Basic eA==" }, "/?__proto__=1"), "")
    expect(handshake).toMatchObject({ headers: { authorization: "Basic eA==" }, token: undefined })
    expect(Object.keys(handshake.query)).toEqual(["__proto__"])
  })

  it("cuts its token out of a text, raw and as a URL has it", () => {
    const handshake = Handshake.read(request({ authorization: `Bearer ${token}` }), "")
    expect(Handshake.hush(`bad ${token} in ?token=${encodeURIComponent(token)}`, handshake)).toBe(
      "bad <token> in ?token=<token>"
    )
  })
})

describe("Creators", () => {
  it("bounds the living agents of one principal; one that has ended, or was made anew by another, counts no more", () => {
    const living = new Set<string>()
    const creators = new Creators((agent) => living.has(agent))
    const make = (principal: string, agent: string) => {
      living.add(agent)
      creators.add(principal, agent)
    }
    for (const key of ["a", "b", "c"]) make("ann", `Lab/${key}`)
    expect([creators.full("ann", 3), creators.full("ann", 4), creators.full("bob", 1)]).toEqual([true, false, false])
    living.delete("Lab/a")
    expect(creators.full("ann", 3)).toBe(false)
    living.delete("Lab/b")
    make("bob", "Lab/b")
    expect([creators.full("ann", 2), creators.full("bob", 1)]).toEqual([false, true])
  })

  it("holds what is made anew by who is not counted against nobody", () => {
    const creators = new Creators(() => true)
    creators.add("ann", "Lab/a")
    creators.forget("Lab/a")
    expect([creators.full("ann", 1), creators.size]).toEqual([false, 0])
  })

  it("does not remember for ever what has ended", () => {
    const creators = new Creators(() => false)
    for (let n = 0; n < 10_000; n++) creators.add(`p${n}`, `Lab/${n}`)
    expect(creators.size).toBeLessThanOrEqual(1024)
  })
})

describe("Expiry", () => {
  /** A wall and timers that a test moves. */
  const world = () => {
    let now = 5_000_000
    const sleeping: Array<{ readonly at: number; readonly wake: () => void }> = []
    const sleep = (millis: number, wake: () => void) => {
      const one = { at: now + millis, wake }
      sleeping.push(one)
      return () => void sleeping.splice(sleeping.indexOf(one), 1)
    }
    const timers = new Timers(
      () => now,
      sleep,
      (defect) => {
        throw defect
      }
    )
    const called: Array<string> = []
    const mortal = (name: string) => ({ expired: () => void called.push(`${name} ${now}`) })
    const until = (end: number) => {
      for (;;) {
        const next = sleeping.filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        sleeping.splice(sleeping.indexOf(next), 1)
        now = Math.max(now, next.at)
        next.wake()
      }
      now = end
    }
    return { expiry: new Expiry(timers, () => now), timers, called, mortal, until }
  }

  it("calls each in the second behind its end, never before, by one timer", () => {
    const { expiry, timers, called, mortal, until } = world()
    expiry.set(mortal("late"), 5_200_000)
    expiry.set(mortal("soon"), 5_001_200)
    expiry.set(mortal("never"), undefined)
    expect(timers.size).toBe(1)
    until(5_400_000)
    expect(called).toEqual(["soon 5002000", "late 5200000"])
    expect([timers.size, expiry.size]).toEqual([0, 0])
  })

  it("calls all of one second, also where that is very many", () => {
    const { expiry, timers, until } = world()
    let expired = 0
    for (let n = 0; n < 200_000; n++) expiry.set({ expired: () => void expired++ }, 5_001_000)
    until(5_001_000)
    expect([expired, expiry.size, timers.size]).toEqual([200_000, 0, 0])
  })

  it("forgets who is gone, and moves who is renewed", () => {
    const { expiry, timers, called, mortal, until } = world()
    const [gone, renewed] = [mortal("gone"), mortal("renewed")]
    expiry.set(gone, 5_002_000)
    expiry.set(renewed, 5_002_000)
    expiry.delete(gone)
    expiry.set(renewed, 5_009_000)
    until(5_008_999)
    expect(called).toEqual([])
    until(5_009_000)
    expect(called).toEqual(["renewed 5009000"])
    expect(timers.size).toBe(0)
  })
})
