/** What the tests of Offload call on threads. */
import { setImmediate } from "node:timers/promises"
import { threadId } from "node:worker_threads"

export const notAFunction = 42

export const add = (a: number, b: number): number => a + b

export const where = (): number => threadId

export const later = async (value: string): Promise<string> => {
  await setImmediate()
  return value
}

/** Does not end until another call says so. */
let release = (): void => {}
export const wait = (): Promise<void> => new Promise((resolve) => void (release = resolve))
export const letGo = (): void => release()

/** Holds its thread, and counts on, until it is ended or told to stop. */
export const spin = (counter: Int32Array): number => {
  while (Atomics.load(counter, 1) === 0) Atomics.add(counter, 0, 1)
  return Atomics.load(counter, 0)
}

export class Odd extends Error {
  readonly value = 3
}

export const fail = (text: string): never => {
  throw new Odd(text)
}

export const reject = async (): Promise<never> => {
  throw "no error at all"
}

export const failOddly = (): never => {
  throw { f: () => {} }
}

export const exit = (code: number): never => process.exit(code)

/** Fails a thread after its call has been answered. */
export const failLater = (): string => {
  setTimeout(() => {
    throw new Error("left behind")
  }, 1)
  return "answered"
}

export const hoard = (): number => {
  const all: Array<Array<number>> = []
  while (all.length < 1e9) all.push(Array.from({ length: 1000 }, (_, i) => i + Math.random()))
  return all.length
}

export const uncopyable = (): (() => void) => () => {}

/** [running now, most at once] */
export const together = async (counts: Int32Array): Promise<void> => {
  const now = Atomics.add(counts, 0, 1) + 1
  if (now > Atomics.load(counts, 1)) Atomics.store(counts, 1, now)
  await setImmediate()
  Atomics.sub(counts, 0, 1)
}
