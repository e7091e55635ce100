/**
 * The life of an actor: one XState machine, closed into a table when this module loads.
 *
 *   connecting --READY--> active <--MAIL/REST--> idle          connecting: loads its state, runs `initial`
 *        ^  \                |                     |           active:     handles mail
 *        |   \--STOP-->      | STOP                | STOP      idle:       no mail for `idleAfter`
 *     RESTART  (any of connecting, active, idle)   |           draining:   no new mail; finishes what it accepted
 *                        draining <----------------+           stopped:    final
 *                            | DONE      KILL, from anywhere: stopped
 *
 * Floor 0; used by Cell (a small integer and this table), by the docs and by a test that walks every path
 * `@xstate/graph` finds, against real cells, and asserts table = machine for all pairs.
 * Why a table: XState's `transition()` costs 7-20 us a step and `createActor` 3.6 kB an instance; a load from an Int8Array
 * costs a nanosecond and an actor pays for its lifecycle with three bits.
 */
import { setup, transition } from "xstate"

export const machine = setup({
  types: {
    events: {} as { readonly type: "READY" | "REST" | "MAIL" | "RESTART" | "STOP" | "DONE" | "KILL" }
  }
}).createMachine({
  id: "lifecycle",
  initial: "connecting",
  states: {
    connecting: {
      on: {
        READY: "active",
        RESTART: { target: "connecting", reenter: true },
        STOP: "draining",
        KILL: "stopped"
      }
    },
    active: { on: { REST: "idle", RESTART: "connecting", STOP: "draining", KILL: "stopped" } },
    idle: { on: { MAIL: "active", RESTART: "connecting", STOP: "draining", KILL: "stopped" } },
    draining: { on: { DONE: "stopped", KILL: "stopped" } },
    stopped: { type: "final" }
  }
})

export const states = ["connecting", "active", "idle", "draining", "stopped"] as const
export type State = (typeof states)[number]
export const events = ["READY", "REST", "MAIL", "RESTART", "STOP", "DONE", "KILL"] as const
export type Event = (typeof events)[number]

/** A step of somebody's life, as it is told. */
export interface Step {
  readonly from: State
  readonly to: State
  /** The system clock's time, in ms. */
  readonly at: number
  readonly why: string
}

/** The codes that a cell keeps: positions in `states`. All below DRAINING take mail. */
export const CONNECTING = 0
export const ACTIVE = 1
export const IDLE = 2
export const DRAINING = 3
export const STOPPED = 4

/** The codes of the events: positions in `events`. */
export const READY = 0
export const REST = 1
export const MAIL = 2
export const RESTART = 3
export const STOP = 4
export const DONE = 5
export const KILL = 6

/** A pair that the machine does not know: nothing happens. */
export const NONE = -1

const close = (): Int8Array => {
  const table = new Int8Array(states.length * events.length).fill(NONE)
  states.forEach((value, s) => {
    const from = machine.resolveState({ value })
    if (from.status === "done") return
    events.forEach((type, e) => {
      const event = { type }
      if (!from.can(event)) return
      const [to] = transition(machine, from, event)
      table[s * events.length + e] = states.indexOf(to.value as State)
    })
  })
  return table
}

const table = close()

/** The state after `event`, or NONE where the machine has no such transition. */
export const next = (state: number, event: number): number => table[state * events.length + event]!

/** The machine as a Mermaid diagram, for the docs. */
export const diagram = (): string => {
  const lines = ["stateDiagram-v2", "  [*] --> connecting"]
  states.forEach((from, s) =>
    events.forEach((event, e) => {
      const to = next(s, e)
      if (to !== NONE) lines.push(`  ${from} --> ${states[to]}: ${event}`)
    })
  )
  return [...lines, "  stopped --> [*]"].join("\n")
}
