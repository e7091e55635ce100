/** Tests that leak on purpose: run by `Handles.test.ts`, which expects each of them to fail, and the clean ones not. */
import { spawn } from "node:child_process"
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net"
import { afterAll, describe, it } from "vitest"

const kept: Array<() => void> = []
afterAll(() => {
  for (const end of kept) end()
})

const listen = (): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => resolve(server))
  })

describe("leaky", () => {
  it("leaves a server", async () => {
    const server = await listen()
    kept.push(() => server.close())
  })

  it("leaves a socket", async () => {
    const server = await listen()
    const socket = await new Promise<Socket>((resolve) => {
      const opened = connect((server.address() as AddressInfo).port, "127.0.0.1", () => resolve(opened))
    })
    server.close()
    kept.push(() => socket.destroy())
  })

  it("leaves a timer", () => {
    const timer = setInterval(() => {}, 1000)
    kept.push(() => clearInterval(timer))
  })

  it("leaves a process", () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })
    kept.push(() => child.kill())
  })

  it("is clean: what it opens it closes", async () => {
    const server = await listen()
    await new Promise((resolve) => server.close(resolve))
    clearInterval(setInterval(() => {}, 1000))
  })
})
