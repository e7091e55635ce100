/**
 * A client without a socket, for a stubbed agent: it keeps what it was sent.
 *
 * Floor 5; made by `stub.connect()`, or by a test, and given to `stub.send(..., { client })`.
 * Law 12: an event that its Schema would refuse at a real socket is refused here, by the gateway's own codec; the agent's
 * runtime then reports it, as it would there.
 * Order: events lie in `events` in the order the agent's turns released them.
 */
import type { Client, Disconnected, Principal } from "../actor/Client.ts"
import { checkClose } from "../actor/Client.ts"
import type { Protocol } from "../actor/Protocol.ts"
import { InvalidUse } from "../kernel/Errors.ts"
import * as Codec from "../gateway/Codec.ts"

export interface StubClientOptions {
  readonly id?: string
  readonly principal?: Principal
  readonly session?: string
}

/** An event as the agent sent it. */
export interface SentEvent {
  readonly tag: string
  readonly payload: unknown
}

let clients = 0

export class StubClient implements Client {
  readonly id: string
  readonly principal: Principal | undefined
  readonly session: string | undefined
  away = false
  readonly events: Array<SentEvent> = []
  /** How the agent closed the connection, if it did. */
  closed: Disconnected | undefined = undefined
  readonly #protocol: Protocol

  constructor(protocol: Protocol, options: StubClientOptions = {}) {
    this.#protocol = protocol
    this.id = options.id ?? `stub-client-${++clients}`
    this.principal = options.principal
    this.session = options.session
  }

  sendNow(tag: string, payload: unknown): boolean {
    if (this.closed !== undefined) return false
    const encoded = Codec.of(this.#protocol).event(tag, payload)
    if (!encoded.ok) throw new InvalidUse({ address: this.#protocol.type, reason: `event "${tag}": ${encoded.why}` })
    this.events.push({ tag, payload })
    return true
  }

  sendShared(tag: string, payload: unknown): boolean {
    return this.sendNow(tag, payload)
  }

  close(code: number, reason: string): void {
    checkClose(code, reason)
    this.closed ??= { code, reason }
  }
}
