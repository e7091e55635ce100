/**
 * "The local model": a real HTTP server that speaks OpenAI's `/chat/completions`, streaming and tools included; rule.ts says what.
 *
 * How it behaves stands in the name of the model, as a query, so that one server can be many providers:
 *   local?status=429&times=2&after=1   refuses the first two calls, `Retry-After: 1`; `code=`: the code of the error
 *   words=1000&size=8192   an answer of so many words of so many bytes   delay=20   ms before each word   usage=0   counts no tokens
 *   break=3   cuts the socket behind 3 words   error=3   an error there   hang=1   no answer at all   args={}   arguments of tools
 */
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setImmediate, setTimeout } from "node:timers/promises"
import { answer, type Body, Rule } from "./rule.ts"

export const start = async (apiKey?: string) => {
  /** `aborted`: clients went before their answer was whole; `heldUp`: answers that wait for their readers. */
  const seen = { calls: 0, finished: 0, aborted: 0, open: 0, peak: 0, heldUp: 0, written: 0, bodies: [] as Array<Body> }
  const refusals = new Map<string, number>()

  const complete = async (request: IncomingMessage, response: ServerResponse): Promise<unknown> => {
    const body = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Body
    if (seen.bodies.push(body) > 100) seen.bodies.shift()
    const rule = new Rule(body.model)
    const refuse = (status: number, code: string | undefined, headers = {}) =>
      response.writeHead(status, headers).end(JSON.stringify({ error: { message: "not now", code } }))
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) return refuse(401, "no_key")
    const status = rule.number("status")
    const refused = refusals.get(body.model) ?? 0
    if (status !== undefined && refused < (rule.number("times") ?? 1)) {
      refusals.set(body.model, refused + 1)
      const after = rule.text("after")
      return refuse(status, rule.text("code"), after === undefined ? {} : { "retry-after": after })
    }
    if (rule.text("hang") !== undefined) return undefined

    const send = async (event: object | string): Promise<void> => {
      const frame = `data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`
      seen.written += frame.length
      if (response.write(frame) || response.destroyed) return
      seen.heldUp++
      await once(response, "drain", gone).catch(() => undefined)
      seen.heldUp--
    }
    const leaving = new AbortController()
    const gone = { signal: leaving.signal }
    response.on("close", () => leaving.abort())
    const { deltas, finish, usage } = answer(body, rule)
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const [at, delta] of deltas.entries()) {
      if (at === rule.number("break")) return response.destroy()
      if (at === rule.number("error")) await send({ error: { message: "overloaded" } })
      const delay = rule.number("delay")
      await (delay === undefined ? setImmediate() : setTimeout(delay))
      if (response.destroyed) return undefined
      await send({ choices: [{ index: 0, delta, finish_reason: null }] })
    }
    await send({ choices: [{ index: 0, delta: {}, finish_reason: finish }] })
    if (rule.text("usage") !== "0") await send({ choices: [], usage })
    await send("[DONE]")
    return response.end()
  }

  const server = createServer((request, response) => {
    seen.calls++
    seen.peak = Math.max(seen.peak, ++seen.open)
    response.on("close", () => {
      seen.open--
      if (response.writableFinished) seen.finished++
      else seen.aborted++
    })
    complete(request, response).catch(() => response.destroy())
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const close = async (): Promise<void> => {
    const closed = once(server, "close")
    server.close().closeAllConnections()
    await closed
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, seen, close }
}
