/**
 * Deep-freezes plain state after a commit, outside production.
 *
 * Floor 1; used by Turn and Startup when the system was made so. A handler that mutates the state it was given fails in test,
 * not in silence. Only plain objects and arrays are frozen: an instance of a class looks after itself.
 * Getters are not called: what they do, or throw, is not the turn's.
 * A list instead of recursion: state may hold what a client nested a hundred thousand deep.
 * Cost: O(what is new): a frozen part is taken for frozen all the way down.
 */
const isPlain = (value: object): boolean => {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const isThawed = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Object.isFrozen(value) && isPlain(value)

const partsOf = (whole: object): ReadonlyArray<unknown> =>
  Array.isArray(whole)
    ? (whole as ReadonlyArray<unknown>)
    : Object.values(Object.getOwnPropertyDescriptors(whole)).map(({ value }: PropertyDescriptor): unknown => value)

export const freeze = (value: unknown): unknown => {
  if (!isThawed(value)) return value
  Object.freeze(value)
  const parts: Array<object> = [value]
  for (let whole = parts.pop(); whole !== undefined; whole = parts.pop()) {
    for (const part of partsOf(whole)) {
      if (!isThawed(part)) continue
      Object.freeze(part)
      parts.push(part)
    }
  }
  return value
}
