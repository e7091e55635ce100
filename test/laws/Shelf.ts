/**
 * Law 2's model of one actor's stash: what lies there, and what lies unstashed at the head of its mailbox.
 *
 *   stash  [a b c] -- unstash(2) --> head  [a b] ... rest of the mailbox      a restart, and a drain, put all of it back
 *
 * Used by Ledger, a shelf a life. What is unstashed is handled next, in the order it had come; whatever is buried (cancelled,
 * dropped, stopped) leaves its place. Signals and firings may come in between: only mail that the world numbers is looked at.
 */
export class Shelf<M> {
  #stash: Array<M> = []
  #head: Array<M> = []
  /** What waits for room was staged behind an unstash that the model has done already: which lies where is open. */
  #vague = false
  /** Unstashed in the model, and gone before it was done: the next in the stash may have come instead, so many of them. */
  #instead = 0

  /** A handler that put its message aside, and the numbers it unstashed, has succeeded. */
  commit(stashed: M | undefined, unstashed: ReadonlyArray<number>): void {
    if (stashed !== undefined) this.#stash.push(stashed)
    for (const count of unstashed) this.#back(count)
  }

  /** All of it goes back; `holding`: while committed outputs wait for room. */
  empty(holding: boolean): void {
    this.#back(this.#stash.length)
    this.#instead = 0
    if (holding) this.#vague = true
  }

  #back(count: number): void {
    this.#head.unshift(...this.#stash.splice(0, count))
  }

  /** It never reaches a handler; `holding`: an unstash may be among what waits for room. */
  bury(mail: M, holding: boolean): void {
    if (holding && this.#head.includes(mail)) this.#instead++
    this.#drop(mail)
  }

  #drop(mail: M): void {
    this.#stash = this.#stash.filter((other) => other !== mail)
    this.#head = this.#head.filter((other) => other !== mail)
  }

  /** It is handled now; false when something else should be. */
  take(mail: M): boolean {
    const next = this.#head[0]
    let inTurn = next === mail || this.#vague
    if (next === undefined) {
      const stashed = this.#stash.includes(mail)
      inTurn = !stashed || (this.#instead > 0 && this.#stash[0] === mail)
      this.#instead = stashed ? this.#instead - 1 : 0
    }
    this.#drop(mail)
    if (this.#head.length === 0) this.#vague = false
    return inTurn
  }
}
