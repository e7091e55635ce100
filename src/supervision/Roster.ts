/**
 * Living actors entered under texts, until they are struck off or their life ends.
 *
 *   byId    "Worker/pool"   -> { cell a, cell b }         byCell   cell a -> [ "Worker/pool", "Worker/spare" ]
 *           "Worker/spare"  -> { cell a }                          cell b -> [ "Worker/pool" ]
 *
 * Floor 2; the mechanism of Groups and Names, two of them a system; knows neither keys nor refs.
 * Law 10: an actor in here is watched once, however many entries it has; a restart is no death. Its death is heard after
 * the turn in which it died: until then it stands here still, so readers ask `alive`.
 * Law 3: `limit` entries of all ids together; one more is refused by name. Nothing is kept of an id without entries, nor of
 * an actor without any. Law 7: an idle member costs its entries and one watch; no fiber, no timer.
 * Cost: O(1) to enter, O(entries of the actor) to strike off and at its death. Order: as entered.
 */
import type { Cell } from "../actor/Cell.ts"
import { LimitReached } from "../kernel/Errors.ts"

const none: ReadonlySet<Cell> = new Set()

export class Roster {
  /** Entries of all ids together. */
  size = 0
  readonly #what: string
  readonly #option: string
  readonly #limit: number
  readonly #byId = new Map<string, Set<Cell>>()
  readonly #byCell = new Map<Cell, Array<string>>()
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
    const cells = this.#byId.get(id)
    if (cells?.has(cell) === true) return undefined
    if (this.size >= this.#limit) {
      return new LimitReached({ what: this.#what, limit: this.#limit, option: this.#option })
    }
    if (cells === undefined) this.#byId.set(id, new Set([cell]))
    else cells.add(cell)
    const ids = this.#byCell.get(cell)
    if (ids === undefined) {
      this.#byCell.set(cell, [id])
      ;(cell.record().watchers ??= new Set()).add(this.#died)
    } else ids.push(id)
    this.size++
    this.#changed(id)
    return undefined
  }

  /** Strikes an actor off; false when it does not stand there. */
  strike(id: string, cell: Cell): boolean {
    if (!this.#remove(id, cell)) return false
    const ids = this.#byCell.get(cell)!
    const last = ids.pop()!
    if (last !== id) ids[ids.indexOf(id)] = last
    if (ids.length === 0) {
      this.#byCell.delete(cell)
      cell.extra?.watchers?.delete(this.#died)
    }
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

  /** One for all: what is kept of a member is its entries. */
  readonly #died = (_reason: unknown, cell: Cell): void => {
    const ids = this.#byCell.get(cell) ?? []
    this.#byCell.delete(cell)
    for (const id of ids) if (this.#remove(id, cell)) this.#changed(id)
  }

  #remove(id: string, cell: Cell): boolean {
    const cells = this.#byId.get(id)
    if (cells === undefined || !cells.delete(cell)) return false
    if (cells.size === 0) this.#byId.delete(id)
    this.size--
    return true
  }

  #changed(id: string): void {
    for (const listener of this.#listeners.get(id) ?? []) listener()
  }
}
