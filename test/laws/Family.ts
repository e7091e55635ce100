/**
 * One incarnation of a supervisor, as the world has seen it: its places, left to right, and who goes down together.
 *
 *   alive  --ends--> returning  it is made anew, at the cost of a restart or with its group       --begins--> alive
 *                    resting    it does not come back by itself; its place stays (RestartChild, DeleteChild)
 *                    removed    temporary and dynamic children have no place without a life
 *
 *   group  [ up: not covered ] [ from: goes down, right to left ... rises, left to right ... ]   all up: over
 *
 * Used by TreeLedger, which holds it against what is seen. A group begins with a restart that is told of; it rises from
 * the moment that one who went down with it begins its next incarnation.
 */
import type { ActorRef } from "troupe"
import { HALTED, UNBORN } from "../../src/actor/Status.ts"

type Cell = NonNullable<ActorRef["cell"]>

/** Of any child of the world, in ms. */
export const longestBackoff = 30

/** Its incarnation has been let begin, and is not being ended. */
const begun = ({ alive, status }: Cell): boolean => alive && (status & (HALTED | UNBORN)) === 0

/** It ends, and not to come back with its siblings. */
const stops = ({ extra }: Cell): boolean => extra?.teardown?.goal === "stop"

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
  /** How many lives it has had. */
  lives = 0
  /** Somebody waits for the start of its present life: its supervisor's `initial`, or a command. */
  awaited = false
  /** Its present life has had its state once. */
  readied = false
  /** One of its lives has. */
  up = false
  /** What becomes of its end is about to be told. */
  owed = false
  /** It was told to restart, and does. */
  failing = false
  /** It went down in the present round of its group. */
  lowered = false
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

/** Children that go down and come back together. */
interface Group {
  /** Position of the leftmost. */
  readonly from: number
  rising: boolean
}

export class Family {
  readonly cell: Cell
  readonly incarnation: number
  readonly spec: TreeSpec
  readonly places: Array<Place> = []
  /** Restarts granted on the shared budget. */
  readonly times: Array<number> = []
  /** Addresses of children that were out of the shared budget: their supervisor has yet to fail of it. */
  readonly expects = new Set<string>()
  /** Ids that have been ready once. */
  readonly started = new Set<string>()
  /** It runs its `initial`. */
  starting = true
  /** It ends: nothing is asked of it any more. */
  closing = false
  mustEnd: string | undefined = undefined
  /** Counts what was seen of its children. */
  version = 0
  /** Of whom a command has changed something that may have been of an earlier incarnation. */
  readonly unsure = new Set<string>()
  #group: Group | undefined = undefined

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
    place.lives++
    place.awaited = place.was !== "returning"
    place.lowered = place.was === "returning"
    place.cell = cell
    place.was = "alive"
    place.readied = false
    place.failing = false
    place.leaves = undefined
    return place
  }

  remove(place: Place): void {
    const at = this.places.indexOf(place)
    this.places.splice(at, 1)
    const group = this.#group
    if (group !== undefined && at < group.from) this.#group = { ...group, from: group.from - 1 }
  }

  // ---- groups

  /** It goes down, and whoever goes with it; whether that is a group. */
  bring(place: Place, at: number): boolean {
    const { strategy } = this.spec
    if (strategy !== "one_for_all" && strategy !== "rest_for_one") return false
    const from = strategy === "one_for_all" ? 0 : this.places.indexOf(place)
    this.#group = { from, rising: false }
    const members = this.places.slice(from)
    for (const each of members) {
      each.lowered = each.cell !== undefined && each.cell.alive && !begun(each.cell)
      // all of a group come up, also those that had ended before
      if (each.was !== "resting") continue
      each.was = "returning"
      each.since = at
      each.times = []
    }
    const takes = members.filter(({ cell }) => cell?.ready === true)
    place.takes = takes.map(({ cell }) => [cell!, cell!.incarnation])
    return true
  }

  get #members(): ReadonlyArray<Place> {
    return this.#group === undefined ? [] : this.places.slice(this.#group.from)
  }

  #covers(place: Place): boolean {
    return this.#members.includes(place)
  }

  /** Whether its supervisor takes it down now. */
  lowers(place: Place): boolean {
    return this.#covers(place) && this.#group?.rising === false
  }

  /** Whether it goes down with its siblings anyway, or waits to come up with them: what ends it costs nothing. */
  waits(place: Place): boolean {
    if (!this.#covers(place)) return false
    const before = this.#members.slice(0, this.#members.indexOf(place))
    const up = before.every(({ cell, was }) => (cell === undefined ? was !== "returning" : cell.ready || stops(cell)))
    return this.#group?.rising === false || !up
  }

  /** Something is about to be seen. */
  sees(): void {
    const group = this.#group
    if (group !== undefined && !group.rising)
      group.rising = this.#members.some(({ lowered, cell }) => lowered && cell !== undefined && begun(cell))
    this.version++
  }

  /** With everybody up the group is over, and with nobody left to come up. */
  settle(): void {
    const members = this.#members
    const up = members.every(({ cell, was }) => (cell === undefined ? was === "resting" : cell.ready))
    const nobody = members.every(({ cell }) => cell === undefined)
    if (up && (nobody || this.#group?.rising === true)) this.#group = undefined
  }

  // ---- commands

  /** A command that was handled at once has changed this. */
  obeyed({ what, id }: Command): void {
    const place = this.find(id)
    if (what === "DeleteChild" && place?.was === "resting") this.remove(place)
    if (what === "TerminateChild" && place?.was === "returning") {
      if (this.spec.strategy === "dynamic") this.remove(place)
      else place.was = "resting"
    }
    this.settle()
  }

  /** The answers that a command may have, if nothing is seen of the children until then. */
  wanted({ what, id }: Command): ReadonlyArray<string> | undefined {
    const was = this.find(id)?.was
    if (this.unsure.has(id)) return undefined
    if (what === "WhichChildren" || what === "CountChildren") return ["ok"]
    // whoever dies or is born under its key is seen, but one of its own kind may have it without being its child
    if (this.spec.strategy === "dynamic") return undefined
    if (what === "StartChild") return was === undefined ? undefined : ["AlreadyPresent"]
    if (was === undefined) return ["NoSuchChild"]
    if (what === "TerminateChild") return ["ok"]
    if (was !== "resting") return ["AlreadyPresent"]
    return what === "DeleteChild" ? ["ok"] : undefined
  }

  /** What may be told of each child now; by id for dynamic ones. */
  states(): ReadonlyArray<ReadonlyArray<string>> {
    const all = this.places.map(({ spec, cell, was }) => {
      const told = (state: string): string => `${spec.id} ${spec.restart} ${state}`
      if (was === "resting") return [told("undefined")]
      if (cell === undefined) return [told("restarting")]
      if (cell.ready) return [told("running")]
      // between its incarnations, or starting
      return cell.open ? [told("running"), told("restarting")] : [told("restarting")]
    })
    if (this.spec.strategy !== "dynamic") return all
    return all.toSorted((a, b) => (a[0]! < b[0]! ? -1 : 1))
  }
}
