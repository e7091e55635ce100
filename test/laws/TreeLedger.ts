/**
 * What the random world knows of its supervisors, to hold them to law 9: OTP's promises, whatever the schedule.
 *
 *   supervisor ──incarnation──> Family   places, left to right   [ a: alive ][ b: returning ][ c: resting ]
 *
 * Fed by what anybody can see: steps of lifecycles, what the reports of failures say was decided, commands and their
 * answers. It repeats no decision of the system: it holds what was decided against what went before, and what is seen then
 * against what was decided.
 *
 *   births    nobody begins whose supervisor was not to start it: no temporary child again, no transient one that ended well
 *   budgets   at most `restarts` restarts are charged within the period; out of them is who asks for one more, no other
 *   groups    a failure or end costs nothing just while its group goes down, or has not come to it on the way up; who goes
 *             down without a decision of its own stands where the strategy says, and all of those went down
 *   order     up: nobody while one to the left is not up. Down: nobody while one to the right is not down
 *   ends      no child outlives its supervisor, nor its incarnation; a significant end is the supervisor's
 *   at rest   who is to be back is back; WhichChildren and CountChildren tell the same
 * Where it cannot know (a supervisor that ends) it asks for nothing.
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
  /** The incarnation that was to end because a significant child of its own had. */
  left: number
}

/** A command that has not been answered. */
interface Pending {
  readonly command: Command
  /** How many its supervisor had handled when it was sent. */
  readonly finished: number
  /** The life that it ends. */
  target: Cell | undefined
  /** What it changes at once has been entered. */
  obeyed: boolean
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
  readonly looked = {
    births: 0,
    charged: 0,
    exhausted: 0,
    free: 0,
    groups: 0,
    significant: 0,
    commands: 0,
    answers: 0,
    lists: 0
  }
  readonly #sim: Simulation.Sim
  readonly #specs = new Map<string, TreeSpec>()
  /** Of each supervisor's present incarnation. */
  readonly #families = new Map<Cell, Family>()
  readonly #lives = new Map<Cell, Life>()
  /** Of addresses: the last life that has ended there. */
  readonly #last = new Map<string, Life>()
  readonly #commands = new Map<string, Pending>()
  /** Of who lives: the addresses that it has linked itself to. */
  readonly #linkers = new Map<Cell, Set<string>>()

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

  /** One links itself to another: once its turn is over, and to whoever lives at that address then. */
  linked(by: Cell, to: Cell): void {
    this.#links(by)
    this.#links(to)
    this.#linkers.set(by, (this.#linkers.get(by) ?? new Set()).add(to.address))
  }

