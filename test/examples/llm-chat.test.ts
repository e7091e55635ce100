import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { connect } from "troupe/client"
import { chromium } from "playwright-core"
import { describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import type { Chat } from "../../examples/llm-chat/chat.ts"
import { start } from "../../examples/llm-chat/provider.ts"
import { chromiumPath } from "../live/Page.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const main = `${root}examples/llm-chat/main.ts`
const run = async (env: Readonly<Record<string, string>> = {}): Promise<string> => {
  const options = { cwd: root, timeout: 18_000, env: { PATH: process.env["PATH"] ?? "", ...env } }
  const { stdout } = await promisify(execFile)(process.execPath, ["--no-warnings", main], options)
  // of a machine that was busy: no business of the example's
  return stdout.replace(/^.* WARN .* held the event loop for \d+ ms.*\n/gm, "")
}

/** The numbers of the line that matches. */
const figures = (printed: string, line: RegExp): ReadonlyArray<number> => {
  const found = line.exec(printed)
  if (found === null) throw new Error(`no line ${line} in:\n${printed}`)
  return found.slice(1).map(Number)
}

const chat = `ann: hello there
  model: You said: hello there
  bob, in the same room, heard: You said: hello there
bob: add 3
  model: [Add] The tool says 3
ann: add 4
  model: [Add] The tool says 7
ann: count with me, number by number:...
bob, meanwhile: hello?
  TurnUnderWay
  ann leaves in mid answer: Disconnected
  bob heard that it has no answer: Left
den: count with me, number by number:...
  stop: TurnCancelled
`

/** The host with its page, told to stop when the test is done. */
const serving = async (test: (site: string) => Promise<void>): Promise<void> => {
  const host = spawn(process.execPath, ["--no-warnings", main, "--serve"], {
    cwd: root,
    env: { PATH: process.env["PATH"] ?? "", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"]
  })
  const ended = once(host, "exit")
  try {
    let site = ""
    for await (const line of createInterface({ input: host.stdout })) {
      site = /^open (http:\S+)\/#lobby$/.exec(line)?.[1] ?? ""
      if (site !== "") break
    }
    await test(site)
  } finally {
    host.kill("SIGTERM")
  }
  expect(await ended).toEqual([0, null])
}

const why = chromiumPath === undefined ? " (skipped: no Chromium; apt-get install -y chromium, or CHROMIUM=path)" : ""

describe("llm-chat", () => {
  it("prints what was said and its figures, and ends by itself", async () => {
    const printed = await run()
    expect(printed).toContain(`the model: local\n${chat}`)
    const [lines, prompts, spent] = figures(
      printed,
      /^the lobby remembers (\d+) lines of (\d+) prompts, and has used (\d+) tokens$/m
    )
    const [input, output] = figures(printed, /^tokens of answers: (\d+) in, (\d+) out$/m) as [number, number]
    expect([lines, prompts]).toEqual([6, 4])
    // words: 16 of the system prompt, then what was said before; the two that use a tool are two calls each
    expect([input, output]).toEqual([18 + (24 + 25) + (31 + 32), 4 + (1 + 4) + (1 + 4)])
    // the answer that was left is counted, too
    expect(spent).toBeGreaterThan(input + output)
    expect(printed).toContain("prompts: 3 answered, 1 refused, 2 ended\n")
    const [first, of] = figures(printed, /^time to the first token: median (\d+) ms of (\d+)$/m)
    expect([first! > 0, of]).toEqual([true, 5])
    const [calls, aborted, peak] = figures(
      printed,
      /^seen by the server: (\d+) calls, (\d+) aborted, at most (\d+) at once$/m
    )
    expect([calls, aborted, peak! <= 2]).toEqual([7, 2, true])
  })

  it("talks to the endpoint that the environment names, with its key and model", async () => {
    const local = await start("sesame")
    try {
      const env = { OPENAI_BASE_URL: local.url, OPENAI_API_KEY: "sesame", OPENAI_MODEL: "local?delay=5" }
      const printed = await run(env)
      expect(printed).toContain(`the model: ${local.url}\n${chat}`)
      expect(printed).toContain("what a real endpoint has seen it does not tell")
      expect([local.seen.calls, local.seen.bodies[0]!.model]).toEqual([7, "local?delay=5"])
    } finally {
      await local.close()
    }
  })

  it("serves rooms that let its page in, and no page of another site, until it is told to stop", () =>
    serving(async (site) => {
      const page = await (await fetch(site, { headers: { connection: "close" } })).text()
      const url = `ws://127.0.0.1:${/:(\d+)\/agents\/Chat/.exec(page)?.[1]}`
      const stranger = new WebSocket(`${url}/agents/Chat/lobby`, { origin: "http://else.test" })
      const [refused] = (await once(stranger, "error")) as [Error]
      expect(refused.message).toContain("403")
      class FromPage extends WebSocket {
        constructor(to: string, protocols?: Array<string>) {
          super(to, protocols, { origin: site })
        }
      }
      const client = connect<typeof Chat>({ url, type: "Chat", key: "lobby" }, { WebSocket: FromPage as never })
      let said = ""
      for await (const part of client.stream("Prompt", { text: "hello" })) if (part._tag === "Text") said += part.text
      expect(said).toBe("You said: hello")
      client.close()
    }))

  it.skipIf(chromiumPath === undefined)(`its page is a chat, for two at a time${why}`, () =>
    serving(async (site) => {
      const browser = await chromium.launch({
        executablePath: chromiumPath!,
        args: ["--no-sandbox", "--disable-dev-shm-usage"]
      })
      try {
        const [one, two] = [await browser.newPage(), await browser.newPage()]
        const faults: Array<unknown> = []
        for (const page of [one, two]) {
          page.on("pageerror", (error) => faults.push(error))
          await page.goto(`${site}/#den`)
        }
        await one.fill("#text", "good morning")
        await one.press("#text", "Enter")
        for (const page of [one, two]) await page.getByText("You said: good morning").waitFor()
        await one.getByText("tokens in").waitFor()
        await two.fill("#text", "add 5")
        await two.press("#text", "Enter")
        await two.getByText("uses Add").waitFor()
        for (const page of [one, two]) await page.getByText("The tool says 5").waitFor()
        await two.getByText("tokens in").waitFor()
        await one.fill("#text", "x ".repeat(500))
        await one.press("#text", "Enter")
        await one.getByText("You said: x").waitFor()
        await two.click("#stop")
        await one.getByText("no answer: TurnCancelled").waitFor()
        await two.reload()
        await two.getByText("You said: good morning").waitFor()
        // what was stopped is not remembered
        expect(await two.locator("#log p").allTextContents()).toEqual([
          "good morning",
          "You said: good morning",
          "add 5",
          "The tool says 5"
        ])
        expect(faults).toEqual([])
      } finally {
        await browser.close()
      }
    })
  )
})
