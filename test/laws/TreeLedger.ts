/**
 * What the random world knows of its supervisors, to hold them to law 9: OTP's promises, whatever the schedule.
 *
 *   supervisor ──incarnation──> Family   places, left to right   [ a: alive ][ b: returning ][ c: resting ]
 *
 * Fed by what anybody can see: steps of lifecycles, reports of failures, commands and their answers. It repeats no
 * decision of the system: a failure, or an end that OTP brings a child back from, is a demand; a demand has `restarts` of
 * them granted within the period, and what was seen then must agree.
 *
 *   births    nobody begins whose supervisor was not to start it: no temporary child again, no transient one that ended well
 *   budgets   a demand over the intensity ends the supervisor as RestartsExhausted, no other does
 *   groups    who goes down without a demand of its own stands where the strategy says, and all of those went down
 *   order     up: nobody while one to the left is not up. Down: nobody while one to the right is not down
 *   ends      no child outlives its supervisor, nor its incarnation; a significant end is the supervisor's
 *   at rest   who is to be back is back; WhichChildren and CountChildren tell the same
 * Where it cannot know (a supervisor that ends, a child between two owners of its end) it asks for nothing.
 */
import { Cause } from "effect"
import { type ActorRef, type Change, type CrashReport, RestartsExhausted, type Supervisor } from "troupe"
import type { Simulation } from "troupe/testkit"
import { type Command, Family, type Place, type TreeSpec } from "./Family.ts"

type Cell = NonNullable<ActorRef["cell"]>

/** One life of a child. */
interface Life {
  readonly family: Family
  readonly place: Place
  /** It has been linked: who ends with it is not only its supervisor's to say. */
  linked: boolean
  /** The incarnation that has stopped itself. */
  left: number
  /** The one that may have. */
  mayLeave: number
}

/** Time in which whoever is to come back is back: graces, backoffs and starts of a few siblings. */
const patience = 1500

const typeOf = (cell: Cell): string => cell.program.plan.protocol.type
const ending = ({ alive, extra }: Cell): boolean =>
  !alive || (extra?.teardown !== undefined && (extra.teardown.mode !== "drain" || extra.teardown.drained))
/** Nothing of its incarnation is left. */
const isDown = (cell: Cell): boolean => !cell.alive || (cell.extra?.teardown === undefined && !cell.ready)

export class TreeLedger {
  /** How often each had something to look at. */
  readonly looked = { births: 0, demands: 0, exhausted: 0, groups: 0, significant: 0, commands: 0, lists: 0 }
  readonly #sim: Simulation.Sim
  readonly #specs = new Map<string, TreeSpec>()
  /** Of each supervisor's present incarnation. */
  readonly #families = new Map<Cell, Family>()
  readonly #lives = new Map<Cell, Life>()
  readonly #commands = new Map<string, Command>()

