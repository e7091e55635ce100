/**
 * The actor of the price comparison: asks all suppliers of an item at once, and answers with what came in time, who failed with
 * what, and who was late. It remembers the cheapest offer it has seen.
 *
 * Used by main.ts, which has the run line. Whoever provides the HttpClient decides what goes over the wire at a time.
 */
import { Cause, Effect, Schema } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { Rpc } from "effect/rpc"
import { Actor } from "troupe"
import { FanOut } from "troupe/actors"
import type { Supplier } from "./suppliers.ts"

const Quote = Schema.Struct({ price: Schema.Int })
const Prices = FanOut.Report(Quote, Schema.Defect())
const Offer = Schema.Struct({ price: Schema.Int, from: Schema.String })

const Comparison = Actor.make("Comparison", {
  state: Schema.Struct({ cheapest: Schema.NullOr(Offer) }),
  protocol: [
    Rpc.make("Compare", {
      payload: {
        item: Schema.String,
        suppliers: Schema.Array(Schema.Struct({ address: Schema.String, url: Schema.String })),
        /** How many are asked at a time. */
        atOnce: Schema.Int,
        deadlineMillis: Schema.Finite
      },
      success: Prices
    }),
    Rpc.make("Cheapest", { success: Schema.NullOr(Offer) })
  ]
})

const quote = (item: string) => (supplier: Supplier) =>
  HttpClient.get(`${supplier.url}/${item}`).pipe(
    Effect.flatMap(HttpClientResponse.filterStatusOk),
    Effect.flatMap(HttpClientResponse.schemaBodyJson(Quote))
  )

export const comparison = Comparison.behavior({
  initial: { cheapest: null },
  on: {
    *Compare(state, { atOnce, deadlineMillis, item, suppliers }) {
      const options = { concurrency: atOnce, deadline: deadlineMillis }
      const report = yield* Effect.orDie(FanOut.inTime(suppliers, quote(item), options))
      const offers = report.answers.map(({ address, value }) => ({ from: address, price: value.price }))
      const [cheapest = null] = [...(state.cheapest === null ? [] : [state.cheapest]), ...offers].toSorted(
        (a, b) => a.price - b.price || a.from.localeCompare(b.from)
      )
      return Actor.reply(report, { cheapest })
    },
    Cheapest: (state) => Actor.reply(state.cheapest)
  }
})

/** A failure in a few words. */
export const inWords = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (!HttpClientError.isHttpClientError(error))
    return error instanceof Error ? error.message.split("\n", 1)[0]! : String(error)
  const { reason } = error
  if (reason._tag === "StatusCodeError") return `status ${reason.response.status}`
  const { code, message } = reason.cause as { readonly code?: string; readonly message: string }
  return code ?? message
}
