/**
 * The scenarios, each a function of a peer that hands in a row.
 *
 * pingpong and ask count round trips, spawn-idle and skynet actors, the others messages; a latency runs from the time a message was due to its
 * handler's start. Each counts what was really done, waits a moment after the end, so that a message handled twice is caught as well as one lost,
 * and hands the count in beside the figure. Those that say so run once at a tenth of the size first.
 */
/** @import { Peer, Ref, Scenario, Timed } from "./Peer.ts" */
import { burn, gate, memory, now, percentiles, random, scaled, settle } from "./lib.mjs"

/** Messages that the feeder of `fairness` sends a turn. */
const feedMessages = 64

/** Messages between two acknowledgements in `counting`: half a default mailbox, so that a bounded one never overflows. */
const windowMessages = 512

const fairnessMilliseconds = 3000

/**
 * Starts, waits for the end, lets late work arrive, counts.
 *
 * @param {(done: () => void) => () => number} start
 * @returns {Promise<Timed>}
 */
const timed = async (start) => {
  const end = gate()
  const from = now()
  const count = start(end.resolve)
  await end.promise
  const milliseconds = now() - from
  await settle()
  return { milliseconds, completed: count() }
}

/**
 * A run at a tenth of the size to warm up, then the one that counts: `per` units of work for each of `n`.
 *
 * @param {number} size
 * @param {number} per
 * @param {(peer: Peer, n: number) => Promise<Timed>} body
 * @returns {Scenario}
 */
const warmed = (size, per, body) => async (peer) => {
  const n = scaled(size)
  await body(peer, Math.ceil(Math.max(scaled(1000), n / 10)))
  return { n: n * per, expected: n * per, ...(await body(peer, n)) }
}

/**
 * @param {Peer} peer
 * @param {number} n
 * @param {number} firstNumber
 */
const spawnSome = async (peer, n, firstNumber) => {
  /** @type {Array<Ref>} */
  const refs = new Array(n)
  let left = n
  const run = await timed((done) => {
    for (let i = 0; i < n; i++) {
      const ref = peer.spawn(() => --left === 0 && done(), firstNumber + i)
      refs[i] = ref
      peer.tell(ref, { n: i })
    }
    return () => n - left
  })
  return { refs, ...run }
}

/**
 * @param {number} size
 * @returns {Scenario}
 */
const spawnIdle = (size) => async (peer) => {
  const n = scaled(size)
  await spawnSome(peer, 1000, n) // loads the code paths before the baseline
  const before = await memory()
  const { completed, milliseconds, refs } = await spawnSome(peer, n, 0)
  const after = await memory()
  const distinct = new Set(refs).size // also keeps the refs alive while memory is read
  return {
    n,
    milliseconds,
    completed: distinct === n ? completed : distinct,
    expected: n,
    heap_bytes_per_actor: Math.round((after.heap - before.heap) / n),
    notes: { rss_bytes_per_actor: Math.round((after.rss - before.rss) / n) }
  }
}

/**
 * @param {Peer} peer
 * @param {number} n
 */
const pingpong = (peer, n) =>
  timed((done) => {
    let left = n
    const pong = peer.spawn((message, self) => peer.tell(message.from, { from: self }))
    const ping = peer.spawn((_, self) => (left-- === 0 ? done() : peer.tell(pong, { from: self })))
    peer.tell(ping, {})
    return () => n - (left + 1) // `left` ends one below zero
  })

/**
 * @param {Peer} peer
 * @param {number} n
 */
const counting = (peer, n) =>
  timed((done) => {
    let count = 0
    let sent = 0
    const counter = peer.spawn((message) => {
      count++
      if (count === n) done()
      else if (message.ack) peer.tell(message.ack, {})
    })
    const producer = peer.spawn((_, self) => {
      const end = Math.min(n, sent + windowMessages)
      while (++sent < end) peer.tell(counter, { add: 1, ack: null })
      peer.tell(counter, { add: 1, ack: self })
    })
    peer.tell(producer, {})
    return () => count - (sent - n) // a lost message makes the producer send one more
  })

