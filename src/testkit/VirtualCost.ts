/**
 * A clock that only work moves: what the scheduler reads instead of `performance.now` in a seeded run.
 *
 * Floor 5; given to the scheduler as `cost`. Each reading costs `perReading`, so budgets end turns and sweeps after a number
 * of readings that does not depend on the machine; a handler that is to be dear says so by `spend`.
 * Law 11: time budgets count virtual cost, so a run is a pure function of its seed.
 * Cost: an addition a reading.
 */
export class VirtualCost {
  /** Milliseconds spent so far. */
  millis = 0
  readonly #perReading: number

  /** `perReading`: milliseconds, default 0.02, so that a turn of 0.5 ms has 25 readings. */
  constructor(perReading = 0.02) {
    this.#perReading = perReading
  }

  /** What a `SchedulerOptions.cost` wants. */
  readonly read = (): number => (this.millis += this.#perReading)

  /** The handler at hand is taken to have cost so many milliseconds. */
  spend(millis: number): void {
    this.millis += millis
  }
}
