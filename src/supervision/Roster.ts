/**
 * Living actors entered under texts, until they are struck off or their life ends.
 *
 *   byId    "Worker/pool"   -> { cell a, cell b }         byCell   cell a -> { "Worker/pool", "Worker/spare" }, its watch
 *           "Worker/spare"  -> { cell a }                          cell b -> { "Worker/pool" }, its watch
 *
 * Floor 2; the mechanism of Groups and Names, two of them a system; knows neither keys nor refs.
 * Law 10: an actor in here is watched once, however many entries it has; a restart is no death. Its death is heard after
 * the turn in which it died: until then it stands here still, so readers ask `alive`.
 * Law 3: `limit` entries of all ids together; one more is refused by name. Nothing is kept of an id without entries, nor of
 * an actor without any. Law 7: an idle member costs its entries and one watch; no fiber, no timer.
 * Cost: O(1) an entry, O(entries of the actor) at its death. Order: as entered.
 */
import type { Cell } from "../actor/Cell.ts"
import { LimitReached } from "../kernel/Errors.ts"

interface Entered {
  readonly ids: Set<string>
  readonly died: () => void
}

const none: ReadonlySet<Cell> = new Set()

export class Roster {
  /** Entries of all ids together. */
  size = 0
  readonly #what: string
  readonly #option: string
  readonly #limit: number
  readonly #byId = new Map<string, Set<Cell>>()
  readonly #byCell = new Map<Cell, Entered>()
  readonly #listeners = new Map<string, Set<() => void>>()

  constructor(what: string, option: string, limit: number) {
    this.#what = what
    this.#option = option
    this.#limit = limit
  }

  /** Those entered under an id, in that order; who has just died may stand among them. */
  cells(id: string): ReadonlySet<Cell> {
    return this.#byId.get(id) ?? none
  }

  /** Enters a living actor; a second time changes nothing. Answers with the refusal when there is no room. */
  enter(id: string, cell: Cell): LimitReached | undefined {
    if (this.#byCell.get(cell)?.ids.has(id) === true) return undefined
    if (this.size >= this.#limit) {
      return new LimitReached({ what: this.#what, limit: this.#limit, option: this.#option })
    }
    let entered = this.#byCell.get(cell)
    if (entered === undefined) {
      entered = { ids: new Set(), died: () => this.#died(cell) }
      this.#byCell.set(cell, entered)
      ;(cell.record().watchers ??= new Set()).add(entered.died)
    }
    entered.ids.add(id)
    const cells = this.#byId.get(id)
    if (cells === undefined) this.#byId.set(id, new Set([cell]))
    else cells.add(cell)
    this.size++
    this.#changed(id)
    return undefined
  }

  /** Strikes an actor off; false when it does not stand there. */
  strike(id: string, cell: Cell): boolean {
    const entered = this.#byCell.get(cell)
    if (entered === undefined || !entered.ids.delete(id)) return false
    if (entered.ids.size === 0) {
      this.#byCell.delete(cell)
      cell.extra?.watchers?.delete(entered.died)
    }
    const cells = this.#byId.get(id)!
    cells.delete(cell)
    if (cells.size === 0) this.#byId.delete(id)
    this.size--
    this.#changed(id)
    return true
  }

  /** Calls back after each change of an id's entries; the answer ends that. */
  subscribe(id: string, listener: () => void): () => void {
    const listeners = this.#listeners.get(id) ?? new Set()
    this.#listeners.set(id, listeners.add(listener))
    return () => {
      if (listeners.delete(listener) && listeners.size === 0) this.#listeners.delete(id)
    }
  }

  #died(cell: Cell): void {
    for (const id of this.#byCell.get(cell)?.ids ?? []) this.strike(id, cell)
  }

  #changed(id: string): void {
    for (const listener of this.#listeners.get(id) ?? []) listener()
  }
}
