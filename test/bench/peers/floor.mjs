/**
 * Peer `floor`: callback objects, a ring each, one run queue, no features at all.
 *
 * The least that an actor runtime can cost on this machine, hence the measure of all ratios: turns of 64 messages, back to the event loop
 * after 4 ms. No names, no bounds, no supervision, nothing caught.
 */
/** @import { Handler, Peer, Ref } from "../Peer.ts" */
import { now, Ring } from "../lib.mjs"

class Actor {
  /** @param {Handler} handler */
  constructor(handler) {
    this.handler = handler
    /** @type {Ring<unknown>} */
    this.mailbox = new Ring()
    this.scheduled = false
  }
}

const turnMessages = 64
const sliceMilliseconds = 4

/** @type {Ring<Actor>} */
const ready = new Ring()
let active = false
let handled = 0
let sliceStart = now()

const resume = () => {
  sliceStart = now()
  run()
}

const run = () => {
  while (ready.size > 0) {
    const actor = ready.shift()
    const mailbox = actor.mailbox
    const batch = Math.min(turnMessages, mailbox.size) // what an actor sends itself waits for its next turn
    for (let i = 0; i < batch; i++) actor.handler(mailbox.shift(), actor)
    handled += batch
    if (mailbox.size > 0) ready.push(actor)
    else actor.scheduled = false
    if (handled >= turnMessages) {
      handled = 0
      if (now() - sliceStart > sliceMilliseconds) return void setImmediate(resume)
    }
  }
  active = false
}

/** @type {Peer["tell"]} */
const tell = (to, message) => {
  const actor = /** @type {Actor} */ (to)
  actor.mailbox.push(message)
  if (actor.scheduled) return
  actor.scheduled = true
  ready.push(actor)
  if (!active) {
    active = true
    queueMicrotask(run)
  }
}

/**
 * @param {Ref} server
 * @param {number} question
 */
const ask = (server, question) => new Promise((reply) => tell(server, { question, reply }))

/** @type {Peer} */
export const peer = {
  name: "floor",
  spawn: (handler) => new Actor(handler),
  tell,
  stop: () => {},
  server: (answer) => new Actor((message) => message.reply(answer(message.question))),
  client: async (server, questions) => {
    let right = 0
    for (let i = 0; i < questions; i++) if ((await ask(server, i)) === i + 1) right++
    return right
  }
}
