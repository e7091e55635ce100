/**
 * The statechart of a Breaker: when it opens, whom it lets probe, when it closes again.
 *
 *   closed ---- ENDED, a failure, and `rate` of the last `window` failed ----> open
 *   open ------ DUE, `openFor` is over ---------------------------------------> halfOpen
 *   halfOpen -- ENDED, a failure; or DUE, a probe has not ended in time ------> open, for twice as long, up to `maxOpenFor`
 *   halfOpen -- ENDED, the last of `probes` that had to succeed --------------> closed
 *
 * Used by Breaker alone. Pure: time comes with the events, what is due stands in `due`; the actor sets its timer by that. So the whole of
 * it can be walked, and is: a test takes every path that @xstate/graph finds. A chart and not ifs, because breakers have failed in the
 * corners: half-open for ever after an ignored probe (opossum 388, 276), after one that hung or never came (resilience4j 935, 2028), every
 * waiting caller a probe (smallrye 319), a late failure that stops the timer (opossum 385). Here each is an event in a state.
 * - Each change of state begins an epoch; what ends in another than it was let in counts nothing.
 * - A probe that is cancelled gives its place back. Time for probes runs from the first of them, not while nobody calls.
 * - Consecutive failures are a rate of 1 over a window of as many. No success opens it, be it the one that completes a window.
 * Law 3: `window` outcomes are kept, copied once an event. Law 12: options are refused by name.
 */
import type { Duration } from "effect"
import { InvalidOption, Options } from "troupe"
import { assign, setup } from "xstate"
import { type Context, count, type Event, initial, nothing } from "./BreakerState.ts"

/** Checked when the breaker is made. */
export interface MachineOptions {
  /** So many of the last calls count. 1-1,000, default 5. */
  readonly window?: number
  /** Fewer than so many of them say nothing yet. From 1 to the window, default the window. */
  readonly atLeast?: number
  /** The part of them that has to have failed. Above 0, to 1; default 1: all of them, one after the other. */
  readonly rate?: number
  /** What is older does not count any more. Default "infinity". */
  readonly within?: Duration.Input | "infinity"
  /** How long it is open, at first. Up to a year, default 10 seconds. */
  readonly openFor?: Duration.Input
  /** How long at the most, doubled each time that a probe fails. Default 5 minutes, or `openFor` where that is longer; up to a year. */
  readonly maxOpenFor?: Duration.Input
  /** Calls that are let through to probe, and all have to succeed. 1-1,000, default 1. */
  readonly probes?: number
  /** Probes that have not ended after so long have failed. Up to a year, default 30 seconds. */
  readonly probeTimeout?: Duration.Input
}

const year = 31_536_000_000

type TimedEvent = Event & { readonly at: number }

export const make = (type: string, options: MachineOptions) => {
  const names = ["window", "atLeast", "rate", "within", "openFor", "maxOpenFor", "probes", "probeTimeout"]
  Options.known(type, options, names)
  const window = Options.integer(`${type}.window`, options.window, 5, 1, 1000)
  const atLeast = Options.integer(`${type}.atLeast`, options.atLeast, window, 1, window)
  const rate = Options.number(`${type}.rate`, options.rate, 1, Number.MIN_VALUE, 1)
  const within = Options.millis(`${type}.within`, options.within, Number.POSITIVE_INFINITY)
  // what is due has a date: a breaker that is open for ever is none
  const finite = (name: "openFor" | "maxOpenFor" | "probeTimeout", otherwise: number): number =>
    Options.atMost(`${type}.${name}`, Options.millis(`${type}.${name}`, options[name], otherwise), year, "a year")
  const openFor = finite("openFor", 10_000)
  const maxOpenFor = finite("maxOpenFor", Math.max(openFor, 300_000))
  if (maxOpenFor < openFor) {
    throw new InvalidOption({ field: `${type}.maxOpenFor`, value: `${maxOpenFor} ms`, range: `${openFor} ms or more` })
  }
  const probes = Options.integer(`${type}.probes`, options.probes, 1, 1, 1000)
  const probeTimeout = finite("probeTimeout", 30_000)

  /** The window with one more in it. */
  const seen = ({ recent }: Context, at: number, failed: boolean): Context["recent"] =>
    [...recent, { at, failed }].slice(-window).filter((each) => each.at > at - within)
  /** What speaks for opening it: the window, or its probes, of which those that have not ended in time have failed. */
  const opening = (context: Context, { at, type: what }: TimedEvent): Context["opened"] => {
    const { passed, probing } = context
    if (probing === 0) return count(seen(context, at, true))
    const failures = what === "DUE" ? probing : 1
    return { counted: passed + failures, failures }
  }
  const outcomeOf = (event: TimedEvent) => (event.type === "ENDED" ? event.outcome : "ignored")

  return setup({
    types: { context: {} as Context, events: {} as TimedEvent },
    guards: {
      isLate: ({ context, event }) => event.type === "ENDED" && event.epoch !== context.epoch,
      isIgnored: ({ event }) => outcomeOf(event) === "ignored",
      isFailure: ({ event }) => outcomeOf(event) === "failed",
      trips: ({ context, event }) => {
        const { counted, failures } = opening(context, event)
        return outcomeOf(event) === "failed" && counted >= atLeast && failures / counted >= rate
      },
      hasRoom: ({ context }) => context.passed + context.probing < probes,
      isLast: ({ context }) => context.passed + 1 === probes
    },
    actions: {
      admit: assign(({ context }) => ({ calls: context.calls + 1 })),
      record: assign(({ context, event }) => ({ recent: seen(context, event.at, outcomeOf(event) === "failed") })),
      open: assign(({ context, event }) => ({
        ...nothing,
        opened: opening(context, event),
        epoch: context.epoch + 1,
        openings: context.openings + 1,
        due: event.at + Math.min(openFor * 2 ** context.openings, maxOpenFor)
      })),
      halfOpen: assign(({ context }) => ({ ...nothing, epoch: context.epoch + 1, due: undefined })),
      close: assign(({ context }) => ({ ...nothing, epoch: context.epoch + 1, openings: 0, due: undefined })),
      probe: assign(({ context: { calls, due, probing }, event }) => ({
        calls: calls + 1,
        probing: probing + 1,
        due: due ?? event.at + probeTimeout
      })),
      leave: assign(({ context: { due, probing: n } }) => ({ probing: n - 1, due: n === 1 ? undefined : due })),
      pass: assign(({ context }) => ({ passed: context.passed + 1 }))
    }
  }).createMachine({
    id: type,
    context: initial,
    initial: "closed",
    states: {
      closed: {
        on: {
          CALL: { actions: "admit" },
          ENDED: [
            { guard: "isLate" },
            { guard: "isIgnored" },
            { guard: "trips", target: "open", actions: "open" },
            { actions: "record" }
          ]
        }
      },
      open: { on: { DUE: { target: "halfOpen", actions: "halfOpen" } } },
      halfOpen: {
        on: {
          CALL: { guard: "hasRoom", actions: "probe" },
          DUE: { target: "open", actions: "open" },
          ENDED: [
            { guard: "isLate" },
            { guard: "isIgnored", actions: "leave" },
            { guard: "isFailure", target: "open", actions: "open" },
            { guard: "isLast", target: "closed", actions: "close" },
            { actions: ["leave", "pass"] }
          ]
        }
      }
    }
  })
}
