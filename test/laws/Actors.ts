/**
 * The actors of the random world: what their handlers, hooks and starts do.
 *
 * Twenty kinds (five shapes of mailbox, priority and idleness, four ways to start), agents all. What a handler does about a
 * message is drawn when it runs, 0 being nothing, so a shrunk schedule has few steps that do anything.
 *
 *   stage   through `self`, part of the turn        work   steps of an Effect, which may suspend and be interrupted
 */
import { Effect, Exit, Scope, Stream } from "effect"
import { Actor, type ActorRef, type Behavior, type Self } from "troupe"
import type { Simulation } from "troupe/testkit"
import { held, kept, kinds } from "./Kinds.ts"
import { Ledger, type Mail, type Order, type Question, type Step } from "./Ledger.ts"
import { Trees } from "./Trees.ts"
import { type Me, modes, Oops, type P, type Ref, type State } from "./Words.ts"

const quiet: Mail = { depth: 0 }

export class World {
  readonly sim: Simulation.Sim
  readonly ledger: Ledger
  readonly refs: Array<Ref> = []
  readonly kinds: ReadonlyArray<Behavior<P, never>>
  readonly trees: Trees
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
    this.kinds = kinds(this, { Do: this.#tell, Ask: this.#ask, Sure: this.#sure, Tail: this.#tail })
    this.trees = new Trees(sim, this.ledger, this.kinds, this.calm ? 0 : 2)
  }

  /** Somebody; in some runs mostly one of a few, whose mail is then long. */
  any(chance: Simulation.Chance): Ref {
    const { workers } = this.trees
    if (workers.length > 0 && chance.oneIn(5)) return chance.pick(workers)
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
        self.pipe(Effect.sleep(chance.below(20)), () => ["Do", { depth: 0 }])
        return
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
    this.ledger.trees.linked(step.cell, other)
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
            let question: Question | undefined
            const asking = Effect.suspend(() => {
              question = ledger.ask()
              const mail = ledger.mail(me, to.address, depth - 1, { question })
              return self.ask(to, "Ask", mail, { timeout: 1 + chance.below(100) })
            })
            // interrupted before this begins, it has asked nothing
            const told = (exit: Exit.Exit<unknown, unknown>): void =>
              question === undefined ? undefined : ledger.answered(question, me, exit)
            yield* Effect.exit(Effect.onExit(asking, (exit) => Effect.sync(() => told(exit))))
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
          // an uninterruptible one would have no end
          if (depth > 0 && !step.uninterruptible)
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
    // an ask given up in this very turn interrupts its handler's fiber before that has begun, or between two of its steps
    ledger.pause(step)
    let began = false
    const begin = Effect.suspend(() => {
      ledger.resume(step)
      began = true
      return this.held(`handler of ${at}`, effect, 0)
    })
    return Effect.onExit(begin, (exit) =>
      Effect.sync(() => {
        if (!began) return
        if (committed && Exit.hasInterrupts(exit)) ledger.interrupted(step)
        ledger.leave(step, state.n, Exit.map(exit, next), mail.question === undefined && self.caller === undefined)
      })
    )
  }

  /** What a supervisor's commander wants of a worker. */
  #obey(self: Me, state: State, order: Order, step: Step) {
    if (order === "crash") {
      step.failed = true
      throw new Error("told to")
    }
    if (order === "hang") return { effect: Effect.as(Effect.never, state as unknown) }
    self.stop({ mode: this.sim.chanceOf(self.ref.address).pick(modes) })
    step.stops = true
    return { plain: state as unknown }
  }

  readonly #tell = (state: State, mail: Mail, self: Me) => {
    const chance = this.sim.chanceOf(self.ref.address)
    return this.#run(
      self,
      state,
      mail === quiet ? { depth: 0 } : mail,
      (step) => {
        if (mail.order !== undefined) return this.#obey(self, state, mail.order, step)
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

  /** A stream, with any of these ends; or a refusal, late, from somebody else, once it was put aside. */
  readonly #tail = (state: State, mail: Mail, self: Me) => {
    const chance = this.sim.chanceOf(self.ref.address)
    const what = `stream of ${self.ref.address}`
    const ends = [
      Stream.empty,
      Stream.fail(new Oops({})),
      Stream.die("stream"),
      Stream.fromEffectRepeat(Effect.as(Effect.sleep(3), 1)),
      Stream.never,
      Stream.fromIterable(Array.from({ length: 40 }, (_, i) => i)),
      Stream.fromEffect(Effect.uninterruptible(Effect.as(Effect.sleep(40), 1)))
    ]
    const elements = Stream.concat(Stream.make(1, 2), chance.pick(ends))
    const reply = Actor.reply(
      Stream.unwrap(Effect.as(kept(this.ledger, what), elements)) as Stream.Stream<number, Oops>
    )
    const body = (step: Step) => {
      switch (chance.below(8)) {
        case 1:
          self.stash()
          this.ledger.stash(step, mail)
          return { plain: Actor.noReply() as unknown }
        case 2:
          self.forward(this.any(chance), "Tail", { depth: 0, step })
          return { plain: Actor.noReply() as unknown }
        case 3:
          return { effect: Effect.fail(new Oops({})) }
        case 4:
          return { effect: Effect.as(Effect.sleep(chance.below(20)), reply as unknown) }
        default:
          return { plain: reply as unknown }
      }
    }
    return this.#run<unknown, Oops>(self, state, mail, body, () => state.n, false)
  }
}
