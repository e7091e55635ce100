/**
 * What well-behaved clients do, and how each knows that nothing is missing.
 *
 *   Echo      every answer carries the text that was asked for
 *   Counter   its own: the n-th increment answers n, and Changed says 1, 2, 3, ... : handled once each, told once each, in order
 *   Room      eight say numbered lines: each hears all lines of the seven others, once, in their order
 *
 * A message has a time when it is due; the latency counts from then, however late it could be sent.
 */
import { Latencies } from "./Latencies.ts"
import { type Findings, findings, note, Visitor } from "./Visitor.ts"

/** So many share a room. */
const roommates = 8

/** Clients of one process are a multiple of so many, so that no room lies across two. */
export const block = 4 * roommates

/** The key of the first room. */
export const firstRoom = (run: string): string => `${run}-${3}`

export interface CrowdOptions {
  readonly url: string
  /** Number of the first client: a multiple of four rooms. */
  readonly from: number
  readonly clients: number
  readonly session: boolean
  /** Keys of this run begin so. */
  readonly run: string
  readonly localAddress: (i: number) => string | undefined
}

interface Client {
  readonly visitor: Visitor
  readonly due: Array<number>
  underway: number
  readonly window: number
  readonly say: (dueAt: number) => void
  /** What it should have heard by now, and has not. */
  readonly missing: () => number
  /** Before the load: a counter may stand where an earlier run left it. */
  prepare: (() => Promise<void>) | undefined
}

/** Clients that are in one process. */
export class Crowd {
  readonly found: Findings = findings()
  /** Of messages of clients whose socket stayed; of clients that were cut meanwhile; of those in the first room. */
  readonly latencies = new Latencies()
  readonly cutLatencies = new Latencies()
  readonly roomLatencies = new Latencies()
  answered = 0
  events = 0
  readonly #options: CrowdOptions
  readonly #clients: Array<Client> = []
  #latest: Client | undefined = undefined

  constructor(options: CrowdOptions) {
    this.#options = options
    let room: Array<Roommate> = []
    for (let n = 0; n < options.clients; n++) {
      const i = options.from + n
      const kind = Math.floor(i / roommates) % 4
      if (kind < 2) this.#clients.push(this.#echo(i))
      else if (kind === 2) this.#clients.push(this.#counter(i))
      else {
        if (i % roommates === 0) room = []
        this.#clients.push(this.#roommate(i, room))
      }
    }
  }

  get connected(): number {
    return this.#clients.filter(({ visitor }) => visitor.ready).length
  }

  async open(together: number, opened: (n: number) => void): Promise<void> {
    for (let at = 0; at < this.#clients.length; at += together) {
      const batch = this.#clients.slice(at, at + together)
      await Promise.all(batch.map(({ visitor, prepare }) => visitor.open().then(prepare)))
      opened(Math.min(at + together, this.#clients.length))
    }
  }

  /** The k-th client has a message to send. */
  due(k: number, at: number): void {
    const client = this.#clients[k % this.#clients.length]!
    client.due.push(at)
    this.#pump(client)
    this.#latest = client
  }

  /** Cuts the socket of the k-th, or of one that has just asked for something; or in the midst of its next request. */
  cutOff(k: number | "latest", midFrame: boolean): void {
    const client = k === "latest" ? this.#latest : this.#clients[k % this.#clients.length]
    client?.visitor.cutOff(midFrame)
  }

  /** Nothing is due, unanswered or unheard. */
  get settled(): boolean {
    return this.#clients.every(
      ({ visitor, due, missing }) => due.length === 0 && visitor.unanswered === 0 && missing() === 0
    )
  }

  /** Counts as lost what has not come by now. */
  close(): void {
    for (const { visitor, due, missing } of this.#clients) {
      const lost = due.length + visitor.unanswered + missing()
      if (lost === 0) continue
      this.found.lost += lost
      note(this.found, `${due.length} unsent, ${visitor.unanswered} unanswered, ${missing()} events unheard`)
    }
  }

  last(): Promise<ReadonlyArray<number>> {
    return Promise.all(this.#clients.map(({ visitor }) => visitor.last()))
  }

  leave(): Promise<ReadonlyArray<number>> {
    return Promise.all(this.#clients.map(({ visitor }) => visitor.leave()))
  }

  #pump(client: Client): void {
    while (client.underway < client.window && client.due.length > 0) {
      client.underway++
      client.say(client.due.shift()!)
    }
  }

  #visitor(path: string, i: number, hear: (event: string, params: unknown) => void): Visitor {
    const { url, session, localAddress } = this.#options
    const local = localAddress(i)
    const heard = (event: string, params: unknown): void => {
      this.events++
      hear(event, params)
    }
    const address = local === undefined ? {} : { localAddress: local }
    return new Visitor({ url: `${url}/agents/${path}`, session, found: this.found, hear: heard, ...address })
  }

  #client(
    visitor: Visitor,
    window: number,
    say: (settle: (fault?: string) => void) => void,
    missing: () => number,
    inFirstRoom = false
  ): Client {
    const client: Client = {
      visitor,
      due: [],
      underway: 0,
      window,
      missing,
      prepare: undefined,
      say: (dueAt) => {
        const losses = visitor.ready && !visitor.cut ? visitor.losses : -1
        const settle = (fault?: string): void => {
          client.underway--
          this.answered++
          const millis = performance.now() - dueAt
          if (visitor.losses === losses) this.latencies.add(millis)
          else this.cutLatencies.add(millis)
          if (inFirstRoom) this.roomLatencies.add(millis)
          if (fault !== undefined) {
            this.found.wrong++
            note(this.found, fault)
          }
          this.#pump(client)
        }
        say(settle)
      }
    }
    return client
  }

