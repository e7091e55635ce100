/**
 * Who hears of one thing: added, told in the order added, gone when they say so.
 *
 * Used by Client and Events; knows nothing of what is told. The same function may be added twice, and then hears twice. One
 * that is added or leaves while others are told changes nothing for this telling. A listener that throws costs nobody else
 * the news: what it threw is reported.
 * Cost: a copy of the list a telling.
 */

interface Registration<in A> {
  readonly listener: (news: A) => void
}

export class Listeners<in out A> {
  readonly #report: (error: unknown) => void
  readonly #all = new Set<Registration<A>>()

  constructor(report: (error: unknown) => void) {
    this.#report = report
  }

  get size(): number {
    return this.#all.size
  }

  /** The answer ends it. */
  add(listener: (news: A) => void): () => void {
    const registration = { listener }
    this.#all.add(registration)
    return () => void this.#all.delete(registration)
  }

  tell(news: A): void {
    for (const { listener } of Array.from(this.#all)) {
      try {
        listener(news)
      } catch (error) {
        this.#report(error)
      }
    }
  }
}
