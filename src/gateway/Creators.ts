/**
 * Who has made which agents: bounds the living agents that one principal may call into being.
 *
 *   principal -> its agents, "Type/key"        agent -> its principal
 *
 * Floor 3; one a gateway; knows agents by address and asks whether one lives. Law 3: bounded a principal, and so by `maxAgents`:
 * an agent that has ended is forgotten when its principal's count is full, or when over half of all here have ended.
 * An agent counts for who made it, whoever uses it since, and as long as it lives; made anew, for who made it anew.
 * Cost: two entries an agent that a principal made; nothing is done when an agent ends.
 */
export class Creators {
  readonly #lives: (agent: string) => boolean
  readonly #byPrincipal = new Map<string, Set<string>>()
  readonly #creators = new Map<string, string>()
  #sweepAt = 1024

  constructor(lives: (agent: string) => boolean) {
    this.#lives = lives
  }

  /** Agents remembered, ended ones among them. */
  get size(): number {
    return this.#creators.size
  }

  /** Living agents that `principal` made; counted only as far as it takes to see whether they are fewer than `limit`. */
  full(principal: string, limit: number): boolean {
    const made = this.#byPrincipal.get(principal)
    if (made === undefined || made.size < limit) return false
    for (const agent of made) if (!this.#lives(agent)) this.#forget(agent)
    return made.size >= limit
  }

  /** `principal` makes `agent`. */
  add(principal: string, agent: string): void {
    this.#forget(agent)
    if (this.#creators.size >= this.#sweepAt) this.#sweep()
    const made = this.#byPrincipal.get(principal)
    if (made === undefined) this.#byPrincipal.set(principal, new Set([agent]))
    else made.add(agent)
    this.#creators.set(agent, principal)
  }

  #sweep(): void {
    for (const agent of this.#creators.keys()) if (!this.#lives(agent)) this.#forget(agent)
    this.#sweepAt = Math.max(1024, 2 * this.#creators.size)
  }

  #forget(agent: string): void {
    const principal = this.#creators.get(agent)
    if (principal === undefined) return
    this.#creators.delete(agent)
    const made = this.#byPrincipal.get(principal)!
    made.delete(agent)
    if (made.size === 0) this.#byPrincipal.delete(principal)
  }
}
