/**
 * One incarnation of a supervisor, as the world has seen it: its places, left to right, and who goes down together.
 *
 *   alive  --ends--> returning  a demand was granted, and it is made anew       --begins--> alive
 *                    resting    it does not come back by itself; its place stays (RestartChild, DeleteChild)
 *                    removed    temporary and dynamic children have no place without a life
 *
 * Used by TreeLedger, which holds it against what is seen. A group is a position: whoever stands there or to the right of it
 * may be taken down, until all of them are up again.
 */
import type { ActorRef } from "troupe"

type Cell = NonNullable<ActorRef["cell"]>

/** Of any child of the world, in ms. */
export const longestBackoff = 30

export interface Budget {
  readonly restarts: number
  readonly within: number
}

/** What the world has told a supervisor about a child. */
export interface PlaceSpec {
  readonly id: string
  readonly type: string
  readonly restart: "permanent" | "transient" | "temporary"
  readonly significant: boolean
  /** Beside its siblings' budget. */
  readonly own: Budget | undefined
}

export interface TreeSpec {
  readonly type: string
  readonly strategy: "one_for_one" | "one_for_all" | "rest_for_one" | "dynamic"
  readonly auto: "never" | "any_significant" | "all_significant"
  readonly shared: Budget | undefined
  /** Whom it starts with, and whoever may be started later. */
  readonly children: ReadonlyArray<PlaceSpec>
  readonly first: ReadonlyArray<string>
  /** Ids of children that are supervisors. */
  readonly nested: ReadonlySet<string>
}

export interface Command {
  readonly what: "StartChild" | "TerminateChild" | "RestartChild" | "DeleteChild" | "WhichChildren" | "CountChildren"
  readonly id: string
}

export class Place {
  readonly spec: PlaceSpec
  cell: Cell | undefined = undefined
  was: "alive" | "returning" | "resting" = "alive"
  /** Its present life has had its state once. */
  readied = false
  /** One of its lives has. */
  up = false
  /** It ended by itself while its group was about: it may come back with it, or rest. */
  perhaps = false
  /** A restart of its own was granted, and comes. */
  failing = false
  /** It ends for good; counts: by its own doing. */
  leaves: "counts" | "quietly" | undefined = undefined
  /** Restarts granted on its own budget. */
  times: Array<number> = []
  /** Who must have gone down before it is back. */
  takes: ReadonlyArray<readonly [cell: Cell, incarnation: number]> = []
  /** When it last left `active`. */
  since = 0

  constructor(spec: PlaceSpec) {
    this.spec = spec
  }
}

export class Family {
  readonly cell: Cell
  readonly incarnation: number
  readonly spec: TreeSpec
  readonly places: Array<Place> = []
  /** Restarts granted on the shared budget. */
  readonly times: Array<number> = []
  /** Of these, those of children that may have gone down with their siblings anyway, at no cost. */
  readonly unsure = new Set<number>()
  /** Addresses of children that were out of the shared budget: their supervisor has yet to fail of it. */
  readonly expects = new Set<string>()
  /** Ids that have been ready once. */
  readonly started = new Set<string>()
  /** It runs its `initial`. */
  starting = true
  closing = false
  mustEnd: string | undefined = undefined
  /** Whether it has to end is not known. */
  vague = false
  /** Counts what was seen of its children. */
  version = 0
  /** When a command last ended a child. */
  terminatedAt = Number.NEGATIVE_INFINITY
  #from: number | undefined = undefined

  constructor(cell: Cell, spec: TreeSpec) {
    this.cell = cell
    this.incarnation = cell.incarnation
    this.spec = spec
  }

  find(id: string): Place | undefined {
    return this.places.find(({ spec }) => spec.id === id)
  }

  leftOf(place: Place): ReadonlyArray<Place> {
    return this.places.slice(0, this.places.indexOf(place))
  }

  rightOf(place: Place): ReadonlyArray<Place> {
    return this.places.slice(this.places.indexOf(place) + 1)
  }

