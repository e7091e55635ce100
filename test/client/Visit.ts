/**
 * A client with a session that has begun, its listeners and its cuts: for tests of what follows.
 *
 * Over the sockets of `World`, so the test is the server: it opens them, says `$/session`, answers and cuts. A table of
 * cases is a test each.
 */
import { type ClientOptions, connect, type Gap } from "troupe/client"
import { it } from "vitest"
import { World } from "./World.ts"

export const url = "ws://host/agents/Lab/a"

export const opened = (options: ClientOptions = {}) => {
  const world = new World()
  const client = connect(url, world.options({ session: true, heartbeatMillis: Infinity, ...options }))
  const gaps: Array<Gap> = []
  client.onGap((gap) => gaps.push(gap))
  const heard: Array<unknown> = []
  client.on("Said", (payload) => heard.push(payload))
  world.socket.open()
  world.socket.session()
  /** The connection goes, and the next is open. */
  const cut = (code = 1006) => {
    world.socket.end(code)
    world.advance(world.next!)
    world.socket.open()
    return world.socket
  }
  return { world, client, socket: world.socket, gaps, heard, cut }
}

type Case = readonly [
  rule: string,
  run: (t: ReturnType<typeof opened>) => Promise<void> | void,
  options?: ClientOptions
]

/** A test a row. */
export const check = (cases: ReadonlyArray<Case>): void => {
  const rows = cases.map(([rule, run, options]) => ({ rule, run, options }))
  it.each(rows)("$rule", async ({ run, options }) => run(opened(options)))
}