  constructor(sim: Simulation.Sim) {
    this.#sim = sim
    const { system } = sim.host
    system.onChange.add((change) => this.#changed(change))
    system.onFailure.add((report) => this.#failed(report))
  }

  add(spec: TreeSpec): void {
    this.#specs.set(spec.type, spec)
  }

  #check(holds: boolean, fault: string): void {
    this.#sim.check(holds, `law 9: ${fault}`)
  }

  // ---- what the world says

  linked(cell: Cell): void {
    const life = this.#lifeOf(cell)
    if (life !== undefined) life.linked = true
  }

  /** A handler that has succeeded stops its actor. */
  leaves(cell: Cell, incarnation: number): void {
    const life = this.#lifeOf(cell)
    if (life !== undefined) life.left = incarnation
  }

  /** A command goes to a supervisor; `done` when it has been answered. One at a time to each. */
  commands(ref: ActorRef<never>, command: Command): (outcome: string, value: unknown) => void {
    const cell = ref.find(() => this.#sim.host.system)
    const { address } = ref
    this.#commands.set(address, command)
    const family = cell === undefined ? undefined : this.#familyOf(cell)
    const version = family?.version
    return (outcome, value) => {
      this.#commands.delete(address)
      if (cell === undefined || family === undefined || this.#families.get(cell) !== family || family.closing) return
      this.#look(cell)
      this.looked.commands++
      const still = family.version === version
      if (command.what === "TerminateChild") family.terminatedAt = this.#sim.now
      const fault = family.answered(command, outcome, still)
      this.#check(fault === undefined, `${address} ${command.what} ${command.id}: ${fault}`)
      if (still && command.what === "WhichChildren") this.#lists(family, value as ReadonlyArray<Supervisor.ChildInfo>)
      if (still && command.what === "CountChildren") this.#counts(family, value as Supervisor.ChildCounts)
    }
  }

  #lists(family: Family, infos: ReadonlyArray<Supervisor.ChildInfo>): void {
    this.looked.lists++
    const told = infos.map((info) => `${info.id} ${info.restart} ${info.state}`)
    const known = family.states()
    if (family.spec.strategy === "dynamic") told.sort()
    const same = told.length === known.length && known.every((states, i) => states.includes(told[i]!))
    this.#check(same, `${family.cell.address} lists ${told.join(", ")}, but has ${known.join(" | ")}`)
    const supervising = infos.every(({ id, supervisor }) => supervisor === family.spec.nested.has(id))
    this.#check(supervising, `${family.cell.address} takes a worker for a supervisor, or the other way round`)
  }

  #counts(family: Family, counts: Supervisor.ChildCounts): void {
    this.looked.lists++
    const all = family.states()
    const sure = all.filter((states) => states.every((state) => state.endsWith("running"))).length
    const most = all.filter((states) => states.some((state) => state.endsWith("running"))).length
    const right = counts.specs === all.length && counts.active >= sure && counts.active <= most
    const supervisors = family.places.filter((p) => family.spec.nested.has(p.spec.id)).length
    this.#check(
      right && counts.workers === all.length - supervisors,
      `${family.cell.address} counts ${JSON.stringify(counts)}, but has ${all.join(" | ")}`
    )
  }

  // ---- who is whose

