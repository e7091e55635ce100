/**
 * Ways to attack a gateway: each a function of what is sent, that answers with what it was told, in the words of `Frames.heard`.
 *
 * Where an attack is let in and not closed for it, it asks `Kept` once more: its answer says that the connection goes on, and
 * that all answers have come. Waits on facts, never on time.
 */
import { Effect, Redacted } from "effect"
import { type Handshake, type Principal, Unauthorized } from "troupe/gateway"
import { Bare } from "./Bare.ts"
import { closing, frame, head, type Headers, TEXT, upgrade } from "./Frames.ts"
import { type Gate, type Live, until } from "./Lab.ts"
import { call, Raw } from "./Raw.ts"

/** A gateway, and those who have sent something to it. */
export interface Scene {
  readonly live: Live
  readonly gate: Gate
  readonly bares: Array<Bare>
}

/** Sends what is bad; answers with what it was told. */
export type Attack = (scene: Scene) => Promise<string>

export const PATH = "/agents/Lab/bad"
const END = frame(TEXT, JSON.stringify(call("end", "Kept")))

const enter = async (scene: Scene, localAddress?: string): Promise<Bare> => {
  const bare = await Bare.open(scene.live.gateway.port, localAddress)
  scene.bares.push(bare)
  return bare
}

/** A connection of a client that is let in. */
const connected = async (scene: Scene, path = PATH, headers: Headers = {}): Promise<Bare> => {
  const bare = await enter(scene)
  await bare.write(upgrade(path, headers))
  await bare.until("101")
  return bare
}

/** What is said over and over, once, with how often. */
const together = (words: ReadonlyArray<string>): string =>
  words
    .join("; ")
    .replace(/(?<=^|; )([^;]+)(?:; \1)+(?=$|; )/g, (all, one: string) => `${one} x${all.split("; ").length}`)

/** All that it was told, once it is gone, or has answered what comes last. */
const told = async (bare: Bare): Promise<string> => {
  await until("it is answered", () => bare.closed || bare.heard.includes('"end": 0'))
  const words = bare.heard.filter((said) => said !== '"end": 0')
  if (bare.closed && words[0] === "101" && !bare.isClosing) words.push("cut")
  bare.socket.destroy()
  return together(words) || "cut"
}

/** Opens a socket and writes; asks once more when it is let in. */
export const sends =
  (...pieces: ReadonlyArray<Buffer | string>): Attack =>
  async (scene) => {
    const bare = await enter(scene)
    await bare.write(...pieces)
    await bare.until("101")
    await bare.write(END)
    return told(bare)
  }

export const knocks = (path: string, headers: Headers = {}, ...more: ReadonlyArray<Buffer | string>): Attack =>
  sends(upgrade(path, headers), ...more)

/** Behind a handshake that is right. */
export const frames = (...pieces: ReadonlyArray<Buffer | string>): Attack => inside(knocks(PATH, {}, ...pieces))

/** Without what tells that it was let in. */
const inside =
  (attack: Attack): Attack =>
  async (scene) =>
    (await attack(scene)).replace(/^101(; )?/, "") || "nothing"

const textOf = (message: unknown): string => (typeof message === "string" ? message : JSON.stringify(message))
export const textFrames = (messages: ReadonlyArray<unknown>): Buffer =>
  Buffer.concat(messages.map((message) => frame(TEXT, textOf(message))))

/** Text frames in one packet. */
export const says = (...messages: ReadonlyArray<unknown>): Attack => frames(textFrames(messages))
export const saysAt = (path: string, headers: Headers, ...messages: ReadonlyArray<unknown>): Attack =>
  inside(knocks(path, headers, textFrames(messages)))

export const effect = { "Sec-WebSocket-Protocol": "effect-rpc" }
export const saysEffect = (...messages: ReadonlyArray<unknown>): Attack => saysAt(PATH, effect, ...messages)

export const requests = (line: string, lines: ReadonlyArray<string> = [], body: Buffer | string = ""): Attack =>
  sends(Buffer.concat([Buffer.from(head([line, "Host: 127.0.0.1", ...lines])), Buffer.from(body)]))
