import { InvalidOption } from "troupe/client"
import { describe, expect, it } from "vitest"
import { resolve } from "../../src/client/Address.ts"

describe("an agent's address", () => {
  it.each([
    ["ws://h:4000/agents/Room/lobby", "ws://h:4000/agents/Room/lobby"],
    [new URL("wss://h/agents/Room/lobby?token=1"), "wss://h/agents/Room/lobby?token=1"],
    ["https://h/agents/Room/a#part", "wss://h/agents/Room/a"],
    [{ url: "http://h:4000", type: "Room", key: "lobby" }, "ws://h:4000/agents/Room/lobby"],
    [{ url: "wss://h/base/?token=1", type: "Room", key: "a/b c?" }, "wss://h/base/agents/Room/a%2Fb%20c%3F?token=1"],
    [{ url: "wss://h", type: "Room", key: "ü%2E" }, "wss://h/agents/Room/%C3%BC%252E"],
    [{ url: "wss://h", type: "Room", key: "..." }, "wss://h/agents/Room/..."]
  ])("%j is %s", (address, url) => {
    expect(resolve(address)).toBe(url)
  })

  it.each([
    ["/agents/Room/a", "url"],
    ["ftp://h/agents/Room/a", "url"],
    ["", "url"],
    [{ url: "nope", type: "Room", key: "a" }, "url"],
    [{ url: "ws://h", type: "", key: "a" }, "type"],
    [{ url: "ws://h", type: "Room", key: "" }, "key"],
    [{ url: "ws://h", type: "Room", key: "." }, "key"],
    [{ url: "ws://h", type: "Room", key: ".." }, "key"],
    [{ url: "ws://h", type: "Room", key: "x".repeat(257) }, "key"],
    [{ url: "ws://h", type: "Room", key: "\ud800" }, "key"],
    [{ url: "ws://h", type: "Room", key: 5 as unknown as string }, "key"]
  ])("%j is refused by name", (address, field) => {
    expect(() => resolve(address)).toThrow(InvalidOption)
    expect(() => resolve(address)).toThrow(new RegExp(`^${field}: `))
  })
})