  #links(cell: Cell | undefined): void {
    const life = cell && this.#lifeOf(cell)
    if (life !== undefined) life.linked = true
  }

  /** A command goes to a supervisor; `done` when it has been answered. One at a time to each. */
  commands(ref: ActorRef<never>, command: Command): (outcome: string, value: unknown) => void {
    const cell = ref.find(() => this.#sim.host.system)
    const { address } = ref
    const family = cell === undefined ? undefined : this.#familyOf(cell)
    if (cell !== undefined) this.#look(cell)
    const version = family?.version
    const lives = family?.find(command.id)?.lives
    const wanted = family?.wanted(command)
    this.#commands.set(address, { command, finished: cell?.finished ?? 0, target: undefined, obeyed: false })
    return (outcome, value) => {
      const present = cell === undefined ? undefined : this.#families.get(cell)
      if (cell === undefined || family === undefined || present !== family || family.closing) {
        // it may have been handled before its supervisor came back, or after
        if (outcome === "ok") present?.unsure.add(command.id)
        return void this.#commands.delete(address)
      }
      this.#look(cell)
      const still = family.version === version
      if (outcome === "ok") this.#obeys(cell, family)
      this.#commands.delete(address)
      this.looked.commands++
      const place = family.find(command.id)
      const fault = `${address} ${command.what} ${command.id}`
      if (command.what === "TerminateChild" && outcome === "ok")
        this.#check(place?.was !== "alive" || place.lives !== lives, `${fault}: it lives`)
      if (!still || wanted === undefined) return
      this.looked.answers++
      this.#check(wanted.includes(outcome), `${fault}: ${outcome} instead of ${wanted.join(" or ")}`)
      if (command.what === "WhichChildren") this.#lists(family, value as ReadonlyArray<Supervisor.ChildInfo>)
      if (command.what === "CountChildren") this.#counts(family, value as Supervisor.ChildCounts)
    }
  }

  /** Enters what a command has changed that no step of a life tells of. */
  #obeys(cell: Cell, family: Family): void {
    const pending = this.#commands.get(cell.address)
    if (pending === undefined || pending.obeyed) return
    const { command, finished, target } = pending
    const unseen = [...(cell.extra?.children ?? [])].some(({ key }) => String(key) === command.id)
    const vacant = target === undefined && !unseen && family.find(command.id)?.cell === undefined
    const inside = cell.running === 1 && command.what === "TerminateChild" && vacant
    if (cell.finished === finished && !inside) return
    pending.obeyed = true
    // the end of its target is what it changed, and when
    if (target === undefined) family.obeyed(command)
  }

  /** Something of a child is about to be seen. */
  #sees({ family }: Life): void {
    this.#look(family.cell)
    this.#obeys(family.cell, family)
    family.sees()
  }

  #lists(family: Family, infos: ReadonlyArray<Supervisor.ChildInfo>): void {
    if (family.unsure.size > 0) return
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
    if (family.unsure.size > 0) return
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
    return parent.running === 1 ? this.#commands.get(parent.address)?.command : undefined
  }

  #born(parent: Cell, cell: Cell): void {
    this.looked.births++
    const family = this.#familyOf(parent)!
    this.#obeys(parent, family)
    family.sees()
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
    const linked = [...this.#linkers.values()].some((addresses) => addresses.has(cell.address))
    this.#lives.set(cell, { family, place, linked, left: 0 })
    if (family.closing) return
    if (family.unsure.has(id)) return
    this.#check(!place.owed, `${cell.address} begins a life, and nobody said that it would`)
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
    if (to === "stopped") {
      for (const address of this.#linkers.get(cell) ?? []) this.#links(this.#sim.host.system.find(address))
      this.#linkers.delete(cell)
    }
    if (this.#specs.has(typeOf(cell))) this.#supervisor(cell, to, why)
    const life = this.#lifeOf(cell)
    if (life === undefined) return
    this.#sees(life)
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
        this.#check(family.mustEnd !== undefined, `${address} ends with a significant child that has not ended`)
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
    place.awaited = false
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
    family.settle()
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
    if (family.closing || ending(family.cell)) return
    const { restart, id } = place.spec
    this.#check(restart !== "temporary", `${address} is temporary, and restarts`)
    this.#check(place.leaves === undefined, `${address} restarts, and was to end: ${why}`)
    if (!place.failing) {
      this.#check(family.lowers(place), `${address} restarts, and ${id} was not to go down: ${why}`)
      this.#falls(family, place)
    }
    place.failing = false
    place.lowered = true
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

  #stops(cell: Cell, { family, place, linked, left }: Life, why: string): void {
    place.since = this.#sim.now
    // a supervisor whose significant child has ended ends so too
    if (why !== "shutdown" || left === cell.incarnation || this.#terminated(family, place, cell)) return
    if (family.closing) {
      if (!linked) this.#falls(family, place)
      return
    }
    if (linked) return
    const lowers = family.lowers(place) && place.spec.restart === "temporary"
    this.#check(lowers, `${cell.address} is stopped by its supervisor, and was not to go down`)
    this.#falls(family, place)
  }

  /** Whether a command ends it. */
  #terminated(family: Family, place: Place, cell: Cell): boolean {
    if (family.cell.running !== 1) return false
    const pending = this.#commands.get(family.cell.address)
    if (pending?.command.what !== "TerminateChild" || pending.command.id !== place.spec.id) return false
    // one that drains handles its commands too
    if (!family.closing) pending.target ??= cell
    return (pending.target ?? cell) === cell
  }

  #ended(cell: Cell, life: Life, at: number, why: string): void {
    const { family, place } = life
    place.since = at
    if (family.closing || ending(family.cell) || place.cell !== cell) return
    const { restart } = place.spec
    const { leaves } = place
    const waits = family.waits(place)
    this.#last.set(cell.address, life)
    place.leaves = undefined
    place.failing = false
    place.cell = undefined
    const abnormal = why === "failed" || why === "killed" || why === "overflow"
    if (place.awaited) {
      if (family.starting) family.mustEnd = `${place.spec.id} has not started`
      if (this.#handled(family.cell)?.what === "StartChild") family.remove(place)
      else place.was = "resting"
    } else if (this.#terminated(family, place, cell) || leaves === "quietly") this.#gone(family, place, false)
    else if (restart === "temporary") this.#gone(family, place, !waits)
    else if (waits) {
      this.looked.free++
      place.was = "returning"
    } else if (leaves === "counts" || (restart === "transient" && !abnormal)) this.#gone(family, place, true)
    else {
      place.was = "returning"
      place.owed = true
    }
    family.settle()
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

  // ---- decisions

  /** What was decided of a child, or of its end. */
  #failed({ error, decision, at }: CrashReport): void {
    const { address } = error
    const cell = this.#sim.host.system.find(address)
    if (cell !== undefined && this.#specs.has(typeOf(cell))) {
      this.#outOfBudget(cell, error.cause as Cause.Cause<unknown>)
    }
    // an end, and not a failure: late news, and those of whoever ends anyway, are nobody's business
    const ended = /^\w+, (?:made|out) /.test(decision)
    if (decision === "reported" || decision.startsWith("ignored") || decision.includes("parent is stopping")) return
    const life = ended ? this.#last.get(address) : cell && this.#lifeOf(cell)
    if (life === undefined || life.family.closing || ending(life.family.cell)) return
    this.#sees(life)
    if (ended) this.#check(life.place.owed, `${address}: ${decision}, but its end was not to be decided on`)
    else this.#check(cell!.incarnation === error.incarnation, `${address}: ${decision}, but it is another one by now`)
    life.place.owed = false
    this.#decided(address, life, decision, at, ended)
  }

  #decided(address: string, { family, place }: Life, decision: string, at: number, ended: boolean): void {
    const { restart } = place.spec
    if (decision === "did not start") {
      this.#check(place.awaited, `${address} did not start, and nobody waits for it`)
      place.leaves = "quietly"
      return
    }
    this.#check(!place.awaited, `${address}: ${decision}, but its start is waited for`)
    const free = decision.includes("siblings")
    if (!ended)
      this.#check(
        family.waits(place) === free,
        `${address}: ${decision}; its group ${free ? "does not" : "does"} go down`
      )
    if (decision.startsWith("stopped itself"))
      this.#check(restart === "permanent", `${address} is ${restart}, and comes back after it has stopped itself`)
    if (free) {
      this.looked.free++
      if (restart === "temporary") place.leaves = "quietly"
      else place.failing = true
    } else if (decision === "stopped") {
      this.#check(restart === "temporary", `${address} is ${restart}, and does not come back`)
      place.leaves = "counts"
    } else if (decision.includes("out of restarts")) this.#exhausted(address, family, place, decision, at, ended)
    else {
      const wait = / in (\d+) ms$/.exec(decision)
      this.#check(wait !== null && restart !== "temporary", `${address} is ${restart}: ${decision}`)
      this.#charge(address, family, place, at)
      place.failing = !ended
      if (family.bring(place, at)) this.looked.groups++
    }
  }

  /** Restarts that count now, of its own budget or of its siblings'. */
  #counted(family: Family, { spec, times }: Place, at: number) {
    const { restarts, within } = spec.own ?? family.spec.shared!
    const all = spec.own === undefined ? family.times : times
    const counted = all.filter((then) => at - then <= within).length
    return { all, counted, restarts }
  }

  #charge(address: string, family: Family, place: Place, at: number): void {
    this.looked.charged++
    const { all, counted, restarts } = this.#counted(family, place, at)
    this.#check(counted < restarts, `${address} restarts beyond its budget: ${counted} of ${restarts}`)
    all.push(at)
  }

  #exhausted(address: string, family: Family, place: Place, decision: string, at: number, ended: boolean): void {
    this.looked.exhausted++
    const { counted, restarts } = this.#counted(family, place, at)
    this.#check(counted === restarts, `${address} is out of budget too soon: ${counted} of ${restarts}`)
    const escalates = decision.includes("escalated to")
    this.#check(escalates === (place.spec.own === undefined), `${address}: ${decision}, but not so by its budget`)
    if (escalates) family.expects.add(address)
    if (!ended) place.leaves = escalates ? "quietly" : "counts"
    else {
      this.#gone(family, place, !escalates)
      family.settle()
    }
  }

  #outOfBudget(cell: Cell, cause: Cause.Cause<unknown>): void {
    const family = this.#familyOf(cell)!
    for (const reason of cause.reasons) {
      if (!Cause.isFailReason(reason) || !(reason.error instanceof RestartsExhausted)) continue
      const { address } = reason.error
      if (family.closing || address.slice(0, address.lastIndexOf("/", address.lastIndexOf("/") - 1)) !== cell.address)
        continue
      this.#check(family.expects.delete(address), `${cell.address} is out of budget too soon, by ${address}`)
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
      this.#obeys(cell, family)
      const { mustEnd } = family
      this.#check(mustEnd === undefined, `${address} goes on, but ${mustEnd}`)
      for (const one of family.expects) this.#check(false, `${address} goes on, but ${one} was out of its budget`)
      for (const { was, cell: child, since, spec } of family.places) {
        if (family.unsure.has(spec.id)) continue
        const here = was === "resting" || (child !== undefined && (child.ready || now - since < patience))
        this.#check(here || now - since < patience, `${address}: ${spec.id} (${spec.restart}) has not come back`)
      }
    }
  }
}
