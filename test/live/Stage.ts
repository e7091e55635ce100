/**
 * A gateway of a test's own: opened by the test, closed after it, whatever its handlers wait for.
 *
 * One a file, made at its top; each test begins with nobody there.
 */
import type { Layer } from "effect"
import type { Limits } from "troupe"
import { afterEach } from "vitest"
import { Gate, type LabOptions, type Live, open } from "./Lab.ts"

class Stage {
  gate = new Gate()
  #live: Live | undefined = undefined

  get live(): Live {
    if (this.#live === undefined) throw new Error("this test has opened no gateway")
    return this.#live
  }

  async open(options: LabOptions = {}, limits: Limits = {}, clock?: Layer.Layer<never>): Promise<Live> {
    this.gate = new Gate()
    return (this.#live = await open(this.gate, options, limits, clock))
  }

  async close(): Promise<void> {
    const live = this.#live
    this.#live = undefined
    this.gate.stayOpen()
    await live?.close()
  }
}

export const stage = (): Stage => {
  const made = new Stage()
  afterEach(() => made.close())
  return made
}
