/**
 * What runs on a worker thread: takes a call, imports its module, calls the function, says how it ended.
 *
 * Floor 3; loaded by Offload's pool, in the thread; imports nothing of Troupe's, so that a thread is there in milliseconds.
 * A module is imported once a thread. A function that throws or rejects has ended as it may; what is no fault of its own (no
 * such module or function, a result that cannot be sent) is told apart. What it leaves running, such as timers, may hold or
 * end the thread at any time: it is the call that is then on it that fails.
 */

/** A function of a module, by names that mean the same in every thread. */
export interface Call {
  /** `file:` or `data:` URL, or a package's name. */
  readonly module: string
  readonly fn: string
  readonly args: ReadonlyArray<unknown>
}

/** How a call ended. */
export type Ended =
  | { readonly _tag: "Returned"; readonly value: unknown }
  | { readonly _tag: "Threw"; readonly error: unknown }
  | { readonly _tag: "Unfit"; readonly why: string }

/** An error in words. Of one that was sent by a thread name and message may stand in its stack only. */
export const said = (error: unknown): string =>
  error instanceof Error ? error.message || (error.stack ?? "").split("\n", 1)[0]! : String(error)

/** Whether another thread can be sent it. */
const isSendable = (value: unknown): boolean => {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}

/** The function, or why there is none. */
const find = async ({ module, fn }: Call): Promise<((...args: ReadonlyArray<unknown>) => unknown) | string> => {
  let found: Readonly<Record<string, unknown>>
  try {
    found = (await import(module)) as Readonly<Record<string, unknown>>
  } catch (error) {
    return `${module} cannot be imported: ${said(error)}`
  }
  const exported = found[fn]
  if (typeof exported !== "function") return `${module} exports no function "${fn}"`
  return exported as (...args: ReadonlyArray<unknown>) => unknown
}

/** Runs the call. Never rejects. A result that cannot be sent is found where it is sent: to try it here would cost its copy. */
export const perform = async (call: Call): Promise<Ended> => {
  const run = await find(call)
  if (typeof run === "string") return { _tag: "Unfit", why: run }
  try {
    return { _tag: "Returned", value: await run(...call.args) }
  } catch (error) {
    return { _tag: "Threw", error: isSendable(error) ? error : new Error(said(error)) }
  }
}
