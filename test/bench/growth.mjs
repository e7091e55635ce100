/**
 * What an actor and a message cost among so many actors: `growth-<actors>`, for round.mjs.
 *
 * Ten thousand are spawned and stopped first, so that loaded code and grown tables are no cost of the few; then `actors` are spawned, and messages
 * go to them one by one at random, a hundred in flight. Collections fall where they fall.
 */
/** @import { Peer, Ref, Scenario } from "./Peer.ts" */
import { gate, memory, now, random } from "./lib.mjs"

const warmingActors = 10_000
const messages = 500_000
const inFlight = 100

/**
 * @param {Peer} peer
 * @param {number} actors
 */
const warm = async (peer, actors) => {
  const end = gate()
  let left = warmingActors
  for (let i = 0; i < warmingActors; i++) {
    const ref = peer.spawn((_, self) => {
      peer.stop(self)
      if (--left === 0) end.resolve()
    }, actors + i)
    peer.tell(ref, {})
  }
  await end.promise
}

/**
 * @param {Peer} peer
 * @param {ReadonlyArray<Ref>} agents
 * @param {number} n
 */
const drive = async (peer, agents, n) => {
  const end = gate()
  const pick = random()
  let sent = 0
  let back = 0
  const driver = peer.spawn((_, self) => {
    if (++back === n) end.resolve()
    if (sent === n) return
    sent++
    peer.tell(/** @type {Ref} */ (agents[pick(agents.length)]), { from: self })
  })
  const from = now()
  for (; sent < inFlight; sent++) peer.tell(/** @type {Ref} */ (agents[pick(agents.length)]), { from: driver })
  await end.promise
  return { milliseconds: now() - from, back }
}

/**
 * The scenario of that name, if it is one.
 *
 * @param {string} name
 * @returns {Scenario | undefined}
 */
export const grown = (name) => {
  const actors = Number(/^growth-(\d+)$/.exec(name)?.[1])
  if (!(actors > 0)) return undefined
  return async (peer) => {
    await warm(peer, actors)
    const before = await memory()
    const from = now()
    const agents = Array.from({ length: actors }, (_, i) =>
      peer.spawn((message) => message.from && peer.tell(message.from, {}), i)
    )
    const milliseconds = now() - from
    for (const agent of agents) peer.tell(agent, {})
    await drive(peer, agents, messages / 5)
    const run = await drive(peer, agents, messages)
    const after = await memory()
    return {
      n: actors,
      milliseconds,
      completed: run.back,
      expected: messages,
      heap_bytes_per_actor: Math.round((after.heap - before.heap) / new Set(agents).size),
      notes: {
        spawn_ns: Math.round((milliseconds * 1e6) / actors),
        message_ns: Math.round((run.milliseconds * 1e6) / messages)
      }
    }
  }
}
