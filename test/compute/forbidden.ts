/** Two calls in a process that may make no threads; run by Threads.test.ts as a child that Node's permission model holds. */
import { Effect } from "effect"
import { Offload } from "troupe/compute"
import type * as Work from "./work.ts"

const work = Offload.module<typeof Work>(new URL("./work.ts", import.meta.url))
const calls = Effect.all([Offload.call(work, "add", [1, 1]), Offload.call(work, "where", [])], { concurrency: 2 })
const [sum, thread] = await Effect.runPromise(calls.pipe(Effect.provide(Offload.layer({ threads: 2 }))))
console.log(`${sum} on thread ${thread}`)