/**
 * @param {Peer} peer
 * @param {number} perWorker
 */
const forkjoin = (peer, perWorker) =>
  timed((done) => {
    const size = 60
    /** @type {Array<() => number>} */
    const counts = []
    let finished = 0
    const workers = Array.from({ length: size }, () => {
      let seen = 0
      counts.push(() => seen)
      return peer.spawn(() => ++seen === perWorker && ++finished === size && done())
    })
    let sent = 0
    const main = peer.spawn((message, self) => {
      const end = Math.min(perWorker, sent + 16)
      for (; sent < end; sent++) for (const worker of workers) peer.tell(worker, { work: sent })
      if (sent < perWorker) peer.tell(self, message)
    })
    peer.tell(main, {})
    return () => counts.reduce((sum, count) => sum + count(), 0)
  })

/**
 * @param {Peer} peer
 * @param {number} hops
 */
const threadring = (peer, hops) =>
  timed((done) => {
    /** @type {Array<Ref>} */
    const ring = []
    let arrived = 0
    const arrive = () => {
      arrived++
      done()
    }
    for (let i = 0; i < 100; i++) {
      const next = (i + 1) % 100
      ring.push(
        peer.spawn((message) =>
          message.left === 0 ? arrive() : peer.tell(/** @type {Ref} */ (ring[next]), { left: message.left - 1 })
        )
      )
    }
    peer.tell(/** @type {Ref} */ (ring[0]), { left: hops })
    return () => arrived * hops // each hop takes one off the token, so arriving at 0 is proof of them all
  })

/**
 * @param {Peer} peer
 * @param {number} pings
 */
const big = (peer, pings) =>
  timed((done) => {
    const size = 1000
    const pick = random()
    /** @type {Array<Ref>} */
    const actors = []
    /** @type {Array<() => number>} */
    const counts = []
    let finished = 0
    for (let i = 0; i < size; i++) {
      let left = pings
      counts.push(() => pings - (left + 1)) // `left` ends one below zero
      actors.push(
        peer.spawn((message, self) => {
          if (message.ping) return peer.tell(message.ping, { pong: true })
          if (left-- === 0) return ++finished === size && done()
          peer.tell(/** @type {Ref} */ (actors[pick(size)]), { ping: self })
        })
      )
    }
    for (const actor of actors) peer.tell(actor, { pong: true })
    return () => counts.reduce((sum, count) => sum + count(), 0)
  })

/**
 * Savina's: a hundred chameneos meet in pairs in a mall, change colour, and come again.
 *
 * @param {Peer} peer
 * @param {number} meetings
 */
const chameneos = (peer, meetings) =>
  timed((done) => {
    const size = 100
    let left = meetings
    let met = 0
    let ended = 0
    /** @type {{ readonly from: Ref, readonly colour: number } | undefined} */
    let waiting
    const mall = peer.spawn((message) => {
      if (left === 0) return peer.tell(message.from, { end: true })
      if (waiting === undefined) return void (waiting = message)
      left--
      peer.tell(waiting.from, { other: message.from, colour: message.colour })
      waiting = undefined
    })
    for (let i = 0; i < size; i++) {
      let colour = i % 3
      let mine = 0
      const one = peer.spawn((message, self) => {
        if (message.end) {
          met += mine
          if (++ended === size) done()
          return
        }
        // two of a colour keep it, of two colours comes the third; only who was waiting is told of the other, and tells it
        const next = colour === message.colour ? colour : 3 - colour - message.colour
        if (message.other) peer.tell(message.other, { colour })
        colour = next
        mine++
        peer.tell(mall, { from: self, colour })
      })
      peer.tell(mall, { from: one, colour })
    }
    return () => met / 2 // each meeting is counted by both
  })

/**
 * Savina's: forty producers and forty consumers about a buffer of fifty, kept by an actor; the items cost nothing to make or use.
 *
 * @param {Peer} peer
 * @param {number} perProducer
 */
