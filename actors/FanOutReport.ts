/**
 * What a fan-out came to: who answered what, who failed with what, who was late, who was not asked; and its error.
 *
 * Made by FanOut, which names it to users (`FanOut.Report`, `FanOut.FanOutUnsatisfied`). Each target stands in exactly one of
 * the four lists, under its address; so nothing that was asked for is lost in silence. A report is data: by its Schema it can
 * be an actor's state, an answer, or sent to a client.
 * A failure is kept as its Cause, so that a defect of one target (garbage that made its decoder throw) is told from an error
 * that was expected. The error holds the report untyped: a tagged error is one class for all that may be asked.
 */
import { type Cause, Schema } from "effect"

/** What became of each target, by address. */
export interface Report<A, E> {
  /** In the order in which they came. */
  readonly answers: ReadonlyArray<{ readonly address: string; readonly value: A }>
  readonly failures: ReadonlyArray<{ readonly address: string; readonly cause: Cause.Cause<E> }>
  /** Asked, and interrupted without an answer: by the deadline, or because it was decided without them. */
  readonly late: ReadonlyArray<string>
  /** Never asked: their turn did not come. */
  readonly unasked: ReadonlyArray<string>
}

/** The Schema of a report, for states and answers; `Schema.Defect()` for an error without one of its own. */
export const Report = <A extends Schema.Constraint, E extends Schema.Constraint>(value: A, error: E) =>
  Schema.Struct({
    answers: Schema.Array(Schema.Struct({ address: Schema.String, value })),
    failures: Schema.Array(Schema.Struct({ address: Schema.String, cause: Schema.Cause(error, Schema.Defect()) })),
    late: Schema.Array(Schema.String),
    unasked: Schema.Array(Schema.String)
  })

/** So many answers will not come, or did not by the deadline; `report` has what did. */
export class FanOutUnsatisfied extends Schema.TaggedError<FanOutUnsatisfied>()("FanOutUnsatisfied", {
  way: Schema.Literals(["all", "first", "quorum"]),
  needed: Schema.Int,
  targets: Schema.Int,
  why: Schema.Literals(["deadline", "impossible"]),
  deadlineMillis: Schema.Number,
  report: Report(Schema.Unknown, Schema.Defect())
}) {
  override get message(): string {
    const { answers, failures, late, unasked } = this.report
    const of = `${answers.length} of the ${this.needed} answers needed came from ${this.targets} targets`
    const timeUp = `none more within ${this.deadlineMillis} ms (option deadline)`
    const few = "there are fewer targets than that (argument n)"
    const impossible = this.needed > this.targets ? few : "the rest cannot come any more"
    const end = this.why === "deadline" ? timeUp : impossible
    const rest = `${failures.length} failed, ${late.length} were asked and had not answered, ${unasked.length} were not asked`
    const first = failures.length > 0 ? `; the first to fail: ${failures[0]!.address}, see report.failures` : ""
    return `FanOut.${this.way}: ${of}, ${end}: ${rest}${first}`
  }
}
