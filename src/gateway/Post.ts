/**
 * JSON-RPC over one HTTP request: `POST /agents/{Type}/{key}`, a message or a batch in the body, the answers in the response.
 *
 *   curl -d '{"jsonrpc":"2.0","id":1,"method":"Read"}' -H content-type:application/json http://host:4000/agents/Counter/clicks
 *
 * Floor 3; made by Http for a request that was let in. To the agent it is `self.client` without being connected: `onConnect` does
 * not run, broadcasts do not reach it, `push` to it goes nowhere; so streams and `$/` methods are refused by name.
 * Law 3: the body is bounded as a frame, the batch as one on a socket; it holds its place until it is answered. Law 8: when the
 * client goes, its requests are cancelled. Its agent is reached, and made where it does not live, by the first message that is
 * a valid call: junk makes none; where the host makes no more, all of it is answered 429 or 503 then. 200 with answers, errors
 * among them; 204 where nothing was to be answered. A notification counts as done when the agent took it: 204 does not wait for its handler.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { isUtf8 } from "node:buffer"
import { ActorRef } from "../actor/ActorRef.ts"
import { checkClose, type Client, type Principal } from "../actor/Client.ts"
import { MailboxFull, type TellError } from "../kernel/Errors.ts"
import * as Edge from "../supervision/Edge.ts"
import type { System } from "../supervision/System.ts"
import { type Pass, Refusal } from "./Admission.ts"
import * as Answer from "./Answer.ts"
import type { House } from "./Connection.ts"
import * as JsonRpc from "./JsonRpc.ts"

/** Ends a response that bears a text. */
export const tell = (
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {}
): void => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { "content-type": "text/plain", ...headers }).end(`${text}\n`)
}

/** A body that comes in crumbs is put together after so many: a Buffer costs more than it holds. */
const maxCrumbs = 64

/**
 * Reads a body of at most `max` bytes; `undefined` when it is longer. `hold` is told of its bytes as they come. Nothing is
 * said of one that never ends.
 */
const body = (
  request: IncomingMessage,
  max: number,
  hold: (bytes: number) => void,
  done: (body: Buffer | undefined) => void
): void => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  if (Number(request.headers["content-length"] ?? 0) > max) return done(undefined)
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= max) {
      hold(chunk.length)
      if (chunks.push(chunk) > maxCrumbs) chunks.splice(0, chunks.length, Buffer.concat(chunks))
      return
    }
    request.removeAllListeners("data").removeAllListeners("end").pause()
    done(undefined)
  })
  request.on("end", () => done(Buffer.concat(chunks)))
}

let ids = 0

export class Post implements Client {
  readonly id = `p${++ids}`
  readonly session: string | undefined = undefined
  readonly away = false
  readonly #pass: Pass
  readonly #house: House
  readonly #response: ServerResponse
  readonly #reach: () => Refusal | undefined
  readonly #requests = new Map<JsonRpc.Id, Edge.Request>()
  readonly #answers: Array<string> = []
  #line: Edge.Line | TellError | undefined = undefined
  #batch = false
  #left = 0

  /** `reach`: why its agent may not be called. */
  constructor(pass: Pass, house: House, response: ServerResponse, reach: () => Refusal | undefined) {
    this.#pass = pass
    this.#house = house
    this.#response = response
    this.#reach = reach
  }

  get principal(): Principal | undefined {
    return this.#pass.principal
  }

