/**
 * Many actors under one name: a board tells whoever is in the room, the dead drop out by themselves, one of them leads.
 *
 * Run: npx tsx examples/60-groups.ts
 *
 * Expected output:
 *   3 took it
 *   ann leads
 *   after ann has left: bob, cyd
 *   2 took it
 *   bob leads
 *   ann heard: hello
 *   bob heard: hello, still here?
 *   cyd heard: hello, still here?
 */
import { Effect, Schema, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorSystem, Groups, Names } from "troupe"

const Guest = Actor.make("Guest", {
  state: Schema.Array(Schema.String),
  protocol: [Rpc.make("Hear", { payload: { text: Schema.String } })]
})

// keys are values; what is found by them are refs of Guest's protocol
const room = Groups.key(Guest, "room")
const leader = Names.key(Guest, "leader")

const heard: Array<string> = []
const guest = Guest.behavior({
  // in a plain handler by the twins without an Effect: it joins when it begins, and after each restart it is in still
  initial: (_key, self) => {
    Groups.joinUnsafe(room, self.ref)
    return []
  },
  on: { Hear: (state, { text }) => [...state, text] },
  onStop: (state, _why, self) => void heard.push(`${self.key} heard: ${state.join(", ")}`)
})

/** Whoever holds the name, or else the first in the room takes it. */
const lead = Effect.gen(function* () {
  const [first] = yield* Groups.members(room)
  if (first !== undefined) yield* Effect.ignore(Names.register(leader, first)) // NameTaken: somebody leads
  return (yield* Names.whereis(leader))?.key
})

const program = Effect.gen(function* () {
  const guests = yield* Effect.forEach(["ann", "bob", "cyd"], (name) => ActorSystem.spawn(guest, name))
  // a Stream of the members: now, and whenever they change
  yield* Stream.runHead(Stream.filter(Groups.changes(room), (members) => members.length === 3))
  console.log(`${yield* Groups.publish(room, "Hear", { text: "hello" })} took it`)
  console.log(`${yield* lead} leads`)
  yield* guests[0]!.stop({ mode: "drain" }) // its death ends its membership, and frees its name
  const left = yield* Groups.members(room)
  console.log(`after ann has left: ${left.map((ref) => ref.key).join(", ")}`)
  console.log(`${yield* Groups.publish(room, "Hear", { text: "still here?" })} took it`)
  console.log(`${yield* lead} leads`)
  for (const ref of guests) yield* ref.stop({ mode: "drain" })
})

await Effect.runPromise(program.pipe(Effect.provide(ActorSystem.layer)))
for (const line of heard) console.log(line)
