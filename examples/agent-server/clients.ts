/** The clients' process: does what it is told, and answers when that is done. Started by crew.ts. */
import { type Client, connect } from "troupe/client"
import { setTimeout as sleep } from "node:timers/promises"
import { WebSocket } from "ws"
import type { Assistant } from "./agents.ts"
import type { Answers, Order } from "./orders.ts"

const together = 200
const wakesPerSecond = 250
const clients: Array<Client<typeof Assistant>> = []
const pings: Array<number> = []
let sent = 0

const each = async <A>(count: number, act: (i: number) => Promise<A>): Promise<ReadonlyArray<A>> => {
  const done: Array<A> = []
  for (let from = 0; from < count; from += together) {
    const batch = Array.from({ length: Math.min(together, count - from) }, (_, k) => act(from + k))
    done.push(...(await Promise.all(batch)))
  }
  return done
}

const open = (url: string) => async (i: number) => {
  class Counting extends WebSocket {
    constructor(address: string, protocols?: Array<string>) {
      super(address, protocols)
      this.on("ping", () => (pings[i] = (pings[i] ?? 0) + 1)) // `ws` answers it
    }
  }
  const options = { session: false, WebSocket: Counting }
  clients[i] = connect<typeof Assistant>(`${url}/agents/Assistant/a${i}`, options)
  sent++
  return (await clients[i].ask("Hi", { name: `c${i}` })) === `hi c${i}, this is a${i}`
}

/** Echoes to random ones, none twice, counted from when each was due. A timer alone would be later than the answer. */
const wake = (times: number) =>
  new Promise<ReadonlyArray<number>>((resolve, reject) => {
    const order = clients.map((client) => ({ client, at: Math.random() })).toSorted((a, b) => a.at - b.at)
    const latencies: Array<number> = []
    const began = performance.now()
    const echo = async (n: number, due: number) => {
      sent++
      const text = await order[n]!.client.ask("Echo", { text: `echo ${n}` })
      if (text !== `echo ${n}`) throw new Error(`echo ${n} came back as ${text}`)
      if (latencies.push(performance.now() - due) === times) resolve(latencies)
    }
    const next = (n: number): void => {
      const due = began + (n * 1000) / wakesPerSecond
      const left = due - performance.now()
      if (left > 0) return void (left > 2 ? setTimeout(next, left - 2, n) : setImmediate(next, n))
      echo(n, due).catch(reject)
      if (n + 1 < times) next(n + 1)
    }
    next(0)
  })

const leave = async (i: number) => {
  const client = clients[i]!
  const closed = new Promise<number>((end) => client.onStatus((now) => now.state === "closed" && end(now.code)))
  sent += 2
  const { handled } = await client.ask("Status")
  await client.ask("Disconnect")
  return { handled: handled + 1, code: await closed }
}

const obey = async (order: Order): Promise<Answers[Order["do"]]> => {
  if (order.do === "connect") return (await each(order.clients, open(order.url))).filter((greeted) => greeted).length
  if (order.do === "wake") return wake(order.times)
  if (order.do === "beHeard") {
    while (clients.some((_, i) => pings[i] === undefined)) await sleep(50)
    return pings.reduce((a, b) => a + b)
  }
  const left = await each(clients.length, leave)
  const handled = left.reduce((sum, one) => sum + one.handled, 0)
  return { sent, handled, closed: left.filter(({ code }) => code === 1000).length }
}

process.on("message", (order: Order) => void obey(order).then((answer) => process.send!(answer)))
process.on("disconnect", () => process.exit())
