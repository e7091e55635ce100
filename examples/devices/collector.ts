/** Hears of all devices: counts what they tell by name, and how often a report is not the one that follows the last. */
import { HashMap, Option, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { Actor } from "troupe"
import { Told } from "./machine.ts"

const Counts = Schema.Record(Schema.String, Schema.Int)
const Last = Schema.Struct({ life: Schema.Int, n: Schema.Int })

const Collector = Actor.make("Collector", {
  state: Schema.Struct({ counts: Counts, last: Schema.HashMap(Schema.String, Last), gaps: Schema.Int }),
  protocol: [
    Rpc.make("Hear", { payload: { device: Schema.String, life: Schema.Int, told: Told } }),
    Rpc.make("Totals", { success: Schema.Struct({ counts: Counts, gaps: Schema.Int }) })
  ]
})

/** What a thing told counts as: its type and what else there is to it. */
export const nameOf = (told: typeof Told.Type): string =>
  told.type === "reported" ? told.type : Object.values(told).join(" ")

export const collector = Collector.behavior({
  initial: { counts: {}, last: HashMap.empty<string, typeof Last.Type>(), gaps: 0 },
  mailbox: { capacity: 4096, overflow: "suspend" }, // a full one holds devices up, and loses nothing
  on: {
    Hear: ({ counts, gaps, last }, { device, life, told }) => {
      const name = nameOf(told)
      const next = { counts: { ...counts, [name]: (counts[name] ?? 0) + 1 }, gaps, last }
      if (told.type !== "reported") return next
      // who was restarted counts from 1 again
      const before = Option.filter(HashMap.get(last, device), (report) => report.life === life)
      const follows = told.n === 1 + Option.match(before, { onNone: () => 0, onSome: ({ n }) => n })
      return { ...next, gaps: gaps + (follows ? 0 : 1), last: HashMap.set(last, device, { life, n: told.n }) }
    },
    Totals: ({ counts, gaps }) => Actor.reply({ counts, gaps })
  }
})