  #familyOf(cell: Cell): Family | undefined {
    const spec = this.#specs.get(typeOf(cell))
    if (spec === undefined) return undefined
    let family = this.#families.get(cell)
    if (family === undefined || family.incarnation !== cell.incarnation) {
      family = new Family(cell, spec)
      this.#families.set(cell, family)
    }
    return family
  }

  #lifeOf(cell: Cell): Life | undefined {
    if (cell.parent === undefined || !this.#specs.has(typeOf(cell.parent))) return undefined
    if (!this.#lives.has(cell)) this.#look(cell.parent)
    return this.#lives.get(cell)
  }

  /** Enters children that were not seen before, in the order in which they stand. */
  #look(parent: Cell): void {
    for (const child of parent.extra?.children ?? []) if (!this.#lives.has(child)) this.#born(parent, child)
  }

  /** The command that a supervisor handles now. */
  #handled(parent: Cell): Command | undefined {
    return parent.running === 1 ? this.#commands.get(parent.address) : undefined
  }

  #born(parent: Cell, cell: Cell): void {
    this.looked.births++
    const family = this.#familyOf(parent)!
    const id = String(cell.key)
    const was = family.find(id)?.was
    const command = this.#handled(parent)
    const ordered = command?.id === id ? command.what : undefined
    const expected =
      was === undefined
        ? ordered === "StartChild" || (family.starting && family.spec.first.includes(id))
        : was === "returning" || (was === "resting" && ordered === "RestartChild")
    const place = family.seat(id, cell)
    place.since = this.#sim.now
    this.#lives.set(cell, { family, place, linked: false, left: 0, mayLeave: 0 })
    if (family.closing) return
    this.#check(expected, `${cell.address} begins a life, and nobody was to start it (it was ${was ?? "no child"})`)
    if (was === undefined && family.starting) {
      const early = family.leftOf(place).find((left) => !left.up)
      this.#check(early === undefined, `${cell.address} starts before ${early?.spec.id} is ready`)
    }
  }

  // ---- lifecycles

  #changed({ ref, from, to, at, why }: Change): void {
    const { cell } = ref
    if (cell === undefined) return
    if (this.#specs.has(typeOf(cell))) this.#supervisor(cell, to, why)
    const life = this.#lifeOf(cell)
    if (life === undefined) return
    life.family.version++
    if (to === "active" && from === "connecting") this.#ready(cell, life)
    else if (to === "connecting") this.#restarts(cell, life, at, why)
    else if (to === "draining") this.#stops(cell, life, why)
    else if (to === "stopped") this.#ended(cell, life, at, why)
  }

  #supervisor(cell: Cell, to: string, why: string): void {
    const family = this.#familyOf(cell)!
    this.#look(cell)
    const { address } = cell
    if (to === "active") {
      if (!family.starting) return
      family.starting = false
      const absent = family.spec.first.find((id) => !family.started.has(id))
      this.#check(absent === undefined, `${address} is ready, and its ${absent} has not started`)
    } else if (to === "connecting" || to === "draining") {
      if (!family.closing && cell.parent === undefined && why === "shutdown")
        this.#check(
          family.mustEnd !== undefined || family.vague,
          `${address} ends with a significant child that has not ended`
        )
      family.closing = true
    } else if (to === "stopped") {
      family.closing = true
      for (const [child, life] of this.#lives) {
        // a kill waits for nothing but the step on the stack
        const stays = child.alive && this.#sim.host.system.scheduler.current !== child
        if (life.family.cell === cell) this.#check(!stays, `${child.address} outlives its supervisor`)
      }
    }
    if (to !== "active") return
    for (const [child, life] of this.#lives) {
      const stray = life.family.cell === cell && life.family !== family && child.alive
      this.#check(!stray, `${child.address} outlives its supervisor's incarnation`)
    }
  }

  #ready(cell: Cell, { family, place }: Life): void {
    place.readied = true
    place.up = true
    if (family.closing) return
    family.started.add(place.spec.id)
    this.#rises(family, place)
    const { takes } = place
    place.takes = []
    for (const [other, incarnation] of takes) {
      const stayed = other.alive && other.incarnation === incarnation
      this.#check(!stayed, `${cell.address} is back, and ${other.address} did not go down with it`)
    }
    family.settle(this.#sim.now)
  }

  /** It comes up, in a group: whoever is to its left, and was to come up, is up. */
  #rises(family: Family, place: Place): void {
    const { strategy } = family.spec
    const command = this.#handled(family.cell)
    if ((strategy !== "one_for_all" && strategy !== "rest_for_one") || command?.id === place.spec.id) return
    // one to the left that failed meanwhile comes back while its supervisor goes on starting
    if (family.starting) return
    // a new round is on its way down, from the right
    if (family.rightOf(place).some(({ cell }) => cell !== undefined && !isDown(cell) && !cell.ready)) return
    if (family.rightOf(place).some(({ cell }) => cell?.ready === true)) return
    for (const left of family.leftOf(place)) {
      const waits = left.was === "alive" && left.cell!.lifecycle === 0 && command?.id !== left.spec.id
      this.#check(!waits, `${family.cell.address}: ${place.spec.id} comes up before ${left.spec.id}, left of it`)
    }
  }

  /** It goes down, to come back in place. */
  #restarts(cell: Cell, life: Life, at: number, why: string): void {
    const { family, place } = life
    place.since = at
    const { address } = cell
    if (family.closing) return
    const { restart, id } = place.spec
    this.#check(restart !== "temporary", `${address} is temporary, and restarts`)
    this.#check(place.leaves === undefined, `${address} restarts, and was to end: ${why}`)
    if (place.failing) {
      place.failing = false
      place.perhaps = false
      return
    }
    const leaves = life.left === cell.incarnation || life.mayLeave === cell.incarnation
    if (why.includes("stopped itself") && leaves) {
      // its siblings may have taken it down before its own end came
      if (family.covers(place) && (restart !== "permanent" || life.left !== cell.incarnation)) {
        family.unsure.add(at)
        this.#timesOf(family, place).push(at)
        return
      }
      this.#check(restart === "permanent", `${address} is ${restart}, and restarts after it has stopped itself`)
      return this.#check(this.#demand(family, place, at), `${address} restarts beyond its budget`)
    }
    this.#check(family.covers(place), `${address} restarts, and ${id} was not to go down: ${why}`)
    // one that stopped itself is down before its turn
    if (!leaves) this.#falls(family, place)
  }

  /** It goes down by its supervisor's doing: whoever is to its right is down. */
  #falls(family: Family, place: Place): void {
    if (family.spec.strategy === "dynamic") return
    const ends = ending(family.cell)
    for (const { cell, failing } of family.rightOf(place)) {
      const down = cell === undefined || (ends ? !cell.alive : isDown(cell) || failing)
      this.#check(down, `${family.cell.address}: ${place.spec.id} stops before ${cell?.address}, right of it`)
    }
  }

  #stops(cell: Cell, { family, place, linked, left, mayLeave }: Life, why: string): void {
    place.since = this.#sim.now
    // a supervisor whose significant child has ended ends so too
    if (why !== "shutdown" || left === cell.incarnation || mayLeave === cell.incarnation) return
    if (this.#terminated(family, place)) return
    if (family.closing) {
      if (!linked) this.#falls(family, place)
      return
    }
    if (linked) return
    const covered = family.covers(place)
    this.#check(covered, `${cell.address} is stopped by its supervisor, and was not to go down`)
    this.#falls(family, place)
  }

  #terminated(family: Family, place: Place): boolean {
    const command = this.#handled(family.cell)
    return command?.what === "TerminateChild" && command.id === place.spec.id
  }

  /** Whether its start is waited for: by its supervisor's own, or by a command. */
  #begins(family: Family, place: Place): boolean {
    const command = this.#handled(family.cell)
    if (place.readied) return false
    if (command?.id === place.spec.id) return command.what === "StartChild" || command.what === "RestartChild"
    return family.starting && !place.up
  }

  #ended(cell: Cell, life: Life, at: number, why: string): void {
    const { family, place } = life
    place.since = at
    if (family.closing || place.cell !== cell) return
    const { restart } = place.spec
    const { leaves } = place
    place.leaves = undefined
    place.cell = undefined
    if (this.#begins(family, place)) {
      if (family.starting) family.mustEnd = `${place.spec.id} has not started`
      if (this.#handled(family.cell)?.what === "StartChild") family.remove(place)
      else place.was = "resting"
      return
    }
    if (leaves !== undefined) return this.#gone(family, place, leaves === "counts")
    if (this.#terminated(family, place)) {
      family.terminatedAt = at
      return this.#gone(family, place, false)
    }
    if (place.perhaps) {
      place.was = "returning"
      return
    }
    const own = life.left === cell.incarnation
    if (restart === "temporary" && !own && family.covers(place) && (why === "shutdown" || why === "killed")) {
      this.#mayEnd(family)
      return this.#gone(family, place, false)
    }
    const abnormal = why === "failed" || why === "killed" || why === "overflow"
    if (restart !== "permanent" && (restart === "temporary" || !abnormal)) {
      if (!family.covers(place)) return this.#gone(family, place, true)
      // whether its group had come to it already is not known
      if (place.spec.significant) this.#mayEnd(family)
      this.#gone(family, place, false)
      if (restart === "temporary") return
      place.was = "returning"
      place.perhaps = true
      return
    }
    place.was = "returning"
    if (this.#demand(family, place, at)) return
    this.#gone(family, place, place.spec.own !== undefined)
  }

  /** It does not come back; `counts`: by its own doing. */
  #gone(family: Family, place: Place, counts: boolean): void {
    const { significant, restart } = place.spec
    const { auto, strategy } = family.spec
    if (restart === "temporary" || strategy === "dynamic") family.remove(place)
    else place.was = "resting"
    if (!counts || !significant || auto === "never") return
    const others = family.places.some((other) => other.spec.significant && other.was !== "resting")
    if (auto === "all_significant" && others) return
    this.looked.significant++
    family.mustEnd = `${place.spec.id} is significant, and has ended`
    const above = this.#lifeOf(family.cell)
    if (above !== undefined) above.left = family.cell.incarnation
  }

  /** Whether it has to end is not known. */
  #mayEnd(family: Family): void {
    family.vague = true
    const above = this.#lifeOf(family.cell)
    if (above !== undefined) above.mayLeave = family.cell.incarnation
  }

  // ---- budgets

  #timesOf(family: Family, { spec, times }: Place): Array<number> {
    return spec.own === undefined ? family.times : times
  }

  /** A child has failed, or ended: whether a restart is granted. */
  #demand(family: Family, place: Place, at: number): boolean {
    this.looked.demands++
    family.settle(this.#sim.now)
    const { own } = place.spec
    const { restarts, within } = own ?? family.spec.shared!
    const times = this.#timesOf(family, place)
    const counted = times.filter((then) => at - then <= within)
    const sure = counted.filter((then) => !family.unsure.has(then)).length
    // who goes down with its siblings anyway costs nothing
    if (family.covers(place)) family.unsure.add(at)
    if (counted.length >= restarts && (sure < restarts || family.covers(place))) {
      this.#mayEnd(family)
      place.perhaps = own !== undefined
    } else if (sure >= restarts) {
      this.looked.exhausted++
      if (own === undefined) family.expects.add(`${family.cell.address}/${place.spec.type}/${place.spec.id}`)
      return false
    }
    times.push(at)
    if (family.bring(place)) this.looked.groups++
    return true
  }

  #failed({ error, decision }: CrashReport): void {
    // late news of what nobody supervises any more
    if (decision === "reported") return
    const cell = this.#sim.host.system.find(error.address)
    if (cell === undefined) return
    if (this.#specs.has(typeOf(cell))) this.#outOfBudget(cell, error.cause as Cause.Cause<unknown>)
    const life = this.#lifeOf(cell)
    if (life === undefined || life.family.closing || ending(cell.parent!)) return
    const { extra, incarnation } = cell
    if (extra?.teardown !== undefined || extra?.delay !== undefined || incarnation !== error.incarnation) return
    const { family, place } = life
    if (decision.includes("siblings")) {
      this.#check(family.covers(place), `${cell.address} fails at no cost, and was not to go down`)
      if (place.spec.restart === "temporary") place.leaves = "quietly"
      else place.failing = true
      return
    }
    if (this.#begins(family, place)) place.leaves = "quietly"
    else if (place.spec.restart === "temporary") place.leaves = "counts"
    else if (this.#demand(family, place, this.#sim.now)) place.failing = true
    else place.leaves = place.spec.own === undefined ? "quietly" : "counts"
  }

  #outOfBudget(cell: Cell, cause: Cause.Cause<unknown>): void {
    const family = this.#familyOf(cell)!
    for (const reason of cause.reasons) {
      if (!Cause.isFailReason(reason) || !(reason.error instanceof RestartsExhausted)) continue
      const { address } = reason.error
      if (family.closing || address.slice(0, address.lastIndexOf("/", address.lastIndexOf("/") - 1)) !== cell.address)
        continue
      this.#check(
        family.expects.delete(address) || family.vague,
        `${cell.address} is out of budget too soon, by ${address}`
      )
      family.mustEnd = "it is out of budget"
    }
  }

  // ---- at rest

  /** Nothing can go on without time passing. */
  rested(): void {
    const { now } = this.#sim
    for (const [cell, family] of this.#families) {
      const { address } = cell
      if (!cell.alive || family.closing || family.incarnation !== cell.incarnation) continue
      this.#look(cell)
      const { mustEnd, vague } = family
      this.#check(mustEnd === undefined || vague, `${address} goes on, but ${mustEnd}`)
      for (const one of family.expects) this.#check(false, `${address} goes on, but ${one} was out of its budget`)
      for (const { was, perhaps, cell: child, since, spec } of family.places) {
        const here = was === "resting" || perhaps || (child !== undefined && (child.ready || now - since < patience))
        this.#check(here || now - since < patience, `${address}: ${spec.id} (${spec.restart}) has not come back`)
      }
    }
  }
}
