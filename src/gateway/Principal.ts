/**
 * Who a connection is, and the two answers of those who decide about it: no.
 *
 * Floor 3; made by the user's `authenticate` and `authorize`; read by Admission, and by agents as `client.principal`.
 * Neither error says why on the wire: who may not come in learns 401 or 403, and no more (law 12). `reason` is for your own
 * tests and logs; keep tokens out of it.
 */
import { Schema } from "effect"

export type { Principal } from "../actor/Client.ts"

/** Nobody known: HTTP 401. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  reason: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `unauthorized${this.reason === undefined ? "" : `: ${this.reason}`}`
  }
}

/** Known, and not allowed to this agent: HTTP 403. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", {
  reason: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `forbidden${this.reason === undefined ? "" : `: ${this.reason}`}`
  }
}
