/**
 * The check that every option passes once, when the thing it configures is made.
 *
 * Floor 0; used by every module with limits, `actors/` among them; exported as `Options` for your own; knows nothing of actors.
 * Law 12: an invalid option fails with field, value and range (`InvalidOption`), never later and never in silence.
 * Pure functions; a handful of calls a behaviour or a system, none a message.
 */
import { Duration, Option } from "effect"
import { InvalidOption } from "./Errors.ts"

const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
  if (typeof value === "function") return "a function"
  if (typeof value === "object" && value !== null) return Object.prototype.toString.call(value)
  return String(value)
}

const refuse = (field: string, value: unknown, range: string): never => {
  throw new InvalidOption({ field, value: show(value), range })
}

/** Refuses what is no object of the class that a function of the API made. */
export const made = <A>(field: string, value: unknown, kind: abstract new (...args: never) => A, by: string): A =>
  value instanceof kind ? value : refuse(field, value, `made by ${by}`)

/** Refuses what is no list. */
export const list = <A>(field: string, value: ReadonlyArray<A>, of: string): ReadonlyArray<A> =>
  Array.isArray(value) ? value : refuse(field, value, `a list of ${of}`)

/** A whole number from `min` to `max`; `fallback` when absent. */
export const integer = (field: string, value: unknown, fallback: number, min: number, max: number): number => {
  if (value === undefined) return fallback
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value
  return refuse(field, value, `a whole number from ${min} to ${max}`)
}

/** A finite number from `min` to `max`; `fallback` when absent. */
export const number = (field: string, value: unknown, fallback: number, min: number, max: number): number => {
  if (value === undefined) return fallback
  if (typeof value === "number" && Number.isFinite(value) && value >= min && value <= max) return value
  return refuse(field, value, `a number from ${min} to ${max}`)
}

/** A duration in milliseconds, above zero; `Infinity` for "infinity" (Effect writes "Infinity"); `fallback` when absent. */
export const millis = (field: string, value: Duration.Input | "infinity" | undefined, fallback: number): number => {
  if (value === undefined) return fallback
  if (value === "infinity") return Number.POSITIVE_INFINITY
  const duration = Option.getOrUndefined(Duration.fromInput(value))
  const ms = duration === undefined ? Number.NaN : Duration.toMillis(duration)
  return ms > 0 ? ms : refuse(field, value, 'a duration above zero, such as "5 seconds"')
}

/** Refuses a number of milliseconds above that of another option. */
export const atMost = (field: string, millis: number, most: number, of: string): number =>
  millis <= most ? millis : refuse(field, millis, `at most ${of}, ${most} ms`)

/** True or false; `fallback` when absent. */
export const flag = (field: string, value: unknown, fallback: boolean): boolean => {
  if (value === undefined || typeof value === "boolean") return value ?? fallback
  return refuse(field, value, "true or false")
}

/** One of `names`; `fallback` when absent. */
export const oneOf = <A extends string>(field: string, value: unknown, fallback: A, names: ReadonlyArray<A>): A => {
  if (value === undefined) return fallback
  const found = names.find((name) => name === value)
  return found ?? refuse(field, value, `one of ${names.join(", ")}`)
}

/** Refuses an options record that holds a field nobody reads: a misspelt option must not pass in silence. */
export const known = (field: string, value: object | undefined, names: ReadonlyArray<string>): void => {
  if (value === undefined) return
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(field, value, "an options record")
  }
  // no list of its names is made: spawn asks here too
  for (const name in value) {
    if (names.includes(name) || !Object.hasOwn(value, name)) continue
    throw new InvalidOption({ field: `${field}.${name}`, value: "unknown, it", range: `one of ${names.join(", ")}` })
  }
}
