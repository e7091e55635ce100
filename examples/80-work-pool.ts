/**
 * A pool of workers: one queue, from which each takes the next task the moment it is free.
 *
 * A task that fails is tried again as the schedule says, one that dies takes no other along; one too many is handed back; one
 * that is given up is interrupted; a drain ends with what there is.
 *
 * Run: npx tsx examples/80-work-pool.ts
 *
 * Expected output:
 *   a.png: 300 wide, at attempt 2
 *   none.png: Broken
 *   bomb.png: TaskDied
 *   too many: PoolFull hands c.png back
 *   given up: AskTimeout, cancelled 1
 *   drained, cut off 0: PoolDraining
 *   9 submitted = 4 done + 2 failed + 1 cancelled + 2 refused
 */
import { Duration, Effect, Fiber, Layer, Logger, Schedule, Schema } from "effect"
import { ActorSystem } from "troupe"
import { WorkPool } from "troupe/actors"

class Broken extends Schema.TaggedError<Broken>()("Broken", { url: Schema.String }) {}

/** Stands for what takes its time. */
const shrink = Effect.fnUntraced(function* (url: string, attempt: number) {
  yield* Effect.sleep(url === "slow.png" ? "1 hour" : "20 millis")
  if (url === "bomb.png") throw new Error("not an image")
  if (url === "none.png" || attempt === 1) return yield* new Broken({ url })
  return `300 wide, at attempt ${attempt}`
})

const thumbnails = WorkPool.make("Thumbnails", {
  task: Schema.String,
  result: Schema.String,
  error: Broken, // what `work` may fail with
  work: (url, { attempt }) => shrink(url, attempt), // an Effect; what it needs is asked for where the pool is spawned
  workers: 2,
  maxQueued: 1,
  retry: Schedule.exponential("10 millis").pipe(Schedule.upTo({ times: 3 }))
})

const program = Effect.gen(function* () {
  const pool = yield* ActorSystem.spawn(thumbnails.behavior, "main") // or hosted, or a supervisor's child
  console.log(`a.png: ${yield* pool.ask("Run", "a.png", { timeout: "1 minute" })}`)
  console.log(`none.png: ${(yield* Effect.flip(pool.ask("Run", "none.png")))._tag}`)
  console.log(`bomb.png: ${(yield* Effect.flip(pool.ask("Run", "bomb.png")))._tag}`)

  const urls = ["b1.png", "b2.png", "b3.png"] // two run, one waits
  yield* Effect.forEach(urls, (url) => pool.ask("Submit", url), { discard: true })
  const full = yield* Effect.flip(pool.ask("Run", "c.png"))
  if (full._tag === "PoolFull") console.log(`too many: PoolFull hands ${String(full.task)} back`)
  yield* pool.ask("Join")

  const late = yield* Effect.flip(pool.ask("Run", "slow.png", { timeout: 50 }))
  yield* pool.ask("Join") // it is interrupted, and its worker free again
  console.log(`given up: ${late._tag}, cancelled ${(yield* pool.ask("Stats")).cancelled}`)

  const draining = yield* Effect.forkChild(pool.ask("Drain", { within: Duration.seconds(5) }), {
    startImmediately: true
  })
  const refused = yield* Effect.flip(pool.ask("Run", "d.png"))
  console.log(`drained, cut off ${yield* Fiber.join(draining)}: ${refused._tag}`)
  const { cancelled, done, failed, refused: sentBack, submitted } = yield* pool.ask("Stats")
  const ends = `${done} done + ${failed} failed + ${cancelled} cancelled + ${sentBack} refused`
  console.log(`${submitted} submitted = ${ends}`)
})

const quiet = Layer.provideMerge(ActorSystem.layer, Logger.layer([]))
await Effect.runPromise(program.pipe(Effect.provide(quiet)))