  /** A new life, in its old place or at the right end. */
  seat(id: string, cell: Cell): Place {
    let place = this.find(id)
    if (place === undefined) {
      const { children, strategy } = this.spec
      place = new Place(strategy === "dynamic" ? { ...children[0]!, id } : children.find((child) => child.id === id)!)
      this.places.push(place)
    }
    // a new life by command remembers nothing
    if (place.was === "resting") {
      place.times = []
      place.takes = []
    }
    place.cell = cell
    place.was = "alive"
    place.perhaps = false
    place.readied = false
    place.failing = false
    place.leaves = undefined
    return place
  }

  remove(place: Place): void {
    const at = this.places.indexOf(place)
    this.places.splice(at, 1)
    if (this.#from !== undefined && at < this.#from) this.#from--
  }

  // ---- groups

  /** It goes down, and whoever goes with it; whether that is a group. */
  bring(place: Place): boolean {
    const { strategy } = this.spec
    if (strategy !== "one_for_all" && strategy !== "rest_for_one") return false
    const from = strategy === "one_for_all" ? 0 : this.places.indexOf(place)
    this.#from = Math.min(from, this.#from ?? from)
    // all of a group come up, also those that had ended before; whether a former one goes on is not known
    for (const [i, each] of this.places.entries()) {
      if (i < this.#from || (each.was !== "resting" && !each.perhaps) || each.spec.restart === "temporary") continue
      if (each.was === "resting") each.times = []
      each.was = "returning"
      each.perhaps = i < from
    }
    const takes = this.places.slice(from).filter(({ cell }) => cell?.ready === true)
    place.takes = takes.map(({ cell }) => [cell!, cell!.incarnation])
    return true
  }

  covers(place: Place): boolean {
    return this.#from !== undefined && this.places.indexOf(place) >= this.#from
  }

  /** Everybody is up: the group is over. One whose members were terminated meanwhile still waits for its backoff. */
  settle(now: number): void {
    const from = this.#from
    if (from === undefined || now - this.terminatedAt <= longestBackoff) return
    if (this.places.slice(from).every((p) => p.was === "resting" || p.perhaps || p.cell?.ready === true))
      this.#from = undefined
  }

  // ---- commands

  /** What an answer changes; or what is wrong with it. `still`: nothing was seen of the children since it was sent. */
  answered({ what, id }: Command, outcome: string, still: boolean): string | undefined {
    const place = this.find(id)
    if (what === "DeleteChild" && outcome === "ok") {
      if (place?.was !== "resting" && place?.perhaps !== true) return still ? "deletes no resting child" : undefined
      this.remove(place)
    }
    if (what === "TerminateChild" && outcome === "ok" && place !== undefined) {
      // unless its siblings have brought it back meanwhile
      if (place.was === "alive") return this.covers(place) ? undefined : "it lives"
      if (this.spec.strategy === "dynamic") this.remove(place)
      place.was = "resting"
      place.perhaps = false
    }
    if (!still || this.spec.strategy === "dynamic") return undefined
    const wanted = this.#wanted(what, place)
    return wanted === undefined || wanted.includes(outcome) ? undefined : `${outcome} instead of ${wanted.join(" or ")}`
  }

  #wanted(what: Command["what"], place: Place | undefined): ReadonlyArray<string> | undefined {
    if (what === "StartChild") return place === undefined ? ["ok"] : ["AlreadyPresent"]
    if (what === "TerminateChild") return place === undefined ? ["NoSuchChild"] : ["ok"]
    if (what === "RestartChild") return place === undefined ? ["NoSuchChild"] : ["AlreadyPresent"]
    if (what !== "DeleteChild") return undefined
    return place === undefined ? ["NoSuchChild"] : ["AlreadyPresent", "ok"]
  }

  /** What may be told of each child now; by id for dynamic ones. */
  states(): ReadonlyArray<ReadonlyArray<string>> {
    const all = this.places.map(({ spec, cell, was, perhaps }) => {
      const told = (state: string): string => `${spec.id} ${spec.restart} ${state}`
      if (was === "resting") return [told("undefined")]
      if (perhaps && cell === undefined) return [told("undefined"), told("restarting")]
      if (cell === undefined) return [told("restarting")]
      if (cell.ready) return [told("running")]
      // between its incarnations, or starting
      return cell.open ? [told("running"), told("restarting")] : [told("restarting")]
    })
    if (this.spec.strategy !== "dynamic") return all
    return all.toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1))
  }
}
