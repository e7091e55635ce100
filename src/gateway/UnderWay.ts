/**
 * The requests of one client that are under way, by their ids.
 *
 * Floor 3; owned by Conversation.
 * Cost: most clients have one at a time: it needs no table. A Map that loses its only entry makes itself a smaller one, each
 * time (150 B), and an empty one of an idle connection is 170 B.
 */
import type { Request } from "../supervision/Edge.ts"
import type { Id } from "./JsonRpc.ts"

export class UnderWay {
  #request: Request | undefined = undefined
  #id: Id = null
  /** All but that one. */
  #others: Map<Id, Request> | undefined = undefined

  get size(): number {
    return (this.#request === undefined ? 0 : 1) + (this.#others?.size ?? 0)
  }

  get(id: Id): Request | undefined {
    return this.#request !== undefined && this.#id === id ? this.#request : this.#others?.get(id)
  }

  /** The caller makes sure that the id is free. */
  set(id: Id, request: Request): void {
    if (this.#request === undefined) {
      this.#request = request
      this.#id = id
    } else (this.#others ??= new Map()).set(id, request)
  }

  delete(id: Id): void {
    if (this.#request !== undefined && this.#id === id) this.#request = undefined
    else this.#others?.delete(id)
  }

  clear(): void {
    this.#request = undefined
    this.#others = undefined
  }

  /** Those of now: they may end meanwhile. */
  all(): ReadonlyArray<Request> {
    const others = this.#others === undefined ? [] : [...this.#others.values()]
    return this.#request === undefined ? others : [this.#request, ...others]
  }
}
