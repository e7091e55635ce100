/** A device as an XState machine: dials in, reports, obeys commands or refuses them, breaks down. What it has to tell it emits. */
import { Schema } from "effect"
import { assign, emit, setup } from "xstate"

export const Told = Schema.Union([
  Schema.Struct({ type: Schema.Literals(["joined", "updated"]) }),
  Schema.Struct({ type: Schema.Literal("left"), because: Schema.String }),
  Schema.Struct({ type: Schema.Literal("reported"), n: Schema.Int }),
  Schema.Struct({ type: Schema.Literal("acknowledged"), command: Schema.String }),
  Schema.Struct({ type: Schema.Literal("refused"), command: Schema.String, because: Schema.String })
])

/** The first two are commands, the others happen to it; PING is for who wants to know its state. */
export type Event =
  | { readonly type: "REBOOT" | "UPDATE" }
  | { readonly type: "SET_INTERVAL"; readonly millis: number }
  | { readonly type: "DROP" | "BREAK" | "PING" }

const refusing = (because: string) => {
  const refuse = { actions: { type: "refuse" as const, params: { because } } }
  return { REBOOT: refuse, UPDATE: refuse, SET_INTERVAL: refuse }
}

export const device = setup({
  types: {
    context: {} as { readonly millis: number; readonly reports: number },
    input: {} as { readonly millis: number },
    events: {} as Event,
    emitted: {} as typeof Told.Type
  },
  delays: { interval: ({ context }) => context.millis },
  guards: { sensible: ({ event }) => event.type === "SET_INTERVAL" && event.millis >= 1000 && event.millis <= 60_000 },
  actions: {
    join: emit({ type: "joined" }),
    leave: emit((_, because: string) => ({ type: "left", because })),
    acknowledge: emit(({ event }) => ({ type: "acknowledged", command: event.type })),
    refuse: emit(({ event }, { because }: { because: string }) => ({ type: "refused", command: event.type, because })),
    report: emit(({ context }) => ({ type: "reported", n: context.reports })),
    count: assign({ reports: ({ context }) => context.reports + 1 }),
    set: assign({ millis: ({ context, event }) => (event.type === "SET_INTERVAL" ? event.millis : context.millis) }),
    finish: emit({ type: "updated" }),
    panic: () => {
      throw new Error("the watchdog has waited long enough")
    }
  }
}).createMachine({
  context: ({ input }) => ({ millis: input.millis, reports: 0 }),
  initial: "connecting",
  on: { PING: { actions: () => {} } },
  states: {
    offline: { on: refusing("offline"), after: { 5000: "connecting" } },
    connecting: { on: refusing("connecting"), after: { 500: { target: "reporting", actions: "join" } } },
    reporting: {
      after: { interval: { target: "reporting", reenter: true, actions: ["count", "report"] } },
      on: {
        DROP: { target: "offline", actions: { type: "leave", params: "dropped" } },
        BREAK: { target: "faulty", actions: { type: "leave", params: "broken" } },
        REBOOT: { target: "connecting", actions: ["acknowledge", { type: "leave", params: "rebooting" }] },
        UPDATE: { target: "updating", actions: ["acknowledge", { type: "leave", params: "updating" }] },
        SET_INTERVAL: [
          { guard: "sensible", target: "reporting", reenter: true, actions: ["set", "acknowledge"] },
          { actions: { type: "refuse", params: { because: "no interval" } } }
        ]
      }
    },
    updating: { on: refusing("updating"), after: { 8000: { target: "connecting", actions: "finish" } } },
    // its timer fails it: its supervisor starts it anew
    faulty: {
      on: { ...refusing("faulty"), REBOOT: { target: "connecting", actions: "acknowledge" } },
      after: { 15000: { actions: "panic" } }
    }
  }
})
