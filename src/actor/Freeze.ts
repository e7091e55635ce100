/**
 * Deep-freezes plain state after a commit, outside production.
 *
 * Floor 1; used by Turn and Startup when the system was made so. A handler that mutates the state it was given fails in test,
 * not in silence. Only plain objects and arrays are frozen: an instance of a class looks after itself.
 * Cost: O(what is new): a frozen part is taken for frozen all the way down.
 */
const isPlain = (value: object): boolean => {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

export const freeze = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || Object.isFrozen(value) || !isPlain(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) freeze(part)
  return value
}
