/**
 * Who has made which agents: bounds the living agents that one maker may call into being.
 *
 *   maker -> its agents, "Type/key"        agent -> its maker
 *
 * Floor 3; one a gateway, where a maker is a principal, or, where nobody is known, an address by its group (`Peer`). Knows
 * agents by address and asks whether one lives. Law 3: bounded a maker, and so by `maxAgents`: an agent that has ended is
 * forgotten when its maker's count is full, or when over half of all here have ended.
 * An agent counts for who made it, whoever uses it since, and as long as it lives; made anew, for who made it anew.
 * Cost: two entries an agent that is counted; nothing is done when an agent ends; who is full and asks for one more has all
 * of its own looked at.
 */
export class Creators {
  readonly #lives: (agent: string) => boolean
  readonly #byMaker = new Map<string, Set<string>>()
  readonly #makers = new Map<string, string>()
  #sweepAt = 1024

  constructor(lives: (agent: string) => boolean) {
    this.#lives = lives
  }

  /** Agents remembered, ended ones among them. */
  get size(): number {
    return this.#makers.size
  }

  /** Living agents that `maker` made; counted only as far as it takes to see whether they are fewer than `limit`. */
  full(maker: string, limit: number): boolean {
    const made = this.#byMaker.get(maker)
    if (made === undefined || made.size < limit) return false
    for (const agent of made) if (!this.#lives(agent)) this.forget(agent)
    return made.size >= limit
  }

  /** `maker` makes `agent`. */
  add(maker: string, agent: string): void {
    this.forget(agent)
    if (this.#makers.size >= this.#sweepAt) this.#sweep()
    const made = this.#byMaker.get(maker)
    if (made === undefined) this.#byMaker.set(maker, new Set([agent]))
    else made.add(agent)
    this.#makers.set(agent, maker)
  }

  /** Nobody's: one that is made anew by who is not counted. */
  forget(agent: string): void {
    const maker = this.#makers.get(agent)
    if (maker === undefined) return
    this.#makers.delete(agent)
    const made = this.#byMaker.get(maker)!
    made.delete(agent)
    if (made.size === 0) this.#byMaker.delete(maker)
  }

  #sweep(): void {
    for (const agent of this.#makers.keys()) if (!this.#lives(agent)) this.forget(agent)
    this.#sweepAt = Math.max(1024, 2 * this.#makers.size)
  }
}