const bndbuffer = (peer, perProducer) =>
  timed((done) => {
    const each = 40
    const bound = 50 - each // what producers are at work on is on its way already
    /** @type {Array<object>} */
    const items = []
    let itemsHead = 0
    /** @type {Array<Ref>} */
    const idleProducers = []
    /** @type {Array<Ref>} */
    const idleConsumers = []
    let used = 0
    const manager = peer.spawn((message) => {
      if (message.item !== undefined) {
        const consumer = idleConsumers.pop()
        if (consumer === undefined) items.push(message)
        else peer.tell(consumer, message)
        if (items.length - itemsHead >= bound) idleProducers.push(message.producer)
        else peer.tell(message.producer, { produce: true })
        return undefined
      }
      if (itemsHead === items.length) return void idleConsumers.push(message.consumer)
      peer.tell(message.consumer, /** @type {object} */ (items[itemsHead++]))
      if (itemsHead === 1024) {
        items.splice(0, itemsHead)
        itemsHead = 0
      }
      const producer = idleProducers.pop()
      if (producer !== undefined) peer.tell(producer, { produce: true })
    })
    for (let i = 0; i < each; i++) {
      const consumer = peer.spawn((_, self) => {
        if (++used === each * perProducer) return done()
        peer.tell(manager, { consumer: self })
      })
      peer.tell(manager, { consumer })
      let made = 0
      const producer = peer.spawn((_, self) => {
        if (made < perProducer) peer.tell(manager, { item: made++, producer: self })
      })
      peer.tell(producer, { produce: true })
    }
    return () => used
  })

/**
 * @param {Peer} peer
 * @param {number} leaves
 */
const skynet = async (peer, leaves) => {
  let reached = 0
  let sum = -1
  const run = await timed((done) => {
    const node = () => {
      /** @type {Ref} */
      let parent
      let total = 0
      let pending = 0
      return peer.spawn((message, self) => {
        if (message.result !== undefined) {
          total += message.result
          if (--pending === 0) {
            peer.tell(parent, { result: total })
            peer.stop(self)
          }
        } else if (message.size === 1) {
          reached++
          peer.tell(message.parent, { result: message.num })
          peer.stop(self)
        } else {
          parent = message.parent
          pending = 10
          const size = message.size / 10
          for (let i = 0; i < 10; i++) peer.tell(node(), { num: message.num + i * size, size, parent: self })
        }
      })
    }
    const root = peer.spawn((message) => {
      sum = message.result
      done()
    })
    peer.tell(node(), { num: 0, size: leaves, parent: root })
    return () => reached
  })
  if (sum !== (leaves * (leaves - 1)) / 2) throw new Error(`skynet: the sum is ${sum}`)
  return run
}

/** @param {number} inFlight */
const ask = (inFlight) => async (/** @type {Peer} */ peer, /** @type {number} */ n) => {
  let answered = 0
  const server = peer.server((question) => {
    answered++
    return question + 1
  })
  const from = now()
  const rights = await Promise.all(
    Array.from({ length: inFlight }, (_, i) => peer.client(server, Math.floor((n + i) / inFlight)))
  )
  const milliseconds = now() - from
  const right = rights.reduce((sum, count) => sum + count, 0)
  await settle()
  return { milliseconds, completed: right === n ? answered : right }
}

/**
 * `inFlight` messages at a time to random idle agents.
 *
 * @param {Peer} peer
 * @param {ReadonlyArray<Ref>} agents
 * @param {number} n
 * @param {number} inFlight
 */
const wakeAgents = async (peer, agents, n, inFlight) => {
  const pick = random()
  const latencies = new Float64Array(n)
  let sent = 0
  let seen = 0
  const run = await timed((done) => {
    const driver = peer.spawn(() => {
      if (sent < n) send()
    })
    const send = () => {
      sent++
      peer.tell(/** @type {Ref} */ (agents[pick(agents.length)]), { at: now(), driver, note })
    }
    const note = (/** @type {number} */ latency) => {
      latencies[seen++] = latency
      if (seen === n) done()
    }
    for (let i = 0; i < inFlight; i++) peer.tell(driver, {})
    return () => seen
  })
  return { ...run, latencies }
}

