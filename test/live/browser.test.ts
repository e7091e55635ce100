import { chromium } from "playwright-core"
import { afterEach, describe, expect, it } from "vitest"
import { Gate, type Live, open, until } from "./Lab.ts"
import { chromiumPath, site } from "./Page.ts"

// it hands what happens to the test, which reads it by name
const script = `
  import { connect } from "troupe/client"
  const client = connect({ url: location.origin, type: "Lab", key: "a" }, { minDelayMillis: 1, maxDelayMillis: 20 })
  const heard = []
  const seen = []
  client.on("Filler", ({ text }) => heard.push(text))
  client.onStatus(({ state }) => seen.push(state))
  client.onGap(() => seen.push("gap"))
  const read = async (stream) => {
    const values = []
    for await (const value of stream) values.push(value)
    return values
  }
  Object.assign(globalThis, { client, heard, seen, read })
`

let live: Live | undefined
const closing: Array<() => Promise<void> | void> = []

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
  await live?.close()
  live = undefined
})

const why = chromiumPath === undefined ? " (skipped: no Chromium; apt-get install -y chromium, or CHROMIUM=path)" : ""

describe.skipIf(chromiumPath === undefined)(`a page in Chromium${why}`, () => {
  it("asks, hears events, survives a cut, and resumes its session: nothing missed, nothing handled twice", async () => {
    const gate = new Gate()
    live = await open(gate)
    const { gateway } = live
    const front = await site(script, () => gateway.port)
    closing.push(() => front.close())
    const browser = await chromium.launch({
      executablePath: chromiumPath!,
      // a container has neither the user for a sandbox nor much of /dev/shm
      args: ["--no-sandbox", "--disable-dev-shm-usage"]
    })
    closing.push(() => browser.close())
    const page = await browser.newPage()
    const faults: Array<unknown> = []
    page.on("pageerror", (error) => faults.push(error))
    await page.goto(await front.listen())

    expect(await page.evaluate("client.ask('Kept')")).toBe(0)
    await page.evaluate("client.ask('Flood', { frames: 2, bytes: 1 })")
    expect(await page.evaluate("heard")).toEqual(["x", "x"])
    expect(await page.evaluate("read(client.stream('Count', { to: 40 }))")).toEqual([...Array(40).keys()])

    await page.evaluate("void (globalThis.held = client.ask('Hold', { n: 7 }))")
    await until("the handler waits", () => gate.held.length === 1)
    front.plugged = false
    front.cut()
    await until("its session is away", () => gateway.stats().away === 1)
    await page.evaluate("void (globalThis.noted = client.ask('Note', { n: 1 }))")
    const { keptBytes } = gateway.stats()
    gate.open()
    await until("the answer is kept", () => gateway.stats().keptBytes > keptBytes)
    front.plugged = true
    expect(await page.evaluate("held")).toBe(7)
    expect(await page.evaluate("noted")).toBeNull()
    await page.evaluate("client.ask('Flood', { frames: 1, bytes: 2 })")
    expect(await page.evaluate("heard")).toEqual(["x", "x", "xx"])
    expect([gate.held, gate.interrupted, gate.noted]).toEqual([[7], [], [1]])
    const seen = (await page.evaluate("seen")) as ReadonlyArray<string>
    expect(seen[0]).toBe("open")
    expect(seen.at(-1)).toBe("open")
    expect(seen).not.toContain("gap")
    expect(front.connections).toBe(2)

    await page.evaluate("client.close()")
    await until("the session has ended", () => gateway.stats().sessions === 0)
    expect(faults).toEqual([])
  })
})