export const JSON_TYPE = "Content-Type: application/json"
export const posts = (message: unknown, ...lines: ReadonlyArray<string>): Attack => {
  const body = Buffer.isBuffer(message) ? message : Buffer.from(textOf(message))
  return requests(`POST ${PATH} HTTP/1.1`, [JSON_TYPE, `Content-Length: ${body.length}`, ...lines], body)
}

/** Says something and goes, in the midst of it. */
export const leaves =
  (way: "end" | "destroy" | "resetAndDestroy", ...pieces: ReadonlyArray<Buffer | string>): Attack =>
  async (scene) => {
    const bare = await connected(scene)
    await bare.write(...pieces)
    bare.socket[way]()
    await bare.gone()
    return bare.heard.slice(1).join("; ") || "nothing"
  }

/** Goes on with another piece for ever. */
export const dawdles =
  (first: string, ...crumbs: ReadonlyArray<string>): Attack =>
  async (scene) => {
    const bare = await enter(scene)
    await bare.write(first)
    await until("it is let go", () => {
      if (crumbs.length > 0 && !bare.closed) bare.socket.write(crumbs[0]!)
      return bare.closed
    })
    return bare.heard.join() || "cut"
  }

type Visit = readonly [path: string, headers?: Headers | undefined]

/** While others are there. */
export const besides =
  (others: ReadonlyArray<Visit>, attack: Attack): Attack =>
  async (scene) => {
    const bares: Array<Bare> = []
    for (const [path, headers] of others) bares.push(await connected(scene, path, headers))
    const answer = await attack(scene)
    for (const { socket } of bares) socket.destroy()
    return answer
  }

const sessionOf = async (scene: Scene, [path, headers]: Visit): Promise<readonly [Bare, string, boolean]> => {
  const bare = await connected(scene, path, headers)
  await bare.until("event $/session")
  const [, token = "", gap] = /"token":"([^"]+)".*?"gap":(\w+)/.exec(bare.bytes.toString("latin1")) ?? []
  return [bare, token, gap === "true"]
}

/** Comes with the token of a session that began at `first`, and that `leave` has left: is it known? */
export const replays =
  (first: Visit, leave: (bare: Bare) => Promise<void>, [path, headers]: Visit): Attack =>
  async (scene) => {
    const [one, token] = await sessionOf(scene, first)
    await leave(one)
    const [two, other, gap] = await sessionOf(scene, [`${path}?session=${token}&after=0`, headers])
    const answer = `${token === other ? "its session" : "another session"}, ${gap ? "a gap" : "no gap"}`
    for (const { socket } of [one, two]) socket.destroy()
    return answer
  }
export const says1000 = async (bare: Bare): Promise<void> => {
  await bare.write(closing(1000))
  await bare.gone()
}
export const stays = (): Promise<void> => Promise.resolve()

/** Reads nothing while its agent tells it much. */
export const sleeps: Attack = async (scene) => {
  const { stats } = scene.live.gateway
  const [slow, loud] = [await connected(scene), await Raw.open(`${scene.live.url}/bad`)]
  slow.socket.pause()
  let n = 0
  const flood = async (): Promise<void> => {
    loud.send(call(++n, "Flood", { frames: 1, bytes: 60_000 }))
    await loud.answer(n)
  }
  while (stats().queuedBytes < 65_536 && n < 1000) await flood()
  await flood()
  slow.socket.resume()
  await slow.gone()
  loud.socket.terminate()
  return slow.heard.at(-1)!
}

// ---- who is let in

export const authenticate = ({ token }: Handshake): Effect.Effect<Principal, Unauthorized> => {
  const [id = ""] = token === undefined ? [] : Redacted.value(token).split(".")
  if (id === "" || id === "bad") return Effect.fail(new Unauthorized({ reason: `secret ${id}` }))
  if (id === "boom") return Effect.die(new Error("secret"))
  return Effect.succeed({ id, expiresAt: Date.now() + (id === "old" ? -1 : 3_600_000) })
}
export const known = { authenticate }
export const bearer = (token: string): Headers => ({ Authorization: `Bearer ${token}` })