/** @type {Scenario} */
const wake = async (peer) => {
  const agents = Array.from({ length: 10_000 }, () =>
    peer.spawn((message) => {
      if (!message.at) return
      message.note(now() - message.at)
      peer.tell(message.driver, {})
    })
  )
  for (const agent of agents) peer.tell(agent, {})
  await wakeAgents(peer, agents, scaled(50_000), 100)
  const n = scaled(200_000)
  const loaded = await wakeAgents(peer, agents, n, 100)
  const single = await wakeAgents(peer, agents, Math.ceil(n / 4), 1)
  const one = percentiles(single.latencies)
  const { max_us, p50_us, p99_us } = percentiles(loaded.latencies)
  return {
    n,
    milliseconds: loaded.milliseconds,
    completed: loaded.completed + single.completed,
    expected: n + single.latencies.length,
    p50_us,
    p99_us,
    notes: { max_us, single_p50_us: one.p50_us, single_p99_us: one.p99_us }
  }
}

/**
 * A hundred quiet actors, due a message each millisecond, beside a flood of cheap messages and one hog. A late timer sends what it missed.
 *
 * @type {Scenario}
 */
const fairness = async (peer) => {
  const flood = scaled(1e6)
  /** @type {Array<number>} */
  const latencies = []
  const end = gate()
  let cheap = 0
  let hogged = 0
  let over = false
  let sent = 0
  let tick = 1
  const cheapActor = peer.spawn(() => {
    cheap++
  })
  const feeder = peer.spawn((message, self) => {
    if (over || message.left <= 0) return
    for (let i = 0; i < feedMessages; i++) peer.tell(cheapActor, message)
    peer.tell(self, { left: message.left - feedMessages })
  })
  const hog = peer.spawn((message, self) => {
    burn(50)
    hogged++
    if (now() - from < fairnessMilliseconds) peer.tell(self, message)
  })
  const victims = Array.from({ length: 100 }, () =>
    peer.spawn((message) => {
      latencies.push(now() - message.at)
    })
  )
  const from = now()
  peer.tell(feeder, { left: flood })
  peer.tell(hog, {})
  const timer = setInterval(() => {
    const at = now()
    for (; from + tick <= at && tick <= fairnessMilliseconds; tick++) {
      for (const victim of victims) {
        peer.tell(victim, { at: from + tick })
        sent++
      }
    }
    if (tick > fairnessMilliseconds) over = true
  }, 1)
  const watch = setInterval(() => {
    if ((over && latencies.length >= sent) || now() - from > 10 * fairnessMilliseconds) end.resolve()
  }, 50)
  await end.promise
  over = true
  clearInterval(timer)
  clearInterval(watch)
  const milliseconds = now() - from
  await settle()
  const { max_us, p50_us, p99_us } = percentiles(latencies)
  const hog_share = Number(((hogged * 0.05) / milliseconds).toFixed(3))
  return {
    n: latencies.length,
    milliseconds,
    completed: latencies.length,
    expected: victims.length * fairnessMilliseconds,
    p50_us,
    p99_us,
    notes: { max_us, cheap, hogged, hog_share }
  }
}

/** @type {Readonly<Record<string, Scenario>>} */
export const scenarios = {
  "spawn-idle": spawnIdle(1e5),
  "spawn-idle-1m": spawnIdle(1e6),
  pingpong: warmed(1e6, 1, pingpong),
  counting: warmed(5e6, 1, counting),
  forkjoin: warmed(50_000, 60, forkjoin),
  threadring: warmed(1e6, 1, threadring),
  big: warmed(500, 1000, big),
  chameneos: warmed(200_000, 1, chameneos),
  bndbuffer: warmed(5000, 40, bndbuffer),
  skynet: async (peer) => {
    const leaves = 10 ** Math.round(Math.log10(scaled(1e6)))
    await skynet(peer, 1000)
    return { n: leaves, expected: leaves, ...(await skynet(peer, leaves)) }
  },
  "ask-seq": warmed(1e6, 1, ask(1)),
  "ask-1000": warmed(1e6, 1, ask(1000)),
  wake,
  fairness
}
