/**
 * What a WorkPool holds in one incarnation beside its books: who asked for which task, and which fiber is at it.
 *
 * Made by the pool's `initial`, gone with the incarnation, as are the fibers. Each step takes the books and hands back the next
 * ones. Nothing here is state: books from elsewhere would find an empty desk, and be worked off unheard.
 * Law 8: an asker that leaves is noted at once and dealt with in a turn, a burst of them in one (WorkLine.look). An interrupted task is `cancelled`, and its worker free, when its fiber has ended.
 * Law 3: no more hands than unfinished tasks.
 */
import { type Clock, Effect, Exit, Scope } from "effect"
import { attempt, type Ending } from "./WorkAttempt.ts"
import * as Books from "./WorkBooks.ts"
import { Hand } from "./WorkHand.ts"
import { WorkJoins } from "./WorkJoins.ts"
import { WorkLine } from "./WorkLine.ts"
import type { Rules } from "./WorkOptions.ts"
import { type Me, PoolDraining } from "./WorkProtocol.ts"
import { log } from "./WorkUnheard.ts"

export class WorkDesk {
  readonly #joins = new WorkJoins()
  readonly #self: Me
  readonly #rules: Rules
  readonly now: () => number
  readonly #hands = new Map<number, Hand>()
  readonly #left = new Set<number>()
  readonly line: WorkLine
  /** Until the deadline of the last drain, in milliseconds. */
  within = Number.POSITIVE_INFINITY

  constructor(self: Me, rules: Rules, clock: Clock.Clock) {
    this.#self = self
    this.line = new WorkLine(self)
    this.#rules = rules
    this.now = () => clock.currentTimeMillisUnsafe()
    const lost = Effect.suspend(() => log(self.ref.address, "is lost with its pool", this.#hands))
    Effect.runSync(Scope.addFinalizer(self.scope, lost))
  }

  /** Takes a task on for whose result somebody waits, unless it was told. */
  run(books: Books.Books, task: unknown): Books.Books {
    const id = books.nextId
    const ask = this.#self.defer<unknown, unknown>()
    ask.onCancel(() => {
      this.#left.add(id)
      this.line.look()
    })
    return this.submit(books, task, ask.waiting ? ask : undefined)
  }

  /** Takes a task on; without `ask` nobody waits for its result. */
  submit(books: Books.Books, task: unknown, ask?: Hand["ask"]): Books.Books {
    this.#hands.set(books.nextId, new Hand(ask, task))
    return this.begin(Books.submit(books, task))
  }

  /** Whoever is free begins. */
  begin(books: Books.Books): Books.Books {
    let next = books
    for (let taken = Books.take(next, this.now()); taken !== undefined; taken = Books.take(next, this.now())) {
      next = taken[0]
      this.#begin(taken[1].index, taken[2])
    }
    return next
  }

  /** And whoever is suspended comes again, as far as there is room; to be refused, when the pool drains. */
  pump(books: Books.Books): Books.Books {
    const next = this.begin(books)
    this.line.call(next.draining ? Number.MAX_SAFE_INTEGER : Books.room(next, this.#rules.maxQueued))
    return next
  }

  #begin(index: number, { failures, id, task }: Books.Job): void {
    const hand = this.#hands.get(id) ?? new Hand(undefined, task) // of books from elsewhere
    this.#hands.set(id, hand)
    hand.begun = true
    const worker = { pool: this.#self.ref.address, index, id, attempt: failures + 1 }
    const work = attempt(this.#rules.work, this.#rules.retry, task, worker, hand)
    hand.fiber = this.#self.pipe(work, (exit) => ["Ended", { worker: index, id, exit }])
  }

  /** Whether there is anything to wait for; whose ask it is hears of its end. */
  join(books: Books.Books, drains: boolean): boolean {
    const unfinished = Books.unfinished(books)
    if (unfinished === 0) return false
    this.#joins.check(this.#self.ref.address)
    this.#joins.add(books.nextId, unfinished, drains, this.#self.defer<unknown, unknown>())
    return true
  }

  /** The fiber of a worker has ended. */
  ended(books: Books.Books, index: number, id: number, exit: Exit.Exit<Ending>): Books.Books {
    const worker = books.workers.find((each) => each.index === index && each.job?.id === id)
    const hand = this.#hands.get(id)
    if (worker === undefined || hand === undefined) return books
    hand.fiber = undefined
    const ending = Exit.isSuccess(exit) ? exit.value : undefined
    if (ending?.how === "retried" && !hand.left) {
      const later = Books.end(books, worker, "retried", this.now())
      if (ending.millis === 0) return this.pump(Books.due(later, id))
      this.#self.timers.once(`retry ${id}`, ending.millis, "Due", { id })
      return this.pump(later)
    }
    const how = hand.ended(this.#self, id, index, exit)
    this.#settle(id)
    return this.pump(Books.end(books, worker, how, this.now()))
  }

  /** Some askers have left, or somebody suspended has that was called. */
  look(books: Books.Books): Books.Books {
    this.line.looked()
    const ids = new Set(this.#left)
    this.#left.clear()
    return this.pump(this.#cancel(books, ids))
  }

  /** The deadline of a drain: what is unfinished is cancelled, and told so, to the log where nobody waits for it. */
  cut(books: Books.Books): Effect.Effect<Books.Books> {
    const ids = new Set(
      (books.draining && this.within < Number.POSITIVE_INFINITY ? Books.jobs(books) : []).map(({ id }) => id)
    )
    const cut = new Map([...this.#hands].filter(([id]) => ids.has(id)))
    const { address } = this.#self.ref
    const told = log(address, `is cut off by Drain's deadline, ${this.within} ms`, cut)
    this.#joins.cut(ids.size)
    const all = { address, unfinished: ids.size, withinMillis: this.within }
    for (const { ask, begun, task } of cut.values()) ask?.fail(new PoolDraining({ ...all, begun, task }))
    return Effect.as(told, this.#cancel(books, ids))
  }

  #cancel(books: Books.Books, ids: ReadonlySet<number>): Books.Books {
    const [kept, gone] = Books.withdraw(books, ids)
    for (const { id } of gone) {
      this.#self.timers.cancel(`retry ${id}`)
      this.#settle(id)
    }
    for (const id of ids) {
      const hand = this.#hands.get(id)
      if (hand === undefined) continue
      hand.left = true
      hand.fiber?.interruptUnsafe()
    }
    return kept
  }

  #settle(id: number): void {
    this.#hands.delete(id)
    this.#joins.settled(id)
  }
}
