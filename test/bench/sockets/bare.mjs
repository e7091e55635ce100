/**
 * Bare `ws`: the floor of the socket scenarios. `bare.mjs` echoes on a free port of this host, which it prints.
 *
 * What comes goes back as it came: no JSON, no agent, no bounds. Collects garbage on SIGUSR2 (collect.mjs), as the load generator asks it to before it
 * reads resident memory.
 */
import { WebSocketServer } from "ws"
import "./collect.mjs"

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false, backlog: 4096 })
server.on("connection", (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }))
  socket.on("error", () => {})
})
server.on("listening", () => {
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no TCP address")
  console.log(`listening on ws://127.0.0.1:${address.port}/`)
})
