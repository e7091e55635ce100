/**
 * Sessions without a gateway: their sockets note what they are sent.
 */
import type { Client, Encoded } from "../../src/actor/Client.ts"
import type { Pass } from "../../src/gateway/Admission.ts"
import { Budget } from "../../src/gateway/Budget.ts"
import type { Connection, House } from "../../src/gateway/Connection.ts"
import type { Feed } from "../../src/gateway/Feed.ts"
import { Session } from "../../src/gateway/Session.ts"

/** What the sessions of a gateway have of it; its time is the test's. */
export const houseOf = (limits: { maxReplay: number; maxReplayBytes: number; graceMillis: number }, budget: number) => {
  const time = { now: 0 }
  const house = {
    budget: new Budget(budget),
    limits,
    tally: { evicted: { count: 0, bytes: 0, budget: 0 }, gaps: { missed: 0, fresh: 0 } },
    now: () => time.now
  }
  return Object.assign(house as unknown as House, { time })
}

const pass = {
  agent: "Lab/a",
  codec: { protocol: { lossy: new Map() }, event: (_: string, value: unknown) => ({ ok: true, value }) }
} as unknown as Pass

interface Message {
  readonly method?: string
  readonly seq?: number
  readonly params?: unknown
  readonly result?: unknown
}

/** A socket that notes what it is sent; `onHangUp`: what comes of closing it. */
export class Wire {
  readonly pass = pass
  readonly hears = true
  readonly roomy = true
  readonly sent: Array<Message | ReadonlyArray<Message>> = []
  onHangUp = (): void => {}
  send(frame: string | Buffer): void {
    this.sent.push(JSON.parse(frame.toString()) as Message)
  }
  sendEvent(frame: string | Buffer): boolean {
    this.send(frame)
    return true
  }
  hangUp(): void {
    this.onHangUp()
  }
  terminate(): void {}
  finished(): void {}
  goOn(): void {}
  get connection(): Connection {
    return this as unknown as Connection
  }
  /** What its first frame says. */
  get hello(): unknown {
    return (this.sent[0] as Message).params
  }
  /** The frames behind it: their numbers, of a batch the last, and what they say. */
  get seqs(): ReadonlyArray<number> {
    return this.sent.slice(1).map((frame) => [frame].flat().at(-1)!.seq!)
  }
  get said(): ReadonlyArray<unknown> {
    return this.sent.slice(1).flatMap((frame) => [frame].flat().map(({ params, result }) => params ?? result))
  }
}

/** A client of the gateway that `feed` is of. */
export const visit = (feed: Feed, house: House): { readonly session: Session; readonly wire: Wire } => {
  const keeper = { away: () => {}, back: () => {}, taken: () => {}, left: () => {}, ended: () => {} }
  const session = new Session(pass, house, "token", feed, keeper)
  const wire = new Wire()
  session.attach(wire.connection)
  return { session, wire }
}

export const broadcast = (
  clients: ReadonlyArray<Client>,
  payload: unknown,
  except: ReadonlyArray<Client> = []
): void => {
  const shared: Encoded = { frame: undefined, kept: undefined, except }
  for (const client of clients) if (!except.includes(client)) client.sendShared("Said", payload, shared)
}
