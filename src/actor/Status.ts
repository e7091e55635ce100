/**
 * The bits of a cell's status word, beside the three of its lifecycle.
 *
 *   bits 0-2   lifecycle code (`kernel/Lifecycle`)
 *   bits 3-9   the flags below
 *
 * Floor 1; read and set by the files that move a cell; one small integer, so one test asks several questions at once.
 */
export const LIFECYCLE = 7

/** Stands for the state of an actor that has none yet: any other value may be a state, undefined too. */
export const NO_STATE: unique symbol = Symbol("no state")
/** Stands in the run queue. */
export const QUEUED = 8
/** A handler, or the release of its outputs, is suspended: no turn until it is done. */
export const BUSY = 16
/** Connecting, backing off or being torn down: no turn. */
export const HELD = 32
/** The handler on the stack or suspended is not to be committed. */
export const HALTED = 64
/** The next turn runs `initial`. */
export const STARTING = 128
/** Made by a handler that has not succeeded yet. */
export const UNBORN = 256
/** Its mailbox drops the oldest when it is full: what lies in it may not lie there for long. */
export const EVICTS = 512
