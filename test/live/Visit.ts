/**
 * A client of a session and what it has seen of it: for live tests.
 *
 * Over the bare `Raw`, which keeps all frames; the first of them is the gateway's `$/session`.
 */
import { expect } from "vitest"
import type { ClientOptions } from "ws"
import { call, type Frame, Raw } from "./Raw.ts"

interface Hello {
  readonly token: string
  readonly seq: number
  readonly gap: boolean
  readonly behind: number
}

/** A client of a session, and the first frame it got. */
export interface Visit {
  readonly raw: Raw
  readonly hello: Hello
  /** The highest `seq` it has seen. */
  readonly cursor: () => number
}

export const flat = (raw: Raw): ReadonlyArray<Frame> => raw.frames.flat() as ReadonlyArray<Frame>
export const seqs = (raw: Raw): ReadonlyArray<number> => flat(raw).flatMap(({ seq }) => seq ?? [])
/** Of the events that came. */
export const texts = (raw: Raw): ReadonlyArray<string> =>
  flat(raw).flatMap(({ method, params }) => (method === "Filler" ? (params as { text: string }).text : []))

/** Comes to `url`, whose query says to which session. */
export const pay = async (url: string, options: ClientOptions = {}): Promise<Visit> => {
  const raw = await Raw.open(url, options)
  await raw.frame(() => true)
  const first = raw.frames[0] as Frame
  expect(first.method).toBe("$/session")
  const hello = first.params as Hello
  return { raw, hello, cursor: () => Math.max(hello.seq, ...seqs(raw)) }
}

/** A request with a `requestKey`. */
export const keyed = (key: string, id: number | string, method: string, params?: unknown) => ({
  ...call(id, method, params),
  requestKey: key
})
