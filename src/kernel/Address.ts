/**
 * Where an actor lives: a path of type and key, `Type/key` or `Type/key/ChildType/childKey`.
 *
 * Floor 0; used by refs, errors, the registry and the wire; knows no actor.
 * A key is any text of 1 to 256 UTF-16 units but "." and "..", which no URL can name (WHATWG URL, 4.4: dot segments); `/`, `%` and control characters are percent-encoded in the path, so a path
 * reads back into exactly the segments it was made of (a property test). An actor spawned without a key has a number
 * for one, written `~12`; a key given as text that begins with `~` is written `%7E...`, so the two never meet.
 * A node is chosen by the hash of the root segment alone, so a whole tree lives together.
 * Pure functions, O(length); a path is built when somebody prints it, not at spawn.
 */
import { InvalidOption } from "./Errors.ts"

/** A printed path. */
export type Address = string

/** One step of a path. A number is an actor without a name. */
export interface Segment {
  readonly type: string
  readonly key: string | number
}

const maxKeyLength = 256
const typePattern = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/
// eslint-disable-next-line no-control-regex
const unsafe = /[/%\u0000-\u001f\u007f]/g

const escape = (text: string): string => {
  const escaped = text.replace(unsafe, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)
  return escaped.startsWith("~") ? `%7E${escaped.slice(1)}` : escaped
}

/** Refuses a type name that cannot stand in a path. */
export const checkType = (type: string): string => {
  if (typeof type === "string" && typePattern.test(type)) return type
  throw new InvalidOption({
    field: "type",
    value: String(type),
    range: "a letter, then up to 63 of letters, digits, _ . -"
  })
}

/** Refuses a key that is no text, empty, too long, or a dot segment. */
export const checkKey = (key: string): string => {
  if (typeof key === "string" && key.length > 0 && key.length <= maxKeyLength && key !== "." && key !== "..") return key
  const value =
    typeof key !== "string"
      ? String(key)
      : key.length < 3
        ? key === ""
          ? "empty text"
          : `"${key}"`
        : `text of ${key.length} units`
  const range = `text of 1 to ${maxKeyLength} UTF-16 units, and not "." or ".."`
  throw new InvalidOption({ field: "key", value, range })
}

/** `child("Room/a", "Worker", "w1")  // => "Room/a/Worker/w1"` */
export const child = (parent: Address | undefined, type: string, key: string | number): Address => {
  const own = `${type}/${typeof key === "number" ? `~${key}` : escape(key)}`
  return parent === undefined ? own : `${parent}/${own}`
}

/** The inverse of `child`, over the whole path. Throws `InvalidOption` for what is no path. */
export const parse = (address: Address): ReadonlyArray<Segment> => {
  const bad = () => new InvalidOption({ field: "address", value: address, range: "Type/key, repeated" })
  const parts = address.split("/")
  if (parts.length % 2 !== 0) throw bad()
  const segments: Array<Segment> = []
  for (let i = 0; i < parts.length; i += 2) {
    const text = parts[i + 1]!
    if (/^~\d+$/.test(text)) {
      segments.push({ type: checkType(parts[i]!), key: Number(text.slice(1)) })
      continue
    }
    if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw bad()
    const key = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    segments.push({ type: checkType(parts[i]!), key: checkKey(key) })
  }
  return segments
}
