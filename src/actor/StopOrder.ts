/**
 * How an actor is asked to stop: the mode and the grace, checked.
 *
 * Floor 1; made by `ref.stop`, `self.stop`, supervision and the host; carried out by Teardown.
 * `drain` finishes accepted mail first, `now` ends the running handler and dead-letters the rest, `kill` waits for nothing.
 * Law 12: options are refused by name.
 */
import type { Duration } from "effect"
import * as Options from "../kernel/Options.ts"
import * as ExitReason from "./ExitReason.ts"

export type Mode = "drain" | "now" | "kill"

export interface StopOptions {
  /** Default `now`. */
  readonly mode?: Mode
  /** Grace until it is killed; default the behaviour's `shutdown`. */
  readonly within?: Duration.Input | "infinity"
}

/** A checked order to stop. */
export interface Order {
  readonly mode: Mode
  readonly millis: number | undefined
  readonly reason: ExitReason.ExitReason | undefined
}

export const killOrder: Order = { mode: "kill", millis: undefined, reason: ExitReason.killed }

const plainOrder: Order = { mode: "now", millis: undefined, reason: undefined }
const optionNames: ReadonlyArray<keyof StopOptions> = ["mode", "within"]

export const check = (options: StopOptions | undefined): Order => {
  if (options === undefined) return plainOrder
  Options.known("stop", options, optionNames)
  return {
    mode: Options.oneOf("stop.mode", options.mode, "now", ["drain", "now", "kill"]),
    millis: options.within === undefined ? undefined : Options.millis("stop.within", options.within, 0),
    reason: undefined
  }
}