  /** Reads, calls, answers; `done` is called once, when it holds nothing any more. */
  run(system: System, request: IncomingMessage, done: () => void): void {
    const response = this.#response
    const { limits } = this.#house
    let held = 0
    const hold = (more: number): void => {
      held += more
      this.#house.budget.hold(more)
    }
    // the end of all ways: answered, refused, or the client has gone
    response.once("close", () => {
      for (const asked of this.#requests.values()) asked.cancel()
      hold(-held)
      done()
    })
    body(request, limits.maxFrameBytes, hold, (bytes) => {
      if (bytes === undefined) return tell(response, 413, `a body has at most ${limits.maxFrameBytes} bytes`)
      if (!isUtf8(bytes)) return tell(response, 400, "the body is no UTF-8")
      // from now on it waits for the agent, not for a client that dawdles
      request.socket.setTimeout(0)
      this.#call(system, bytes.toString("utf8"))
    })
  }

  #call(system: System, text: string): void {
    const { limits } = this.#house
    const { batch, messages } = JsonRpc.parse(text, limits.maxBatch, limits.maxDepth)
    this.#batch = batch
    this.#left = messages.length
    for (const message of messages) {
      if (JsonRpc.isCall(message)) this.#begin(system, message)
      else this.#reject(message.id, message.error)
      if (this.#response.headersSent) return
    }
  }

  /** The agent. */
  #meet(system: System): Edge.Line | TellError | Refusal {
    if (this.#line !== undefined) return this.#line
    const refusal = this.#reach()
    if (refusal !== undefined) return refusal
    return (this.#line = Edge.visit(system, new ActorRef(this.#pass.codec.protocol, this.#pass.key, undefined), this))
  }

  #begin(system: System, call: JsonRpc.Call): void {
    const { id, method, params, requestKey } = call
    const { codec } = this.#pass
    if (requestKey !== undefined) return this.#reject(id, JsonRpc.invalidRequest("a requestKey, but no session"))
    if (method.startsWith("$/")) return this.#reject(id, onlySocket(method))
    const position = codec.position(method)
    if (position < 0) return this.#reject(id, JsonRpc.methodNotFound(method))
    if (codec.protocol.streams[position]) return this.#reject(id, onlySocket(method))
    const decoded = codec.params(position, params)
    if (!decoded.ok) {
      if (decoded.defect === undefined) return this.#reject(id, JsonRpc.invalidParams(decoded.why))
      const incident = this.#fault(`the Schema of "${method}" threw: ${decoded.why}`)
      return this.#finish(id === undefined ? undefined : JsonRpc.error(id, JsonRpc.internalError(incident)))
    }
    if (id !== undefined && this.#requests.has(id)) {
      return this.#reject(id, JsonRpc.invalidRequest("an id that is in use"))
    }
    const line = this.#meet(system)
    if (line instanceof Refusal) return this.#turnAway(line)
    if (!(line instanceof Edge.Line)) return this.#refuse(call, Answer.failureOf(line))
    if (id === undefined) this.#notify(line, position, decoded.value)
    else this.#request(line, id, position, decoded.value)
  }

  #notify(line: Edge.Line, position: number, payload: unknown): void {
    const refused = line.notify(position, payload, () => {})
    if (refused !== undefined) {
      this.#house.tally.refused++
      line.refuse(position, payload, refused instanceof MailboxFull ? "mailboxFull" : "stopped")
    }
    this.#finish(undefined)
  }

  #request(line: Edge.Line, id: JsonRpc.Id, position: number, payload: unknown): void {
    let settled = false
    const request = line.request(position, payload, this.#house.limits.requestMillis, (exit) => {
      settled = true
      this.#requests.delete(id)
      if (this.#response.destroyed) return
      const outcome = Answer.outcomeOf(this.#pass.codec, (text) => this.#fault(text), position, exit, JsonRpc.errorOf)
      this.#finish(JsonRpc.answer(id, outcome))
    })
    if (!("cancel" in request)) this.#refuse({ id }, Answer.failureOf(request))
    else if (!settled) this.#requests.set(id, request)
  }

  /** Nothing has been begun, and nothing will be. */
  #turnAway({ status, why, headers }: Refusal): void {
    this.#response.socket?.setTimeout(this.#house.limits.handshakeMillis)
    tell(this.#response, status, why, headers)
  }

  /** The agent did not take it. */
  #refuse({ id }: { readonly id: JsonRpc.Id | undefined }, failure: JsonRpc.Failure): void {
    this.#house.tally.refused++
    this.#finish(id === undefined ? undefined : JsonRpc.error(id, failure))
  }

  /** It is no call. */
  #reject(id: JsonRpc.Id | undefined, failure: JsonRpc.Failure): void {
    this.#house.tally.invalid++
    this.#finish(id === undefined ? undefined : JsonRpc.error(id, failure))
  }

  #fault(text: string): string {
    return this.#house.fault(`${this.#pass.agent}: ${text}`)
  }

  #finish(answer: string | undefined): void {
    if (answer !== undefined) this.#answers.push(answer)
    if (--this.#left > 0) return
    const response = this.#response
    response.socket?.setTimeout(this.#house.limits.handshakeMillis)
    if (this.#answers.length === 0) return void response.writeHead(204).end()
    const text = this.#batch ? `[${this.#answers.join(",")}]` : this.#answers[0]!
    response.writeHead(200, { "content-type": "application/json", "cache-control": "no-store" }).end(text)
  }

  // ---- as a client that no event reaches

  sendNow(): boolean {
    return false
  }

  sendShared(): boolean {
    return false
  }

  close(code: number, reason: string): void {
    checkClose(code, reason)
  }
}

const onlySocket = (method: string): JsonRpc.Failure => ({
  code: -32601,
  message: "Method not found",
  data: `${method.slice(0, 100)}: over a WebSocket only`
})
