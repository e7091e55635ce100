import { JSONRPCClient, type JSONRPCResponse } from "json-rpc-2.0"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { type HostProcess, start } from "./HostProcess.ts"
import { call, type Frame, Raw } from "./Raw.ts"

let host: HostProcess

beforeAll(async () => {
  host = await start()
})
afterAll(async () => {
  await host.stop()
})

const open = (path: string): Promise<Raw> => Raw.open(`${host.url}${path}`)

/** A JSON-RPC client that this project did not write, over one socket. */
const jsonRpc = async (path: string): Promise<{ readonly client: JSONRPCClient; readonly raw: Raw }> => {
  const raw = await open(path)
  const client = new JSONRPCClient((request) => raw.send(request))
  raw.socket.on("message", (data) => {
    const message = JSON.parse((data as Buffer).toString()) as JSONRPCResponse & { readonly method?: string }
    if (message.method === undefined) client.receive(message)
  })
  return { client, raw }
}

/** Waits on a fact of the host's. */
const until = async (what: string, fact: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 2000; i++) {
    if (await fact()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new Error(`waited in vain for: ${what}; ${JSON.stringify(await host.health())}`)
}

describe("the demo host, called by the json-rpc-2.0 client of npm", () => {
  it("answers Hi, Status and Echo, and hangs up on Disconnect", async () => {
    const { client, raw } = await jsonRpc("/agents/Echo/ann")
    expect(await client.request("Hi", undefined)).toBe("hi, this is ann")
    expect(await client.request("Echo", { text: "grüß dich" })).toEqual({ text: "grüß dich" })
    expect(await client.request("Status", undefined)).toMatchObject({ messages: 3, state: "active" })
    client.notify("Hi", undefined)
    expect(await client.request("Status", undefined)).toMatchObject({ messages: 5 })
    await client.request("Disconnect", undefined)
    expect(await raw.closed).toBe(1000)
  })

  it("counts for all clients of one agent, and tells each of them of every change", async () => {
    const one = await jsonRpc("/agents/Counter/shared")
    const two = await jsonRpc("/agents/Counter/shared")
    expect(await one.client.request("Increment", { by: 2 })).toBe(2)
    expect(await two.client.request("Increment", { by: 3 })).toBe(5)
    expect(await one.client.request("Read", undefined)).toBe(5)
    for (const { raw } of [one, two]) {
      expect(
        (await raw.frame((f) => f.method === "Changed" && (f.params as { count: number }).count === 5)).params
      ).toEqual({
        count: 5
      })
      raw.socket.close()
    }
  })

  it("passes what is said in a room to all but the speaker", async () => {
    const speaker = await jsonRpc("/agents/Room/lobby")
    const listener = await jsonRpc("/agents/Room/lobby")
    await listener.client.request("Say", { text: "first" })
    expect(await speaker.client.request("Say", { text: "hello" })).toBe(2)
    const said = await listener.raw.frame((f) => f.method === "Said")
    expect(said.params).toMatchObject({ text: "hello" })
    const heard = speaker.raw.frames.flat().filter((f) => (f as Frame).method === "Said")
    expect(heard.map((f) => (f as { params: { text: string } }).params.text)).toEqual(["first"])
    speaker.raw.socket.close()
    listener.raw.socket.close()
  })
})

describe("bad input, sent by the bare ws client", () => {
  const cases: ReadonlyArray<readonly [string, unknown, number | null, number]> = [
    ["an unknown method", call(1, "Nope"), 1, -32601],
    ["a method of Object's prototype", call(1, "constructor"), 1, -32601],
    ["params that its Schema refuses", call(2, "Echo", { text: 7 }), 2, -32602],
    ["params that are missing", call(3, "Echo"), 3, -32602],
    ["params by position", call(4, "Echo", ["x"]), 4, -32602],
    ["broken JSON", '{"jsonrpc":', null, -32700],
    ["a wrong version", { jsonrpc: "1.0", id: 5, method: "Hi" }, 5, -32600],
    ["an id that is an object", { jsonrpc: "2.0", id: {}, method: "Hi" }, null, -32600],
    ["an empty batch", "[]", null, -32600],
    ["a batch that is too long", JSON.stringify(Array.from({ length: 33 }, (_, i) => call(i, "Hi"))), null, -32600]
  ]
  it.each(cases)("%s gets its error, and the connection goes on", async (_name, message, id, code) => {
    const raw = await open("/agents/Echo/bad")
    raw.send(message)
    expect((await raw.answer(id)).error?.code).toBe(code)
    raw.send(call(99, "Hi"))
    expect((await raw.answer(99)).result).toBe("hi, this is bad")
    raw.socket.close()
  })

  it("answers a mixed batch as one array, without its notifications", async () => {
    const raw = await open("/agents/Echo/batch")
    raw.send([call(1, "Hi"), { jsonrpc: "2.0", method: "Hi" }, 3, call(2, "Nope")])
    await raw.answer(1)
    const [batch] = raw.frames as ReadonlyArray<ReadonlyArray<Frame>>
    expect(batch!.map((f) => [f.id, f.error?.code ?? 0])).toEqual(
      expect.arrayContaining([
        [1, 0],
        [null, -32600],
        [2, -32601]
      ])
    )
    expect(batch).toHaveLength(3)
    raw.socket.close()
  })

  it("closes 1009 on a frame over 64 KiB, 1003 on a binary one, 1008 past a hundred invalid messages", async () => {
    const large = await open("/agents/Echo/large")
    large.send("x".repeat(70_000))
    expect(await large.closed).toBe(1009)
    const binary = await open("/agents/Echo/binary")
    binary.socket.send(Buffer.from([1, 2, 3]))
    expect(await binary.closed).toBe(1003)
    const stubborn = await open("/agents/Echo/stubborn")
    for (let i = 0; i <= 100; i++) stubborn.send("nonsense")
    expect(await stubborn.closed).toBe(1008)
  })

  it("refuses an unknown agent type, another path and a bad key before the upgrade", async () => {
    await expect(open("/agents/Nobody/x")).rejects.toThrow("404")
    await expect(open("/elsewhere")).rejects.toThrow("404")
    await expect(open("/agents/Echo/%ZZ")).rejects.toThrow("400")
    await expect(open(`/agents/Echo/${"k".repeat(300)}`)).rejects.toThrow("400")
  })
})

describe("bad company", () => {
  it("a client that vanishes in the middle of its requests leaves nothing behind", async () => {
    const before = (await host.health()).gateway.connections
    const raw = await open("/agents/Counter/vanish")
    for (let i = 0; i < 20; i++) raw.send(call(i, "Increment", { by: 1 }))
    raw.socket.terminate()
    await until("the connection is gone", async () => (await host.health()).gateway.connections === before)
    const { balanced, system } = await host.health()
    expect({ balanced, queued: system.queued, running: system.running }).toEqual({
      balanced: true,
      queued: 0,
      running: 0
    })
  })

  it("a flooder in a shared room slows itself: nothing of the polite client's is lost", async () => {
    const flooder = await open("/agents/Room/flooded")
    const polite = await open("/agents/Room/flooded")
    flooder.socket.on("close", () => {})
    for (let i = 0; i < 5000; i++) flooder.send({ jsonrpc: "2.0", method: "Say", params: { text: `spam ${i}` } })
    for (let i = 0; i < 50; i++) {
      polite.send(call(i, "Say", { text: "please" }))
      const answer = await polite.answer(i)
      expect(answer.error).toBeUndefined()
    }
    flooder.socket.terminate()
    polite.socket.close()
    await until("the books balance with nothing queued", async () => {
      const { balanced, system } = await host.health()
      return balanced && system.queued === 0
    })
  })

  it("counts a notification that an agent cannot take as a dead letter with its reason, never as lost", async () => {
    const { system, balanced } = await host.health()
    expect(balanced).toBe(true)
    expect(system.accepted).toBe(system.finished + system.deadLettered + system.queued + system.running)
  })
})

describe("the end", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("%s answers what was read, closes 1012 and exits 0", async (signal) => {
    const own = await start()
    const socket = new WebSocket(`${own.url}/agents/Counter/end`)
    const frames: Array<Frame> = []
    socket.on("message", (data) => frames.push(JSON.parse((data as Buffer).toString()) as Frame))
    await new Promise((resolve) => socket.once("open", resolve))
    const answered = new Promise((resolve) => socket.on("message", resolve))
    for (let i = 0; i < 10; i++) socket.send(JSON.stringify(call(i, "Increment", { by: 1 })))
    await answered
    const closed = new Promise<number>((resolve) => socket.once("close", resolve))
    const code = await own.stop(signal)
    expect(await closed).toBe(1012)
    expect(code).toBe(0)
    const answers = frames.filter((f) => f.method === undefined).map((f) => f.result)
    expect(answers).toEqual(Array.from({ length: answers.length }, (_, i) => i + 1))
    const lines = own.output().trim().split("\n")
    expect(lines).toEqual([
      expect.stringContaining(`listening on ${own.url}/agents/`),
      expect.stringMatching(/draining$/),
      expect.stringMatching(
        /drained \{"millis":[\d.]+,"closed":1,"cut":0,"left":0,"away":0,"finished":\d+,"lost":0,"unsentBytes":0\}$/
      )
    ])
  })

  it("is one, however often it is asked for: a terminal signals the whole group, and npm passes it on", async () => {
    const own = await start()
    const socket = new WebSocket(`${own.url}/agents/Counter/end`)
    await new Promise((resolve) => socket.once("open", resolve))
    const closed = new Promise<number>((resolve) => socket.once("close", resolve))
    // the drain waits for its answer to the close frame
    socket.pause()
    own.signal("SIGINT")
    while (!own.output().includes("draining")) await new Promise((resolve) => setImmediate(resolve))
    own.signal("SIGINT")
    const ended = own.stop("SIGTERM")
    socket.resume()
    expect(await ended).toBe(0)
    expect(await closed).toBe(1012)
    expect(own.output()).toMatch(/drained \{.*"closed":1,"cut":0,/)
  })
})
