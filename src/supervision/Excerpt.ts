/**
 * Any value as one short line, for a report that somebody will read.
 *
 * Floor 2; used by CrashReport for payloads. Law 3: neither the text nor the work grows with the value: strings are cut
 * before they are quoted, and the walk ends where the room does. Cost: O(max), but for listing the keys of one object.
 *
 *   { text: "hi", tags: ["a", "b"], from: Room/lobby, token: <redacted>, bytes: Uint8Array(4096), deep: {...} }
 *
 * A `Redacted` stays so; getters are not called; what cannot be read (a revoked proxy) is said to be unprintable.
 * Strings and odd keys are quoted, so that what a client sent cannot forge a line of the log.
 * Considered `util.inspect`: rejected because it formats every key of an object, and runs custom inspectors, before it cuts.
 */
import { Redacted } from "effect"
import { ActorRef } from "../actor/ActorRef.ts"

/** Below so many levels an object is `{...}`. */
const maxDepth = 6
const plainKey = /^[\w$]{1,64}$/

class Pen {
  text = ""
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  get left(): number {
    return this.#max - this.text.length
  }

  write(text: string): void {
    this.text += text
  }

  quote(text: string): void {
    this.text += JSON.stringify(text.length > this.left ? text.slice(0, this.left) : text)
  }

  /** `open a, b, c close`, as far as there is room. */
  list<A>(open: string, items: Iterable<A>, close: string, each: (item: A) => void): void {
    this.write(open)
    let first = true
    for (const item of items) {
      if (this.left <= 0) return
      if (!first) this.write(", ")
      first = false
      each(item)
    }
    this.write(close)
  }
}

const ownKeys = function* (value: object): Generator<string> {
  for (const key in value) if (Object.hasOwn(value, key)) yield key
}

const classOf = (value: object): string => {
  const prototype = Object.getPrototypeOf(value) as { readonly constructor?: { readonly name?: unknown } } | null
  const name = prototype?.constructor?.name
  return typeof name === "string" && name !== "Object" && plainKey.test(name) ? name : ""
}

const print = (pen: Pen, value: unknown, depth: number): void => {
  if (typeof value === "string") return pen.quote(value)
  if (typeof value === "function") return pen.write("<function>")
  if (typeof value === "symbol") return pen.write("<symbol>")
  if (typeof value === "bigint") return pen.write(`${value}n`)
  if (typeof value !== "object" || value === null) return pen.write(String(value))
  if (Redacted.isRedacted(value)) return pen.write("<redacted>")
  if (value instanceof ActorRef) return pen.write(value.address)
  if (value instanceof Date) return pen.write(Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString())
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    return pen.write(`${classOf(value)}(${value.byteLength})`)
  }
  if (depth === maxDepth) return pen.write(Array.isArray(value) ? "[...]" : "{...}")
  const item = (inner: unknown): void => print(pen, inner, depth + 1)
  if (Array.isArray(value)) return pen.list("[", value as ReadonlyArray<unknown>, "]", item)
  if (value instanceof Set) return pen.list("Set {", value as ReadonlySet<unknown>, "}", item)
  if (value instanceof Map) {
    return pen.list("Map {", value as ReadonlyMap<unknown, unknown>, "}", ([key, inner]) => {
      item(key)
      pen.write(" => ")
      item(inner)
    })
  }
  if (value instanceof Error) {
    pen.write(`${classOf(value)} `)
    return item(value.message)
  }
  const name = classOf(value)
  pen.list(name === "" ? "{" : `${name} {`, ownKeys(value), "}", (key) => {
    if (plainKey.test(key)) pen.write(key)
    else pen.quote(key)
    pen.write(": ")
    const property = Object.getOwnPropertyDescriptor(value, key)
    if (property?.get === undefined) item(property?.value)
    else pen.write("<getter>")
  })
}

/** At most `max` UTF-16 units of it; longer ones end in `...`. */
export const excerpt = (value: unknown, max: number): string => {
  const pen = new Pen(max + 1)
  try {
    print(pen, value, 0)
  } catch {
    pen.write("<unprintable>")
  }
  const text = pen.text.length <= max ? pen.text : `${pen.text.slice(0, Math.max(0, max - 3))}...`
  return text.toWellFormed()
}