  #echo(i: number): Client {
    const visitor = this.#visitor(`Echo/${this.#options.run}-${i}`, i, () => {})
    let n = 0
    return this.#client(
      visitor,
      4,
      (settle) => {
        const text = `${i} ${++n}`
        visitor.ask("Echo", { text }, ({ result }) => {
          const got = (result as { readonly text: string } | undefined)?.text
          settle(got === text ? undefined : `echo "${text}" answered "${got}"`)
        })
      },
      () => 0
    )
  }

  #counter(i: number): Client {
    let [n, answered, heard] = [0, 0, 0]
    const visitor = this.#visitor(`Counter/${this.#options.run}-${i}`, i, (_, params) => {
      const { count } = params as { readonly count: number }
      this.#next(count, heard, () => `Counter ${i} heard ${count} after ${heard}`)
      heard = Math.max(heard, count)
    })
    const client = this.#client(
      visitor,
      4,
      (settle) => {
        const nth = ++n
        visitor.ask("Increment", { by: 1 }, ({ result }) => {
          answered++
          settle(result === nth ? undefined : `increment ${nth} of Counter ${i} answered ${String(result)}`)
        })
      },
      () => answered - heard
    )
    client.prepare = () =>
      new Promise((resolve) => {
        visitor.ask("Read", undefined, ({ result }) => {
          n = answered = heard = Number(result)
          resolve()
        })
      })
    return client
  }

  #roommate(i: number, room: Array<Roommate>): Client {
    const me: Roommate = { said: 0, heard: new Map() }
    const at = room.push(me) - 1
    const key = `${this.#options.run}-${Math.floor(i / roommates)}`
    const visitor = this.#visitor(`Room/${key}`, i, (_, params) => {
      const [who, n] = (params as { readonly text: string }).text.split(" ").map(Number) as [number, number]
      // somebody else is in the room
      if (Number.isNaN(who)) return
      const heard = me.heard.get(who) ?? 0
      this.#next(n, heard, () => `roommate ${i} heard line ${n} of ${who} after ${heard}`)
      me.heard.set(who, Math.max(heard, n))
    })
    let n = 0
    return this.#client(
      visitor,
      1,
      (settle) => {
        visitor.ask("Say", { text: `${at} ${++n}` }, () => {
          me.said++
          settle()
        })
      },
      () =>
        room.reduce((sum, { said }, who) => sum + (who === at ? 0 : Math.max(0, said - (me.heard.get(who) ?? 0))), 0),
      i < block
    )
  }

  /** Events come one by one. */
  #next(n: number, heard: number, what: () => string): void {
    if (n === heard + 1) return
    if (n <= heard) this.found.duplicated++
    else this.found.lost += n - heard - 1
    note(this.found, what())
  }
}

interface Roommate {
  said: number
  /** The last line heard of each other. */
  readonly heard: Map<number, number>
}
