/**
 * A random world of actors, clients and senders, as a program for Simulation: what the laws are run on.
 *
 * Twenty hosted types (five shapes of mailbox, priority and idleness, four ways to start), two dozen names of them, agents all.
 * What a handler does about a message is drawn when it runs, 0 being nothing, so a shrunk schedule has few steps that do
 * anything. Three outside senders, three clients and a fork that stops, kills and cuts drive it; `Ledger` holds it to the laws.
 *
 * To add a feature (a supervisor, a new kind of reply): a case in `stage`, `work` or `outside`, and a model in `Ledger`.
 */
import { Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { Rpc } from "effect/rpc"
import { Actor, ActorRef, ActorSystem, Agent, type Behavior, type Self } from "troupe"
import type { Simulation } from "troupe/testkit"
import { Ledger, type Mail, type Step } from "./Ledger.ts"

class Oops extends Schema.TaggedError<Oops>()("Oops", {}) {}

const payload = Schema.declare((mail: unknown): mail is Mail => typeof mail === "object")
const Do = Rpc.make("Do", { payload })
const Ask = Rpc.make("Ask", { payload, success: Schema.Int, error: Oops })
const Sure = Rpc.make("Sure", { payload, success: Schema.Int }).annotate(Actor.Committed, true)
const Tail = Rpc.make("Tail", { payload, success: Schema.Int, error: Oops, stream: true })
const Said = Rpc.make("Said", { payload: Schema.Int })
type P = typeof Do | typeof Ask | typeof Sure | typeof Tail
type E = typeof Said
interface State {
  readonly n: number
}
type Me = Self<P, E>
type Ref = ActorRef<P>

const modes = ["drain", "now", "kill"] as const
/** Timers, forks, watches, ... of an actor: few, so that the bound is met. */
const held = 6
const quiet: Mail = { depth: 0 }

/** How much happens. */
export interface Size {
  /** Steps of each of the three senders and three clients. */
  readonly rounds: number
}

class World {
  readonly sim: Simulation.Sim
  readonly ledger: Ledger
  readonly refs: Array<Ref> = []
  readonly kinds: ReadonlyArray<Behavior<P, never>>
  /** Nobody is stopped: lives are long. */
  readonly calm: boolean
  readonly #favourite: number
  readonly #skew: number
  /** Of former turns: of some the incarnation has ended. */
  readonly #selves: Array<readonly [Me, Step]> = []
  readonly #links = new WeakMap<Step["cell"], number>()
  readonly #answers: Array<{ readonly who: string; readonly answer: () => boolean }> = []

  constructor(sim: Simulation.Sim) {
    this.sim = sim
    this.ledger = new Ledger(sim)
    this.#favourite = sim.chance.below(20)
    this.calm = sim.chance.oneIn(4)
    this.#skew = sim.chance.pick([1, 1.5, 3])
    this.kinds = this.#kinds()
  }

  /** Somebody; in some runs mostly one of a few, whose mail is then long. */
  any(chance: Simulation.Chance): Ref {
    const n = this.refs.length
    const share = chance.below(n) / n
    return this.refs[(this.#favourite + Math.floor(n * share ** this.#skew)) % n]!
  }

  /** Something acquired, with the effect that holds it. */
  held<A, F>(what: string, effect: Effect.Effect<A, F>, millis: number): Effect.Effect<A, F> {
    const { ledger } = this
    return Effect.acquireUseRelease(
      Effect.sync(() => ledger.acquire(what)),
      () => effect,
      (id) =>
        Effect.andThen(
          Effect.sleep(millis),
          Effect.sync(() => ledger.release(id))
        )
    )
  }

  // ---- what handlers do

  /** One thing that goes through `self`. */
  #stage(self: Me, depth: number, step: Step): void {
    const chance = this.sim.chanceOf(self.ref.address)
    const { ledger } = this
    const me = `${self.ref.address} staging`
    const send = (): void => {
      const to = this.any(chance)
      self.send(to, "Do", ledger.mail(me, to.address, depth - 1, { step }))
    }
    switch (chance.below(21)) {
      case 1:
      case 2:
      case 3:
        return depth > 0 ? send() : undefined
      case 4:
        for (let i = 0; i < 3 && depth > 0; i++) send()
        return
      case 5:
        return self.timers.once(`t${chance.below(3)}`, 1 + chance.below(50), "Do", { depth: 0 })
      case 6:
        // the same object at every firing is no message twice
        return self.timers.every(`t${chance.below(3)}`, 20 + chance.below(50), "Do", quiet)
      case 7:
        return self.timers.cancel(`t${chance.below(3)}`)
      case 8:
      case 9:
        {
          const count = chance.below(3) + 1
          self.unstash(count)
          // behind a stop there is nothing left to put back
          if (!step.stops) step.unstashed.push(count)
        }
        return
      case 10:
        return ledger.watch(self as unknown as Self<never>, step, this.any(chance) as ActorRef)
      case 11:
        return ledger.unwatch(self as unknown as Self<never>, step, this.any(chance) as ActorRef)
      case 12:
        if (depth > 0 && this.refs.length < 40) {
          const child = self.spawn(chance.pick(this.kinds))
          if (chance.oneIn(2)) this.refs.push(child)
        }
        return
      case 13: {
        const ends = chance.oneIn(4) ? Effect.die("fork") : Effect.void
        const body = Effect.andThen(Effect.sleep(chance.below(150)), ends)
        self.fork(this.held(`fork of ${self.ref.address}`, body, chance.below(4)), {
          onFailure: chance.oneIn(2) ? "log" : "fail"
        })
        return
      }
      case 14:
        return self.pipe(Effect.sleep(chance.below(20)), () => ["Do", { depth: 0 }])
      case 15:
        return self.broadcast("Said", depth)
      case 16: {
        const one = this.#answers.splice(chance.below(this.#answers.length + 1), 1)[0]
        if (one !== undefined) this.sim.note(`${self.ref.address} completes ${one.who}: ${one.answer()}`)
        return
      }
      case 17:
        return this.#link(self, step, this.any(chance) as ActorRef)
      case 18: {
        // what an incarnation that has ended does through its self comes to nothing
        const [old, itsStep] = chance.pick(this.#selves)
        if (!ledger.has(itsStep)) old.send(this.any(chance), "Do", { depth: 0, step: { failed: true } })
        return
      }
      case 19: {
        if (!ledger.has(step)) return
        const id = ledger.acquire(`scope of ${self.ref.address}`)
        const release = Effect.sync(() => ledger.release(id))
        Effect.runSync(Scope.addFinalizer(self.scope, release))
        return
      }
      case 20:
        if (chance.oneIn(8) && !this.calm) {
          self.stop({ mode: chance.pick(modes) })
          step.stops = true
        }
        return
      default:
        return
    }
  }

  /** At most `held` links in a life: one more is refused when the turn is released, which is too late for its handler. */
  #link(self: Me, step: Step, to: ActorRef): void {
    const other = to.find(() => this.sim.host.system)
    if (other === undefined || !this.ledger.has(step)) return
    const counts = [step.cell, other].map((cell) => [cell, (this.#links.get(cell) ?? 0) + 1] as const)
    if (counts.some(([, count]) => count > held)) return
    for (const [cell, count] of counts) this.#links.set(cell, count)
    self.link(to)
  }

  #act(self: Me, depth: number, step: Step): void {
    const chance = this.sim.chanceOf(self.ref.address)
    for (let n = chance.below(4); n > 0; n--) this.#stage(self, depth, step)
    if (chance.oneIn(30)) {
      step.failed = true
      throw new Error("thrown")
    }
  }

  /** Steps that may suspend; it may be interrupted at any of them. */
  readonly #work = Effect.fnUntraced(function* (this: World, self: Me, depth: number, step: Step) {
    const { sim, ledger } = this
    const chance = sim.chanceOf(self.ref.address)
    const me = `${self.ref.address}#${self.incarnation} at once`
    for (let n = chance.below(3); n >= 0; n--) {
      ledger.goesOn(step)
      switch (chance.below(10)) {
        case 1:
          yield* Effect.yieldNow
          break
        case 2:
          yield* Effect.sleep(1 + chance.below(40))
          break
        case 3:
          yield* Effect.uninterruptible(Effect.sleep(1 + chance.below(20)))
          break
        case 4:
        case 5:
          if (depth > 0) {
            const to = this.any(chance)
            const question = ledger.ask()
            const mail = ledger.mail(me, to.address, depth - 1, { question })
            const asking = self.ask(to, "Ask", mail, { timeout: 1 + chance.below(100) })
            yield* Effect.exit(Effect.onExit(asking, (exit) => Effect.sync(() => ledger.answered(question, me, exit))))
          }
          break
        case 6:
          if (depth > 0) {
            const to = this.any(chance)
            yield* Effect.exit(to.tell("Do", ledger.mail(me, to.address, depth - 1)))
          }
          break
        case 7:
          if (chance.oneIn(4)) return yield* Effect.die("died")
          if (chance.oneIn(4)) return yield* Effect.fail(new Oops({}))
          break
        case 8:
          if (depth > 0)
            yield* Effect.exit(Stream.runDrain(self.ask(this.any(chance), "Tail", { depth: 0 }, { timeout: 20 })))
          break
        case 9:
          yield* Effect.onInterrupt(Effect.sleep(chance.below(20)), () => Effect.sleep(2))
          break
        default:
          break
      }
      this.#stage(self, depth, step)
    }
  }).bind(this)

  /** A handler's run, written down. `body` answers with the next state, or fails; `committed`: no asker ends it. */
  #run<A, F>(
    self: Me,
    state: State,
    mail: Mail,
    body: (step: Step) => { readonly plain: A } | { readonly effect: Effect.Effect<A, F> },
    next: (out: A) => number,
    committed: boolean
  ): A | Effect.Effect<A, F> {
    const { ledger } = this
    const me = self as unknown as Self<never>
    const at = self.ref.address
    if (ledger.met(self.ref.cell!, at, mail) && self.client !== undefined && mail.from === self.client.id)
      ledger.client(me, self.client.id, "speaks")
    const step = ledger.enter(me, state.n, committed ? undefined : mail.question)
    if (this.#selves.length < 50) this.#selves.push([self, step])
    let out: { readonly plain: A } | { readonly effect: Effect.Effect<A, F> }
    try {
      out = body(step)
    } catch (error) {
      ledger.leave(step, state.n, Exit.die(error), true)
      throw error
    }
    if ("plain" in out) {
      ledger.leave(step, state.n, Exit.succeed(next(out.plain)), true)
      return out.plain
    }
    const { effect } = out
    // an ask given up in this very turn interrupts its handler's fiber before that has begun
    ledger.pause(step)
    return Effect.suspend(() => {
      ledger.resume(step)
      return Effect.onExit(this.held(`handler of ${at}`, effect, 0), (exit) =>
        Effect.sync(() => {
          if (committed && Exit.hasInterrupts(exit)) ledger.interrupted(step)
          ledger.leave(step, state.n, Exit.map(exit, next), mail.question === undefined && self.caller === undefined)
        })
      )
    })
  }

  readonly #tell = (state: State, mail: Mail, self: Me) => {
    const chance = this.sim.chanceOf(self.ref.address)
    return this.#run(
      self,
      state,
      mail === quiet ? { depth: 0 } : mail,
      (step) => {
        if (mail !== quiet && chance.oneIn(12)) {
          self.stash()
          this.ledger.stash(step, mail)
          return { plain: Actor.noReply() as unknown }
        }
        if (chance.oneIn(4))
          return { effect: Effect.as(Effect.orDie(this.#work(self, mail.depth, step)), { n: state.n + 1 } as unknown) }
        this.#act(self, mail.depth, step)
        return { plain: { n: state.n + 1 } }
      },
      (out) => (out as Partial<State>).n ?? state.n,
      true
    )
  }

  readonly #ask = (state: State, mail: Mail, self: Me) => {
    const chance = this.sim.chanceOf(self.ref.address)
    return this.#run<unknown, Oops>(
      self,
      state,
      mail,
      (step) => {
        switch (chance.below(11)) {
          case 1:
            self.stash()
            this.ledger.stash(step, mail)
            return { plain: Actor.noReply() }
          case 2: {
            const handle = self.defer<number, Oops>()
            const answer = (): boolean => (chance.oneIn(4) ? handle.fail(new Oops({})) : handle.succeed(mail.depth))
            if (mail.question !== undefined) this.ledger.defers(step, mail.question)
            this.#answers.push({ who: self.ref.address, answer })
            if (chance.oneIn(3)) handle.onCancel(() => this.sim.note(`${self.ref.address} hears of a cancel`))
            return { plain: Actor.noReply() }
          }
          case 3: {
            const to = this.any(chance)
            const rest = mail.question === undefined ? { step } : { step, question: mail.question }
            self.forward(to, "Ask", this.ledger.mail(`${self.ref.address} staging`, to.address, mail.depth, rest))
            return { plain: Actor.noReply() }
          }
          case 4:
            return { effect: Effect.fail(new Oops({})) }
          case 5:
            step.uninterruptible = true
            return {
              effect: Effect.uninterruptible(
                Effect.as(this.#work(self, mail.depth, step), Actor.reply(state.n, { n: state.n + 1 }))
              )
            }
          case 6:
          case 7:
            return { effect: Effect.as(this.#work(self, mail.depth, step), Actor.reply(state.n, { n: state.n + 1 })) }
          default:
            this.#act(self, mail.depth, step)
            return { plain: Actor.reply(state.n) }
        }
      },
      (out) => (out as { readonly state?: State }).state?.n ?? state.n,
      false
    )
  }

  readonly #sure = (state: State, mail: Mail, self: Me) =>
    this.#run<unknown, never>(
      self,
      state,
      mail,
      (step) => ({ effect: Effect.as(Effect.orDie(this.#work(self, mail.depth, step)), Actor.reply(state.n)) }),
      () => state.n,
      true
    )

  /** Something that its scope holds. */
  #kept(what: string): Effect.Effect<number, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => this.ledger.acquire(what)),
      (id) => Effect.sync(() => this.ledger.release(id))
    )
  }

  readonly #tail = (state: State, _mail: Mail, self: Me) => {
    const chance = this.sim.chanceOf(self.ref.address)
    const what = `stream of ${self.ref.address}`
    const ends = [
      Stream.empty,
      Stream.fail(new Oops({})),
      Stream.die("stream"),
      Stream.fromEffectRepeat(Effect.as(Effect.sleep(3), 1)),
      Stream.never
    ]
    const elements = Stream.concat(Stream.make(1, 2), chance.pick(ends))
    return Actor.reply(Stream.unwrap(Effect.as(this.#kept(what), elements)) as Stream.Stream<number, Oops>, {
      n: state.n
    })
  }

  #kinds(): ReadonlyArray<Behavior<P, never>> {
    const of = (key: string): Simulation.Chance => this.sim.chanceOf(`${key} starting`)
    const shapes = [
      { mailbox: { capacity: 8, overflow: "fail" }, priority: "normal" },
      { mailbox: { capacity: 3, overflow: "suspend" }, priority: "high", offerTimeout: "50 millis" },
      { mailbox: { capacity: 2, overflow: "dropNewest" }, priority: "critical" },
      { mailbox: { capacity: 2, overflow: "dropOldest" }, priority: "low" },
      { idleAfter: "40 millis", supervision: { restart: "permanent", intensity: { restarts: 5 } } }
    ] as const
    const starts: ReadonlyArray<unknown> = [
      { n: 0 },
      () => ({ n: 0 }),
      (key: string) =>
        Effect.as(Effect.andThen(this.#kept(`initial of ${key}`), Effect.sleep(1 + of(key).below(30))), { n: 0 }),
      (key: string) => (of(key).oneIn(3) ? Effect.die("initial") : Effect.as(Effect.yieldNow, { n: 0 }))
    ]
    const limits = {
      supervision: { backoff: { min: "4 millis", max: "50 millis" }, intensity: { restarts: 30 } },
      shutdown: "100 millis",
      connectTimeout: "20 millis",
      idleAfter: "60 millis",
      stash: 4,
      held
    } as const
    const me = (self: Me): Self<never> => self as unknown as Self<never>
    const hook = (self: Me, state: State, look: (step: Step) => void): State => {
      const step = this.ledger.enter(me(self), state.n)
      look(step)
      this.ledger.leave(step, state.n, Exit.succeed(state.n + 100), true)
      return { n: state.n + 100 }
    }
    const { ledger } = this
    return shapes.flatMap((shape, i) =>
      starts.map((initial, j) =>
        Agent.make(`K${i}${j}`, {
          state: Schema.Struct({ n: Schema.Int }),
          clients: [Do, Ask, Sure],
          protocol: [Tail],
          events: [Said]
        }).behavior({
          ...limits,
          ...shape,
          initial: initial as State,
          on: { Do: this.#tell as never, Ask: this.#ask as never, Sure: this.#sure as never, Tail: this.#tail },
          onTerminated: (state, { ref }, self) => hook(self, state, (step) => ledger.terminated(step, ref.address)),
          onConnect: (state, client, self) => hook(self, state, () => ledger.client(me(self), client.id, "connects")),
          onDisconnect: (state, client, _, self) =>
            hook(self, state, () => ledger.client(me(self), client.id, "leaves")),
          onStop: (_, _why, self) => {
            ledger.stops(me(self))
            const chance = this.sim.chanceOf(`${self.ref.address} stopping`)
            return chance.oneIn(4) ? Effect.sleep(chance.below(150)) : undefined
          }
        })
      )
    )
  }

  // ---- what goes on outside

  /** A sender outside of any actor: tells, asks, gives up, stops, spawns again. */
  readonly outside = Effect.fnUntraced(function* (this: World, name: string, rounds: number) {
    const { sim, ledger } = this
    const chance = sim.chanceOf(name)
    for (let round = 0; round < rounds; round++) {
      const ref = this.any(chance)
      const at = ref.address
      switch (chance.below(12)) {
        case 1:
        case 2:
          sim.note(`${name} tells ${at}`)
          yield* Effect.exit(Effect.timeoutOption(ref.tell("Do", ledger.mail(name, at, 3)), 100))
          break
        case 3:
          sim.note(`${name} floods ${at}`)
          for (let i = 0; i < 6; i++) ref.tellUnsafe("Do", ledger.mail(name, at, 1))
          break
        case 4:
        case 5:
        case 6:
        case 7: {
          const tag = chance.oneIn(4) ? "Sure" : "Ask"
          const question = ledger.ask()
          sim.note(`${name} asks ${at} (${tag})`)
          const asks = ref.ask(tag, ledger.mail(name, at, 3, { question }), { timeout: 1 + chance.below(200) })
          const told = Effect.onExit(asks, (exit) =>
            Effect.sync(() => {
              ledger.answered(question, `ask of ${name}`, exit)
              sim.note(`${at} answers ${name}: ${Exit.isSuccess(exit) ? exit.value : "failed"}`)
            })
          )
          const fiber = yield* Effect.forkDetach(Effect.exit(told), { startImmediately: true })
          if (chance.oneIn(3)) {
            if (chance.oneIn(2)) yield* Effect.sleep(chance.below(5))
            yield* Effect.forkDetach(Fiber.interrupt(fiber))
          }
          break
        }
        case 8:
          if (chance.oneIn(3) && !this.calm) {
            const mode = chance.pick(modes)
            sim.note(`${name} stops ${at} (${mode})`)
            yield* Effect.forkDetach(ref.stop({ mode, within: 1 + chance.below(100) }), { startImmediately: true })
          }
          break
        case 9: {
          const made = yield* Effect.exit(ActorSystem.spawn(chance.pick(this.kinds), `a${chance.below(10)}`))
          if (Exit.isSuccess(made)) this.refs.push(made.value)
          if (this.refs.length > 40) this.refs.splice(24, 10)
          break
        }
        case 10:
          yield* Effect.sleep(chance.below(25))
          break
        case 11:
          yield* Effect.yieldNow
          break
        default:
          break
      }
    }
  }).bind(this)

  /** A client that connects again when it is cut. */
  readonly client = Effect.fnUntraced(function* (this: World, name: string, rounds: number) {
    const { sim, ledger } = this
    const chance = sim.chanceOf(name)
    let client: Simulation.SimulatedClient<P> | undefined
    let at = ""
    for (let round = 0; round < rounds; round++) {
      if (client?.connected !== true) {
        if (chance.below(3) === 0) continue
        const ref = this.any(chance)
        const made = yield* Effect.exit(sim.client(ref))
        client = Exit.isSuccess(made) ? made.value : undefined
        at = ref.address
        continue
      }
      const { id } = client
      switch (chance.below(7)) {
        case 1:
        case 2:
          client.notify("Do", ledger.mail(id, at, 2))
          break
        case 3:
        case 4: {
          const question = ledger.ask()
          const mail = ledger.mail(id, at, 2, { question })
          const asks = client.request("Ask", mail, { timeoutMillis: 1 + chance.below(200) })
          const told = Effect.onExit(asks, (exit) =>
            Effect.sync(() => ledger.answered(question, `request of ${id}`, exit))
          )
          yield* Effect.forkDetach(Effect.exit(told), { startImmediately: true })
          break
        }
        case 5:
          yield* Effect.sleep(chance.below(30))
          break
        case 6:
          if (chance.oneIn(3)) client.disconnect()
          break
        default:
          yield* Effect.yieldNow
      }
    }
  }).bind(this)
}

/** The program; it answers with the ledger, whose figures say how much there was to look at. */
export const world =
  ({ rounds }: Size): Simulation.Program<Ledger, never> =>
  (sim) =>
    Effect.gen(function* () {
      const all = new World(sim)
      for (const [i, kind] of all.kinds.entries()) {
        yield* Effect.orDie(ActorSystem.host(kind))
        // made by the first message: a schedule that sends nothing starts nobody
        all.refs.push(new ActorRef<P>(kind.plan.protocol, `n${i}`, undefined))
      }
      // everybody lives, unless a shrunk schedule can do without
      if (sim.chance.below(2 ** 16) !== 0) {
        for (const ref of all.refs) ref.tellUnsafe("Do", all.ledger.mail("w", ref.address, 2))
      }
      yield* Effect.forkChild(sim.chaos({ every: "40 millis", ...(all.calm && { stops: [] }) }))
      yield* Effect.all(
        [
          ...["x", "y", "z"].map((name) => all.outside(name, rounds)),
          ...["client 1", "client 2", "client 3"].map((name) => all.client(name, rounds))
        ],
        { concurrency: "unbounded" }
      )
      yield* Effect.sleep("2 seconds")
      yield* sim.settled
      all.ledger.rested()
      sim.atEnd(() => all.ledger.ended())
      return all.ledger
    })
